package tallykeeper

import (
	"iter"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// methods iterates over the RPCs of the contract.
func methods(t *testing.T) iter.Seq[protoreflect.MethodDescriptor] {
	t.Helper()
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		count := 0
		protoregistry.GlobalFiles.RangeFilesByPackage("tallykeeper.v1", func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				for j := range file.Services().Get(i).Methods().Len() {
					count++
					if !yield(file.Services().Get(i).Methods().Get(j)) {
						return false
					}
				}
			}
			return true
		})
		if count < 30 {
			t.Errorf("the contract has %d RPCs", count)
		}
	}
}

func newMessage(t *testing.T, descriptor protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	message, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return message.New().Interface()
}
