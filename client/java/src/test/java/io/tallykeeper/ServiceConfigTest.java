package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import com.google.gson.Gson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ServiceConfigTest {
  @Test
  void isTheOneThatAllClientsShare() throws IOException {
    String shared = Files.readString(Path.of("..", "tallykeeper_client", "service_config.json"));
    assertEquals(new Gson().fromJson(shared, Map.class), ServiceConfig.load());
  }

  @Test
  void hasDoublesAsGrpcAsks() {
    List<?> methods = (List<?>) ServiceConfig.load().get("methodConfig");
    Map<?, ?> policy = (Map<?, ?>) ((Map<?, ?>) methods.get(0)).get("retryPolicy");
    assertInstanceOf(Double.class, policy.get("maxAttempts"));
    assertInstanceOf(Double.class, policy.get("backoffMultiplier"));
  }
}
