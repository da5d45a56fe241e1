package io.tallykeeper;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tallykeeper.v1.CounterServiceGrpc.CounterServiceImplBase;
import io.tallykeeper.v1.GetCounterRequest;
import io.tallykeeper.v1.GetCounterResponse;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import io.tallykeeper.v1.LedgerServiceGrpc.LedgerServiceImplBase;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** A gRPC server on loopback that answers as a test says, and notes what it was sent. */
final class FakeServer implements AutoCloseable {
  static final long PATIENCE_SECONDS = 30;
  private static final Context.Key<String> TOKEN = Context.key("token");
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);

  final BlockingQueue<IncrementRequest> increments = new LinkedBlockingQueue<>();
  final BlockingQueue<String> tokens = new LinkedBlockingQueue<>();
  final BlockingQueue<WatchCall> watches = new LinkedBlockingQueue<>();
  private final BlockingQueue<StatusRuntimeException> failures = new LinkedBlockingQueue<>();
  private final int port;
  private Server server;
  private volatile boolean isSilent;

  /** Starts a server on a port that nothing listens on. */
  FakeServer() throws IOException {
    this.port = freePort();
    start();
  }

  /** A watch that a client has begun. */
  record WatchCall(WatchRequest request, StreamObserver<WatchResponse> responses) {}

  String address() {
    return "127.0.0.1:" + port;
  }

  /** Lets the next increment or watch that has no failure yet fail. */
  void failNext(StatusRuntimeException failure) {
    failures.add(failure);
  }

  /** Lets the server answer no increment from now on. */
  void beSilent() {
    isSilent = true;
  }

  WatchCall nextWatch() throws InterruptedException {
    WatchCall call = watches.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (call == null) {
      throw new AssertionError("no watch has begun");
    }
    return call;
  }

  /** Listens again, on the same port. */
  void start() throws IOException {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
            .addService(new Counters())
            .addService(new Ledger())
            .intercept(new TokenReader())
            .build()
            .start();
  }

  /** Closes the port and every connection. */
  void stop() throws InterruptedException {
    server.shutdownNow().awaitTermination(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws InterruptedException {
    stop();
  }

  /** Makes an error with the reason that the server of Tallykeeper would give. */
  static StatusRuntimeException error(Status.Code code, String reason, Map<String, String> values) {
    ErrorInfo info =
        ErrorInfo.newBuilder().setDomain("tallykeeper.io").setReason(reason).putAllMetadata(values).build();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("because of " + reason)
            .addDetails(Any.pack(info))
            .build());
  }

  /** Returns a port outside of those that the kernel gives to connections, so that it is free again after a restart. */
  static int freePort() throws IOException {
    while (true) {
      int candidate = ThreadLocalRandom.current().nextInt(20_000, 32_000);
      try (ServerSocket socket = new ServerSocket()) {
        socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), candidate));
        return candidate;
      } catch (BindException taken) {
        continue;
      }
    }
  }

  private final class Counters extends CounterServiceImplBase {
    @Override
    public void increment(IncrementRequest request, StreamObserver<IncrementResponse> responses) {
      increments.add(request);
      tokens.add(String.valueOf(TOKEN.get()));
      StatusRuntimeException failure = failures.poll();
      if (failure != null) {
        responses.onError(failure);
      } else if (!isSilent) {
        responses.onNext(IncrementResponse.newBuilder().setRevision(increments.size()).build());
        responses.onCompleted();
      }
    }

    @Override
    public void getCounter(GetCounterRequest request, StreamObserver<GetCounterResponse> responses) {
      responses.onNext(GetCounterResponse.getDefaultInstance());
      responses.onCompleted();
    }
  }

  private final class Ledger extends LedgerServiceImplBase {
    @Override
    public void watch(WatchRequest request, StreamObserver<WatchResponse> responses) {
      tokens.add(String.valueOf(TOKEN.get()));
      StatusRuntimeException failure = failures.poll();
      if (failure != null) {
        responses.onError(failure);
        return;
      }
      ((ServerCallStreamObserver<WatchResponse>) responses).setOnCancelHandler(() -> {});
      watches.add(new WatchCall(request, responses));
    }
  }

  private static final class TokenReader implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
      return Contexts.interceptCall(
          Context.current().withValue(TOKEN, headers.get(AUTHORIZATION)), call, headers, next);
    }
  }
}
