/** The errors of calls: a class for each reason of the contract, with its values as properties. */

import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Failure,
  failureOfCall,
  failureOfOperation,
  type FieldViolation,
  isConnectionFailure,
  plainFailure,
} from "./failure.js";
import type { OperationResult } from "./gen/tallykeeper/v1/batch_pb.js";

/** A failed call. `error.reason` is the word of the contract for what happened. */
export class TallykeeperError extends Error {
  /** The gRPC code. */
  readonly code: Code;
  /** The reason, such as `INSUFFICIENT_STOCK`; empty if the error does not come from a Tallykeeper server. */
  readonly reason: string;
  /** The values that belong to the reason, by the names that the contract gives them. */
  readonly values: Readonly<Record<string, string>>;
  /**
   * The request id that was sent; empty for a read. To learn what became of a mutation whose outcome is unknown, make
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

/** The time was up before there was an answer. The same request id tells what became of a mutation. */
export class DeadlineExceededError extends TallykeeperError {}

/** No server answered, however often the call was sent. The outcome of a mutation is unknown. */
export class UnavailableError extends TallykeeperError {}

/** The server could not reach its store. Nothing was changed. */
export class StoreUnavailableError extends UnavailableError {}

/** The server lost its store in the middle of the change. The same request id tells what became of it. */
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

/** A line of a request that asks for more copies than there are. */
export interface Shortage {
  readonly item: string;
  readonly location: string;
  readonly requested: bigint;
  /** The available copies; 0 in a CommitExceedsReservedError. */
  readonly available: bigint;
  /** The copies that may be taken beyond those available; 0 in a CommitExceedsReservedError. */
  readonly backorderLimit: bigint;
  /** The copies that the reservation holds; 0 in an InsufficientStockError. */
  readonly reserved: bigint;
}

/** A request asks for more copies than there are. Nothing was changed. */
class ShortageError extends TallykeeperError {
  /** The short lines: at least one, and the first 20 or so of many. */
  readonly shortages: readonly Shortage[];
  /** The number of short lines. */
  readonly shortageCount: number;

  constructor(failure: Failure) {
    super(failure);
    const hasDetail = failure.shortages.length > 0;
    this.shortages = hasDetail ? failure.shortages : [shortageOf(failure)];
    this.shortageCount = hasDetail ? failure.shortageCount : Number(failure.values["lines"] ?? 1);
  }

  get item(): string {
    return this.#first.item;
  }

  get location(): string {
    return this.#first.location;
  }

  get requested(): bigint {
    return this.#first.requested;
  }

  get #first(): Shortage {
    return this.shortages[0]!;
  }
}

/** Fewer copies may be taken than were requested. The properties are those of the first short line. */
export class InsufficientStockError extends ShortageError {
  get available(): bigint {
    return this.shortages[0]!.available;
  }

  get backorderLimit(): bigint {
    return this.shortages[0]!.backorderLimit;
  }
}

/** A commit names more copies than the reservation holds. The properties are those of the first such line. */
export class CommitExceedsReservedError extends ShortageError {
  get reserved(): bigint {
    return this.shortages[0]!.reserved;
  }
}

/** A counter, an item or a reservation does not exist. */
export class NotFoundError extends TallykeeperError {}

/** The counter does not exist, or has expired. */
export class CounterNotFoundError extends NotFoundError {
  readonly counter: string;

  constructor(failure: Failure) {
    super(failure);
    this.counter = text(failure, "counter");
  }
}

/** The item has no stock level there. */
export class ItemNotFoundError extends NotFoundError {
  readonly item: string;
  /** The location; undefined if the request was about all locations of the item. */
  readonly location: string | undefined;

  constructor(failure: Failure) {
    super(failure);
    this.item = text(failure, "item");
    this.location = failure.values["location"];
  }
}

/** The reservation does not exist, or ended so long ago that the server has forgotten it. */
export class ReservationNotFoundError extends NotFoundError {
  readonly reservationId: string;

  constructor(failure: Failure) {
    super(failure);
    this.reservationId = text(failure, "reservation_id");
  }
}

/** Another reservation has this id. */
export class ReservationExistsError extends TallykeeperError {
  readonly reservationId: string;

  constructor(failure: Failure) {
    super(failure);
    this.reservationId = text(failure, "reservation_id");
  }
}

/** The reservation has ended. */
export class ReservationEndedError extends TallykeeperError {
  readonly reservationId: string;

  constructor(failure: Failure) {
    super(failure);
    this.reservationId = text(failure, "reservation_id");
  }
}

/** The reservation has ended: its copies were taken. */
export class ReservationCommittedError extends ReservationEndedError {}

/** The reservation has ended: its copies were given back. */
export class ReservationReleasedError extends ReservationEndedError {}

/** The reservation has ended: its time was up, and its copies were given back. */
export class ReservationExpiredError extends ReservationEndedError {}

/** The reservation would live longer, from its beginning, than the server allows. */
export class ReservationLifetimeExceededError extends TallykeeperError {
  readonly reservationId: string;
  readonly lifetimeMs: bigint;
  readonly lifetimeMsMax: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.reservationId = text(failure, "reservation_id");
    this.lifetimeMs = integer(failure, "lifetime_ms");
    this.lifetimeMsMax = integer(failure, "lifetime_ms_max");
  }
}

/** With `onHand` copies and `backorderLimit` more there would be fewer than are `reserved`. */
export class StockBelowReservedError extends TallykeeperError {
  readonly item: string;
  readonly location: string;
  readonly onHand: bigint;
  readonly reserved: bigint;
  readonly backorderLimit: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.item = text(failure, "item");
    this.location = text(failure, "location");
    this.onHand = integer(failure, "on_hand");
    this.reserved = integer(failure, "reserved");
    this.backorderLimit = integer(failure, "backorder_limit");
  }
}

/** The level still has copies on hand or reserved, and cannot be deleted. */
export class StockNotEmptyError extends TallykeeperError {
  readonly item: string;
  readonly location: string;
  readonly onHand: bigint;
  readonly reserved: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.item = text(failure, "item");
    this.location = text(failure, "location");
    this.onHand = integer(failure, "on_hand");
    this.reserved = integer(failure, "reserved");
  }
}

/**
 * The counter would leave its bounds. Nothing was changed.
 *
 * After an increment, `value` is the counter's own, and `delta` is what it could not take. After a set or a new
 * configuration, `value` is the one outside of the bounds, and `delta` is undefined.
 */
export class CounterBoundExceededError extends TallykeeperError {
  readonly value: bigint;
  readonly delta: bigint | undefined;
  readonly min: bigint | undefined;
  readonly max: bigint | undefined;

  constructor(failure: Failure) {
    super(failure);
    this.value = integer(failure, "value");
    this.delta = integerIfAny(failure, "delta");
    this.min = integerIfAny(failure, "min");
    this.max = integerIfAny(failure, "max");
  }
}

/** The result would leave -(2^53-1) .. 2^53-1. Nothing was changed. */
export class ValueOverflowError extends TallykeeperError {}

/** The value is `actual`, and not `expected`. Nothing was changed. */
export class ValueChangedError extends TallykeeperError {
  readonly actual: bigint;
  readonly expected: bigint;

  constructor(failure: Failure) {
    super(failure);
    this.actual = integer(failure, "actual");
    this.expected = integer(failure, "expected");
  }
}

/** Operations of an atomic batch failed, and nothing was changed. The code is that of the first one. */
export class BatchRefusedError extends TallykeeperError {
  /** The number of operations that failed. */
  readonly failedCount: number;
  /** The first operations that failed, up to 20: each with its index in the batch and its error. */
  readonly operations: readonly { readonly index: number; readonly error: TallykeeperError }[];

  constructor(failure: Failure) {
    super(failure);
    this.failedCount = Number(integer(failure, "failed_count"));
    this.operations = failure.failedOperations.map((failed) => ({
      index: failed.index,
      error: errorOf(failed.failure),
    }));
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

/** The level is stored as something that the server did not write. `values` names it. */
export class LevelDamagedError extends TallykeeperError {}

/** A defect of the server, which has logged it. */
export class InternalError extends TallykeeperError {}

type ErrorClass = new (failure: Failure) => TallykeeperError;

/** The class of each reason of the contract. */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  BATCH_REFUSED: BatchRefusedError,
  BATCH_TOO_LARGE: BatchTooLargeError,
  COMMIT_EXCEEDS_RESERVED: CommitExceedsReservedError,
  COUNTER_BOUND_EXCEEDED: CounterBoundExceededError,
  COUNTER_NOT_FOUND: CounterNotFoundError,
  CREDENTIAL_EXPIRED: CredentialExpiredError,
  CREDENTIAL_INVALID: CredentialInvalidError,
  CREDENTIAL_MISSING: CredentialMissingError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  INSUFFICIENT_STOCK: InsufficientStockError,
  INTERNAL: InternalError,
  INVALID_FIELD: InvalidFieldError,
  ITEM_NOT_FOUND: ItemNotFoundError,
  LEVEL_DAMAGED: LevelDamagedError,
  NOT_DURABLE_YET: NotDurableYetError,
  OUTCOME_UNKNOWN: OutcomeUnknownError,
  OVERLOADED: OverloadedError,
  PAGE_TOKEN_INVALID: PageTokenInvalidError,
  PERMISSION_DENIED: PermissionDeniedError,
  RATE_LIMITED: RateLimitedError,
  REQUEST_ID_REUSED: RequestIdReusedError,
  REQUEST_TOO_LARGE: RequestTooLargeError,
  RESERVATION_COMMITTED: ReservationCommittedError,
  RESERVATION_EXISTS: ReservationExistsError,
  RESERVATION_EXPIRED: ReservationExpiredError,
  RESERVATION_LIFETIME_EXCEEDED: ReservationLifetimeExceededError,
  RESERVATION_NOT_FOUND: ReservationNotFoundError,
  RESERVATION_RELEASED: ReservationReleasedError,
  REVISIONS_LOST: RevisionsLostError,
  REVISION_AHEAD: RevisionAheadError,
  REVISION_TRIMMED: RevisionTrimmedError,
  SHUTTING_DOWN: ShuttingDownError,
  STOCK_BELOW_RESERVED: StockBelowReservedError,
  STOCK_NOT_EMPTY: StockNotEmptyError,
  STORE_OUT_OF_MEMORY: StoreOutOfMemoryError,
  STORE_UNAVAILABLE: StoreUnavailableError,
  TOO_MANY_WATCHES: TooManyWatchesError,
  VALUE_CHANGED: ValueChangedError,
  VALUE_OVERFLOW: ValueOverflowError,
  WATCHER_TOO_SLOW: WatcherTooSlowError,
};

/** The class of a code, for errors whose reason has none. */
const CLASSES_OF_CODES: Partial<Record<Code, ErrorClass>> = {
  [Code.Canceled]: CancelledError,
  [Code.DeadlineExceeded]: DeadlineExceededError,
  [Code.NotFound]: NotFoundError,
  [Code.Unauthenticated]: UnauthenticatedError,
  [Code.Unavailable]: UnavailableError,
};

/** The reasons that have a class. */
export const REASONS: readonly string[] = Object.keys(CLASSES);

/** Make the error of a failure: a plain one if values that its reason promises are missing. */
export function errorOf(failure: Failure): TallykeeperError {
  const ErrorOfReason = CLASSES[failure.reason] ?? CLASSES_OF_CODES[failure.code] ?? TallykeeperError;
  try {
    return new ErrorOfReason(failure);
  } catch {
    return new TallykeeperError(failure);
  }
}

/** Make the error of anything that a call to the server at an address has thrown. */
export function errorOfCall(thrown: unknown, address: string, requestId: string): TallykeeperError {
  if (thrown instanceof TallykeeperError) return thrown;
  return errorOf(failureOfCall(ConnectError.from(thrown), address, requestId));
}

/**
 * Return the error that an operation's own call would have thrown; undefined if the operation did not fail.
 *
 * `requestId` is the id that the error names: that of the batch.
 */
export function errorOfResult(result: OperationResult, requestId = ""): TallykeeperError | undefined {
  if (result.result.case !== "error") return undefined;
  return errorOf(failureOfOperation(result.result.value, requestId));
}

/** Tell whether an error means that no status came from a server. */
export function isOfConnection(error: TallykeeperError): boolean {
  return error.cause instanceof ConnectError && isConnectionFailure(error.cause);
}

/** Make the error of a call that its caller ended. */
export function cancelled(requestId: string, reason: unknown): CancelledError {
  const why = reason instanceof Error && reason.name !== "AbortError" ? `: ${reason.message}` : "";
  return new CancelledError(plainFailure(Code.Canceled, `the call was cancelled${why}`, requestId, reason));
}

function text(failure: Failure, name: string): string {
  const value = failure.values[name];
  if (value === undefined) throw new TypeError(`the error has no value ${name}`);
  return value;
}

function integer(failure: Failure, name: string): bigint {
  return BigInt(text(failure, name));
}

function integerIfAny(failure: Failure, name: string): bigint | undefined {
  return name in failure.values ? integer(failure, name) : undefined;
}

/** Read the first short line from the values, for an error that has no tallykeeper.v1.Shortages. */
function shortageOf(failure: Failure): Shortage {
  return {
    item: text(failure, "item"),
    location: text(failure, "location"),
    requested: integer(failure, "requested"),
    available: integerIfAny(failure, "available") ?? 0n,
    backorderLimit: integerIfAny(failure, "backorder_limit") ?? 0n,
    reserved: integerIfAny(failure, "reserved") ?? 0n,
  };
}
