package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tallykeeper.FakeServer.WatchCall;
import io.tallykeeper.v1.Entry;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Watches of a server that sends, and breaks off, as a test says. */
class WatchTest {
  private static final WatchRequest FROM_NOW = WatchRequest.getDefaultInstance();

  private FakeServer server;
  private TallykeeperClient client;

  @BeforeEach
  void connect() throws IOException {
    server = new FakeServer();
    client = patient().build();
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    server.close();
  }

  @Test
  void beginsBeforeItIsReturned() throws Exception {
    CompletableFuture<Watch> starting = CompletableFuture.supplyAsync(() -> client.watch(FROM_NOW));
    WatchCall call = server.nextWatch();
    assertFalse(starting.isDone());
    call.responses().onNext(bookmark(7));
    assertEquals(7, starting.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS).revision());
  }

  @Test
  void givesEntriesAndNoBookmarks() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    started.call.responses().onNext(entry(8));
    started.call.responses().onNext(bookmark(10));
    started.call.responses().onNext(entry(11));
    assertEquals(List.of(8L, 11L), List.of(started.watch.next().getRevision(), started.watch.next().getRevision()));
    assertEquals(11, started.watch.revision());
  }

  @Test
  void givesTheLevelsThatAreAskedForEvenIfThereAreNone() throws Exception {
    Started started = start(WatchRequest.newBuilder().setIncludeLevels(true).build(), bookmark(0));
    assertEquals(bookmark(0), started.watch.next());
  }

  @Test
  void carriesTheNamespaceOfItsClient() throws Exception {
    CompletableFuture.runAsync(() -> client.withNamespace("shop").watch(FROM_NOW));
    assertEquals("shop", server.nextWatch().request().getNamespace());
  }

  @ParameterizedTest
  @ValueSource(strings = {"UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED"})
  void goesOnAfterTheLastRevision(String code) throws Exception {
    WatchRequest request = WatchRequest.newBuilder().addItems("dune").setIncludeLevels(true).build();
    Started started = start(request, bookmark(7));
    started.watch.next();
    started.call.responses().onNext(entry(8));
    started.watch.next();
    started.call.responses().onError(Status.fromCode(Status.Code.valueOf(code)).asRuntimeException());
    WatchCall again = server.nextWatch();
    assertEquals(WatchRequest.newBuilder().addItems("dune").setAfterRevision(8).build(), again.request());
    again.responses().onNext(entry(9));
    assertEquals(9, started.watch.next().getRevision());
  }

  @Test
  void goesOnAfterABookmark() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    started.call.responses().onNext(entry(8));
    started.call.responses().onNext(bookmark(20));
    started.watch.next();
    CompletableFuture<WatchResponse> next = CompletableFuture.supplyAsync(started.watch::next);
    awaitRevision(started.watch, 20);
    started.call.responses().onCompleted();
    WatchCall again = server.nextWatch();
    assertEquals(20, again.request().getAfterRevision());
    again.responses().onNext(entry(21));
    assertEquals(21, next.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS).getRevision());
  }

  @Test
  void goesOnFromTheBeginningOfAnEmptyNamespace() throws Exception {
    Started started = start(FROM_NOW, bookmark(0));
    started.call.responses().onError(Status.UNAVAILABLE.asRuntimeException());
    assertTrue(server.nextWatch().request().hasAfterRevision());
  }

  @Test
  void keepsTheResponseThatNobodyHasTakenYet() throws Exception {
    Started started = start(FROM_NOW, entry(8));
    started.call.responses().onError(Status.UNAVAILABLE.asRuntimeException());
    WatchCall again = server.nextWatch();
    assertEquals(8, again.request().getAfterRevision());
    again.responses().onNext(entry(9));
    client.increment("visitors"); // its response comes over the same connection, behind the entry
    assertEquals(0, started.watch.revision());
    assertEquals(List.of(8L, 9L), List.of(started.watch.next().getRevision(), started.watch.next().getRevision()));
  }

  @Test
  void goesOnAfterAClosedPort() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    server.stop();
    server.start();
    WatchCall again = server.nextWatch();
    assertEquals(7, again.request().getAfterRevision());
    again.responses().onNext(entry(8));
    assertEquals(8, started.watch.next().getRevision());
  }

  @Test
  void goesOnWithAnotherTokenWhenTheServerCallsItExpired() throws Exception {
    Iterator<String> source = List.of("first", "second").iterator();
    try (TallykeeperClient known = patient().token(source::next).build()) {
      CompletableFuture<Watch> starting = CompletableFuture.supplyAsync(() -> known.watch(FROM_NOW));
      WatchCall call = server.nextWatch();
      call.responses().onNext(bookmark(7));
      starting.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS);
      call.responses().onError(FakeServer.error(Status.Code.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", Map.of()));
      assertEquals(7, server.nextWatch().request().getAfterRevision());
      assertEquals(List.of("Bearer first", "Bearer second"), List.copyOf(server.tokens));
    }
  }

  @Test
  void endsWithWhatCannotPass() throws Exception {
    Started started = start(FROM_NOW, entry(8));
    StatusRuntimeException trimmed =
        FakeServer.error(Status.Code.OUT_OF_RANGE, "REVISION_TRIMMED", Map.of("oldest", "20"));
    started.call.responses().onError(trimmed);
    assertEquals(8, started.watch.next().getRevision());
    assertEquals(20, assertThrows(RevisionTrimmedException.class, started.watch::hasNext).oldest());
    assertThrows(RevisionTrimmedException.class, started.watch::next);
  }

  @Test
  void isNotReturnedIfTheServerRefusesIt() {
    server.failNext(FakeServer.error(Status.Code.INVALID_ARGUMENT, "INVALID_FIELD", Map.of("field", "items")));
    assertThrows(InvalidFieldException.class, () -> client.watch(FROM_NOW));
  }

  @Test
  void isNotReturnedIfNoServerListens() throws Exception {
    server.stop();
    TallykeeperClient hurried = client.withTimeout(Duration.ofMillis(300));
    assertThrows(UnavailableException.class, () -> hurried.watch(FROM_NOW));
  }

  @Test
  void isNotReturnedIfTheServerIsSilent() {
    TallykeeperClient hurried = client.withTimeout(Duration.ofMillis(50));
    assertThrows(DeadlineExceededException.class, () -> hurried.watch(FROM_NOW));
  }

  @Test
  void isNotReturnedByAClosedClient() {
    client.close();
    assertThrows(UnavailableException.class, () -> client.watch(FROM_NOW));
  }

  @Test
  void endsWhenAnotherThreadClosesIt() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    CompletableFuture<Boolean> next = CompletableFuture.supplyAsync(started.watch::hasNext);
    started.watch.close();
    assertFalse(next.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS));
    assertFalse(started.watch.hasNext());
    assertThrows(NoSuchElementException.class, started.watch::next);
  }

  @Test
  void endsWhenItsClientIsClosed() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    client.close();
    assertFalse(started.watch.hasNext());
  }

  @Test
  void endsWhenItsThreadIsInterrupted() throws Exception {
    Started started = start(FROM_NOW, bookmark(7));
    CompletableFuture<Throwable> thrown = new CompletableFuture<>();
    Thread watching =
        new Thread(() -> thrown.complete(assertThrows(TallykeeperException.class, started.watch::hasNext)));
    watching.start();
    watching.interrupt();
    TallykeeperException error = (TallykeeperException) thrown.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS);
    assertEquals(Status.Code.CANCELLED, error.code());
  }

  @Test
  void givesASubscriberNoMoreThanItAsksFor() throws Exception {
    Recorder recorder = new Recorder();
    client.async().watch(FROM_NOW).subscribe(recorder);
    WatchCall call = server.nextWatch();
    call.responses().onNext(entry(1));
    call.responses().onNext(entry(2));
    call.responses().onNext(entry(3));
    Flow.Subscription subscription = (Flow.Subscription) recorder.take();
    subscription.request(2);
    assertEquals(List.of(entry(1), entry(2)), List.of(recorder.take(), recorder.take()));
    subscription.request(1);
    assertEquals(entry(3), recorder.take());
    client.close();
    assertEquals("complete", recorder.take());
  }

  @Test
  void failsASubscriberThatAsksForNothing() throws Exception {
    Recorder recorder = new Recorder();
    client.async().watch(FROM_NOW).subscribe(recorder);
    ((Flow.Subscription) recorder.take()).request(0);
    assertInstanceOf(IllegalArgumentException.class, recorder.take());
  }

  @Test
  void givesASubscriberTheErrorThatEndsTheWatch() throws Exception {
    server.failNext(FakeServer.error(Status.Code.DATA_LOSS, "REVISIONS_LOST", Map.of("revision", "5")));
    Recorder recorder = new Recorder();
    client.async().watch(FROM_NOW).subscribe(recorder);
    recorder.take();
    assertInstanceOf(RevisionsLostException.class, recorder.take());
  }

  private TallykeeperClientBuilder patient() {
    return TallykeeperClient.builder(server.address()).timeout(Duration.ofSeconds(FakeServer.PATIENCE_SECONDS));
  }

  private Started start(WatchRequest request, WatchResponse first) throws Exception {
    CompletableFuture<Watch> starting = CompletableFuture.supplyAsync(() -> client.watch(request));
    WatchCall call = server.nextWatch();
    call.responses().onNext(first);
    return new Started(starting.get(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS), call);
  }

  private static void awaitRevision(Watch watch, long revision) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(FakeServer.PATIENCE_SECONDS);
    while (watch.revision() != revision) {
      assertTrue(System.nanoTime() < end, "the watch has not come to revision " + revision);
      Thread.onSpinWait();
    }
  }

  private static WatchResponse bookmark(long revision) {
    return WatchResponse.newBuilder().setRevision(revision).build();
  }

  private static WatchResponse entry(long revision) {
    return bookmark(revision).toBuilder().addEntries(Entry.newBuilder().setRevision(revision)).build();
  }

  private record Started(Watch watch, WatchCall call) {}

  /** Notes what a subscriber is given. */
  private static final class Recorder implements Flow.Subscriber<WatchResponse> {
    private final BlockingQueue<Object> signals = new LinkedBlockingQueue<>();

    Object take() throws InterruptedException {
      Object signal = signals.poll(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS);
      assertTrue(signal != null, "the subscriber was given nothing");
      return signal;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      signals.add(subscription);
    }

    @Override
    public void onNext(WatchResponse response) {
      signals.add(response);
    }

    @Override
    public void onError(Throwable error) {
      signals.add(error);
    }

    @Override
    public void onComplete() {
      signals.add("complete");
    }
  }
}
