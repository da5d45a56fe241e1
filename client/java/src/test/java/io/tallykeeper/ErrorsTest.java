package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.tallykeeper.v1.BatchRefused;
import io.tallykeeper.v1.FailedOperation;
import io.tallykeeper.v1.Shortage;
import io.tallykeeper.v1.Shortages;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ErrorsTest {
  private static final Peer PEER = new Peer("127.0.0.1:1", true);
  private static final Shortage SHORT =
      Shortage.newBuilder().setItem("dune").setLocation("main").setRequested(2).setAvailable(1).build();

  @Test
  void hasEverythingThatTheServerSaid() {
    Map<String, String> values = Map.of("identity", "till-1", "calls_per_second", "5", "burst", "10");
    RetryInfo retry =
        RetryInfo.newBuilder().setRetryDelay(com.google.protobuf.Duration.newBuilder().setNanos(200_000_000)).build();
    TallykeeperException error = read(Status.Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", values, retry);
    assertInstanceOf(RetryLaterException.class, error);
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, error.code());
    assertEquals("RATE_LIMITED", error.reason());
    assertEquals("because", error.getMessage());
    assertEquals(values, error.values());
    assertEquals(Optional.of(Duration.ofMillis(200)), error.retryAfter());
    assertEquals("request-1", error.requestId());
  }

  @ParameterizedTest
  @CsvSource({
    "UNAUTHENTICATED, CREDENTIAL_EXPIRED, CredentialException",
    "UNAUTHENTICATED, CREDENTIAL_INVALID, CredentialException",
    "UNAUTHENTICATED, CREDENTIAL_MISSING, CredentialException",
    "INVALID_ARGUMENT, PAGE_TOKEN_INVALID, InvalidFieldException",
    "INVALID_ARGUMENT, REQUEST_ID_REUSED, RequestIdReusedException",
    "RESOURCE_EXHAUSTED, OVERLOADED, RetryLaterException",
    "RESOURCE_EXHAUSTED, STORE_OUT_OF_MEMORY, RetryLaterException",
    "RESOURCE_EXHAUSTED, TOO_MANY_WATCHES, RetryLaterException",
    "UNAVAILABLE, OUTCOME_UNKNOWN, OutcomeUnknownException",
    "UNKNOWN, OUTCOME_UNKNOWN, OutcomeUnknownException",
    "UNAVAILABLE, NOT_DURABLE_YET, NotDurableYetException",
    "UNAVAILABLE, STORE_UNAVAILABLE, UnavailableException",
    "UNAVAILABLE, SHUTTING_DOWN, UnavailableException",
    "DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, DeadlineExceededException",
    "FAILED_PRECONDITION, A_REASON_OF_LATER_VERSIONS, TallykeeperException",
    "INTERNAL, INTERNAL, TallykeeperException",
  })
  void hasAClassForEachReasonThatProgramsHandle(Status.Code code, String reason, String type) {
    TallykeeperException error = read(code, reason, Map.of());
    assertEquals(type, error.getClass().getSimpleName());
    assertEquals(reason, error.reason());
  }

  @Test
  void namesTheShortLines() {
    Shortage second = SHORT.toBuilder().setItem("emma").setAvailable(-1).build();
    Shortages detail = Shortages.newBuilder().addShortages(SHORT).addShortages(second).setCount(2).build();
    TallykeeperException error = read(Status.Code.FAILED_PRECONDITION, "INSUFFICIENT_STOCK", Map.of(), detail);
    assertEquals(List.of(SHORT, second), assertInstanceOf(InsufficientStockException.class, error).shortages());
  }

  @Test
  void namesWhatACommitAsksForTooMuch() {
    Shortage line = Shortage.newBuilder().setItem("dune").setRequested(2).setReserved(1).build();
    Shortages detail = Shortages.newBuilder().addShortages(line).setCount(1).build();
    TallykeeperException error = read(Status.Code.FAILED_PRECONDITION, "COMMIT_EXCEEDS_RESERVED", Map.of(), detail);
    assertEquals(List.of(line), assertInstanceOf(CommitExceedsReservedException.class, error).shortages());
  }

  @ParameterizedTest
  @CsvSource({"INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"})
  void isThePlainExceptionWithoutAShortLine(String reason) {
    Map<String, String> values =
        Map.of("item", "dune", "location", "main", "requested", "2", "available", "1", "reserved", "1");
    Shortages empty = Shortages.newBuilder().setCount(1).build();
    for (TallykeeperException error :
        List.of(
            read(Status.Code.FAILED_PRECONDITION, reason, values),
            read(Status.Code.FAILED_PRECONDITION, reason, values, empty))) {
      assertSame(TallykeeperException.class, error.getClass());
      assertEquals(reason, error.reason());
    }
  }

  @Test
  void readsTheNumbersOfACounter() {
    Map<String, String> values = Map.of("value", "9", "delta", "2", "max", "10");
    TallykeeperException error = read(Status.Code.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED", values);
    CounterBoundExceededException exceeded = assertInstanceOf(CounterBoundExceededException.class, error);
    assertEquals(9, exceeded.value());
    assertEquals(OptionalLong.of(2), exceeded.delta());
    assertEquals(OptionalLong.empty(), exceeded.min());
    assertEquals(OptionalLong.of(10), exceeded.max());
  }

  @Test
  void readsTheNamesOfWhatIsMissing() {
    TallykeeperException counter = read(Status.Code.NOT_FOUND, "COUNTER_NOT_FOUND", Map.of("counter", "x"));
    TallykeeperException item = read(Status.Code.NOT_FOUND, "ITEM_NOT_FOUND", Map.of("item", "dune"));
    TallykeeperException level =
        read(Status.Code.NOT_FOUND, "ITEM_NOT_FOUND", Map.of("item", "dune", "location", "attic"));
    TallykeeperException basket =
        read(Status.Code.NOT_FOUND, "RESERVATION_NOT_FOUND", Map.of("reservation_id", "basket-1"));
    assertTrue(Stream.of(counter, item, level, basket).allMatch(NotFoundException.class::isInstance));
    assertEquals("x", ((CounterNotFoundException) counter).counter());
    assertEquals("dune", ((ItemNotFoundException) item).item());
    assertEquals(Optional.empty(), ((ItemNotFoundException) item).location());
    assertEquals(Optional.of("attic"), ((ItemNotFoundException) level).location());
    assertEquals("basket-1", ((ReservationNotFoundException) basket).reservationId());
  }

  @ParameterizedTest
  @CsvSource({"RESERVATION_COMMITTED", "RESERVATION_EXPIRED", "RESERVATION_RELEASED"})
  void readsWhichReservationHasEnded(String reason) {
    TallykeeperException error = read(Status.Code.FAILED_PRECONDITION, reason, Map.of("reservation_id", "basket-1"));
    assertEquals("basket-1", assertInstanceOf(ReservationEndedException.class, error).reservationId());
  }

  @Test
  void readsTheOtherValues() {
    TallykeeperException changed = read(Status.Code.ABORTED, "VALUE_CHANGED", Map.of("actual", "3", "expected", "2"));
    assertEquals(3, assertInstanceOf(ValueChangedException.class, changed).actual());
    assertEquals(2, ((ValueChangedException) changed).expected());
    TallykeeperException trimmed = read(Status.Code.OUT_OF_RANGE, "REVISION_TRIMMED", Map.of("oldest", "7"));
    assertEquals(7, assertInstanceOf(RevisionTrimmedException.class, trimmed).oldest());
    TallykeeperException lost = read(Status.Code.DATA_LOSS, "REVISIONS_LOST", Map.of("revision", "5"));
    assertEquals(5, assertInstanceOf(RevisionsLostException.class, lost).revision());
    Map<String, String> denial = Map.of("identity", "till-1", "role", "writer", "namespace", "shop");
    PermissionDeniedException denied =
        assertInstanceOf(
            PermissionDeniedException.class, read(Status.Code.PERMISSION_DENIED, "PERMISSION_DENIED", denial));
    assertEquals(List.of("till-1", "writer", "shop"), List.of(denied.identity(), denied.role(), denied.namespace()));
  }

  @Test
  void namesEachBadField() {
    BadRequest detail =
        BadRequest.newBuilder()
            .addFieldViolations(
                BadRequest.FieldViolation.newBuilder().setField("delta").setDescription("must not be 0"))
            .build();
    TallykeeperException error = read(Status.Code.INVALID_ARGUMENT, "INVALID_FIELD", Map.of("field", "delta"), detail);
    assertEquals(
        List.of(new FieldViolation("delta", "must not be 0")),
        assertInstanceOf(InvalidFieldException.class, error).violations());
  }

  @Test
  void givesTheErrorOfEachOperationOfARefusedBatch() {
    ErrorInfo info =
        ErrorInfo.newBuilder().setDomain("tallykeeper.io").setReason("INSUFFICIENT_STOCK").build();
    Shortages lines = Shortages.newBuilder().addShortages(SHORT).setCount(1).build();
    BatchRefused detail =
        BatchRefused.newBuilder()
            .addOperations(
                FailedOperation.newBuilder()
                    .setIndex(3)
                    .setError(
                        io.tallykeeper.v1.Status.newBuilder()
                            .setCode(9)
                            .addDetails(Any.pack(info))
                            .addDetails(Any.pack(lines))))
            .build();
    TallykeeperException error =
        read(Status.Code.FAILED_PRECONDITION, "BATCH_REFUSED", Map.of("failed_count", "1"), detail);
    OperationFailure failure = assertInstanceOf(BatchRefusedException.class, error).operations().get(0);
    assertEquals(3, failure.index());
    assertEquals(Status.Code.FAILED_PRECONDITION, failure.error().code());
    assertEquals("request-1", failure.error().requestId());
    assertEquals(List.of(SHORT), ((InsufficientStockException) failure.error()).shortages());
  }

  @ParameterizedTest
  @CsvSource({"INSUFFICIENT_STOCK", "COUNTER_BOUND_EXCEEDED", "ITEM_NOT_FOUND", "PERMISSION_DENIED", "BATCH_REFUSED"})
  void isThePlainExceptionWhereAPromisedValueIsMissing(String reason) {
    assertSame(TallykeeperException.class, read(Status.Code.FAILED_PRECONDITION, reason, Map.of()).getClass());
  }

  @Test
  void isThePlainExceptionWhereANumberIsNone() {
    TallykeeperException error =
        read(Status.Code.ABORTED, "VALUE_CHANGED", Map.of("actual", "many", "expected", "2"));
    assertSame(TallykeeperException.class, error.getClass());
    assertEquals("VALUE_CHANGED", error.reason());
  }

  @Test
  void namesTheAddressWhereNoTallykeeperAnswered() {
    StatusRuntimeException broken = Status.UNAVAILABLE.withDescription("io exception").asRuntimeException();
    TallykeeperException error = Errors.read(broken, new Peer("10.0.0.1:1", false), "");
    assertInstanceOf(UnavailableException.class, error);
    assertEquals("UNAVAILABLE", error.reason());
    assertEquals("no Tallykeeper server answers at 10.0.0.1:1: io exception", error.getMessage());
  }

  @Test
  void saysWhatWasMissingBeforeTheDeadline() {
    StatusRuntimeException late = Status.DEADLINE_EXCEEDED.withDescription("[closed=[]]").asRuntimeException();
    assertEquals("127.0.0.1:1 did not answer before the deadline", Errors.read(late, PEER, "").getMessage());
    assertEquals(
        "there was no connection to 10.0.0.1:1 before the deadline",
        Errors.read(late, new Peer("10.0.0.1:1", false), "").getMessage());
  }

  @Test
  void hasNoStackTraceInItsMessage() {
    IOException refused = new IOException("refused\n\tat x");
    Status broken = Status.UNAVAILABLE.withDescription("io exception").withCause(refused);
    assertEquals(
        "no Tallykeeper server answers at 127.0.0.1:1: io exception (refused)",
        Errors.read(broken.asRuntimeException(), PEER, "").getMessage());
  }

  @Test
  void takesNoReasonFromAnotherService() {
    ErrorInfo info = ErrorInfo.newBuilder().setDomain("example.com").setReason("INSUFFICIENT_STOCK").build();
    com.google.rpc.Status status =
        com.google.rpc.Status.newBuilder().setCode(9).addDetails(Any.pack(info)).build();
    assertEquals(
        "FAILED_PRECONDITION", Errors.read(StatusProto.toStatusRuntimeException(status), PEER, "").reason());
  }

  @Test
  void readsAnErrorWhoseDetailsAreNoStatus() {
    Metadata trailers = new Metadata();
    trailers.put(Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER), new byte[] {1, 2, 3});
    TallykeeperException error = Errors.read(Status.ABORTED.asRuntimeException(trailers), PEER, "");
    assertEquals("ABORTED", error.reason());
  }

  private static TallykeeperException read(
      Status.Code code, String reason, Map<String, String> values, Message... details) {
    ErrorInfo info =
        ErrorInfo.newBuilder().setDomain("tallykeeper.io").setReason(reason).putAllMetadata(values).build();
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage("because").addDetails(Any.pack(info));
    for (Message detail : details) {
      status.addDetails(Any.pack(detail));
    }
    return Errors.read(StatusProto.toStatusRuntimeException(status.build()), PEER, "request-1");
  }
}
