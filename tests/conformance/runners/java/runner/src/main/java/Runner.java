import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.TypeRegistry;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.ErrorDetailsProto;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.tallykeeper.CommitExceedsReservedException;
import io.tallykeeper.InsufficientStockException;
import io.tallykeeper.InvalidFieldException;
import io.tallykeeper.TallykeeperClient;
import io.tallykeeper.TallykeeperClientBuilder;
import io.tallykeeper.TallykeeperException;
import io.tallykeeper.Watch;
import io.tallykeeper.v1.BatchMode;
import io.tallykeeper.v1.BatchProto;
import io.tallykeeper.v1.BatchServiceGrpc;
import io.tallykeeper.v1.CounterServiceGrpc;
import io.tallykeeper.v1.InventoryProto;
import io.tallykeeper.v1.InventoryServiceGrpc;
import io.tallykeeper.v1.LedgerServiceGrpc;
import io.tallykeeper.v1.NamespaceServiceGrpc;
import io.tallykeeper.v1.Operation;
import io.tallykeeper.v1.ReservationServiceGrpc;
import io.tallykeeper.v1.ServerServiceGrpc;
import io.tallykeeper.v1.Shortage;
import io.tallykeeper.v1.WatchRequest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The runner of the Java SDK: reads messages from standard input, and answers them on standard output.
 *
 * <p>tests/conformance/README.md describes the messages. Each message has a thread, so that none holds up another.
 */
public final class Runner {
  private static final Gson GSON = new Gson();
  private static final TypeRegistry DETAILS =
      TypeRegistry.newBuilder()
          .add(ErrorDetailsProto.getDescriptor().getMessageTypes())
          .add(BatchProto.getDescriptor().getMessageTypes())
          .add(InventoryProto.getDescriptor().getMessageTypes())
          .build();
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer().usingTypeRegistry(DETAILS).omittingInsignificantWhitespace();

  private static final Map<String, MethodDescriptor<?, ?>> METHODS =
      Stream.of(
              BatchServiceGrpc.getServiceDescriptor(),
              CounterServiceGrpc.getServiceDescriptor(),
              InventoryServiceGrpc.getServiceDescriptor(),
              LedgerServiceGrpc.getServiceDescriptor(),
              NamespaceServiceGrpc.getServiceDescriptor(),
              ServerServiceGrpc.getServiceDescriptor(),
              ReservationServiceGrpc.getServiceDescriptor())
          .map(ServiceDescriptor::getMethods)
          .flatMap(methods -> methods.stream())
          .filter(method -> method.getType() == MethodDescriptor.MethodType.UNARY)
          .collect(Collectors.toUnmodifiableMap(Runner::shortName, method -> method));

  private final PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private final Map<String, TallykeeperClient> clients = new ConcurrentHashMap<>();
  private final Map<Long, Following> watches = new ConcurrentHashMap<>();
  private final ExecutorService threads = Executors.newCachedThreadPool();

  private Runner() {}

  public static void main(String[] arguments) throws IOException {
    new Runner().run();
    System.exit(0);
  }

  private void run() throws IOException {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      JsonObject message = JsonParser.parseString(line).getAsJsonObject();
      // Clients and watches are there before the next message names them.
      switch (text(message, "do")) {
        case "connect" -> answer(message);
        case "watch" -> {
          Following following = new Following(message);
          watches.put(id(message), following);
          threads.execute(following::run);
        }
        default -> threads.execute(() -> answer(message));
      }
    }
  }

  private void answer(JsonObject message) {
    try {
      reply(message, "ok", carryOut(message));
    } catch (TallykeeperException error) {
      reply(message, "error", described(error));
    } catch (NotUnderstoodException | InvalidProtocolBufferException error) {
      reply(message, "error", described("INVALID_RUNNER_MESSAGE", error));
    } catch (RuntimeException error) {
      reply(message, "error", described("INVALID_ARGUMENT", error));
    }
  }

  private JsonElement carryOut(JsonObject message) throws InvalidProtocolBufferException {
    return switch (text(message, "do")) {
      case "connect" -> connect(message);
      case "call" -> call(message);
      case "batch" -> batch(message);
      case "stop" -> stop(message);
      case "request_id" -> object("request_id", TallykeeperClient.newRequestId());
      case "close" -> close(message);
      default -> throw new NotUnderstoodException("this runner knows no " + text(message, "do"));
    };
  }

  private JsonElement connect(JsonObject message) {
    TallykeeperClientBuilder builder = TallykeeperClient.builder(text(message, "address"));
    if (message.has("namespace")) {
      builder.namespace(text(message, "namespace"));
    }
    if (message.has("token")) {
      builder.token(text(message, "token"));
    }
    if (message.has("ca_file")) {
      builder.tls(Path.of(text(message, "ca_file")));
    }
    if (message.has("cert_file")) {
      builder.clientCertificate(Path.of(text(message, "cert_file")), Path.of(text(message, "key_file")));
    }
    if (message.has("timeout_ms")) {
      builder.timeout(Duration.ofMillis(message.get("timeout_ms").getAsLong()));
    }
    if (message.has("retry")) {
      builder.retries(message.get("retry").getAsBoolean());
    }
    clients.put(text(message, "client"), builder.build());
    return new JsonObject();
  }

  private JsonElement call(JsonObject message) throws InvalidProtocolBufferException {
    MethodDescriptor<?, ?> method = METHODS.get(text(message, "method"));
    if (method == null) {
      throw new NotUnderstoodException("this runner knows no method " + text(message, "method"));
    }
    return call(client(message), method, message.get("request"));
  }

  @SuppressWarnings("unchecked") // a method's prototype has the type of its requests
  private static <Q extends Message, R> JsonElement call(
      TallykeeperClient client, MethodDescriptor<?, ?> method, JsonElement request)
      throws InvalidProtocolBufferException {
    MethodDescriptor<Q, R> typed = (MethodDescriptor<Q, R>) method;
    Q prototype = ((MethodDescriptor.PrototypeMarshaller<Q>) typed.getRequestMarshaller()).getMessagePrototype();
    Message.Builder builder = prototype.newBuilderForType();
    read(request, builder);
    return json((Message) client.call(typed, (Q) builder.build()));
  }

  private JsonElement batch(JsonObject message) throws InvalidProtocolBufferException {
    List<Operation> operations = new ArrayList<>();
    for (JsonElement each : message.getAsJsonArray("operations")) {
      Operation.Builder builder = Operation.newBuilder();
      read(each, builder);
      operations.add(builder.build());
    }
    return json(client(message).apply(BatchMode.valueOf(text(message, "mode")), operations));
  }

  private JsonElement stop(JsonObject message) {
    long id = message.get("watch").getAsLong();
    Following following = watches.get(id);
    if (following == null) {
      throw new NotUnderstoodException("there is no watch " + id);
    }
    following.stop();
    return new JsonObject();
  }

  private JsonElement close(JsonObject message) {
    TallykeeperClient client = clients.remove(text(message, "client"));
    if (client == null) {
      throw new NotUnderstoodException("there is no client " + text(message, "client"));
    }
    client.close();
    return new JsonObject();
  }

  /** Returns the client that a message names, with the deadline that the message sets. */
  private TallykeeperClient client(JsonObject message) {
    TallykeeperClient client = clients.get(text(message, "client"));
    if (client == null) {
      throw new NotUnderstoodException("there is no client " + text(message, "client"));
    }
    return message.has("timeout_ms")
        ? client.withTimeout(Duration.ofMillis(message.get("timeout_ms").getAsLong()))
        : client;
  }

  private synchronized void reply(JsonObject message, String member, JsonElement value) {
    JsonObject reply = new JsonObject();
    reply.add("id", message.get("id"));
    reply.add(member, value);
    output.println(GSON.toJson(reply));
  }

  private static JsonObject described(TallykeeperException error) {
    JsonObject described = new JsonObject();
    described.addProperty("code", error.code().name());
    described.addProperty("reason", error.reason());
    described.addProperty("message", error.getMessage());
    described.add("values", GSON.toJsonTree(error.values()));
    described.addProperty("type", error.getClass().getSimpleName());
    error.retryAfter().ifPresent(delay -> described.addProperty("retry_after_ms", delay.toMillis()));
    if (error instanceof InsufficientStockException shortage) {
      described.add("shortages", shortages(shortage.shortages(), false));
    } else if (error instanceof CommitExceedsReservedException excess) {
      described.add("shortages", shortages(excess.shortages(), true));
    } else if (error instanceof InvalidFieldException invalid) {
      described.add("field_violations", GSON.toJsonTree(invalid.violations()));
    }
    return described;
  }

  private static JsonObject described(String code, Exception error) {
    JsonObject described = new JsonObject();
    described.addProperty("code", code);
    described.addProperty("reason", "");
    described.addProperty("message", String.valueOf(error.getMessage()));
    described.add("values", new JsonObject());
    described.addProperty("type", error.getClass().getSimpleName());
    return described;
  }

  /** Returns the lines that are short, with the numbers that their reason has, also if they are 0. */
  private static JsonArray shortages(List<Shortage> shortages, boolean isCommit) {
    JsonArray array = new JsonArray();
    for (Shortage line : shortages) {
      JsonObject described = object("item", line.getItem());
      described.addProperty("location", line.getLocation());
      described.addProperty("requested", Long.toString(line.getRequested()));
      if (isCommit) {
        described.addProperty("reserved", Long.toString(line.getReserved()));
      } else {
        described.addProperty("available", Long.toString(line.getAvailable()));
        described.addProperty("backorder_limit", Long.toString(line.getBackorderLimit()));
      }
      array.add(described);
    }
    return array;
  }

  private static JsonElement json(Message message) {
    try {
      return JsonParser.parseString(PRINTER.print(message));
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalStateException("a response has a detail of an unknown type", error);
    }
  }

  private static void read(JsonElement json, Message.Builder builder) throws InvalidProtocolBufferException {
    JsonFormat.parser().merge(json == null ? "{}" : GSON.toJson(json), builder);
  }

  private static JsonObject object(String name, String value) {
    JsonObject object = new JsonObject();
    object.addProperty(name, value);
    return object;
  }

  private static String text(JsonObject message, String name) {
    JsonElement value = message.get(name);
    if (value == null) {
      throw new NotUnderstoodException("the message has no " + name);
    }
    return value.getAsString();
  }

  private static long id(JsonObject message) {
    return message.get("id").getAsLong();
  }

  /** Returns the name of a method as messages have it, such as CounterService.Increment. */
  private static String shortName(MethodDescriptor<?, ?> method) {
    String name = method.getFullMethodName();
    return name.substring(name.lastIndexOf('.') + 1).replace('/', '.');
  }

  /** A watch and the thread that replies with its events. */
  private final class Following {
    private final JsonObject message;
    private final CompletableFuture<Watch> watch = new CompletableFuture<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();

    Following(JsonObject message) {
      this.message = message;
    }

    void run() {
      try {
        WatchRequest.Builder builder = WatchRequest.newBuilder();
        read(message.get("request"), builder);
        watch.complete(client(message).watch(builder.build()));
        while (watch.join().hasNext()) {
          reply(message, "event", json(watch.join().next()));
        }
        reply(message, "end", new JsonObject());
      } catch (TallykeeperException error) {
        reply(message, "error", described(error));
      } catch (NotUnderstoodException | InvalidProtocolBufferException error) {
        reply(message, "error", described("INVALID_RUNNER_MESSAGE", error));
      } finally {
        watch.cancel(false);
        ended.complete(null);
      }
    }

    void stop() {
      if (!watch.handle((begun, error) -> error != null).join()) {
        watch.join().close();
      }
      ended.join();
    }
  }

  /** A message that the protocol does not have. */
  private static final class NotUnderstoodException extends RuntimeException {
    private static final long serialVersionUID = 1;

    NotUnderstoodException(String message) {
      super(message);
    }
  }
}
