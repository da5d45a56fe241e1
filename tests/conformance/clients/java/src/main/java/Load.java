import com.google.gson.Gson;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.tallykeeper.v1.GetCounterRequest;
import io.tallykeeper.v1.GetCounterResponse;
import io.tallykeeper.v1.IncrementCopiesRequest;
import io.tallykeeper.v1.IncrementCopiesResponse;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import io.tallykeeper.v1.WatchRequest;
import io.tallykeeper.v1.WatchResponse;
import java.io.File;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The load of grpc-java: see clients/__init__.py.
 *
 * <p>protoc generates the messages. The methods are described here in the same way as in the code of
 * protoc-gen-grpc-java, so that protoc is the only platform-specific program of the build.
 */
public final class Load {
  private static final String COUNTER = "calls";
  private static final String ITEM = "copies";
  private static final long CALL_SECONDS = 30;
  private static final long WATCH_PAUSE_MS = 100;

  private static final MethodDescriptor<IncrementRequest, IncrementResponse> INCREMENT =
      unary("CounterService/Increment", IncrementRequest.getDefaultInstance(), IncrementResponse.getDefaultInstance());
  private static final MethodDescriptor<GetCounterRequest, GetCounterResponse> GET_COUNTER =
      unary("CounterService/GetCounter", GetCounterRequest.getDefaultInstance(), GetCounterResponse.getDefaultInstance());
  private static final MethodDescriptor<IncrementCopiesRequest, IncrementCopiesResponse> INCREMENT_COPIES =
      unary(
          "InventoryService/IncrementCopies",
          IncrementCopiesRequest.getDefaultInstance(),
          IncrementCopiesResponse.getDefaultInstance());
  private static final MethodDescriptor<WatchRequest, WatchResponse> WATCH =
      method(
          MethodDescriptor.MethodType.SERVER_STREAMING,
          "LedgerService/Watch",
          WatchRequest.getDefaultInstance(),
          WatchResponse.getDefaultInstance());

  private final String namespace;
  private final AtomicLong calls = new AtomicLong();
  private final AtomicLong attempts = new AtomicLong();
  private final AtomicLong increments = new AtomicLong();
  private final AtomicLong copies = new AtomicLong();
  private final AtomicLong revision = new AtomicLong();
  private final Map<List<String>, Long> errors = new HashMap<>();
  private volatile long watchedRevision;
  private long watchedEntries;
  private long resumed;
  private volatile boolean stopping;
  private volatile boolean stopped;

  private Load(String namespace) {
    this.namespace = namespace;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = new HashMap<>();
    for (int index = 0; index < arguments.length; index += 2) {
      options.put(arguments[index].substring(2), arguments[index + 1]);
    }
    new Load(options.get("namespace")).run(options);
  }

  private void run(Map<String, String> options) throws Exception {
    ManagedChannel retrying = channel(options, true);
    ManagedChannel patient = channel(options, false);
    Thread watching = new Thread(() -> watch(retrying));
    watching.start();
    List<Thread> callers = new ArrayList<>();
    for (int caller = 0; caller < Integer.parseInt(options.get("callers")); caller++) {
      String number = Integer.toString(caller);
      callers.add(new Thread(() -> call(retrying, CallOptions.DEFAULT, "retrying-" + number)));
      callers.add(new Thread(() -> call(patient, CallOptions.DEFAULT.withWaitForReady(), "patient-" + number)));
    }
    callers.forEach(Thread::start);
    System.out.println("ready");
    System.in.readAllBytes();
    stopping = true;
    for (Thread caller : callers) {
      caller.join();
    }
    stopped = true;
    watching.join();
    System.out.println(new Gson().toJson(report()));
    System.exit(0);
  }

  private ManagedChannel channel(Map<String, String> options, boolean retries) throws Exception {
    var builder = Grpc.newChannelBuilder(options.get("target"), credentials(options));
    if (retries) {
      Map<String, ?> policy = new Gson().<Map<String, ?>>fromJson(options.get("service-config"), Map.class);
      builder.defaultServiceConfig(policy);
    }
    return builder.intercept(new AttemptCounter()).build();
  }

  private static ChannelCredentials credentials(Map<String, String> options) throws Exception {
    if (!options.containsKey("ca")) {
      return InsecureChannelCredentials.create();
    }
    var builder = TlsChannelCredentials.newBuilder().trustManager(new File(options.get("ca")));
    if (options.containsKey("certificate")) {
      builder.keyManager(new File(options.get("certificate")), new File(options.get("key")));
    }
    return builder.build();
  }

  /** Adds and reads until the load stops. */
  private void call(Channel channel, CallOptions callOptions, String caller) {
    long seen = 0;
    for (long number = 1; !stopping; number++) {
      String requestId = caller + "-" + number;
      var increment =
          IncrementRequest.newBuilder().setNamespace(namespace).setRequestId(requestId).setCounter(COUNTER).build();
      var incremented = answered(channel, INCREMENT, callOptions, increment);
      if (incremented != null) {
        increments.incrementAndGet();
        revision.accumulateAndGet(incremented.getRevision(), Math::max);
        seen = Math.max(seen, incremented.getCounter().getValue());
      }
      var addition =
          IncrementCopiesRequest.newBuilder()
              .setNamespace(namespace)
              .setRequestId(requestId + "-copies")
              .setItem(ITEM)
              .build();
      var added = answered(channel, INCREMENT_COPIES, callOptions, addition);
      if (added != null) {
        copies.incrementAndGet();
        revision.accumulateAndGet(added.getRevision(), Math::max);
      }
      var query = GetCounterRequest.newBuilder().setNamespace(namespace).setCounter(COUNTER).build();
      var read = answered(channel, GET_COUNTER, callOptions, query);
      if (read != null) {
        if (read.getCounter().getValue() < seen) {
          fail("STALE", "a read has missed an acknowledged change");
        }
        seen = Math.max(seen, read.getCounter().getValue());
      }
    }
  }

  /** Calls and returns the response, or null after an error, which it records. */
  private <Q, R> R answered(Channel channel, MethodDescriptor<Q, R> method, CallOptions callOptions, Q request) {
    calls.incrementAndGet();
    try {
      CallOptions timed = callOptions.withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
      return ClientCalls.blockingUnaryCall(channel, method, timed, request);
    } catch (StatusRuntimeException error) {
      fail(error.getStatus().getCode().toString(), String.valueOf(error.getStatus().getDescription()));
      return null;
    }
  }

  /** Follows the ledger from its beginning until all callers have ended and their last change has come. */
  private void watch(Channel channel) {
    while (true) {
      Context.CancellableContext context = Context.current().withCancellation();
      Thread ending = new Thread(() -> endWatch(context));
      ending.start();
      try {
        context.run(() -> follow(channel));
        fail("watch", "the watch has ended without an error");
      } catch (StatusRuntimeException error) {
        if (stopped && error.getStatus().getCode() == Status.Code.CANCELLED) {
          return;
        }
        if (error.getStatus().getCode() == Status.Code.UNAVAILABLE) {
          resumed++;
        } else {
          fail("watch: " + error.getStatus().getCode(), String.valueOf(error.getStatus().getDescription()));
        }
      } finally {
        ending.interrupt();
      }
      pause();
    }
  }

  private void endWatch(Context.CancellableContext context) {
    long patience = TimeUnit.SECONDS.toMillis(CALL_SECONDS) / WATCH_PAUSE_MS;
    while (!stopped || watchedRevision < revision.get()) {
      if (!pause()) {
        return;
      }
      if (stopped && patience-- == 0) {
        fail("WATCH", "the watch has not come to the last revision");
        break;
      }
    }
    context.cancel(null);
  }

  private void follow(Channel channel) {
    var request = WatchRequest.newBuilder().setNamespace(namespace).setAfterRevision(watchedRevision).build();
    Iterator<WatchResponse> responses =
        ClientCalls.blockingServerStreamingCall(channel, WATCH, CallOptions.DEFAULT, request);
    while (responses.hasNext()) {
      for (var entry : responses.next().getEntriesList()) {
        watchedEntries++;
        if (entry.getRevision() != watchedRevision + 1) {
          fail("WATCH", "a revision was missed or came twice");
        }
        watchedRevision = entry.getRevision();
      }
    }
  }

  private static boolean pause() {
    try {
      Thread.sleep(WATCH_PAUSE_MS);
      return true;
    } catch (InterruptedException interrupt) {
      return false;
    }
  }

  private synchronized void fail(String code, String message) {
    errors.merge(List.of(code, message), 1L, Long::sum);
  }

  private synchronized Map<String, Object> report() {
    List<Map<String, Object>> failures = new ArrayList<>();
    errors.forEach(
        (error, count) -> failures.add(Map.of("code", error.get(0), "message", error.get(1), "count", count)));
    Map<String, Object> report = new TreeMap<>();
    report.put("calls", calls.get());
    report.put("increments", increments.get());
    report.put("copies", copies.get());
    report.put("retried", attempts.get() - calls.get());
    report.put("watched_revision", watchedRevision);
    report.put("watched_entries", watchedEntries);
    report.put("resumed", resumed);
    report.put("errors", failures);
    return report;
  }

  private static <Q extends Message, R extends Message> MethodDescriptor<Q, R> unary(String name, Q request, R response) {
    return method(MethodDescriptor.MethodType.UNARY, name, request, response);
  }

  private static <Q extends Message, R extends Message> MethodDescriptor<Q, R> method(
      MethodDescriptor.MethodType type, String name, Q request, R response) {
    return MethodDescriptor.<Q, R>newBuilder(ProtoUtils.marshaller(request), ProtoUtils.marshaller(response))
        .setType(type)
        .setFullMethodName("tallykeeper.v1." + name)
        .build();
  }

  /** Counts the attempts of unary calls, without those that never left this process. */
  private final class AttemptCounter implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions callOptions, Channel next) {
      if (method.getType() != MethodDescriptor.MethodType.UNARY) {
        return next.newCall(method, callOptions);
      }
      return next.newCall(
          method,
          callOptions.withStreamTracerFactory(
              new ClientStreamTracer.Factory() {
                @Override
                public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
                  if (!info.isTransparentRetry()) {
                    attempts.incrementAndGet();
                  }
                  return new ClientStreamTracer() {};
                }
              }));
    }
  }
}
