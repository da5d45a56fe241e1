package io.tallykeeper;

import java.util.OptionalLong;

/** The counter would leave its bounds (COUNTER_BOUND_EXCEEDED). Nothing was changed. */
public final class CounterBoundExceededException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final long value;
  private final Long delta;
  private final Long min;
  private final Long max;

  CounterBoundExceededException(Failure failure) {
    super(failure);
    this.value = failure.number("value");
    this.delta = failure.optionalNumber("delta");
    this.min = failure.optionalNumber("min");
    this.max = failure.optionalNumber("max");
  }

  /** Returns the counter's value or, if {@link #delta()} is empty, the value that is outside the bounds. */
  public long value() {
    return value;
  }

  /** Returns the number that was to be added; empty if a value or bounds were to be set. */
  public OptionalLong delta() {
    return optional(delta);
  }

  /** Returns the least value that the counter may take; empty if it has no lower bound. */
  public OptionalLong min() {
    return optional(min);
  }

  /** Returns the greatest value that the counter may take; empty if it has no upper bound. */
  public OptionalLong max() {
    return optional(max);
  }

  private static OptionalLong optional(Long number) {
    return number == null ? OptionalLong.empty() : OptionalLong.of(number);
  }
}
