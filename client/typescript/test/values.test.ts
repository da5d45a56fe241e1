import assert from "node:assert/strict";
import { test } from "node:test";
import { urlOf } from "../src/address.js";
import { integerOf, optionalInteger } from "../src/numbers.js";
import { newRequestId, RETRY_POLICY } from "../src/exports.js";
import * as operations from "../src/operations.js";
import { connect } from "../src/node.js";
import { Closing, linkSignals } from "../src/signals.js";

test("a number and a bigint become the same integer", () => {
  assert.equal(integerOf("delta", -7), -7n);
  assert.equal(integerOf("delta", -7n), -7n);
  assert.equal(integerOf("delta", Number.MAX_SAFE_INTEGER), 2n ** 53n - 1n);
});

for (const value of [1.5, NaN, Infinity, 2 ** 53, -(2 ** 53), 2n ** 53n, -(2n ** 53n)]) {
  test(`the number ${value} is refused with the name of its field`, () => {
    assert.throws(
      () => integerOf("copies", value),
      new RangeError(`copies is ${value}; it must be an integer from -(2^53-1) to 2^53-1`),
    );
  });
}

test("a number that is absent is no field", () => {
  assert.deepEqual(optionalInteger("delta", undefined), {});
  assert.deepEqual(optionalInteger("delta", 0), { delta: 0n });
});

test("request ids are UUIDs of version 4, and differ", () => {
  const ids = new Set(Array.from({ length: 1_000 }, newRequestId));
  assert.equal(ids.size, 1_000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("an address becomes a URL", () => {
  assert.equal(urlOf("127.0.0.1:50051", false), "http://127.0.0.1:50051");
  assert.equal(urlOf("stock.example.com:443", true), "https://stock.example.com:443");
  assert.equal(urlOf("[::1]:50051", false), "http://[::1]:50051");
});

for (const address of [
  "",
  "localhost",
  ":50051",
  "localhost:",
  "localhost:0",
  "localhost:65536",
  "a b:1",
  "::1:50051",
]) {
  test(`the address ${JSON.stringify(address)} is refused`, () => {
    assert.throws(() => urlOf(address, false), {
      name: "TypeError",
      message: /is not HOST:PORT, such as 127.0.0.1:50051/,
    });
  });
}

test("an address that is a URL is refused", () => {
  assert.throws(() => connect("http://127.0.0.1:50051"), /is a URL; write HOST:PORT/);
});

test("a token that no header can hold is refused", () => {
  for (const token of ["", "two words", "naïve", "line\n"]) {
    assert.throws(() => connect("127.0.0.1:50051", { token }), /the token must be printable ASCII/);
  }
});

test("a certificate without its key is refused", () => {
  assert.throws(() => connect("127.0.0.1:50051", { tls: { cert: "…" } }), /mutual TLS takes both/);
});

test("an option of a client that is misspelt is refused", () => {
  const timeout = { timeout: 100 } as object;
  assert.throws(() => connect("127.0.0.1:50051", timeout), /no option or field timeout; check the spelling/);
  const tls = { tls: { caFile: "ca.pem" } } as object;
  assert.throws(() => connect("127.0.0.1:50051", tls), /no option or field caFile; check the spelling/);
});

test("a timeout that is no number of milliseconds is refused", async () => {
  assert.throws(() => connect("127.0.0.1:50051", { timeoutMs: -1 }), /timeoutMs is -1/);
  const client = connect("127.0.0.1:50051");
  await assert.rejects(client.increment("c", { timeoutMs: NaN }), /timeoutMs is NaN/);
  client.close();
});

test("the types of operations leave the request id to the batch", () => {
  // @ts-expect-error -- the batch has it
  operations.increment("c", { requestId: "mine" });
  assert.deepEqual(operations.takeCopies("dune", { copies: 2, reason: "sale" }).operation, {
    case: "decrementCopies",
    value: {
      namespace: "",
      requestId: "",
      reason: "sale",
      reference: "",
      item: "dune",
      location: "",
      copies: 2n,
      shortagePolicy: 1,
    },
  });
});

// What TypeScript refuses at once, JavaScript would pass over: each of these changed something else than it says.
const MISTAKES: Record<string, [(client: any) => Promise<unknown>, RegExp]> = {
  "an option that is misspelt": [(c) => c.increment("c", { request_id: "mine" }), /no option or field request_id;/],
  "a field that is misspelt": [(c) => c.counters.increment({ counter: "c", request_id: "mine" }), /field request_id;/],
  "an option of a read": [(c) => c.getCounter("c", { minRev: 1 }), /no option or field minRev;/],
  "an option of a batch": [(c) => c.apply([], { mode: "atomic", requestID: "mine" }), /no option or field requestID;/],
  "an option of a new counter": [(c) => c.increment("c", { create: { ttl: 5 } }), /no option or field ttl;/],
  "a line": [(c) => c.reserve([{ item: "dune", quantity: 2 }]), /no option or field quantity;/],
  "a mode": [(c) => c.apply([], { mode: "ATOMIC" }), /mode is "ATOMIC"; it must be "atomic" or "independent"/],
  "no mode": [(c) => c.apply([], {}), /mode is undefined; it must be/],
  "half of a surrogate pair": [(c) => c.increment("\ud800"), /counter is "\\ud800"; it must be Unicode/],
  "half of one in a line": [(c) => c.reserve([{ item: "\udfff" }]), /lines\.0\.item is "\\udfff"; it must be Unicode/],
};
for (const [name, [call, message]] of Object.entries(MISTAKES)) {
  test(`${name} is refused before anything is sent`, async () => {
    const client = connect("127.0.0.1:1");
    await assert.rejects(call(client), message);
    client.close();
  });
}

test("a linked signal follows its source and its client, and lets go of them", () => {
  const source = new AbortController();
  const linked = linkSignals(source.signal, new Closing());
  const released = linkSignals(source.signal, new Closing());
  released.release();
  source.abort("why");
  assert.equal(linked.signal.reason, "why");
  assert.equal(released.signal.aborted, false);
  assert.equal(linkSignals(source.signal).signal.reason, "why");

  const closing = new Closing();
  const open = linkSignals(undefined, closing);
  const ended = linkSignals(undefined, closing);
  ended.release();
  const reason = new Error("closed");
  closing.close(reason);
  assert.equal(open.signal.reason, reason);
  assert.equal(ended.signal.aborted, false);
  assert.equal(linkSignals(undefined, closing).signal.reason, reason);
});

test("the policy bridges four seconds, also with the shortest pauses", () => {
  const { maxAttempts, initialBackoffMs, backoffMultiplier, maxBackoffMs } = RETRY_POLICY;
  let bridged = 0;
  for (let pause = 0; pause < maxAttempts - 1; pause += 1) {
    bridged += 0.8 * Math.min(initialBackoffMs * backoffMultiplier ** pause, maxBackoffMs);
  }
  assert.ok(bridged > 4_000, `${bridged} ms`);
});
