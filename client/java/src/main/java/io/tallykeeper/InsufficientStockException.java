package io.tallykeeper;

import io.tallykeeper.v1.Shortage;
import java.util.List;

/** Fewer copies may be taken than were asked for (INSUFFICIENT_STOCK). Nothing was changed. */
public final class InsufficientStockException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final List<Shortage> shortages;

  InsufficientStockException(Failure failure) {
    super(failure);
    this.shortages = List.copyOf(failure.shortages());
    if (shortages.isEmpty()) {
      throw new IllegalArgumentException("the lines of " + failure.reason() + " are missing");
    }
  }

  /** Returns the lines that ask for too many copies, at least one and at most 20, in their order in the request. */
  public List<Shortage> shortages() {
    return shortages;
  }
}
