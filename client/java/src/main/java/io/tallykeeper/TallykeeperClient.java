package io.tallykeeper;

import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.tallykeeper.v1.ApplyRequest;
import io.tallykeeper.v1.ApplyResponse;
import io.tallykeeper.v1.BatchGetCountersRequest;
import io.tallykeeper.v1.BatchGetCountersResponse;
import io.tallykeeper.v1.BatchGetStockRequest;
import io.tallykeeper.v1.BatchGetStockResponse;
import io.tallykeeper.v1.BatchMode;
import io.tallykeeper.v1.BatchServiceGrpc;
import io.tallykeeper.v1.CheckAvailabilityRequest;
import io.tallykeeper.v1.CheckAvailabilityResponse;
import io.tallykeeper.v1.CommitRequest;
import io.tallykeeper.v1.CommitResponse;
import io.tallykeeper.v1.ConfigureCounterRequest;
import io.tallykeeper.v1.ConfigureCounterResponse;
import io.tallykeeper.v1.ConfigureStockRequest;
import io.tallykeeper.v1.ConfigureStockResponse;
import io.tallykeeper.v1.Counter;
import io.tallykeeper.v1.CounterServiceGrpc;
import io.tallykeeper.v1.DecrementCopiesRequest;
import io.tallykeeper.v1.DecrementCopiesResponse;
import io.tallykeeper.v1.DeleteCounterRequest;
import io.tallykeeper.v1.DeleteCounterResponse;
import io.tallykeeper.v1.DeleteStockRequest;
import io.tallykeeper.v1.DeleteStockResponse;
import io.tallykeeper.v1.Entry;
import io.tallykeeper.v1.ExtendRequest;
import io.tallykeeper.v1.ExtendResponse;
import io.tallykeeper.v1.GetCounterRequest;
import io.tallykeeper.v1.GetCounterResponse;
import io.tallykeeper.v1.GetItemRequest;
import io.tallykeeper.v1.GetItemResponse;
import io.tallykeeper.v1.GetNamespaceRequest;
import io.tallykeeper.v1.GetNamespaceResponse;
import io.tallykeeper.v1.GetReservationRequest;
import io.tallykeeper.v1.GetReservationResponse;
import io.tallykeeper.v1.GetServerStatusRequest;
import io.tallykeeper.v1.GetServerStatusResponse;
import io.tallykeeper.v1.GetStockRequest;
import io.tallykeeper.v1.GetStockResponse;
import io.tallykeeper.v1.IncrementCopiesRequest;
import io.tallykeeper.v1.IncrementCopiesResponse;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import io.tallykeeper.v1.InventoryServiceGrpc;
import io.tallykeeper.v1.LedgerServiceGrpc;
import io.tallykeeper.v1.ListCountersRequest;
import io.tallykeeper.v1.ListCountersResponse;
import io.tallykeeper.v1.ListEntriesRequest;
import io.tallykeeper.v1.ListEntriesResponse;
import io.tallykeeper.v1.ListNamespacesRequest;
import io.tallykeeper.v1.ListNamespacesResponse;
import io.tallykeeper.v1.ListReservationsRequest;
import io.tallykeeper.v1.ListReservationsResponse;
import io.tallykeeper.v1.ListStockRequest;
import io.tallykeeper.v1.ListStockResponse;
import io.tallykeeper.v1.LookupRequestRequest;
import io.tallykeeper.v1.LookupRequestResponse;
import io.tallykeeper.v1.MoveCopiesRequest;
import io.tallykeeper.v1.MoveCopiesResponse;
import io.tallykeeper.v1.Namespace;
import io.tallykeeper.v1.NamespaceServiceGrpc;
import io.tallykeeper.v1.Operation;
import io.tallykeeper.v1.ReleaseRequest;
import io.tallykeeper.v1.ReleaseResponse;
import io.tallykeeper.v1.Reservation;
import io.tallykeeper.v1.ReservationServiceGrpc;
import io.tallykeeper.v1.ReserveRequest;
import io.tallykeeper.v1.ReserveResponse;
import io.tallykeeper.v1.ServerServiceGrpc;
import io.tallykeeper.v1.SetCounterRequest;
import io.tallykeeper.v1.SetCounterResponse;
import io.tallykeeper.v1.SetStockRequest;
import io.tallykeeper.v1.SetStockResponse;
import io.tallykeeper.v1.StockLevel;
import io.tallykeeper.v1.StockLine;
import io.tallykeeper.v1.VerifyNamespaceRequest;
import io.tallykeeper.v1.VerifyProgress;
import io.tallykeeper.v1.VerifyResult;
import io.tallykeeper.v1.WatchRequest;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * A client that waits: each method returns the response, or throws a {@link TallykeeperException}.
 *
 * <p>A request that names no namespace means that of the client. A mutation without a request id gets a fresh one, and
 * gRPC sends it again with the same one if the server is away, so that it counts once. A client may be used from any
 * number of threads, and is closed at the end.
 *
 * <pre>{@code
 * try (TallykeeperClient client = TallykeeperClient.connect("127.0.0.1:50051")) {
 *   client.increment("visitors");
 * }
 * }</pre>
 */
public final class TallykeeperClient implements AutoCloseable {
  private static final Duration VERIFY_TIMEOUT = Duration.ofMinutes(10);

  private final Calls calls;

  TallykeeperClient(Calls calls) {
    this.calls = calls;
  }

  /** Makes a client of a server without TLS, such as {@code 127.0.0.1:50051}. It connects with its first call. */
  public static TallykeeperClient connect(String address) {
    return builder(address).build();
  }

  /** Returns the options of a client, to be set and built. The address is {@code HOST:PORT}. */
  public static TallykeeperClientBuilder builder(String address) {
    return new TallykeeperClientBuilder(address);
  }

  /** Returns a request id that no request has had, for a program that keeps it to send the request again later. */
  public static String newRequestId() {
    return Requests.newRequestId();
  }

  /** Returns a client on the same connection with another namespace. To close either closes both. */
  public TallykeeperClient withNamespace(String namespace) {
    return new TallykeeperClient(calls.withNamespace(namespace));
  }

  /** Returns a client on the same connection whose calls may take another time. To close either closes both. */
  public TallykeeperClient withTimeout(Duration timeout) {
    return new TallykeeperClient(calls.withTimeout(timeout));
  }

  /** Returns a client on the same connection whose methods return futures. To close either closes both. */
  public AsyncTallykeeperClient async() {
    return new AsyncTallykeeperClient(calls);
  }

  /** Ends all watches, waits for calls of other threads, for 5 s at most, and closes the connection. */
  @Override
  public void close() {
    calls.connection().close();
  }

  /** Adds 1 to a counter. */
  public IncrementResponse increment(String counter) {
    return increment(Changes.increment(counter, 1));
  }

  /** Adds a number to a counter; a negative number subtracts. */
  public IncrementResponse increment(String counter, long delta) {
    return increment(Changes.increment(counter, delta));
  }

  /** Sets a counter. */
  public SetCounterResponse setCounter(String counter, long value) {
    return setCounter(Changes.setCounter(counter, value));
  }

  /** Reads a counter. */
  public Counter getCounter(String counter) {
    return getCounter(GetCounterRequest.newBuilder().setCounter(counter).build()).getCounter();
  }

  /** Takes copies of an item at the location {@code main}. */
  public DecrementCopiesResponse takeCopies(String item, long copies) {
    return decrementCopies(Changes.takeCopies(item, copies));
  }

  /** Gives copies of an item back at the location {@code main}. */
  public IncrementCopiesResponse returnCopies(String item, long copies) {
    return incrementCopies(Changes.returnCopies(item, copies));
  }

  /** Sets the number of copies on hand of an item at the location {@code main}. */
  public SetStockResponse setStock(String item, long onHand) {
    return setStock(Changes.setStock(item, onHand));
  }

  /** Reads the stock level of an item at the location {@code main}. */
  public StockLevel getStock(String item) {
    return getStock(GetStockRequest.newBuilder().setItem(item).build()).getStockLevel();
  }

  /** Reserves the copies of all lines, or of none, for a time. */
  public ReserveResponse reserve(List<StockLine> lines, Duration ttl) {
    return reserve(Changes.reserve(lines, ttl));
  }

  /** Takes all copies that a reservation holds. */
  public CommitResponse commit(String reservationId) {
    return commit(Changes.commit(reservationId));
  }

  /** Gives all copies back that a reservation holds. */
  public ReleaseResponse release(String reservationId) {
    return release(Changes.release(reservationId));
  }

  /** Prolongs a reservation: it expires one ttl from now, or later if its time was later already. */
  public ExtendResponse extend(String reservationId, Duration ttl) {
    return extend(Changes.extend(reservationId, ttl));
  }

  /** Applies operations in order, such as those of {@link Operations}: all or none, or each for itself. */
  public ApplyResponse apply(BatchMode mode, List<Operation> operations) {
    return apply(Changes.apply(mode, operations));
  }

  /** Applies operations in order, such as those of {@link Operations}: all or none, or each for itself. */
  public ApplyResponse apply(BatchMode mode, Operation... operations) {
    return apply(Changes.apply(mode, List.of(operations)));
  }

  /** Adds a signed number to a counter, and creates the counter if it does not exist. */
  public IncrementResponse increment(IncrementRequest request) {
    return call(CounterServiceGrpc.getIncrementMethod(), request);
  }

  /** Sets a counter, if it has the expected value or none is expected. */
  public SetCounterResponse setCounter(SetCounterRequest request) {
    return call(CounterServiceGrpc.getSetCounterMethod(), request);
  }

  /** Sets or clears a counter's bounds and the time at which it expires. */
  public ConfigureCounterResponse configureCounter(ConfigureCounterRequest request) {
    return call(CounterServiceGrpc.getConfigureCounterMethod(), request);
  }

  /** Deletes a counter, and returns it as it was. */
  public DeleteCounterResponse deleteCounter(DeleteCounterRequest request) {
    return call(CounterServiceGrpc.getDeleteCounterMethod(), request);
  }

  /** Reads a counter. */
  public GetCounterResponse getCounter(GetCounterRequest request) {
    return call(CounterServiceGrpc.getGetCounterMethod(), request);
  }

  /** Reads up to 1,000 counters as they are at one moment. */
  public BatchGetCountersResponse batchGetCounters(BatchGetCountersRequest request) {
    return call(CounterServiceGrpc.getBatchGetCountersMethod(), request);
  }

  /** Reads a page of counters; {@link #counters} reads all pages. */
  public ListCountersResponse listCounters(ListCountersRequest request) {
    return call(CounterServiceGrpc.getListCountersMethod(), request);
  }

  /** Takes copies of an item: a sale, a loan, a pick. */
  public DecrementCopiesResponse decrementCopies(DecrementCopiesRequest request) {
    return call(InventoryServiceGrpc.getDecrementCopiesMethod(), request);
  }

  /** Adds copies of an item: a delivery, a return. */
  public IncrementCopiesResponse incrementCopies(IncrementCopiesRequest request) {
    return call(InventoryServiceGrpc.getIncrementCopiesMethod(), request);
  }

  /** Sets the number of copies on hand, if it is the expected one or none is expected. */
  public SetStockResponse setStock(SetStockRequest request) {
    return call(InventoryServiceGrpc.getSetStockMethod(), request);
  }

  /** Moves copies of an item from one location to another, in one change. */
  public MoveCopiesResponse moveCopies(MoveCopiesRequest request) {
    return call(InventoryServiceGrpc.getMoveCopiesMethod(), request);
  }

  /** Sets a level's safety stock, backorder limit and low-stock threshold. */
  public ConfigureStockResponse configureStock(ConfigureStockRequest request) {
    return call(InventoryServiceGrpc.getConfigureStockMethod(), request);
  }

  /** Deletes a level that has no copies on hand, and returns it as it was. */
  public DeleteStockResponse deleteStock(DeleteStockRequest request) {
    return call(InventoryServiceGrpc.getDeleteStockMethod(), request);
  }

  /** Reads a stock level. */
  public GetStockResponse getStock(GetStockRequest request) {
    return call(InventoryServiceGrpc.getGetStockMethod(), request);
  }

  /** Reads up to 1,000 stock levels as they are at one moment. */
  public BatchGetStockResponse batchGetStock(BatchGetStockRequest request) {
    return call(InventoryServiceGrpc.getBatchGetStockMethod(), request);
  }

  /** Reads an item's levels at all its locations, and their totals. */
  public GetItemResponse getItem(GetItemRequest request) {
    return call(InventoryServiceGrpc.getGetItemMethod(), request);
  }

  /** Reads a page of stock levels; {@link #stock} reads all pages. */
  public ListStockResponse listStock(ListStockRequest request) {
    return call(InventoryServiceGrpc.getListStockMethod(), request);
  }

  /** Reads for each line how many copies may be taken, and reserves nothing. */
  public CheckAvailabilityResponse checkAvailability(CheckAvailabilityRequest request) {
    return call(InventoryServiceGrpc.getCheckAvailabilityMethod(), request);
  }

  /** Reserves copies, of all lines or of none. */
  public ReserveResponse reserve(ReserveRequest request) {
    return call(ReservationServiceGrpc.getReserveMethod(), request);
  }

  /** Takes the copies of a reservation, all or those that the lines name. */
  public CommitResponse commit(CommitRequest request) {
    return call(ReservationServiceGrpc.getCommitMethod(), request);
  }

  /** Gives the copies of a reservation back. */
  public ReleaseResponse release(ReleaseRequest request) {
    return call(ReservationServiceGrpc.getReleaseMethod(), request);
  }

  /** Gives an active reservation more time. */
  public ExtendResponse extend(ExtendRequest request) {
    return call(ReservationServiceGrpc.getExtendMethod(), request);
  }

  /** Reads a reservation. */
  public GetReservationResponse getReservation(GetReservationRequest request) {
    return call(ReservationServiceGrpc.getGetReservationMethod(), request);
  }

  /** Reads a page of reservations; {@link #reservations} reads all pages. */
  public ListReservationsResponse listReservations(ListReservationsRequest request) {
    return call(ReservationServiceGrpc.getListReservationsMethod(), request);
  }

  /** Applies up to 1,000 operations in order: all or none, or each for itself. */
  public ApplyResponse apply(ApplyRequest request) {
    return call(BatchServiceGrpc.getApplyMethod(), request);
  }

  /** Reads a page of the ledger; {@link #entries} reads all pages. */
  public ListEntriesResponse listEntries(ListEntriesRequest request) {
    return call(LedgerServiceGrpc.getListEntriesMethod(), request);
  }

  /** Looks up the outcome of a request by its request id. */
  public LookupRequestResponse lookupRequest(LookupRequestRequest request) {
    return call(LedgerServiceGrpc.getLookupRequestMethod(), request);
  }

  /** Reads a page of namespaces; {@link #namespaces} reads all pages. */
  public ListNamespacesResponse listNamespaces(ListNamespacesRequest request) {
    return call(NamespaceServiceGrpc.getListNamespacesMethod(), request);
  }

  /** Reads a namespace's contents, and its settings. */
  public GetNamespaceResponse getNamespace(GetNamespaceRequest request) {
    return call(NamespaceServiceGrpc.getGetNamespaceMethod(), request);
  }

  /** Reads the state of the server and of its store, and the limits that are near. */
  public GetServerStatusResponse getServerStatus() {
    return call(ServerServiceGrpc.getGetServerStatusMethod(), GetServerStatusRequest.getDefaultInstance());
  }

  /** Lists the counters that pass a request's filters, page after page. */
  public Stream<Counter> counters(ListCountersRequest request) {
    return Pages.stream(
        token -> listCounters(request.toBuilder().setPageToken(token).build()),
        ListCountersResponse::getCountersList,
        ListCountersResponse::getNextPageToken);
  }

  /** Lists the stock levels that pass a request's filters, page after page. */
  public Stream<StockLevel> stock(ListStockRequest request) {
    return Pages.stream(
        token -> listStock(request.toBuilder().setPageToken(token).build()),
        ListStockResponse::getStockLevelsList,
        ListStockResponse::getNextPageToken);
  }

  /** Lists the reservations that pass a request's filters, page after page. */
  public Stream<Reservation> reservations(ListReservationsRequest request) {
    return Pages.stream(
        token -> listReservations(request.toBuilder().setPageToken(token).build()),
        ListReservationsResponse::getReservationsList,
        ListReservationsResponse::getNextPageToken);
  }

  /** Lists the ledger's entries that pass a request's filters, page after page. */
  public Stream<Entry> entries(ListEntriesRequest request) {
    return Pages.stream(
        token -> listEntries(request.toBuilder().setPageToken(token).build()),
        ListEntriesResponse::getEntriesList,
        ListEntriesResponse::getNextPageToken);
  }

  /** Lists the namespaces that pass a request's filter, page after page. */
  public Stream<Namespace> namespaces(ListNamespacesRequest request) {
    return Pages.stream(
        token -> listNamespaces(request.toBuilder().setPageToken(token).build()),
        ListNamespacesResponse::getNamespacesList,
        ListNamespacesResponse::getNextPageToken);
  }

  /**
   * Follows the ledger, and goes on by itself after failures of the connection and of the server.
   *
   * <p>Returns as soon as the server has begun the watch: it has every change that is made from then on.
   *
   * @throws TallykeeperException if the server refuses the watch, or does not begin it before the client's timeout
   */
  public Watch watch(WatchRequest request) {
    return Watch.start(calls, request);
  }

  /** Replays the ledger and compares the outcome with the stored levels. The server has ten minutes for it. */
  public VerifyResult verifyNamespace(VerifyNamespaceRequest request) {
    return verifyNamespace(request, VERIFY_TIMEOUT, progress -> {});
  }

  /** Replays the ledger and compares the outcome with the stored levels; takes the progress about every half second. */
  public VerifyResult verifyNamespace(
      VerifyNamespaceRequest request, Duration timeout, Consumer<? super VerifyProgress> onProgress) {
    return calls.withTimeout(timeout).verify(request, onProgress).await().getResult();
  }

  /** Calls a unary RPC by its generated method, such as {@code CounterServiceGrpc.getIncrementMethod()}. */
  public <Q extends Message, R> R call(MethodDescriptor<Q, R> method, Q request) {
    return calls.send(method, request).await();
  }
}
