/** Makes an error of the right class of each failure. */

import { Code, ConnectError } from "@connectrpc/connect";
import * as errors from "./errors.js";
import { BatchRefusedError, CancelledError, TallykeeperError } from "./errors.js";
import { type Failure, failureOfCall, failureOfOperation, isConnectionFailure, plainFailure } from "./failure.js";
import type { OperationResult } from "./gen/tallykeeper/v1/batch_pb.js";
import * as refusals from "./refusals.js";

type ErrorClass = new (failure: Failure) => TallykeeperError;

/** The class of each reason of the contract, except BATCH_REFUSED. */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  BATCH_TOO_LARGE: errors.BatchTooLargeError,
  COMMIT_EXCEEDS_RESERVED: refusals.CommitExceedsReservedError,
  COUNTER_BOUND_EXCEEDED: refusals.CounterBoundExceededError,
  COUNTER_NOT_FOUND: refusals.CounterNotFoundError,
  CREDENTIAL_EXPIRED: errors.CredentialExpiredError,
  CREDENTIAL_INVALID: errors.CredentialInvalidError,
  CREDENTIAL_MISSING: errors.CredentialMissingError,
  DEADLINE_EXCEEDED: errors.DeadlineExceededError,
  INSUFFICIENT_STOCK: refusals.InsufficientStockError,
  INTERNAL: errors.InternalError,
  INVALID_FIELD: errors.InvalidFieldError,
  ITEM_NOT_FOUND: refusals.ItemNotFoundError,
  LEVEL_DAMAGED: errors.LevelDamagedError,
  NOT_DURABLE_YET: errors.NotDurableYetError,
  OUTCOME_UNKNOWN: errors.OutcomeUnknownError,
  OVERLOADED: errors.OverloadedError,
  PAGE_TOKEN_INVALID: errors.PageTokenInvalidError,
  PERMISSION_DENIED: errors.PermissionDeniedError,
  RATE_LIMITED: errors.RateLimitedError,
  REQUEST_ID_REUSED: errors.RequestIdReusedError,
  REQUEST_TOO_LARGE: errors.RequestTooLargeError,
  RESERVATION_COMMITTED: refusals.ReservationCommittedError,
  RESERVATION_EXISTS: refusals.ReservationExistsError,
  RESERVATION_EXPIRED: refusals.ReservationExpiredError,
  RESERVATION_LIFETIME_EXCEEDED: refusals.ReservationLifetimeExceededError,
  RESERVATION_NOT_FOUND: refusals.ReservationNotFoundError,
  RESERVATION_RELEASED: refusals.ReservationReleasedError,
  REVISIONS_LOST: errors.RevisionsLostError,
  REVISION_AHEAD: errors.RevisionAheadError,
  REVISION_TRIMMED: errors.RevisionTrimmedError,
  SHUTTING_DOWN: errors.ShuttingDownError,
  STOCK_BELOW_RESERVED: refusals.StockBelowReservedError,
  STOCK_NOT_EMPTY: refusals.StockNotEmptyError,
  STORE_OUT_OF_MEMORY: errors.StoreOutOfMemoryError,
  STORE_UNAVAILABLE: errors.StoreUnavailableError,
  TOO_MANY_WATCHES: errors.TooManyWatchesError,
  VALUE_CHANGED: refusals.ValueChangedError,
  VALUE_OVERFLOW: refusals.ValueOverflowError,
  WATCHER_TOO_SLOW: errors.WatcherTooSlowError,
};

/** The class of a code, for errors whose reason has none. */
const CLASSES_OF_CODES: Partial<Record<Code, ErrorClass>> = {
  [Code.Canceled]: CancelledError,
  [Code.DeadlineExceeded]: errors.DeadlineExceededError,
  [Code.NotFound]: refusals.NotFoundError,
  [Code.Unauthenticated]: errors.UnauthenticatedError,
  [Code.Unavailable]: errors.UnavailableError,
};

/** The reasons that have a class. */
export const REASONS: readonly string[] = ["BATCH_REFUSED", ...Object.keys(CLASSES)];

/** Make the error of a failure: a plain TallykeeperError if the failure lacks values that its reason needs. */
export function errorOf(failure: Failure): TallykeeperError {
  const ErrorOfReason = CLASSES[failure.reason] ?? CLASSES_OF_CODES[failure.code] ?? TallykeeperError;
  try {
    if (failure.reason === "BATCH_REFUSED") {
      const failed = failure.failedOperations.map(({ index, failure: each }) => ({ index, error: errorOf(each) }));
      return new BatchRefusedError(failure, failed);
    }
    return new ErrorOfReason(failure);
  } catch {
    return new TallykeeperError(failure);
  }
}

/** Turn anything that a call to the server at an address has thrown into an error of this package. */
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
