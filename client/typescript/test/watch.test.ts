import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, type HandlerContext } from "@connectrpc/connect";
import {
  CancelledError,
  CredentialExpiredError,
  DeadlineExceededError,
  RevisionTrimmedError,
  UnavailableError,
} from "../src/errors.js";
import { connect } from "../src/node.js";
import type { Watch } from "../src/watch.js";
import { fails, Script, serveGrpc, type WatchAnswer } from "./support/fake-server.js";

const entry = (revision: bigint): WatchAnswer => ({ revision, entries: [{ revision }] });

/** Send responses, and then end with an error, or stay open if there is none. */
function sends(responses: WatchAnswer[], ending?: () => never) {
  return async function* (_: unknown, { signal }: HandlerContext): AsyncGenerator<WatchAnswer> {
    yield* responses;
    ending?.();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  };
}

/** Read a watch until it has given a number of responses. */
async function read(watch: Watch, count: number): Promise<bigint[]> {
  const revisions: bigint[] = [];
  for await (const { revision } of watch) {
    revisions.push(revision);
    if (revisions.length === count) break;
  }
  return revisions;
}

for (const [name, ending] of [
  ["UNAVAILABLE", fails(Code.Unavailable, "SHUTTING_DOWN", { metadata: { revision: "2" } })],
  ["CANCELLED that nobody asked for", fails(Code.Canceled, "")],
  [
    "RESOURCE_EXHAUSTED of a slow watcher",
    fails(Code.ResourceExhausted, "WATCHER_TOO_SLOW", { metadata: { revision: "2" } }),
  ],
  ["too many watches", fails(Code.ResourceExhausted, "TOO_MANY_WATCHES")],
] as const) {
  test(`a watch begins anew after its last revision: ${name}`, async () => {
    const script = new Script();
    script.watching = [sends([entry(1n), entry(2n)], ending), sends([entry(3n)])];
    assert.deepEqual(await read(script.client().watch({ afterRevision: 0n }), 3), [1n, 2n, 3n]);
    assert.deepEqual(
      script.watches.map(({ afterRevision }) => afterRevision),
      [0n, 2n],
    );
  });
}

test("a watch whose server is killed begins anew", async () => {
  const script = new Script();
  await using server = await serveGrpc(script);
  script.watching = [sends([entry(1n)]), sends([entry(2n)])];
  const client = connect(server.address);
  const revisions: bigint[] = [];
  for await (const { revision } of client.watch({ afterRevision: 0n })) {
    revisions.push(revision);
    if (revision === 2n) break;
    server.breakConnections();
  }
  assert.deepEqual(revisions, [1n, 2n]);
  assert.deepEqual(
    script.watches.map(({ afterRevision }) => afterRevision),
    [0n, 1n],
  );
  client.close();
});

test("a watch that the server ends without an error begins anew", async () => {
  const script = new Script();
  script.watching = [
    async function* () {
      yield entry(1n);
    },
    sends([entry(2n)]),
  ];
  assert.deepEqual(await read(script.client().watch(), 2), [1n, 2n]);
});

test("a misspelt field or option of a watch is refused at once", () => {
  const client = new Script().client();
  const request = { afterRevison: 5n } as object;
  const message = /no option or field afterRevison; check the spelling: the names are .*afterRevision/;
  assert.throws(() => client.watch(request), { name: "TypeError", message });
  const options = { timeout: 5 } as object;
  assert.throws(() => client.watch({}, options), /no option or field timeout; .* are timeoutMs, signal$/);
});

test("a bookmark moves the revision on, and is not given", async () => {
  const script = new Script();
  const unavailable = fails(Code.Unavailable, "SHUTTING_DOWN", { metadata: { revision: "9" } });
  script.watching = [sends([{ revision: 5n }, { revision: 9n }], unavailable), sends([entry(10n)])];
  const watch = script.client().watch();
  assert.equal(watch.revision, undefined);
  assert.deepEqual(await read(watch, 1), [10n]);
  assert.equal(watch.revision, 10n);
  assert.equal(script.watches[0]!.afterRevision, undefined);
  assert.equal(script.watches[1]!.afterRevision, 9n);
});

test("the first response with levels is given, and the levels are asked for once", async () => {
  const script = new Script();
  const unavailable = fails(Code.Unavailable, "SHUTTING_DOWN", { metadata: { revision: "4" } });
  script.watching = [sends([{ revision: 4n }], unavailable), sends([{ revision: 4n }, entry(5n)])];
  assert.deepEqual(await read(script.client().watch({ includeLevels: true }), 2), [4n, 5n]);
  assert.deepEqual(
    script.watches.map(({ includeLevels }) => includeLevels),
    [true, false],
  );
});

for (const [code, reason, metadata] of [
  [Code.OutOfRange, "REVISION_TRIMMED", { after_revision: "1", oldest: "7" }],
  [Code.OutOfRange, "REVISION_AHEAD", { after_revision: "9", revision: "7" }],
  [Code.DataLoss, "REVISIONS_LOST", { revision: "7" }],
  [Code.PermissionDenied, "PERMISSION_DENIED", { identity: "web", role: "read", namespace: "shop" }],
  [Code.InvalidArgument, "INVALID_FIELD", {}],
  [Code.Unknown, "", {}],
] as const) {
  test(`a watch ends with ${Code[code]} ${reason}`, async () => {
    const script = new Script();
    script.watching = [sends([entry(1n)], fails(code, reason, { metadata })), sends([entry(2n)])];
    await assert.rejects(read(script.client().watch(), 2), { code, reason });
    assert.equal(script.watches.length, 1);
  });
}

test("an error of a watch has its values", async () => {
  const script = new Script();
  const metadata = { after_revision: "1", oldest: "7" };
  script.watching = [sends([], fails(Code.OutOfRange, "REVISION_TRIMMED", { metadata }))];
  const error = await read(script.client().watch(), 1).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof RevisionTrimmedError);
  assert.equal(error.oldest, 7n);
});

test("without retries a watch ends with the first error", async () => {
  const script = new Script();
  script.watching = [sends([entry(1n)], fails(Code.Unavailable, "STORE_UNAVAILABLE")), sends([entry(2n)])];
  await assert.rejects(read(script.client({ retry: false }).watch(), 2), UnavailableError);
});

test("a watch without any response gives up after the deadline", async () => {
  const script = new Script();
  script.watching = [fails(Code.Unavailable, "STORE_UNAVAILABLE")];
  await assert.rejects(read(script.client({ timeoutMs: 50 }).watch(), 1), UnavailableError);
  script.watching = [sends([])];
  await assert.rejects(read(script.client({ timeoutMs: 50 }).watch(), 1), DeadlineExceededError);
});

test("a watch with a response has no deadline, also when it begins anew", async () => {
  const script = new Script();
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));
  script.watching = [
    async function* () {
      yield { revision: 1n };
      await later();
      yield entry(2n);
      fails(Code.Unavailable, "STORE_UNAVAILABLE")();
    },
    async function* () {
      await later();
      yield entry(3n);
    },
  ];
  assert.deepEqual(await read(script.client({ timeoutMs: 30 }).watch(), 2), [2n, 3n]);
});

test("a watch goes on with a new token when one has expired, and ends when that has expired, too", async () => {
  const script = new Script();
  const expired = fails(Code.Unauthenticated, "CREDENTIAL_EXPIRED");
  script.watching = [sends([entry(1n)], expired), sends([entry(2n)], expired), sends([], expired)];
  let asked = 0;
  const client = script.client({ token: () => `token-${(asked += 1)}` });
  await assert.rejects(read(client.watch(), 3), CredentialExpiredError);
  assert.deepEqual(
    script.watches.map(({ afterRevision }) => afterRevision),
    [undefined, 1n, 2n],
  );
  assert.equal(asked, 3);
});

test("leaving the loop ends the stream at the server", async () => {
  const script = new Script();
  const ended = new Promise<void>((resolve) => {
    script.watching = [
      async function* (_, { signal }) {
        yield entry(1n);
        await new Promise((stopped) => signal.addEventListener("abort", stopped));
        resolve();
      },
    ];
  });
  await using server = await serveGrpc(script);
  const client = connect(server.address);
  assert.deepEqual(await read(client.watch(), 1), [1n]);
  await ended;
  client.close();
});

test("close ends the loop without an error, also while the watch waits", async () => {
  const script = new Script();
  script.watching = [sends([entry(1n)])];
  const watch = script.client().watch();
  for await (const _ of watch) setImmediate(() => watch.close());
  assert.equal(watch.revision, 1n);
});

test("a signal and the close of the client end a watch with CANCELLED", async () => {
  const script = new Script();
  script.watching = [sends([entry(1n)])];
  const caller = new AbortController();
  const first = read(script.client().watch({}, { signal: caller.signal }), 2);
  caller.abort();
  await assert.rejects(first, CancelledError);
  const client = script.client();
  const second = read(client.watch(), 2);
  client.close();
  await assert.rejects(second, CancelledError);
});

test("a watch is iterated once", async () => {
  const script = new Script();
  script.watching = [sends([entry(1n)])];
  const watch = script.client().watch();
  await read(watch, 1);
  await assert.rejects(read(watch, 1), /a watch can be iterated once/);
});

test("a stream of the generated client throws the errors of this package", async () => {
  const script = new Script();
  script.watching = [
    sends([entry(1n)], fails(Code.OutOfRange, "REVISION_TRIMMED", { metadata: { after_revision: "1", oldest: "7" } })),
  ];
  const stream = script.client({ namespace: "shop" }).ledger.watch({});
  await assert.rejects(async () => {
    for await (const { revision } of stream) assert.equal(revision, 1n);
  }, RevisionTrimmedError);
  assert.equal(script.watches[0]!.namespace, "shop");
});
