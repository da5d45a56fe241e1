package io.tallykeeper;

import java.util.List;

/** Fields of the request break a rule (INVALID_FIELD, PAGE_TOKEN_INVALID). Nothing was changed. */
public final class InvalidFieldException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final List<FieldViolation> violations;

  InvalidFieldException(Failure failure) {
    super(failure);
    this.violations = List.copyOf(failure.fieldViolations());
  }

  /** Returns the bad fields with their rules, at most 20. */
  public List<FieldViolation> violations() {
    return violations;
  }
}
