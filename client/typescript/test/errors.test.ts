import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import * as classes from "../src/errors.js";
import { plainFailure } from "../src/failure.js";
import { BadRequestSchema, ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { BatchRefusedSchema, OperationResultSchema, ShortagesSchema, type Status, StatusSchema } from "../src/v1.js";
import * as reasons from "../src/reasons.js";
import * as refusals from "../src/refusals.js";
import { REPOSITORY } from "./support/real-server.js";

const errors = { ...classes, ...reasons, ...refusals };
const ADDRESS = "127.0.0.1:50051";

function connectError(code: Code, reason: string, metadata: Record<string, string> = {}, ...details: object[]) {
  const info = { desc: ErrorInfoSchema, value: { reason, domain: "tallykeeper.io", metadata } };
  return new ConnectError("why", code, { "grpc-status": String(code) }, [info, ...(details as never[])]);
}

function thrown(...given: Parameters<typeof connectError>) {
  return errors.errorOfCall(connectError(...given), ADDRESS, "id-1");
}

function statusWith(reason: string, metadata: Record<string, string>): Status {
  const info = create(ErrorInfoSchema, { reason, domain: "tallykeeper.io", metadata });
  return create(StatusSchema, {
    code: Code.FailedPrecondition,
    message: "why",
    details: [anyPack(ErrorInfoSchema, info)],
  });
}

test("an error has the reason and the values of its ErrorInfo, and the request id", () => {
  const error = thrown(Code.NotFound, "COUNTER_NOT_FOUND", { counter: "c" });
  assert.ok(error instanceof errors.CounterNotFoundError);
  assert.ok(error instanceof errors.NotFoundError);
  assert.ok(error instanceof errors.TallykeeperError);
  assert.equal(error.name, "CounterNotFoundError");
  assert.equal(error.message, "why");
  assert.equal(error.codeName, "NOT_FOUND");
  assert.equal(error.reason, "COUNTER_NOT_FOUND");
  assert.deepEqual(error.values, { counter: "c" });
  assert.equal(error.counter, "c");
  assert.equal(error.requestId, "id-1");
});

test("a shortage has its lines with numbers as bigints", () => {
  const value = {
    count: 2,
    shortages: [{ item: "dune", location: "main", requested: 3n, available: 1n, backorderLimit: 1n }],
  };
  const error = thrown(Code.FailedPrecondition, "INSUFFICIENT_STOCK", {}, { desc: ShortagesSchema, value });
  assert.ok(error instanceof errors.InsufficientStockError);
  assert.equal(error.shortageCount, 2);
  assert.deepEqual(
    [error.item, error.location, error.requested, error.available, error.backorderLimit],
    ["dune", "main", 3n, 1n, 1n],
  );
});

test("a commit that exceeds its reservation has its lines", () => {
  const value = { count: 1, shortages: [{ item: "dune", location: "main", requested: 3n, reserved: 2n }] };
  const error = thrown(Code.FailedPrecondition, "COMMIT_EXCEEDS_RESERVED", {}, { desc: ShortagesSchema, value });
  assert.ok(error instanceof errors.CommitExceedsReservedError);
  assert.deepEqual([error.item, error.requested, error.reserved, error.shortageCount], ["dune", 3n, 2n, 1]);
});

test("an error about missing copies without a short line is a plain one", () => {
  const values = { item: "dune", location: "main", requested: "3", available: "1", backorder_limit: "0", reserved: "1" };
  for (const reason of ["INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"]) {
    for (const details of [[], [{ desc: ShortagesSchema, value: { count: 1 } }]]) {
      const error = thrown(Code.FailedPrecondition, reason, values, ...details);
      assert.equal(error.constructor, errors.TallykeeperError);
      assert.equal(error.reason, reason);
    }
  }
});

test("fields that break a rule are listed", () => {
  const value = { fieldViolations: [{ field: "delta", description: "is too large" }] };
  const error = thrown(Code.InvalidArgument, "INVALID_FIELD", {}, { desc: BadRequestSchema, value });
  assert.ok(error instanceof errors.InvalidFieldError);
  assert.deepEqual(
    error.violations.map(({ field, description }) => [field, description]),
    [["delta", "is too large"]],
  );
});

test("a counter that leaves its bounds says which there are", () => {
  const error = thrown(Code.OutOfRange, "COUNTER_BOUND_EXCEEDED", { value: "9", delta: "2", max: "10" });
  assert.ok(error instanceof errors.CounterBoundExceededError);
  assert.deepEqual([error.value, error.delta, error.min, error.max], [9n, 2n, undefined, 10n]);
});

test("a refused batch has the errors of its operations", () => {
  const failed = { index: 3, error: statusWith("ITEM_NOT_FOUND", { item: "dune", location: "main" }) };
  const value = { failedCount: 1, operations: [failed] };
  const error = thrown(Code.NotFound, "BATCH_REFUSED", { failed_count: "1" }, { desc: BatchRefusedSchema, value });
  assert.ok(error instanceof errors.BatchRefusedError);
  assert.equal(error.failedCount, 1);
  assert.equal(error.operations[0]?.index, 3);
  assert.ok(error.operations[0]?.error instanceof errors.ItemNotFoundError);
});

test("the result of an operation is an error, or none", () => {
  const error = statusWith("STOCK_NOT_EMPTY", { item: "dune", location: "main", on_hand: "1", reserved: "0" });
  const failed = create(OperationResultSchema, { result: { case: "error", value: error } });
  assert.ok(errors.errorOfResult(failed) instanceof errors.StockNotEmptyError);
  const applied = create(OperationResultSchema, { result: { case: "increment", value: { revision: 1n } } });
  assert.equal(errors.errorOfResult(applied), undefined);
});

test("an error without the values that its reason promises is a plain one", () => {
  const error = thrown(Code.OutOfRange, "REVISION_TRIMMED", { oldest: "7" });
  assert.equal(error.constructor, errors.TallykeeperError);
  assert.equal(error.reason, "REVISION_TRIMMED");
});

test("a reason that is not known has the class of its code", () => {
  assert.ok(thrown(Code.Unavailable, "SOMETHING_NEW") instanceof errors.UnavailableError);
  assert.ok(thrown(Code.NotFound, "SHELF_NOT_FOUND") instanceof errors.NotFoundError);
});

test("an ErrorInfo of another domain says nothing", () => {
  const info = { desc: ErrorInfoSchema, value: { reason: "INSUFFICIENT_STOCK", domain: "elsewhere.example" } };
  const error = errors.errorOfCall(new ConnectError("why", Code.Aborted, { a: "b" }, [info]), ADDRESS, "");
  assert.equal(error.reason, "");
  assert.deepEqual(error.values, {});
});

test("a connection that breaks is UNAVAILABLE, whatever Connect calls it", () => {
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  for (const error of [
    new ConnectError("read ECONNRESET", Code.Aborted, undefined, undefined, reset),
    new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled),
    new ConnectError("http/2 stream closed with error code INTERNAL_ERROR (0x2)", Code.Internal),
    new ConnectError("Failed to fetch", Code.Unknown, undefined, undefined, new TypeError("Failed to fetch")),
  ]) {
    const failure = errors.errorOfCall(error, ADDRESS, "id-1");
    assert.ok(failure instanceof errors.UnavailableError, error.message);
    assert.match(failure.message, /^no Tallykeeper server answers at 127\.0\.0\.1:50051: /);
    assert.equal(errors.isOfConnection(failure), true);
    assert.equal(failure.requestId, "id-1");
  }
});

test("what a server says is not taken for a broken connection", () => {
  for (const code of [Code.Unknown, Code.Internal, Code.Aborted, Code.Canceled]) {
    const error = errors.errorOfCall(new ConnectError("why", code, { "grpc-status": String(code) }), ADDRESS, "");
    assert.equal(error.code, code);
    assert.equal(errors.isOfConnection(error), false);
  }
});

test("every code has the name that gRPC writes", () => {
  const name = (code: Code): string => errors.errorOf(plainFailure(code, "")).codeName;
  assert.equal(name(Code.Canceled), "CANCELLED");
  assert.equal(name(Code.InvalidArgument), "INVALID_ARGUMENT");
  assert.equal(name(Code.ResourceExhausted), "RESOURCE_EXHAUSTED");
  assert.equal(name(Code.DataLoss), "DATA_LOSS");
});

test("an operation's detail that cannot be decoded is passed over", () => {
  const broken = { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: new Uint8Array([255]) };
  const info = toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "INTERNAL", domain: "tallykeeper.io" }));
  const details = [broken, { typeUrl: broken.typeUrl, value: info }];
  const result = create(OperationResultSchema, {
    result: { case: "error", value: { code: 13, message: "", details } },
  });
  assert.ok(errors.errorOfResult(result) instanceof errors.InternalError);
});

const STATUSES = join(REPOSITORY, "server/tallykeeper_server/rpc/statuses.py");

test("every reason of the server has a class", { skip: existsSync(STATUSES) ? false : "not in the repository" }, () => {
  const table = /^CODES: Final = \{(.*?)^\}/ms.exec(readFileSync(STATUSES, "utf8"))?.[1] ?? "";
  const reasons = [...table.matchAll(/^ {4}"([A-Z_]+)":/gm)].map((found) => found[1]);
  assert.ok(reasons.length > 30);
  assert.deepEqual([...errors.REASONS].sort(), reasons.sort());
});
