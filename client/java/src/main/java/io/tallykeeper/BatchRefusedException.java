package io.tallykeeper;

import java.util.List;

/** Operations of an atomic batch failed (BATCH_REFUSED). Nothing was changed. The code is that of the first failure. */
public final class BatchRefusedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final long failedCount;
  private final List<OperationFailure> operations;

  BatchRefusedException(Failure failure) {
    super(failure);
    this.failedCount = failure.number("failed_count");
    this.operations = List.copyOf(failure.operations());
  }

  /** Returns the number of operations that failed. */
  public long failedCount() {
    return failedCount;
  }

  /** Returns the first operations that failed, at most 20. */
  public List<OperationFailure> operations() {
    return operations;
  }
}
