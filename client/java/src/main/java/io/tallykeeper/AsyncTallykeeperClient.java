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
import io.tallykeeper.v1.NamespaceServiceGrpc;
import io.tallykeeper.v1.Operation;
import io.tallykeeper.v1.ReleaseRequest;
import io.tallykeeper.v1.ReleaseResponse;
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
import io.tallykeeper.v1.VerifyNamespaceResponse;
import io.tallykeeper.v1.VerifyProgress;
import io.tallykeeper.v1.VerifyResult;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Consumer;

/**
 * A client whose methods return futures, each of which completes with the response or a {@link TallykeeperException}.
 *
 * <p>Otherwise it is like {@link TallykeeperClient}. To cancel a future cancels its call, and the outcome of a mutation
 * is then unknown. The futures complete in threads of gRPC, so a slow or blocking continuation needs another executor.
 */
public final class AsyncTallykeeperClient implements AutoCloseable {
  private final Calls calls;

  AsyncTallykeeperClient(Calls calls) {
    this.calls = calls;
  }

  /** Returns a client on the same connection with another namespace. To close either closes both. */
  public AsyncTallykeeperClient withNamespace(String namespace) {
    return new AsyncTallykeeperClient(calls.withNamespace(namespace));
  }

  /** Returns a client on the same connection whose calls may take another time. To close either closes both. */
  public AsyncTallykeeperClient withTimeout(Duration timeout) {
    return new AsyncTallykeeperClient(calls.withTimeout(timeout));
  }

  /** Ends all watches, waits for calls that are under way, for 5 s at most, and closes the connection. */
  @Override
  public void close() {
    calls.connection().close();
  }

  /** Adds 1 to a counter. */
  public CompletableFuture<IncrementResponse> increment(String counter) {
    return increment(Changes.increment(counter, 1));
  }

  /** Adds a number to a counter; a negative number subtracts. */
  public CompletableFuture<IncrementResponse> increment(String counter, long delta) {
    return increment(Changes.increment(counter, delta));
  }

  /** Sets a counter. */
  public CompletableFuture<SetCounterResponse> setCounter(String counter, long value) {
    return setCounter(Changes.setCounter(counter, value));
  }

  /** Reads a counter. */
  public CompletableFuture<Counter> getCounter(String counter) {
    return Calls.map(
        getCounter(GetCounterRequest.newBuilder().setCounter(counter).build()), GetCounterResponse::getCounter);
  }

  /** Takes copies of an item at the location {@code main}. */
  public CompletableFuture<DecrementCopiesResponse> takeCopies(String item, long copies) {
    return decrementCopies(Changes.takeCopies(item, copies));
  }

  /** Gives copies of an item back at the location {@code main}. */
  public CompletableFuture<IncrementCopiesResponse> returnCopies(String item, long copies) {
    return incrementCopies(Changes.returnCopies(item, copies));
  }

  /** Sets the number of copies on hand of an item at the location {@code main}. */
  public CompletableFuture<SetStockResponse> setStock(String item, long onHand) {
    return setStock(Changes.setStock(item, onHand));
  }

  /** Reads the stock level of an item at the location {@code main}. */
  public CompletableFuture<StockLevel> getStock(String item) {
    return Calls.map(getStock(GetStockRequest.newBuilder().setItem(item).build()), GetStockResponse::getStockLevel);
  }

  /** Reserves the copies of all lines, or of none, for a time. */
  public CompletableFuture<ReserveResponse> reserve(List<StockLine> lines, Duration ttl) {
    return reserve(Changes.reserve(lines, ttl));
  }

  /** Takes all copies that a reservation holds. */
  public CompletableFuture<CommitResponse> commit(String reservationId) {
    return commit(Changes.commit(reservationId));
  }

  /** Gives all copies back that a reservation holds. */
  public CompletableFuture<ReleaseResponse> release(String reservationId) {
    return release(Changes.release(reservationId));
  }

  /** Prolongs a reservation: it expires one ttl from now, or later if its time was later already. */
  public CompletableFuture<ExtendResponse> extend(String reservationId, Duration ttl) {
    return extend(Changes.extend(reservationId, ttl));
  }

  /** Applies operations in order, such as those of {@link Operations}: all or none, or each for itself. */
  public CompletableFuture<ApplyResponse> apply(BatchMode mode, List<Operation> operations) {
    return apply(Changes.apply(mode, operations));
  }

  /** Applies operations in order, such as those of {@link Operations}: all or none, or each for itself. */
  public CompletableFuture<ApplyResponse> apply(BatchMode mode, Operation... operations) {
    return apply(Changes.apply(mode, List.of(operations)));
  }

  /** Adds a signed number to a counter, and creates the counter if it does not exist. */
  public CompletableFuture<IncrementResponse> increment(IncrementRequest request) {
    return call(CounterServiceGrpc.getIncrementMethod(), request);
  }

  /** Sets a counter, if it has the expected value or none is expected. */
  public CompletableFuture<SetCounterResponse> setCounter(SetCounterRequest request) {
    return call(CounterServiceGrpc.getSetCounterMethod(), request);
  }

  /** Sets or clears a counter's bounds and the time at which it expires. */
  public CompletableFuture<ConfigureCounterResponse> configureCounter(ConfigureCounterRequest request) {
    return call(CounterServiceGrpc.getConfigureCounterMethod(), request);
  }

  /** Deletes a counter, and returns it as it was. */
  public CompletableFuture<DeleteCounterResponse> deleteCounter(DeleteCounterRequest request) {
    return call(CounterServiceGrpc.getDeleteCounterMethod(), request);
  }

  /** Reads a counter. */
  public CompletableFuture<GetCounterResponse> getCounter(GetCounterRequest request) {
    return call(CounterServiceGrpc.getGetCounterMethod(), request);
  }

  /** Reads up to 1,000 counters as they are at one moment. */
  public CompletableFuture<BatchGetCountersResponse> batchGetCounters(BatchGetCountersRequest request) {
    return call(CounterServiceGrpc.getBatchGetCountersMethod(), request);
  }

  /** Reads a page of counters. */
  public CompletableFuture<ListCountersResponse> listCounters(ListCountersRequest request) {
    return call(CounterServiceGrpc.getListCountersMethod(), request);
  }

  /** Takes copies of an item: a sale, a loan, a pick. */
  public CompletableFuture<DecrementCopiesResponse> decrementCopies(DecrementCopiesRequest request) {
    return call(InventoryServiceGrpc.getDecrementCopiesMethod(), request);
  }

  /** Adds copies of an item: a delivery, a return. */
  public CompletableFuture<IncrementCopiesResponse> incrementCopies(IncrementCopiesRequest request) {
    return call(InventoryServiceGrpc.getIncrementCopiesMethod(), request);
  }

  /** Sets the number of copies on hand, if it is the expected one or none is expected. */
  public CompletableFuture<SetStockResponse> setStock(SetStockRequest request) {
    return call(InventoryServiceGrpc.getSetStockMethod(), request);
  }

  /** Moves copies of an item from one location to another, in one change. */
  public CompletableFuture<MoveCopiesResponse> moveCopies(MoveCopiesRequest request) {
    return call(InventoryServiceGrpc.getMoveCopiesMethod(), request);
  }

  /** Sets a level's safety stock, backorder limit and low-stock threshold. */
  public CompletableFuture<ConfigureStockResponse> configureStock(ConfigureStockRequest request) {
    return call(InventoryServiceGrpc.getConfigureStockMethod(), request);
  }

  /** Deletes a level that has no copies on hand, and returns it as it was. */
  public CompletableFuture<DeleteStockResponse> deleteStock(DeleteStockRequest request) {
    return call(InventoryServiceGrpc.getDeleteStockMethod(), request);
  }

  /** Reads a stock level. */
  public CompletableFuture<GetStockResponse> getStock(GetStockRequest request) {
    return call(InventoryServiceGrpc.getGetStockMethod(), request);
  }

  /** Reads up to 1,000 stock levels as they are at one moment. */
  public CompletableFuture<BatchGetStockResponse> batchGetStock(BatchGetStockRequest request) {
    return call(InventoryServiceGrpc.getBatchGetStockMethod(), request);
  }

  /** Reads an item's levels at all its locations, and their totals. */
  public CompletableFuture<GetItemResponse> getItem(GetItemRequest request) {
    return call(InventoryServiceGrpc.getGetItemMethod(), request);
  }

  /** Reads a page of stock levels. */
  public CompletableFuture<ListStockResponse> listStock(ListStockRequest request) {
    return call(InventoryServiceGrpc.getListStockMethod(), request);
  }

  /** Reads for each line how many copies may be taken, and reserves nothing. */
  public CompletableFuture<CheckAvailabilityResponse> checkAvailability(CheckAvailabilityRequest request) {
    return call(InventoryServiceGrpc.getCheckAvailabilityMethod(), request);
  }

  /** Reserves copies, of all lines or of none. */
  public CompletableFuture<ReserveResponse> reserve(ReserveRequest request) {
    return call(ReservationServiceGrpc.getReserveMethod(), request);
  }

  /** Takes the copies of a reservation, all or those that the lines name. */
  public CompletableFuture<CommitResponse> commit(CommitRequest request) {
    return call(ReservationServiceGrpc.getCommitMethod(), request);
  }

  /** Gives the copies of a reservation back. */
  public CompletableFuture<ReleaseResponse> release(ReleaseRequest request) {
    return call(ReservationServiceGrpc.getReleaseMethod(), request);
  }

  /** Gives an active reservation more time. */
  public CompletableFuture<ExtendResponse> extend(ExtendRequest request) {
    return call(ReservationServiceGrpc.getExtendMethod(), request);
  }

  /** Reads a reservation. */
  public CompletableFuture<GetReservationResponse> getReservation(GetReservationRequest request) {
    return call(ReservationServiceGrpc.getGetReservationMethod(), request);
  }

  /** Reads a page of reservations. */
  public CompletableFuture<ListReservationsResponse> listReservations(ListReservationsRequest request) {
    return call(ReservationServiceGrpc.getListReservationsMethod(), request);
  }

  /** Applies up to 1,000 operations in order: all or none, or each for itself. */
  public CompletableFuture<ApplyResponse> apply(ApplyRequest request) {
    return call(BatchServiceGrpc.getApplyMethod(), request);
  }

  /** Reads a page of the ledger. */
  public CompletableFuture<ListEntriesResponse> listEntries(ListEntriesRequest request) {
    return call(LedgerServiceGrpc.getListEntriesMethod(), request);
  }

  /** Looks up the outcome of a request by its request id. */
  public CompletableFuture<LookupRequestResponse> lookupRequest(LookupRequestRequest request) {
    return call(LedgerServiceGrpc.getLookupRequestMethod(), request);
  }

  /** Reads a page of namespaces. */
  public CompletableFuture<ListNamespacesResponse> listNamespaces(ListNamespacesRequest request) {
    return call(NamespaceServiceGrpc.getListNamespacesMethod(), request);
  }

  /** Reads a namespace's contents, and its settings. */
  public CompletableFuture<GetNamespaceResponse> getNamespace(GetNamespaceRequest request) {
    return call(NamespaceServiceGrpc.getGetNamespaceMethod(), request);
  }

  /** Reads the state of the server and of its store, and the limits that are near. */
  public CompletableFuture<GetServerStatusResponse> getServerStatus() {
    return call(ServerServiceGrpc.getGetServerStatusMethod(), GetServerStatusRequest.getDefaultInstance());
  }

  /**
   * Follows the ledger, and goes on by itself after failures of the connection and of the server.
   *
   * <p>Each subscription is its own watch, with the responses that a {@link Watch} has. It completes when the client is
   * closed, and fails with a TallykeeperException.
   */
  public Flow.Publisher<WatchResponse> watch(WatchRequest request) {
    return subscriber -> calls.watch(request, subscriber);
  }

  /** Replays the ledger and compares the outcome with the stored levels; takes the progress about every half second. */
  public CompletableFuture<VerifyResult> verifyNamespace(
      VerifyNamespaceRequest request, Duration timeout, Consumer<? super VerifyProgress> onProgress) {
    return Calls.map(
        calls.withTimeout(timeout).verify(request, onProgress), VerifyNamespaceResponse::getResult);
  }

  /** Calls a unary RPC by its generated method, such as {@code CounterServiceGrpc.getIncrementMethod()}. */
  public <Q extends Message, R> CompletableFuture<R> call(MethodDescriptor<Q, R> method, Q request) {
    return calls.send(method, request);
  }
}
