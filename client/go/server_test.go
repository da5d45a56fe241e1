package tallykeeper_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

const (
	program       = "../../.venv/bin/tallykeeper"
	addressOption = "TALLYKEEPER_TEST_SERVER"
	startTimeout  = time.Minute // a server that starts on a busy machine takes many seconds
)

var (
	shared struct {
		sync.Once
		process *serverProcess
		err     error
	}
	dataDirectories []string
)

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.process != nil {
		shared.process.end(syscall.SIGTERM)
	}
	for _, directory := range dataDirectories {
		os.RemoveAll(directory)
	}
	os.Exit(status)
}

// serverProcess is a server in its own process.
type serverProcess struct {
	command *exec.Cmd
	address string
}

// startServer starts a server and returns as soon as it serves.
func startServer(listen, dataDirectory string) (*serverProcess, error) {
	command := exec.Command(program, "serve", "--listen", listen, "--http-listen", "", "--workers", "1", "--log-format", "json",
		"--data-dir", dataDirectory)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that killing it ends its worker and its store too
	log, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var event struct{ Event, Listen string }
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == "serving" {
			go func() { // the server must not wait for someone who reads its log
				for lines.Scan() {
				}
			}()
			return &serverProcess{command, event.Listen}, nil
		}
	}
	return nil, errors.Join(errors.New("the server ended before it served"), command.Wait())
}

func (s *serverProcess) end(signal syscall.Signal) {
	if signal == syscall.SIGKILL {
		syscall.Kill(-s.command.Process.Pid, signal)
	} else {
		s.command.Process.Signal(signal)
	}
	s.command.Wait()
}

func dataDirectory() string {
	directory, err := os.MkdirTemp("", "tallykeeper-go-")
	if err != nil {
		panic(err)
	}
	dataDirectories = append(dataDirectories, directory)
	return directory
}

// connect returns a client of the server of all tests, with its own namespace.
func connect(t *testing.T) *tallykeeper.Client {
	t.Helper()
	address := os.Getenv(addressOption)
	if address == "" {
		requireProgram(t)
		shared.Do(func() { shared.process, shared.err = startServer("127.0.0.1:0", dataDirectory()) })
		if shared.err != nil {
			t.Fatal(shared.err)
		}
		address = shared.process.address
	}
	return clientOf(t, address)
}

func requireProgram(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Skipf("there is no server: run `make setup` in the root of the repository, or name one in %s", addressOption)
	}
}

func clientOf(t *testing.T, address string, options ...tallykeeper.Option) *tallykeeper.Client {
	t.Helper()
	namespace := tallykeeper.WithNamespace("go-" + tallykeeper.NewRequestID())
	client, err := tallykeeper.NewClient(address, append(options, namespace)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// must returns the response of a call that must succeed.
func must[Response any](t *testing.T) func(Response, error) Response {
	return func(response Response, err error) Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
}

func TestCounters(t *testing.T) {
	client, ctx := connect(t), t.Context()
	if response := must[*pb.IncrementResponse](t)(client.Increment(ctx, "views", 3)); response.Counter.Value != 3 {
		t.Errorf("the counter is %v", response.Counter)
	}
	set := must[*pb.SetCounterResponse](t)(client.SetCounter(ctx, "views", 0))
	read := must[*pb.GetCounterResponse](t)(client.GetCounter(ctx, "views", tallykeeper.WithMinRevision(set.Revision)))
	if read.Counter.Value != 0 || read.Revision != 2 {
		t.Errorf("the counter is %v at %d", read.Counter, read.Revision)
	}
	_, err := client.GetCounter(ctx, "views", tallykeeper.WithMinRevision(99))
	ahead, ok := errors.AsType[*tallykeeper.RevisionError](err)
	if !ok || ahead.Requested != 99 || ahead.Revision != 2 {
		t.Errorf("the error is %v", err)
	}
	if _, err := client.GetCounter(ctx, "visitors"); !errors.Is(err, tallykeeper.ErrCounterNotFound) {
		t.Errorf("the error is %v", err)
	}
	bounded := &pb.ConfigureCounterRequest{Counter: "views", Max: proto.Int64(5)}
	must[*pb.ConfigureCounterResponse](t)(client.CounterService.ConfigureCounter(ctx, bounded))
	_, err = client.Increment(ctx, "views", 6)
	exceeded, ok := errors.AsType[*tallykeeper.CounterBoundExceededError](err)
	if !ok || *exceeded.Max != 5 || *exceeded.Delta != 6 || exceeded.Min != nil {
		t.Errorf("the error is %v", err)
	}
}

func TestStock(t *testing.T) {
	client, ctx := connect(t), t.Context()
	annex := tallykeeper.AtLocation("annex")
	must[*pb.SetStockResponse](t)(client.SetStock(ctx, "dune", 3, annex))
	must[*pb.DecrementCopiesResponse](t)(client.TakeCopies(ctx, "dune", 2, annex))
	_, err := client.TakeCopies(ctx, "dune", 2, annex)
	short, ok := errors.AsType[*tallykeeper.InsufficientStockError](err)
	if !ok || !errors.Is(err, tallykeeper.ErrInsufficientStock) {
		t.Fatalf("the error is %v", err)
	}
	want := &pb.Shortage{Item: "dune", Location: "annex", Requested: 2, Available: 1}
	if short.Count != 1 || !proto.Equal(short.Shortages[0], want) {
		t.Errorf("the short lines are %v", short.Shortages)
	}
	taken := must[*pb.DecrementCopiesResponse](t)(client.TakeCopies(ctx, "dune", 2, annex, tallykeeper.TakeAvailable()))
	if taken.CopiesTaken != 1 {
		t.Errorf("%d copies were taken", taken.CopiesTaken)
	}
	must[*pb.IncrementCopiesResponse](t)(client.ReturnCopies(ctx, "dune", 5, annex))
	if stock := must[*pb.GetStockResponse](t)(client.GetStock(ctx, "dune", annex)); stock.StockLevel.Available != 5 {
		t.Errorf("the level is %v", stock.StockLevel)
	}
}

func TestARepeatWithTheSameRequestIDCountsOnce(t *testing.T) {
	client, ctx := connect(t), t.Context()
	id := tallykeeper.WithRequestID(tallykeeper.NewRequestID())
	for _, replayed := range []bool{false, true} {
		response := must[*pb.IncrementResponse](t)(client.Increment(ctx, "views", 1, id))
		if response.Counter.Value != 1 || response.Replayed != replayed {
			t.Errorf("the response is %v", response)
		}
	}
	_, err := client.Increment(ctx, "views", 2, id)
	reused, ok := errors.AsType[*tallykeeper.InvalidFieldError](err)
	if !ok || !errors.Is(err, tallykeeper.ErrRequestIDReused) || reused.Violations[0].Field != "request_id" {
		t.Errorf("the error is %v", err)
	}
}

func TestReservations(t *testing.T) {
	client, ctx := connect(t), t.Context()
	must[*pb.SetStockResponse](t)(client.SetStock(ctx, "dune", 3))
	must[*pb.SetStockResponse](t)(client.SetStock(ctx, "emma", 3, tallykeeper.AtLocation("annex")))
	lines := []*pb.StockLine{tallykeeper.Line("dune", 2), tallykeeper.LineAt("emma", "annex", 1)}
	made := must[*pb.ReserveResponse](t)(client.Reserve(ctx, lines, tallykeeper.WithReservationID("b-1"),
		tallykeeper.WithHolder("ann"), tallykeeper.WithTTL(time.Hour)))
	if made.Reservation.Holder != "ann" || len(made.Reservation.Lines) != 2 {
		t.Errorf("the reservation is %v", made.Reservation)
	}
	extended := must[*pb.ExtendResponse](t)(client.Extend(ctx, "b-1", 2*time.Hour))
	if !extended.Reservation.ExpireTime.AsTime().After(made.Reservation.ExpireTime.AsTime()) {
		t.Errorf("the reservation expires at %v", extended.Reservation.ExpireTime)
	}
	committed := must[*pb.CommitResponse](t)(client.Commit(ctx, "b-1"))
	if committed.Reservation.State != pb.ReservationState_RESERVATION_STATE_COMMITTED {
		t.Errorf("the reservation is %v", committed.Reservation)
	}
	if _, err := client.Release(ctx, "b-1"); !errors.Is(err, tallykeeper.ErrReservationCommitted) {
		t.Errorf("the error is %v", err)
	}
	other := must[*pb.ReserveResponse](t)(client.Reserve(ctx, lines[1:]))
	must[*pb.ReleaseResponse](t)(client.Release(ctx, other.Reservation.ReservationId))
	_, err := client.Reserve(ctx, []*pb.StockLine{tallykeeper.Line("dune", 2), tallykeeper.Line("emma", 1)})
	if short, ok := errors.AsType[*tallykeeper.InsufficientStockError](err); !ok || len(short.Shortages) != 2 {
		t.Errorf("the error is %v", err)
	}
}

func TestBatches(t *testing.T) {
	client, ctx := connect(t), t.Context()
	operations := []*pb.Operation{
		tallykeeper.Operation(&pb.IncrementRequest{Counter: "sales"}),
		tallykeeper.Operation(&pb.DecrementCopiesRequest{Item: "dune"}),
	}
	_, err := client.Apply(ctx, tallykeeper.Atomic, operations)
	refused, ok := errors.AsType[*tallykeeper.BatchRefusedError](err)
	if !ok || refused.Count != 1 || refused.Operations[0].Index != 1 || !errors.Is(err, tallykeeper.ErrItemNotFound) {
		t.Errorf("the error is %v", err)
	}
	applied := must[*pb.ApplyResponse](t)(client.Apply(ctx, tallykeeper.Independent, operations))
	if applied.Results[0].GetIncrement().GetCounter().GetValue() != 1 {
		t.Errorf("the results are %v", applied.Results)
	}
	missing, ok := errors.AsType[*tallykeeper.NotFoundError](tallykeeper.ResultError(applied.Results[1]))
	if !ok || missing.Item != "dune" || missing.Location != "main" {
		t.Errorf("the results are %v", applied.Results)
	}
}

func TestListingsGoThroughAllPages(t *testing.T) {
	client, ctx := connect(t), t.Context()
	for i := range 5 {
		must[*pb.SetCounterResponse](t)(client.SetCounter(ctx, fmt.Sprint("counter-", i), int64(i)))
		must[*pb.SetStockResponse](t)(client.SetStock(ctx, fmt.Sprint("item-", i), 3))
		must[*pb.ReserveResponse](t)(client.Reserve(ctx, []*pb.StockLine{tallykeeper.Line(fmt.Sprint("item-", i), 1)}))
	}
	request := &pb.ListCountersRequest{PageSize: 2}
	for range 2 { // a listing can be gone through again
		var names []string
		for counter, err := range client.AllCounters(ctx, request) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, counter.Counter)
		}
		if want := "counter-0 counter-1 counter-2 counter-3 counter-4"; strings.Join(names, " ") != want {
			t.Errorf("the counters are %v", names)
		}
	}
	for name, count := range map[string]int{
		"stock":        count(t, client.AllStock(ctx, &pb.ListStockRequest{PageSize: 2})),
		"reservations": count(t, client.AllReservations(ctx, &pb.ListReservationsRequest{PageSize: 2})),
		"entries":      count(t, client.AllEntries(ctx, &pb.ListEntriesRequest{PageSize: 2})) / 3,
	} {
		if count != 5 {
			t.Errorf("%s: %d are listed", name, count)
		}
	}
	if count(t, client.AllNamespaces(ctx, &pb.ListNamespacesRequest{PageSize: 2, Prefix: "go-"})) == 0 {
		t.Error("no namespace is listed")
	}
	for _, err := range client.AllCounters(ctx, &pb.ListCountersRequest{PageToken: "none"}) {
		if !errors.Is(err, tallykeeper.ErrPageTokenInvalid) {
			t.Errorf("the error is %v", err)
		}
	}
}

func count[Each any](t *testing.T, all func(func(Each, error) bool)) int {
	t.Helper()
	found := 0
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	return found
}

func TestVerify(t *testing.T) {
	client := connect(t)
	must[*pb.IncrementResponse](t)(client.Increment(t.Context(), "views", 1))
	if result := must[*pb.VerifyResult](t)(client.Verify(t.Context())); !result.Clean || result.Revision != 1 {
		t.Errorf("the result is %v", result)
	}
}

// The server is stopped, and then killed; a call and a watch go on each time.
func TestACallAndAWatchOutliveRestartsOfTheServer(t *testing.T) {
	requireProgram(t)
	directory := dataDirectory()
	server, err := startServer(tallykeeper.FreeAddress(t), directory)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.end(syscall.SIGTERM) }()
	client := clientOf(t, server.address, tallykeeper.WithTimeout(startTimeout))
	must[*pb.IncrementResponse](t)(client.Increment(t.Context(), "views", 1))
	var revisions []int64
	for entry, err := range client.Watch(t.Context(), &pb.WatchRequest{AfterRevision: proto.Int64(0)}) {
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, entry.Revision)
		if entry.Revision > 2 {
			break
		}
		server.end(map[int64]syscall.Signal{1: syscall.SIGTERM, 2: syscall.SIGKILL}[entry.Revision])
		answered := make(chan error, 1)
		go func() {
			_, err := client.Increment(t.Context(), "views", 1)
			answered <- err
		}()
		restarted, err := startServer(server.address, directory)
		if err != nil {
			t.Fatal(err)
		}
		server = restarted
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(revisions, []int64{1, 2, 3}) {
		t.Errorf("the watch had %v", revisions)
	}
}
