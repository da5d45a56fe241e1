// The runner of the Go SDK for the conformance cases: see ../../README.md for the protocol.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// lineBytesMax is the maximum size of a message: some cases send a request that is too large for the server.
const lineBytesMax = 256 << 20

// runner holds the clients and the watches, by the names that the harness gives them.
type runner struct {
	replies sync.Mutex // held while a reply is written

	mutex   sync.Mutex
	clients map[string]*tallykeeper.Client
	watches map[int]*watch
}

// watch is a watch that has begun.
type watch struct {
	stop  context.CancelFunc
	ended chan struct{}
}

func main() {
	r := &runner{clients: map[string]*tallykeeper.Client{}, watches: map[int]*watch{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		m, err := parseMessage(lines.Bytes())
		switch {
		case err != nil:
			r.replyError(m.ID, err)
		case m.Do == "connect": // before the calls that follow
			r.reply(m.ID, r.connect, m)
		case m.Do == "watch": // before the stop that may follow
			r.startWatch(m)
		default:
			go r.reply(m.ID, r.action(m.Do), m)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (r *runner) action(name string) func(*message) (any, error) {
	switch name {
	case "call":
		return r.call
	case "batch":
		return r.batch
	case "stop":
		return r.stop
	case "request_id":
		return r.requestID
	case "close":
		return r.close
	default:
		return func(*message) (any, error) { return nil, unknown("there is no action %q", name) }
	}
}

// reply does what a message says and writes the outcome.
func (r *runner) reply(id int, act func(*message) (any, error), m *message) {
	result, err := act(m)
	if err != nil {
		r.replyError(id, err)
		return
	}
	r.write(map[string]any{"id": id, "ok": result})
}

func (r *runner) replyError(id int, err error) {
	r.write(map[string]any{"id": id, "error": errorJSON(err)})
}

func (r *runner) write(reply map[string]any) {
	line, err := json.Marshal(reply)
	if err != nil {
		panic(err)
	}
	r.replies.Lock()
	defer r.replies.Unlock()
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

func (r *runner) connect(m *message) (any, error) {
	client, err := tallykeeper.NewClient(m.Address, m.options()...)
	if err != nil {
		return nil, err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.clients[m.Client] = client
	return struct{}{}, nil
}

func (r *runner) client(name string) (*tallykeeper.Client, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if client, ok := r.clients[name]; ok {
		return client, nil
	}
	return nil, unknown("there is no client %q", name)
}

func (r *runner) call(m *message) (any, error) {
	client, err := r.client(m.Client)
	if err != nil {
		return nil, err
	}
	ctx, cancel := m.context()
	defer cancel()
	return invoke(ctx, client, m.Method, m.Request)
}

func (r *runner) batch(m *message) (any, error) {
	client, err := r.client(m.Client)
	if err != nil {
		return nil, err
	}
	operations := make([]*pb.Operation, len(m.Operations))
	for i, each := range m.Operations {
		operations[i] = &pb.Operation{}
		if err := protojson.Unmarshal(each, operations[i]); err != nil {
			return nil, unknown("operation %d: %s", i, err)
		}
	}
	ctx, cancel := m.context()
	defer cancel()
	response, err := client.Apply(ctx, pb.BatchMode(pb.BatchMode_value[m.Mode]), operations)
	return responseJSON(response, err)
}

// startWatch begins a watch, whose events and end are separate replies.
func (r *runner) startWatch(m *message) {
	client, err := r.client(m.Client)
	request := &pb.WatchRequest{}
	if err == nil && m.Request != nil {
		if wrong := protojson.Unmarshal(m.Request, request); wrong != nil {
			err = unknown("%s", wrong)
		}
	}
	if err != nil {
		r.replyError(m.ID, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{stop: cancel, ended: make(chan struct{})}
	r.mutex.Lock()
	r.watches[m.ID] = w
	r.mutex.Unlock()
	go func() {
		defer close(w.ended)
		r.follow(ctx, m.ID, client, request)
	}()
}

func (r *runner) follow(ctx context.Context, id int, client *tallykeeper.Client, request *pb.WatchRequest) {
	for response, err := range client.WatchResponses(ctx, request) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			r.replyError(id, err)
			return
		}
		event, err := responseJSON(response, nil)
		if err != nil {
			panic(err)
		}
		r.write(map[string]any{"id": id, "event": event})
	}
	r.write(map[string]any{"id": id, "end": struct{}{}})
}

func (r *runner) stop(m *message) (any, error) {
	r.mutex.Lock()
	w, ok := r.watches[m.Watch]
	r.mutex.Unlock()
	if !ok {
		return nil, unknown("there is no watch %d", m.Watch)
	}
	w.stop()
	<-w.ended
	return struct{}{}, nil
}

func (r *runner) requestID(*message) (any, error) {
	return map[string]string{"request_id": tallykeeper.NewRequestID()}, nil
}

func (r *runner) close(m *message) (any, error) {
	client, err := r.client(m.Client)
	if err != nil {
		return nil, err
	}
	return struct{}{}, client.Close()
}

func (m *message) context() (context.Context, context.CancelFunc) {
	if m.TimeoutMS == nil {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(*m.TimeoutMS)*time.Millisecond)
}
