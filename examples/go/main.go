// The first act of the demo: copies are sold until none is left, and a retry counts once.
//
//	go run . [ADDRESS]
//
// The address is that of the server: the argument, or TALLYKEEPER_ADDRESS, or 127.0.0.1:50051.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
)

func main() {
	address := cmp.Or(os.Getenv("TALLYKEEPER_ADDRESS"), "127.0.0.1:50051")
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := play(context.Background(), address); err != nil {
		log.Fatal(err)
	}
}

func play(ctx context.Context, address string) error {
	// A fresh namespace, so that the example can run twice.
	namespace := tallykeeper.WithNamespace("example-go-" + tallykeeper.NewRequestID())
	client, err := tallykeeper.NewClient(address, namespace)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := sell(ctx, client); err != nil {
		return err
	}
	return retry(ctx, client)
}

// sell takes the copies of an item one by one, until there is none.
func sell(ctx context.Context, client *tallykeeper.Client) error {
	const copies = 3
	if _, err := client.SetStock(ctx, "dune", copies); err != nil {
		return err
	}
	for sold := 1; ; sold++ {
		response, err := client.TakeCopies(ctx, "dune", 1)
		var short *tallykeeper.InsufficientStockError
		if errors.As(err, &short) {
			fmt.Printf("sold out: %s, %d available\n", short.Reason, short.Shortages[0].Available)
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Printf("sold %d of %d, %d left\n", sold, copies, response.StockLevel.Available)
	}
}

// retry sends the same increment twice, as a program does that does not know whether the first one has arrived.
func retry(ctx context.Context, client *tallykeeper.Client) error {
	id := tallykeeper.WithRequestID(tallykeeper.NewRequestID())
	if _, err := client.Increment(ctx, "sales", 1, id); err != nil {
		return err
	}
	response, err := client.Increment(ctx, "sales", 1, id)
	if err != nil {
		return err
	}
	fmt.Printf("retried with the same request id: counter %d, replayed %t\n", response.Counter.Value, response.Replayed)
	return nil
}
