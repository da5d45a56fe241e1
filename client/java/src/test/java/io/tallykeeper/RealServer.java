package io.tallykeeper;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** {@code tallykeeper serve} of this checkout, in its own process. */
final class RealServer implements AutoCloseable {
  static final Path PROGRAM = Path.of("..", "..", ".venv", "bin", "tallykeeper").toAbsolutePath().normalize();

  private final String address;
  private final Path data;
  private final List<String> options;
  private Process process;

  /** Starts a server on a free port; skips the test if the program is not installed. */
  RealServer(Path data, String... options) throws IOException {
    assumeInstalled();
    this.address = "127.0.0.1:" + FakeServer.freePort();
    this.data = data;
    this.options = List.of(options);
    start();
  }

  String address() {
    return address;
  }

  void start() throws IOException {
    List<String> command = new ArrayList<>(List.of(PROGRAM.toString(), "serve", "--http-listen", "", "--listen", address));
    command.addAll(List.of("--log-format", "json", "--workers", "1", "--data-dir", data.resolve("data").toString()));
    command.addAll(options);
    process = new ProcessBuilder(command).start();
    awaitServing(process.errorReader());
  }

  void stop() throws InterruptedException {
    process.destroy();
    if (!process.waitFor(FakeServer.PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
  }

  @Override
  public void close() throws InterruptedException {
    stop();
  }

  /** Runs another command of the program and returns what it prints. */
  static String run(String... arguments) throws IOException, InterruptedException {
    assumeInstalled();
    List<String> command = new ArrayList<>(List.of(PROGRAM.toString()));
    command.addAll(List.of(arguments));
    Process ran = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(ran.getInputStream().readAllBytes());
    if (ran.waitFor() != 0) {
      throw new AssertionError(command + " failed: " + output);
    }
    return output;
  }

  /** Skips the test, and prints why, if the program is not installed. */
  private static void assumeInstalled() {
    boolean isInstalled = Files.isExecutable(PROGRAM);
    String reason = "skipped, because " + PROGRAM + " is missing: make setup installs it";
    if (!isInstalled) {
      System.err.println(reason);
    }
    assumeTrue(isInstalled, reason);
  }

  private static void awaitServing(BufferedReader log) throws IOException {
    StringBuilder seen = new StringBuilder();
    for (String line = log.readLine(); line != null; line = log.readLine()) {
      seen.append(line).append('\n');
      if (line.startsWith("{")) {
        JsonObject event = JsonParser.parseString(line).getAsJsonObject();
        if (event.get("event").getAsString().equals("serving")) {
          drain(log);
          return;
        }
      }
    }
    throw new AssertionError("the server has ended:\n" + seen);
  }

  /** Reads the log on, so that the server never waits for a reader. */
  private static void drain(BufferedReader log) {
    Thread reader =
        new Thread(
            () -> {
              try (log) {
                while (log.readLine() != null) {
                  continue;
                }
              } catch (IOException ended) {
                return;
              }
            });
    reader.setDaemon(true);
    reader.start();
  }
}
