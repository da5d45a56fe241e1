package io.tallykeeper;

import io.grpc.Status;
import io.tallykeeper.v1.Shortage;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * A failed call as the server described it, before it is an exception.
 *
 * @param reason of google.rpc.ErrorInfo, or the name of the code if the server gave none
 * @param values the metadata of google.rpc.ErrorInfo
 * @param retryAfter null if the server named no delay
 * @param requestId empty for a read
 * @param cause null for the error of an operation in a batch
 */
record Failure(
    Status.Code code,
    String reason,
    String message,
    Map<String, String> values,
    Duration retryAfter,
    String requestId,
    List<FieldViolation> fieldViolations,
    List<Shortage> shortages,
    List<OperationFailure> operations,
    Throwable cause) {

  /** Returns a failure of which only the code and the message are known. */
  static Failure of(Status.Code code, String message, String requestId, Throwable cause) {
    return new Failure(code, code.name(), message, Map.of(), null, requestId, List.of(), List.of(), List.of(), cause);
  }

  /** Returns a value that the reason promises. Throws IllegalArgumentException if it is missing. */
  String value(String name) {
    String value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("the value " + name + " of " + reason + " is missing");
    }
    return value;
  }

  /** Returns a number that the reason promises. Throws IllegalArgumentException if it is missing, or is no number. */
  long number(String name) {
    return Long.parseLong(value(name));
  }

  /** Returns a number that the reason may have; null if it has none. */
  Long optionalNumber(String name) {
    return values.containsKey(name) ? Long.valueOf(values.get(name)) : null;
  }
}
