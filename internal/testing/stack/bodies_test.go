package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/run/target"
	"boathook/internal/testing/fixture"
	"boathook/internal/testing/stack"
)

// succeeds is a target that answers at once.
type succeeds struct{}

func (succeeds) Run(context.Context, target.Job, target.Log) target.Result {
	return target.Result{Output: json.RawMessage(`{"out":1}`)}
}

func (succeeds) Lines(context.Context, boathook.RunHead, []boathook.LogLine) {}

// receiver answers each request with its status.
type receiver int

func (r *receiver) Do(req *http.Request) (*http.Response, error) {
	if sent, err := io.ReadAll(req.Body); err != nil || !strings.Contains(string(sent), `"in":1`) {
		return nil, errors.New("not the body")
	}
	return &http.Response{StatusCode: int(*r), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("noted"))}, nil
}

// TestABodyIsCompressedOnce counts what is compressed and decompressed on the road
// from an accepted trigger to a delivery that failed once. The items are those of
// DynamoDB; the queues are lists of the messages that SQS would hold.
func TestABodyIsCompressedOnce(t *testing.T) {
	store := stack.New(t).Store
	deployment := fixture.New(t, store, "https://receiver.example")
	log := slog.New(slog.DiscardHandler)
	runs, deliveries, retries := new(line), new(line), new(line)
	publisher := &delivery.Publisher{Store: store, Queue: deliveries, Log: log}
	starter := &run.Starter{Store: store, Queue: runs, Now: time.Now, Log: log}
	executor := run.New(run.Config{
		Store: store, Targets: succeeds{}, Seal: fixture.Unsealed{}, Stream: succeeds{}, Now: time.Now, Log: log, Heartbeat: time.Minute,
		Keeper: &run.Keeper{Store: store, Publish: publisher, Now: time.Now, Log: log},
	})
	answers := receiver(http.StatusServiceUnavailable)
	deliverer := delivery.New(delivery.Config{
		Store: store, Retries: retries, Publish: publisher, Destination: destination.HTTP{Client: &answers, Now: time.Now}, Seal: fixture.Unsealed{},
		Now: time.Now, Jitter: func() float64 { return 0 }, Log: log,
	})

	for _, stage := range []struct {
		name             string
		do               func(ctx context.Context) error
		packed, unpacked int64
	}{
		{"accepted", func(ctx context.Context) error {
			_, err := starter.Start(ctx, deployment.Run(`{"in":1}`, time.Now()), run.Wait{})
			return err
		}, 1, 0}, // the input
		{"executed, event published", func(ctx context.Context) error { return runs.handleNext(ctx, executor.Handle) },
			2, 1}, // the output and the event's body; the input is opened for the target
		{"first attempt failed", func(ctx context.Context) error { return deliveries.handleNext(ctx, deliverer.Handle) },
			1, 1}, // the attempt; the body is opened to be sent
		{"second attempt succeeded", func(ctx context.Context) error {
			answers = http.StatusOK
			return retries.handleNext(ctx, deliverer.Handle)
		}, 1, 1}, // as the first
	} {
		packedBefore, unpackedBefore := compress.Counts()
		if err := stage.do(t.Context()); err != nil {
			t.Fatalf("%s: %v", stage.name, err)
		}
		packed, unpacked := compress.Counts()
		if packed, unpacked = packed-packedBefore, unpacked-unpackedBefore; packed != stage.packed || unpacked != stage.unpacked {
			t.Errorf("%s: %d compressed and %d decompressed, want %d and %d", stage.name, packed, unpacked, stage.packed, stage.unpacked)
		}
	}
}

// line is a queue that forgets its delays.
type line []string

func (l *line) Send(_ context.Context, messages ...queue.Message) error {
	for _, m := range messages {
		*l = append(*l, m.Body)
	}
	return nil
}

// handleNext handles the one message of a queue.
func (l *line) handleNext(ctx context.Context, handle func(context.Context, string) error) error {
	if len(*l) != 1 {
		return fmt.Errorf("%d messages, want one", len(*l))
	}
	body := (*l)[0]
	*l = nil
	return handle(ctx, body)
}
