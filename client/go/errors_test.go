package tallykeeper

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// failing returns the error of a call that the server refuses.
func failing(
	t *testing.T, code codes.Code, reason Reason, values map[string]string, details ...protoadapt.MessageV1,
) error {
	t.Helper()
	fake := &fakeServer{answer: always(refusal(code, reason, values, details...))}
	_, err := fake.start(t, WithoutRetries()).Increment(t.Context(), "views", 1, WithRequestID("id-1"))
	if !errors.Is(err, reason) {
		t.Fatalf("the error is %v, not %s", err, reason)
	}
	return err
}

// as returns the error of a type that err wraps.
func as[Type error](t *testing.T, err error) Type {
	t.Helper()
	found, ok := errors.AsType[Type](err)
	if !ok {
		t.Fatalf("the error is %T", err)
	}
	return found
}

func TestInsufficientStockHasTheShortLines(t *testing.T) {
	short := &pb.Shortage{Item: "dune", Location: "main", Requested: 5, Available: 2, BackorderLimit: 1}
	err := failing(t, codes.FailedPrecondition, ErrInsufficientStock,
		map[string]string{"item": "dune", "requested": "5"},
		protoadapt.MessageV1Of(&pb.Shortages{Shortages: []*pb.Shortage{short}, Count: 25}))
	found := as[*InsufficientStockError](t, err)
	if len(found.Shortages) != 1 || !proto.Equal(found.Shortages[0], short) || found.Count != 25 {
		t.Errorf("the short lines are %v of %d", found.Shortages, found.Count)
	}
	if found.Code != codes.FailedPrecondition || found.Message != "in words" || found.RequestID != "id-1" {
		t.Errorf("the error is %+v", found.CallError)
	}
	if requested, ok := found.Int64("requested"); !ok || requested != 5 {
		t.Errorf("requested is %d, %v", requested, ok)
	}
	if _, ok := found.Int64("item"); ok {
		t.Error("an item is a number")
	}
}

func TestCommitExceedsReservedHasTheLines(t *testing.T) {
	first := &pb.Shortage{Item: "dune", Location: "main", Requested: 5, Reserved: 2}
	second := &pb.Shortage{Item: "emma", Location: "annex", Requested: 4, Reserved: 1}
	err := failing(t, codes.FailedPrecondition, ErrCommitExceedsReserved, nil,
		protoadapt.MessageV1Of(&pb.Shortages{Shortages: []*pb.Shortage{first, second}, Count: 2}))
	found := as[*CommitExceedsReservedError](t, err)
	if found.Count != 2 || len(found.Shortages) != 2 || !proto.Equal(found.Shortages[0], first) ||
		!proto.Equal(found.Shortages[1], second) {
		t.Errorf("the lines are %v of %d", found.Shortages, found.Count)
	}
}

func TestWithoutAShortLineTheErrorIsThePlainOne(t *testing.T) {
	values := map[string]string{"item": "dune", "location": "main", "requested": "5", "available": "2", "reserved": "2"}
	for _, reason := range []Reason{ErrInsufficientStock, ErrCommitExceedsReserved} {
		for _, details := range [][]protoadapt.MessageV1{nil, {protoadapt.MessageV1Of(&pb.Shortages{Count: 1})}} {
			err := failing(t, codes.FailedPrecondition, reason, values, details...)
			if _, ok := err.(*CallError); !ok {
				t.Errorf("%s: the error is %T", reason, err)
			}
		}
	}
}

func TestCounterBoundExceededHasTheBoundsThatThereAre(t *testing.T) {
	values := map[string]string{"value": "9", "delta": "2", "max": "10"}
	err := failing(t, codes.OutOfRange, ErrCounterBoundExceeded, values)
	found := as[*CounterBoundExceededError](t, err)
	if found.Value != 9 || *found.Delta != 2 || found.Min != nil || *found.Max != 10 {
		t.Errorf("the error is %+v", found)
	}
}

func TestNotFoundHasTheName(t *testing.T) {
	for reason, test := range map[Reason]struct {
		values map[string]string
		want   NotFoundError
	}{
		ErrCounterNotFound: {map[string]string{"counter": "views"}, NotFoundError{Counter: "views"}},
		ErrItemNotFound: {
			map[string]string{"item": "dune", "location": "main"},
			NotFoundError{Item: "dune", Location: "main"},
		},
		ErrReservationNotFound: {map[string]string{"reservation_id": "b-1"}, NotFoundError{ReservationID: "b-1"}},
	} {
		err := failing(t, codes.NotFound, reason, test.values)
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s is not ErrNotFound", reason)
		}
		found := *as[*NotFoundError](t, err)
		found.CallError = nil
		if found != test.want {
			t.Errorf("%s: the error is %+v", reason, found)
		}
	}
}

func TestValueChangedHasBothValues(t *testing.T) {
	err := failing(t, codes.Aborted, ErrValueChanged, map[string]string{"actual": "3", "expected": "-4"})
	if found := as[*ValueChangedError](t, err); found.Actual != 3 || found.Expected != -4 {
		t.Errorf("the error is %+v", found)
	}
}

func TestInvalidFieldsHaveTheirViolations(t *testing.T) {
	for _, reason := range []Reason{ErrInvalidField, ErrPageTokenInvalid, ErrRequestIDReused} {
		err := failing(t, codes.InvalidArgument, reason, nil, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "delta", Description: "too large"}},
		})
		want := []FieldViolation{{Field: "delta", Description: "too large"}}
		if found := as[*InvalidFieldError](t, err); !reflect.DeepEqual(found.Violations, want) {
			t.Errorf("%s: the violations are %v", reason, found.Violations)
		}
	}
}

func TestPermissionDeniedNamesTheRole(t *testing.T) {
	values := map[string]string{"identity": "till-1", "role": "writer", "namespace": "shop"}
	err := failing(t, codes.PermissionDenied, ErrPermissionDenied, values)
	found := as[*PermissionDeniedError](t, err)
	if found.Identity != "till-1" || found.Role != "writer" || found.Namespace != "shop" {
		t.Errorf("the error is %+v", found)
	}
}

func TestRevisionErrorsHaveTheRevisions(t *testing.T) {
	for reason, test := range map[Reason]struct {
		code   codes.Code
		values map[string]string
		want   RevisionError
	}{
		ErrRevisionTrimmed: {
			codes.OutOfRange, map[string]string{"after_revision": "1", "oldest": "7"},
			RevisionError{Requested: 1, Oldest: 7},
		},
		ErrRevisionAhead: {
			codes.OutOfRange, map[string]string{"min_revision": "9", "revision": "5"},
			RevisionError{Requested: 9, Revision: 5},
		},
		ErrRevisionsLost: {codes.DataLoss, map[string]string{"revision": "5"}, RevisionError{Revision: 5}},
	} {
		found := *as[*RevisionError](t, failing(t, test.code, reason, test.values))
		found.CallError = nil
		if found != test.want {
			t.Errorf("%s: the error is %+v", reason, found)
		}
	}
}

func TestBatchRefusedHasTheErrorsOfItsOperations(t *testing.T) {
	short := &pb.Shortage{Item: "dune", Location: "main", Requested: 5, Available: 2}
	operation := status.Convert(refusal(codes.FailedPrecondition, ErrInsufficientStock, nil,
		protoadapt.MessageV1Of(&pb.Shortages{Shortages: []*pb.Shortage{short}, Count: 1}))).Proto()
	err := failing(t, codes.FailedPrecondition, ErrBatchRefused, map[string]string{"failed_count": "30"},
		protoadapt.MessageV1Of(&pb.BatchRefused{FailedCount: 30, Operations: []*pb.FailedOperation{{
			Index: 4, Error: &pb.Status{Code: operation.Code, Message: operation.Message, Details: operation.Details},
		}}}))
	refused := as[*BatchRefusedError](t, err)
	if refused.Count != 30 || len(refused.Operations) != 1 || refused.Operations[0].Index != 4 {
		t.Fatalf("the error is %+v", refused)
	}
	if first := as[*CallError](t, err); first.Reason != ErrBatchRefused {
		t.Errorf("the error of the call is %v", first)
	}
	failed := as[*InsufficientStockError](t, err)
	if !proto.Equal(failed.Shortages[0], short) || failed.Count != 1 || failed.RequestID != "id-1" {
		t.Errorf("the operation's error is %+v", failed)
	}
}

func TestResultErrorIsTheErrorOfTheOperation(t *testing.T) {
	failed := status.Convert(refusal(codes.NotFound, ErrCounterNotFound, map[string]string{"counter": "views"})).Proto()
	result := &pb.OperationResult{Result: &pb.OperationResult_Error{
		Error: &pb.Status{Code: failed.Code, Message: failed.Message, Details: failed.Details},
	}}
	if found := as[*NotFoundError](t, ResultError(result)); found.Counter != "views" {
		t.Errorf("the error is %+v", found)
	}
	applied := &pb.OperationResult{Result: &pb.OperationResult_Increment{}}
	if err := ResultError(applied); err != nil {
		t.Errorf("an operation that was applied has the error %v", err)
	}
}

func TestTheRetryDelayIsThatOfTheServer(t *testing.T) {
	retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(200 * time.Millisecond)}
	err := failing(t, codes.ResourceExhausted, ErrOverloaded, nil, retry)
	if found := as[*CallError](t, err); found.RetryAfter != 200*time.Millisecond {
		t.Errorf("the delay is %s", found.RetryAfter)
	}
}

func TestTheCredentialsReasonsAreUnauthenticated(t *testing.T) {
	for _, reason := range []Reason{ErrCredentialMissing, ErrCredentialInvalid, ErrCredentialExpired} {
		if err := failing(t, codes.Unauthenticated, reason, nil); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s is not ErrUnauthenticated", reason)
		}
	}
}

func TestAnErrorIsAStatusToo(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", failing(t, codes.NotFound, ErrItemNotFound, map[string]string{"item": "dune"}))
	if status.Code(err) != codes.NotFound || len(status.Convert(err).Details()) != 1 {
		t.Errorf("the status is %v", status.Convert(err))
	}
}

// A proxy may answer with its own details.
func TestDetailsOfAnotherDomainAreNoReason(t *testing.T) {
	foreign, err := status.New(codes.NotFound, "no route").WithDetails(
		&errdetails.ErrorInfo{Reason: "COUNTER_NOT_FOUND", Domain: "proxy.example"})
	if err != nil {
		t.Fatal(err)
	}
	found := as[*CallError](t, newError(foreign.Err(), "", nil))
	if found.Reason != "" || errors.Is(found, ErrCounterNotFound) || !errors.Is(found, ErrNotFound) {
		t.Errorf("the error is %+v", found)
	}
}

func TestMayHaveBeenApplied(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{refusal(codes.Unavailable, ErrOutcomeUnknown, nil), true},
		{refusal(codes.Unknown, ErrNotDurableYet, nil), true},
		{refusal(codes.DeadlineExceeded, ErrDeadlineExceeded, nil), true},
		{refusal(codes.Internal, ErrInternal, nil), true},
		{status.Error(codes.Unavailable, "connection reset"), true},
		{status.Error(codes.Canceled, "reset by a proxy"), true},
		{status.Error(codes.Unimplemented, "no such method"), false},
		{refusal(codes.Unavailable, ErrStoreUnavailable, nil), false},
		{refusal(codes.FailedPrecondition, ErrInsufficientStock, nil), false},
	} {
		if got := MayHaveBeenApplied(newError(test.err, "id-1", nil)); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
	if MayHaveBeenApplied(context.Canceled) {
		t.Error("an error of something else may have been applied")
	}
}

func TestACancelledCallIsAnErrorOfTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fake := &fakeServer{answer: func(attempt context.Context, _ int) error {
		cancel()
		<-attempt.Done()
		return nil
	}}
	_, err := fake.start(t).Increment(ctx, "views", 1)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}

func TestACallOfAClosedClient(t *testing.T) {
	client := (&fakeServer{}).start(t)
	if err := errors.Join(client.Close(), client.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Increment(t.Context(), "views", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}
