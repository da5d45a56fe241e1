package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tallykeeper.v1.ApplyResponse;
import io.tallykeeper.v1.BatchMode;
import io.tallykeeper.v1.ConfigureCounterRequest;
import io.tallykeeper.v1.Counter;
import io.tallykeeper.v1.Entry;
import io.tallykeeper.v1.GetReservationRequest;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import io.tallykeeper.v1.ListCountersRequest;
import io.tallykeeper.v1.ListEntriesRequest;
import io.tallykeeper.v1.ListNamespacesRequest;
import io.tallykeeper.v1.ListReservationsRequest;
import io.tallykeeper.v1.ListStockRequest;
import io.tallykeeper.v1.OperationKind;
import io.tallykeeper.v1.ReservationState;
import io.tallykeeper.v1.StockLevel;
import io.tallykeeper.v1.StockLine;
import io.tallykeeper.v1.VerifyNamespaceRequest;
import io.tallykeeper.v1.VerifyProgress;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The client and a server of Tallykeeper: the one that TALLYKEEPER_TEST_SERVER names, or one of this checkout. */
class RealServerTest {
  private static final Duration PATIENCE = Duration.ofSeconds(FakeServer.PATIENCE_SECONDS);

  @TempDir private static Path folder;
  private static RealServer server;
  private static String address;
  private TallykeeperClient client;

  @BeforeAll
  static void start() throws IOException {
    address = System.getenv("TALLYKEEPER_TEST_SERVER");
    if (address == null) {
      server = new RealServer(folder);
      address = server.address();
    }
  }

  @AfterAll
  static void stop() throws InterruptedException {
    if (server != null) {
      server.close();
    }
  }

  @BeforeEach
  void connect() {
    client = TallykeeperClient.builder(address).namespace(freshNamespace()).timeout(PATIENCE).build();
  }

  @AfterEach
  void close() {
    client.close();
  }

  @Test
  void counts() {
    assertEquals(1, client.increment("visitors").getCounter().getValue());
    assertEquals(-1, client.increment("visitors", -2).getCounter().getValue());
    assertEquals(9, client.setCounter("visitors", 9).getCounter().getValue());
    assertEquals(9, client.getCounter("visitors").getValue());
    client.configureCounter(ConfigureCounterRequest.newBuilder().setCounter("visitors").setMax(10).build());
    CounterBoundExceededException error =
        assertThrows(CounterBoundExceededException.class, () -> client.increment("visitors", 2));
    assertEquals(10, error.max().orElseThrow());
    assertEquals("x", assertThrows(CounterNotFoundException.class, () -> client.getCounter("x")).counter());
  }

  @Test
  void takesAndReturnsCopies() {
    client.setStock("dune", 3);
    assertEquals(1, client.takeCopies("dune", 2).getStockLevel().getAvailable());
    InsufficientStockException error =
        assertThrows(InsufficientStockException.class, () -> client.takeCopies("dune", 2));
    assertEquals(1, error.shortages().get(0).getAvailable());
    client.returnCopies("dune", 1);
    assertEquals(2, client.getStock("dune").getOnHand());
    assertThrows(ItemNotFoundException.class, () -> client.getStock("emma"));
  }

  @Test
  void countsARepeatOnce() {
    IncrementRequest request =
        IncrementRequest.newBuilder().setCounter("orders").setRequestId(TallykeeperClient.newRequestId()).build();
    client.increment(request);
    IncrementResponse repeated = client.increment(request);
    assertTrue(repeated.getReplayed());
    assertEquals(1, repeated.getCounter().getValue());
    assertThrows(
        RequestIdReusedException.class, () -> client.increment(request.toBuilder().setDelta(2).build()));
  }

  @Test
  void reserves() {
    client.setStock("dune", 3);
    StockLine line = StockLine.newBuilder().setItem("dune").setCopies(2).build();
    String basket = client.reserve(List.of(line), Duration.ofMinutes(5)).getReservation().getReservationId();
    client.extend(basket, Duration.ofMinutes(10));
    assertThrows(
        InsufficientStockException.class, () -> client.reserve(List.of(line), Duration.ofSeconds(1, 500_000_000)));
    client.commit(basket);
    assertEquals(basket, assertThrows(ReservationEndedException.class, () -> client.release(basket)).reservationId());
    assertEquals(
        ReservationState.RESERVATION_STATE_COMMITTED,
        client
            .getReservation(GetReservationRequest.newBuilder().setReservationId(basket).build())
            .getReservation()
            .getState());
    assertEquals(1, client.reservations(ListReservationsRequest.getDefaultInstance()).count());
  }

  @Test
  void appliesABatch() {
    ApplyResponse response =
        client.apply(
            BatchMode.BATCH_MODE_INDEPENDENT,
            Operations.setStock("dune", 1),
            Operations.takeCopies("dune", 2),
            Operations.returnCopies("dune", 4),
            Operations.increment("visitors", 5),
            Operations.setCounter("orders", 7),
            Operations.reserve(List.of(StockLine.newBuilder().setItem("dune").build()), Duration.ofMinutes(1)),
            Operations.commit("missing"),
            Operations.release("missing"),
            Operations.extend("missing", Duration.ofMinutes(1)));
    List<String> reasons =
        response.getResultsList().stream()
            .map(result -> Operations.error(result).map(TallykeeperException::reason).orElse(""))
            .toList();
    String missing = "RESERVATION_NOT_FOUND";
    assertEquals(List.of("", "INSUFFICIENT_STOCK", "", "", "", "", missing, missing, missing), reasons);
  }

  @Test
  void refusesABatchOfWhichOneOperationFails() {
    client.setStock("dune", 1);
    BatchRefusedException error =
        assertThrows(
            BatchRefusedException.class,
            () ->
                client.apply(
                    BatchMode.BATCH_MODE_ATOMIC,
                    Operations.increment("orders", 1),
                    Operations.takeCopies("dune", 2)));
    assertEquals(1, error.operations().get(0).index());
    assertInstanceOf(InsufficientStockException.class, error.operations().get(0).error());
    assertThrows(CounterNotFoundException.class, () -> client.getCounter("orders"));
  }

  @Test
  void listsPageAfterPage() {
    for (int number = 0; number < 5; number++) {
      client.increment("counter-" + number);
      client.setStock("item-" + number, number);
    }
    List<String> counters =
        client.counters(ListCountersRequest.newBuilder().setPageSize(2).build())
            .map(counter -> counter.getCounter())
            .toList();
    assertEquals(List.of("counter-0", "counter-1", "counter-2", "counter-3", "counter-4"), counters);
    ListStockRequest stock = ListStockRequest.newBuilder().setPageSize(3).build();
    assertEquals(10, client.stock(stock).mapToLong(StockLevel::getOnHand).sum());
    ListEntriesRequest entries = ListEntriesRequest.newBuilder().setPageSize(4).setNewestFirst(true).build();
    assertEquals(
        List.of(10L, 9L, 8L, 7L, 6L, 5L, 4L, 3L, 2L, 1L), client.entries(entries).map(Entry::getRevision).toList());
    assertTrue(client.namespaces(ListNamespacesRequest.newBuilder().setPageSize(1).build()).count() > 0);
  }

  @Test
  void verifies() {
    client.increment("visitors");
    assertTrue(client.verifyNamespace(VerifyNamespaceRequest.getDefaultInstance()).getClean());
    List<VerifyProgress> progress = new ArrayList<>();
    client.verifyNamespace(VerifyNamespaceRequest.getDefaultInstance(), PATIENCE, progress::add);
    assertTrue(progress.size() > 0);
  }

  @Test
  void namesTheBadFields() {
    InvalidFieldException error = assertThrows(InvalidFieldException.class, () -> client.increment("", 1L << 60));
    assertEquals(List.of("counter", "delta"), error.violations().stream().map(FieldViolation::field).toList());
  }

  @Test
  void hasEveryChangeAfterTheWatchHasBegun() {
    client.increment("visitors");
    try (Watch watch = client.watch(WatchRequest.getDefaultInstance())) {
      assertEquals(1, watch.revision());
      client.setStock("dune", 3);
      Entry entry = watch.next().getEntries(0);
      assertEquals(2, entry.getRevision());
      assertEquals(OperationKind.OPERATION_KIND_SET_STOCK, entry.getOperation());
    }
  }

  @Test
  void givesTheLevelsFirst() {
    client.increment("visitors");
    try (Watch watch = client.watch(WatchRequest.newBuilder().setIncludeLevels(true).build())) {
      assertEquals("visitors", watch.next().getCounters(0).getCounter());
    }
  }

  @Test
  void worksWithFutures() throws Exception {
    AsyncTallykeeperClient async = client.async().withTimeout(PATIENCE);
    CompletableFuture<Long> value =
        async.setStock("dune", 3).thenCompose(set -> async.getStock("dune")).thenApply(StockLevel::getOnHand);
    assertEquals(3, value.get());
    assertEquals(2, async.increment("visitors", 2).thenCompose(done -> async.getCounter("visitors")).get().getValue());
    assertTrue(
        async.verifyNamespace(VerifyNamespaceRequest.getDefaultInstance(), PATIENCE, each -> {}).get().getClean());
    CompletableFuture<Counter> missing = async.withNamespace(freshNamespace()).getCounter("visitors");
    assertInstanceOf(CounterNotFoundException.class, assertThrows(ExecutionException.class, missing::get).getCause());
  }

  @Test
  void bridgesARestart(@TempDir Path data) throws Exception {
    try (RealServer own = new RealServer(data);
        TallykeeperClient patient = TallykeeperClient.builder(own.address()).timeout(PATIENCE).build();
        Watch watch = patient.watch(WatchRequest.getDefaultInstance())) {
      patient.increment("visitors");
      assertEquals(1, watch.next().getRevision());
      own.stop();
      CompletableFuture<IncrementResponse> call = patient.async().increment("visitors");
      own.start();
      assertEquals(2, call.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS).getCounter().getValue());
      WatchResponse next = watch.next();
      assertEquals(List.of(2L), next.getEntriesList().stream().map(Entry::getRevision).toList());
    }
  }

  @Test
  void speaksTlsWithAToken(@TempDir Path data) throws Exception {
    Path access = data.resolve("access.toml");
    Path pki = data.resolve("pki");
    RealServer.run("certificates", pki.toString(), "--client", "till");
    String token = RealServer.run("access", "key", "web", "--file", access.toString()).strip();
    RealServer.run("access", "grant", "web", "write", "shop", "--file", access.toString());
    Path authority = pki.resolve("ca.pem");
    String[] options = {
      "--tls-certificate", pki.resolve("server.pem").toString(),
      "--tls-key", pki.resolve("server.key").toString(),
      "--access-file", access.toString()
    };
    try (RealServer own = new RealServer(data, options);
        TallykeeperClient known = secure(own, authority).token(token).build();
        TallykeeperClient unknown = secure(own, authority).build()) {
      known.increment("visitors");
      PermissionDeniedException denied =
          assertThrows(PermissionDeniedException.class, () -> known.withNamespace("library").increment("visitors"));
      assertEquals(List.of("web", "write", "library"), List.of(denied.identity(), denied.role(), denied.namespace()));
      CredentialException missing = assertThrows(CredentialException.class, () -> unknown.increment("visitors"));
      assertEquals("CREDENTIAL_MISSING", missing.reason());
    }
  }

  @Test
  void provesWithACertificateWhoCalls(@TempDir Path data) throws Exception {
    Path access = data.resolve("access.toml");
    Path pki = data.resolve("pki");
    RealServer.run("certificates", pki.toString(), "--client", "till");
    String name = "uri:spiffe://tallykeeper/till";
    RealServer.run("access", "certificate", "till", name, "--file", access.toString());
    RealServer.run("access", "grant", "till", "read", "shop", "--file", access.toString());
    Path authority = pki.resolve("ca.pem");
    String[] options = {
      "--tls-certificate", pki.resolve("server.pem").toString(),
      "--tls-key", pki.resolve("server.key").toString(),
      "--tls-client-ca", authority.toString(),
      "--access-file", access.toString()
    };
    try (RealServer own = new RealServer(data, options);
        TallykeeperClient till =
            secure(own, authority).clientCertificate(pki.resolve("till.pem"), pki.resolve("till.key")).build()) {
      PermissionDeniedException denied =
          assertThrows(PermissionDeniedException.class, () -> till.increment("visitors"));
      assertEquals("till", denied.identity());
    }
  }

  private static TallykeeperClientBuilder secure(RealServer own, Path authority) {
    return TallykeeperClient.builder(own.address()).namespace("shop").timeout(PATIENCE).tls(authority);
  }

  private static String freshNamespace() {
    return "java-" + UUID.randomUUID();
  }
}
