package tallykeeper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

const errorDomain = "tallykeeper.io"

// CallError is the error of a call, of a watch, or of an operation of a batch. The types that have the values of a
// reason, such as [InsufficientStockError], wrap it.
type CallError struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is the contract's word for the failure; empty if the server did not answer.
	Reason Reason
	// Values has every value that belongs to the reason, by name.
	Values map[string]string
	// Message is the failure in words.
	Message string
	// RequestID is the request id that was sent; empty for a call that changes nothing. A repeat with it never counts
	// twice.
	RequestID string
	// RetryAfter is the time after which the server invites to repeat the call; 0 if it said nothing.
	RetryAfter time.Duration

	status *status.Status
	cause  error
}

// Error returns the reason (or the code, if there is none) and the message.
func (e *CallError) Error() string {
	name := string(e.Reason)
	if name == "" {
		name = code.Code(e.Code).String()
	}
	return name + ": " + e.Message
}

// Is reports whether target is the reason of the error, or the name of its code. It also takes an error of the code
// DEADLINE_EXCEEDED for [context.DeadlineExceeded].
func (e *CallError) Is(target error) bool {
	if reason, ok := target.(Reason); ok {
		return reason != "" && (reason == e.Reason || string(reason) == code.Code(e.Code).String())
	}
	return target == context.DeadlineExceeded && e.Code == codes.DeadlineExceeded
}

// Unwrap returns the cause: [context.Canceled] if the caller cancelled, [ErrClosed] after [Client.Close], or nil.
func (e *CallError) Unwrap() error { return e.cause }

// GRPCStatus returns the status of the call with all its details, for [status.FromError] and [status.Code].
func (e *CallError) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// Int64 returns a value as a number. It reports whether the error has that value.
func (e *CallError) Int64(name string) (int64, bool) {
	number, err := strconv.ParseInt(e.Values[name], 10, 64)
	return number, err == nil
}

// MayHaveBeenApplied reports whether a mutation that failed with err may have made its change. To find out, make the
// same call once more with the RequestID of the [CallError]: the server makes the change now, or repeats its first
// answer.
func MayHaveBeenApplied(err error) bool {
	failed, ok := errors.AsType[*CallError](err)
	if !ok {
		return false
	}
	switch failed.Reason {
	case ErrOutcomeUnknown, ErrNotDurableYet, ErrDeadlineExceeded, ErrInternal:
		return true
	case "":
		return mayHaveBeenAppliedCodes[failed.Code]
	default:
		return false
	}
}

// The codes that gRPC itself gives to calls whose request may have reached the server.
var mayHaveBeenAppliedCodes = map[codes.Code]bool{
	codes.Canceled:         true,
	codes.DeadlineExceeded: true,
	codes.Internal:         true,
	codes.Unavailable:      true,
	codes.Unknown:          true,
}

// newError returns the error of a call that ended with err. cause is the error of the caller's context, if it was done.
func newError(err error, requestID string, cause error) error {
	failed := status.Convert(err)
	details := failed.Details()
	call := &CallError{
		Code:      failed.Code(),
		Message:   failed.Message(),
		RequestID: requestID,
		status:    failed,
		cause:     cause,
	}
	if info := detailOf[*errdetails.ErrorInfo](details); info.GetDomain() == errorDomain {
		call.Reason, call.Values = Reason(info.Reason), info.Metadata
	}
	if retry := detailOf[*errdetails.RetryInfo](details); retry != nil {
		call.RetryAfter = retry.GetRetryDelay().AsDuration()
	}
	return withType(call, details)
}

// ResultError returns the error of an operation of an INDEPENDENT batch, as its own call would have returned it, or nil
// if the operation was applied.
func ResultError(result *pb.OperationResult) error {
	if failed := result.GetError(); failed != nil {
		return operationError(failed, "")
	}
	return nil
}

func operationError(failed *pb.Status, requestID string) error {
	same := &spb.Status{Code: failed.GetCode(), Message: failed.GetMessage(), Details: failed.GetDetails()}
	return newError(status.ErrorProto(same), requestID, nil)
}

// detailOf returns the detail of one type; nil if there is none.
func detailOf[Detail any](details []any) Detail {
	for _, detail := range details {
		if found, ok := detail.(Detail); ok {
			return found
		}
	}
	var none Detail
	return none
}

func invalid(format string, values ...any) error {
	return &CallError{Code: codes.InvalidArgument, Message: fmt.Sprintf(format, values...)}
}

func codeOfCause(err error) codes.Code {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return status.FromContextError(err).Code()
	}
	return codes.Unauthenticated
}
