package tallykeeper

import (
	"context"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// The modes of a batch.
const (
	// Atomic applies all operations of a batch, or none. If one fails, the batch fails with [ErrBatchRefused].
	Atomic = pb.BatchMode_BATCH_MODE_ATOMIC
	// Independent applies each operation for itself. [ResultError] returns the error of an operation that failed.
	Independent = pb.BatchMode_BATCH_MODE_INDEPENDENT
)

// MutationRequest is the request of a mutation that can be an operation of a batch.
type MutationRequest interface {
	*pb.IncrementRequest | *pb.SetCounterRequest | *pb.ConfigureCounterRequest | *pb.DeleteCounterRequest |
		*pb.DecrementCopiesRequest | *pb.IncrementCopiesRequest | *pb.SetStockRequest | *pb.MoveCopiesRequest |
		*pb.ConfigureStockRequest | *pb.DeleteStockRequest |
		*pb.ReserveRequest | *pb.CommitRequest | *pb.ReleaseRequest | *pb.ExtendRequest
}

// Apply applies up to 1,000 operations in order, under one request id:
//
//	_, err := client.Apply(ctx, tallykeeper.Atomic, []*pb.Operation{
//		tallykeeper.Operation(&pb.DecrementCopiesRequest{Item: "dune"}),
//		tallykeeper.Operation(&pb.IncrementRequest{Counter: "sales"}),
//	})
func (c *Client) Apply(
	ctx context.Context, mode pb.BatchMode, operations []*pb.Operation, options ...CallOption,
) (*pb.ApplyResponse, error) {
	return send(ctx, c.BatchService.Apply, &pb.ApplyRequest{Mode: mode, Operations: operations}, options)
}

// Operation returns a request as an operation of a batch. Its request id must be empty.
func Operation[Request MutationRequest](request Request) *pb.Operation {
	switch request := any(request).(type) {
	case *pb.IncrementRequest:
		return &pb.Operation{Operation: &pb.Operation_Increment{Increment: request}}
	case *pb.SetCounterRequest:
		return &pb.Operation{Operation: &pb.Operation_SetCounter{SetCounter: request}}
	case *pb.ConfigureCounterRequest:
		return &pb.Operation{Operation: &pb.Operation_ConfigureCounter{ConfigureCounter: request}}
	case *pb.DeleteCounterRequest:
		return &pb.Operation{Operation: &pb.Operation_DeleteCounter{DeleteCounter: request}}
	case *pb.DecrementCopiesRequest:
		return &pb.Operation{Operation: &pb.Operation_DecrementCopies{DecrementCopies: request}}
	case *pb.IncrementCopiesRequest:
		return &pb.Operation{Operation: &pb.Operation_IncrementCopies{IncrementCopies: request}}
	case *pb.SetStockRequest:
		return &pb.Operation{Operation: &pb.Operation_SetStock{SetStock: request}}
	case *pb.MoveCopiesRequest:
		return &pb.Operation{Operation: &pb.Operation_MoveCopies{MoveCopies: request}}
	case *pb.ConfigureStockRequest:
		return &pb.Operation{Operation: &pb.Operation_ConfigureStock{ConfigureStock: request}}
	case *pb.DeleteStockRequest:
		return &pb.Operation{Operation: &pb.Operation_DeleteStock{DeleteStock: request}}
	case *pb.ReserveRequest:
		return &pb.Operation{Operation: &pb.Operation_Reserve{Reserve: request}}
	case *pb.CommitRequest:
		return &pb.Operation{Operation: &pb.Operation_Commit{Commit: request}}
	case *pb.ReleaseRequest:
		return &pb.Operation{Operation: &pb.Operation_Release{Release: request}}
	case *pb.ExtendRequest:
		return &pb.Operation{Operation: &pb.Operation_Extend{Extend: request}}
	default:
		panic("unreachable: MutationRequest has no other type")
	}
}
