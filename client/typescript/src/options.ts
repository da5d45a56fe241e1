/** The options of clients and of calls. */

import type { CallOptions as ConnectCallOptions } from "@connectrpc/connect";
import { checkNames } from "./names.js";
import { type Integer, integerOf } from "./numbers.js";
import { type Annotations, CALL_OPTIONS } from "./requests.js";
import type { RetryPolicy } from "./retries.js";
import type { Token } from "./token.js";

/** The deadline of a call that names none: long enough for a server that restarts. */
export const TIMEOUT_MS_DEFAULT = 5_000;

/** The options of every client. */
export interface ClientOptions {
  /** An API key or a JWT, or a function that returns one and is called again when it has expired. */
  readonly token?: Token | undefined;
  /** The namespace of requests that name none; `default` if absent. */
  readonly namespace?: string | undefined;
  /** The deadline of calls that name none, in milliseconds, with all their retries: 5,000 if absent, none if 0. */
  readonly timeoutMs?: number | undefined;
  /** False: no call is sent twice, and watches do not resume. Otherwise numbers that replace those of RETRY_POLICY. */
  readonly retry?: false | Partial<RetryPolicy> | undefined;
}

/** The options of every call. */
export interface ReadOptions {
  /** The namespace; that of the client if absent. */
  readonly namespace?: string | undefined;
  /** The deadline of this call in milliseconds, with all its retries; 0: none. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
}

/** The options of every mutation. */
export interface MutationOptions extends ReadOptions {
  /** The key that makes a repeat safe, 1 to 64 printable ASCII characters; the client makes one if it is absent. */
  readonly requestId?: string | undefined;
}

/** The options of a read of one counter, level or reservation. */
export interface LevelReadOptions extends ReadOptions {
  /** The least revision at which the answer must be true. */
  readonly minRevision?: Integer | undefined;
}

export interface StockReadOptions extends LevelReadOptions {
  readonly location?: string | undefined;
}

export interface BatchOptions extends MutationOptions, Annotations {
  /** The rule by which the operations belong together: all or none, or each for itself. */
  readonly mode: "atomic" | "independent";
}

/**
 * Return the fields that the requests of all reads have.
 *
 * @param own the options that this read has alone.
 * @throws TypeError if there is an option that this read does not have.
 */
export function readFields(options: LevelReadOptions, own: readonly string[] = []) {
  checkNames(options, [...own, "minRevision", "namespace", ...CALL_OPTIONS]);
  const { namespace, minRevision } = options;
  return { namespace: namespace ?? "", minRevision: integerOf("minRevision", minRevision ?? 0) };
}

/** Return the options that Connect takes with a call. */
export function callOptions({ timeoutMs, signal }: Omit<ReadOptions, "namespace">): ConnectCallOptions {
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs: checkedTimeout(timeoutMs)! }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** Return a timeout. @throws RangeError if it is no number of milliseconds. */
export function checkedTimeout(timeoutMs: number | undefined): number | undefined {
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
    throw new RangeError(`timeoutMs is ${timeoutMs}; it must be a number of milliseconds, 0 for no deadline`);
  }
  return timeoutMs;
}
