// The conformance runner of the TypeScript client. ../../README.md describes the protocol.
//
// Its argument is the folder of the client, which must be built. The runner takes what the package exports, and nothing
// else.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const sdk = createRequire(resolve(process.argv[2], "package.json"));
const load = (name) => import(pathToFileURL(sdk.resolve(name)).href);
const { connect, fromJson, newRequestId, TallykeeperError, toJson } = await load("tallykeeper");
const v1 = await load("tallykeeper/v1");

const SERVICES = {
  BatchService: [v1.BatchService, "batches"],
  CounterService: [v1.CounterService, "counters"],
  InventoryService: [v1.InventoryService, "inventory"],
  LedgerService: [v1.LedgerService, "ledger"],
  NamespaceService: [v1.NamespaceService, "namespaces"],
  ServerService: [v1.ServerService, "server"],
  ReservationService: [v1.ReservationService, "reservations"],
};
const MODES = { BATCH_MODE_ATOMIC: "atomic", BATCH_MODE_INDEPENDENT: "independent" };

const clients = new Map();
const watches = new Map();

class InvalidMessageError extends Error {}

const ACTIONS = {
  connect({ client, address, namespace, token, ca_file, cert_file, key_file, timeout_ms, retry }) {
    const tls = ca_file && {
      ca: readFileSync(ca_file),
      cert: cert_file && readFileSync(cert_file),
      key: key_file && readFileSync(key_file),
    };
    const given = { namespace, token, tls, timeoutMs: timeout_ms, retry: retry === false ? false : undefined };
    clients.set(client, connect(address, given));
    return {};
  },

  async call({ client, method, request, timeout_ms, times }) {
    if ((times ?? 1) !== 1) throw new InvalidMessageError(`times is ${times}; a call is made once`);
    const [service, name] = (method ?? "").split(".");
    const [descriptor, property] = SERVICES[service] ?? [];
    const rpc = descriptor?.methods.find((each) => each.name === name && each.methodKind === "unary");
    if (rpc === undefined) throw new InvalidMessageError(`no unary method ${method}`);
    const message = parsed(rpc.input, request);
    const options = timeout_ms === undefined ? {} : { timeoutMs: timeout_ms };
    return json(rpc.output, await clientOf(client)[property][rpc.localName](message, options));
  },

  async batch({ client, operations, mode }) {
    if (MODES[mode] === undefined) throw new InvalidMessageError(`no mode ${mode}`);
    const given = (operations ?? []).map((operation) => parsed(v1.OperationSchema, operation));
    return json(v1.ApplyResponseSchema, await clientOf(client).apply(given, { mode: MODES[mode] }));
  },

  watch({ id, client, request }) {
    const watch = clientOf(client).watch(parsed(v1.WatchRequestSchema, request));
    watches.set(id, { watch, ended: follow(id, watch) });
  },

  async stop({ watch: id }) {
    const found = watches.get(id);
    if (found === undefined) throw new InvalidMessageError(`no watch ${id}`);
    found.watch.close();
    await found.ended;
    return {};
  },

  request_id() {
    return { request_id: newRequestId() };
  },

  close({ client }) {
    clientOf(client).close();
    clients.delete(client);
    return {};
  },
};

const FIELDS = {
  connect: ["client", "address", "namespace", "token", "ca_file", "cert_file", "key_file", "timeout_ms", "retry"],
  call: ["client", "method", "request", "timeout_ms", "times"],
  batch: ["client", "operations", "mode"],
  watch: ["client", "request"],
  stop: ["watch"],
  request_id: [],
  close: ["client"],
};

async function follow(id, watch) {
  try {
    for await (const response of watch) reply(id, { event: json(v1.WatchResponseSchema, response) });
    reply(id, { end: {} });
  } catch (error) {
    reply(id, { error: described(error) });
  }
}

function clientOf(name) {
  const client = clients.get(name);
  if (client === undefined) throw new InvalidMessageError(`no client ${name}`);
  return client;
}

function parsed(schema, json) {
  try {
    return fromJson(schema, json ?? {});
  } catch (error) {
    throw new InvalidMessageError(`the request is no ${schema.typeName}: ${error.message}`);
  }
}

// Errors that are not the client's own are refusals before anything was sent.
function described(error) {
  if (error instanceof InvalidMessageError) return { code: "INVALID_RUNNER_MESSAGE", message: error.message };
  if (!(error instanceof TallykeeperError)) {
    return { code: "INVALID_ARGUMENT", reason: "", message: String(error.message), values: {}, type: error.name };
  }
  const described = {
    code: error.codeName,
    reason: error.reason,
    message: error.message,
    values: error.values,
    type: error.name,
  };
  if (error.shortages) described.shortages = error.shortages.map(shortage);
  if (error.violations) {
    described.field_violations = error.violations.map(({ field, description }) => ({ field, description }));
  }
  if (error.retryAfterMs !== undefined) described.retry_after_ms = error.retryAfterMs;
  return described;
}

function shortage({ item, location, requested, available, backorderLimit, reserved }) {
  const described = { item, location, requested: String(requested), available: String(available) };
  if (backorderLimit !== 0n) described.backorder_limit = String(backorderLimit);
  if (reserved !== 0n) described.reserved = String(reserved);
  return described;
}

function json(schema, message) {
  return toJson(schema, message, { registry: v1.registry });
}

function reply(id, content) {
  process.stdout.write(`${JSON.stringify({ id, ...content })}\n`);
}

async function handle(line) {
  let message = {};
  try {
    message = JSON.parse(line);
    const allowed = FIELDS[message.do];
    if (allowed === undefined) throw new InvalidMessageError(`unknown do: ${message.do}`);
    const unknown = Object.keys(message).filter((key) => !["id", "do", ...allowed].includes(key));
    if (unknown.length > 0) throw new InvalidMessageError(`unknown fields of ${message.do}: ${unknown.join(", ")}`);
    const ok = await ACTIONS[message.do](message);
    if (ok !== undefined) reply(message.id, { ok });
  } catch (error) {
    reply(message.id ?? 0, { error: described(error) });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() !== "") void handle(line);
}
for (const client of clients.values()) client.close();
