package io.tallykeeper;

import com.google.gson.Gson;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The retry policy that all clients of Tallykeeper share: {@code client/service_config.json} of the repository. */
final class ServiceConfig {
  private static final String RESOURCE = "service_config.json";

  private ServiceConfig() {}

  /** Returns the policy in the form that gRPC takes: maps, lists, strings, booleans, and every number as a double. */
  static Map<String, ?> load() {
    try (InputStream resource = ServiceConfig.class.getResourceAsStream(RESOURCE)) {
      if (resource == null) {
        throw new IllegalStateException("the resource " + RESOURCE + " is missing beside " + ServiceConfig.class);
      }
      Reader reader = new InputStreamReader(resource, StandardCharsets.UTF_8);
      return new Gson().<Map<String, ?>>fromJson(reader, Map.class);
    } catch (IOException error) {
      throw new UncheckedIOException("the resource " + RESOURCE + " cannot be read", error);
    }
  }
}
