package demo

import (
	"slices"
	"time"
)

// await waits until the runs that end have ended, and each webhook that answers has been
// answered for the last of them.
func (w *World) await() {
	w.t.Helper()
	w.until("runs end", func() bool {
		running := 0
		for _, r := range w.list("/v1/runs?limit=200", "runs") {
			if s := r["status"]; s == "running" || s == "pending" {
				running++
			}
		}
		return running == 1
	})
	w.until("deliveries are made", func() bool {
		made := map[string]int{}
		for _, d := range w.list("/v1/deliveries?limit=200", "data") {
			made[d["webhook_id"].(string)]++
		}
		// Seven runs of its environment have ended by then; the last of them is asked for
		// by the API.
		return made[w.Outgoing[Healthy]] >= 7 && made[w.Outgoing[Busy]] >= 1 && made[w.Outgoing[Slow]] >= 7 && made[w.Outage] >= 6 && made[w.HostileOutgoing] >= 1
	})
}

// list gives what a field of an answer lists.
func (w *World) list(path, field string) (rows []object) {
	w.t.Helper()
	for _, row := range w.send("GET", path, nil)[field].([]any) {
		rows = append(rows, row.(object))
	}
	return rows
}

// until asks until something is so. Nobody tells when it is.
func (w *World) until(what string, so func() bool) {
	w.t.Helper()
	for range 600 { // on a busy machine each takes longer
		if so() {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-w.t.Context().Done():
		}
	}
	w.t.Fatalf("waited in vain until %s; runs: %v", what, slices.Collect(func(yield func(any) bool) {
		for _, r := range w.list("/v1/runs?limit=200", "runs") {
			if !yield(r["status"]) {
				return
			}
		}
	}))
}
