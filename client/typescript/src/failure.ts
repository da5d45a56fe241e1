/** Reads the contents of a failed call or of a failed operation of a batch, for the classes in `errors.ts`. */

import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { BatchRefusedSchema, type Status } from "./gen/tallykeeper/v1/batch_pb.js";
import { type Shortage, ShortagesSchema } from "./gen/tallykeeper/v1/inventory_pb.js";

const DOMAIN = "tallykeeper.io";
const PUSHBACK = "grpc-retry-pushback-ms";

/** A field of a request, by its path, and the rule that it breaks. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** A failed call with all that the server said, before it is an error of a class. */
export interface Failure {
  readonly code: Code;
  /** The reason of the contract, such as `INSUFFICIENT_STOCK`; empty if the server gave none. */
  readonly reason: string;
  readonly message: string;
  /** The values that belong to the reason, by name. */
  readonly values: Readonly<Record<string, string>>;
  /** The request id that was sent; empty for a read. */
  readonly requestId: string;
  /** The milliseconds after which the server asks to send the request again. */
  readonly retryAfterMs?: number;
  /** True if the server forbids a repeat. */
  readonly isFinal?: boolean;
  readonly fieldViolations: readonly FieldViolation[];
  readonly shortages: readonly Shortage[];
  /** The number of short lines, of which `shortages` has the first ones. */
  readonly shortageCount: number;
  readonly failedOperations: readonly { readonly index: number; readonly failure: Failure }[];
  readonly cause?: unknown;
}

/** Return a failure without details, which the client itself found. */
export function plainFailure(code: Code, message: string, requestId = "", cause?: unknown): Failure {
  return {
    code,
    message,
    requestId,
    cause,
    reason: "",
    values: {},
    fieldViolations: [],
    shortages: [],
    shortageCount: 0,
    failedOperations: [],
  };
}

/** Read the error of a call to the server at an address. */
export function failureOfCall(error: ConnectError, address: string, requestId: string): Failure {
  const failure = failureOfDetails(error, error.code, error.rawMessage, requestId, error);
  if (failure.reason === "") {
    if (isConnectionFailure(error)) {
      const message = `no Tallykeeper server answers at ${address}: ${error.rawMessage}`;
      return plainFailure(Code.Unavailable, message, requestId, error);
    }
    const message =
      error.code === Code.DeadlineExceeded ? `no answer from ${address} before the deadline` : failure.message;
    return withPushback({ ...failure, message }, error);
  }
  return withPushback(failure, error);
}

/** Read the error of an operation of a batch. */
export function failureOfOperation(error: Status, requestId: string): Failure {
  return failureOfDetails(error, error.code as Code, error.message, requestId);
}

/**
 * Tell whether a call failed because its connection could not be made or broke, so that the server gave no status.
 *
 * A status of the server or of a proxy comes with headers. What Connect itself finds has none: a stream that was reset
 * has the code Canceled or Internal there, a socket that was closed has Aborted, and a failed `fetch` has Unknown.
 */
export function isConnectionFailure(error: ConnectError): boolean {
  if (error.details.length > 0 || !error.metadata.keys().next().done) return false;
  switch (error.code) {
    case Code.Unavailable:
    case Code.Aborted:
    case Code.Canceled:
      return true;
    case Code.Internal:
    case Code.Unknown:
      return hasSystemCause(error) || error.rawMessage.startsWith("http/2 stream closed");
    default:
      return false;
  }
}

/** Node.js gives each error of a socket a code; `fetch` of a browser fails with a TypeError. */
function hasSystemCause(error: ConnectError): boolean {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof TypeError || "code" in cause) return true;
  }
  return false;
}

type Detailed = ConnectError | Status;

function failureOfDetails(source: Detailed, code: Code, message: string, requestId: string, cause?: unknown): Failure {
  const plain = plainFailure(code, message, requestId, cause);
  const info = detailOf(source, ErrorInfoSchema);
  if (info?.domain !== DOMAIN) return plain;
  const shortages = detailOf(source, ShortagesSchema);
  const delay = detailOf(source, RetryInfoSchema)?.retryDelay;
  return {
    ...plain,
    reason: info.reason,
    values: info.metadata,
    ...(delay === undefined ? {} : { retryAfterMs: durationMs(delay) }),
    fieldViolations: detailOf(source, BadRequestSchema)?.fieldViolations ?? [],
    shortages: shortages?.shortages ?? [],
    shortageCount: shortages?.count ?? 0,
    failedOperations: (detailOf(source, BatchRefusedSchema)?.operations ?? []).flatMap(({ index, error }) =>
      error === undefined ? [] : [{ index, failure: failureOfOperation(error, requestId) }],
    ),
  };
}

/** Find the detail of one type; undefined if the error has none, or it cannot be decoded. */
function detailOf<Desc extends DescMessage>(source: Detailed, schema: Desc): MessageShape<Desc> | undefined {
  if (source instanceof ConnectError) return source.findDetails(schema)[0];
  for (const packed of source.details) {
    try {
      const detail = anyUnpack(packed, schema);
      if (detail !== undefined) return detail;
    } catch {
      // A detail whose bytes are not a message is ignored. The other details may still be readable.
    }
  }
  return undefined;
}

/** Add the meaning of `grpc-retry-pushback-ms` (gRFC A6): a delay; or no repeat, if it is negative or not a number. */
function withPushback(failure: Failure, error: ConnectError): Failure {
  const pushback = error.metadata.get(PUSHBACK);
  if (pushback === null) return failure;
  return /^\d+$/.test(pushback) ? { ...failure, retryAfterMs: Number(pushback) } : { ...failure, isFinal: true };
}

/** Return a value that the reason promises. @throws TypeError if the error does not have it. */
export function text(failure: Failure, name: string): string {
  const value = failure.values[name];
  if (value === undefined) throw new TypeError(`the error has no value ${name}`);
  return value;
}

/** Return a value as the integer that it is. */
export function integer(failure: Failure, name: string): bigint {
  return BigInt(text(failure, name));
}

/** Return a value as the integer that it is; undefined if the error does not have it. */
export function integerIfAny(failure: Failure, name: string): bigint | undefined {
  return name in failure.values ? integer(failure, name) : undefined;
}
