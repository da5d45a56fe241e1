package io.tallykeeper;

/** The change may have been made (OUTCOME_UNKNOWN). The same request with the same id tells whether it was. */
public final class OutcomeUnknownException extends UnavailableException {
  private static final long serialVersionUID = 1;

  OutcomeUnknownException(Failure failure) {
    super(failure);
  }
}
