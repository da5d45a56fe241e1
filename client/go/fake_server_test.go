package tallykeeper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// fakeServer answers as a test says, and notes the requests of increments.
type fakeServer struct {
	pb.UnimplementedBatchServiceServer
	pb.UnimplementedCounterServiceServer
	pb.UnimplementedInventoryServiceServer
	pb.UnimplementedLedgerServiceServer
	pb.UnimplementedNamespaceServiceServer
	pb.UnimplementedServerServiceServer

	// answer returns the error of an attempt to increment, counted from 1; nil lets it succeed.
	answer func(ctx context.Context, attempt int) error
	// watch sends the responses of a watch, counted from 1.
	watch func(request *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse], attempt int) error

	mutex    sync.Mutex
	requests []*pb.IncrementRequest
	watches  []*pb.WatchRequest
}

func (f *fakeServer) Increment(ctx context.Context, request *pb.IncrementRequest) (*pb.IncrementResponse, error) {
	f.mutex.Lock()
	f.requests = append(f.requests, request)
	attempt := len(f.requests)
	f.mutex.Unlock()
	if f.answer != nil {
		if err := f.answer(ctx, attempt); err != nil {
			return nil, err
		}
	}
	return &pb.IncrementResponse{Counter: &pb.Counter{Counter: request.Counter, Value: int64(attempt)}}, nil
}

func (f *fakeServer) Watch(request *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	f.mutex.Lock()
	f.watches = append(f.watches, request)
	attempt := len(f.watches)
	f.mutex.Unlock()
	return f.watch(request, stream, attempt)
}

func (f *fakeServer) received() []*pb.IncrementRequest {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]*pb.IncrementRequest(nil), f.requests...)
}

// serve serves on a listener until the test or the returned function ends it.
func (f *fakeServer) serve(t *testing.T, listener net.Listener, options ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	server := grpc.NewServer(append([]grpc.ServerOption{grpc.Creds(insecure.NewCredentials())}, options...)...)
	pb.RegisterBatchServiceServer(server, f)
	pb.RegisterCounterServiceServer(server, f)
	pb.RegisterInventoryServiceServer(server, f)
	pb.RegisterLedgerServiceServer(server, f)
	pb.RegisterNamespaceServiceServer(server, f)
	pb.RegisterServerServiceServer(server, f)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return server
}

// start serves on a free port of loopback and returns a client.
func (f *fakeServer) start(t *testing.T, options ...Option) *Client {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	f.serve(t, listener)
	return dial(t, listener.Addr().String(), options...)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// freeAddress returns an address on loopback where nobody listens. Its port is not one that the kernel gives to
// connections, so that it is still free when it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("there is no free port from 20000 to 31999")
	return ""
}

func dial(t *testing.T, address string, options ...Option) *Client {
	t.Helper()
	client, err := NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// refusal returns an error as the server makes it.
func refusal(code codes.Code, reason Reason, values map[string]string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: string(reason), Domain: errorDomain, Metadata: values}
	detailed, err := status.New(code, "in words").WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		panic(err)
	}
	return detailed.Err()
}

func setPushback(ctx context.Context, milliseconds string) {
	if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", milliseconds)); err != nil {
		panic(err)
	}
}

// always returns an answer that is the same for each attempt.
func always(err error) func(context.Context, int) error {
	return func(context.Context, int) error { return err }
}

// until returns an answer that fails before an attempt.
func until(last int, err error) func(context.Context, int) error {
	return func(_ context.Context, attempt int) error {
		if attempt < last {
			return err
		}
		return nil
	}
}
