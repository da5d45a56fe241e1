package tallykeeper

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// Increment adds delta, which may be negative, to a counter. A counter that does not exist counts as 0 and is created.
func (c *Client) Increment(
	ctx context.Context, counter string, delta int64, options ...CallOption,
) (*pb.IncrementResponse, error) {
	request := &pb.IncrementRequest{Counter: counter, Delta: &delta}
	return send(ctx, c.CounterService.Increment, request, options)
}

// GetCounter reads a counter.
func (c *Client) GetCounter(
	ctx context.Context, counter string, options ...CallOption,
) (*pb.GetCounterResponse, error) {
	return send(ctx, c.CounterService.GetCounter, &pb.GetCounterRequest{Counter: counter}, options)
}

// SetCounter sets a counter to a value.
func (c *Client) SetCounter(
	ctx context.Context, counter string, value int64, options ...CallOption,
) (*pb.SetCounterResponse, error) {
	request := &pb.SetCounterRequest{Counter: counter, Value: &value}
	return send(ctx, c.CounterService.SetCounter, request, options)
}

// TakeCopies takes copies of an item: a sale, a loan, a pick. It fails with [ErrInsufficientStock] if there are fewer
// copies.
func (c *Client) TakeCopies(
	ctx context.Context, item string, copies int64, options ...CallOption,
) (*pb.DecrementCopiesResponse, error) {
	request := &pb.DecrementCopiesRequest{Item: item, Copies: &copies}
	return send(ctx, c.InventoryService.DecrementCopies, request, options)
}

// ReturnCopies adds copies of an item: a delivery, a return. It creates the stock level if that does not exist.
func (c *Client) ReturnCopies(
	ctx context.Context, item string, copies int64, options ...CallOption,
) (*pb.IncrementCopiesResponse, error) {
	request := &pb.IncrementCopiesRequest{Item: item, Copies: &copies}
	return send(ctx, c.InventoryService.IncrementCopies, request, options)
}

// SetStock sets the number of copies on hand, as after a stock-taking.
func (c *Client) SetStock(
	ctx context.Context, item string, onHand int64, options ...CallOption,
) (*pb.SetStockResponse, error) {
	request := &pb.SetStockRequest{Item: item, OnHand: &onHand}
	return send(ctx, c.InventoryService.SetStock, request, options)
}

// GetStock reads a stock level.
func (c *Client) GetStock(ctx context.Context, item string, options ...CallOption) (*pb.GetStockResponse, error) {
	return send(ctx, c.InventoryService.GetStock, &pb.GetStockRequest{Item: item}, options)
}

// Line is a line of a reservation: copies of an item at the location "main".
func Line(item string, copies int64) *pb.StockLine {
	return &pb.StockLine{Item: item, Copies: &copies}
}

// LineAt is a line of a reservation: copies of an item at a location.
func LineAt(item, location string, copies int64) *pb.StockLine {
	return &pb.StockLine{Item: item, Location: location, Copies: &copies}
}

// Reserve reserves the copies of all lines, or of none, for 15 minutes unless [WithTTL] says otherwise.
func (c *Client) Reserve(
	ctx context.Context, lines []*pb.StockLine, options ...CallOption,
) (*pb.ReserveResponse, error) {
	return send(ctx, c.ReservationService.Reserve, &pb.ReserveRequest{Lines: lines}, options)
}

// Commit takes all copies of a reservation.
func (c *Client) Commit(ctx context.Context, reservationID string, options ...CallOption) (*pb.CommitResponse, error) {
	return send(ctx, c.ReservationService.Commit, &pb.CommitRequest{ReservationId: reservationID}, options)
}

// Release gives the copies of a reservation back.
func (c *Client) Release(
	ctx context.Context, reservationID string, options ...CallOption,
) (*pb.ReleaseResponse, error) {
	return send(ctx, c.ReservationService.Release, &pb.ReleaseRequest{ReservationId: reservationID}, options)
}

// Extend lets a reservation expire one ttl from now, or later if its time was later already.
func (c *Client) Extend(
	ctx context.Context, reservationID string, ttl time.Duration, options ...CallOption,
) (*pb.ExtendResponse, error) {
	request := &pb.ExtendRequest{ReservationId: reservationID}
	return send(ctx, c.ReservationService.Extend, request, append([]CallOption{WithTTL(ttl)}, options...))
}

// Verify replays the ledger of the namespace and compares the outcome with the stored levels. It takes minutes for a
// large namespace, and has no deadline except that of ctx.
func (c *Client) Verify(ctx context.Context, options ...CallOption) (*pb.VerifyResult, error) {
	request := &pb.VerifyNamespaceRequest{}
	if err := apply(request, options); err != nil {
		return nil, err
	}
	result, err := c.verify(ctx, request)
	if c.connection.renewable(err) {
		result, err = c.verify(ctx, request)
	}
	return result, err
}

func (c *Client) verify(ctx context.Context, request *pb.VerifyNamespaceRequest) (*pb.VerifyResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	responses, err := c.LedgerService.VerifyNamespace(ctx, request)
	if err != nil {
		return nil, err
	}
	var result *pb.VerifyResult
	for {
		response, err := responses.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return nil, err
		}
		result = response.GetResult()
	}
}

// send makes a unary call with options.
func send[Request proto.Message, Response any](
	ctx context.Context,
	rpc func(context.Context, Request, ...grpc.CallOption) (Response, error),
	request Request,
	options []CallOption,
) (Response, error) {
	if err := apply(request, options); err != nil {
		var none Response
		return none, err
	}
	return rpc(ctx, request)
}
