/** Joins abort signals, and waits for a time that a signal can cut short. */

/** The longest time that a timer can wait; a longer one fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A signal that aborts with any of several others; `release` ends its connection to them. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  readonly abort: (reason?: unknown) => void;
  readonly release: () => void;
}

/**
 * Link signals to a new one.
 *
 * It stands in for `AbortSignal.any`, which keeps the signals of all calls in memory as long as one source lives.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const given = sources.filter((source) => source !== undefined);
  const follow = (event: Event): void => abort((event.target as AbortSignal).reason);
  const release = (): void => given.forEach((source) => source.removeEventListener("abort", follow));
  const abort = (reason?: unknown): void => {
    release();
    controller.abort(reason);
  };
  for (const source of given) source.addEventListener("abort", follow, { once: true });
  const aborted = given.find((source) => source.aborted);
  if (aborted !== undefined) abort(aborted.reason);
  return { signal: controller.signal, abort, release };
}

/** Wait for a number of milliseconds, or until the signal aborts. It never throws. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = milliseconds === Infinity ? undefined : setTimeout(end, Math.min(milliseconds, TIMER_MS_MAX));
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** The time by which a call must have ended. */
export class Deadline {
  readonly #end: number;

  /** `timeoutMs` counts from now; undefined or 0 and less: the call may take any time. */
  constructor(timeoutMs: number | undefined) {
    this.#end = timeoutMs === undefined || timeoutMs <= 0 ? Infinity : performance.now() + timeoutMs;
  }

  /** The milliseconds that remain: Infinity without a limit, and 0 or less when the time is up. */
  get remainingMs(): number {
    return this.#end - performance.now();
  }
}
