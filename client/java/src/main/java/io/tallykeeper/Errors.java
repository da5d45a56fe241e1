package io.tallykeeper;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import io.tallykeeper.v1.BatchRefused;
import io.tallykeeper.v1.Shortages;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Reads what a failed call says, and makes the exception of its reason. */
final class Errors {
  static final String CREDENTIAL_EXPIRED = "CREDENTIAL_EXPIRED";

  private static final String DOMAIN = "tallykeeper.io";
  private static final Metadata.Key<com.google.rpc.Status> DETAILS =
      Metadata.Key.of(
          "grpc-status-details-bin",
          ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

  private static final Map<String, Function<Failure, TallykeeperException>> BY_REASON =
      Map.ofEntries(
          Map.entry("BATCH_REFUSED", BatchRefusedException::new),
          Map.entry("COMMIT_EXCEEDS_RESERVED", CommitExceedsReservedException::new),
          Map.entry("COUNTER_BOUND_EXCEEDED", CounterBoundExceededException::new),
          Map.entry("COUNTER_NOT_FOUND", CounterNotFoundException::new),
          Map.entry(CREDENTIAL_EXPIRED, CredentialException::new),
          Map.entry("CREDENTIAL_INVALID", CredentialException::new),
          Map.entry("CREDENTIAL_MISSING", CredentialException::new),
          Map.entry("INSUFFICIENT_STOCK", InsufficientStockException::new),
          Map.entry("INVALID_FIELD", InvalidFieldException::new),
          Map.entry("ITEM_NOT_FOUND", ItemNotFoundException::new),
          Map.entry("NOT_DURABLE_YET", NotDurableYetException::new),
          Map.entry("OUTCOME_UNKNOWN", OutcomeUnknownException::new),
          Map.entry("OVERLOADED", RetryLaterException::new),
          Map.entry("PAGE_TOKEN_INVALID", InvalidFieldException::new),
          Map.entry("PERMISSION_DENIED", PermissionDeniedException::new),
          Map.entry("RATE_LIMITED", RetryLaterException::new),
          Map.entry("REQUEST_ID_REUSED", RequestIdReusedException::new),
          Map.entry("RESERVATION_COMMITTED", ReservationEndedException::new),
          Map.entry("RESERVATION_EXPIRED", ReservationEndedException::new),
          Map.entry("RESERVATION_NOT_FOUND", ReservationNotFoundException::new),
          Map.entry("RESERVATION_RELEASED", ReservationEndedException::new),
          Map.entry("REVISIONS_LOST", RevisionsLostException::new),
          Map.entry("REVISION_TRIMMED", RevisionTrimmedException::new),
          Map.entry("STORE_OUT_OF_MEMORY", RetryLaterException::new),
          Map.entry("TOO_MANY_WATCHES", RetryLaterException::new),
          Map.entry("VALUE_CHANGED", ValueChangedException::new));

  private Errors() {}

  /**
   * Makes the exception of a call that gRPC ended with an error.
   *
   * @param requestId the id that was sent; empty for a read
   */
  static TallykeeperException read(Throwable error, Peer peer, String requestId) {
    Status status = Status.fromThrowable(error);
    Metadata trailers = Status.trailersFromThrowable(error);
    com.google.rpc.Status details = details(trailers);
    Failure failure =
        isOurs(details)
            ? failure(status.getCode(), details.getMessage(), details.getDetailsList(), requestId, error)
            : Failure.of(status.getCode(), message(status, peer), requestId, error);
    return exception(failure);
  }

  /**
   * Makes the exception that an operation's own call would have thrown.
   *
   * @param requestId the id of the batch
   */
  static TallykeeperException read(io.tallykeeper.v1.Status status, String requestId) {
    Status.Code code = Status.fromCodeValue(status.getCode()).getCode();
    return exception(failure(code, status.getMessage(), status.getDetailsList(), requestId, null));
  }

  /** Makes the exception of a failure: a plain TallykeeperException if a value that its reason needs is missing. */
  static TallykeeperException exception(Failure failure) {
    try {
      return BY_REASON.getOrDefault(failure.reason(), Errors::byCode).apply(failure);
    } catch (IllegalArgumentException error) {
      return new TallykeeperException(failure);
    }
  }

  /** Makes the exception of a call or a watch that this process itself gave up. */
  static TallykeeperException cancelled(String message, String requestId, Throwable cause) {
    return new TallykeeperException(Failure.of(Status.Code.CANCELLED, message, requestId, cause));
  }

  private static TallykeeperException byCode(Failure failure) {
    return switch (failure.code()) {
      case UNAVAILABLE -> new UnavailableException(failure);
      case DEADLINE_EXCEEDED -> new DeadlineExceededException(failure);
      default -> new TallykeeperException(failure);
    };
  }

  private static Failure failure(
      Status.Code code, String message, List<Any> details, String requestId, Throwable cause) {
    ErrorInfo info = detail(details, ErrorInfo.getDefaultInstance());
    RetryInfo retry = detail(details, RetryInfo.getDefaultInstance());
    String reason = info.getReason().isEmpty() ? code.name() : info.getReason();
    return new Failure(
        code,
        reason,
        message,
        info.getMetadataMap(),
        retry.hasRetryDelay() ? duration(retry.getRetryDelay()) : null,
        requestId,
        fieldViolations(details),
        detail(details, Shortages.getDefaultInstance()).getShortagesList(),
        operations(details, requestId),
        cause);
  }

  private static com.google.rpc.Status details(Metadata trailers) {
    try {
      com.google.rpc.Status details = trailers == null ? null : trailers.get(DETAILS);
      return details == null ? com.google.rpc.Status.getDefaultInstance() : details;
    } catch (IllegalArgumentException error) { // another server's trailer that is no google.rpc.Status
      return com.google.rpc.Status.getDefaultInstance();
    }
  }

  private static boolean isOurs(com.google.rpc.Status details) {
    return detail(details.getDetailsList(), ErrorInfo.getDefaultInstance()).getDomain().equals(DOMAIN);
  }

  /** Returns the detail of one kind; an empty detail if the error has none, or it cannot be read. */
  @SuppressWarnings("unchecked") // the class of the detail is that of the empty one
  private static <T extends Message> T detail(List<Any> details, T empty) {
    for (Any detail : details) {
      if (detail.is(empty.getClass())) {
        try {
          return (T) detail.unpack(empty.getClass());
        } catch (InvalidProtocolBufferException error) {
          return empty;
        }
      }
    }
    return empty;
  }

  private static List<FieldViolation> fieldViolations(List<Any> details) {
    return detail(details, BadRequest.getDefaultInstance()).getFieldViolationsList().stream()
        .map(each -> new FieldViolation(each.getField(), each.getDescription()))
        .toList();
  }

  private static List<OperationFailure> operations(List<Any> details, String requestId) {
    return detail(details, BatchRefused.getDefaultInstance()).getOperationsList().stream()
        .map(each -> new OperationFailure(each.getIndex(), read(each.getError(), requestId)))
        .toList();
  }

  private static Duration duration(com.google.protobuf.Duration delay) {
    return Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
  }

  private static String message(Status status, Peer peer) {
    String address = peer.address();
    String description = description(status);
    return switch (status.getCode()) {
      case UNAVAILABLE -> "no Tallykeeper server answers at " + address + ": " + description;
      case DEADLINE_EXCEEDED -> peer.isConnected()
          ? address + " did not answer before the deadline"
          : "there was no connection to " + address + " before the deadline";
      case UNIMPLEMENTED -> "the gRPC server at "
          + address
          + " does not know this call: it is no Tallykeeper server, or an older one";
      default -> "the call to " + address + " failed with " + status.getCode() + ": " + description;
    };
  }

  /**
   * Returns the first line of gRPC's description, and of the cause: gRPC itself often says only "io exception". Further
   * lines are stack traces.
   */
  private static String description(Status status) {
    String description = firstLine(status.getDescription());
    String cause = status.getCause() == null ? "" : firstLine(status.getCause().getMessage());
    return cause.isEmpty() ? description : description + " (" + cause + ")";
  }

  private static String firstLine(String text) {
    return text == null ? "" : text.lines().findFirst().orElse("");
  }
}
