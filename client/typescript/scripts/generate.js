// Generates src/gen from the protos of the repository with buf: `npm run gen`. The code is committed.
//
// buf is the one of `make setup` (.venv), or the one on PATH.

import { spawnSync } from "node:child_process";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(fileURLToPath(import.meta.url), "../..");
const output = process.argv[2] ?? folder;
const PATH = [join(folder, "../../.venv/bin"), process.env["PATH"]].join(delimiter);
const ran = spawnSync("buf", ["generate", "--output", output], {
  cwd: folder,
  env: { ...process.env, PATH },
  stdio: "inherit",
});
if (ran.error !== undefined) {
  console.error(`buf cannot be run: ${ran.error.message}. Run 'make setup' at the repository's root, or install buf.`);
}
process.exitCode = ran.status ?? 1;
