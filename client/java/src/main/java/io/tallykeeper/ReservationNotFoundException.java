package io.tallykeeper;

/** The reservation does not exist, or is no longer kept (RESERVATION_NOT_FOUND). */
public final class ReservationNotFoundException extends NotFoundException {
  private static final long serialVersionUID = 1;

  private final String reservationId;

  ReservationNotFoundException(Failure failure) {
    super(failure);
    this.reservationId = failure.value("reservation_id");
  }

  /** Returns the reservation's id. */
  public String reservationId() {
    return reservationId;
  }
}
