package tallykeeper

import (
	"crypto/rand"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// NewRequestID returns a fresh request id, a UUID of version 4.
func NewRequestID() string {
	var id [16]byte
	rand.Read(id[:])          // it never returns an error
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// requestIDOf returns the request id of a request that has one.
func requestIDOf(request any) string {
	if identified, ok := request.(interface{ GetRequestId() string }); ok {
		return identified.GetRequestId()
	}
	return ""
}

// shallowCopy returns a message with the same values. Messages and lists in it are shared.
func shallowCopy(message protoreflect.Message) protoreflect.Message {
	copied := message.New()
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		copied.Set(field, value)
		return true
	})
	copied.SetUnknown(message.GetUnknown())
	return copied
}

func stringValue(text string) protoreflect.Value {
	return protoreflect.ValueOfString(text)
}

func messageValue(message proto.Message) protoreflect.Value {
	return protoreflect.ValueOfMessage(message.ProtoReflect())
}
