package io.tallykeeper;

import io.grpc.Status;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * A call that failed, with everything that the server said about it.
 *
 * <p>Its subclasses are the failures that a program handles, with their values as numbers and names. All other reasons
 * have this class: use {@link #reason()} to distinguish them. The protos list the reasons of each RPC.
 */
public class TallykeeperException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final Status.Code code;
  private final String reason;
  private final Map<String, String> values;
  private final Duration retryAfter;
  private final String requestId;

  TallykeeperException(Failure failure) {
    super(failure.message(), failure.cause());
    this.code = failure.code();
    this.reason = failure.reason();
    this.values = Map.copyOf(failure.values());
    this.retryAfter = failure.retryAfter();
    this.requestId = failure.requestId();
  }

  /** Returns the gRPC code. */
  public Status.Code code() {
    return code;
  }

  /** Returns the contract's name for the failure, such as {@code INSUFFICIENT_STOCK}; without one, the code's name. */
  public String reason() {
    return reason;
  }

  /** Returns the values that belong to the reason, by their names in the contract. */
  public Map<String, String> values() {
    return values;
  }

  /** Returns the delay after which the server wants the request again; empty if it named none. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /**
   * Returns the request id that was sent; empty for a read.
   *
   * <p>If the outcome of a mutation is unknown, send the same request with this id again: it counts once.
   */
  public String requestId() {
    return requestId;
  }
}
