package io.tallykeeper;

/** The value is not the expected one (VALUE_CHANGED). Nothing was changed. */
public final class ValueChangedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final long actual;
  private final long expected;

  ValueChangedException(Failure failure) {
    super(failure);
    this.actual = failure.number("actual");
    this.expected = failure.number("expected");
  }

  /** Returns the value that was found. */
  public long actual() {
    return actual;
  }

  /** Returns the value that the request expected. */
  public long expected() {
    return expected;
  }
}
