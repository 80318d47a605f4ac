package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	queuesqlite "boathook/internal/queue/sqlite"
	storemem "boathook/internal/store/mem"
	storesqlite "boathook/internal/store/sqlite"
	"boathook/internal/testing/allocation"
)

// delivering has an event be published to some webhooks, with a filter each and without,
// in each store that needs no other process; and has a delivery be made.
func delivering() (paths []allocation.Path) {
	for _, store := range []string{"mem", "sqlite"} {
		for _, n := range []int{1, 10, 100} {
			for _, kind := range []string{"plain", "filtered"} {
				paths = append(paths, allocation.Path{Name: fmt.Sprintf("publish/%s/%d/%s", store, n, kind), Prepare: func(t testing.TB) func() {
					p := publisherIn(t, store)
					for _, w := range hundred()[:n] {
						w.WorkspaceID, w.SourceID = event().WorkspaceID, event().SourceID
						if kind == "filtered" {
							w.Filter = `.data.run_id == "run_a" and .type != ` + strconv.Quote(w.ID)
						}
						must(t, p.Store.(interface {
							PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error
						}).PutOutgoing(t.Context(), w))
					}
					return func() {
						if got, err := p.PublishAll(t.Context(), event()); err != nil || got[0] != n {
							t.Fatalf("%d deliveries, %v", got, err)
						}
					}
				}})
			}
		}
	}
	return append(paths, allocation.Path{Name: "deliver", Prepare: func(t testing.TB) func() {
		p := newPlace(t, status(204))
		return func() {
			m, err := queue.EncodeDelivery(p.job())
			must(t, err)
			must(t, p.Handle(t.Context(), m.Body))
		}
	}})
}

func publisherIn(t testing.TB, store string) *delivery.Publisher {
	const retention = 30 * 24 * time.Hour
	log := slog.New(slog.DiscardHandler)
	if store == "mem" {
		return &delivery.Publisher{Store: storemem.New(storemem.Config{Retention: retention}), Queue: queuemem.New(queuemem.Config{}), Log: log}
	}
	db, err := database.Open(database.Memory)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	q, err := queuesqlite.Open(db, queue.Deliveries, queuemem.Config{})
	must(t, err)
	return &delivery.Publisher{Store: storesqlite.New(storesqlite.Config{DB: db, Retention: retention}), Queue: q, Log: log}
}

func BenchmarkRoad(b *testing.B) { allocation.Benchmark(b, delivering()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, delivering()) }
