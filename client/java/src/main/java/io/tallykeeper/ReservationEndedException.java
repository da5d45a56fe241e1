package io.tallykeeper;

/** The reservation is no longer active (RESERVATION_COMMITTED, RESERVATION_RELEASED or RESERVATION_EXPIRED). */
public final class ReservationEndedException extends TallykeeperException {
  private static final long serialVersionUID = 1;

  private final String reservationId;

  ReservationEndedException(Failure failure) {
    super(failure);
    this.reservationId = failure.value("reservation_id");
  }

  /** Returns the reservation's id. */
  public String reservationId() {
    return reservationId;
  }
}
