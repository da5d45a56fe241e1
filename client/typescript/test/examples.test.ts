import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { RETRY_POLICY } from "../src/retries.js";
import { NO_SERVER, REPOSITORY, RealServer } from "./support/real-server.js";

const real = NO_SERVER === undefined ? {} : { skip: NO_SERVER };
const NO_PACKAGES = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|E40[34]|ENOTCACHED/;
const NOT_COPIED = new Set(["node_modules", "build", "dist"]);

let server: RealServer;
let clone: string;

before(async () => {
  if (real.skip !== undefined) return;
  server = await RealServer.start();
  clone = mkdtempSync(join(tmpdir(), "tallykeeper-examples-"));
  for (const folder of ["examples/node-proto-loader", "protos"]) {
    mkdirSync(join(clone, folder), { recursive: true });
    cpSync(join(REPOSITORY, folder), join(clone, folder), {
      recursive: true,
      filter: (source) => !NOT_COPIED.has(basename(source)),
    });
  }
});

after(async () => {
  if (real.skip !== undefined) return;
  await server.stop();
  rmSync(clone, { recursive: true });
});

/** Run npm for an example in the copy, as a newcomer does; undefined if the registry does not give its packages. */
function npm(context: TestContext, example: string, ...command: readonly string[]): string | undefined {
  const ran = spawnSync("npm", ["--prefix", `examples/${example}`, ...command], {
    cwd: clone,
    encoding: "utf8",
    env: { ...process.env, TALLYKEEPER_ADDRESS: server.address, npm_config_prefer_offline: "true" },
  });
  if (ran.status !== 0 && NO_PACKAGES.test(ran.stderr)) {
    context.skip(`the registry does not give the packages of ${example}`);
    return undefined;
  }
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  return ran.stdout;
}

test("with the defaults of proto-loader, request_id is dropped and a retry counts twice", real, async (context) => {
  if (npm(context, "node-proto-loader", "ci", "--ignore-scripts") === undefined) return;
  const program = `
    import * as grpc from "@grpc/grpc-js";
    import { loadSync } from "@grpc/proto-loader";
    const definition = loadSync("tallykeeper/v1/counter.proto", { includeDirs: ["../../protos"] });
    const { CounterService } = grpc.loadPackageDefinition(definition).tallykeeper.v1;
    const counters = new CounterService(process.env.TALLYKEEPER_ADDRESS, grpc.credentials.createInsecure());
    const request = { namespace: "dropped", counter: "c", request_id: "same" };
    const call = () => new Promise((resolve) => counters.Increment(request, (_, response) => resolve(response)));
    await call();
    console.log(String((await call()).counter.value));
    counters.close();`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: join(clone, "examples/node-proto-loader"),
    encoding: "utf8",
    env: { ...process.env, TALLYKEEPER_ADDRESS: server.address },
  });
  assert.equal(ran.stdout.trim(), "2", ran.stderr);
});

test("the example with proto-loader has the retries of the client", () => {
  const source = readFileSync(join(REPOSITORY, "examples/node-proto-loader/first_act.js"), "utf8");
  assert.ok(source.includes('retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"],'));
  assert.ok(source.includes(`maxAttempts: ${RETRY_POLICY.maxAttempts},`));
  assert.ok(source.includes(`initialBackoff: "${RETRY_POLICY.initialBackoffMs / 1_000}s",`));
  assert.ok(source.includes(`maxBackoff: "${RETRY_POLICY.maxBackoffMs / 1_000}s",`));
  assert.ok(source.includes(`backoffMultiplier: ${RETRY_POLICY.backoffMultiplier},`));
});
