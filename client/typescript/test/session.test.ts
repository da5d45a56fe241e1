import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  CancelledError,
  CredentialExpiredError,
  DeadlineExceededError,
  InvalidFieldError,
  OutcomeUnknownError,
  RateLimitedError,
  StoreUnavailableError,
  TallykeeperError,
} from "../src/errors.js";
import { type Failure, plainFailure } from "../src/failure.js";
import { connect } from "../src/node.js";
import { errorOf } from "../src/reasons.js";
import { NO_RETRIES, pauseBeforeRetry, RETRY_POLICY } from "../src/retries.js";
import { IncrementRequestSchema } from "../src/v1.js";
import { fails, Script, serveGrpc } from "./support/fake-server.js";

const QUICK = { initialBackoffMs: 1, maxBackoffMs: 1 };
const answers = (): { counter: { value: bigint }; revision: bigint } => ({ counter: { value: 1n }, revision: 1n });

function failure(code: Code, others: Partial<Failure> = {}): TallykeeperError {
  return errorOf({ ...plainFailure(code, "why"), ...others });
}

test("each mutation has a fresh request id, and the namespace of the client", async () => {
  const script = new Script();
  const client = script.client({ namespace: "shop" });
  await client.increment("c");
  await client.increment("c");
  const [first, second] = script.requests;
  assert.match(first!.requestId, /^[0-9a-f-]{36}$/);
  assert.notEqual(first!.requestId, second!.requestId);
  assert.equal(first!.namespace, "shop");
});

test("a request keeps the request id and the namespace that it names", async () => {
  const script = new Script();
  const client = script.client({ namespace: "shop" });
  await client.increment("c", { requestId: "mine", namespace: "other", reason: "why", reference: "order-1", delta: 2 });
  const [request] = script.requests;
  assert.deepEqual(
    [request!.requestId, request!.namespace, request!.reason, request!.reference, request!.delta],
    ["mine", "other", "why", "order-1", 2n],
  );
});

test("the message of the caller stays as it is", async () => {
  const script = new Script();
  const request = create(IncrementRequestSchema, { counter: "c" });
  await script.client({ namespace: "shop" }).counters.increment(request);
  assert.deepEqual([request.requestId, request.namespace], ["", ""]);
  assert.notEqual(script.requests[0]!.requestId, "");
});

test("all attempts of a call have one request id", async () => {
  const script = new Script();
  script.increments = [
    fails(Code.Unavailable, "STORE_UNAVAILABLE"),
    fails(Code.Unavailable, "OUTCOME_UNKNOWN"),
    fails(Code.Unavailable, "NOT_DURABLE_YET"),
    answers,
  ];
  await script.client({ retry: QUICK }).increment("c");
  assert.equal(script.requests.length, 4);
  assert.equal(new Set(script.requests.map(({ requestId }) => requestId)).size, 1);
});

test("a call is sent five times at most, and its last error names the request id", async () => {
  const script = new Script();
  script.increments = [fails(Code.Unavailable, "OUTCOME_UNKNOWN")];
  const error = await script
    .client({ retry: QUICK })
    .increment("c")
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof OutcomeUnknownError);
  assert.equal(script.requests.length, 5);
  assert.equal(error.requestId, script.requests[0]!.requestId);
});

test("without retries a call is sent once", async () => {
  const script = new Script();
  script.increments = [fails(Code.Unavailable, "STORE_UNAVAILABLE")];
  await assert.rejects(script.client({ retry: false }).increment("c"), StoreUnavailableError);
  assert.equal(script.requests.length, 1);
});

for (const [code, reason] of [
  [Code.Unknown, "OUTCOME_UNKNOWN"],
  [Code.Unknown, "NOT_DURABLE_YET"],
  [Code.Internal, "INTERNAL"],
  [Code.Aborted, "VALUE_CHANGED"],
  [Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
  [Code.InvalidArgument, "REQUEST_ID_REUSED"],
  [Code.ResourceExhausted, "RATE_LIMITED"],
] as const) {
  test(`${Code[code]} with the reason ${reason} is not repeated`, async () => {
    const script = new Script();
    script.increments = [fails(code, reason)];
    await assert.rejects(script.client({ retry: QUICK }).increment("c"), { code, reason });
    assert.equal(script.requests.length, 1);
  });
}

test("RESOURCE_EXHAUSTED is repeated when the server says", async () => {
  const script = new Script();
  script.increments = [fails(Code.ResourceExhausted, "RATE_LIMITED", { retryAfterMs: 1 }), answers];
  await script.client().increment("c");
  assert.equal(script.requests.length, 2);
});

test("the pushback of the server counts for more than the policy", async () => {
  const script = new Script();
  const pushback = fails(Code.ResourceExhausted, "OVERLOADED", { headers: { "grpc-retry-pushback-ms": "1" } });
  script.increments = [pushback, answers];
  await script.client().increment("c");
  assert.equal(script.requests.length, 2);
});

for (const pushback of ["-1", "never"]) {
  test(`a pushback of ${pushback} forbids a repeat`, async () => {
    const script = new Script();
    const headers = { "grpc-retry-pushback-ms": pushback };
    script.increments = [fails(Code.Unavailable, "STORE_UNAVAILABLE", { retryAfterMs: 1, headers })];
    await assert.rejects(script.client({ retry: QUICK }).increment("c"), StoreUnavailableError);
    assert.equal(script.requests.length, 1);
  });
}

test("a pause that is longer than the rest of the deadline ends the call at once", async () => {
  const script = new Script();
  script.increments = [fails(Code.ResourceExhausted, "RATE_LIMITED", { retryAfterMs: 60_000 })];
  const error = await script
    .client()
    .increment("c")
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof RateLimitedError);
  assert.equal(error.retryAfterMs, 60_000);
  assert.equal(script.requests.length, 1);
});

test("the pauses grow as the policy says, and differ by a fifth", () => {
  const error = failure(Code.Unavailable);
  const pauses = (draw: number) =>
    [1, 2, 3, 4, 5].map((attempt) => pauseBeforeRetry(error, attempt, RETRY_POLICY, () => draw));
  assert.deepEqual(pauses(0.5), [200, 500, 1_250, 3_125, undefined]);
  assert.deepEqual(
    pauses(0).map((ms) => ms && Math.round(ms)),
    [160, 400, 1_000, 2_500, undefined],
  );
  assert.deepEqual(
    pauses(1).map((ms) => ms && Math.round(ms)),
    [240, 600, 1_500, 3_750, undefined],
  );
  assert.equal(pauseBeforeRetry(error, 1, NO_RETRIES), undefined);
  assert.equal(
    pauseBeforeRetry(failure(Code.Unavailable, { retryAfterMs: 900 }), 1, RETRY_POLICY, () => 0.5),
    900,
  );
});

test("the deadline ends a call without an answer", async () => {
  const script = new Script();
  script.increments = [(_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject))];
  const error = await script
    .client({ timeoutMs: 20 })
    .increment("c")
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof DeadlineExceededError);
  assert.equal(error.message, "no answer from the script before the deadline");
  assert.equal(error.requestId, script.requests[0]!.requestId);
  assert.equal(script.requests.length, 1);
});

test("a call tells the server how much time it has left", async () => {
  const script = new Script();
  script.increments = [fails(Code.Unavailable, "STORE_UNAVAILABLE"), answers];
  await script.client({ retry: { initialBackoffMs: 50 } }).increment("c", { timeoutMs: 3_000 });
  const [first, second] = script.headers.map((headers) => Number(headers.get("connect-timeout-ms")));
  assert.ok(first! <= 3_000 && first! > 0);
  assert.ok(second! < first!, `${second} of ${first} ms are left`);
});

test("a caller can cancel a call, also between two attempts", async () => {
  const script = new Script();
  const caller = new AbortController();
  script.increments = [
    () => {
      setImmediate(() => caller.abort());
      return fails(Code.Unavailable, "STORE_UNAVAILABLE")();
    },
  ];
  const client = script.client({ retry: { initialBackoffMs: 60_000, maxBackoffMs: 60_000 }, timeoutMs: 0 });
  const error = await client.increment("c", { signal: caller.signal }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CancelledError);
  assert.equal(script.requests.length, 1);
});

test("a client that is closed ends its calls, and makes no others", async () => {
  const script = new Script();
  script.increments = [(_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject))];
  const client = script.client();
  const call = client.increment("c");
  client.close();
  await assert.rejects(call, { name: "CancelledError", message: "the call was cancelled: the client is closed" });
  await assert.rejects(client.increment("c"), CancelledError);
});

test("a hundred calls and watches together bring no warning about listeners", async (context) => {
  const script = new Script();
  script.watching = [
    async function* () {
      yield { revision: 1n, entries: [{ revision: 1n }] };
    },
  ];
  await using server = await serveGrpc(script);
  const client = connect(server.address);
  const warnings: Error[] = [];
  const note = (warning: Error): number => warnings.push(warning);
  process.on("warning", note);
  context.after(() => process.off("warning", note));
  const watching = Array.from({ length: 50 }, async () => {
    for await (const _ of client.watch()) break;
  });
  await Promise.all([...watching, ...Array.from({ length: 50 }, () => client.increment("c"))]);
  client.close();
  await new Promise(setImmediate);
  assert.deepEqual(warnings, []);
});

test("what cannot be encoded is refused before it is sent", async () => {
  const script = new Script();
  await assert.rejects(
    script.client().counters.increment({ counter: "c", delta: 2n ** 70n }),
    /IncrementRequest.delta/,
  );
  assert.equal(script.requests.length, 0);
});

test("a token goes with every call", async () => {
  const script = new Script();
  await script.client({ token: "tk.web.secret" }).increment("c");
  await script.client({ token: async () => "from-a-function" }).increment("c");
  await script.client().increment("c");
  assert.deepEqual(
    script.headers.map((headers) => headers.get("authorization")),
    ["Bearer tk.web.secret", "Bearer from-a-function", null],
  );
});

test("a function gives a new token when one has expired, and the call goes on with the same request id", async () => {
  const script = new Script();
  script.increments = [answers, fails(Code.Unauthenticated, "CREDENTIAL_EXPIRED"), answers];
  let asked = 0;
  const client = script.client({ token: () => `token-${(asked += 1)}` });
  await client.increment("c");
  await client.increment("c");
  await client.increment("c");
  assert.deepEqual(
    script.headers.map((headers) => headers.get("authorization")),
    ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"],
  );
  assert.equal(script.requests[1]!.requestId, script.requests[2]!.requestId);
});

test("calls that find a token expired together ask for one new token", async () => {
  const script = new Script();
  const isOld = (headers: Headers): boolean => headers.get("authorization") === "Bearer token-1";
  script.increments = [
    (_, { requestHeader }) => (isOld(requestHeader) ? fails(Code.Unauthenticated, "CREDENTIAL_EXPIRED")() : answers()),
  ];
  let asked = 0;
  const client = script.client({ token: async () => `token-${(asked += 1)}` });
  await Promise.all(Array.from({ length: 10 }, () => client.increment("c")));
  assert.equal(asked, 2);
});

test("a new token that has expired as well is an error", async () => {
  const script = new Script();
  script.increments = [fails(Code.Unauthenticated, "CREDENTIAL_EXPIRED")];
  let asked = 0;
  const client = script.client({ token: () => `token-${(asked += 1)}`, retry: QUICK });
  await assert.rejects(client.increment("c"), CredentialExpiredError);
  assert.equal(asked, 2);
  await assert.rejects(script.client({ token: "static" }).increment("c"), CredentialExpiredError);
  assert.equal(script.requests.length, 3);
});

test("an error of the function for tokens comes to the caller, and the next call asks again", async () => {
  const script = new Script();
  const tokens: (() => string)[] = [
    () => {
      throw new RangeError("no token today");
    },
    () => "good",
  ];
  const client = script.client({ token: () => tokens.shift()!() });
  await assert.rejects(client.increment("c"), new RangeError("no token today"));
  await client.increment("c");
  assert.equal(script.headers[0]!.get("authorization"), "Bearer good");
});

test("an error of a field is of its class", async () => {
  const script = new Script();
  script.increments = [
    fails(Code.InvalidArgument, "INVALID_FIELD", { metadata: { field: "counter", violations: "1" } }),
  ];
  await assert.rejects(script.client().increment(""), InvalidFieldError);
});
