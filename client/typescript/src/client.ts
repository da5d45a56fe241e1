/** The client: the services of the contract, and short methods for the most frequent calls. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { type ApplyResponse, BatchMode, BatchService } from "./gen/tallykeeper/v1/batch_pb.js";
import {
  CounterService,
  type GetCounterResponse,
  type IncrementResponse,
  type SetCounterResponse,
} from "./gen/tallykeeper/v1/counter_pb.js";
import {
  type DecrementCopiesResponse,
  type GetStockResponse,
  type IncrementCopiesResponse,
  InventoryService,
  type SetStockResponse,
} from "./gen/tallykeeper/v1/inventory_pb.js";
import {
  type Entry,
  LedgerService,
  type ListEntriesRequestSchema,
  type WatchRequestSchema,
} from "./gen/tallykeeper/v1/ledger_pb.js";
import { NamespaceService } from "./gen/tallykeeper/v1/namespace_pb.js";
import {
  type CommitResponse,
  type ExtendResponse,
  type GetReservationResponse,
  type ReleaseResponse,
  ReservationService,
  type ReserveResponse,
} from "./gen/tallykeeper/v1/reservation_pb.js";
import { ServerService } from "./gen/tallykeeper/v1/server_pb.js";
import { checkNames } from "./names.js";
import type { Integer } from "./numbers.js";
import type { OperationInit } from "./operations.js";
import {
  type BatchOptions,
  callOptions,
  checkedTimeout,
  type ClientOptions,
  type LevelReadOptions,
  type MutationOptions,
  readFields,
  type ReadOptions,
  type StockReadOptions,
  TIMEOUT_MS_DEFAULT,
} from "./options.js";
import * as requests from "./requests.js";
import { NO_RETRIES, RETRY_POLICY } from "./retries.js";
import { Session, type WaitForConnection } from "./session.js";
import { Closing } from "./signals.js";
import { Credentials } from "./token.js";
import { Watch } from "./watch.js";

/** A response in which a message is never absent. */
export type Present<Message, Field extends keyof Message> = Message & {
  readonly [Name in Field]-?: NonNullable<Message[Name]>;
};

/** The connection of a client to its server. `connect` of each platform makes it. */
export interface Connection {
  readonly transport: Transport;
  /** The address, for messages. */
  readonly address: string;
  readonly waitForConnection?: WaitForConnection;
  /** Closes the connections. */
  readonly close?: () => void;
}

/**
 * A client of Tallykeeper, which `connect` makes.
 *
 * `counters`, `inventory`, `reservations`, `batches`, `ledger`, `namespaces` and `server` have every RPC of the contract,
 * with the generated messages. The methods of the client itself are shorter. Both fill in the namespace, give each
 * mutation a request id, keep the deadline, repeat what may be repeated, and throw a TallykeeperError.
 */
export class TallykeeperClient {
  readonly counters: Client<typeof CounterService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly reservations: Client<typeof ReservationService>;
  readonly batches: Client<typeof BatchService>;
  readonly ledger: Client<typeof LedgerService>;
  readonly namespaces: Client<typeof NamespaceService>;
  readonly server: Client<typeof ServerService>;

  readonly #connection: Connection;
  readonly #session: Session;
  readonly #closing = new Closing();

  constructor(connection: Connection, options: ClientOptions = {}) {
    const { namespace, timeoutMs, retry, token, ...others } = options;
    checkNames(others);
    if (retry) checkNames(retry, Object.keys(RETRY_POLICY), "retry");
    this.#connection = connection;
    this.#session = new Session(connection.transport, {
      address: connection.address,
      namespace: namespace ?? "",
      timeoutMs: checkedTimeout(timeoutMs) ?? TIMEOUT_MS_DEFAULT,
      retry: retry === false ? NO_RETRIES : { ...RETRY_POLICY, ...retry },
      credentials: new Credentials(token),
      ...(connection.waitForConnection && { waitForConnection: connection.waitForConnection }),
      closing: this.#closing,
    });
    this.counters = createClient(CounterService, this.#session);
    this.inventory = createClient(InventoryService, this.#session);
    this.reservations = createClient(ReservationService, this.#session);
    this.batches = createClient(BatchService, this.#session);
    this.ledger = createClient(LedgerService, this.#session);
    this.namespaces = createClient(NamespaceService, this.#session);
    this.server = createClient(ServerService, this.#session);
  }

  /** Close the connections. Calls and watches that are under way end with a CancelledError. */
  close(): void {
    this.#closing.close(new Error("the client is closed"));
    this.#connection.close?.();
  }

  /** Add `delta`, 1 if absent, to a counter. */
  async increment(
    counter: string,
    options: requests.IncrementOptions & MutationOptions = {},
  ): Promise<Present<IncrementResponse, "counter">> {
    const request = requests.incrementRequest(counter, options);
    return present(await this.counters.increment(request, callOptions(options)), "counter");
  }

  /** Set a counter to a value. */
  async setCounter(
    counter: string,
    value: Integer,
    options: requests.SetCounterOptions & MutationOptions = {},
  ): Promise<Present<SetCounterResponse, "counter">> {
    const request = requests.setCounterRequest(counter, value, options);
    return present(await this.counters.setCounter(request, callOptions(options)), "counter");
  }

  /** Read a counter. */
  async getCounter(counter: string, options: LevelReadOptions = {}): Promise<Present<GetCounterResponse, "counter">> {
    const request = { counter, ...readFields(options) };
    return present(await this.counters.getCounter(request, callOptions(options)), "counter");
  }

  /** Take copies of an item, 1 if `copies` is absent: a sale, a loan, a pick. */
  async takeCopies(
    item: string,
    options: requests.TakeOptions & MutationOptions = {},
  ): Promise<Present<DecrementCopiesResponse, "stockLevel">> {
    const request = requests.takeCopiesRequest(item, options);
    return present(await this.inventory.decrementCopies(request, callOptions(options)), "stockLevel");
  }

  /** Return copies of an item, 1 if `copies` is absent: a delivery, a return. */
  async returnCopies(
    item: string,
    options: requests.CopiesOptions & MutationOptions = {},
  ): Promise<Present<IncrementCopiesResponse, "stockLevel">> {
    const request = requests.returnCopiesRequest(item, options);
    return present(await this.inventory.incrementCopies(request, callOptions(options)), "stockLevel");
  }

  /** Set the number of copies on hand. */
  async setStock(
    item: string,
    onHand: Integer,
    options: requests.SetStockOptions & MutationOptions = {},
  ): Promise<Present<SetStockResponse, "stockLevel">> {
    const request = requests.setStockRequest(item, onHand, options);
    return present(await this.inventory.setStock(request, callOptions(options)), "stockLevel");
  }

  /** Read the stock of an item at a location. */
  async getStock(item: string, options: StockReadOptions = {}): Promise<Present<GetStockResponse, "stockLevel">> {
    const request = { item, location: options.location ?? "", ...readFields(options, ["location"]) };
    return present(await this.inventory.getStock(request, callOptions(options)), "stockLevel");
  }

  /** Reserve copies of all lines, or of none. */
  async reserve(
    lines: readonly requests.Line[],
    options: requests.ReserveOptions & MutationOptions = {},
  ): Promise<Present<ReserveResponse, "reservation">> {
    const request = requests.reserveRequest(lines, options);
    return present(await this.reservations.reserve(request, callOptions(options)), "reservation");
  }

  /** Take the copies of a reservation: all, or those of `lines`. */
  async commit(
    reservationId: string,
    options: requests.CommitOptions & MutationOptions = {},
  ): Promise<Present<CommitResponse, "reservation">> {
    const request = requests.commitRequest(reservationId, options);
    return present(await this.reservations.commit(request, callOptions(options)), "reservation");
  }

  /** Give the copies of a reservation back. */
  async release(
    reservationId: string,
    options: requests.Annotations & MutationOptions = {},
  ): Promise<Present<ReleaseResponse, "reservation">> {
    const request = requests.releaseRequest(reservationId, options);
    return present(await this.reservations.release(request, callOptions(options)), "reservation");
  }

  /** Give an active reservation more time. */
  async extend(
    reservationId: string,
    options: requests.ExtendOptions & MutationOptions = {},
  ): Promise<Present<ExtendResponse, "reservation">> {
    const request = requests.extendRequest(reservationId, options);
    return present(await this.reservations.extend(request, callOptions(options)), "reservation");
  }

  /** Read a reservation. */
  async getReservation(
    reservationId: string,
    options: LevelReadOptions = {},
  ): Promise<Present<GetReservationResponse, "reservation">> {
    const request = { reservationId, ...readFields(options) };
    return present(await this.reservations.getReservation(request, callOptions(options)), "reservation");
  }

  /**
   * Apply up to 1,000 operations in one call, as `operations` makes them.
   *
   * @throws BatchRefusedError if the mode is `atomic` and an operation fails: nothing was changed. In the mode
   *   `independent`, the response has a result for each, and `errorOfResult` says whether it failed.
   */
  async apply(operations: readonly OperationInit[], options: BatchOptions): Promise<ApplyResponse> {
    const { mode, ...others } = options;
    const request = { ...requests.envelope(others), operations: [...operations], mode: batchMode(mode) };
    return this.batches.apply(request, callOptions(options));
  }

  /** List the entries of the ledger that pass the filters, page by page as they are read. */
  async *listEntries(
    filters: MessageInitShape<typeof ListEntriesRequestSchema> = {},
    options: Omit<ReadOptions, "namespace"> = {},
  ): AsyncGenerator<Entry, void, undefined> {
    checkNames(options, requests.CALL_OPTIONS);
    let pageToken = filters.pageToken ?? "";
    do {
      const page = await this.ledger.listEntries({ ...filters, pageToken }, callOptions(options));
      yield* page.entries;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /**
   * Follow the ledger. The watch resumes by itself after a lost connection; it returns the entries that pass the
   * filters, in order, with no gap and no repeat.
   *
   * `timeoutMs` is the time within which the first response must come: the deadline of the client if it is absent.
   */
  watch(
    request: MessageInitShape<typeof WatchRequestSchema> = {},
    options: Omit<ReadOptions, "namespace"> = {},
  ): Watch {
    checkNames(options, requests.CALL_OPTIONS);
    const session = this.#session.options;
    return new Watch(request, {
      ledger: this.ledger,
      address: session.address,
      timeoutMs: checkedTimeout(options.timeoutMs) ?? session.timeoutMs,
      resumes: session.retry.maxAttempts > 1,
      refreshesToken: session.credentials.canRefresh,
      signal: options.signal,
      closing: this.#closing,
    });
  }
}

/** Return the mode of a batch. @throws TypeError if it is no mode: the operations would not belong together. */
function batchMode(mode: BatchOptions["mode"]): BatchMode {
  if (mode === "atomic") return BatchMode.ATOMIC;
  if (mode === "independent") return BatchMode.INDEPENDENT;
  throw new TypeError(`mode is ${JSON.stringify(mode)}; it must be "atomic" or "independent"`);
}

/** Return a response whose message is there, as the contract says. */
function present<Message, Field extends keyof Message & string>(
  message: Message,
  field: Field,
): Present<Message, Field> {
  if (message[field] === undefined) throw new TypeError(`the response has no ${field}`);
  return message as Present<Message, Field>;
}
