package io.tallykeeper;

import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The channel to a server, and everything that lives as long as the channel does. */
final class Connection implements AutoCloseable {
  private static final long CLOSE_SECONDS = 5;

  private final ManagedChannel channel;
  private final String address;
  private final Tokens tokens;
  private final boolean repeats;
  private final ScheduledThreadPoolExecutor timer;
  private final Set<WatchStream> watches = ConcurrentHashMap.newKeySet();

  /**
   * Takes over a channel.
   *
   * @param tokens null if calls carry no token
   * @param repeats true if calls that met an unavailable server are repeated
   */
  Connection(ManagedChannel channel, String address, Tokens tokens, boolean repeats) {
    this.channel = channel;
    this.address = address;
    this.tokens = tokens;
    this.repeats = repeats;
    this.timer = new ScheduledThreadPoolExecutor(1, Connection::daemon);
    timer.setRemoveOnCancelPolicy(true);
    Reconnection.follow(channel, timer);
  }

  ManagedChannel channel() {
    return channel;
  }

  /** Returns the server with the state of the connection to it. */
  Peer peer() {
    return new Peer(address, channel.getState(false) == ConnectivityState.READY);
  }

  boolean repeats() {
    return repeats;
  }

  ScheduledExecutorService timer() {
    return timer;
  }

  /** Returns credentials for one call; null if calls carry no token. */
  Tokens.Credentials credentials() {
    return tokens == null ? null : tokens.credentials();
  }

  /** Remembers a watch, to end it when the connection is closed. */
  void add(WatchStream watch) {
    watches.add(watch);
  }

  void remove(WatchStream watch) {
    watches.remove(watch);
  }

  /** Ends all watches, waits for calls that are under way, for 5 s at most, and ends those that remain. */
  @Override
  public void close() {
    watches.forEach(WatchStream::complete);
    channel.shutdown();
    try {
      channel.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException interrupt) {
      Thread.currentThread().interrupt();
    }
    channel.shutdownNow();
    timer.shutdownNow();
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "tallykeeper-timer");
    thread.setDaemon(true);
    return thread;
  }
}
