package main

import (
	"cmp"
	"flag"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"boathook/internal/console"
	"boathook/internal/testing/browser"
	"boathook/internal/testing/demo"
)

var (
	screenshots = flag.String("screenshots", "", "folder to save what TestConsolePages sees in, in both themes and both widths")
	pages       = flag.String("pages", "", "pattern of the paths of the pages that TestConsolePages looks at; empty: all")
)

// filled is a program with a company's data.
func filled(t *testing.T) (*program, *demo.World) {
	t.Helper()
	p := start(t)
	return p, demo.Fill(t, p.url, adminToken)
}

// signedIn opens a page of the console as somebody who pastes a token.
func signedIn(t *testing.T, p *program, path string, look browser.Look) *browser.Page {
	t.Helper()
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

// consolePages are the pages of the console: for each of its patterns the paths at which
// a test looks, without /console. The first is the usual one.
func consolePages(w *demo.World) map[string][]string {
	pages := map[string][]string{
		"/":                             {"/"},
		"/{$}":                          nil, // as /
		"/deployments/{source}":         {"/deployments/" + w.Deployment, "/deployments/" + w.Hostile, "/deployments/" + w.Empty},
		"/crews/{crew}/agents/{source}": {"/crews/" + w.Crew + "/agents/" + w.Agent},
		"/repositories/{source}":        {"/repositories/" + w.Repository},
		"/apps/{source}":                {"/apps/" + w.App},
		"/customers/{source}":           {"/customers/" + w.Customer},
		"/alerts":                       {"/alerts"},
		"/deliveries":                   {"/deliveries", "/deliveries?status=failed&time=24h", "/deliveries?status=succeeded&code=404", "/deliveries?open=" + w.Failed},
		"/deliveries/{delivery}":        {"/deliveries/" + w.Failed, "/deliveries/" + w.HostileDelivery, "/deliveries/" + w.HostileDelivery + "?body=raw&all=1"},
	}
	for pattern, source := range map[string]string{
		"/deployments/{source}":         "/deployments/" + w.Deployment,
		"/crews/{crew}/agents/{source}": "/crews/" + w.Crew + "/agents/" + w.Agent,
		"/repositories/{source}":        "/repositories/" + w.Repository,
		"/apps/{source}":                "/apps/" + w.App,
		"/customers/{source}":           "/customers/" + w.Customer,
		"/alerts":                       "/alerts",
	} {
		for _, below := range []string{"/deliveries", "/outgoing/new"} {
			pages[pattern+below] = []string{source + below}
		}
		for _, below := range []string{"", "/edit", "/rotate", "/delete", "/recover", "/replay"} {
			pages[pattern+"/outgoing/{out}"+below] = nil // as a deployment's
		}
	}
	for _, below := range []string{"", "/edit", "/rotate", "/delete", "/recover", "/replay"} {
		pages["/deployments/{source}/outgoing/{out}"+below] = []string{"/deployments/" + w.Deployment + "/outgoing/" + w.Outage + below}
	}
	for _, kind := range []string{"deployments", "repositories", "apps"} {
		source := map[string]string{"deployments": w.Deployment, "repositories": w.Repository, "apps": w.App}[kind]
		pages["/"+kind+"/{source}/settings"] = []string{"/" + kind + "/" + source + "/settings"}
		pages["/"+kind+"/{source}/delete"] = []string{"/" + kind + "/" + source + "/delete"}
	}
	for _, kind := range []string{"deployments", "crews", "repositories", "apps", "customers"} {
		pages["/"+kind] = []string{"/" + kind}
		pages["/"+kind+"/new"] = []string{"/" + kind + "/new"}
	}
	return pages
}

// Each page of the console is in the list above, shows itself without an error, fits into
// its window, and is accessible.
func TestConsolePages(t *testing.T) {
	if testing.Short() && *screenshots == "" {
		t.Skip("it looks at each page, which takes minutes")
	}
	p, w := filled(t)
	patterns := consolePages(w)
	c, err := console.New(console.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range c.Pages() {
		if _, listed := patterns[strings.TrimPrefix(pattern, "/console")]; !listed {
			t.Errorf("%s is not among the pages that this test looks at", pattern)
		}
	}
	want := regexp.MustCompile(cmp.Or(*pages, "."))
	looks := []browser.Look{{}, {Width: browser.Phone, Dark: true}}
	if *screenshots != "" {
		looks = append(looks, browser.Look{Dark: true}, browser.Look{Width: browser.Phone})
	}
	for _, look := range looks {
		t.Run(look.String(), func(t *testing.T) {
			page := signedIn(t, p, "/console/", look)
			for _, pattern := range slices.Sorted(maps.Keys(patterns)) {
				if !slices.Contains(c.Pages(), "/console"+pattern) {
					t.Errorf("/console%s is no pattern of a page", pattern)
				}
				for i, path := range patterns[pattern] {
					if !want.MatchString(path) {
						continue
					}
					page.Go("/console" + path)
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
	name := strings.Trim(strings.NewReplacer("/", "-", "{", "", "}", "", "$", "").Replace(pattern), "-")
	if i > 0 {
		name += "-" + string(rune('1'+i))
	}
	return cmp.Or(name, "overview")
}
