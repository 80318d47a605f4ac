package main

import (
	"cmp"
	"flag"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/console"
	"boathook/internal/database"
	storesqlite "boathook/internal/store/sqlite"
	"boathook/internal/testing/browser"
	"boathook/internal/testing/demo"
)

var (
	screenshots = flag.String("screenshots", "", "folder to save what TestConsolePages sees in, in both themes and both widths")
	pages       = flag.String("pages", "", "pattern of the paths of the pages that TestConsolePages looks at; empty: all")
)

// browsing leaves a test that opens a browser out of the short ones.
func browsing(t *testing.T) {
	t.Helper()
	if testing.Short() && *screenshots == "" {
		t.Skip("NOT RUN: it opens a browser: run it without -short")
	}
}

// filled is a program with a company's data, to be looked at in a browser.
func filled(t *testing.T) (*program, *demo.World) {
	t.Helper()
	browsing(t)
	p := start(t)
	return p, demo.Fill(t, p.url, adminToken)
}

// filledForADay is one that had been at work for a day before.
func filledForADay(t *testing.T) (*program, *demo.World) {
	t.Helper()
	folder := t.TempDir()
	p := startIn(t, folder)
	w := demo.Fill(t, p.url, adminToken)
	w.Finish(t) // else the program would wait for it
	p.end()
	db, err := database.Open(databasePath(folder))
	if err != nil {
		t.Fatal(err)
	}
	w.Past(t, storesqlite.New(storesqlite.Config{DB: db, Retention: 30 * 24 * time.Hour, Log: slog.New(slog.DiscardHandler)}), firstWorkspace, time.Now())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return startIn(t, folder), w
}

// signedIn opens a page of the console as somebody who pastes a token.
func signedIn(t *testing.T, p *program, path string, look browser.Look) *browser.Page {
	t.Helper()
	browsing(t)
	page := browser.Open(t, p.url, "/console/", look)
	page.See("Sign in")
	page.Fill("API token", p.token)
	page.Click("Sign in")
	page.See("Overview")
	if path != "/console/" {
		page.Go(path)
	}
	page.Clicks = 0 // a test counts from here
	return page
}

// fillIn gives what stands for the wildcards of the patterns of pages, by the pattern's
// beginning: the longest that fits counts.
func fillIn(w *demo.World) []struct {
	below  string
	values map[string]string
} {
	return []struct {
		below  string
		values map[string]string
	}{
		{"/console/deployments/", map[string]string{"source": w.Deployment, "out": w.Outgoing[demo.Busy], "in": w.Incoming}},
		{"/console/crews/", map[string]string{"crew": w.Crew, "source": w.Agent}},
		{"/console/repositories/", map[string]string{"source": w.Repository}},
		{"/console/apps/", map[string]string{"source": w.App}},
		{"/console/customers/", map[string]string{"source": w.Customer, "event": w.Event}},
		{"/console/event-types/", map[string]string{"type": "order.shipped"}},
		{"/console/operations/", map[string]string{"queue": "runs"}},
		{"/console/runs/", map[string]string{"run": w.Runs["succeeded"]}},
		{"/console/deliveries/", map[string]string{"delivery": w.Failed}},
	}
}

// moreOf are the pages of a pattern in other states than the usual one.
func moreOf(w *demo.World) map[string][]string {
	return map[string][]string{
		"/console/deployments/{source}":                {"/console/deployments/" + w.Hostile, "/console/deployments/" + w.Empty},
		"/console/deployments/{source}/runs":           {"/console/deployments/" + w.Empty + "/runs"},
		"/console/deployments/{source}/deliveries":     {"/console/deployments/" + w.Empty + "/deliveries", "/console/deployments/" + w.Hostile + "/deliveries"},
		"/console/deployments/{source}/incoming/new":   {"/console/deployments/" + w.Deployment + "/incoming/new?verification.preset=hmac"},
		"/console/deployments/{source}/outgoing/{out}": {"/console/deployments/" + w.Deployment + "/outgoing/" + w.Outgoing[demo.Gone], "/console/deployments/" + w.Hostile + "/outgoing/" + w.HostileOutgoing},
		"/console/runs":                          {"/console/runs?of=agents", "/console/runs?status=canceled"},
		"/console/events":                        {"/console/events?source=" + w.Customer + "&type=order.shipped"},
		"/console/event-types/{type}":            {"/console/event-types/build_finish"},
		"/console/runs/{run}":                    {"/console/runs/" + w.Runs["failed"], "/console/runs/" + w.HostileRun},
		"/console/deliveries":                    {"/console/deliveries?status=failed&time=24h", "/console/deliveries?status=succeeded&code=404", "/console/deliveries?since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z", "/console/deliveries?open=" + w.Failed},
		"/console/deliveries/{delivery}":         {"/console/deliveries/" + w.HostileDelivery, "/console/deliveries/" + w.HostileDelivery + "?body=raw&all=1"},
		"/console/crews/{crew}":                  {"/console/crews/" + w.EmptyCrew},
		"/console/deployments/{source}/versions": {"/console/deployments/" + w.Empty + "/versions"},
		"/console/find":                          {"/console/find?q=a", "/console/find?q=nothing-is-called-that"},
	}
}

// noPages are patterns that answer with something else than a page, or with a page that
// another pattern has too.
var noPages = []string{
	"/console/deployments/{source}/events/{event}", "/console/crews/{crew}/agents/{source}/events/{event}", "/console/repositories/{source}/events/{event}",
	"/console/apps/{source}/events/{event}", "/console/alerts/events/{event}",
	"/console/{$}", "/console/runs/{run}/log", "/console/tokens/{token}/delete",
	"/console/crews/{crew}/agents/{source}/outgoing/{out}*", "/console/repositories/{source}/outgoing/{out}*",
	"/console/apps/{source}/outgoing/{out}*", "/console/customers/{source}/outgoing/{out}*", "/console/alerts/outgoing/{out}*",
}

func isNoPage(pattern string) bool {
	return slices.ContainsFunc(noPages, func(p string) bool {
		beginning, open := strings.CutSuffix(p, "*")
		return p == pattern || open && strings.HasPrefix(pattern, beginning)
	})
}

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

// consolePages gives the paths of the pages of each pattern of the console. A wildcard
// that nothing stands for fails the test.
func consolePages(t *testing.T, w *demo.World) map[string][]string {
	t.Helper()
	c, err := console.New(console.Config{})
	if err != nil {
		t.Fatal(err)
	}
	more, pages := moreOf(w), map[string][]string{}
	for _, pattern := range c.Pages() {
		if isNoPage(pattern) {
			continue
		}
		var values map[string]string
		longest := 0
		for _, f := range fillIn(w) {
			if strings.HasPrefix(pattern, f.below) && len(f.below) > longest {
				values, longest = f.values, len(f.below)
			}
		}
		path := wildcard.ReplaceAllStringFunc(pattern, func(name string) string {
			value := values[strings.Trim(name, "{}")]
			if value == "" {
				t.Errorf("%s: nothing stands for %s", pattern, name)
			}
			return value
		})
		pages[pattern] = append([]string{path}, more[pattern]...)
		delete(more, pattern)
	}
	for pattern := range more {
		t.Errorf("%s is no pattern of a page", pattern)
	}
	return pages
}

// Each page of the console shows itself without an error, fits into its window, and is
// accessible.
func TestConsolePages(t *testing.T) {
	if testing.Short() && *screenshots == "" {
		t.Skip("NOT RUN: it looks at each page, which takes minutes: run it without -short")
	}
	t.Parallel()
	p, w := filledForADay(t)
	patterns := consolePages(t, w)
	want := regexp.MustCompile(cmp.Or(*pages, "."))
	looks := []browser.Look{{}, {Width: browser.Phone, Dark: true}}
	if *screenshots != "" {
		looks = append(looks, browser.Look{Dark: true}, browser.Look{Width: browser.Phone})
	}
	for _, look := range looks {
		t.Run(look.String(), func(t *testing.T) {
			t.Parallel()
			page := signedIn(t, p, "/console/", look)
			for _, pattern := range slices.Sorted(maps.Keys(patterns)) {
				for i, path := range patterns[pattern] {
					if !want.MatchString(path) {
						continue
					}
					page.Go(path)
					page.Fits()
					page.Accessible()
					if *screenshots != "" {
						page.Screenshot(filepath.Join(*screenshots, fileOf(pattern, i)+"-"+look.String()+".png"))
					}
				}
			}
		})
	}
}

// fileOf names the picture of a pattern's page, as in deployments-source-2.
func fileOf(pattern string, i int) string {
	name := strings.Trim(strings.NewReplacer("/", "-", "{", "", "}", "").Replace(strings.TrimPrefix(pattern, "/console/")), "-")
	if i > 0 {
		name += "-" + string(rune('1'+i))
	}
	return cmp.Or(name, "overview")
}

func TestARunsLogIsLive(t *testing.T) {
	p, w := filled(t)
	page := signedIn(t, p, "/console/", browser.Look{})
	page.Click("Runs")
	page.Choose("Status", "Running")
	page.Click("invoice-reconciler")
	page.See("Live", "loaded 1,204 open invoices", "Appears here when the run ends")
	page.See("settled 2 of 41") // it comes while the page is open
	w.Finish(t)
	page.See("matched 1,163 of 1,204", "Succeeded", `"open": 41`, "Run again")
	page.Unseen("Live", "Follow")
	if page.Clicks > 5 {
		t.Errorf("%d clicks", page.Clicks)
	}
	page.Click("Run again")
	page.See("This run has the same input", "Repeats")
	plain := signedIn(t, p, page.URL(), browser.Look{NoScript: true})
	plain.See("loaded 1,204 open invoices")
	plain.Unseen("Live")
}
