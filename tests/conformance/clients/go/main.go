// The load of grpc-go: see clients/__init__.py.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	api "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

const (
	counter     = "calls"
	item        = "copies"
	callTimeout = 30 * time.Second
	watchPause  = 100 * time.Millisecond
)

var (
	target        = flag.String("target", "", "host:port of the server")
	namespace     = flag.String("namespace", "", "where the calls count")
	callers       = flag.Int("callers", 4, "how many call with retries, and as many without")
	serviceConfig = flag.String("service-config", "", "the retry policy")
	caFile        = flag.String("ca", "", "the authority of the server's certificate; empty: plaintext")
	certificate   = flag.String("certificate", "", "the certificate of this caller")
	key           = flag.String("key", "", "its key")
)

type failure struct{ Code, Message string }

// tally counts calls and errors. As the stats handler of the channels, it also counts each attempt.
type tally struct {
	calls, increments, copies, attempts, transparent atomic.Int64
	revision, watchedRevision, watchedEntries        atomic.Int64
	resumed                                          atomic.Int64
	mutex                                            sync.Mutex
	errors                                           map[failure]int
}

func (t *tally) fail(code, message string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.errors[failure{code, message}]++
}

func (t *tally) acknowledge(revision int64) {
	for before := t.revision.Load(); revision > before; before = t.revision.Load() {
		if t.revision.CompareAndSwap(before, revision) {
			return
		}
	}
}

type attempted struct{}

func (t *tally) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, attempted{}, info.FullMethodName)
}

func (t *tally) HandleRPC(ctx context.Context, event stats.RPCStats) {
	begin, begins := event.(*stats.Begin)
	if !begins || ctx.Value(attempted{}) == api.LedgerService_Watch_FullMethodName {
		return
	}
	t.attempts.Add(1)
	if begin.IsTransparentRetryAttempt {
		t.transparent.Add(1)
	}
}

func (t *tally) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (t *tally) HandleConn(context.Context, stats.ConnStats) {}

func (t *tally) report() map[string]any {
	failures := []map[string]any{}
	for one, count := range t.errors {
		failures = append(failures, map[string]any{"code": one.Code, "message": one.Message, "count": count})
	}
	return map[string]any{
		"calls": t.calls.Load(), "increments": t.increments.Load(), "copies": t.copies.Load(),
		"retried": t.attempts.Load() - t.transparent.Load() - t.calls.Load(),
		"watched_revision": t.watchedRevision.Load(), "watched_entries": t.watchedEntries.Load(),
		"resumed": t.resumed.Load(), "errors": failures,
	}
}

func main() {
	flag.Parse()
	counts := &tally{errors: map[failure]int{}}
	retrying := channel(counts, grpc.WithDefaultServiceConfig(*serviceConfig))
	patient := channel(counts, grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	stopping, stopped := make(chan struct{}), make(chan struct{})
	var calling, watching sync.WaitGroup
	watching.Go(func() { watch(retrying, counts, stopped) })
	for caller := range *callers {
		calling.Go(func() { call(retrying, fmt.Sprintf("retrying-%d", caller), counts, stopping) })
		calling.Go(func() { call(patient, fmt.Sprintf("patient-%d", caller), counts, stopping) })
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	close(stopping)
	calling.Wait()
	close(stopped)
	watching.Wait()
	json.NewEncoder(os.Stdout).Encode(counts.report())
}

func channel(counts *tally, options ...grpc.DialOption) *grpc.ClientConn {
	options = append(options, grpc.WithTransportCredentials(transportCredentials()), grpc.WithStatsHandler(counts))
	connection, err := grpc.NewClient(*target, options...)
	if err != nil {
		panic(err)
	}
	return connection
}

func transportCredentials() credentials.TransportCredentials {
	if *caFile == "" {
		return insecure.NewCredentials()
	}
	authority, err := os.ReadFile(*caFile)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	config := &tls.Config{RootCAs: roots}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			panic(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}

// call adds and reads until the load stops.
func call(connection *grpc.ClientConn, caller string, counts *tally, stopping <-chan struct{}) {
	counters, inventory := api.NewCounterServiceClient(connection), api.NewInventoryServiceClient(connection)
	var seen int64
	for number := 1; ; number++ {
		select {
		case <-stopping:
			return
		default:
		}
		requestID := fmt.Sprintf("%s-%d", caller, number)
		increment := &api.IncrementRequest{Namespace: *namespace, RequestId: requestID, Counter: counter}
		if response := answered(counts, counters.Increment, increment); response != nil {
			counts.increments.Add(1)
			counts.acknowledge(response.Revision)
			seen = max(seen, response.Counter.Value)
		}
		addition := &api.IncrementCopiesRequest{Namespace: *namespace, RequestId: requestID + "-copies", Item: item}
		if response := answered(counts, inventory.IncrementCopies, addition); response != nil {
			counts.copies.Add(1)
			counts.acknowledge(response.Revision)
		}
		read := &api.GetCounterRequest{Namespace: *namespace, Counter: counter}
		if response := answered(counts, counters.GetCounter, read); response != nil {
			if response.Counter.Value < seen {
				counts.fail("STALE", "a read has missed an acknowledged change")
			}
			seen = max(seen, response.Counter.Value)
		}
	}
}

// answered calls and returns the response, or nil after an error, which it records.
func answered[Request, Response any](
	counts *tally, send func(context.Context, *Request, ...grpc.CallOption) (*Response, error), request *Request,
) *Response {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	counts.calls.Add(1)
	response, err := send(ctx, request)
	if err != nil {
		counts.fail(status.Code(err).String(), status.Convert(err).Message())
		return nil
	}
	return response
}

// watch follows the ledger from its beginning until all callers have ended and their last change has come.
func watch(connection *grpc.ClientConn, counts *tally, stopped <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-stopped
		deadline := time.Now().Add(callTimeout)
		for counts.watchedRevision.Load() < counts.revision.Load() {
			if time.Now().After(deadline) {
				counts.fail("WATCH", "the watch has not come to the last revision")
				break
			}
			time.Sleep(watchPause / 10)
		}
		cancel()
	}()
	for {
		err := follow(ctx, connection, counts)
		if ctx.Err() != nil {
			return
		}
		if status.Code(err) == codes.Unavailable {
			counts.resumed.Add(1)
		} else {
			counts.fail("watch: "+status.Code(err).String(), err.Error())
		}
		time.Sleep(watchPause)
	}
}

func follow(ctx context.Context, connection *grpc.ClientConn, counts *tally) error {
	last := counts.watchedRevision.Load()
	request := &api.WatchRequest{Namespace: *namespace, AfterRevision: &last}
	responses, err := api.NewLedgerServiceClient(connection).Watch(ctx, request)
	if err != nil {
		return err
	}
	for {
		response, err := responses.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the watch has ended without an error")
		}
		if err != nil {
			return err
		}
		for _, entry := range response.Entries {
			counts.watchedEntries.Add(1)
			if entry.Revision != last+1 {
				counts.fail("WATCH", "a revision was missed or came twice")
			}
			last = entry.Revision
			counts.watchedRevision.Store(last)
		}
	}
}
