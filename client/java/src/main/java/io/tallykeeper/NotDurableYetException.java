package io.tallykeeper;

/** The change was made, and may still be lost (NOT_DURABLE_YET). The same request with the same id waits once more. */
public final class NotDurableYetException extends UnavailableException {
  private static final long serialVersionUID = 1;

  NotDurableYetException(Failure failure) {
    super(failure);
  }
}
