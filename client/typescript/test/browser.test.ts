import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connect } from "../src/browser.js";
import {
  CounterBoundExceededError,
  InsufficientStockError,
  RevisionTrimmedError,
  UnavailableError,
} from "../src/exports.js";
import { ShortagesSchema } from "../src/v1.js";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { fails, Script, serveHttp } from "./support/fake-server.js";

const answers = (): { counter: { counter: string; value: bigint }; revision: bigint } => ({
  counter: { counter: "c", value: 2n ** 53n - 1n },
  revision: 1n,
});

for (const protocol of ["connect", "grpc-web"] as const) {
  test(`${protocol}: a call goes through fetch, with namespace, request id, token and deadline`, async () => {
    const script = new Script();
    script.increments = [answers];
    await using server = await serveHttp(script);
    const client = connect(`http://${server.address}/`, { protocol, namespace: "shop", token: "tk.web.secret" });
    assert.equal((await client.increment("c", { delta: 3, timeoutMs: 4_000 })).counter.value, 2n ** 53n - 1n);
    const [request] = script.requests;
    assert.deepEqual([request!.namespace, request!.delta], ["shop", 3n]);
    assert.match(request!.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(script.headers[0]!.get("authorization"), "Bearer tk.web.secret");
    const timeout = protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
    assert.match(script.headers[0]!.get(timeout)!, /^(4000|3\d{3})m?$/);
  });

  test(`${protocol}: an error has its class, its values and its details`, async () => {
    const script = new Script();
    const values = { value: "9", delta: "2", max: "10" };
    script.increments = [
      fails(Code.OutOfRange, "COUNTER_BOUND_EXCEEDED", { metadata: values }),
      () => {
        const shortages = [{ item: "dune", location: "main", requested: 3n, available: 1n }];
        throw new ConnectError("too few", Code.FailedPrecondition, {}, [
          { desc: ErrorInfoSchema, value: { reason: "INSUFFICIENT_STOCK", domain: "tallykeeper.io" } },
          { desc: ShortagesSchema, value: { shortages, count: 1 } },
        ]);
      },
    ];
    await using server = await serveHttp(script);
    const client = connect(`http://${server.address}`, { protocol });
    await assert.rejects(client.increment("c"), (error) => {
      assert.ok(error instanceof CounterBoundExceededError);
      assert.deepEqual([error.value, error.max, error.values], [9n, 10n, values]);
      return true;
    });
    await assert.rejects(client.increment("c"), (error) => {
      assert.ok(error instanceof InsufficientStockError);
      assert.deepEqual([error.requested, error.available], [3n, 1n]);
      return true;
    });
  });

  test(`${protocol}: a call is repeated with the same request id, also after the connection broke`, async () => {
    const script = new Script();
    await using server = await serveHttp(script);
    const pushback = { retryAfterMs: 1, headers: { "grpc-retry-pushback-ms": "1" } };
    script.increments = [
      fails(Code.Unavailable, "STORE_UNAVAILABLE"),
      fails(Code.ResourceExhausted, "OVERLOADED", pushback),
      () => {
        server.breakConnections();
        return answers();
      },
      answers,
    ];
    await connect(`http://${server.address}`, { protocol, retry: { initialBackoffMs: 1 }, timeoutMs: 0 }).increment("c");
    assert.equal(script.requests.length, 4);
    assert.equal(new Set(script.requests.map(({ requestId }) => requestId)).size, 1);
  });

  test(`${protocol}: a watch resumes, and leaving the loop ends its stream`, async () => {
    const script = new Script();
    await using server = await serveHttp(script);
    const stopped = new Promise<void>((resolve) => {
      script.watching = [
        async function* () {
          yield { revision: 1n, entries: [{ revision: 1n }] };
          setImmediate(() => server.breakConnections());
          await new Promise((broken) => setTimeout(broken, 10_000).unref());
        },
        async function* (_, { signal }) {
          yield { revision: 2n, entries: [{ revision: 2n }] };
          await new Promise((ended) => signal.addEventListener("abort", ended));
          resolve();
        },
      ];
    });
    const revisions = [];
    for await (const { revision } of connect(`http://${server.address}`, { protocol }).watch({ afterRevision: 0n })) {
      revisions.push(revision);
      if (revision === 2n) break;
    }
    assert.deepEqual(revisions, [1n, 2n]);
    assert.deepEqual(
      script.watches.map(({ afterRevision }) => afterRevision),
      [0n, 1n],
    );
    await stopped;
  });

  test(`${protocol}: a watch ends with an error that no new connection cures`, async () => {
    const script = new Script();
    const metadata = { after_revision: "1", oldest: "7" };
    script.watching = [
      async function* () {
        yield { revision: 1n };
        fails(Code.OutOfRange, "REVISION_TRIMMED", { metadata })();
      },
    ];
    await using server = await serveHttp(script);
    await assert.rejects(async () => {
      for await (const _ of connect(`http://${server.address}`, { protocol }).watch());
    }, RevisionTrimmedError);
  });
}

test("where nobody listens, a call ends with UNAVAILABLE and names the address", async () => {
  const server = await serveHttp(new Script());
  await server.close();
  const client = connect(`http://${server.address}`, { retry: { initialBackoffMs: 1 } });
  await assert.rejects(client.increment("c"), (error) => {
    assert.ok(error instanceof UnavailableError);
    assert.match(error.message, /^no Tallykeeper server answers at http:\/\/127\.0\.0\.1:\d+: fetch failed/);
    return true;
  });
});

test("a fetch of the caller's own is used", async () => {
  const script = new Script();
  await using server = await serveHttp(script);
  const urls: unknown[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    urls.push(input);
    return globalThis.fetch(input, init);
  };
  await connect(`http://${server.address}`, { fetch }).increment("c");
  assert.deepEqual(urls, [`http://${server.address}/tallykeeper.v1.CounterService/Increment`]);
});

test("an address that is no URL is refused", () => {
  for (const address of ["", "localhost:50080", "ftp://localhost", "https://"]) {
    assert.throws(() => connect(address), { name: "TypeError", message: /is no URL; write https:\/\/HOST:PORT/ });
  }
});
