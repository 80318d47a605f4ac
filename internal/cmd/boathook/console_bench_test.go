package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/testing/browser"
)

// storedDeliveries is how many deliveries the console's lists are measured with.
const storedDeliveries = 100_000

// BenchmarkConsoleLists loads pages of lists, as their server makes them, with 100,000
// deliveries in the file.
func BenchmarkConsoleLists(b *testing.B) {
	p := startIn(b, b.TempDir())
	app := p.call("POST", "/v1/apps", `{"name":"demo"}`, 201)["id"].(string)
	fillDeliveries(b, p, app, storedDeliveries)
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if _, err := client.PostForm(p.url+"/console/sign-in", url.Values{"token": {adminToken}}); err != nil {
		b.Fatal(err)
	}
	for name, path := range map[string]string{
		"newest 50":            "/console/deliveries",
		"newest 50 of an app":  "/console/apps/" + app + "/deliveries",
		"failed of a day":      "/console/deliveries?status=failed&time=24h",
		"overview":             "/console/",
		"webhooks of a source": "/console/apps/" + app,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				res, err := client.Get(p.url + path)
				if err != nil {
					b.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusOK || res.Request.URL.Path != strings.SplitN(path, "?", 2)[0] {
					b.Fatalf("%s: %s", res.Request.URL, res.Status)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/page")
		})
	}
}

// fillDeliveries publishes events and waits until each has arrived.
func fillDeliveries(b *testing.B, p *program, app string, n int) {
	b.Helper()
	var arrived atomic.Int64
	all := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if arrived.Add(1) == int64(n) {
			close(all)
		}
	}))
	b.Cleanup(receiver.Close)
	p.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"r","url":%q,"events":["job_finished"]}`, receiver.URL), 201)
	event := fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, app, exampleData(p, "job_finished"))
	batch := `{"events":[` + strings.Repeat(event+",", 99) + event + `]}`
	var publishers errgroup.Group
	publishers.SetLimit(4)
	for range n / 100 {
		publishers.Go(func() error {
			if status, text := p.ask("POST", "/v1/events", batch); status != http.StatusAccepted {
				return fmt.Errorf("answered %d %s", status, text)
			}
			return nil
		})
	}
	if err := publishers.Wait(); err != nil {
		b.Fatal(err)
	}
	<-all
}

// BenchmarkConsoleLongBody opens a delivery in Chromium whose body is about as long as
// there can be, 768 KiB, until the page is loaded.
func BenchmarkConsoleLongBody(b *testing.B) {
	p := startIn(b, b.TempDir())
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(receiver.Close)
	path, trigger := p.deployment(`cat >/dev/null; printf '"'; head -c 250000 /dev/zero | tr '\0' x; printf '"\n'`)
	out := p.call("POST", path+"/outgoing-webhooks",
		fmt.Sprintf(`{"name":"r","url":%q,"events":["run.succeeded"],"environment":"production"}`, receiver.URL), 201)["id"].(string)
	var lines []string
	for i := 0; len(lines)*82 < 500<<10; i++ {
		lines = append(lines, fmt.Sprintf(`{"line":%8d,"article":"KF-%08d","note":"<b>of %08d</b>","open":true}`, i, i, i))
	}
	p.call("POST", trigger, "["+strings.Join(lines, ",")+"]", 202)
	delivery := p.finished(path + "/outgoing-webhooks/" + out)["id"].(string)
	page := browser.Open(b, p.url, "/console/", browser.Look{})
	page.Fill("API token", p.token)
	page.Click("Sign in")
	page.See("Overview")
	for name, query := range map[string]string{"shortened": "", "whole": "?all=1", "whole and raw": "?all=1&body=raw"} {
		b.Run(name, func(b *testing.B) {
			var spent time.Duration
			for b.Loop() {
				begun := time.Now()
				page.Go("/console/deliveries/" + delivery + query)
				spent += time.Since(begun)
			}
			b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "ms/page")
		})
	}
}
