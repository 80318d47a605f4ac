package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
)

var deliveries = flag.Int("deliveries", 0, "how many events to deliver under a retention of minutes")

// TestTheFileStaysBounded delivers events as fast as it can, under a retention that is
// scaled down to minutes. The file grows until the first records expire, and from then on
// no further: its largest size later on is at most a third above what it was at twice the
// retention. When all have expired, it is small again.
func TestTheFileStaysBounded(t *testing.T) {
	if *deliveries == 0 {
		t.Skip("takes most of an hour: make retention")
	}
	const retention = 2 * time.Minute
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addServeFlags(flags)
	folder := t.TempDir()
	c, err := readConfig(settings{environment("PORT=0", "BOATHOOK_DATA="+folder, "BOATHOOK_ADMIN_TOKEN="+adminToken), flags})
	if err != nil {
		t.Fatal(err)
	}
	c.dev, c.retention = true, retention
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t: t, token: adminToken, stdout: newOutput(), stderr: newOutput(), stop: stop, done: make(chan error, 1)}
	go func() { p.done <- serve(ctx, c, p.stdout, p.stderr) }()
	t.Cleanup(func() {
		stop()
		<-p.done
	})
	p.url = p.stdout.await(t, `Boathook is at (http://127\.0\.0\.1:\d+)`)[1]

	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer receiver.Close()
	app := p.call("POST", "/v1/apps", `{"name":"demo"}`, 201)["id"].(string)
	p.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"r","url":%q,"events":["job_finished"]}`, receiver.URL), 201)
	batch := `{"events":[` + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s},`, app, exampleData(p, "job_finished")), 100), ",") + "]}"

	begun := time.Now()
	var published atomic.Int64
	var publishers errgroup.Group
	for range 4 {
		publishers.Go(func() error {
			for published.Add(100) <= int64(*deliveries) {
				// What is published and not delivered is bounded, as is a program's memory.
				for published.Load()-arrived.Load() > 20_000 {
					time.Sleep(10 * time.Millisecond)
				}
				if status, text := p.ask("POST", "/v1/events", batch); status != http.StatusAccepted {
					return fmt.Errorf("answered %d %s", status, text)
				}
			}
			return nil
		})
	}
	all := make(chan struct{})
	go func() {
		if err := publishers.Wait(); err != nil {
			t.Error(err)
		}
		close(all)
	}()
	var grown, largest int64
	for over := false; !over || arrived.Load() < int64(*deliveries); {
		select {
		case <-all:
			over = true
		default:
		}
		time.Sleep(time.Second)
		size := sizeOf(folder)
		if time.Since(begun) < 2*retention {
			grown = max(grown, size)
		} else {
			largest = max(largest, size)
		}
		if s := int(time.Since(begun).Seconds()); s%30 == 0 {
			fmt.Printf("%4d s: %d delivered, the file and its log have %d MB\n", s, arrived.Load(), size>>20)
		}
	}
	took := time.Since(begun)
	t.Logf("%d deliveries in %v (%.0f a second): at twice the retention the file had %d MB, later %d MB at most",
		arrived.Load(), took.Round(time.Second), float64(arrived.Load())/took.Seconds(), grown>>20, largest>>20)
	if largest > grown*4/3 {
		t.Error("the file grows")
	}
	for ctx := patience(t); sizeOf(folder) > grown/10; time.Sleep(time.Second) {
		if ctx.Err() != nil {
			t.Fatalf("the file still has %d MB", sizeOf(folder)>>20)
		}
	}
	t.Logf("when all had expired: %d MB, %v later", sizeOf(folder)>>20, (time.Since(begun) - took).Round(time.Second))
	if text := p.stderr.String(); text != "" {
		t.Errorf("the program says\n%.2000s", text)
	}
}

// sizeOf is what the database has on disk.
func sizeOf(folder string) (size int64) {
	for _, name := range []string{"boathook.db", "boathook.db-wal"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil {
			size += info.Size()
		}
	}
	return size
}

// exampleData is the catalogue's example of an event's data.
func exampleData(p *program, eventType string) string {
	p.t.Helper()
	for _, e := range p.call("GET", "/v1/event-types", "", 200)["data"].([]any) {
		if e := e.(map[string]any); e["type"] == eventType {
			text, err := boathook.EncodeJSON(e["example"])
			if err != nil {
				p.t.Fatal(err)
			}
			return string(text)
		}
	}
	p.t.Fatalf("there is no type %s", eventType)
	return ""
}
