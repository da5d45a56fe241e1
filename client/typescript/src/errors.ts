/** The errors of calls, batches and watches: a class for each reason, with its values as properties. */

import { Code } from "@connectrpc/connect";
import { type Failure, type FieldViolation, integer, integerIfAny, text } from "./failure.js";

/** A failed call. `error.reason` is the word of the contract for what happened. */
export class TallykeeperError extends Error {
  /** The gRPC code. */
  readonly code: Code;
  /** The reason, such as `INSUFFICIENT_STOCK`; empty if the error does not come from a Tallykeeper server. */
  readonly reason: string;
  /** The values that belong to the reason, by the names that the contract gives them. */
  readonly values: Readonly<Record<string, string>>;
  /**
   * The request id that was sent; empty for a read. To learn the outcome of a mutation after an unknown result, make
   * the same call with this id again.
   */
  readonly requestId: string;
  /** The milliseconds after which the server asks to send the request again; undefined if it does not ask. */
  readonly retryAfterMs: number | undefined;
  /** True if the server forbids to send the request again as it is. */
  readonly isFinal: boolean;

  constructor(failure: Failure) {
    super(failure.message, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.name = new.target.name;
    this.code = failure.code;
    this.reason = failure.reason;
    this.values = failure.values;
    this.requestId = failure.requestId;
    this.retryAfterMs = failure.retryAfterMs;
    this.isFinal = failure.isFinal ?? false;
  }

  /** The name of the code as gRPC writes it, such as `FAILED_PRECONDITION`. */
  get codeName(): string {
    if (this.code === Code.Canceled) return "CANCELLED";
    return (Code[this.code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  }
}

/** The caller cancelled the call, or closed the client. The outcome of a mutation is unknown. */
export class CancelledError extends TallykeeperError {}

/** The deadline passed before the answer. A repeat with the same request id gets the outcome of a mutation. */
export class DeadlineExceededError extends TallykeeperError {}

/** No server answered, however often the call was sent. The outcome of a mutation is unknown. */
export class UnavailableError extends TallykeeperError {}

/** The server could not reach its store. Nothing was changed. */
export class StoreUnavailableError extends UnavailableError {}

/** The server lost its store during the change. A repeat with the same request id gets the outcome. */
export class OutcomeUnknownError extends UnavailableError {}

/** The change was made, but it is not yet as durable as the server promises. The same request id waits once more. */
export class NotDurableYetError extends UnavailableError {}

/** The server stops, and its watches end; `revision` is the last that the watch was sent. */
export class ShuttingDownError extends UnavailableError {
  readonly revision: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.revision = integer(failure, "revision");
  }
}

/** Fields of the request break a rule. Nothing was changed. */
export class InvalidFieldError extends TallykeeperError {
  /** The fields, each with its rule: the first 20. */
  readonly violations: readonly FieldViolation[];

  constructor(failure: Failure) {
    super(failure);
    this.violations = failure.fieldViolations;
  }
}

/** The page token does not belong to this listing. Begin again without one. */
export class PageTokenInvalidError extends InvalidFieldError {}

/** The request id came before with another request. Nothing was changed. */
export class RequestIdReusedError extends TallykeeperError {}

/** The server asks who calls, and got no credential that it knows. Nothing was changed. */
export class UnauthenticatedError extends TallykeeperError {}

/** The call had neither a token nor a certificate that names its caller. */
export class CredentialMissingError extends UnauthenticatedError {}

/** The server does not know the credential. */
export class CredentialInvalidError extends UnauthenticatedError {}

/** The credential has expired. A token that is a function was called again before this error is thrown. */
export class CredentialExpiredError extends UnauthenticatedError {}

/** The caller, known to the server as `identity`, lacks a role in a namespace. Nothing was changed. */
export class PermissionDeniedError extends TallykeeperError {
  readonly identity: string;
  readonly role: string;
  readonly namespace: string;

  constructor(failure: Failure) {
    super(failure);
    this.identity = text(failure, "identity");
    this.role = text(failure, "role");
    this.namespace = text(failure, "namespace");
  }
}

/** The caller calls more often than it may. Nothing was changed. */
export class RateLimitedError extends TallykeeperError {}

/** Too many calls wait at the server. Nothing was changed. */
export class OverloadedError extends TallykeeperError {}

/** The store has no memory left for changes. Nothing was changed. */
export class StoreOutOfMemoryError extends TallykeeperError {}

/** The server has no room for another watch. */
export class TooManyWatchesError extends TallykeeperError {}

/** The request has `size` bytes, and the server takes `limit`. Nothing was changed. */
export class RequestTooLargeError extends TallykeeperError {
  readonly size: bigint;
  readonly limit: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.size = integer(failure, "size");
    this.limit = integer(failure, "limit");
  }
}

/** An operation of a batch that failed: its index, where 0 is the first, and its error. */
export interface FailedOperation {
  readonly index: number;
  readonly error: TallykeeperError;
}

/** Operations of an atomic batch failed, and nothing was changed. The code is that of the first one. */
export class BatchRefusedError extends TallykeeperError {
  /** The number of operations that failed. */
  readonly failedCount: number;
  /** The first operations that failed, up to 20. */
  readonly operations: readonly FailedOperation[];

  constructor(failure: Failure, operations: readonly FailedOperation[]) {
    super(failure);
    this.failedCount = Number(integer(failure, "failed_count"));
    this.operations = operations;
  }
}

/** The batch has more operations or more lines than the server takes. Nothing was changed. */
export class BatchTooLargeError extends TallykeeperError {
  readonly operations: bigint;
  readonly operationsMax: bigint;
  readonly lines: bigint;
  readonly linesMax: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.operations = integer(failure, "operations");
    this.operationsMax = integer(failure, "operations_max");
    this.lines = integer(failure, "lines");
    this.linesMax = integer(failure, "lines_max");
  }
}

/** The ledger has dropped entries after the revision that was asked for; `oldest` is the first that it has. */
export class RevisionTrimmedError extends TallykeeperError {
  readonly afterRevision: bigint;
  readonly oldest: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.afterRevision = integer(failure, "after_revision");
    this.oldest = integer(failure, "oldest");
  }
}

/** The namespace is at `revision`, before the one that was asked for, or it has lost changes with its store. */
export class RevisionAheadError extends TallykeeperError {
  readonly revision: bigint;
  /** The revision that a watch asked for; undefined for a read. */
  readonly afterRevision: bigint | undefined;
  /** The revision that a read asked for; undefined for a watch. */
  readonly minRevision: bigint | undefined;

  constructor(failure: Failure) {
    super(failure);
    this.revision = integer(failure, "revision");
    this.afterRevision = integerIfAny(failure, "after_revision");
    this.minRevision = integerIfAny(failure, "min_revision");
  }
}

/** The store lost entries that the watch may have given, up to `revision`. Read the levels and watch again. */
export class RevisionsLostError extends TallykeeperError {
  readonly revision: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.revision = integer(failure, "revision");
  }
}

/** The watcher did not read as fast as changes came; `revision` is the last that it was sent. */
export class WatcherTooSlowError extends TallykeeperError {
  readonly revision: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.revision = integer(failure, "revision");
  }
}

/** The stored text of the level was not written by the server. `values` names the level. */
export class LevelDamagedError extends TallykeeperError {}

/** A defect of the server, which has logged it. */
export class InternalError extends TallykeeperError {}
