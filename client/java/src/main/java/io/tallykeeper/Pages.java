package io.tallykeeper;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** All elements of a listing. The next page is requested when all elements of the last page have been returned. */
final class Pages<R, T> implements Iterator<T> {
  private final Function<String, R> read;
  private final Function<R, List<T>> each;
  private final Function<R, String> nextToken;
  private Iterator<T> page = List.<T>of().iterator();
  private String token = "";
  private boolean isLast;

  private Pages(Function<String, R> read, Function<R, List<T>> each, Function<R, String> nextToken) {
    this.read = read;
    this.each = each;
    this.nextToken = nextToken;
  }

  /**
   * Returns a listing as a stream.
   *
   * @param read reads the page of a token; the empty token is that of the first page
   * @param each returns what a page lists
   * @param nextToken returns the token of the page after it; the last page has the empty one
   */
  static <R, T> Stream<T> stream(
      Function<String, R> read, Function<R, List<T>> each, Function<R, String> nextToken) {
    int characteristics = Spliterator.ORDERED | Spliterator.NONNULL;
    Iterator<T> pages = new Pages<>(read, each, nextToken);
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(pages, characteristics), false);
  }

  @Override
  public boolean hasNext() {
    while (!page.hasNext() && !isLast) {
      R response = read.apply(token);
      page = each.apply(response).iterator();
      token = nextToken.apply(response);
      isLast = token.isEmpty();
    }
    return page.hasNext();
  }

  @Override
  public T next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the listing has no more");
    }
    return page.next();
  }
}
