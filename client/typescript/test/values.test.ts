import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { urlOf } from "../src/address.js";
import { checkFields } from "../src/names.js";
import { integerOf, optionalInteger } from "../src/numbers.js";
import { newRequestId, RETRY_POLICY } from "../src/exports.js";
import * as operations from "../src/operations.js";
import { connect } from "../src/node.js";
import { Closing, linkSignals } from "../src/signals.js";
import {
  ApplyRequestSchema,
  ConfigureCounterRequestSchema,
  OperationSchema,
  ReserveRequestSchema,
  StockLineSchema,
} from "../src/v1.js";

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
  assert.throws(() => connect("127.0.0.1:50051", tls), /no option or field tls\.caFile; check the spelling/);
  const retry = { retry: { attempts: 3 } } as object;
  assert.throws(() => connect("127.0.0.1:50051", retry), /no option or field retry\.attempts; .* maxAttempts, /);
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

const ATOMIC = { mode: "atomic" };
const operation = (operation: object): object => ({ operation });

// What TypeScript refuses at once, JavaScript would pass over: each of these changed something else than it says.
const MISTAKES: Record<string, [(client: any) => Promise<unknown>, RegExp]> = {
  "an option that is misspelt": [(c) => c.increment("c", { request_id: "mine" }), /no option or field request_id;/],
  "a field that is misspelt": [(c) => c.counters.increment({ counter: "c", request_id: "mine" }), /field request_id;/],
  "an option of a read": [
    (c) => c.getCounter("c", { minRev: 1 }),
    /no option or field minRev; check the spelling: the names are minRevision, namespace, timeoutMs, signal$/,
  ],
  "a location of a counter": [(c) => c.getCounter("c", { location: "x" }), /no option or field location;/],
  "a location of a reservation": [(c) => c.getReservation("r", { location: "x" }), /no option or field location;/],
  "an option of a read of stock": [
    (c) => c.getStock("dune", { locaton: "x" }),
    /no option or field locaton; check the spelling: the names are location, minRevision, /,
  ],
  "an option of a list": [
    (c) => c.listEntries({}, { timeout: 5 }).next(),
    /no option or field timeout; check the spelling: the names are timeoutMs, signal$/,
  ],
  "a filter of a list": [(c) => c.listEntries({ itms: ["dune"] }).next(), /no option or field itms;/],
  "an option of a batch": [(c) => c.apply([], { mode: "atomic", requestID: "mine" }), /no option or field requestID;/],
  "an option of a new counter": [(c) => c.increment("c", { create: { ttl: 5 } }), /no option or field create\.ttl;/],
  "a line": [(c) => c.reserve([{ item: "a" }, { item: "b", quantity: 2 }]), /no option or field lines\[1\]\.quantity;/],
  "a field of a line": [
    (c) => c.reservations.reserve({ lines: [{ item: "dune" }, { item: "dune", quantity: 5 }] }),
    /no option or field lines\[1\]\.quantity; check the spelling: the names are item, location, copies$/,
  ],
  "a field of a message": [
    (c) => c.counters.increment({ counter: "c", create: { maxx: 5 } }),
    /no option or field create\.maxx; check the spelling: the names are ttl, min, max$/,
  ],
  "a field of a field mask": [
    (c) => c.counters.configureCounter({ counter: "c", updateMask: { path: ["min"] } }),
    /no option or field updateMask\.path; check the spelling: the names are paths$/,
  ],
  "a field of a duration": [
    (c) => c.reservations.extend({ reservationId: "r", ttl: { second: 5n } }),
    /no option or field ttl\.second; check the spelling: the names are seconds, nanos$/,
  ],
  "a field that a message was given": [
    (c) => c.reservations.reserve({ lines: [Object.assign(create(StockLineSchema), { quantity: 5 })] }),
    /no option or field lines\[0\]\.quantity;/,
  ],
  "a field of an operation": [
    (c) => c.apply([operation({ case: "moveCopies", value: { item: "dune", toLocaton: "shop" } })], ATOMIC),
    /no option or field operations\[0\]\.operation\.value\.toLocaton; .* fromLocation, toLocation, copies$/,
  ],
  "the case of an operation": [
    (c) => c.apply([operation({ case: "movCopies", value: { item: "dune" } })], ATOMIC),
    /operations\[0\]\.operation\.case is "movCopies"; it must be one of increment, .* moveCopies, /,
  ],
  "the value of an operation": [
    (c) => c.apply([operation({ case: "increment", valu: { counter: "c" } })], ATOMIC),
    /no option or field operations\[0\]\.operation\.valu; check the spelling: the names are case, value$/,
  ],
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

test("fields of every kind are taken, as plain objects and as messages", () => {
  checkFields(ConfigureCounterRequestSchema, { min: 1n, updateMask: { paths: ["min"] }, ttl: { nanos: 1 } });
  checkFields(ConfigureCounterRequestSchema, create(ConfigureCounterRequestSchema, { ttl: { seconds: 1n } }));
  checkFields(ReserveRequestSchema, { lines: [create(StockLineSchema, { item: "dune" }), { item: "emma" }] });
  checkFields(ReserveRequestSchema, { lines: undefined, ttl: null });
  checkFields(OperationSchema, create(OperationSchema, operations.increment("c", { create: { ttlMs: 5 } })));
  const none = { operation: { case: undefined } };
  checkFields(ApplyRequestSchema, { operations: [operations.reserve([{ item: "dune" }]), none] });
});

test("a field in a map is refused with its key", () => {
  checkFields(StructSchema, { fields: { a: { kind: { case: "numberValue", value: 1 } } } });
  const misspelt = { fields: { a: { kinds: {} } } };
  assert.throws(() => checkFields(StructSchema, misspelt), /no option or field fields\[a\]\.kinds;/);
});

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
