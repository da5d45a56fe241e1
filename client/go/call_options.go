package tallykeeper

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// CallOption sets a further field of the request of one of the short forms, such as [Client.TakeCopies]. A request that
// has no such field is not sent, and the call fails with INVALID_ARGUMENT. Fields without an option are set in the
// request of the full form, such as the DecrementCopies of [Client.InventoryService].
type CallOption struct {
	name  string
	field protoreflect.Name
	value protoreflect.Value
}

// InNamespace names the namespace, in the place of the client's.
func InNamespace(namespace string) CallOption {
	return CallOption{"InNamespace", "namespace", stringValue(namespace)}
}

// WithRequestID gives a mutation a request id, in the place of a fresh one: 1 to 64 printable ASCII characters. A
// repeat with the same id gets the first answer again.
func WithRequestID(id string) CallOption {
	return CallOption{"WithRequestID", "request_id", stringValue(id)}
}

// WithReason notes the reason of a mutation in the ledger: at most 64 bytes.
func WithReason(reason string) CallOption {
	return CallOption{"WithReason", "reason", stringValue(reason)}
}

// WithReference notes the thing to which a mutation belongs, such as an order, in the ledger: at most 256 bytes.
func WithReference(reference string) CallOption {
	return CallOption{"WithReference", "reference", stringValue(reference)}
}

// AtLocation names the location of stock, in the place of "main".
func AtLocation(location string) CallOption {
	return CallOption{"AtLocation", "location", stringValue(location)}
}

// TakeAvailable lets [Client.TakeCopies] take the copies that there are, perhaps none, if there are fewer than it asks
// for.
func TakeAvailable() CallOption {
	policy := pb.ShortagePolicy_SHORTAGE_POLICY_TAKE_AVAILABLE.Number()
	return CallOption{"TakeAvailable", "shortage_policy", protoreflect.ValueOfEnum(policy)}
}

// WithMinRevision lets a read fail with [ErrRevisionAhead] if the namespace has not reached a revision. The caller
// learns in this way that the store has lost a change.
func WithMinRevision(revision int64) CallOption {
	return CallOption{"WithMinRevision", "min_revision", protoreflect.ValueOfInt64(revision)}
}

// WithReservationID chooses the id of a reservation, in the place of one that the server chooses: at most 128 bytes.
func WithReservationID(id string) CallOption {
	return CallOption{"WithReservationID", "reservation_id", stringValue(id)}
}

// WithHolder names the customer or the basket for which [Client.Reserve] reserves copies: at most 128 bytes.
func WithHolder(holder string) CallOption {
	return CallOption{"WithHolder", "holder", stringValue(holder)}
}

// WithTTL sets the time to live of a reservation, in the place of 15 minutes.
func WithTTL(ttl time.Duration) CallOption {
	return CallOption{"WithTTL", "ttl", messageValue(durationpb.New(ttl))}
}

// apply sets the fields that options name.
func apply(request proto.Message, options []CallOption) error {
	message := request.ProtoReflect()
	for _, option := range options {
		field := message.Descriptor().Fields().ByName(option.field)
		if field == nil {
			return invalid("the option %s does not fit %s, which has no field %s",
				option.name, message.Descriptor().FullName(), option.field)
		}
		message.Set(field, option.value)
	}
	return nil
}
