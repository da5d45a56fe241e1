package tallykeeper

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// follow returns the revisions of the entries of a watch, and the error with which it ended.
func follow(t *testing.T, client *Client, request *pb.WatchRequest) ([]int64, error) {
	t.Helper()
	var revisions []int64
	for entry, err := range client.Watch(t.Context(), request) {
		if err != nil {
			return revisions, err
		}
		revisions = append(revisions, entry.Revision)
	}
	t.Fatal("the watch ended without an error")
	return nil, nil
}

type watchStream = grpc.ServerStreamingServer[pb.WatchResponse]

func entries(revision int64) *pb.WatchResponse {
	return &pb.WatchResponse{Revision: revision, Entries: []*pb.Entry{{Revision: revision}}}
}

func TestAWatchResumesAfterTheLastRevisionAndEndsWhereItMust(t *testing.T) {
	trimmed := refusal(codes.OutOfRange, ErrRevisionTrimmed, map[string]string{"after_revision": "9", "oldest": "20"})
	fake := &fakeServer{watch: func(_ *pb.WatchRequest, stream watchStream, attempt int) error {
		switch attempt {
		case 1:
			stream.Send(&pb.WatchResponse{Revision: 5, Counters: []*pb.Counter{{Counter: "views"}}})
			stream.Send(entries(6))
			return refusal(codes.Unavailable, ErrShuttingDown, map[string]string{"revision": "6"})
		case 2: // the stream ends before its first response
			return status.Error(codes.Unavailable, "connection reset")
		case 3:
			stream.Send(entries(7))
			stream.Send(&pb.WatchResponse{Revision: 9}) // a bookmark
			return nil                                  // the server never ends a watch in this way
		default:
			return trimmed
		}
	}}
	client := fake.start(t, WithNamespace("shop"))
	request := &pb.WatchRequest{Items: []string{"dune"}, IncludeLevels: true}
	revisions, err := follow(t, client, request)
	if !errors.Is(err, ErrRevisionTrimmed) || !slices.Equal(revisions, []int64{6, 7}) {
		t.Errorf("the watch had %v and ended with %v", revisions, err)
	}
	after := func(revision int64) *pb.WatchRequest {
		return &pb.WatchRequest{Namespace: "shop", Items: []string{"dune"}, AfterRevision: &revision}
	}
	first := &pb.WatchRequest{Namespace: "shop", Items: []string{"dune"}, IncludeLevels: true}
	want := []*pb.WatchRequest{first, after(6), after(6), after(9)}
	if !slices.EqualFunc(fake.watches, want, func(a, b *pb.WatchRequest) bool { return proto.Equal(a, b) }) {
		t.Errorf("the server received %v", fake.watches)
	}
	if !proto.Equal(request, &pb.WatchRequest{Items: []string{"dune"}, IncludeLevels: true}) {
		t.Errorf("the caller's request became %v", request)
	}
}

func TestWatchResponsesGiveLevelsAndBookmarks(t *testing.T) {
	levels := &pb.WatchResponse{Revision: 5, Counters: []*pb.Counter{{Counter: "views", Value: 3}}}
	fake := &fakeServer{watch: func(_ *pb.WatchRequest, stream watchStream, _ int) error {
		stream.Send(levels)
		stream.Send(&pb.WatchResponse{Revision: 9})
		return refusal(codes.DataLoss, ErrRevisionsLost, map[string]string{"revision": "9"})
	}}
	var received []*pb.WatchResponse
	for response, err := range fake.start(t).WatchResponses(t.Context(), &pb.WatchRequest{IncludeLevels: true}) {
		if err != nil {
			if !errors.Is(err, ErrRevisionsLost) {
				t.Error(err)
			}
			break
		}
		received = append(received, response)
	}
	if len(received) != 2 || !proto.Equal(received[0], levels) || received[1].Revision != 9 {
		t.Errorf("the responses are %v", received)
	}
}

func TestLeavingTheLoopEndsTheStream(t *testing.T) {
	ended := make(chan struct{})
	fake := &fakeServer{watch: func(_ *pb.WatchRequest, stream watchStream, _ int) error {
		stream.Send(entries(1))
		<-stream.Context().Done()
		close(ended)
		return nil
	}}
	for _, err := range fake.start(t).Watch(t.Context(), &pb.WatchRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	<-ended
}

func TestAWatchEndsWithItsContextOrItsClient(t *testing.T) {
	fake := &fakeServer{watch: func(_ *pb.WatchRequest, stream watchStream, _ int) error {
		stream.Send(entries(1))
		<-stream.Context().Done()
		return nil
	}}
	client := fake.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		end  func()
		want error
	}{
		"context": {cancel, context.Canceled},
		"client":  {func() { client.Close() }, ErrClosed},
	} {
		if name == "client" {
			ctx = t.Context()
		}
		var last error
		for _, err := range client.Watch(ctx, &pb.WatchRequest{}) {
			if err == nil {
				test.end()
			}
			last = err
		}
		if !errors.Is(last, test.want) {
			t.Errorf("%s: the watch ended with %v", name, last)
		}
	}
}

// No server is there: the client would otherwise look for one for ever.
func TestAWatchThatNeverBeganEndsAfterTheTimeout(t *testing.T) {
	client := dial(t, freeAddress(t), WithTimeout(time.Second))
	_, err := follow(t, client, &pb.WatchRequest{})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestAWatchThatHasBegunOutlivesAServerThatIsAway(t *testing.T) {
	t.Parallel()
	before, address := &fakeServer{}, freeAddress(t)
	server := before.serve(t, listen(t, address))
	before.watch = func(_ *pb.WatchRequest, stream watchStream, _ int) error {
		stream.Send(entries(1))
		<-stream.Context().Done()
		return nil
	}
	after := &fakeServer{watch: func(_ *pb.WatchRequest, stream watchStream, _ int) error {
		stream.Send(entries(2))
		return refusal(codes.PermissionDenied, ErrPermissionDenied, nil)
	}}
	client := dial(t, address, WithTimeout(time.Second)) // the server is away for longer
	var revisions []int64
	for entry, err := range client.Watch(t.Context(), &pb.WatchRequest{}) {
		if err != nil {
			if !errors.Is(err, ErrPermissionDenied) {
				t.Error(err)
			}
			break
		}
		revisions = append(revisions, entry.Revision)
		if entry.Revision == 1 {
			server.Stop()
			after.serveLater(t, address, closedFor)
		}
	}
	if !slices.Equal(revisions, []int64{1, 2}) {
		t.Errorf("the watch had %v", revisions)
	}
}

func TestAWatchOutlivesErrorsThatMayPass(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unavailable, "connection reset"), true},
		{refusal(codes.Unavailable, ErrShuttingDown, nil), true},
		{refusal(codes.Unavailable, ErrStoreUnavailable, nil), true},
		{refusal(codes.ResourceExhausted, ErrOverloaded, nil), true},
		{refusal(codes.ResourceExhausted, ErrRateLimited, nil), true},
		{refusal(codes.ResourceExhausted, ErrTooManyWatches, nil), true},
		{refusal(codes.ResourceExhausted, ErrWatcherTooSlow, nil), true},
		{status.Error(codes.Canceled, "reset by a proxy"), true},
		{status.Error(codes.DeadlineExceeded, "limit of a proxy"), true},
		{status.Error(codes.Unknown, "stream removed"), true},
		{status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR"), true},
		{status.Error(codes.Internal, "a message that cannot be read"), false},
		{refusal(codes.Internal, ErrInternal, nil), false},
		{refusal(codes.ResourceExhausted, ErrRequestTooLarge, nil), false},
		{refusal(codes.OutOfRange, ErrRevisionTrimmed, nil), false},
		{refusal(codes.OutOfRange, ErrRevisionAhead, nil), false},
		{refusal(codes.DataLoss, ErrRevisionsLost, nil), false},
		{refusal(codes.PermissionDenied, ErrPermissionDenied, nil), false},
		{refusal(codes.Unauthenticated, ErrCredentialInvalid, nil), false},
		{refusal(codes.InvalidArgument, ErrInvalidField, nil), false},
		{status.Error(codes.Unimplemented, "no such method"), false},
	} {
		watch := newFollowing(&pb.WatchRequest{}, time.Unix(1000, 0))
		if _, got := watch.pause(newError(test.err, "", nil), time.Unix(0, 0), false); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
}

func TestTheBackoffOfAWatchDoublesUpTo5SecondsAndAResponseResetsIt(t *testing.T) {
	away := newError(status.Error(codes.Unavailable, "connection reset"), "", nil)
	watch := newFollowing(&pb.WatchRequest{}, time.Unix(1000, 0))
	expect := func(most time.Duration) {
		t.Helper()
		if pause, resumes := watch.pause(away, time.Unix(0, 0), false); !resumes || pause < most/2 || pause > most {
			t.Errorf("the pause is %s, want %s at most and half of that at least", pause, most)
		}
	}
	for _, milliseconds := range []time.Duration{
		100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000, 5000, 5000,
	} {
		expect(milliseconds * time.Millisecond)
	}
	watch.received(entries(1))
	expect(100 * time.Millisecond)
}

func TestAWatchWaitsForAsLongAsTheServerAsks(t *testing.T) {
	watch := newFollowing(&pb.WatchRequest{}, time.Unix(1000, 0))
	busy := &CallError{Code: codes.ResourceExhausted, Reason: ErrTooManyWatches, RetryAfter: time.Minute}
	if pause, resumes := watch.pause(busy, time.Unix(0, 0), false); !resumes || pause != time.Minute {
		t.Errorf("the pause is %s, %v", pause, resumes)
	}
}
