package io.tallykeeper;

import com.google.protobuf.Message;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.tallykeeper.v1.LedgerServiceGrpc;
import io.tallykeeper.v1.VerifyNamespaceRequest;
import io.tallykeeper.v1.VerifyNamespaceResponse;
import io.tallykeeper.v1.VerifyProgress;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;

/** The common part of both clients: calls over a connection, with a namespace and a deadline for each call. */
record Calls(Connection connection, String namespace, Duration timeout) {
  Calls {
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException("the timeout is " + timeout + "; it must be more than 0");
    }
  }

  Calls withNamespace(String other) {
    return new Calls(connection, other, timeout);
  }

  Calls withTimeout(Duration other) {
    return new Calls(connection, namespace, other);
  }

  <Q extends Message, R> PendingCall<Q, R> send(MethodDescriptor<Q, R> method, Q request) {
    return send(method, request, response -> {});
  }

  PendingCall<VerifyNamespaceRequest, VerifyNamespaceResponse> verify(
      VerifyNamespaceRequest request, Consumer<? super VerifyProgress> onProgress) {
    return send(
        LedgerServiceGrpc.getVerifyNamespaceMethod(),
        request,
        response -> {
          if (response.hasProgress()) {
            onProgress.accept(response.getProgress());
          }
        });
  }

  /** Returns a future of a part of a response. To cancel it cancels the call. */
  static <R, T> CompletableFuture<T> map(CompletableFuture<R> call, Function<R, T> part) {
    CompletableFuture<T> mapped = call.thenApply(part);
    mapped.whenComplete(
        (value, error) -> {
          if (mapped.isCancelled()) {
            call.cancel(true);
          }
        });
    return mapped;
  }

  /** Starts a watch that gives a subscriber the responses of {@link Watch}. */
  WatchStream watch(WatchRequest request, Flow.Subscriber<? super WatchResponse> subscriber) {
    return new WatchStream(this, Requests.complete(request, namespace), subscriber).start();
  }

  private <Q extends Message, R> PendingCall<Q, R> send(
      MethodDescriptor<Q, R> method, Q request, Consumer<? super R> onResponse) {
    Deadline deadline = Deadline.after(timeout.toNanos(), TimeUnit.NANOSECONDS);
    return new PendingCall<>(connection, method, Requests.complete(request, namespace), deadline, onResponse).start();
  }
}
