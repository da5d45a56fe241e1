package io.tallykeeper;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/** The token that tells the server who calls, and its source. */
final class Tokens {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Supplier<String> source;
  private final boolean renewable;
  private String current;

  private Tokens(Supplier<String> source, boolean renewable) {
    this.source = source;
    this.renewable = renewable;
  }

  /** Returns the source of one token that never changes. */
  static Tokens fixed(String token) {
    String checked = checked(token);
    return new Tokens(() -> checked, false);
  }

  /** Returns a source that is asked for the first call, and again after the server has called its token expired. */
  static Tokens renewable(Supplier<String> source) {
    return new Tokens(source, true);
  }

  /** Returns credentials for one call, which remember the token that they have sent. */
  Credentials credentials() {
    return new Credentials();
  }

  private synchronized String current() {
    if (current == null) {
      current = checked(source.get());
    }
    return current;
  }

  private synchronized void expire(String token) {
    if (token.equals(current)) {
      current = null;
    }
  }

  private static String checked(String token) {
    if (token == null || token.isEmpty() || !token.chars().allMatch(each -> each > ' ' && each < 0x7f)) {
      throw new IllegalArgumentException("a token is printable ASCII without spaces, and not empty");
    }
    return token;
  }

  /** The credentials of one call. */
  final class Credentials extends CallCredentials {
    private volatile String sent;

    @Override
    public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
      executor.execute(() -> apply(applier));
    }

    /**
     * Drops the token that was sent, after the server has called it expired.
     *
     * @return true if the source may give another one
     */
    boolean expire() {
      String token = sent;
      if (!renewable || token == null) {
        return false;
      }
      Tokens.this.expire(token);
      return true;
    }

    private void apply(MetadataApplier applier) {
      Metadata headers = new Metadata();
      try {
        sent = current();
      } catch (RuntimeException error) {
        String message = "the source of tokens failed: " + error.getMessage();
        applier.fail(Status.UNAUTHENTICATED.withDescription(message).withCause(error));
        return;
      }
      headers.put(AUTHORIZATION, "Bearer " + sent);
      applier.apply(headers);
    }
  }
}
