package io.tallykeeper;

/**
 * No server answered, or the server lost its store (the code UNAVAILABLE). A change may have been made, unless the
 * reason is STORE_UNAVAILABLE. The same request with the same id tells whether it was.
 */
public class UnavailableException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  UnavailableException(Failure failure) {
    super(failure);
  }
}
