package intake_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"boathook/internal/intake"
	"boathook/internal/run"
	"boathook/internal/testing/allocation"
)

// accepting has a trigger be accepted, in memory: from its request to its answer.
func accepting() []allocation.Path {
	return []allocation.Path{{Name: "accept", Prepare: func(t testing.TB) func() {
		p := newPlace(t)
		p.handler = (&intake.Intake{
			Store: p.store, Seal: p, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Runs: &run.Starter{Store: p.store, Queue: p.queue, Now: time.Now, Log: slog.New(slog.DiscardHandler)},
		}).Handler()
		return func() {
			w := p.trigger(`{"repository":"org/repo","ref":"refs/heads/main","sha":"88d543e33a67d669e917bb178d63fba838d9cf2e"}`)
			if w.Code != http.StatusAccepted {
				t.Fatal(w.Code, w.Body)
			}
		}
	}}}
}

func BenchmarkTrigger(b *testing.B) { allocation.Benchmark(b, accepting()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, accepting()) }
