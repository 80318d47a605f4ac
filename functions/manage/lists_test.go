package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
	"boathook/internal/testing/stack"
)

// What a page of any list may take of AWS: that of the token included.
const (
	maxRequests   = 10
	maxRoundTrips = 3
)

// measured is an answer of the API, and what it took.
type measured struct {
	awsevents.APIGatewayV2HTTPResponse
	requests   []string
	roundTrips int
}

// measure has a process that has just started answer a request.
func measure(t *testing.T, s *stack.Stack, o *stack.Outside, c config, token, method, target string) (m measured) {
	t.Helper()
	e := events.Load[awsevents.APIGatewayV2HTTPRequest](t, "manage/get-run")
	e.Headers["authorization"] = "Bearer " + token
	e.RawPath, e.RawQueryString, _ = strings.Cut(target, "?")
	e.RequestContext.HTTP.Method = method
	synctest.Test(t, func(t *testing.T) {
		sdk := s.SDK.Copy()
		sdk.HTTPClient = o
		handler, err := build(t.Context(), c, sdk)
		if err != nil {
			t.Fatal(err)
		}
		o.Calls()
		began := time.Now()
		m.APIGatewayV2HTTPResponse = stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, e)
		m.roundTrips = int(time.Since(began) / stack.RoundTrip)
		m.requests = o.Calls()
	})
	return m
}

// operation is one of the API, as the OpenAPI document has it, which the API's
// routes are held to.
type operation struct {
	path    string
	filters map[string][]string // the values to try, by the query's parameters
}

// notLists are the paths below which a GET shows one object.
var notLists = []string{
	"/healthz", "/openapi.json", "/v1/me", "/v1/portal-settings", "/v1/workspaces/{workspace}", "/v1/tokens/{token}", "/v1/deployments/{deployment}",
	"/v1/deployments/{deployment}/incoming-webhooks/{incoming}", "/v1/crews/{crew}", "/v1/crews/{crew}/agents/{agent}",
	"/v1/repositories/{repository}", "/v1/apps/{app}", "/v1/customers/{customer}", "/v1/event-types/{type}", "/v1/runs/{run}", "/v1/runs/{run}/events", "/v1/deliveries/{delivery}",
	"/v1/deployments/{deployment}/outgoing-webhooks/{outgoing}", "/v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}",
	"/v1/repositories/{repository}/outgoing-webhooks/{outgoing}", "/v1/apps/{app}/outgoing-webhooks/{outgoing}",
	"/v1/customers/{customer}/outgoing-webhooks/{outgoing}", "/v1/alerts/outgoing-webhooks/{outgoing}",
	"/v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/stats", "/v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/stats",
	"/v1/repositories/{repository}/outgoing-webhooks/{outgoing}/stats", "/v1/apps/{app}/outgoing-webhooks/{outgoing}/stats",
	"/v1/customers/{customer}/outgoing-webhooks/{outgoing}/stats", "/v1/alerts/outgoing-webhooks/{outgoing}/stats",
	// A feed is no list, and has a cost of its own: see package store.
	"/v1/deployments/{deployment}/events", "/v1/crews/{crew}/agents/{agent}/events", "/v1/repositories/{repository}/events",
	"/v1/apps/{app}/events", "/v1/customers/{customer}/events", "/v1/alerts/events",
	"/webhooks/runs/{token}", "/api/v1/webhooks/{crew}/{agent}/trigger", "/v1/crews/{crew}/agents/{agent}/webhook-secret", "/v1/deployments/{deployment}/incoming-webhooks/{incoming}/url", "/api/v1/agents/{agent}", "/api/v1/runs/{run}", "/api/v1/ws-token", "/api/v1/internal/agents/{agent}/webhook-secret",
	"/repos/{owner}/{repo}/hooks/{hook}", "/repos/{owner}/{repo}/hooks/{hook}/config", "/v1/users/me", "/repos/{owner}/{repo}/hooks/{hook}/deliveries/{delivery}", "/v1/apps/{app}/webhooks/{webhook}",
}

// lists are all operations that list something.
func lists(t *testing.T, c crowd) (found []operation) {
	t.Helper()
	type schema struct {
		Ref     string `json:"$ref"`
		Enum    []string
		Minimum *int
		Maximum *int
	}
	type parameter struct {
		Ref    string `json:"$ref"`
		Name   string
		In     string
		Schema schema
	}
	var document struct {
		Paths map[string]struct {
			Get *struct{ Parameters []parameter }
		}
		Components struct {
			Parameters map[string]parameter
			Schemas    map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(openapi.Document(), &document); err != nil {
		t.Fatal(err)
	}
	for path, item := range document.Paths {
		if item.Get == nil || slices.Contains(notLists, path) {
			continue
		}
		o := operation{path, make(map[string][]string)}
		for _, p := range item.Get.Parameters {
			if p.Ref != "" {
				p = document.Components.Parameters[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
			}
			if p.In != "query" {
				continue
			}
			if p.Schema.Ref != "" {
				if err := json.Unmarshal(document.Components.Schemas[p.Schema.Ref[strings.LastIndex(p.Schema.Ref, "/")+1:]], &p.Schema); err != nil {
					t.Fatal(err)
				}
			}
			values := p.Schema.Enum
			switch p.Name {
			case "cursor":
				continue // pages are followed
			case "limit", "per_page":
				values = []string{"1", "1000000"} // where no maximum is documented, it is brought down to one
				if p.Schema.Maximum != nil {
					values[1] = strconv.Itoa(*p.Schema.Maximum)
				}
			case "page":
				values = []string{"2", "7", "100"}
			case "offset":
				values = []string{"3", "900", "10000"}
			case "external_id":
				values = []string{"acct_59", "nobody"}
			case "query", "name", "relations":
				values = []string{"x", "nothing like it"}
			case "trigger", "trigger_type":
				values = []string{"WEBHOOK", "MANUAL"}
			case "workspace_id", "organizationId":
				values = []string{firstWorkspace}
			case "deployment_id", "agent_id", "crew_id":
				values = []string{c.paths[strings.TrimSuffix(p.Name, "_id")]}
			case "source_id":
				values = []string{c.paths["deployment"], c.paths["customer"]}
			case "webhook_id":
				values = []string{c.paths["outgoing of deployment"]}
			case "event_type":
				values = []string{string(boathook.EventRunFailed), string(boathook.EventBuildFinish)}
			case "response_status":
				values = []string{"2xx", "500", "none"}
			case "since":
				values = []string{"2026-01-01T00:00:00Z"}
			case "until":
				values = []string{"2199-01-01T00:00:00Z"}
			case "delivery_id":
				values = []string{"72d3162e-cc78-11e3-81ab-4c9367dc0958"}
			case "event":
				for kind, types := range boathook.EventTypes {
					if isBelow(path, kind) {
						for _, e := range types {
							values = append(values, string(e))
						}
					}
				}
			}
			if len(values) == 0 {
				t.Fatalf("GET %s: the test knows no value of %s", path, p.Name)
			}
			o.filters[p.Name] = values
		}
		found = append(found, o)
	}
	slices.SortFunc(found, func(a, b operation) int { return strings.Compare(a.path, b.path) })
	return found
}

// isBelow reports whether a path is one of the outgoing webhooks of a kind of source.
func isBelow(path string, kind boathook.SourceKind) bool {
	return strings.Contains(path, "{"+string(kind)+"}/outgoing") || strings.Contains(path, "/"+string(kind)+"/outgoing")
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

// targetOf is an operation's path in a crowd.
func (c crowd) targetOf(t *testing.T, path string) string {
	t.Helper()
	return pathParameter.ReplaceAllStringFunc(path, func(parameter string) string {
		name := strings.Trim(parameter, "{}")
		switch {
		case name == "hook":
			name = "hook of repository"
		case name == "webhook":
			name = "outgoing of app"
		case name == "outgoing":
			for kind := range boathook.EventTypes {
				if isBelow(path, kind) {
					name = "outgoing of " + string(kind)
					break
				}
			}
		}
		value, known := c.paths[name]
		if !known {
			t.Fatalf("GET %s: the test knows no value of {%s}; if it is no list, notLists should say so", path, name)
		}
		return value
	})
}

// queries are those of an operation to try: none, each filter with each of its
// values and, unless it must be short, each two values of two filters.
func (o operation) queries() (queries []url.Values) {
	queries = append(queries, url.Values{})
	names := slices.Sorted(maps.Keys(o.filters))
	for i, name := range names {
		for _, value := range o.filters[name] {
			queries = append(queries, url.Values{name: {value}})
			if testing.Short() {
				continue
			}
			for _, other := range names[i+1:] {
				for _, second := range o.filters[other] {
					queries = append(queries, url.Values{name: {value}, other: {second}})
				}
			}
		}
	}
	return queries
}

var nextLink = regexp.MustCompile(`[?&]cursor=([^&>]*)[^>]*>; rel="next"`)

// nextCursor is that of a page, in whichever form a system tells it.
func nextCursor(m measured) string {
	if link := nextLink.FindStringSubmatch(m.Headers["Link"]); link != nil {
		return link[1]
	}
	var page struct {
		Next *string `json:"next_cursor"`
	}
	if json.Unmarshal([]byte(m.Body), &page) == nil && page.Next != nil {
		return *page.Next
	}
	return ""
}

// However much there is of everything, and however rare what is asked for, a page
// of any list takes few requests, and few one after another. Nothing here waits for
// a clock: the process runs in a bubble in which each answer of AWS takes a second.
func TestEveryListTakesTenRequestsInThreeRoundTripsAtMost(t *testing.T) {
	s := stack.New(t)
	c := newCrowd(t, s)
	o := stack.NewOutside(t, s.SDK.HTTPClient)
	settings := stack.Config[config](t, s)
	worst, longest, asked := "", 0, 0
	operations := lists(t, c)
	if len(operations) < 20 {
		t.Fatalf("only %d lists are known", len(operations))
	}
	for _, op := range operations {
		t.Run("GET "+op.path, func(t *testing.T) {
			target := c.targetOf(t, op.path)
			found := false
			for _, q := range op.queries() {
				for page := 1; page <= 2; page++ {
					token := c.token
					if strings.HasPrefix(op.path, "/v1/tokens") || strings.HasPrefix(op.path, "/v1/workspaces") || strings.HasPrefix(op.path, "/v1/admin") {
						token = c.admin
					}
					m := measure(t, s, o, settings, token, http.MethodGet, target+"?"+q.Encode())
					if m.StatusCode != http.StatusOK {
						if m.StatusCode == http.StatusBadRequest && strings.Contains(m.Body, "page") {
							break // there is no such page of that limit
						}
						t.Fatalf("%v: answered %d %.200s", q, m.StatusCode, m.Body)
					}
					asked++
					if len(m.requests) > maxRequests || m.roundTrips > maxRoundTrips {
						t.Errorf("page %d of %v takes %d requests in %d round trips: %v", page, q, len(m.requests), m.roundTrips, m.requests)
					}
					if n := len(m.requests); n > longest {
						longest, worst = n, fmt.Sprintf("page %d of %s %v", page, op.path, q)
					}
					found = found || len(m.Body) > 300
					cursor := nextCursor(m)
					if cursor == "" {
						break
					}
					q = maps.Clone(q)
					q.Set("cursor", cursor)
				}
			}
			if !found {
				t.Error("nothing is listed at all")
			}
		})
	}
	t.Logf("%d pages of %d lists of %d items; the most requests are %d, for %s", asked, len(operations), c.items, longest, worst)

	t.Run("whether anything runs", func(t *testing.T) { c.whetherAnythingRuns(t, s, o, settings) })
}

// What runs, or belongs to a crew, is not deleted with it.
func (c crowd) whetherAnythingRuns(t *testing.T, s *stack.Stack, o *stack.Outside, settings config) {
	for _, target := range []string{
		"/v1/deployments/" + c.paths["deployment"], "/v1/crews/" + c.paths["crew"] + "/agents/" + c.paths["agent"], "/v1/crews/" + c.paths["crew"],
	} {
		m := measure(t, s, o, settings, c.admin, http.MethodDelete, target)
		if m.StatusCode != http.StatusConflict {
			t.Errorf("DELETE %s: answered %d %.200s, want a refusal", target, m.StatusCode, m.Body)
		}
		if len(m.requests) > maxRequests || m.roundTrips > maxRoundTrips {
			t.Errorf("DELETE %s takes %d requests in %d round trips: %v", target, len(m.requests), m.roundTrips, m.requests)
		}
	}
}
