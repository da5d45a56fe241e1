import io.tallykeeper.InsufficientStockException;
import io.tallykeeper.TallykeeperClient;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.IncrementResponse;
import java.util.UUID;

/**
 * Sells three copies of a book, is refused the fourth, and counts an order once that was sent twice.
 *
 * <p>The address of the server is the first argument, or TALLYKEEPER_ADDRESS, or 127.0.0.1:50051.
 */
public final class FirstAct {
  private static final long COPIES = 3;

  private FirstAct() {}

  public static void main(String[] arguments) {
    String fallback = System.getenv().getOrDefault("TALLYKEEPER_ADDRESS", "127.0.0.1:50051");
    String address = arguments.length > 0 ? arguments[0] : fallback;
    String namespace = "example-" + UUID.randomUUID();
    try (TallykeeperClient client = TallykeeperClient.builder(address).namespace(namespace).build()) {
      client.setStock("dune", COPIES);
      try {
        for (long sold = 1; ; sold++) {
          long left = client.takeCopies("dune", 1).getStockLevel().getAvailable();
          System.out.printf("sold %d of %d, %d left%n", sold, COPIES, left);
        }
      } catch (InsufficientStockException error) {
        long available = error.shortages().get(0).getAvailable();
        System.out.printf("sold out: %s, %d available%n", error.reason(), available);
      }

      IncrementRequest order =
          IncrementRequest.newBuilder().setCounter("orders").setRequestId(TallykeeperClient.newRequestId()).build();
      client.increment(order);
      IncrementResponse again = client.increment(order);
      System.out.printf(
          "retried with the same request id: counter %d, replayed %b%n",
          again.getCounter().getValue(), again.getReplayed());
    }
  }
}
