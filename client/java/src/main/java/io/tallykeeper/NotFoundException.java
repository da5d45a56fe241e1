package io.tallykeeper;

/** The counter, the item or the reservation does not exist. */
public class NotFoundException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  NotFoundException(Failure failure) {
    super(failure);
  }
}
