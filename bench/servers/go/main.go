// Command servers runs the Go services of the benchmark.
//
//	servers constant PORT            answers every call with the same response
//	servers store PORT STORE_URL     runs one script with GET and SET for every call
//
// The second is the obvious service of a Go programmer: grpc-go and go-redis with their defaults, without request ids,
// ledger and limits. The package contract is generated from the protos of this repository when the benchmark
// builds this module.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tallykeeper.bench/servers/contract"
)

var decrement = redis.NewScript(`
local value = tonumber(redis.call('GET', KEYS[1]) or '1000000000')
if value < tonumber(ARGV[1]) then
  return -1
end
value = value - tonumber(ARGV[1])
redis.call('SET', KEYS[1], value)
return value
`)

var increment = redis.NewScript(`
local value = tonumber(redis.call('GET', KEYS[1]) or '0') + tonumber(ARGV[1])
redis.call('SET', KEYS[1], value)
return value
`)

type constantInventory struct {
	contract.UnimplementedInventoryServiceServer
	response *contract.DecrementCopiesResponse
}

func (s *constantInventory) DecrementCopies(context.Context, *contract.DecrementCopiesRequest) (*contract.DecrementCopiesResponse, error) {
	return s.response, nil
}

type constantCounters struct {
	contract.UnimplementedCounterServiceServer
	response *contract.IncrementResponse
}

func (s *constantCounters) Increment(context.Context, *contract.IncrementRequest) (*contract.IncrementResponse, error) {
	return s.response, nil
}

type storedInventory struct {
	contract.UnimplementedInventoryServiceServer
	store *redis.Client
}

func (s *storedInventory) DecrementCopies(ctx context.Context, request *contract.DecrementCopiesRequest) (*contract.DecrementCopiesResponse, error) {
	left, err := decrement.Run(ctx, s.store, []string{"go:" + request.Item}, request.GetCopies()).Int64()
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	if left < 0 {
		return nil, status.Error(codes.FailedPrecondition, "too few copies")
	}
	return decremented(request.Item, request.GetCopies(), left), nil
}

type storedCounters struct {
	contract.UnimplementedCounterServiceServer
	store *redis.Client
}

func (s *storedCounters) Increment(ctx context.Context, request *contract.IncrementRequest) (*contract.IncrementResponse, error) {
	value, err := increment.Run(ctx, s.store, []string{"go:c:" + request.Counter}, 1).Int64()
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return incremented(request.Counter, value), nil
}

func decremented(item string, copies, left int64) *contract.DecrementCopiesResponse {
	level := &contract.StockLevel{Item: item, Location: "main", OnHand: left, Available: left}
	return &contract.DecrementCopiesResponse{CopiesTaken: copies, StockLevel: level}
}

func incremented(counter string, value int64) *contract.IncrementResponse {
	return &contract.IncrementResponse{Counter: &contract.Counter{Counter: counter, Value: value}}
}

func register(server *grpc.Server, words []string) error {
	switch {
	case len(words) == 2 && words[0] == "constant":
		inventory := &constantInventory{response: decremented("item-0000", 1, 999_999)}
		inventory.response.Revision, inventory.response.CommitTime = 123_456, timestamppb.Now()
		counters := &constantCounters{response: incremented("item-0000", 999_999)}
		counters.response.Revision, counters.response.CommitTime = 123_456, timestamppb.Now()
		contract.RegisterInventoryServiceServer(server, inventory)
		contract.RegisterCounterServiceServer(server, counters)
	case len(words) == 3 && words[0] == "store":
		options, err := redis.ParseURL(words[2])
		if err != nil {
			return err
		}
		store := redis.NewClient(options)
		contract.RegisterInventoryServiceServer(server, &storedInventory{store: store})
		contract.RegisterCounterServiceServer(server, &storedCounters{store: store})
	default:
		return errors.New("usage: servers constant PORT | store PORT STORE_URL")
	}
	return nil
}

func main() {
	server := grpc.NewServer()
	if err := register(server, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}
