package io.tallykeeper;

/** The store lost entries that a watch may have given (REVISIONS_LOST). Read the levels, and watch from there. */
public final class RevisionsLostException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final long revision;

  RevisionsLostException(Failure failure) {
    super(failure);
    this.revision = failure.number("revision");
  }

  /** Returns the revision up to which entries were lost. */
  public long revision() {
    return revision;
  }
}
