package tallykeeper

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

const (
	watchPauseMin = 100 * time.Millisecond
	watchPauseMax = 5 * time.Second
)

// Watch follows the ledger and iterates over its entries, in order, with no gap and no repeat:
//
//	for entry, err := range client.Watch(ctx, &pb.WatchRequest{Items: []string{"dune"}}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(entry.GetRevision())
//	}
//
// When the connection or the server is lost, the watch begins again after the last revision that it has received. Leave
// the loop, or cancel ctx, to end it. After an error it has ended: [ErrRevisionTrimmed] and [ErrRevisionsLost] mean
// that the levels must be read again, and an error of ctx that the caller has cancelled. If the first response does not
// come within the client's timeout, because the server is away, the watch ends with the error of its last attempt.
func (c *Client) Watch(ctx context.Context, request *pb.WatchRequest) iter.Seq2[*pb.Entry, error] {
	return func(yield func(*pb.Entry, error) bool) {
		for response, err := range c.WatchResponses(ctx, request) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range response.GetEntries() {
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// WatchResponses is [Client.Watch] for callers who need more than entries: the levels of a request with include_levels,
// and the revision of bookmarks, which are responses without an entry.
func (c *Client) WatchResponses(
	ctx context.Context, request *pb.WatchRequest,
) iter.Seq2[*pb.WatchResponse, error] {
	return func(yield func(*pb.WatchResponse, error) bool) {
		following := newFollowing(request, time.Now().Add(c.connection.timeout))
		for {
			err := c.watchOnce(ctx, following, yield)
			if err == nil {
				return
			}
			pause, resumes := following.pause(err, time.Now(), c.connection.renewable(err))
			if ctx.Err() != nil || !resumes {
				yield(nil, err)
				return
			}
			c.wait(ctx, pause)
		}
	}
}

// watchOnce gives the responses of one stream. It returns nil if the caller has left the loop.
func (c *Client) watchOnce(
	ctx context.Context, following *following, yield func(*pb.WatchResponse, error) bool,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	responses, err := c.LedgerService.Watch(ctx, following.request)
	if err != nil {
		return err
	}
	for {
		response, err := responses.Recv()
		if errors.Is(err, io.EOF) {
			return &CallError{Code: codes.Unavailable, Message: "the server ended the watch"}
		}
		if err != nil {
			return err
		}
		following.received(response)
		if !yield(response, nil) {
			return nil
		}
	}
}

// wait returns after a pause, or as soon as the context is done or the client is closed.
func (c *Client) wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-c.connection.closed:
	}
}

// following is a watch through all its streams: it decides whether the watch begins again, when, and from where.
type following struct {
	request  *pb.WatchRequest
	giveUpAt time.Time // the time until which the first response must have come
	begun    bool
	failures int // since the last response
	renewals int // of the token, since the last response
}

func newFollowing(request *pb.WatchRequest, giveUpAt time.Time) *following {
	return &following{request: proto.CloneOf(request), giveUpAt: giveUpAt}
}

// received notes a response: the next stream begins after it.
func (f *following) received(response *pb.WatchResponse) {
	f.request.AfterRevision = proto.Int64(response.GetRevision())
	f.request.IncludeLevels = false
	f.begun, f.failures, f.renewals = true, 0, 0
}

// pause returns the time to wait before the next stream. It reports whether the watch begins again after the error.
// renewed says that the token had expired, and that the next stream has a new token.
func (f *following) pause(err error, now time.Time, renewed bool) (time.Duration, bool) {
	failed, ok := errors.AsType[*CallError](err)
	if !ok {
		return 0, false
	}
	if renewed {
		f.renewals++
		return 0, f.renewals == 1
	}
	if !mayPass(failed) {
		return 0, false
	}
	// A random half spreads the watches of a server that restarts.
	backoff := min(watchPauseMin<<f.failures, watchPauseMax)
	backoff = max(backoff/2+rand.N(backoff/2), failed.RetryAfter)
	f.failures = min(f.failures+1, 10)
	return backoff, f.begun || now.Add(backoff).Before(f.giveUpAt)
}

// mayPass reports whether a watch can hope to go on after an error.
func mayPass(failed *CallError) bool {
	if errors.Is(failed, ErrClosed) {
		return false
	}
	switch failed.Reason {
	case ErrOverloaded, ErrRateLimited, ErrTooManyWatches, ErrWatcherTooSlow:
		return true
	}
	switch failed.Code {
	case codes.Unavailable:
		return true
	case codes.Canceled, codes.DeadlineExceeded, codes.Unknown: // of a proxy or a connection; a watch has no deadline
		return failed.Reason == ""
	case codes.Internal:
		return failed.Reason == "" && strings.Contains(failed.Message, "RST_STREAM")
	default:
		return false
	}
}
