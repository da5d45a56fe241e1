package io.tallykeeper;

import java.util.Optional;

/** The stock level, or any level of the item, does not exist (ITEM_NOT_FOUND). */
public final class ItemNotFoundException extends NotFoundException {
  private static final long serialVersionUID = 1;

  private final String item;
  private final String location;

  ItemNotFoundException(Failure failure) {
    super(failure);
    this.item = failure.value("item");
    this.location = failure.values().get("location");
  }

  /** Returns the item. */
  public String item() {
    return item;
  }

  /** Returns the location; empty if the item has no level anywhere. */
  public Optional<String> location() {
    return Optional.ofNullable(location);
  }
}
