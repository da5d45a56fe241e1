/** Follows a ledger through all connections that it takes: where a watch begins again, when, and after which errors. */

import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { type Client, Code } from "@connectrpc/connect";
import { CredentialExpiredError, DeadlineExceededError, TallykeeperError, UnavailableError } from "./errors.js";
import { plainFailure } from "./failure.js";
import {
  type LedgerService,
  type WatchRequest,
  WatchRequestSchema,
  type WatchResponse,
} from "./gen/tallykeeper/v1/ledger_pb.js";
import { checkFields } from "./names.js";
import { cancelled, isOfConnection } from "./reasons.js";
import { type Closing, type LinkedSignal, linkSignals, pause } from "./signals.js";

/** The pause before a watch begins again: this, then twice as long each time, up to the maximum. */
export const BACKOFF_MS_MIN = 100;
export const BACKOFF_MS_MAX = 5_000;

const REPEATABLE_REASONS: ReadonlySet<string> = new Set([
  "OVERLOADED",
  "RATE_LIMITED",
  "TOO_MANY_WATCHES",
  "WATCHER_TOO_SLOW",
]);

/** The things that a watch takes from its client. */
export interface WatchOptions {
  readonly ledger: Client<typeof LedgerService>;
  /** The address, for messages. */
  readonly address: string;
  /** The time within which the first response must come; 0: any time. */
  readonly timeoutMs: number;
  /** False: the watch ends with the first error. */
  readonly resumes: boolean;
  /** True if a function gives a new token when one has expired. */
  readonly refreshesToken: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly closing: Closing;
  /** Gives a number from 0 to 1. */
  readonly draw?: () => number;
}

/**
 * A watch: an iterable of the responses that have entries or levels, in order, with no gap and no repeat.
 *
 * It continues over lost connections: on a new connection, it begins after the last revision. It ends with an error
 * that a new connection cannot solve, such as a RevisionTrimmedError. Leaving the `for await` loop ends it, and so does
 * `close`. It can be iterated once.
 */
export class Watch implements AsyncIterable<WatchResponse> {
  readonly #options: WatchOptions;
  readonly #request: WatchRequest;
  readonly #linked: LinkedSignal;
  #revision: bigint | undefined;
  #isClosed = false;
  #isStarted = false;

  /** @throws TypeError if the request has a field that is misspelt. */
  constructor(request: MessageInitShape<typeof WatchRequestSchema>, options: WatchOptions) {
    checkFields(WatchRequestSchema, request);
    this.#options = options;
    this.#request = create(WatchRequestSchema, { ...request });
    this.#revision = this.#request.afterRevision;
    this.#linked = linkSignals(options.signal, options.closing);
  }

  /**
   * The revision up to which everything has been given; undefined until the first response. A program that keeps it
   * can watch from there after a restart, with `afterRevision`.
   */
  get revision(): bigint | undefined {
    return this.#revision;
  }

  /** End the watch: its loop ends without an error. */
  close(): void {
    this.#isClosed = true;
    this.#linked.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchResponse, void, undefined> {
    if (this.#isStarted) throw new TypeError("a watch can be iterated once; start another one");
    this.#isStarted = true;
    try {
      yield* this.#follow();
    } catch (error) {
      if (!this.#isClosed) throw error;
    } finally {
      this.#linked.abort();
      this.#linked.release();
    }
  }

  async *#follow(): AsyncGenerator<WatchResponse, void, undefined> {
    const { signal } = this.#linked;
    const giveUpAt = this.#options.timeoutMs > 0 ? performance.now() + this.#options.timeoutMs : Infinity;
    let hasResponse = false;
    let failures = 0;
    let wasRefreshed = false;
    for (;;) {
      let error: TallykeeperError;
      try {
        for await (const response of this.#connection(hasResponse ? Infinity : giveUpAt)) {
          hasResponse = true;
          failures = 0;
          wasRefreshed = false;
          this.#revision = this.#request.afterRevision = response.revision;
          const isFirstWithLevels = this.#request.includeLevels;
          this.#request.includeLevels = false;
          if (response.entries.length > 0 || isFirstWithLevels) yield response;
        }
        const message = `the server at ${this.#options.address} ended the watch`;
        error = new UnavailableError(plainFailure(Code.Unavailable, message));
      } catch (thrown) {
        if (signal.aborted) throw cancelled("", signal.reason);
        if (!(thrown instanceof TallykeeperError)) throw thrown;
        error = thrown;
      }
      if (error instanceof CredentialExpiredError && this.#options.refreshesToken && !wasRefreshed) {
        wasRefreshed = true;
        continue;
      }
      const pauseMs = this.#pauseBeforeNext(error, failures);
      if (pauseMs === undefined || (!hasResponse && performance.now() + pauseMs > giveUpAt)) throw error;
      failures = Math.min(failures + 1, 16);
      await pause(pauseMs, signal);
      if (signal.aborted) throw cancelled("", signal.reason);
    }
  }

  /** Open one connection, and end it if no response comes in time. */
  async *#connection(giveUpAt: number): AsyncGenerator<WatchResponse, void, undefined> {
    const attempt = linkSignals(this.#linked.signal);
    let isLate = false;
    const end = (): void => {
      isLate = true;
      attempt.abort();
    };
    const timer = giveUpAt === Infinity ? undefined : setTimeout(end, Math.max(0, giveUpAt - performance.now()));
    try {
      for await (const response of this.#options.ledger.watch(this.#request, {
        signal: attempt.signal,
        timeoutMs: 0,
      })) {
        clearTimeout(timer);
        yield response;
      }
    } catch (error) {
      if (!isLate) throw error;
      const message = `no response from ${this.#options.address} before the deadline`;
      throw new DeadlineExceededError(plainFailure(Code.DeadlineExceeded, message));
    } finally {
      clearTimeout(timer);
      attempt.abort();
      attempt.release();
    }
  }

  /** Return the milliseconds after which the watch begins again; undefined if it must end with this error. */
  #pauseBeforeNext(error: TallykeeperError, failures: number): number | undefined {
    if (!this.#options.resumes || !mayPass(error)) return undefined;
    // A random half spreads the watchers of a server that restarts.
    const draw = this.#options.draw ?? Math.random;
    const backoff = Math.min(BACKOFF_MS_MIN * 2 ** failures, BACKOFF_MS_MAX) * (0.5 + draw() / 2);
    return Math.max(backoff, error.retryAfterMs ?? 0);
  }
}

/** Return whether a watch that ended with this error may continue on a new connection. */
function mayPass(error: TallykeeperError): boolean {
  switch (error.code) {
    case Code.Unavailable:
    case Code.Canceled: // A proxy, or a broken connection. The end of the watch itself does not come here.
      return true;
    case Code.DeadlineExceeded: // The limit of a proxy: the stream itself has no deadline.
      return error.cause !== undefined;
    default:
      return REPEATABLE_REASONS.has(error.reason) || isOfConnection(error);
  }
}
