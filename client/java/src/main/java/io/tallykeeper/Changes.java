package io.tallykeeper;

import io.tallykeeper.v1.ApplyRequest;
import io.tallykeeper.v1.BatchMode;
import io.tallykeeper.v1.CommitRequest;
import io.tallykeeper.v1.DecrementCopiesRequest;
import io.tallykeeper.v1.ExtendRequest;
import io.tallykeeper.v1.IncrementCopiesRequest;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.Operation;
import io.tallykeeper.v1.ReleaseRequest;
import io.tallykeeper.v1.ReserveRequest;
import io.tallykeeper.v1.SetCounterRequest;
import io.tallykeeper.v1.SetStockRequest;
import io.tallykeeper.v1.StockLine;
import java.time.Duration;
import java.util.List;

/** The requests of the common mutations, which both clients and {@link Operations} send. */
final class Changes {
  private Changes() {}

  static IncrementRequest increment(String counter, long delta) {
    return IncrementRequest.newBuilder().setCounter(counter).setDelta(delta).build();
  }

  static SetCounterRequest setCounter(String counter, long value) {
    return SetCounterRequest.newBuilder().setCounter(counter).setValue(value).build();
  }

  static DecrementCopiesRequest takeCopies(String item, long copies) {
    return DecrementCopiesRequest.newBuilder().setItem(item).setCopies(copies).build();
  }

  static IncrementCopiesRequest returnCopies(String item, long copies) {
    return IncrementCopiesRequest.newBuilder().setItem(item).setCopies(copies).build();
  }

  static SetStockRequest setStock(String item, long onHand) {
    return SetStockRequest.newBuilder().setItem(item).setOnHand(onHand).build();
  }

  static ReserveRequest reserve(List<StockLine> lines, Duration ttl) {
    return ReserveRequest.newBuilder().addAllLines(lines).setTtl(duration(ttl)).build();
  }

  static CommitRequest commit(String reservationId) {
    return CommitRequest.newBuilder().setReservationId(reservationId).build();
  }

  static ReleaseRequest release(String reservationId) {
    return ReleaseRequest.newBuilder().setReservationId(reservationId).build();
  }

  static ExtendRequest extend(String reservationId, Duration ttl) {
    return ExtendRequest.newBuilder().setReservationId(reservationId).setTtl(duration(ttl)).build();
  }

  static ApplyRequest apply(BatchMode mode, List<Operation> operations) {
    return ApplyRequest.newBuilder().setMode(mode).addAllOperations(operations).build();
  }

  private static com.google.protobuf.Duration duration(Duration ttl) {
    return com.google.protobuf.Duration.newBuilder().setSeconds(ttl.getSeconds()).setNanos(ttl.getNano()).build();
  }
}
