/**
 * The first act of the demo: three copies are sold, the fourth sale is refused, and a retry counts once.
 *
 * Run it against `make run` with `npm start`, or name another server: `npm start -- HOST:PORT`.
 */

import { connect, InsufficientStockError, newRequestId } from "tallykeeper";

const address = process.argv[2] ?? process.env["TALLYKEEPER_ADDRESS"] ?? "127.0.0.1:50051";
// A fresh namespace, so that the example can run twice.
const client = connect(address, { namespace: `example-${newRequestId()}` });

await client.setStock("dune", 3);

for (let sold = 1; sold <= 4; sold += 1) {
  try {
    const { stockLevel } = await client.takeCopies("dune", { reason: "sale" });
    console.log(`sold ${sold} of 3, ${stockLevel.available} left`);
  } catch (error) {
    // Each reason of the contract has a class, with its values as properties.
    if (!(error instanceof InsufficientStockError)) throw error;
    console.log(`sold out: ${error.reason}, ${error.available} available`);
  }
}

// The client gives each change a fresh request id. A program that must repeat a change after a crash keeps the id.
const requestId = newRequestId();
await client.increment("visitors", { requestId });
const { counter, replayed } = await client.increment("visitors", { requestId });
console.log(`retried with the same request id: counter ${counter.value}, replayed ${replayed}`);

client.close();
