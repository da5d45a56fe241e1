package io.tallykeeper;

import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Changes as they happen: an iterator that waits for the next ones, until it is closed.
 *
 * <p>When the connection breaks or the server restarts, the watch begins again after the last revision that it
 * received, so nothing is missed and nothing comes twice. Responses without entries only move {@link #revision()} on,
 * and are not given. The first response to a request with {@code include_levels} is always given. One thread iterates,
 * and any thread may close.
 */
public final class Watch implements Iterator<WatchResponse>, AutoCloseable {
  private final BlockingQueue<Signal> signals = new LinkedBlockingQueue<>();
  private WatchStream stream;
  private Signal next;

  private Watch() {}

  /** Starts a watch, and returns it as soon as the server has begun it. */
  static Watch start(Calls calls, WatchRequest request) {
    Watch watch = new Watch();
    watch.stream = calls.watch(request, watch.new Receiver());
    try {
      watch.stream.begun().join();
    } catch (CompletionException error) {
      throw thrown(error.getCause());
    }
    return watch;
  }

  /**
   * Waits for the next change.
   *
   * @return false if the watch or its client was closed
   * @throws TallykeeperException if the watch cannot go on, as with REVISION_TRIMMED, or if the thread is interrupted
   */
  @Override
  public boolean hasNext() {
    if (next == null) {
      stream.request(1);
      next = take();
    }
    if (next.error != null) {
      throw thrown(next.error);
    }
    return next.response != null;
  }

  /**
   * Returns the next change, for which it waits.
   *
   * @throws NoSuchElementException if the watch or its client was closed
   * @throws TallykeeperException if the watch cannot go on
   */
  @Override
  public WatchResponse next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the watch is closed");
    }
    WatchResponse response = next.response;
    next = null;
    return response;
  }

  /** Returns the revision up to which everything has been given; another watch may go on from it. */
  public long revision() {
    return stream.revision();
  }

  /** Ends the watch; {@link #hasNext()} then returns false. */
  @Override
  public void close() {
    stream.cancel();
    signals.add(Signal.END);
  }

  private Signal take() {
    try {
      return signals.take();
    } catch (InterruptedException interrupt) {
      close();
      Thread.currentThread().interrupt();
      throw Errors.cancelled("the thread was interrupted while it waited for the next change", "", interrupt);
    }
  }

  /** Returns an error with the stack trace of this thread. */
  private static RuntimeException thrown(Throwable error) {
    error.fillInStackTrace();
    return (RuntimeException) error;
  }

  private record Signal(WatchResponse response, Throwable error) {
    static final Signal END = new Signal(null, null);
  }

  private final class Receiver implements Flow.Subscriber<WatchResponse> {
    @Override
    public void onSubscribe(Flow.Subscription subscription) {}

    @Override
    public void onNext(WatchResponse response) {
      signals.add(new Signal(response, null));
    }

    @Override
    public void onError(Throwable error) {
      signals.add(new Signal(null, error));
    }

    @Override
    public void onComplete() {
      signals.add(Signal.END);
    }
  }
}
