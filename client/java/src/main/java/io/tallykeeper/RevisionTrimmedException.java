package io.tallykeeper;

/** The ledger has dropped entries that a watch asks for (REVISION_TRIMMED). Read the levels, and watch from there. */
public final class RevisionTrimmedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final long oldest;

  RevisionTrimmedException(Failure failure) {
    super(failure);
    this.oldest = failure.number("oldest");
  }

  /** Returns the first revision that the ledger still has. */
  public long oldest() {
    return oldest;
  }
}
