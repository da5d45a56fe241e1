/**
 * Completes and repeats the calls of a client, as a transport between the generated clients and Connect's transport.
 *
 * It fills in the namespace and the request id, adds the token, keeps the deadline over all attempts, and turns what
 * Connect throws into the errors of `errors.ts`.
 */

import { create, type DescMessage, type DescMethodStreaming, type DescMethodUnary } from "@bufbuild/protobuf";
import { type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { CredentialExpiredError, DeadlineExceededError, type TallykeeperError } from "./errors.js";
import { failureOfCall, plainFailure } from "./failure.js";
import { checkFields, checkText } from "./names.js";
import { cancelled, errorOf, errorOfCall } from "./reasons.js";
import { newRequestId } from "./request-id.js";
import { pauseBeforeRetry, type RetryPolicy } from "./retries.js";
import { type Closing, Deadline, type LinkedSignal, linkSignals, pause } from "./signals.js";
import type { Credentials } from "./token.js";

/** Waits for a connection until the time is up or the signal aborts. Throws the error that prevents a connection. */
export type WaitForConnection = (deadline: Deadline, signal: AbortSignal) => Promise<void>;

/** The settings that the calls of a client have in common. */
export interface SessionOptions {
  /** The address, for messages. */
  readonly address: string;
  /** The namespace of requests that name none; empty: that of the server, `default`. */
  readonly namespace: string;
  /** The deadline of unary calls that have none; 0: no deadline. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly credentials: Credentials;
  /** Present where the transport can tell a connection from a call. */
  readonly waitForConnection?: WaitForConnection;
  /** Ends all calls and watches in progress when the client closes. */
  readonly closing: Closing;
}

/** A transport that completes, sends and repeats calls. */
export class Session implements Transport {
  readonly #inner: Transport;
  readonly options: SessionOptions;

  constructor(inner: Transport, options: SessionOptions) {
    this.#inner = inner;
    this.options = options;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    headers: HeadersInit | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const request = this.#complete(method, input);
    toBinary(method.input, request); // Throws an error that names a field which cannot be encoded: a repeat is useless.
    const requestId = isMutation(method) ? ((request as { requestId?: string }).requestId ?? "") : "";
    const deadline = new Deadline(timeoutMs ?? this.options.timeoutMs);
    const linked = linkSignals(signal, this.options.closing);
    const send: SendOnce<UnaryResponse<I, O>> = (all, remainingMs) =>
      this.#inner.unary(method, linked.signal, remainingMs, all, request, contextValues);
    try {
      return await this.#repeat(send, headers, deadline, linked.signal, requestId);
    } finally {
      linked.release();
    }
  }

  /** Open a stream. It is not repeated: `Watch` resumes by itself, and the caller repeats a verification. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    headers: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const all = await this.options.credentials.addTo(headers);
    const linked = linkSignals(signal, this.options.closing);
    const remainingMs = wholeMs(new Deadline(timeoutMs).remainingMs);
    const requests = this.#completeAll(method, input);
    try {
      const response = await this.#inner.stream(method, linked.signal, remainingMs, all, requests, contextValues);
      return { ...response, message: this.#responses(response.message, linked, all) };
    } catch (thrown) {
      linked.release();
      throw await this.#streamError(thrown, linked, all);
    }
  }

  /** Send until there is an answer, a final error, or the end of the deadline. */
  async #repeat<Response>(
    send: SendOnce<Response>,
    headers: HeadersInit | undefined,
    deadline: Deadline,
    signal: AbortSignal,
    requestId: string,
  ): Promise<Response> {
    const { address, credentials, retry } = this.options;
    let attempt = 0;
    let wasRefreshed = false;
    for (;;) {
      if (signal.aborted) throw cancelled(requestId, signal.reason);
      const all = await credentials.addTo(headers);
      try {
        if (retry.maxAttempts > 1) await this.#connected(deadline, signal, requestId);
        if (deadline.remainingMs <= 0) throw this.#timeIsUp(requestId);
        attempt += 1;
        return await send(all, wholeMs(deadline.remainingMs));
      } catch (thrown) {
        if (signal.aborted) throw cancelled(requestId, signal.reason);
        const error = errorOfCall(thrown, address, requestId);
        if (error instanceof CredentialExpiredError && credentials.canRefresh && !wasRefreshed) {
          wasRefreshed = true;
          await credentials.forget(all);
          attempt -= 1;
          continue;
        }
        const pauseMs = pauseBeforeRetry(error, attempt, retry);
        if (pauseMs === undefined || pauseMs >= deadline.remainingMs) throw error;
        await pause(pauseMs, signal);
      }
    }
  }

  /** Wait for a connection. An error that ends the wait is final, because no repeat waits longer. */
  async #connected(deadline: Deadline, signal: AbortSignal, requestId: string): Promise<void> {
    try {
      await this.options.waitForConnection?.(deadline, signal);
    } catch (thrown) {
      const failure = failureOfCall(ConnectError.from(thrown), this.options.address, requestId);
      throw errorOf({ ...failure, isFinal: true });
    }
    if (signal.aborted) throw cancelled(requestId, signal.reason);
  }

  #timeIsUp(requestId: string): TallykeeperError {
    const message = `no answer from ${this.options.address} before the deadline`;
    return new DeadlineExceededError(plainFailure(Code.DeadlineExceeded, message, requestId));
  }

  /** Return a request with the namespace and the request id filled in. The caller's own message stays as it is. */
  #complete<I extends DescMessage>(method: MethodOf<I>, input: MessageInitShape<I>): MessageShape<I> {
    checkFields(method.input, input);
    const given = create(method.input, input);
    checkText(given);
    const request = Object.assign(Object.create(Object.getPrototypeOf(given)), given) as MessageShape<I>;
    const fields = request as unknown as { namespace?: unknown; requestId?: unknown };
    if (fields.namespace === "") fields.namespace = this.options.namespace;
    if (fields.requestId === "" && isMutation(method)) fields.requestId = newRequestId();
    return request;
  }

  async *#completeAll<I extends DescMessage>(method: MethodOf<I>, input: AsyncIterable<MessageInitShape<I>>) {
    for await (const each of input) yield this.#complete(method, each);
  }

  async *#responses<Message>(messages: AsyncIterable<Message>, linked: LinkedSignal, headers: Headers) {
    let isWhole = false;
    try {
      yield* messages;
      isWhole = true;
    } catch (thrown) {
      isWhole = true;
      throw await this.#streamError(thrown, linked, headers);
    } finally {
      // The reader has stopped before the end: end the stream, too.
      if (!isWhole) linked.abort();
      linked.release();
    }
  }

  async #streamError(thrown: unknown, linked: LinkedSignal, headers: Headers): Promise<TallykeeperError> {
    if (linked.signal.aborted) return cancelled("", linked.signal.reason);
    const error = errorOfCall(thrown, this.options.address, "");
    if (error instanceof CredentialExpiredError) await this.options.credentials.forget(headers);
    return error;
  }
}

type SendOnce<Response> = (headers: Headers, timeoutMs: number | undefined) => Promise<Response>;
type MethodOf<I extends DescMessage> = { readonly input: I; readonly output: DescMessage };

/** Return whether a method is a mutation. Only the responses of mutations have the field `replayed`. */
function isMutation(method: MethodOf<DescMessage>): boolean {
  return method.output.field["replayed"] !== undefined;
}

/** Return a timeout as Connect takes it: a whole number of milliseconds, and undefined for none. */
function wholeMs(remainingMs: number): number | undefined {
  return remainingMs === Infinity ? undefined : Math.max(1, Math.ceil(remainingMs));
}
