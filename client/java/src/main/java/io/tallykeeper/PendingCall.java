package io.tallykeeper;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.nio.channels.ClosedChannelException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;

/**
 * One call under way. It completes with its response, of a stream with the last one, or with a TallykeeperException.
 *
 * <p>gRPC itself repeats the call, as the service config says. This class repeats it with the same request id where
 * gRPC does not: with another token after CREDENTIAL_EXPIRED, and on another connection if the first one was closed
 * before the call was written. grpc-java shows the latter as UNKNOWN, which no policy may repeat.
 */
final class PendingCall<Q extends Message, R> extends CompletableFuture<R> {
  private static final int CONNECTIONS_MAX = 5;

  private final Connection connection;
  private final MethodDescriptor<Q, R> method;
  private final Q request;
  private final Deadline deadline;
  private final Consumer<? super R> onResponse;
  private volatile ClientCall<Q, R> call;
  private boolean mayRenew = true;
  private int connectionsLeft = CONNECTIONS_MAX;

  /**
   * Prepares a call.
   *
   * @param request complete, so that each repeat has the same request id
   * @param onResponse takes each response as it comes
   */
  PendingCall(
      Connection connection,
      MethodDescriptor<Q, R> method,
      Q request,
      Deadline deadline,
      Consumer<? super R> onResponse) {
    this.connection = connection;
    this.method = method;
    this.request = request;
    this.deadline = deadline;
    this.onResponse = onResponse;
  }

  PendingCall<Q, R> start() {
    attempt();
    return this;
  }

  /** Returns the response. The exception that this throws has the stack trace of the caller. */
  R await() {
    try {
      return get();
    } catch (InterruptedException interrupt) {
      cancel(true);
      Thread.currentThread().interrupt();
      throw cancelled("the thread was interrupted before the answer", interrupt);
    } catch (CancellationException error) {
      throw cancelled("the call was cancelled", error);
    } catch (ExecutionException error) {
      TallykeeperException failure = (TallykeeperException) error.getCause();
      failure.fillInStackTrace();
      throw failure;
    }
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean cancelled = super.cancel(mayInterruptIfRunning);
    ClientCall<Q, R> current = call;
    if (cancelled && current != null) {
      current.cancel("the caller cancelled the call", null);
    }
    return cancelled;
  }

  private void attempt() {
    Tokens.Credentials credentials = connection.credentials();
    CallOptions options = CallOptions.DEFAULT.withDeadline(deadline).withCallCredentials(credentials);
    ClientCall<Q, R> current = connection.channel().newCall(method, options);
    call = current;
    StreamObserver<R> observer = new Responses(credentials);
    if (method.getType() == MethodDescriptor.MethodType.UNARY) {
      ClientCalls.asyncUnaryCall(current, request, observer);
    } else {
      ClientCalls.asyncServerStreamingCall(current, request, observer);
    }
    if (isCancelled()) {
      current.cancel("the caller cancelled the call", null);
    }
  }

  private TallykeeperException cancelled(String message, Throwable cause) {
    return Errors.cancelled(message, Requests.requestId(request), cause);
  }

  private final class Responses implements StreamObserver<R> {
    private final Tokens.Credentials credentials;
    private R last;

    Responses(Tokens.Credentials credentials) {
      this.credentials = credentials;
    }

    @Override
    public void onNext(R response) {
      last = response;
      onResponse.accept(response);
    }

    @Override
    public void onError(Throwable error) {
      TallykeeperException failure = Errors.read(error, connection.peer(), Requests.requestId(request));
      if (isRenewed(failure) || isOnClosedConnection(failure)) {
        attempt();
      } else {
        completeExceptionally(failure);
      }
    }

    /** Tells whether the token had expired and there may be another one. */
    private boolean isRenewed(TallykeeperException failure) {
      if (!failure.reason().equals(Errors.CREDENTIAL_EXPIRED) || !mayRenew || credentials == null) {
        return false;
      }
      mayRenew = false;
      return credentials.expire();
    }

    private boolean isOnClosedConnection(TallykeeperException failure) {
      boolean isClosed =
          failure.code() == Status.Code.UNKNOWN
              && failure.getCause().getCause() instanceof ClosedChannelException
              && last == null;
      return isClosed && connection.repeats() && --connectionsLeft > 0;
    }

    @Override
    public void onCompleted() {
      complete(last);
    }
  }
}
