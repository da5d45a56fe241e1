package io.tallykeeper;

/** The server does not know the caller (CREDENTIAL_MISSING, CREDENTIAL_INVALID or CREDENTIAL_EXPIRED). */
public final class CredentialException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  CredentialException(Failure failure) {
    super(failure);
  }
}
