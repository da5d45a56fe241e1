package tallykeeper

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestACallIsRepeatedWithTheSameRequestID(t *testing.T) {
	for name, err := range map[string]error{
		"reset by a proxy":  status.Error(codes.Canceled, "stream terminated by RST_STREAM"),
		"without details":   status.Error(codes.Unavailable, "connection reset"),
		"store away":        refusal(codes.Unavailable, ErrStoreUnavailable, nil),
		"outcome unknown":   refusal(codes.Unavailable, ErrOutcomeUnknown, nil),
		"server overloaded": refusal(codes.ResourceExhausted, ErrOverloaded, nil),
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeServer{answer: until(3, err)}
			client := fake.start(t)
			response, err := client.Increment(t.Context(), "views", 1)
			if err != nil {
				t.Fatal(err)
			}
			if response.Counter.Value != 3 {
				t.Errorf("attempt %d was answered, want 3", response.Counter.Value)
			}
			received := fake.received()
			for _, request := range received {
				if request.RequestId == "" || request.RequestId != received[0].RequestId {
					t.Errorf("an attempt had the request id %q, the first %q", request.RequestId, received[0].RequestId)
				}
			}
		})
	}
}

func TestACallIsSentOnce(t *testing.T) {
	withPushback := func(ctx context.Context, _ int) error {
		setPushback(ctx, "-1")
		return refusal(codes.ResourceExhausted, ErrRequestTooLarge, nil)
	}
	for name, test := range map[string]struct {
		answer  func(context.Context, int) error
		options []Option
	}{
		"after UNKNOWN":             {answer: always(refusal(codes.Unknown, ErrOutcomeUnknown, nil))},
		"after a refusal":           {answer: always(refusal(codes.OutOfRange, ErrCounterBoundExceeded, nil))},
		"after INTERNAL":            {answer: always(status.Error(codes.Internal, "a defect"))},
		"if the server asks not to": {answer: withPushback},
		"by a client without retries": {
			answer:  always(refusal(codes.Unavailable, ErrStoreUnavailable, nil)),
			options: []Option{WithoutRetries()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeServer{answer: test.answer}
			client := fake.start(t, test.options...)
			if _, err := client.Increment(t.Context(), "views", 1); err == nil {
				t.Error("the call succeeded")
			}
			if attempts := len(fake.received()); attempts != 1 {
				t.Errorf("the call was sent %d times", attempts)
			}
		})
	}
}

// By the policy, the call would be repeated after 0.2 s, long before its deadline.
func TestTheServersPushbackTakesThePlaceOfTheBackoff(t *testing.T) {
	fake := &fakeServer{}
	fake.answer = func(ctx context.Context, attempt int) error {
		if attempt == 1 {
			setPushback(ctx, "3600000")
			return refusal(codes.ResourceExhausted, ErrRateLimited, nil)
		}
		return nil
	}
	client := fake.start(t, WithTimeout(time.Second))
	_, err := client.Increment(t.Context(), "views", 1)
	if !errors.Is(err, ErrDeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if attempts := len(fake.received()); attempts != 1 {
		t.Errorf("the call was sent %d times although the server asked to wait for an hour", attempts)
	}
}

func TestACallFailsAfterFiveAttempts(t *testing.T) {
	fake := &fakeServer{answer: func(ctx context.Context, _ int) error {
		setPushback(ctx, "1") // so that the test needs no backoff
		return refusal(codes.Unavailable, ErrStoreUnavailable, nil)
	}}
	client := fake.start(t)
	_, err := client.Increment(t.Context(), "views", 1)
	if !errors.Is(err, ErrStoreUnavailable) || !errors.Is(err, ErrUnavailable) || MayHaveBeenApplied(err) {
		t.Errorf("the error is %v", err)
	}
	if attempts := len(fake.received()); attempts != 5 {
		t.Errorf("the call was sent %d times", attempts)
	}
}

const closedFor = 4 * time.Second

// serveLater opens a port after a time.
func (f *fakeServer) serveLater(t *testing.T, address string, after time.Duration) {
	t.Helper()
	time.AfterFunc(after, func() {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		f.serve(t, listener)
	})
}

// The call has the default deadline of 5 s, and the port is closed for 4 s of it.
func TestACallBridgesAPortThatIsClosedFor4Seconds(t *testing.T) {
	t.Parallel()
	fake, address := &fakeServer{}, freeAddress(t)
	client := dial(t, address)
	fake.serveLater(t, address, closedFor)
	if _, err := client.Increment(t.Context(), "views", 1); err != nil {
		t.Fatal(err)
	}
	if attempts := len(fake.received()); attempts != 1 {
		t.Errorf("the call was sent %d times", attempts)
	}
}

// The backoff of 5 attempts takes 6.1 s at most. A call that has more time waits for the connection and spends none.
func TestACallWithTimeWaitsForTheConnection(t *testing.T) {
	t.Parallel()
	fake, address := &fakeServer{}, freeAddress(t)
	client := dial(t, address, WithTimeout(time.Minute))
	fake.serveLater(t, address, 7*time.Second)
	if _, err := client.Increment(t.Context(), "views", 1); err != nil {
		t.Fatal(err)
	}
}

// The server is killed while it works on the call, and its port is closed for 4 s.
func TestACallBridgesAServerThatIsKilledAndAwayFor4Seconds(t *testing.T) {
	t.Parallel()
	address, working := freeAddress(t), make(chan struct{})
	killed := &fakeServer{answer: func(ctx context.Context, _ int) error {
		close(working)
		<-ctx.Done()
		return ctx.Err()
	}}
	restarted := &fakeServer{}
	client := dial(t, address)
	server := killed.serve(t, listen(t, address))
	go func() {
		<-working
		server.Stop()
		restarted.serveLater(t, address, closedFor)
	}()
	if _, err := client.Increment(t.Context(), "views", 1); err != nil {
		t.Fatal(err)
	}
	before, after := killed.received(), restarted.received()
	if len(before) != 1 || len(after) != 1 || before[0].RequestId != after[0].RequestId || after[0].RequestId == "" {
		t.Errorf("the servers received %v and %v", before, after)
	}
}

func TestACallWithoutRetriesFailsAtOnceIfNoServerAnswers(t *testing.T) {
	client := dial(t, freeAddress(t), WithoutRetries(), WithTimeout(time.Hour))
	if _, err := client.Increment(t.Context(), "views", 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
}
