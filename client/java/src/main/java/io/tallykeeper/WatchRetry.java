package io.tallykeeper;

import io.grpc.Status;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.DoubleSupplier;

/** The rule after which failures a watch begins again, and how long it waits before. */
final class WatchRetry {
  static final long BACKOFF_MS_MIN = 100;
  static final long BACKOFF_MS_MAX = 5_000;

  /**
   * Codes that say nothing about the request: the server went away, or a proxy or the connection ended the stream. A
   * watch has no deadline and does not cancel itself, so DEADLINE_EXCEEDED and CANCELLED come from a proxy.
   */
  private static final Set<Status.Code> AGAIN_CODES =
      EnumSet.of(Status.Code.UNAVAILABLE, Status.Code.CANCELLED, Status.Code.DEADLINE_EXCEEDED, Status.Code.UNKNOWN);

  /** The codes without a reason. RESOURCE_EXHAUSTED comes from a proxy that ended the connection because of pings. */
  private static final Set<String> AGAIN_REASONS =
      Set.of("OVERLOADED", "RATE_LIMITED", "TOO_MANY_WATCHES", "WATCHER_TOO_SLOW", "RESOURCE_EXHAUSTED");

  private final DoubleSupplier random;
  private int failures;

  /** Makes a rule. The supplier gives numbers from 0 to 1. */
  WatchRetry(DoubleSupplier random) {
    this.random = random;
  }

  /** Notes a response, after which the first pause is short again. */
  void reset() {
    failures = 0;
  }

  /** Returns how long to wait before the watch begins again; empty if it must end with this error. */
  Optional<Duration> pause(TallykeeperException error) {
    if (!mayPass(error)) {
      return Optional.empty();
    }
    long longest = Math.min(BACKOFF_MS_MIN << Math.min(failures, 16), BACKOFF_MS_MAX);
    failures++;
    // A random half spreads the watchers of a server that restarts.
    Duration backoff = Duration.ofMillis((long) (longest * (1 + random.getAsDouble()) / 2));
    return Optional.of(error.retryAfter().filter(asked -> asked.compareTo(backoff) > 0).orElse(backoff));
  }

  private static boolean mayPass(TallykeeperException error) {
    // INTERNAL is a defect of the server, unless gRPC says with it that the connection has reset the stream.
    boolean reset = error.code() == Status.Code.INTERNAL && error.getMessage().contains("RST_STREAM");
    return AGAIN_CODES.contains(error.code()) || AGAIN_REASONS.contains(error.reason()) || reset;
  }
}
