/** The errors of mutations and reads that were refused. Nothing was changed when one is thrown. */

import { TallykeeperError } from "./errors.js";
import { type Failure, integer, integerIfAny, text } from "./failure.js";

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
    if (failure.shortages.length === 0) throw new TypeError("the error lists no short line");
    this.shortages = failure.shortages;
    this.shortageCount = failure.shortageCount;
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
 * After an increment, `value` is the counter's value, and `delta` the number that was not added. After a set or a new
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
