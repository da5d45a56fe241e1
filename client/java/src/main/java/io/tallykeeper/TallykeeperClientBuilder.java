package io.tallykeeper;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The options of a client; {@link TallykeeperClient#builder(String)} makes one. */
public final class TallykeeperClientBuilder {
  private static final Pattern URL = Pattern.compile("(https?|grpcs?|tcp)://.*", Pattern.CASE_INSENSITIVE);

  /** A scheme of gRPC's resolvers, which is followed by what only the resolver understands. */
  private static final Pattern RESOLVED = Pattern.compile("(unix|xds|dns):.*|[a-z][a-z0-9+.-]*://.*");

  private static final Pattern HOST_AND_PORT = Pattern.compile("(\\[[^\\]\\s]+]|[^:/@\\s]+):(?<port>[0-9]{1,5})");
  private static final int PORT_MAX = 65_535;
  private static final Duration TIMEOUT = Duration.ofSeconds(5);

  /** The size of a response: gRPC's own 4 MiB are less than a page of large reservations may have. */
  private static final int RESPONSE_BYTES_MAX = 64 << 20;

  /** The size of a request that may be repeated: gRPC's own 1 MiB are less than a large batch has. */
  private static final long REPEATED_BYTES_MAX = 8 << 20;

  private static final long REPEATED_BYTES_ALL_MAX = 64 << 20;

  /** The silence after which a connection with a call or a watch on it is asked whether its server is there. */
  private static final long KEEPALIVE_SECONDS = 30;

  private static final long KEEPALIVE_TIMEOUT_SECONDS = 10;

  private final String address;
  private String namespace = "";
  private Duration timeout = TIMEOUT;
  private boolean retries = true;
  private Tokens tokens;
  private boolean tls;
  private Path authorities;
  private Path certificate;
  private Path key;
  private ChannelCredentials credentials;

  TallykeeperClientBuilder(String address) {
    if (URL.matcher(address).matches()) {
      throw new IllegalArgumentException("the address " + address + " is a URL; name HOST:PORT without the scheme");
    }
    if (!RESOLVED.matcher(address).matches() && !isHostAndPort(address)) { // gRPC would try the port 80 or 443
      throw new IllegalArgumentException(
          "the address \"" + address + "\" is not HOST:PORT, such as 127.0.0.1:50051, with a port from 1 to " + PORT_MAX);
    }
    this.address = address;
  }

  private static boolean isHostAndPort(String address) {
    Matcher matcher = HOST_AND_PORT.matcher(address);
    if (!matcher.matches()) {
      return false;
    }
    int port = Integer.parseInt(matcher.group("port"));
    return port >= 1 && port <= PORT_MAX;
  }

  /** Sets the namespace of requests that name none; without it, they mean the namespace {@code default}. */
  public TallykeeperClientBuilder namespace(String name) {
    this.namespace = name;
    return this;
  }

  /** Sets the time that a call may take with all its repeats, more than 0; it is 5 s without it. */
  public TallykeeperClientBuilder timeout(Duration duration) {
    this.timeout = duration;
    return this;
  }

  /** Sets the API key or JWT that tells the server who calls. */
  public TallykeeperClientBuilder token(String token) {
    this.tokens = Tokens.fixed(token);
    return this;
  }

  /**
   * Sets the source of the token: an API key or a JWT.
   *
   * <p>The client keeps what the source gives until the server calls it expired (CREDENTIAL_EXPIRED). Then it asks once
   * more and repeats the call with the same request id. The source may block.
   */
  public TallykeeperClientBuilder token(Supplier<String> source) {
    this.tokens = Tokens.renewable(source);
    return this;
  }

  /** Encrypts the connection, and trusts the authorities that Java trusts. */
  public TallykeeperClientBuilder tls() {
    this.tls = true;
    return this;
  }

  /** Encrypts the connection, and trusts the authorities in a file in PEM form alone. */
  public TallykeeperClientBuilder tls(Path authoritiesFile) {
    this.tls = true;
    this.authorities = authoritiesFile;
    return this;
  }

  /**
   * Encrypts the connection, and proves with a certificate who calls (mutual TLS).
   *
   * @param certificateFile the certificate, with its chain, in PEM form
   * @param keyFile the private key of the certificate, without a password, in PEM form (PKCS#8)
   */
  public TallykeeperClientBuilder clientCertificate(Path certificateFile, Path keyFile) {
    this.tls = true;
    this.certificate = certificateFile;
    this.key = keyFile;
    return this;
  }

  /** Sets credentials of gRPC itself, in the place of {@link #tls} and {@link #clientCertificate}. */
  public TallykeeperClientBuilder channelCredentials(ChannelCredentials channelCredentials) {
    this.credentials = channelCredentials;
    return this;
  }

  /**
   * Sets whether gRPC repeats a call that met an unavailable server, as {@code client/service_config.json} says. It
   * does unless this is false. Each repeat has the same request id, so it counts once.
   */
  public TallykeeperClientBuilder retries(boolean enabled) {
    this.retries = enabled;
    return this;
  }

  /**
   * Makes the client, which connects with its first call.
   *
   * @throws UncheckedIOException if a file of the options cannot be read
   */
  public TallykeeperClient build() {
    return new TallykeeperClient(calls());
  }

  /**
   * Makes the client whose methods return futures.
   *
   * @throws UncheckedIOException if a file of the options cannot be read
   */
  public AsyncTallykeeperClient buildAsync() {
    return new AsyncTallykeeperClient(calls());
  }

  private Calls calls() {
    return new Calls(new Connection(channel(), address, tokens, retries), namespace, timeout);
  }

  private ManagedChannel channel() {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(address, credentials == null ? credentialsOfFiles() : credentials)
            .disableServiceConfigLookUp()
            .maxInboundMessageSize(RESPONSE_BYTES_MAX)
            .perRpcBufferLimit(REPEATED_BYTES_MAX)
            .retryBufferSize(REPEATED_BYTES_ALL_MAX)
            .keepAliveTime(KEEPALIVE_SECONDS, TimeUnit.SECONDS)
            .keepAliveTimeout(KEEPALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS);
    if (retries) {
      return builder.enableRetry().defaultServiceConfig(ServiceConfig.load()).build();
    }
    return builder.disableRetry().build();
  }

  private ChannelCredentials credentialsOfFiles() {
    if (!tls) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    try {
      if (authorities != null) {
        builder.trustManager(authorities.toFile());
      }
      if (certificate != null) {
        builder.keyManager(certificate.toFile(), key.toFile());
      }
    } catch (IOException error) {
      throw new UncheckedIOException("a file for TLS cannot be read: " + error.getMessage(), error);
    }
    return builder.build();
  }
}
