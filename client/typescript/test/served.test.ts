import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as errors from "../src/node.js";
import { connect, errorOfResult, operations, type TallykeeperClient } from "../src/node.js";
import { OperationKind, ReservationState } from "../src/v1.js";
import { freshNamespace, NO_SERVER, RealServer } from "./support/real-server.js";

const real = NO_SERVER === undefined || process.env["TALLYKEEPER_TEST_SERVER"] ? {} : { skip: NO_SERVER };

let server: RealServer;

before(async () => {
  if (real.skip === undefined) server = await RealServer.shared();
});

after(async () => {
  if (real.skip === undefined) await server.stop();
});

/** Run a test with a client of a namespace that nothing else uses. */
function served(name: string, body: (client: TallykeeperClient) => Promise<void>): void {
  test(name, real, async () => {
    const client = connect(server.address, { namespace: freshNamespace(), timeoutMs: 30_000 });
    try {
      await body(client);
    } finally {
      client.close();
    }
  });
}

served("a counter is incremented, set and read", async (client) => {
  const { counter, revision, replayed } = await client.increment("visitors", {
    delta: 5,
    create: { max: 10, ttlMs: 60_000 },
  });
  assert.deepEqual([counter.value, counter.max, revision, replayed], [5n, 10n, 1n, false]);
  assert.notEqual(counter.expireTime, undefined);
  assert.equal((await client.setCounter("visitors", 7n, { expectedValue: 5 })).counter.value, 7n);
  const read = await client.getCounter("visitors", { minRevision: 2 });
  assert.deepEqual([read.counter.value, read.revision], [7n, 2n]);
  await assert.rejects(client.increment("visitors", { delta: 4 }), (error) => {
    assert.ok(error instanceof errors.CounterBoundExceededError);
    assert.deepEqual([error.value, error.delta, error.max], [7n, 4n, 10n]);
    return true;
  });
  await assert.rejects(client.setCounter("visitors", 1, { expectedValue: 5 }), {
    name: "ValueChangedError",
    actual: 7n,
  });
  await assert.rejects(client.getCounter("nobody"), { name: "CounterNotFoundError", counter: "nobody" });
});

served("a retry with the same request id counts once", async (client) => {
  const requestId = "order-4711";
  const first = await client.increment("sold", { requestId });
  const second = await client.increment("sold", { requestId });
  assert.deepEqual([first.replayed, second.replayed, second.counter.value], [false, true, 1n]);
  await assert.rejects(client.increment("sold", { requestId, delta: 2 }), { name: "RequestIdReusedError", requestId });
});

served("copies are taken until there are too few, and returned", async (client) => {
  await client.setStock("dune", 3);
  const { copiesTaken, stockLevel } = await client.takeCopies("dune", { copies: 2 });
  assert.deepEqual([copiesTaken, stockLevel.available], [2n, 1n]);
  await assert.rejects(client.takeCopies("dune", { copies: 2 }), (error) => {
    assert.ok(error instanceof errors.InsufficientStockError);
    assert.deepEqual([error.item, error.location, error.requested, error.available], ["dune", "main", 2n, 1n]);
    assert.equal(error.shortages.length, 1);
    return true;
  });
  assert.equal((await client.takeCopies("dune", { copies: 2, takeAvailable: true })).copiesTaken, 1n);
  assert.equal((await client.returnCopies("dune", { copies: 5, location: "shop" })).stockLevel.onHand, 5n);
  assert.equal((await client.getStock("dune", { location: "shop" })).stockLevel.available, 5n);
  await assert.rejects(client.takeCopies("emma"), { name: "ItemNotFoundError", item: "emma", location: "main" });
});

served("copies are reserved, held for longer, committed in part and released", async (client) => {
  await client.setStock("dune", 9);
  const lines = [{ item: "dune", copies: 3 }];
  const { reservation } = await client.reserve(lines, { holder: "ada", ttlMs: 60_000, reservationId: "basket-1" });
  assert.deepEqual([reservation.reservationId, reservation.state], ["basket-1", ReservationState.ACTIVE]);
  const longer = await client.extend("basket-1", { ttlMs: 3_600_000 });
  assert.ok(longer.reservation.expireTime!.seconds > reservation.expireTime!.seconds);
  await assert.rejects(client.commit("basket-1", { lines: [{ item: "dune", copies: 4 }] }), (error) => {
    assert.ok(error instanceof errors.CommitExceedsReservedError);
    assert.deepEqual([error.requested, error.reserved], [4n, 3n]);
    return true;
  });
  await client.commit("basket-1", { lines: [{ item: "dune" }] });
  assert.equal((await client.getReservation("basket-1")).reservation.lines[0]!.copiesCommitted, 1n);
  await assert.rejects(client.release("basket-1"), { name: "ReservationCommittedError", reservationId: "basket-1" });
  await client.reserve(lines, { reservationId: "basket-2" });
  await client.release("basket-2", { reason: "changed mind" });
  assert.equal((await client.getStock("dune")).stockLevel.available, 8n);
});

served("an atomic batch is applied as a whole, or not at all", async (client) => {
  const { results, failedCount } = await client.apply(
    [
      operations.setStock("dune", 2),
      operations.takeCopies("dune"),
      operations.increment("sold"),
      operations.setCounter("x", 1),
    ],
    { mode: "atomic", requestId: "batch-1", reason: "sale" },
  );
  assert.equal(failedCount, 0);
  assert.deepEqual(
    results.map(({ result }) => result.case),
    ["setStock", "decrementCopies", "increment", "setCounter"],
  );
  const refused = client.apply([operations.increment("sold"), operations.takeCopies("dune", { copies: 2 })], {
    mode: "atomic",
  });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof errors.BatchRefusedError);
    assert.equal(error.operations[0]!.index, 1);
    assert.ok(error.operations[0]!.error instanceof errors.InsufficientStockError);
    return true;
  });
  assert.equal((await client.getCounter("sold")).counter.value, 1n);
});

served("an independent batch reports the outcome of each operation", async (client) => {
  const given = [
    operations.returnCopies("dune"),
    operations.takeCopies("emma"),
    operations.reserve([{ item: "dune" }], { reservationId: "r" }),
  ];
  const { results } = await client.apply(
    [...given, operations.extend("r"), operations.release("r"), operations.commit("r")],
    { mode: "independent" },
  );
  const names = results.map((result) => errorOfResult(result)?.name ?? "applied");
  assert.deepEqual(names, [
    "applied",
    "ItemNotFoundError",
    "applied",
    "applied",
    "applied",
    "ReservationReleasedError",
  ]);
});

served("every RPC takes its generated message", async (client) => {
  await client.counters.configureCounter({ counter: "c", max: 3n, updateMask: { paths: ["max"] } });
  await client.inventory.moveCopies({ item: "dune", toLocation: "shop" }).catch((error: unknown) => {
    assert.ok(error instanceof errors.ItemNotFoundError);
  });
  const { namespace } = await client.namespaces.getNamespace({});
  assert.equal(namespace!.revision, 1n);
  let last;
  for await (const { response } of client.ledger.verifyNamespace({})) last = response;
  assert.equal(last?.case, "result");
});

served("the ledger is listed over all pages", async (client) => {
  for (let number = 0; number < 5; number += 1) await client.increment("c");
  await client.setStock("dune", 1);
  const revisions = [];
  for await (const { revision } of client.listEntries({ pageSize: 2, operation: OperationKind.INCREMENT }))
    revisions.push(revision);
  assert.deepEqual(revisions, [1n, 2n, 3n, 4n, 5n]);
});

served("a watch gives the levels, and then what changes", async (client) => {
  await client.setStock("dune", 3);
  const watch = client.watch({ items: ["dune"], includeLevels: true });
  const seen: (readonly [string, bigint])[] = [];
  for await (const { stockLevels, entries } of watch) {
    for (const level of stockLevels) seen.push(["level", level.onHand]);
    for (const { lines } of entries) {
      for (const { change } of lines) if (change.case === "stock") seen.push(["change", change.value.onHandChange]);
    }
    if (seen.length === 1) await client.takeCopies("dune");
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, [
    ["level", 3n],
    ["change", -1n],
  ]);
  assert.equal(watch.revision, 2n);
});

served("a field that breaks a rule is named, and nothing is changed", async (client) => {
  await assert.rejects(client.takeCopies("dune", { copies: 0, location: "-" }), (error) => {
    assert.ok(error instanceof errors.InvalidFieldError);
    assert.deepEqual(error.violations.map(({ field }) => field).sort(), ["copies", "location"]);
    return true;
  });
});

test(
  "a server that is killed and starts again at its port is bridged, and nothing is counted twice",
  real,
  async (context) => {
    if (NO_SERVER !== undefined) return context.skip(NO_SERVER);
    const first = await RealServer.start();
    context.after(() => first.stop());
    const client = connect(first.address, { namespace: freshNamespace(), timeoutMs: 60_000 });
    context.after(() => client.close());
    const seen: bigint[] = [];
    const watch = client.watch({ afterRevision: 0n });
    const watching = (async () => {
      for await (const { entries } of watch) {
        seen.push(...entries.map(({ revision }) => revision));
        if (seen.length >= 40) break;
      }
    })();
    const before = Array.from({ length: 20 }, () => client.increment("sold"));
    const restarted = first.killAndRestart();
    const later = Array.from({ length: 20 }, () => client.increment("sold"));
    await Promise.all([...before, ...later, restarted]);
    assert.equal((await client.getCounter("sold")).counter.value, 40n);
    await watching;
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, index) => BigInt(index + 1)),
    );
  },
);
