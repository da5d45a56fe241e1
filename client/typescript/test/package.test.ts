import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { RETRY_POLICY } from "../src/retries.js";
import { REPOSITORY } from "./support/real-server.js";

const PACKAGE = join(REPOSITORY, "client/typescript");
const SERVICE_CONFIG = join(REPOSITORY, "client/service_config.json");
const BUF = join(REPOSITORY, ".venv/bin/buf");

/** Return all modules that a module imports, itself or through others of this package. */
function imports(module: string, found = new Set<string>()): Set<string> {
  for (const [, name] of readFileSync(module, "utf8").matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)";/gm)) {
    const target = name!.startsWith(".") ? resolve(dirname(module), name!) : name!;
    if (found.has(target)) continue;
    found.add(target);
    if (name!.startsWith(".")) imports(target, found);
  }
  return found;
}

test("the module for browsers needs nothing of Node.js, and the one for Node.js nothing of browsers", () => {
  const outside = (entry: string): string[] =>
    [...imports(join(PACKAGE, "build/src", entry))].filter((name) => !name.startsWith("/")).sort();
  const common = [
    "@bufbuild/protobuf",
    "@bufbuild/protobuf/codegenv2",
    "@bufbuild/protobuf/wkt",
    "@connectrpc/connect",
  ];
  assert.deepEqual(outside("browser.js"), [...common, "@connectrpc/connect-web"]);
  assert.deepEqual(outside("node.js"), [...common, "@connectrpc/connect-node"]);
});

test("the TypeScript of both READMEs compiles", (context) => {
  const folder = mkdtempSync(join(PACKAGE, "build/readme-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const given = `declare const token: string; declare function readNewestToken(): Promise<string>;\n`;
  let count = 0;
  for (const readme of ["README.md", "client/typescript/README.md"]) {
    for (const [, block] of readFileSync(join(REPOSITORY, readme), "utf8").matchAll(/^```ts\n(.*?)^```/gms)) {
      const client = block!.includes("connect(")
        ? "export {};\n"
        : `import type { TallykeeperClient } from "tallykeeper"; declare const client: TallykeeperClient;\n`;
      writeFileSync(join(folder, `block-${(count += 1)}.ts`), client + given + block);
    }
  }
  assert.ok(count > 5);
  const module = (name: string): string[] => [join(PACKAGE, `build/src/${name}.d.ts`)];
  const paths = { tallykeeper: module("node"), "tallykeeper/web": module("browser"), "tallykeeper/v1": module("v1") };
  const compilerOptions = { target: "ES2022", module: "NodeNext", strict: true, noEmit: true, types: ["node"], paths };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  const ran = spawnSync(join(PACKAGE, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout);
});

test("the lock names no place to download from", () => {
  const { packages } = JSON.parse(readFileSync(join(PACKAGE, "package-lock.json"), "utf8")) as {
    packages: Record<string, { resolved?: string }>;
  };
  assert.ok(Object.keys(packages).length > 5);
  assert.deepEqual(
    Object.keys(packages).filter((name) => packages[name]!.resolved !== undefined),
    [],
  );
});

const noConfig = existsSync(SERVICE_CONFIG) ? false : `${SERVICE_CONFIG} is missing`;

test("the retries have the numbers of the service config", { skip: noConfig }, () => {
  const config = JSON.parse(readFileSync(SERVICE_CONFIG, "utf8")) as {
    methodConfig: { name: object[]; retryPolicy?: Record<string, unknown> }[];
  };
  const { retryPolicy } = config.methodConfig.find(({ name }) => name.some((each) => Object.keys(each).length === 0))!;
  assert.deepEqual(
    [
      retryPolicy!["maxAttempts"],
      retryPolicy!["initialBackoff"],
      retryPolicy!["backoffMultiplier"],
      retryPolicy!["maxBackoff"],
    ],
    [
      RETRY_POLICY.maxAttempts,
      `${RETRY_POLICY.initialBackoffMs / 1_000}s`,
      RETRY_POLICY.backoffMultiplier,
      `${RETRY_POLICY.maxBackoffMs / 1_000}s`,
    ],
  );
});

const noBuf = existsSync(BUF) ? false : `${BUF} is missing; run 'make setup' in the repository`;

test("the generated code is what the protos give: otherwise run npm run gen", { skip: noBuf }, (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tallykeeper-generated-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const ran = spawnSync(process.execPath, [join(PACKAGE, "scripts/generate.js"), folder], { encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stderr);
  const files = (root: string): string[] => (readdirSync(root, { recursive: true }) as string[]).sort();
  const [fresh, committed] = [join(folder, "src/gen"), join(PACKAGE, "src/gen")];
  assert.deepEqual(files(fresh), files(committed));
  for (const name of files(fresh).filter((each) => each.endsWith(".ts"))) {
    assert.ok(readFileSync(join(fresh, name)).equals(readFileSync(join(committed, name))), name);
  }
});
