package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ReconnectionTest {
  private final ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1);
  private final StatefulChannel channel = new StatefulChannel();

  @AfterEach
  void stop() {
    timer.shutdownNow();
  }

  @Test
  void triesAgainAndAgainWhileThereIsNoConnection() throws Exception {
    Reconnection.follow(channel, timer);
    channel.become(ConnectivityState.TRANSIENT_FAILURE);
    assertTrue(channel.resets.await(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS));
  }

  @Test
  void endsWhenThereIsAConnection() throws Exception {
    Reconnection.follow(channel, timer);
    channel.become(ConnectivityState.TRANSIENT_FAILURE);
    channel.become(ConnectivityState.READY);
    timer.shutdown(); // which lets the try that is planned still run
    assertTrue(timer.awaitTermination(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS));
    assertEquals(StatefulChannel.RESETS, channel.resets.getCount());
  }

  @Test
  void plansOneTryAtATime() {
    Reconnection.follow(channel, timer);
    for (int outage = 0; outage < 3; outage++) {
      channel.become(ConnectivityState.TRANSIENT_FAILURE);
      channel.become(ConnectivityState.READY);
    }
    assertTrue(timer.getQueue().size() <= 1);
  }

  @Test
  void followsNoChannelThatIsShutDown() {
    Reconnection.follow(channel, timer);
    channel.become(ConnectivityState.SHUTDOWN);
    assertEquals(0, timer.getQueue().size());
    assertEquals(null, channel.onChange);
  }

  /** A channel that is only a state. */
  private static final class StatefulChannel extends ManagedChannel {
    static final int RESETS = 3;

    final CountDownLatch resets = new CountDownLatch(RESETS);
    private volatile ConnectivityState state = ConnectivityState.IDLE;
    private Runnable onChange;

    void become(ConnectivityState other) {
      Runnable changed = onChange;
      onChange = null;
      state = other;
      changed.run();
    }

    @Override
    public ConnectivityState getState(boolean requestConnection) {
      return state;
    }

    @Override
    public void notifyWhenStateChanged(ConnectivityState source, Runnable callback) {
      onChange = callback;
    }

    @Override
    public void resetConnectBackoff() {
      resets.countDown();
    }

    @Override
    public ManagedChannel shutdown() {
      throw new UnsupportedOperationException();
    }

    @Override
    public ManagedChannel shutdownNow() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isShutdown() {
      return false;
    }

    @Override
    public boolean isTerminated() {
      return false;
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) {
      return false;
    }

    @Override
    public <Q, R> ClientCall<Q, R> newCall(MethodDescriptor<Q, R> method, CallOptions options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public String authority() {
      return "";
    }
  }
}
