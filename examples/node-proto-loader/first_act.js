// The first act of the demo with @grpc/grpc-js and @grpc/proto-loader, without the Tallykeeper client:
// three copies are sold, the fourth sale is refused, and a retry counts once.
//
// Run it against `make run` with `npm ci && npm start`, or name another server: `npm start -- HOST:PORT`.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const address = process.argv[2] ?? process.env.TALLYKEEPER_ADDRESS ?? "127.0.0.1:50051";
// A fresh namespace, so that the example can run twice.
const namespace = `example-${randomUUID()}`;

// keepCase matters most. Without it, proto-loader wants requestId, and drops request_id without an error: the server
// then knows no retry, and a retry sells twice.
const LOADER_OPTIONS = {
  keepCase: true, // The names of the protos: request_id, on_hand.
  longs: String, // A number of JavaScript would be rounded beyond 2^53-1.
  enums: String,
  defaults: true, // A field of a response that is 0, false or empty is there.
  oneofs: true, // A line of the ledger says in `change` which of its fields is set.
  includeDirs: ["../../protos", "../../client/typescript/protos"].map((folder) =>
    fileURLToPath(new URL(folder, import.meta.url)),
  ),
};

// gRPC itself repeats a call with the same bytes, and so with the same request_id, while the server is away or has too
// much to do. It is the policy of client/service_config.json.
const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: [{}],
      waitForReady: true,
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.2s",
        maxBackoff: "5s",
        backoffMultiplier: 2.5,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"],
      },
    },
    { name: [{ service: "tallykeeper.v1.LedgerService", method: "Watch" }] },
  ],
};

const FILES = ["tallykeeper/v1/counter.proto", "tallykeeper/v1/inventory.proto", "tallykeeper/v1/batch.proto"];
const definition = loadSync([...FILES, "google/rpc/error_details.proto"], LOADER_OPTIONS);
const { tallykeeper } = grpc.loadPackageDefinition(definition);
const channel = new grpc.Channel(address, grpc.credentials.createInsecure(), {
  "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
  "grpc.max_reconnect_backoff_ms": 1_000, // By default up to two minutes.
});
const client = (Service) => new Service(address, grpc.credentials.createInsecure(), { channelOverride: channel });
const counters = client(tallykeeper.v1.CounterService);
const inventory = client(tallykeeper.v1.InventoryService);

// Calls a method and returns its response. Each mutation has a request_id: a fresh one if the request has none.
function call(stub, method, request) {
  const message = { namespace, request_id: randomUUID(), ...request };
  return new Promise((resolve, reject) => {
    stub[method](message, { deadline: Date.now() + 5_000 }, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}

// Returns the detail of a type from an error; undefined if it has none.
function detail(error, type) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (bytes === undefined) return undefined;
  // tallykeeper.v1.Status has the bytes of google.rpc.Status.
  const { details } = definition["tallykeeper.v1.Status"].deserialize(bytes);
  const packed = details.find(({ type_url }) => type_url.endsWith(`/${type}`));
  return packed && definition[type].deserialize(packed.value);
}

await call(inventory, "SetStock", { item: "dune", on_hand: 3 });

for (let sold = 1; sold <= 4; sold += 1) {
  try {
    const { stock_level } = await call(inventory, "DecrementCopies", { item: "dune", reason: "sale" });
    console.log(`sold ${sold} of 3, ${stock_level.available} left`);
  } catch (error) {
    const { reason } = detail(error, "google.rpc.ErrorInfo") ?? {};
    if (reason !== "INSUFFICIENT_STOCK") throw error;
    const { shortages } = detail(error, "tallykeeper.v1.Shortages");
    console.log(`sold out: ${reason}, ${shortages[0].available} available`);
  }
}

const request_id = randomUUID();
await call(counters, "Increment", { counter: "visitors", request_id });
const { counter, replayed } = await call(counters, "Increment", { counter: "visitors", request_id });
console.log(`retried with the same request id: counter ${counter.value}, replayed ${replayed}`);

channel.close();
