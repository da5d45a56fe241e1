package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TallykeeperClientBuilderTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "", " ", "localhost", "localhost:", ":50051", "localhost:0", "localhost:65536", "localhost:grpc", "::1:50051",
        "a b:1", "user@localhost:1", "localhost:1/path"
      })
  void refusesAnAddressThatIsNoHostAndPort(String address) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> TallykeeperClient.builder(address));
    assertEquals(
        "the address \"" + address + "\" is not HOST:PORT, such as 127.0.0.1:50051, with a port from 1 to 65535",
        refused.getMessage());
  }

  @Test
  void refusesAnAddressThatIsAUrl() {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> TallykeeperClient.builder("http://127.0.0.1:50051"));
    assertEquals(
        "the address http://127.0.0.1:50051 is a URL; name HOST:PORT without the scheme", refused.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"127.0.0.1:50051", "[::1]:50051", "stock.example.com:443", "dns:///stock:1", "unix:/run/tallykeeper"})
  void takesAHostAndAPortAndTheSchemesOfGrpc(String address) {
    TallykeeperClient.builder(address);
  }
}
