package io.tallykeeper;

import io.tallykeeper.v1.Shortage;
import java.util.List;

/** More copies were to be committed than the reservation holds (COMMIT_EXCEEDS_RESERVED). Nothing was changed. */
public final class CommitExceedsReservedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final List<Shortage> shortages;

  CommitExceedsReservedException(Failure failure) {
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
