/** Real servers: `tallykeeper serve` of the repository's .venv, or the one that TALLYKEEPER_TEST_SERVER names. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The root of the repository; the tests run in client/typescript/build/test/support. */
export const REPOSITORY = resolve(fileURLToPath(import.meta.url), "../../../../../..");
const TALLYKEEPER = join(REPOSITORY, ".venv/bin/tallykeeper");

/** The reason why no server can be started here; undefined if one can. */
export const NO_SERVER = existsSync(TALLYKEEPER)
  ? undefined
  : `${TALLYKEEPER} is missing; run 'make setup' in the repository`;

/** A `tallykeeper serve` in its own process. */
export class RealServer {
  #process: ChildProcess | undefined;
  readonly #directory: string | undefined;
  readonly address: string;

  private constructor(address: string, process?: ChildProcess, directory?: string) {
    this.address = address;
    this.#process = process;
    this.#directory = directory;
  }

  /** Return the server that the environment names, or start one. */
  static async shared(): Promise<RealServer> {
    const given = process.env["TALLYKEEPER_TEST_SERVER"];
    return given ? new RealServer(given) : RealServer.start();
  }

  /** Start a server on a free port of loopback, with a store that nothing else uses. */
  static async start(...options: readonly string[]): Promise<RealServer> {
    const directory = mkdtempSync(join(tmpdir(), "tallykeeper-typescript-"));
    const [child, address] = await serve("127.0.0.1:0", directory, options);
    return new RealServer(address, child, directory);
  }

  /** Kill the server with its store, and start another at the same port with the same data. */
  async killAndRestart(): Promise<void> {
    const ended = new Promise((resolve) => this.#process!.once("exit", resolve));
    this.#process!.kill("SIGKILL");
    await ended;
    [this.#process] = await serve(this.address, this.#directory!, []);
  }

  /** End the server, and forget its data. */
  async stop(): Promise<void> {
    if (this.#process === undefined) return;
    const ended = new Promise((resolve) => this.#process!.once("exit", resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGTERM");
      await ended;
    }
    rmSync(this.#directory!, { recursive: true, force: true });
  }
}

/** Start a server and return its process and its address as soon as it serves. */
function serve(listen: string, directory: string, options: readonly string[]): Promise<[ChildProcess, string]> {
  const fixed = ["--http-listen", "", "--listen", listen, "--workers", "1", "--log-format", "json", "--data-dir", directory];
  const child = spawn(TALLYKEEPER, ["serve", ...fixed, ...options], { stdio: ["ignore", "ignore", "pipe"] });
  const lines: string[] = [];
  return new Promise((found, failed) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      const event = line.startsWith("{") ? (JSON.parse(line) as { event: string; listen?: string }) : undefined;
      if (event?.event === "serving") found([child, event.listen!]);
    });
    child.once("error", failed);
    child.once("exit", (status) => failed(new Error(`the server ended with ${status}:\n${lines.join("\n")}`)));
  });
}

/** Run the command line of Tallykeeper, and return what it printed. */
export function tallykeeper(...options: readonly string[]): string {
  const ran = spawnSync(TALLYKEEPER, options, { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`tallykeeper ${options.join(" ")} ended with ${ran.status}:\n${ran.stderr}`);
  return ran.stdout;
}

/** Return a namespace that no other test uses. */
export function freshNamespace(): string {
  return `test-${crypto.randomUUID()}`;
}
