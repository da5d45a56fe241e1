package tallykeeper

// Reason is the contract's word for what made a call fail. A Reason is an error, so that [errors.Is] compares an error
// of this package with it:
//
//	if errors.Is(err, tallykeeper.ErrInsufficientStock) { … }
//
// A Reason that is also the name of a gRPC code, such as [ErrUnavailable], is each error of that code.
type Reason string

// Error returns the reason.
func (r Reason) Error() string { return string(r) }

// The reasons of requests that are wrong. Nothing was changed.
const (
	// ErrInvalidField is a request with fields that break a rule: see [InvalidFieldError].
	ErrInvalidField Reason = "INVALID_FIELD"
	// ErrPageTokenInvalid is a page token of another listing: see [InvalidFieldError].
	ErrPageTokenInvalid Reason = "PAGE_TOKEN_INVALID"
	// ErrRequestIDReused is a request id that came before with another request: see [InvalidFieldError].
	ErrRequestIDReused Reason = "REQUEST_ID_REUSED"
	// ErrBatchTooLarge is a batch with too many operations or lines.
	ErrBatchTooLarge Reason = "BATCH_TOO_LARGE"
	// ErrRequestTooLarge is a request with more bytes than the server takes.
	ErrRequestTooLarge Reason = "REQUEST_TOO_LARGE"
)

// The reasons of refusals. Nothing was changed.
const (
	// ErrInsufficientStock is a request for more copies than may be taken: see [InsufficientStockError].
	ErrInsufficientStock Reason = "INSUFFICIENT_STOCK"
	// ErrCommitExceedsReserved is a commit of more copies than are reserved: see [CommitExceedsReservedError].
	ErrCommitExceedsReserved Reason = "COMMIT_EXCEEDS_RESERVED"
	// ErrStockBelowReserved is a count that does not cover the reserved copies.
	ErrStockBelowReserved Reason = "STOCK_BELOW_RESERVED"
	// ErrStockNotEmpty is a level that cannot be deleted, because it has copies.
	ErrStockNotEmpty Reason = "STOCK_NOT_EMPTY"
	// ErrCounterBoundExceeded is a counter that would leave its bounds: see [CounterBoundExceededError].
	ErrCounterBoundExceeded Reason = "COUNTER_BOUND_EXCEEDED"
	// ErrValueOverflow is a number that would leave -(2^53-1) .. 2^53-1.
	ErrValueOverflow Reason = "VALUE_OVERFLOW"
	// ErrValueChanged is a value that is not the expected one: see [ValueChangedError].
	ErrValueChanged Reason = "VALUE_CHANGED"
	// ErrBatchRefused is an atomic batch with operations that failed: see [BatchRefusedError].
	ErrBatchRefused Reason = "BATCH_REFUSED"
	// ErrNotFound is each of the three below: see [NotFoundError].
	ErrNotFound Reason = "NOT_FOUND"
	// ErrCounterNotFound is a counter that does not exist.
	ErrCounterNotFound Reason = "COUNTER_NOT_FOUND"
	// ErrItemNotFound is a stock level that does not exist.
	ErrItemNotFound Reason = "ITEM_NOT_FOUND"
	// ErrReservationNotFound is a reservation that does not exist, or is no longer kept.
	ErrReservationNotFound Reason = "RESERVATION_NOT_FOUND"
	// ErrReservationExists is a reservation id that another reservation has.
	ErrReservationExists Reason = "RESERVATION_EXISTS"
	// ErrReservationCommitted is a reservation whose copies were taken.
	ErrReservationCommitted Reason = "RESERVATION_COMMITTED"
	// ErrReservationReleased is a reservation whose copies were given back.
	ErrReservationReleased Reason = "RESERVATION_RELEASED"
	// ErrReservationExpired is a reservation whose time was up.
	ErrReservationExpired Reason = "RESERVATION_EXPIRED"
	// ErrReservationLifetimeExceeded is an extension beyond the longest life of a reservation.
	ErrReservationLifetimeExceeded Reason = "RESERVATION_LIFETIME_EXCEEDED"
)

// The reasons that concern the caller's rights. Nothing was changed.
const (
	// ErrUnauthenticated is each of the three below.
	ErrUnauthenticated Reason = "UNAUTHENTICATED"
	// ErrCredentialMissing is a call without a token or a certificate.
	ErrCredentialMissing Reason = "CREDENTIAL_MISSING"
	// ErrCredentialInvalid is a credential that the server does not know.
	ErrCredentialInvalid Reason = "CREDENTIAL_INVALID"
	// ErrCredentialExpired is a credential whose time is up. [WithTokenFunc] renews a token.
	ErrCredentialExpired Reason = "CREDENTIAL_EXPIRED"
	// ErrPermissionDenied is a caller without the role that the call needs: see [PermissionDeniedError].
	ErrPermissionDenied Reason = "PERMISSION_DENIED"
)

// The reasons to come back later. Nothing was changed, and the RetryAfter of [CallError] says when to come back.
const (
	// ErrRateLimited is a caller who calls more often than the server allows.
	ErrRateLimited Reason = "RATE_LIMITED"
	// ErrOverloaded is a server with too many calls that wait.
	ErrOverloaded Reason = "OVERLOADED"
	// ErrStoreOutOfMemory is a store without memory for changes.
	ErrStoreOutOfMemory Reason = "STORE_OUT_OF_MEMORY"
	// ErrStoreUnavailable is a server that does not reach its store.
	ErrStoreUnavailable Reason = "STORE_UNAVAILABLE"
	// ErrTooManyWatches is a server without room for another watch.
	ErrTooManyWatches Reason = "TOO_MANY_WATCHES"
)

// The reasons of calls that may have made their change: see [MayHaveBeenApplied].
const (
	// ErrUnavailable is each error of the code UNAVAILABLE, such as that of a server that cannot be reached.
	ErrUnavailable Reason = "UNAVAILABLE"
	// ErrOutcomeUnknown is a change during which the server lost its store.
	ErrOutcomeUnknown Reason = "OUTCOME_UNKNOWN"
	// ErrNotDurableYet is a change that was made, and that the store may still lose.
	ErrNotDurableYet Reason = "NOT_DURABLE_YET"
	// ErrDeadlineExceeded is a call without an answer before its deadline.
	ErrDeadlineExceeded Reason = "DEADLINE_EXCEEDED"
	// ErrInternal is a defect of the server, which has logged it.
	ErrInternal Reason = "INTERNAL"
)

// The reasons that concern revisions and the store's contents.
const (
	// ErrRevisionTrimmed is a watch from a revision that the ledger has dropped: see [RevisionError].
	ErrRevisionTrimmed Reason = "REVISION_TRIMMED"
	// ErrRevisionAhead is a revision that the namespace has not reached: see [RevisionError].
	ErrRevisionAhead Reason = "REVISION_AHEAD"
	// ErrRevisionsLost is a watch that may have had entries that the store has lost: see [RevisionError].
	ErrRevisionsLost Reason = "REVISIONS_LOST"
	// ErrWatcherTooSlow is a watch that did not read as fast as changes came. [Client.Watch] resumes.
	ErrWatcherTooSlow Reason = "WATCHER_TOO_SLOW"
	// ErrShuttingDown is a watch of a server that stops. [Client.Watch] resumes.
	ErrShuttingDown Reason = "SHUTTING_DOWN"
	// ErrLevelDamaged is a level whose stored text the server did not write.
	ErrLevelDamaged Reason = "LEVEL_DAMAGED"
)
