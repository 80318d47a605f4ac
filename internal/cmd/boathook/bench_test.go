package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"boathook/internal/database"
)

// BenchmarkDeliver publishes events of 1 KB, one a request by sixteen publishers, to one
// webhook whose receiver is quick, and counts those that have arrived.
func BenchmarkDeliver(b *testing.B) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 16
	for _, place := range []struct{ name, folder string }{{"memory", database.Memory}, {"disk", b.TempDir()}} {
		b.Run(place.name, func(b *testing.B) {
			p := startIn(b, place.folder)
			var arrived atomic.Int64
			all := make(chan struct{})
			receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if arrived.Add(1) == int64(b.N) {
					close(all)
				}
			}))
			defer receiver.Close()
			app := p.call("POST", "/v1/apps", `{"name":"demo"}`, 201)["id"].(string) // b.N grows: there are several
			p.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"r","url":%q,"events":["job_finished"]}`, receiver.URL), 201)
			event := fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, app, exampleData(p, "job_finished"))
			b.ResetTimer()
			var published atomic.Int64
			var publishers errgroup.Group
			for range 16 {
				publishers.Go(func() error {
					for published.Add(1) <= int64(b.N) {
						if status, text := p.ask("POST", "/v1/events", event); status != http.StatusAccepted {
							return fmt.Errorf("answered %d %s", status, text)
						}
					}
					return nil
				})
			}
			if err := publishers.Wait(); err != nil {
				b.Fatal(err)
			}
			accepted := b.Elapsed()
			<-all
			b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepted/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
		})
	}
}
