package io.tallykeeper;

import io.tallykeeper.v1.Operation;
import io.tallykeeper.v1.OperationResult;
import io.tallykeeper.v1.StockLine;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The common operations of a batch, for {@link TallykeeperClient#apply}.
 *
 * <p>Every other operation, and every other field, is there in {@code Operation.newBuilder()}.
 */
public final class Operations {
  private Operations() {}

  /** Adds a number to a counter; a negative number subtracts. */
  public static Operation increment(String counter, long delta) {
    return Operation.newBuilder().setIncrement(Changes.increment(counter, delta)).build();
  }

  /** Sets a counter. */
  public static Operation setCounter(String counter, long value) {
    return Operation.newBuilder().setSetCounter(Changes.setCounter(counter, value)).build();
  }

  /** Takes copies of an item at the location {@code main}. */
  public static Operation takeCopies(String item, long copies) {
    return Operation.newBuilder().setDecrementCopies(Changes.takeCopies(item, copies)).build();
  }

  /** Gives copies of an item back at the location {@code main}. */
  public static Operation returnCopies(String item, long copies) {
    return Operation.newBuilder().setIncrementCopies(Changes.returnCopies(item, copies)).build();
  }

  /** Sets the number of copies on hand of an item at the location {@code main}. */
  public static Operation setStock(String item, long onHand) {
    return Operation.newBuilder().setSetStock(Changes.setStock(item, onHand)).build();
  }

  /** Reserves the copies of all lines, or of none, for a time. */
  public static Operation reserve(List<StockLine> lines, Duration ttl) {
    return Operation.newBuilder().setReserve(Changes.reserve(lines, ttl)).build();
  }

  /** Takes all copies that a reservation holds. */
  public static Operation commit(String reservationId) {
    return Operation.newBuilder().setCommit(Changes.commit(reservationId)).build();
  }

  /** Gives all copies back that a reservation holds. */
  public static Operation release(String reservationId) {
    return Operation.newBuilder().setRelease(Changes.release(reservationId)).build();
  }

  /** Prolongs a reservation: it expires one ttl from now, or later if its time was later already. */
  public static Operation extend(String reservationId, Duration ttl) {
    return Operation.newBuilder().setExtend(Changes.extend(reservationId, ttl)).build();
  }

  /** Returns the exception that the operation's own call would have thrown; empty if the operation did not fail. */
  public static Optional<TallykeeperException> error(OperationResult result) {
    return result.hasError() ? Optional.of(Errors.read(result.getError(), "")) : Optional.empty();
  }
}
