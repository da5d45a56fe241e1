/** Decides whether and when a failed call is sent again. */

import { Code } from "@connectrpc/connect";
import type { TallykeeperError } from "./errors.js";
import { isOfConnection } from "./reasons.js";

/** The policy by which failed calls are repeated. The numbers have the meaning of gRPC's retry policy (gRFC A6). */
export interface RetryPolicy {
  /** The number of times that a call is sent in all. */
  readonly maxAttempts: number;
  /** The pause before the second attempt, in milliseconds. Each pause is up to a fifth longer or shorter. */
  readonly initialBackoffMs: number;
  /** The factor from one pause to the next. */
  readonly backoffMultiplier: number;
  /** The longest pause, in milliseconds. */
  readonly maxBackoffMs: number;
}

/** The policy of `client/service_config.json`. */
export const RETRY_POLICY: RetryPolicy = {
  maxAttempts: 5,
  initialBackoffMs: 200,
  backoffMultiplier: 2.5,
  maxBackoffMs: 5_000,
};

/** The policy that sends every call once. */
export const NO_RETRIES: RetryPolicy = { ...RETRY_POLICY, maxAttempts: 1 };

const JITTER = 0.2;

/**
 * Return the milliseconds to wait before a call is sent again; undefined if it must not be.
 *
 * `attempt` is the number of attempts that were made, and `draw` gives a number from 0 to 1.
 */
export function pauseBeforeRetry(
  error: TallykeeperError,
  attempt: number,
  policy: RetryPolicy,
  draw: () => number = Math.random,
): number | undefined {
  if (attempt >= policy.maxAttempts || error.isFinal || !isRepeatable(error)) return undefined;
  const backoff = Math.min(policy.initialBackoffMs * policy.backoffMultiplier ** (attempt - 1), policy.maxBackoffMs);
  const jittered = backoff * (1 - JITTER + 2 * JITTER * draw());
  // RESOURCE_EXHAUSTED is repeated if the server says when.
  return error.code === Code.ResourceExhausted ? error.retryAfterMs : Math.max(jittered, error.retryAfterMs ?? 0);
}

/** Tell whether a repeat with the same request id may succeed. UNKNOWN of a server is never repeated. */
function isRepeatable(error: TallykeeperError): boolean {
  switch (error.code) {
    case Code.Unavailable:
    case Code.ResourceExhausted:
      return true;
    case Code.Canceled: // A proxy that shuts down resets its calls. Calls that their callers cancel do not come here.
      return error.reason === "";
    default:
      return isOfConnection(error);
  }
}
