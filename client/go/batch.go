package tallykeeper

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// The modes of a batch.
const (
	// Atomic applies all operations of a batch, or none. If one fails, the batch fails with [ErrBatchRefused].
	Atomic = pb.BatchMode_BATCH_MODE_ATOMIC
	// Independent applies each operation for itself. [ResultError] returns the error of an operation that failed.
	Independent = pb.BatchMode_BATCH_MODE_INDEPENDENT
)

// MutationRequest is the request of a mutation, such as [pb.IncrementRequest].
type MutationRequest interface {
	proto.Message
	GetRequestId() string
	GetReason() string
	GetReference() string
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

// Operation returns a request as an operation of a batch. Its request id must be empty. Operation panics if a batch
// cannot have the request, as that of a batch itself.
func Operation(request MutationRequest) *pb.Operation {
	operation, message := &pb.Operation{}, request.ProtoReflect()
	fields := operation.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); field.Message() == message.Descriptor() {
			operation.ProtoReflect().Set(field, protoreflect.ValueOfMessage(message))
			return operation
		}
	}
	panic(fmt.Sprintf("tallykeeper: %s is not an operation of a batch", message.Descriptor().FullName()))
}
