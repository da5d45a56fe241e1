package io.tallykeeper;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.SynchronizationContext;
import io.grpc.SynchronizationContext.ScheduledHandle;
import io.tallykeeper.v1.LedgerServiceGrpc;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * One watch through all its connections.
 *
 * <p>It reads one response ahead, so that the watch is bound to a revision before anyone asks for a response.
 * Everything happens in a synchronization context, one step at a time, so the fields need no lock.
 */
final class WatchStream implements Flow.Subscription {
  private final Calls calls;
  private final Connection connection;
  private final Flow.Subscriber<? super WatchResponse> subscriber;
  private final SynchronizationContext context = new SynchronizationContext(this::fail);
  private final WatchRetry retry = new WatchRetry(() -> ThreadLocalRandom.current().nextDouble());
  private final CompletableFuture<Void> begun = new CompletableFuture<>();

  private WatchRequest request;
  private ClientCall<WatchRequest, WatchResponse> call;
  private Tokens.Credentials credentials;
  private boolean mayRenew = true;
  private ScheduledHandle timer;
  private ScheduledHandle giveUp;
  private TallykeeperException lastError;
  private WatchResponse waiting;
  private TallykeeperException ending;
  private long demand;
  private boolean ended;
  private volatile long revision;

  /**
   * Prepares a watch.
   *
   * @param request with its namespace
   * @param subscriber gets what changed, and last an error, or onComplete when the client is closed
   */
  WatchStream(Calls calls, WatchRequest request, Flow.Subscriber<? super WatchResponse> subscriber) {
    this.calls = calls;
    this.connection = calls.connection();
    this.request = request;
    this.revision = request.getAfterRevision();
    this.subscriber = subscriber;
  }

  WatchStream start() {
    connection.add(this);
    subscriber.onSubscribe(this);
    context.execute(
        () -> {
          if (connection.channel().isShutdown()) {
            fail(Errors.exception(Failure.of(Status.Code.UNAVAILABLE, "the client is closed", "", null)));
          } else if (!ended) {
            giveUp = schedule(this::giveUp, calls.timeout());
            open();
          }
        });
    return this;
  }

  /** Completes when the server has begun the watch, or with the error that ended it before. */
  CompletableFuture<Void> begun() {
    return begun;
  }

  /** Returns the revision up to which everything has been given to the subscriber. */
  long revision() {
    return revision;
  }

  @Override
  public void request(long count) {
    context.execute(
        () -> {
          if (count <= 0) {
            fail(new IllegalArgumentException("the number of requested responses is " + count + ", and not above 0"));
          } else {
            demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
            give();
          }
        });
  }

  @Override
  public void cancel() {
    context.execute(this::end);
  }

  /** Ends the watch without an error, as when the client is closed. */
  void complete() {
    context.execute(
        () -> {
          if (!ended) {
            end();
            subscriber.onComplete();
          }
        });
  }

  private void open() {
    timer = null;
    credentials = connection.credentials();
    CallOptions options = CallOptions.DEFAULT.withCallCredentials(credentials);
    call = connection.channel().newCall(LedgerServiceGrpc.getWatchMethod(), options);
    call.start(new Responses(call), new Metadata());
    if (waiting == null) {
      call.request(1);
    }
    call.sendMessage(request);
    call.halfClose();
  }

  private void take(WatchResponse response) {
    boolean isLevels = request.getIncludeLevels();
    request = request.toBuilder().setAfterRevision(response.getRevision()).setIncludeLevels(false).build();
    retry.reset();
    mayRenew = true;
    if (giveUp != null) {
      giveUp.cancel();
      giveUp = null;
    }
    if (isLevels || response.getEntriesCount() > 0) {
      waiting = response;
      give();
    } else {
      revision = response.getRevision();
      call.request(1);
    }
    begun.complete(null);
  }

  private void give() {
    if (ended || demand == 0) {
      return;
    }
    if (waiting != null) {
      WatchResponse response = waiting;
      waiting = null;
      demand--;
      revision = response.getRevision();
      if (call != null) {
        call.request(1);
      }
      subscriber.onNext(response);
    }
    if (ending != null && !ended) {
      fail(ending);
    }
  }

  private void onClose(Status status, Metadata trailers) {
    call = null;
    TallykeeperException error = error(status, trailers);
    lastError = error;
    boolean expired = error.reason().equals(Errors.CREDENTIAL_EXPIRED);
    if (expired && mayRenew && credentials != null && credentials.expire()) {
      mayRenew = false;
      open();
      return;
    }
    Optional<Duration> pause = retry.pause(error);
    if (pause.isPresent()) {
      timer = schedule(this::open, pause.get());
    } else if (waiting == null) {
      fail(error);
    } else {
      ending = error;
    }
  }

  private TallykeeperException error(Status status, Metadata trailers) {
    Status known = status.isOk() ? Status.UNAVAILABLE.withDescription("the server ended the watch") : status;
    return Errors.read(new StatusRuntimeException(known, trailers), connection.peer(), "");
  }

  private void giveUp() {
    String message = connection.peer().address() + " did not begin the watch within " + calls.timeout();
    Failure late = Failure.of(Status.Code.DEADLINE_EXCEEDED, message, "", lastError);
    fail(lastError == null ? Errors.exception(late) : lastError);
  }

  private void fail(Throwable error) {
    if (!ended) {
      begun.completeExceptionally(error);
      end();
      subscriber.onError(error);
    }
  }

  private void fail(Thread thread, Throwable error) {
    fail(error);
  }

  private void end() {
    ended = true;
    connection.remove(this);
    for (ScheduledHandle handle : new ScheduledHandle[] {timer, giveUp}) {
      if (handle != null) {
        handle.cancel();
      }
    }
    if (call != null) {
      call.cancel("the watch was closed", null);
    }
    begun.complete(null);
  }

  private ScheduledHandle schedule(Runnable step, Duration delay) {
    return context.schedule(
        () -> {
          if (!ended) {
            step.run();
          }
        },
        delay.toNanos(),
        TimeUnit.NANOSECONDS,
        connection.timer());
  }

  private final class Responses extends ClientCall.Listener<WatchResponse> {
    private final ClientCall<WatchRequest, WatchResponse> own;

    Responses(ClientCall<WatchRequest, WatchResponse> own) {
      this.own = own;
    }

    @Override
    public void onMessage(WatchResponse response) {
      context.execute(
          () -> {
            if (!ended && call == own) {
              take(response);
            }
          });
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      context.execute(
          () -> {
            if (!ended && call == own) {
              WatchStream.this.onClose(status, trailers);
            }
          });
    }
  }
}
