/** Joins abort signals, and waits for a time that a signal can cut short. */

/** The longest time that a timer can wait; a longer one fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The end of a client. All its calls and watches in progress are linked to it.
 *
 * It is no AbortSignal, because Node.js warns of a leak when one has more than ten listeners.
 */
export class Closing {
  readonly #aborts = new Set<(reason: unknown) => void>();
  #reason: Error | undefined;

  /** Abort all that is linked, now and later. */
  close(reason: Error): void {
    this.#reason ??= reason;
    for (const abort of [...this.#aborts]) abort(this.#reason);
  }

  /** Call a function when the client closes, or now if it is closed. */
  link(abort: (reason: unknown) => void): void {
    if (this.#reason === undefined) this.#aborts.add(abort);
    else abort(this.#reason);
  }

  unlink(abort: (reason: unknown) => void): void {
    this.#aborts.delete(abort);
  }
}

/** A signal that aborts with any of several others; `release` ends its connection to them. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  readonly abort: (reason?: unknown) => void;
  readonly release: () => void;
}

/**
 * Make a signal that follows another one and the end of a client.
 *
 * It stands in for `AbortSignal.any`, which keeps the signals of all calls in memory as long as one source lives.
 */
export function linkSignals(source: AbortSignal | undefined, closing?: Closing): LinkedSignal {
  const controller = new AbortController();
  const follow = (): void => abort(source?.reason);
  const release = (): void => {
    source?.removeEventListener("abort", follow);
    closing?.unlink(abort);
  };
  const abort = (reason?: unknown): void => {
    release();
    controller.abort(reason);
  };
  closing?.link(abort);
  if (source?.aborted === true) follow();
  else source?.addEventListener("abort", follow, { once: true });
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
