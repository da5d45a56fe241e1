package io.tallykeeper;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;

/**
 * One call under way. It completes with its response, of a stream with the last one, or with a TallykeeperException.
 *
 * <p>gRPC itself repeats the call, as the service config says. This class repeats it once more with another token.
 */
final class PendingCall<Q extends Message, R> extends CompletableFuture<R> {
  private final Connection connection;
  private final MethodDescriptor<Q, R> method;
  private final Q request;
  private final Deadline deadline;
  private final Consumer<? super R> onResponse;
  private volatile ClientCall<Q, R> call;

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
    attempt(true);
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

  private void attempt(boolean mayRenew) {
    Tokens.Credentials credentials = connection.credentials();
    CallOptions options = CallOptions.DEFAULT.withDeadline(deadline).withCallCredentials(credentials);
    ClientCall<Q, R> current = connection.channel().newCall(method, options);
    call = current;
    StreamObserver<R> observer = new Responses(credentials, mayRenew);
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
    private final boolean mayRenew;
    private R last;

    Responses(Tokens.Credentials credentials, boolean mayRenew) {
      this.credentials = credentials;
      this.mayRenew = mayRenew;
    }

    @Override
    public void onNext(R response) {
      last = response;
      onResponse.accept(response);
    }

    @Override
    public void onError(Throwable error) {
      TallykeeperException failure = Errors.read(error, connection.peer(), Requests.requestId(request));
      boolean expired = failure.reason().equals(Errors.CREDENTIAL_EXPIRED);
      if (expired && mayRenew && credentials != null && credentials.expire()) {
        attempt(false);
      } else {
        completeExceptionally(failure);
      }
    }

    @Override
    public void onCompleted() {
      complete(last);
    }
  }
}
