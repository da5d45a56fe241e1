package tallykeeper

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// InsufficientStockError is the error of [ErrInsufficientStock]: fewer copies may be taken than the request asks for.
type InsufficientStockError struct {
	*CallError
	// Shortages has the lines of the request that ask for too many copies: at least one, at most 20.
	Shortages []*pb.Shortage
	// Count is the number of lines that ask for too many copies.
	Count int
}

// CommitExceedsReservedError is the error of [ErrCommitExceedsReserved]: a commit names more copies than are reserved.
type CommitExceedsReservedError struct {
	*CallError
	// Shortages has the lines of the request that ask for too many copies: at least one, at most 20.
	Shortages []*pb.Shortage
	// Count is the number of lines that ask for too many copies.
	Count int
}

// CounterBoundExceededError is the error of [ErrCounterBoundExceeded]: the counter would leave its bounds.
type CounterBoundExceededError struct {
	*CallError
	// Value is the value of the counter if there is a Delta; otherwise the value that is outside the bounds.
	Value int64
	// Delta is the number that cannot be added; nil unless the call was an increment.
	Delta *int64
	// Min and Max are the bounds; nil where there is none.
	Min, Max *int64
}

// NotFoundError is the error of [ErrCounterNotFound], [ErrItemNotFound] and [ErrReservationNotFound]. The names that do
// not belong to the reason are empty.
type NotFoundError struct {
	*CallError
	// Counter is the name of the counter.
	Counter string
	// Item and Location name the stock level. The location is empty if the item has no level anywhere.
	Item, Location string
	// ReservationID is the id of the reservation.
	ReservationID string
}

// ValueChangedError is the error of [ErrValueChanged]: the value is not the one that the caller expected.
type ValueChangedError struct {
	*CallError
	// Actual is the value that there is.
	Actual int64
	// Expected is the value that the caller expected.
	Expected int64
}

// InvalidFieldError is the error of [ErrInvalidField], [ErrPageTokenInvalid] and [ErrRequestIDReused].
type InvalidFieldError struct {
	*CallError
	// Violations has the fields that break a rule, the first 20 of them.
	Violations []FieldViolation
}

// FieldViolation is a field of a request that breaks a rule.
type FieldViolation struct {
	// Field is the path of the field, such as "lines[0].copies".
	Field string
	// Description is the rule, with the value that breaks it.
	Description string
}

// PermissionDeniedError is the error of [ErrPermissionDenied]: the caller lacks a role in a namespace.
type PermissionDeniedError struct {
	*CallError
	// Identity is the name by which the server knows the caller.
	Identity string
	// Role is the role that the call needs.
	Role string
	// Namespace is the namespace in which the caller lacks the role.
	Namespace string
}

// RevisionError is the error of [ErrRevisionTrimmed], [ErrRevisionAhead] and [ErrRevisionsLost]. Numbers that do not
// belong to the reason are 0.
type RevisionError struct {
	*CallError
	// Requested is the after_revision of a watch, or the min_revision of a read.
	Requested int64
	// Oldest is the first revision that the ledger still has.
	Oldest int64
	// Revision is the revision of the namespace; with [ErrRevisionsLost], the last one that may be lost.
	Revision int64
}

// BatchRefusedError is the error of [ErrBatchRefused]: operations of an atomic batch failed, and nothing was changed.
// [errors.Is] and [errors.As] look into the operations too.
type BatchRefusedError struct {
	*CallError
	// Operations has the operations that failed: at least the first one, at most 20.
	Operations []FailedOperation
	// Count is the number of operations that failed.
	Count int
}

// FailedOperation is an operation that failed.
type FailedOperation struct {
	// Index is the index of the operation in the batch; 0 is the first.
	Index int
	// Err is the error that the operation's own call would have returned.
	Err error
}

// Unwrap returns the [CallError].
func (e *InsufficientStockError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *CommitExceedsReservedError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *CounterBoundExceededError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *NotFoundError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *ValueChangedError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *InvalidFieldError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *PermissionDeniedError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError].
func (e *RevisionError) Unwrap() error { return e.CallError }

// Unwrap returns the [CallError] and then the errors of the operations.
func (e *BatchRefusedError) Unwrap() []error {
	wrapped := []error{e.CallError}
	for _, operation := range e.Operations {
		wrapped = append(wrapped, operation.Err)
	}
	return wrapped
}

// withType returns the error of the type that belongs to the reason; the plain one if no type does.
func withType(e *CallError, details []any) error {
	switch e.Reason {
	case ErrInsufficientStock, ErrCommitExceedsReserved:
		return withShortages(e, detailOf[*pb.Shortages](details))
	case ErrCounterBoundExceeded:
		return &CounterBoundExceededError{
			CallError: e, Value: number(e, "value"), Delta: bound(e, "delta"),
			Min: bound(e, "min"), Max: bound(e, "max"),
		}
	case ErrCounterNotFound, ErrItemNotFound, ErrReservationNotFound:
		return &NotFoundError{
			CallError: e, Counter: e.Values["counter"], Item: e.Values["item"], Location: e.Values["location"],
			ReservationID: e.Values["reservation_id"],
		}
	case ErrValueChanged:
		return &ValueChangedError{CallError: e, Actual: number(e, "actual"), Expected: number(e, "expected")}
	case ErrInvalidField, ErrPageTokenInvalid, ErrRequestIDReused:
		return &InvalidFieldError{CallError: e, Violations: violationsOf(details)}
	case ErrPermissionDenied:
		return &PermissionDeniedError{
			CallError: e, Identity: e.Values["identity"], Role: e.Values["role"], Namespace: e.Values["namespace"],
		}
	case ErrRevisionTrimmed, ErrRevisionAhead, ErrRevisionsLost:
		requested := number(e, "after_revision") + number(e, "min_revision") // an error has one of the two at most
		return &RevisionError{
			CallError: e, Requested: requested, Oldest: number(e, "oldest"), Revision: number(e, "revision"),
		}
	case ErrBatchRefused:
		operations, count := failedOperationsOf(e, details)
		return &BatchRefusedError{CallError: e, Operations: operations, Count: count}
	default:
		return e
	}
}

// withShortages returns the error that has the short lines; the plain one if the detail lists none.
func withShortages(e *CallError, detail *pb.Shortages) error {
	shortages, count := detail.GetShortages(), int(detail.GetCount())
	switch {
	case len(shortages) == 0:
		return e
	case e.Reason == ErrInsufficientStock:
		return &InsufficientStockError{CallError: e, Shortages: shortages, Count: count}
	default:
		return &CommitExceedsReservedError{CallError: e, Shortages: shortages, Count: count}
	}
}

func violationsOf(details []any) []FieldViolation {
	var violations []FieldViolation
	for _, violation := range detailOf[*errdetails.BadRequest](details).GetFieldViolations() {
		violations = append(violations, FieldViolation{violation.GetField(), violation.GetDescription()})
	}
	return violations
}

func failedOperationsOf(e *CallError, details []any) ([]FailedOperation, int) {
	detail := detailOf[*pb.BatchRefused](details)
	var operations []FailedOperation
	for _, failed := range detail.GetOperations() {
		operation := FailedOperation{int(failed.GetIndex()), operationError(failed.GetError(), e.RequestID)}
		operations = append(operations, operation)
	}
	return operations, int(detail.GetFailedCount())
}

// number returns a value of an error as a number; 0 if the error does not have the value.
func number(e *CallError, name string) int64 {
	value, _ := e.Int64(name)
	return value
}

// bound returns a value of an error as a number; nil if the error does not have the value.
func bound(e *CallError, name string) *int64 {
	if value, ok := e.Int64(name); ok {
		return &value
	}
	return nil
}
