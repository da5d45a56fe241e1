package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WatchRetryTest {
  private final WatchRetry longest = new WatchRetry(() -> 1.0);

  @Test
  void doublesThePauseUpToFiveSeconds() {
    List<Long> pauses = IntStream.range(0, 8).mapToObj(each -> pause(longest, Status.Code.UNAVAILABLE)).toList();
    assertEquals(List.of(100L, 200L, 400L, 800L, 1_600L, 3_200L, 5_000L, 5_000L), pauses);
  }

  @Test
  void drawsHalfOfThePause() {
    assertEquals(50, pause(new WatchRetry(() -> 0.0), Status.Code.UNAVAILABLE));
  }

  @Test
  void beginsAnewAfterAResponse() {
    pause(longest, Status.Code.UNAVAILABLE);
    pause(longest, Status.Code.UNAVAILABLE);
    longest.reset();
    assertEquals(100, pause(longest, Status.Code.UNAVAILABLE));
  }

  @Test
  void staysAtFiveSecondsHoweverOftenItFails() {
    IntStream.range(0, 1_000).forEach(each -> pause(longest, Status.Code.UNAVAILABLE));
    assertEquals(5_000, pause(longest, Status.Code.UNAVAILABLE));
  }

  @Test
  void waitsAsLongAsTheServerAsks() {
    Failure overloaded =
        new Failure(
            Status.Code.RESOURCE_EXHAUSTED,
            "OVERLOADED",
            "",
            Map.of(),
            Duration.ofSeconds(2),
            "",
            List.of(),
            List.of(),
            List.of(),
            null);
    assertEquals(Optional.of(Duration.ofSeconds(2)), longest.pause(Errors.exception(overloaded)));
  }

  @ParameterizedTest
  @CsvSource({
    "UNAVAILABLE, SHUTTING_DOWN, gone",
    "CANCELLED, CANCELLED, gone",
    "UNKNOWN, UNKNOWN, gone",
    "DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, gone",
    "RESOURCE_EXHAUSTED, WATCHER_TOO_SLOW, slow",
    "RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED, too_many_pings",
    "INTERNAL, INTERNAL, RST_STREAM closed stream",
  })
  void goesOnAfterWhatMayPass(Status.Code code, String reason, String message) {
    assertTrue(longest.pause(error(code, reason, message)).isPresent());
  }

  @ParameterizedTest
  @CsvSource({
    "OUT_OF_RANGE, REVISION_TRIMMED, x",
    "DATA_LOSS, REVISIONS_LOST, x",
    "RESOURCE_EXHAUSTED, REQUEST_TOO_LARGE, x",
    "PERMISSION_DENIED, PERMISSION_DENIED, x",
    "INVALID_ARGUMENT, INVALID_FIELD, x",
    "UNAUTHENTICATED, CREDENTIAL_MISSING, x",
    "UNIMPLEMENTED, UNIMPLEMENTED, x",
    "INTERNAL, INTERNAL, a defect",
  })
  void endsWithWhatStays(Status.Code code, String reason, String message) {
    assertEquals(Optional.empty(), longest.pause(error(code, reason, message)));
  }

  private static long pause(WatchRetry retry, Status.Code code) {
    return retry.pause(error(code, code.name(), "")).orElseThrow().toMillis();
  }

  private static TallykeeperException error(Status.Code code, String reason, String message) {
    return Errors.exception(
        new Failure(code, reason, message, Map.of(), null, "", List.of(), List.of(), List.of(), null));
  }
}
