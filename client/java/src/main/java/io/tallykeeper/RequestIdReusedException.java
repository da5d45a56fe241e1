package io.tallykeeper;

/** The request id came before with another request (REQUEST_ID_REUSED). Nothing was changed. */
public final class RequestIdReusedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  RequestIdReusedException(Failure failure) {
    super(failure);
  }
}
