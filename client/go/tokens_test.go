package tallykeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// authorizationOf returns the authorization that a call had.
func authorizationOf(ctx context.Context) string {
	received, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(received.Get("authorization"), " and ")
}

// accepting refuses every token except one as expired.
func accepting(token string) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		if authorizationOf(ctx) != "Bearer "+token {
			return refusal(codes.Unauthenticated, ErrCredentialExpired, nil)
		}
		return nil
	}
}

// counting returns a function that returns token-1, token-2 and so on.
func counting(calls *atomic.Int64) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return fmt.Sprintf("token-%d", calls.Add(1)), nil }
}

func TestATokenIsSentWithEachCall(t *testing.T) {
	fake := &fakeServer{answer: accepting("key-1")}
	if _, err := fake.start(t, WithToken("key-1")).Increment(t.Context(), "views", 1); err != nil {
		t.Error(err)
	}
}

func TestAFixedTokenThatHasExpiredIsNotSentAgain(t *testing.T) {
	fake := &fakeServer{answer: accepting("another")}
	_, err := fake.start(t, WithToken("key-1")).Increment(t.Context(), "views", 1)
	if !errors.Is(err, ErrCredentialExpired) || len(fake.received()) != 1 {
		t.Errorf("after %d calls the error is %v", len(fake.received()), err)
	}
}

func TestATokenThatHasExpiredIsFetchedAgainAndTheCallHasTheSameRequestID(t *testing.T) {
	var fetched atomic.Int64
	fake := &fakeServer{answer: accepting("token-2")}
	client := fake.start(t, WithTokenFunc(counting(&fetched)))
	for range 3 {
		if _, err := client.Increment(t.Context(), "views", 1); err != nil {
			t.Fatal(err)
		}
	}
	received := fake.received()
	if fetched.Load() != 2 || len(received) != 4 || received[0].RequestId != received[1].RequestId {
		t.Errorf("the token was fetched %d times, for %v", fetched.Load(), received)
	}
}

func TestACallIsSentWithTwoTokensAtMost(t *testing.T) {
	var fetched atomic.Int64
	fake := &fakeServer{answer: accepting("none")}
	_, err := fake.start(t, WithTokenFunc(counting(&fetched))).Increment(t.Context(), "views", 1)
	if !errors.Is(err, ErrCredentialExpired) || len(fake.received()) != 2 {
		t.Errorf("after %d calls the error is %v", len(fake.received()), err)
	}
}

// All calls find that the token has expired, and fetch one other together.
func TestManyCallsRenewATokenOnce(t *testing.T) {
	const callers = 50
	var fetched, arrived atomic.Int64
	all := make(chan struct{})
	fake := &fakeServer{answer: func(ctx context.Context, _ int) error {
		if authorizationOf(ctx) == "Bearer token-2" {
			return nil
		}
		if arrived.Add(1) == callers {
			close(all)
		}
		<-all
		return refusal(codes.Unauthenticated, ErrCredentialExpired, nil)
	}}
	client := fake.start(t, WithTokenFunc(counting(&fetched)))
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			if _, err := client.Increment(t.Context(), "views", 1); err != nil {
				t.Error(err)
			}
		})
	}
	calling.Wait()
	if fetched.Load() != 2 {
		t.Errorf("the token was fetched %d times", fetched.Load())
	}
}

func TestAnErrorOfTheTokenFunctionIsThatOfTheCall(t *testing.T) {
	wrong := errors.New("the vault is sealed")
	fake := &fakeServer{}
	answers := []func() (string, error){
		func() (string, error) { return "", wrong },
		func() (string, error) { return "", nil },
		func() (string, error) { return "key-1", nil },
	}
	client := fake.start(t, WithTokenFunc(func(context.Context) (string, error) {
		answer := answers[0]
		answers = answers[1:]
		return answer()
	}))
	_, err := client.Increment(t.Context(), "views", 1)
	if !errors.Is(err, wrong) || !errors.Is(err, ErrUnauthenticated) || MayHaveBeenApplied(err) {
		t.Errorf("the error is %v", err)
	}
	_, err = client.Increment(t.Context(), "views", 1)
	if err == nil || !strings.Contains(err.Error(), "the token is empty") {
		t.Errorf("the error is %v", err)
	}
	if _, err := client.Increment(t.Context(), "views", 1); err != nil || len(fake.received()) != 1 {
		t.Errorf("after %d calls the error is %v", len(fake.received()), err)
	}
}

func TestAWatchRenewsTheToken(t *testing.T) {
	var fetched atomic.Int64
	fake := &fakeServer{}
	fake.watch = func(_ *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse], attempt int) error {
		if err := accepting(fmt.Sprintf("token-%d", attempt))(stream.Context(), attempt); err != nil {
			return err
		}
		stream.Send(&pb.WatchResponse{Revision: int64(attempt), Entries: []*pb.Entry{{Revision: int64(attempt)}}})
		if attempt == 3 {
			return refusal(codes.PermissionDenied, ErrPermissionDenied, nil)
		}
		return refusal(codes.Unauthenticated, ErrCredentialExpired, nil)
	}
	client := fake.start(t, WithTokenFunc(counting(&fetched)))
	revisions, err := follow(t, client, &pb.WatchRequest{})
	if !errors.Is(err, ErrPermissionDenied) || !slices.Equal(revisions, []int64{1, 2, 3}) {
		t.Errorf("the watch had %v and ended with %v", revisions, err)
	}
}

func (f *fakeServer) VerifyNamespace(
	_ *pb.VerifyNamespaceRequest, stream grpc.ServerStreamingServer[pb.VerifyNamespaceResponse],
) error {
	if err := accepting("token-2")(stream.Context(), 1); err != nil {
		return err
	}
	stream.Send(&pb.VerifyNamespaceResponse{Response: &pb.VerifyNamespaceResponse_Progress{}})
	result := &pb.VerifyResult{Clean: true}
	return stream.Send(&pb.VerifyNamespaceResponse{Response: &pb.VerifyNamespaceResponse_Result{Result: result}})
}

func TestAVerificationRenewsTheToken(t *testing.T) {
	var fetched atomic.Int64
	result, err := (&fakeServer{}).start(t, WithTokenFunc(counting(&fetched))).Verify(t.Context())
	if err != nil || !result.Clean || fetched.Load() != 2 {
		t.Errorf("the result is %v, %v after %d tokens", result, err, fetched.Load())
	}
}

func TestAStreamOfAGeneratedClientHasErrorsWithReasons(t *testing.T) {
	client := (&fakeServer{}).start(t)
	stream, err := client.LedgerService.VerifyNamespace(t.Context(), &pb.VerifyNamespaceRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, ErrCredentialExpired) || status.Code(err) != codes.Unauthenticated {
		t.Errorf("the error is %v", err)
	}
}
