package io.tallykeeper;

import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Makes a channel that has lost its server try to connect four times a second.
 *
 * <p>By itself, a channel of grpc-java waits between 1 s and 120 s before it tries again, and has no option for it. A
 * server that restarts is back after 1 to 4 s, and the calls that wait for it have a deadline of 5 s.
 */
final class Reconnection {
  static final long PAUSE_MS = 250;

  private final ManagedChannel channel;
  private final ScheduledExecutorService timer;

  private Reconnection(ManagedChannel channel, ScheduledExecutorService timer) {
    this.channel = channel;
    this.timer = timer;
  }

  /** Follows the state of a channel until the channel is shut down. */
  static void follow(ManagedChannel channel, ScheduledExecutorService timer) {
    new Reconnection(channel, timer).onChange();
  }

  private void onChange() {
    ConnectivityState state = channel.getState(false);
    if (state == ConnectivityState.SHUTDOWN) {
      return;
    }
    channel.notifyWhenStateChanged(state, this::onChange);
    if (state == ConnectivityState.TRANSIENT_FAILURE) {
      schedule();
    }
  }

  /** Tries again as long as there is no connection: the channel stays in this state while it connects. */
  private void reconnect() {
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      channel.resetConnectBackoff();
      schedule();
    }
  }

  private void schedule() {
    if (!timer.isShutdown()) {
      timer.schedule(this::reconnect, PAUSE_MS, TimeUnit.MILLISECONDS);
    }
  }
}
