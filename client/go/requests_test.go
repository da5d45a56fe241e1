package tallykeeper

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

func TestNewRequestIDIsAUUIDOfVersion4(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := NewRequestID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q is not a fresh UUID of version 4", id)
		}
		seen[id] = true
	}
}

func TestEachMutationHasItsOwnRequestIDAndTheRequestStaysAsItIs(t *testing.T) {
	fake := &fakeServer{}
	client := fake.start(t, WithNamespace("shop"))
	request := &pb.IncrementRequest{Counter: "views"}
	for range 2 {
		if _, err := client.CounterService.Increment(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if !proto.Equal(request, &pb.IncrementRequest{Counter: "views"}) {
		t.Errorf("the caller's request became %v", request)
	}
	received := fake.received()
	first, second := received[0], received[1]
	if first.Namespace != "shop" || first.Counter != "views" || first.Delta != nil {
		t.Errorf("the server received %v", first)
	}
	if first.RequestId == "" || first.RequestId == second.RequestId {
		t.Errorf("the request ids are %q and %q", first.RequestId, second.RequestId)
	}
}

func TestTheRequestsOwnNamespaceAndRequestIDAreKept(t *testing.T) {
	fake := &fakeServer{}
	client := fake.start(t, WithNamespace("shop"))
	_, err := client.Increment(t.Context(), "views", -3, InNamespace("library"), WithRequestID("order-17"),
		WithReason("sale"), WithReference("17"))
	if err != nil {
		t.Fatal(err)
	}
	want := &pb.IncrementRequest{
		Namespace: "library", RequestId: "order-17", Reason: "sale", Reference: "17", Counter: "views",
		Delta: proto.Int64(-3),
	}
	if received := fake.received()[0]; !proto.Equal(received, want) {
		t.Errorf("the server received %v, not %v", received, want)
	}
}

// Each request of the contract that is an operation of a batch, and Apply's own, must get a request id; others must
// not, although LookupRequest and ListEntries have a field of that name.
func TestOnlyMutationsGetARequestID(t *testing.T) {
	mutations := map[protoreflect.FullName]bool{"tallykeeper.v1.ApplyRequest": true}
	operations := (&pb.Operation{}).ProtoReflect().Descriptor().Fields()
	for i := range operations.Len() {
		mutations[operations.Get(i).Message().FullName()] = true
	}
	c := &connection{namespace: "shop"}
	for method := range methods(t) {
		request, response := newMessage(t, method.Input()), newMessage(t, method.Output())
		completed := c.complete(request, response)
		want := mutations[method.Input().FullName()]
		if got := requestIDOf(completed) != ""; got != want {
			t.Errorf("%s: has a request id: %v, want %v", method.FullName(), got, want)
		}
		if field := method.Input().Fields().ByName("namespace"); field != nil {
			if got := completed.ProtoReflect().Get(field).String(); got != "shop" {
				t.Errorf("%s: the namespace is %q", method.FullName(), got)
			}
		}
	}
}

func TestTheErrorOfACallThatChangesNothingHasNoRequestID(t *testing.T) {
	client := (&fakeServer{}).start(t)
	_, err := client.LedgerService.LookupRequest(t.Context(), &pb.LookupRequestRequest{RequestId: "id-1"})
	if failed, ok := errors.AsType[*CallError](err); !ok || failed.RequestID != "" {
		t.Errorf("the error is %+v", failed)
	}
}

func TestUnknownFieldsOfARequestAreKept(t *testing.T) {
	unknown := []byte{0xf8, 0x7f, 0x01}
	request := &pb.IncrementRequest{Counter: "views"}
	request.ProtoReflect().SetUnknown(unknown)
	completed := (&connection{namespace: "shop"}).complete(request, &pb.IncrementResponse{})
	if got := completed.ProtoReflect().GetUnknown(); string(got) != string(unknown) {
		t.Errorf("the unknown fields became %x", got)
	}
}

func TestAnOptionThatDoesNotFitIsRefusedByName(t *testing.T) {
	fake := &fakeServer{}
	client := fake.start(t)
	_, err := client.Increment(t.Context(), "views", 1, AtLocation("main"))
	const want = "the option AtLocation does not fit tallykeeper.v1.IncrementRequest"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v", err)
	}
	if sent := len(fake.received()); sent != 0 {
		t.Errorf("%d requests were sent", sent)
	}
}

func TestACallHasTheDefaultDeadlineOnlyIfTheContextHasNone(t *testing.T) {
	deadlines := make(chan time.Duration, 2)
	fake := &fakeServer{answer: func(ctx context.Context, _ int) error {
		deadline, _ := ctx.Deadline()
		deadlines <- time.Until(deadline)
		return nil
	}}
	client := fake.start(t, WithTimeout(time.Hour))
	longer, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
	defer cancel()
	for ctx, least := range map[context.Context]time.Duration{t.Context(): 59 * time.Minute, longer: 99 * time.Hour} {
		if _, err := client.Increment(ctx, "views", 1); err != nil {
			t.Fatal(err)
		}
		if left := <-deadlines; left < least || left > least+time.Hour {
			t.Errorf("the deadline was %s away, want at least %s", left, least)
		}
	}
}

func TestADeadlineIsAnErrorOfTheContextToo(t *testing.T) {
	fake := &fakeServer{answer: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}}
	client := fake.start(t, WithTimeout(time.Second))
	_, err := client.Increment(t.Context(), "views", 1)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrDeadlineExceeded) || !MayHaveBeenApplied(err) {
		t.Errorf("the error is %v", err)
	}
	failed, ok := errors.AsType[*CallError](err)
	if !ok || failed.RequestID == "" || failed.RequestID != fake.received()[0].RequestId {
		t.Errorf("the error does not have the request id that was sent: %+v", failed)
	}
}

func TestEachMutationIsAnOperationOfABatch(t *testing.T) {
	fields := (&pb.Operation{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		request := (&pb.Operation{}).ProtoReflect().NewField(field).Message().Interface()
		if !Operation(request.(MutationRequest)).ProtoReflect().Has(field) {
			t.Errorf("%T is not the operation %s", request, field.Name())
		}
	}
	if operation := Operation(&pb.IncrementRequest{Counter: "sales"}); operation.GetIncrement().Counter != "sales" {
		t.Errorf("the operation is %v", operation)
	}
}

func TestABatchIsNoOperationOfABatch(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Operation takes a batch")
		}
	}()
	Operation(&pb.ApplyRequest{})
}
