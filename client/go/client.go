package tallykeeper

import (
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// ErrClosed is the error of a call or a watch of a client that is closed.
var ErrClosed = errors.New("the client is closed")

// Client is a connection to a Tallykeeper server. It is safe for concurrent use. [Client.Close] closes it.
type Client struct {
	// CounterService has the RPCs of counters.
	CounterService pb.CounterServiceClient
	// InventoryService has the RPCs of stock.
	InventoryService pb.InventoryServiceClient
	// ReservationService has the RPCs of reservations.
	ReservationService pb.ReservationServiceClient
	// LedgerService has the RPCs of the ledger. Its Watch is one stream, which ends with its connection;
	// [Client.Watch] resumes.
	LedgerService pb.LedgerServiceClient
	// BatchService has the RPC of batches.
	BatchService pb.BatchServiceClient
	// NamespaceService has the RPCs of namespaces.
	NamespaceService pb.NamespaceServiceClient
	// ServerService has the RPC about the state of the server.
	ServerService pb.ServerServiceClient

	connection *connection
	close      func() error
}

// NewClient returns a client of the server at address, which is "host:port" or another target that gRPC knows, such as
// "unix:/run/tallykeeper.sock". It connects with the first call. It uses no TLS unless an option asks for TLS.
//
// The error says which option or address is wrong.
func NewClient(address string, options ...Option) (*Client, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	channel, err := grpc.NewClient(address, settings.dialOptions()...)
	if err != nil {
		return nil, fmt.Errorf("the address %q is no target of gRPC: %w", address, err)
	}
	return newClient(channel, settings), nil
}

func newClient(channel *grpc.ClientConn, settings *settings) *Client {
	closed := make(chan struct{})
	c := &connection{
		channel:   channel,
		namespace: settings.namespace,
		timeout:   settings.timeout,
		tokens:    settings.tokens,
		closed:    closed,
	}
	return &Client{
		CounterService:     pb.NewCounterServiceClient(c),
		InventoryService:   pb.NewInventoryServiceClient(c),
		ReservationService: pb.NewReservationServiceClient(c),
		LedgerService:      pb.NewLedgerServiceClient(c),
		BatchService:       pb.NewBatchServiceClient(c),
		NamespaceService:   pb.NewNamespaceServiceClient(c),
		ServerService:      pb.NewServerServiceClient(c),
		connection:         c,
		close: sync.OnceValue(func() error {
			close(closed)
			return channel.Close()
		}),
	}
}

// Close closes the connection. Calls that are under way and watches end with [ErrClosed]. A second Close does nothing.
func (c *Client) Close() error {
	return c.close()
}
