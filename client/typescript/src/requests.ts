/**
 * Builds the requests of the convenience methods: the client sends them, and a batch makes operations of them.
 *
 * An empty location is `main`. Numbers may be `number` or `bigint`.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { IncrementRequestSchema, SetCounterRequestSchema } from "./gen/tallykeeper/v1/counter_pb.js";
import {
  type DecrementCopiesRequestSchema,
  type IncrementCopiesRequestSchema,
  type SetStockRequestSchema,
  ShortagePolicy,
} from "./gen/tallykeeper/v1/inventory_pb.js";
import type {
  CommitRequestSchema,
  ExtendRequestSchema,
  ReleaseRequestSchema,
  ReserveRequestSchema,
} from "./gen/tallykeeper/v1/reservation_pb.js";
import { checkNames } from "./names.js";
import { type Integer, integerOf, optionalInteger } from "./numbers.js";

/** The options of calls that are no field of a request. */
export const CALL_OPTIONS = ["timeoutMs", "signal"];

/** The fields that the request of every mutation has. */
export interface Envelope extends Annotations {
  /** The namespace; that of the client if absent. */
  readonly namespace?: string | undefined;
  /** The key that makes a repeat safe; the client makes a fresh one if it is absent. */
  readonly requestId?: string | undefined;
}

/** The notes that every mutation may have in the ledger. */
export interface Annotations {
  /** The reason for the change, a word: at most 64 bytes. */
  readonly reason?: string | undefined;
  /** The thing that the change belongs to, such as an order: at most 256 bytes. */
  readonly reference?: string | undefined;
}

/** The configuration of a counter that an increment creates. */
export interface NewCounterOptions {
  readonly min?: Integer | undefined;
  readonly max?: Integer | undefined;
  /** The time to live of the counter, in milliseconds. */
  readonly ttlMs?: number | undefined;
}

export interface IncrementOptions extends Annotations {
  /** The number to add; 1 if absent. A negative number subtracts. */
  readonly delta?: Integer | undefined;
  /** The configuration of the counter if it does not exist yet. */
  readonly create?: NewCounterOptions | undefined;
}

export function incrementRequest(
  counter: string,
  { delta, create, ...rest }: IncrementOptions & Envelope = {},
): MessageInitShape<typeof IncrementRequestSchema> {
  return {
    ...envelope(rest),
    counter,
    ...optionalInteger("delta", delta),
    ...(create === undefined ? {} : { create: newCounter(create) }),
  };
}

function newCounter(options: NewCounterOptions) {
  checkNames(options, ["min", "max", "ttlMs"], "create");
  const { min, max, ttlMs } = options;
  return {
    ...optionalInteger("min", min),
    ...optionalInteger("max", max),
    ...duration("ttlMs", ttlMs),
  };
}

export interface SetCounterOptions extends Annotations {
  /** The value that the counter must have now; any if absent. */
  readonly expectedValue?: Integer | undefined;
}

export function setCounterRequest(
  counter: string,
  value: Integer,
  { expectedValue, ...rest }: SetCounterOptions & Envelope = {},
): MessageInitShape<typeof SetCounterRequestSchema> {
  return {
    ...envelope(rest),
    counter,
    value: integerOf("value", value),
    ...optionalInteger("expectedValue", expectedValue),
  };
}

export interface CopiesOptions extends Annotations {
  /** The number of copies; 1 if absent. */
  readonly copies?: Integer | undefined;
  readonly location?: string | undefined;
}

export interface TakeOptions extends CopiesOptions {
  /** Take as many copies as there are, if there are fewer; `copiesTaken` of the response is their number. */
  readonly takeAvailable?: boolean | undefined;
}

export function takeCopiesRequest(
  item: string,
  { copies, location, takeAvailable, ...rest }: TakeOptions & Envelope = {},
): MessageInitShape<typeof DecrementCopiesRequestSchema> {
  return {
    ...envelope(rest),
    item,
    location: location ?? "",
    ...optionalInteger("copies", copies),
    shortagePolicy: takeAvailable === true ? ShortagePolicy.TAKE_AVAILABLE : ShortagePolicy.REJECT,
  };
}

export function returnCopiesRequest(
  item: string,
  { copies, location, ...rest }: CopiesOptions & Envelope = {},
): MessageInitShape<typeof IncrementCopiesRequestSchema> {
  return { ...envelope(rest), item, location: location ?? "", ...optionalInteger("copies", copies) };
}

export interface SetStockOptions extends Annotations {
  readonly location?: string | undefined;
  /** The number of copies that must be on hand now; any if absent. */
  readonly expectedOnHand?: Integer | undefined;
  /** Record a count below the reserved copies, too. */
  readonly allowBelowReserved?: boolean | undefined;
}

export function setStockRequest(
  item: string,
  onHand: Integer,
  { location, expectedOnHand, allowBelowReserved, ...rest }: SetStockOptions & Envelope = {},
): MessageInitShape<typeof SetStockRequestSchema> {
  return {
    ...envelope(rest),
    item,
    location: location ?? "",
    onHand: integerOf("onHand", onHand),
    ...optionalInteger("expectedOnHand", expectedOnHand),
    allowBelowReserved: allowBelowReserved ?? false,
  };
}

/** Copies of an item at a location. */
export interface Line {
  readonly item: string;
  readonly location?: string | undefined;
  /** The number of copies; 1 if absent. */
  readonly copies?: Integer | undefined;
}

export interface ReserveOptions extends Annotations {
  /** The reservation's id; the server chooses one if it is absent. */
  readonly reservationId?: string | undefined;
  /** The customer or basket for which the copies are reserved. */
  readonly holder?: string | undefined;
  /** The time to live in milliseconds; 15 minutes if absent. */
  readonly ttlMs?: number | undefined;
}

export function reserveRequest(
  lines: readonly Line[],
  { reservationId, holder, ttlMs, ...rest }: ReserveOptions & Envelope = {},
): MessageInitShape<typeof ReserveRequestSchema> {
  return {
    ...envelope(rest),
    reservationId: reservationId ?? "",
    holder: holder ?? "",
    lines: lines.map(stockLine),
    ...duration("ttlMs", ttlMs),
  };
}

export interface CommitOptions extends Annotations {
  /** The copies to take, if not all: the others are given back. */
  readonly lines?: readonly Line[] | undefined;
}

export function commitRequest(
  reservationId: string,
  { lines, ...rest }: CommitOptions & Envelope = {},
): MessageInitShape<typeof CommitRequestSchema> {
  return { ...envelope(rest), reservationId, lines: (lines ?? []).map(stockLine) };
}

export function releaseRequest(
  reservationId: string,
  rest: Envelope = {},
): MessageInitShape<typeof ReleaseRequestSchema> {
  return { ...envelope(rest), reservationId };
}

export interface ExtendOptions extends Annotations {
  /** The time to live from now, in milliseconds; 15 minutes if absent. */
  readonly ttlMs?: number | undefined;
}

export function extendRequest(
  reservationId: string,
  { ttlMs, ...rest }: ExtendOptions & Envelope = {},
): MessageInitShape<typeof ExtendRequestSchema> {
  return { ...envelope(rest), reservationId, ...duration("ttlMs", ttlMs) };
}

/**
 * Return the common fields, and nothing else that a caller's options may have.
 *
 * @throws TypeError if there is an option that no call has.
 */
export function envelope({ namespace, requestId, reason, reference, ...rest }: Envelope) {
  const { timeoutMs, signal, ...others } = rest as { readonly timeoutMs?: unknown; readonly signal?: unknown };
  checkNames(others);
  return {
    namespace: namespace ?? "",
    requestId: requestId ?? "",
    reason: reason ?? "",
    reference: reference ?? "",
  };
}

function stockLine(line: Line, index: number) {
  checkNames(line, ["item", "location", "copies"], `lines[${index}]`);
  const { item, location, copies } = line;
  return { item, location: location ?? "", ...optionalInteger("copies", copies) };
}

function duration(field: string, milliseconds: number | undefined) {
  return milliseconds === undefined ? {} : { ttl: durationFromMs(Number(integerOf(field, milliseconds))) };
}
