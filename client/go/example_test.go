package tallykeeper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
	"github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// The code of README.md is here, so that it compiles and runs. The test below compares them.

func connectAsInReadme() error {
	client, err := tallykeeper.NewClient("127.0.0.1:50051", tallykeeper.WithNamespace("shop"))
	if err != nil {
		return err
	}
	defer client.Close()
	return nil
}

func connectWithTLS() (*tallykeeper.Client, error) {
	client, err := tallykeeper.NewClient("tally.example:50051",
		tallykeeper.WithCAFile("ca.pem"),
		tallykeeper.WithToken(os.Getenv("TALLYKEEPER_TOKEN")),
	)
	return client, err
}

func take(ctx context.Context, client *tallykeeper.Client) error {
	response, err := client.TakeCopies(ctx, "dune", 1, tallykeeper.WithReference("order-17"))
	var short *tallykeeper.InsufficientStockError
	if errors.As(err, &short) {
		for _, line := range short.Shortages {
			fmt.Printf("%d of %s wanted, %d available\n", line.Requested, line.Item, line.Available)
		}
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println(response.StockLevel.Available, "left")
	return nil
}

func move(ctx context.Context, client *tallykeeper.Client) (*tallykeeperv1.MoveCopiesResponse, error) {
	moved, err := client.InventoryService.MoveCopies(ctx, &tallykeeperv1.MoveCopiesRequest{
		Item: "dune", FromLocation: "main", ToLocation: "annex", Copies: proto.Int64(2),
	})
	return moved, err
}

func retry(ctx context.Context, client *tallykeeper.Client) (*tallykeeperv1.IncrementResponse, error) {
	id := tallykeeper.WithRequestID(tallykeeper.NewRequestID())
	response, err := client.Increment(ctx, "sales", 1, id)
	if tallykeeper.MayHaveBeenApplied(err) {
		response, err = client.Increment(ctx, "sales", 1, id) // counts once, whatever the outcome of the first call
	}
	return response, err
}

func reserve(ctx context.Context, client *tallykeeper.Client) error {
	basket := []*tallykeeperv1.StockLine{tallykeeper.Line("dune", 1), tallykeeper.LineAt("emma", "annex", 2)}
	reserved, err := client.Reserve(ctx, basket, tallykeeper.WithHolder("ann"), tallykeeper.WithTTL(15*time.Minute))
	if err != nil {
		return err
	}
	_, err = client.Commit(ctx, reserved.Reservation.ReservationId, tallykeeper.WithReference("order-18"))
	return err
}

func batch(ctx context.Context, client *tallykeeper.Client) error {
	_, err := client.Apply(ctx, tallykeeper.Atomic, []*tallykeeperv1.Operation{
		tallykeeper.Operation(&tallykeeperv1.IncrementRequest{Counter: "sales"}),
		tallykeeper.Operation(&tallykeeperv1.DecrementCopiesRequest{Item: "dune"}),
	})
	return err
}

func watch(ctx context.Context, client *tallykeeper.Client) error {
	for entry, err := range client.Watch(ctx, &tallykeeperv1.WatchRequest{Items: []string{"dune"}}) {
		if err != nil {
			return err // the watch has ended: ctx is done, or it cannot go on
		}
		fmt.Println(entry.Revision, entry.Operation)
	}
	return nil
}

func TestTheCodeOfTheReadmeRuns(t *testing.T) {
	client, ctx := connect(t), t.Context()
	must[*tallykeeperv1.SetStockResponse](t)(client.SetStock(ctx, "dune", 5))
	must[*tallykeeperv1.SetStockResponse](t)(client.SetStock(ctx, "emma", 2, tallykeeper.AtLocation("annex")))
	_, moveError := move(ctx, client)
	_, retryError := retry(ctx, client)
	err := errors.Join(
		connectAsInReadme(), moveError, retryError, reserve(ctx, client), batch(ctx, client),
		take(ctx, client), take(ctx, client)) // the second meets INSUFFICIENT_STOCK
	if err != nil {
		t.Error(err)
	}
	if _, err := connectWithTLS(); err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Errorf("the error is %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := watch(cancelled, client); !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestTheCodeOfTheReadmeIsThatOfThisFile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) < 9 {
		t.Errorf("README.md has %d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "import") {
			block = strings.TrimSuffix(strings.TrimPrefix(block, "import (\n"), ")\n")
		} else {
			block = "\t" + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n\t")
		}
		if !strings.Contains(string(code), block) {
			t.Errorf("example_test.go does not have this block of README.md:\n%s", block)
		}
	}
}
