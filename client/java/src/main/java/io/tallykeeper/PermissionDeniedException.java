package io.tallykeeper;

/** The caller lacks a role (PERMISSION_DENIED). Nothing was changed. */
public final class PermissionDeniedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final String identity;
  private final String role;
  private final String namespace;

  PermissionDeniedException(Failure failure) {
    super(failure);
    this.identity = failure.value("identity");
    this.role = failure.value("role");
    this.namespace = failure.value("namespace");
  }

  /** Returns the name by which the server knows the caller. */
  public String identity() {
    return identity;
  }

  /** Returns the role that the caller lacks. */
  public String role() {
    return role;
  }

  /** Returns the namespace in which the caller lacks the role. */
  public String namespace() {
    return namespace;
  }
}
