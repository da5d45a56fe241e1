package tallykeeper

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// AllCounters iterates over the counters of all pages of a listing. It ends after an error.
func (c *Client) AllCounters(ctx context.Context, request *pb.ListCountersRequest) iter.Seq2[*pb.Counter, error] {
	return allPages(ctx, c.CounterService.ListCounters, request, (*pb.ListCountersResponse).GetCounters)
}

// AllStock iterates over the stock levels of all pages of a listing. It ends after an error.
func (c *Client) AllStock(ctx context.Context, request *pb.ListStockRequest) iter.Seq2[*pb.StockLevel, error] {
	return allPages(ctx, c.InventoryService.ListStock, request, (*pb.ListStockResponse).GetStockLevels)
}

// AllReservations iterates over the reservations of all pages of a listing. It ends after an error.
func (c *Client) AllReservations(
	ctx context.Context, request *pb.ListReservationsRequest,
) iter.Seq2[*pb.Reservation, error] {
	return allPages(
		ctx, c.ReservationService.ListReservations, request, (*pb.ListReservationsResponse).GetReservations)
}

// AllEntries iterates over the entries of all pages of a listing of the ledger. It ends after an error.
func (c *Client) AllEntries(ctx context.Context, request *pb.ListEntriesRequest) iter.Seq2[*pb.Entry, error] {
	return allPages(ctx, c.LedgerService.ListEntries, request, (*pb.ListEntriesResponse).GetEntries)
}

// AllNamespaces iterates over the namespaces of all pages of a listing. It ends after an error.
func (c *Client) AllNamespaces(
	ctx context.Context, request *pb.ListNamespacesRequest,
) iter.Seq2[*pb.Namespace, error] {
	return allPages(ctx, c.NamespaceService.ListNamespaces, request, (*pb.ListNamespacesResponse).GetNamespaces)
}

// allPages calls a listing until its last page. Each page has its own deadline.
func allPages[Request proto.Message, Response interface{ GetNextPageToken() string }, Each any](
	ctx context.Context,
	list func(context.Context, Request, ...grpc.CallOption) (Response, error),
	request Request,
	items func(Response) []Each,
) iter.Seq2[Each, error] {
	return func(yield func(Each, error) bool) {
		next := proto.CloneOf(request)
		pageToken := next.ProtoReflect().Descriptor().Fields().ByName("page_token")
		for {
			page, err := list(ctx, next)
			if err != nil {
				var none Each
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			next.ProtoReflect().Set(pageToken, stringValue(page.GetNextPageToken()))
		}
	}
}
