package io.tallykeeper;

/** The counter does not exist (COUNTER_NOT_FOUND). */
public final class CounterNotFoundException extends NotFoundException {
  private static final long serialVersionUID = 1;

  private final String counter;

  CounterNotFoundException(Failure failure) {
    super(failure);
    this.counter = failure.value("counter");
  }

  /** Returns the counter's name. */
  public String counter() {
    return counter;
  }
}
