package sqsbatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/lambda/sqsbatch"
)

// batch is an event with a message for each body; a message's id is "id of"
// and its body.
func batch(bodies ...string) events.SQSEvent {
	var e events.SQSEvent
	for _, b := range bodies {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: "id of " + b, Body: b, Attributes: map[string]string{"ApproximateReceiveCount": "3"},
		})
	}
	return e
}

func failures(resp events.SQSEventResponse) []string {
	ids := []string{}
	for _, f := range resp.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// captureLog returns the lines that are logged until the test ends.
func captureLog(t *testing.T) (lines func() []map[string]any) {
	t.Helper()
	var buf bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&buf, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return func() (lines []map[string]any) {
		for text := range strings.Lines(buf.String()) {
			line := map[string]any{}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("a log line is not JSON: %v\n%s", err, text)
			}
			lines = append(lines, line)
		}
		return lines
	}
}

func TestFailuresAreReportedAndTheRestIsAcknowledged(t *testing.T) {
	handle := func(_ context.Context, body string) error {
		switch {
		case strings.HasPrefix(body, "bad"):
			return errors.New("no use")
		case strings.HasPrefix(body, "panic"):
			panic("boom")
		}
		return nil
	}
	for _, tt := range []struct {
		name   string
		bodies []string
		want   []string
	}{
		{"an empty batch", nil, []string{}},
		{"all good", []string{"a", "b", "c"}, []string{}},
		{"one bad in the middle", []string{"a", "bad", "c"}, []string{"id of bad"}},
		{"a panic fails its own message only", []string{"panic", "b"}, []string{"id of panic"}},
		{"all bad, in their order", []string{"bad 1", "panic 2", "bad 3"}, []string{"id of bad 1", "id of panic 2", "id of bad 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			captureLog(t)
			for _, concurrency := range []int{0, 1, 2} {
				resp, err := sqsbatch.Handler(handle, sqsbatch.Options{Concurrency: concurrency})(t.Context(), batch(tt.bodies...))
				if err != nil {
					t.Fatalf("with concurrency %d, the Lambda handler failed: %v", concurrency, err)
				}
				if diff := cmp.Diff(tt.want, failures(resp)); diff != "" {
					t.Errorf("with concurrency %d, failures (-want +got):\n%s", concurrency, diff)
				}
			}
		})
	}
}

func TestSuccessIsAnEmptyListInJSON(t *testing.T) {
	captureLog(t)
	resp, _ := sqsbatch.Handler(func(context.Context, string) error { return nil }, sqsbatch.Options{})(t.Context(), batch("a"))
	if text, _ := json.Marshal(resp); string(text) != `{"batchItemFailures":[]}` {
		t.Errorf("response is %s", text)
	}
}

func TestLogTellsEachFailureOnceAndNeverABody(t *testing.T) {
	lines := captureLog(t)
	handle := func(_ context.Context, body string) error {
		switch body {
		case "secret-bad":
			return errors.New("store: throttled")
		case "secret-panic":
			panic("boom")
		}
		return nil
	}
	event := batch("secret-good", "secret-bad", "secret-panic")
	for i := range event.Records {
		event.Records[i].MessageId = []string{"m1", "m2", "m3"}[i]
	}
	if _, err := sqsbatch.Handler(handle, sqsbatch.Options{Concurrency: 1})(t.Context(), event); err != nil {
		t.Fatal(err)
	}

	got := lines()
	if len(got) != 3 {
		t.Fatalf("%d lines, want one for each failure and one for the batch: %v", len(got), got)
	}
	if stack, _ := got[1]["stack"].(string); !strings.Contains(stack, "sqsbatch_test.go") {
		t.Errorf("the stack of a panic does not lead to it: %q", stack)
	}
	for _, line := range got {
		delete(line, "time")
		delete(line, "stack")
		delete(line, "duration_ms")
	}
	want := []map[string]any{
		{"level": "ERROR", "msg": "message failed", "message_id": "m2", "receive_count": "3", "error": "store: throttled"},
		{"level": "ERROR", "msg": "message handler panicked", "message_id": "m3", "receive_count": "3", "panic": "boom"},
		{"level": "INFO", "msg": "batch", "count": 3.0, "failed": 2.0, "not_started": 0.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestMessagesAreHandledConcurrentlyUpToTheBound(t *testing.T) {
	for _, tt := range []struct {
		name        string
		concurrency int
		peak        int64
		duration    time.Duration
	}{
		{"the whole batch at once", 0, 6, time.Second},
		{"two at a time", 2, 2, 3 * time.Second},
		{"one after the other", 1, 1, 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			captureLog(t)
			synctest.Test(t, func(t *testing.T) {
				var running, peak atomic.Int64
				handle := func(context.Context, string) error {
					n := running.Add(1)
					for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
					}
					time.Sleep(time.Second)
					running.Add(-1)
					return nil
				}
				start := time.Now()
				_, err := sqsbatch.Handler(handle, sqsbatch.Options{Concurrency: tt.concurrency})(t.Context(), batch("1", "2", "3", "4", "5", "6"))
				if err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d != tt.duration || peak.Load() != tt.peak {
					t.Errorf("took %v with at most %d at a time, want %v with %d", d, peak.Load(), tt.duration, tt.peak)
				}
			})
		})
	}
}

func TestMessagesDoNotStartWhenTheDeadlineIsNear(t *testing.T) {
	lines := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var started []string
		handle := func(_ context.Context, body string) error {
			started = append(started, body)
			time.Sleep(3 * time.Second)
			return nil
		}
		// They would start with 10, 7, 4 and 1 seconds left.
		resp, err := sqsbatch.Handler(handle, sqsbatch.Options{Concurrency: 1, Margin: 4 * time.Second})(ctx, batch("a", "b", "c", "d"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, started); diff != "" {
			t.Errorf("started (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"id of d"}, failures(resp)); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
	got := lines()
	if len(got) != 1 || got[0]["not_started"] != 1.0 || got[0]["failed"] != 1.0 || got[0]["duration_ms"] != 9000.0 {
		t.Errorf("log is %v", got)
	}
}

func TestContextEndsBeforeTheLambdaDeadline(t *testing.T) {
	captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		handle := func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		resp, err := sqsbatch.Handler(handle, sqsbatch.Options{})(ctx, batch("a"))
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 59500*time.Millisecond {
			t.Errorf("the context ended after %v, want 59.5s", d)
		}
		if diff := cmp.Diff([]string{"id of a"}, failures(resp)); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
}
