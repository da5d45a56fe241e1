package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls to a server that fails as a test says. */
class CallTest {
  private FakeServer server;
  private TallykeeperClient client;

  @BeforeEach
  void connect() throws IOException {
    server = new FakeServer();
    client = patient().build();
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    server.close();
  }

  @Test
  void sendsNamespaceAndRequestId() {
    client.withNamespace("shop").increment("visitors");
    IncrementRequest sent = server.increments.remove();
    assertEquals("shop", sent.getNamespace());
    assertEquals(36, sent.getRequestId().length());
  }

  @Test
  void repeatsWithTheSameRequestIdWhatMetAnUnavailableServer() {
    server.failNext(Status.UNAVAILABLE.asRuntimeException());
    server.failNext(FakeServer.error(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE", Map.of()));
    assertEquals(3, client.increment("visitors").getRevision());
    assertEquals(1, server.increments.stream().distinct().count());
  }

  @Test
  void repeatsWhatAProxyCancelled() {
    server.failNext(Status.CANCELLED.asRuntimeException());
    assertEquals(2, client.increment("visitors").getRevision());
    assertEquals(server.increments.remove(), server.increments.remove());
  }

  @Test
  void repeatsOnAnotherConnectionWhatMetAClosedOne() {
    try (TallykeeperClient repeating = clientOf(new ClosedConnections(4), true)) {
      assertEquals(1, repeating.increment("visitors").getRevision());
    }
  }

  @Test
  void meetsFiveClosedConnectionsAtMost() {
    try (TallykeeperClient repeating = clientOf(new ClosedConnections(5), true)) {
      TallykeeperException error = assertThrows(TallykeeperException.class, () -> repeating.increment("visitors"));
      assertEquals(Status.Code.UNKNOWN, error.code());
    }
  }

  @Test
  void repeatsNothingOnAnotherConnectionWithoutRetries() {
    try (TallykeeperClient once = clientOf(new ClosedConnections(1), false)) {
      assertThrows(TallykeeperException.class, () -> once.increment("visitors"));
    }
    assertTrue(server.increments.isEmpty());
  }

  @Test
  void repeatsAfterThePauseThatTheServerAsksFor() {
    server.failNext(pushback("0"));
    assertEquals(2, client.increment("visitors").getRevision());
  }

  @Test
  void repeatsNothingWhereTheServerForbidsIt() {
    server.failNext(pushback("-1"));
    TallykeeperException error = assertThrows(TallykeeperException.class, () -> client.increment("visitors"));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, error.code());
    assertEquals(1, server.increments.size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"UNKNOWN", "INTERNAL", "ABORTED", "FAILED_PRECONDITION"})
  void repeatsNoOtherFailure(String code) {
    server.failNext(Status.fromCode(Status.Code.valueOf(code)).asRuntimeException());
    TallykeeperException error = assertThrows(TallykeeperException.class, () -> client.increment("visitors"));
    assertEquals(code, error.code().name());
    assertEquals(server.increments.remove().getRequestId(), error.requestId());
    assertTrue(server.increments.isEmpty());
  }

  @Test
  void sendsACallFiveTimesAtMost() {
    for (int attempt = 0; attempt < 6; attempt++) {
      server.failNext(unavailable("0"));
    }
    assertThrows(UnavailableException.class, () -> client.increment("visitors"));
    assertEquals(5, server.increments.size());
  }

  @Test
  void repeatsNothingWithoutRetries() {
    server.failNext(Status.UNAVAILABLE.asRuntimeException());
    try (TallykeeperClient once = patient().retries(false).build()) {
      assertThrows(UnavailableException.class, () -> once.increment("visitors"));
    }
    assertEquals(1, server.increments.size());
  }

  @Test
  void bridgesAPortThatIsClosedForFourSeconds() throws Exception {
    client.increment("visitors");
    server.stop();
    CompletableFuture<IncrementResponse> call = client.async().increment("visitors");
    ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
    try {
      later.schedule(
          () -> {
            server.start();
            return null;
          },
          4,
          TimeUnit.SECONDS);
      assertEquals(2, call.get().getRevision());
    } finally {
      later.shutdown();
      assertTrue(later.awaitTermination(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS));
    }
  }

  @Test
  void endsAtTheDeadline() {
    server.beSilent();
    TallykeeperClient hurried = client.withTimeout(Duration.ofMillis(50));
    TallykeeperException error = assertThrows(DeadlineExceededException.class, () -> hurried.increment("visitors"));
    assertEquals("DEADLINE_EXCEEDED", error.reason());
    assertNotEquals("", error.requestId());
  }

  @Test
  void endsAtTheDeadlineWhereNoServerListens() throws Exception {
    server.stop();
    TallykeeperClient hurried = client.withTimeout(Duration.ofMillis(50));
    TallykeeperException error = assertThrows(DeadlineExceededException.class, () -> hurried.increment("visitors"));
    assertEquals("there was no connection to " + server.address() + " before the deadline", error.getMessage());
  }

  @Test
  void throwsWithTheStackTraceOfItsCaller() {
    server.failNext(Status.ABORTED.asRuntimeException());
    TallykeeperException error = assertThrows(TallykeeperException.class, () -> client.increment("visitors"));
    assertTrue(
        Arrays.stream(error.getStackTrace()).anyMatch(frame -> frame.getClassName().equals(CallTest.class.getName())));
    assertInstanceOf(StatusRuntimeException.class, error.getCause());
  }

  @Test
  void endsACallWhoseThreadIsInterrupted() throws Exception {
    server.beSilent();
    CompletableFuture<Throwable> thrown = new CompletableFuture<>();
    Thread caller =
        new Thread(() -> thrown.complete(assertThrows(TallykeeperException.class, () -> client.increment("visitors"))));
    caller.start();
    server.increments.take();
    caller.interrupt();
    TallykeeperException error = (TallykeeperException) thrown.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS);
    assertEquals(Status.Code.CANCELLED, error.code());
  }

  @Test
  void completesAFutureWithTheException() {
    server.failNext(Status.ABORTED.asRuntimeException());
    CompletableFuture<IncrementResponse> call = client.async().increment("visitors");
    ExecutionException error = assertThrows(ExecutionException.class, call::get);
    assertEquals("ABORTED", assertInstanceOf(TallykeeperException.class, error.getCause()).reason());
  }

  @Test
  void cancelsTheCallOfACancelledFuture() throws Exception {
    server.beSilent();
    CompletableFuture<IncrementResponse> call = client.async().increment("visitors");
    CompletableFuture<Long> part = Calls.map(call, IncrementResponse::getRevision);
    server.increments.take();
    assertTrue(part.cancel(true));
    assertTrue(call.isCancelled());
  }

  @Test
  void sendsItsToken() {
    try (TallykeeperClient known = patient().token("tk.web.secret").build()) {
      known.increment("visitors");
    }
    assertEquals("Bearer tk.web.secret", server.tokens.remove());
  }

  @Test
  void asksForAnotherTokenWhenTheServerCallsItExpired() {
    Iterator<String> source = List.of("first", "second").iterator();
    server.failNext(FakeServer.error(Status.Code.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", Map.of()));
    try (TallykeeperClient known = patient().token(source::next).build()) {
      assertEquals(2, known.increment("visitors").getRevision());
      assertEquals(3, known.increment("visitors").getRevision());
    }
    assertEquals(List.of("Bearer first", "Bearer second", "Bearer second"), List.copyOf(server.tokens));
    assertEquals(server.increments.remove(), server.increments.remove());
  }

  @Test
  void asksForAnotherTokenOnceForEachCall() {
    server.failNext(FakeServer.error(Status.Code.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", Map.of()));
    server.failNext(FakeServer.error(Status.Code.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", Map.of()));
    try (TallykeeperClient known = patient().token(() -> "expired").build()) {
      assertThrows(CredentialException.class, () -> known.increment("visitors"));
    }
    assertEquals(2, server.increments.size());
  }

  @Test
  void repeatsNothingWithATokenThatNeverChanges() {
    server.failNext(FakeServer.error(Status.Code.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", Map.of()));
    try (TallykeeperClient known = patient().token("expired").build()) {
      assertThrows(CredentialException.class, () -> known.increment("visitors"));
    }
    assertEquals(1, server.increments.size());
  }

  @Test
  void failsTheCallIfTheSourceOfTokensFails() {
    try (TallykeeperClient known = patient().token(() -> "").build()) {
      TallykeeperException error = assertThrows(TallykeeperException.class, () -> known.increment("visitors"));
      assertEquals(Status.Code.UNAUTHENTICATED, error.code());
      assertTrue(error.getMessage().contains("a token is printable ASCII"));
    }
    assertTrue(server.increments.isEmpty());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "two words", "schlüssel", "line\n"})
  void refusesATokenThatNoHeaderMayHold(String token) {
    assertThrows(IllegalArgumentException.class, () -> patient().token(token));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "http://127.0.0.1:50051", "GRPCS://host:1"})
  void refusesAnAddressThatIsNone(String address) {
    assertThrows(IllegalArgumentException.class, () -> TallykeeperClient.builder(address));
  }

  @Test
  void refusesATimeoutOfNothing() {
    assertThrows(IllegalArgumentException.class, () -> client.withTimeout(Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> client.withTimeout(Duration.ofMillis(-1)));
  }

  @Test
  void namesTheFileForTlsThatIsMissing() {
    TallykeeperClientBuilder builder = patient().tls(Path.of("missing.pem"));
    assertTrue(assertThrows(UncheckedIOException.class, builder::build).getMessage().contains("missing.pem"));
  }

  @Test
  void failsAfterItWasClosed() {
    client.close();
    assertThrows(UnavailableException.class, () -> client.increment("visitors"));
  }

  private TallykeeperClientBuilder patient() {
    return TallykeeperClient.builder(server.address()).timeout(Duration.ofSeconds(FakeServer.PATIENCE_SECONDS));
  }

  private TallykeeperClient clientOf(ClosedConnections closed, boolean repeats) {
    ManagedChannel channel =
        Grpc.newChannelBuilder(server.address(), InsecureChannelCredentials.create()).intercept(closed).build();
    Connection connection = new Connection(channel, server.address(), null, repeats);
    return new TallykeeperClient(new Calls(connection, "", Duration.ofSeconds(FakeServer.PATIENCE_SECONDS)));
  }

  private static StatusRuntimeException pushback(String milliseconds) {
    Metadata trailers = new Metadata();
    trailers.put(FakeServer.PUSHBACK, milliseconds);
    return Status.RESOURCE_EXHAUSTED.asRuntimeException(trailers);
  }

  private static StatusRuntimeException unavailable(String pushback) {
    Metadata trailers = new Metadata();
    trailers.put(FakeServer.PUSHBACK, pushback);
    return Status.UNAVAILABLE.asRuntimeException(trailers);
  }

  /** Fails the first calls as grpc-java fails one whose connection is closed when it is about to be written. */
  private static final class ClosedConnections implements ClientInterceptor {
    private int left;

    ClosedConnections(int count) {
      this.left = count;
    }

    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      if (left == 0) {
        return next.newCall(method, options);
      }
      left--;
      return new ClosedCall<>();
    }
  }

  private static final class ClosedCall<Q, R> extends ClientCall<Q, R> {
    @Override
    public void start(Listener<R> listener, Metadata headers) {
      Status closed = Status.UNKNOWN.withDescription("channel closed").withCause(new ClosedChannelException());
      listener.onClose(closed, new Metadata());
    }

    @Override
    public void request(int count) {}

    @Override
    public void cancel(String message, Throwable cause) {}

    @Override
    public void halfClose() {}

    @Override
    public void sendMessage(Q message) {}
  }
}
