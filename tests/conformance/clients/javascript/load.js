// The load of grpc-js: see clients/__init__.py.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const COUNTER = "calls";
const ITEM = "copies";
const CALL_MS = 30_000;
const WATCH_PAUSE_MS = 100;

const text = { type: "string" };
const names = ["target", "namespace", "callers", "service-config", "protos", "ca", "certificate", "key"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, text])) });
const files = ["counter", "inventory", "ledger"].map((name) => `tallykeeper/v1/${name}.proto`);
const definition = loadSync(files, { includeDirs: [options.protos], longs: Number, keepCase: true });
const api = grpc.loadPackageDefinition(definition).tallykeeper.v1;
const namespace = options.namespace;
const tally = { calls: 0, increments: 0, copies: 0, retried: null, watched_revision: 0, watched_entries: 0, resumed: 0 };
const errors = new Map();
let revision = 0;
let stopping = false;
let stopped = false;

function fail(code, message) {
  const key = JSON.stringify([code, message]);
  errors.set(key, (errors.get(key) ?? 0) + 1);
}

function credentials() {
  if (options.ca === undefined) return grpc.credentials.createInsecure();
  const key = options.key && readFileSync(options.key);
  const certificate = options.certificate && readFileSync(options.certificate);
  return grpc.credentials.createSsl(readFileSync(options.ca), key, certificate);
}

// Returns the clients of one channel with its own connections. By default, all channels share connections.
function clients(channelOptions) {
  const own = { "grpc.use_local_subchannel_pool": 1, ...channelOptions };
  const channel = new grpc.Channel(options.target, credentials(), own);
  const made = (Service) => new Service(options.target, credentials(), { channelOverride: channel });
  return { counter: made(api.CounterService), inventory: made(api.InventoryService), ledger: made(api.LedgerService) };
}

// Calls and returns the response, or undefined after an error, which it records.
function answered(client, method, request, metadata) {
  tally.calls += 1;
  return new Promise((resolve) => {
    client[method](request, metadata, { deadline: Date.now() + CALL_MS }, (error, response) => {
      if (error) fail(grpc.status[error.code], error.details);
      resolve(error ? undefined : response);
    });
  });
}

// Adds and reads until the load stops.
async function call({ counter, inventory }, caller, metadata) {
  let seen = 0;
  for (let number = 1; !stopping; number += 1) {
    const request_id = `${caller}-${number}`;
    const incremented = await answered(counter, "Increment", { namespace, request_id, counter: COUNTER }, metadata);
    if (incremented) {
      tally.increments += 1;
      revision = Math.max(revision, incremented.revision);
      seen = Math.max(seen, incremented.counter.value);
    }
    const addition = { namespace, request_id: `${request_id}-copies`, item: ITEM };
    const added = await answered(inventory, "IncrementCopies", addition, metadata);
    if (added) {
      tally.copies += 1;
      revision = Math.max(revision, added.revision);
    }
    const read = await answered(counter, "GetCounter", { namespace, counter: COUNTER }, metadata);
    if (read) {
      if (read.counter.value < seen) fail("STALE", "a read has missed an acknowledged change");
      seen = Math.max(seen, read.counter.value);
    }
  }
}

// Follows the ledger from its beginning until all callers have ended and their last change has come.
async function watch({ ledger }) {
  while (!(stopped && tally.watched_revision >= revision)) {
    const error = await follow(ledger);
    if (error?.code === grpc.status.UNAVAILABLE) tally.resumed += 1;
    else if (error) fail(`watch: ${grpc.status[error.code]}`, error.details);
    await pause(WATCH_PAUSE_MS);
  }
}

function follow(ledger) {
  return new Promise((resolve) => {
    const responses = ledger.Watch({ namespace, after_revision: tally.watched_revision });
    const ending = setInterval(() => {
      if (stopped && tally.watched_revision >= revision) end(undefined);
    }, WATCH_PAUSE_MS);
    function end(error) {
      clearInterval(ending);
      resolve(error);
      responses.cancel();
    }
    responses.on("data", ({ entries = [] }) => {
      for (const entry of entries) {
        tally.watched_entries += 1;
        if (entry.revision !== tally.watched_revision + 1) fail("WATCH", "a revision was missed or came twice");
        tally.watched_revision = entry.revision;
      }
    });
    responses.on("error", end);
    responses.on("end", () => end({ code: grpc.status.UNKNOWN, details: "the watch has ended without an error" }));
  });
}

const retrying = clients({ "grpc.service_config": options["service-config"] });
const patient = clients({});
const waiting = new grpc.Metadata({ waitForReady: true });
const watching = watch(retrying);
const calling = [];
for (let caller = 0; caller < Number(options.callers); caller += 1) {
  calling.push(call(retrying, `retrying-${caller}`, new grpc.Metadata()));
  calling.push(call(patient, `patient-${caller}`, waiting));
}
console.log("ready");
for await (const _ of process.stdin);
stopping = true;
await Promise.all(calling);
stopped = true;
const late = pause(CALL_MS).then(() => fail("WATCH", "the watch has not come to the last revision"));
await Promise.race([watching, late]);
const failures = [...errors].map(([key, count]) => ({ code: JSON.parse(key)[0], message: JSON.parse(key)[1], count }));
console.log(JSON.stringify({ ...tally, errors: failures }));
process.exit(0);
