import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { CancelledError, UnavailableError } from "../src/errors.js";
import { connect } from "../src/node.js";
import { fails, type Listening, Script, serveGrpc } from "./support/fake-server.js";
import { NO_SERVER, RealServer, tallykeeper } from "./support/real-server.js";

const real = NO_SERVER === undefined ? {} : { skip: NO_SERVER };

/** Return a port of loopback at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = await serveGrpc(new Script());
  await server.close();
  return server.port;
}

test("a port that is closed for four seconds is bridged, and the call counts once", async () => {
  const script = new Script();
  const port = await closedPort();
  const client = connect(`127.0.0.1:${port}`, { timeoutMs: 15_000 });
  const call = client.increment("c");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  await using _ = await serveGrpc(script, port);
  assert.equal((await call).counter.value, 1n);
  assert.equal(script.requests.length, 1);
  client.close();
});

test("a call whose server is killed and starts again is sent again with the same request id", async () => {
  const script = new Script();
  const first = await serveGrpc(script);
  script.increments = [
    async () => {
      await first.close();
      second = await serveGrpc(script, first.port);
      throw new Error("nobody hears this answer");
    },
    ...script.increments,
  ];
  let second: Listening | undefined;
  const client = connect(first.address);
  await client.increment("c");
  assert.equal(script.requests.length, 2);
  assert.equal(script.requests[0]!.requestId, script.requests[1]!.requestId);
  client.close();
  await second!.close();
});

test("where nobody listens, a call ends with UNAVAILABLE before its deadline", async () => {
  const client = connect(`127.0.0.1:${await closedPort()}`);
  const error = await client.increment("c", { timeoutMs: 300 }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof UnavailableError);
  assert.match(error.message, /^no Tallykeeper server answers at 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
  assert.notEqual(error.requestId, "");
  client.close();
});

test("without retries, a call does not wait for a server", async () => {
  const client = connect(`127.0.0.1:${await closedPort()}`, { retry: false, timeoutMs: 0 });
  await assert.rejects(client.increment("c"), UnavailableError);
  client.close();
});

test("a server that takes connections and says nothing ends a call at its deadline", async () => {
  const silent: Server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const client = connect(`127.0.0.1:${(silent.address() as { port: number }).port}`);
  await assert.rejects(client.increment("c", { timeoutMs: 100 }), { codeName: "DEADLINE_EXCEEDED" });
  client.close();
  silent.close();
});

test("a call that waits for a connection can be cancelled, and ends when its client is closed", async () => {
  const client = connect(`127.0.0.1:${await closedPort()}`, { timeoutMs: 0 });
  const caller = new AbortController();
  const first = client.increment("c", { signal: caller.signal });
  const second = client.increment("c");
  caller.abort();
  await assert.rejects(first, CancelledError);
  client.close();
  await assert.rejects(second, CancelledError);
});

test("the errors of a server come whole over gRPC", async () => {
  const script = new Script();
  const metadata = { value: "9", delta: "2", max: "10" };
  script.increments = [fails(Code.OutOfRange, "COUNTER_BOUND_EXCEEDED", { metadata })];
  await using server = await serveGrpc(script);
  const client = connect(server.address);
  await assert.rejects(client.increment("c"), { name: "CounterBoundExceededError", value: 9n, max: 10n });
  client.close();
});

/** An API key: its secret has 32 random bytes, and the server knows its SHA-256. */
function apiKey(id: string): { readonly token: string; readonly table: string } {
  const secret = randomBytes(32).toString("base64url");
  const sha256 = createHash("sha256").update(secret).digest("hex");
  return { token: `tk.${id}.${secret}`, table: `[[key]]\nid = "${id}"\nidentity = "web"\nsha256 = "${sha256}"\n` };
}

const GOOD = apiKey("good");
const LATE = apiKey("late");
const ACCESS = `${GOOD.table}
${LATE.table}not_after = 2020-01-01

[[certificate]]
san = "uri:spiffe://tallykeeper/web"
identity = "web"

[[grant]]
identity = "web"
namespaces = ["*"]
role = "write"
`;

/** A server with TLS and callers that it knows, in a folder with all certificates. */
async function guarded(mutual: boolean) {
  const folder = mkdtempSync(join(tmpdir(), "tallykeeper-typescript-"));
  tallykeeper("certificates", folder, "--host", "127.0.0.1", "--client", "web", "--days", "2");
  const access = join(folder, "access.toml");
  writeFileSync(access, ACCESS);
  const file = (name: string): string => join(folder, name);
  const server = await RealServer.start(
    ...["--tls-certificate", file("server.pem"), "--tls-key", file("server.key"), "--access-file", access],
    ...(mutual ? ["--tls-client-ca", file("ca.pem")] : []),
  );
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(folder, { recursive: true });
  };
  return { address: server.address, read: (name: string) => readFileSync(file(name)), stop };
}

test("TLS with a token, an expired token, and a certificate that nobody vouches for", real, async (context) => {
  const { address, read, stop } = await guarded(false);
  context.after(stop);
  const tls = { ca: read("ca.pem") };

  const client = connect(address, { tls, token: GOOD.token });
  assert.equal((await client.increment("c")).counter.value, 1n);
  client.close();

  const anonymous = connect(address, { tls });
  await assert.rejects(anonymous.increment("c"), { reason: "CREDENTIAL_MISSING" });
  anonymous.close();

  const expired = connect(address, { tls, token: LATE.token });
  await assert.rejects(expired.increment("c"), { name: "CredentialExpiredError" });
  expired.close();

  const tokens = [LATE.token, GOOD.token];
  const refreshed = connect(address, { tls, token: () => tokens.shift()! });
  assert.equal((await refreshed.increment("c")).counter.value, 2n);
  refreshed.close();

  const suspicious = connect(address, { tls: true, token: GOOD.token, timeoutMs: 0 });
  await assert.rejects(suspicious.increment("c"), { codeName: "UNAVAILABLE", message: /certificate/ });
  suspicious.close();

  const plain = connect(address, { token: GOOD.token, timeoutMs: 1_000 });
  await assert.rejects(plain.increment("c"), { codeName: "UNAVAILABLE" });
  plain.close();
});

test("mutual TLS names the caller", real, async (context) => {
  const { address, read, stop } = await guarded(true);
  context.after(stop);
  const client = connect(address, { tls: { ca: read("ca.pem"), cert: read("web.pem"), key: read("web.key") } });
  await client.increment("c");
  for await (const entry of client.listEntries()) assert.equal(entry.identity, "web");
  client.close();

  const unknown = connect(address, { tls: { ca: read("ca.pem") }, timeoutMs: 1_000 });
  await assert.rejects(unknown.increment("c"), { codeName: "UNAVAILABLE" });
  unknown.close();
});
