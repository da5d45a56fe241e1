package io.tallykeeper;

/** The deadline passed before the answer. The same request with the same id gets the outcome of the change. */
public final class DeadlineExceededException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  DeadlineExceededException(Failure failure) {
    super(failure);
  }
}
