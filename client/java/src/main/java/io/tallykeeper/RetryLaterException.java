package io.tallykeeper;

/**
 * The server has too much to do (OVERLOADED, RATE_LIMITED, STORE_OUT_OF_MEMORY or TOO_MANY_WATCHES). Nothing was
 * changed.
 */
public final class RetryLaterException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  RetryLaterException(Failure failure) {
    super(failure);
  }
}
