package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
	"boathook/internal/testing/stack"
)

// bulk is an HTTP client that keeps what a store puts, to write it in batches: a
// crowd is many items. It answers as if nothing were there.
type bulk struct {
	next interface {
		Do(*http.Request) (*http.Response, error)
	}
	leaveOut func(sortKey string) bool

	mu       sync.Mutex
	header   http.Header // of the requests, which the emulator does not verify
	url      string
	writes   map[string][]json.RawMessage // by table
	versions int
}

func (b *bulk) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.header, b.url = r.Header.Clone(), r.URL.String()
	switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
	case "PutItem":
		var in struct {
			TableName string
			Item      json.RawMessage
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		b.keep(in.TableName, in.Item)
	case "BatchWriteItem":
		var in struct {
			RequestItems map[string][]struct {
				PutRequest struct{ Item json.RawMessage }
			}
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		for table, writes := range in.RequestItems {
			for _, w := range writes {
				b.keep(table, w.PutRequest.Item)
			}
		}
	case "UpdateItem": // of what is live, the only one that a crowd makes
		b.versions++
		return reply(r, fmt.Sprintf(`{"Attributes":{"Versions":{"N":"%d"}}}`, b.versions)), nil
	}
	return reply(r, `{}`), nil
}

func (b *bulk) keep(table string, item json.RawMessage) {
	var key struct{ SK struct{ S string } }
	if json.Unmarshal(item, &key); b.leaveOut != nil && b.leaveOut(key.SK.S) {
		return
	}
	b.writes[table] = append(b.writes[table], item)
}

func reply(r *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// flush writes what was kept, and gives the number of items.
func (b *bulk) flush(t *testing.T) (n int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(4)
	for table, items := range b.writes {
		n += len(items)
		for batch := range slices.Chunk(items, 25) {
			group.Go(func() error { return b.write(table, batch) })
		}
	}
	b.writes = make(map[string][]json.RawMessage)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *bulk) write(table string, items []json.RawMessage) error {
	type put struct {
		PutRequest struct{ Item json.RawMessage }
	}
	puts := make([]put, len(items))
	for i, item := range items {
		puts[i].PutRequest.Item = item
	}
	body, err := json.Marshal(map[string]any{"RequestItems": map[string][]put{table: puts}})
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = b.header.Clone()
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.BatchWriteItem")
	res, err := b.next.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"UnprocessedItems":{}`)) {
		err = fmt.Errorf("write a batch: %d %s", res.StatusCode, answer)
	}
	return err
}

// crowd is a workspace with much of everything.
type crowd struct {
	token string // of a viewer
	admin string
	paths map[string]string // ids and names, by the paths' parameters
	items int               // how many there are in the tables
}

// How many there are of what makes lists long.
const (
	manyDeployments = 400
	manyAgents      = 300
	manyRuns        = 2400 // of one deployment: more than a page looks at
	shownRuns       = 220  // of them have texts: more than the longest page shows
	manyDeliveries  = 2600 // of one webhook: more than a page looks at
	manyChunks      = 600
)

func newCrowd(t *testing.T, s *stack.Stack) crowd {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	b := &bulk{next: s.SDK.HTTPClient, writes: make(map[string][]json.RawMessage)}
	many := dynamo.New(dynamodb.NewFromConfig(s.SDK, func(o *dynamodb.Options) { o.HTTPClient = b }), dynamo.Config{
		ConfigTable: s.Env["BOATHOOK_CONFIG_TABLE"], RecordsTable: s.Env["BOATHOOK_RECORDS_TABLE"], Retention: 30 * 24 * time.Hour,
	})
	ok := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	c := crowd{token: boathook.NewAPIToken(), admin: boathook.NewAPIToken(), paths: make(map[string]string)}
	ago := func(i int) time.Time { return now.Add(-time.Duration(i) * time.Second) }

	for i := range 120 {
		token := boathook.Token{ID: boathook.NewID(boathook.TokenID), WorkspaceID: firstWorkspace, Name: "x", Role: boathook.Viewer, CreatedAt: ago(i)}
		switch i {
		case 0:
			token.Hash = boathook.HashToken(c.token)
		case 1:
			token.Hash, token.Role = boathook.HashToken(c.admin), boathook.Admin
		default:
			token.Hash[0], token.Hash[1] = byte(i), 1
		}
		ok(many.PutToken(ctx, token))
	}
	for i := range 250 {
		ok(many.PutWorkspace(ctx, boathook.Workspace{ID: boathook.NewID(boathook.WorkspaceID), Name: "x", CreatedAt: ago(i)}))
	}
	source := func(id string, kind boathook.SourceKind, i int) boathook.Source {
		return boathook.Source{ID: id, WorkspaceID: firstWorkspace, Kind: kind, Name: "x", CreatedAt: ago(i)}
	}
	for i := range manyDeployments {
		c.paths["deployment"] = boathook.NewID(boathook.DeploymentID)
		ok(many.PutSource(ctx, source(c.paths["deployment"], boathook.Deployment, i)))
	}
	var crews [3]string
	for i := range 60 {
		crews[i%3] = boathook.NewID(boathook.CrewID)
		ok(many.PutSource(ctx, source(crews[i%3], boathook.Crew, i)))
	}
	for i := range manyAgents {
		agent := source(boathook.NewID(boathook.AgentID), boathook.Agent, i)
		agent.Agent = &boathook.AgentSettings{CrewID: crews[i%3], Slug: fmt.Sprintf("agent-%d", i), RatePerMinute: 60, MaxInFlight: 8}
		c.paths["agent"], c.paths["crew"] = agent.ID, crews[i%3]
		ok(many.PutSource(ctx, agent))
	}
	for i := range 60 {
		name := fmt.Sprintf("site-%d", i)
		repository := source(boathook.NewRepositoryID(firstWorkspace, "acme", name), boathook.Repository, i)
		repository.Owner, repository.Name = "acme", name
		c.paths["repository"], c.paths["owner"], c.paths["repo"] = repository.ID, "acme", name
		c.paths["app"] = boathook.NewID(boathook.AppID)
		customer := source(boathook.NewID(boathook.CustomerID), boathook.Customer, i)
		customer.Customer = &boathook.CustomerSettings{ExternalID: fmt.Sprintf("acct_%d", i)}
		c.paths["customer"] = customer.ID
		ok(many.PutSource(ctx, customer))
		ok(many.PutSource(ctx, repository), many.PutSource(ctx, source(c.paths["app"], boathook.App, i)))
	}

	deployment := c.paths["deployment"]
	for i := range 120 {
		_, err := many.AddVersion(ctx, boathook.Version{
			ID: boathook.NewID(boathook.VersionID), SourceID: deployment, WorkspaceID: firstWorkspace, Environment: boathook.Production,
			Target: boathook.Target{Type: boathook.TargetCommand, Argv: []string{"cat", strings.Repeat("x", 16<<10)}}, CreatedAt: ago(i),
		})
		ok(err)
	}
	for i := range boathook.MaxWebhooks {
		c.paths["incoming"] = boathook.NewID(boathook.IncomingID)
		ok(many.PutIncoming(ctx, boathook.IncomingWebhook{
			ID: c.paths["incoming"], WorkspaceID: firstWorkspace, SourceID: deployment, Name: "x", Environment: boathook.Production, Enabled: true, CreatedAt: ago(i),
		}))
	}
	for slot := range store.RequestSlots {
		for _, outcome := range []boathook.RequestOutcome{boathook.RequestRejected, boathook.RequestIgnored} {
			for _, of := range []string{c.paths["incoming"], c.paths["agent"]} {
				ok(many.PutRequest(ctx, slot, boathook.Request{
					ID: boathook.NewID("req"), WorkspaceID: firstWorkspace, WebhookID: of, At: ago(slot), Outcome: outcome, Status: 401, Reason: "x",
					Sender: &boathook.Sender{IP: "203.0.113.7", UserAgent: strings.Repeat("x", 100), Headers: []string{strings.Repeat("X", 300)}},
				}))
			}
		}
	}
	c.fillRuns(t, b, many, ago)
	c.paths["alerts"] = boathook.NewAlertsID(firstWorkspace)
	for _, kind := range []boathook.SourceKind{boathook.Agent, boathook.Repository, boathook.App, boathook.Customer, boathook.Alerts, boathook.Deployment} {
		c.fillWebhooks(t, many, kind, ago)
	}
	c.items = b.flush(t)
	c.retry(t, s.Store, ago)
	return c
}

// fillRuns makes the runs of the last deployment and the last agent. Those that are
// of the rarer statuses and environments, and the only one of the last webhook, are
// the oldest.
func (c *crowd) fillRuns(t *testing.T, b *bulk, many *dynamo.Store, ago func(int) time.Time) {
	t.Helper()
	rare := []boathook.RunStatus{boathook.RunFailed, boathook.RunCanceled, boathook.RunPending, boathook.RunTimedOut}
	run := func(sourceID string, i, of int) boathook.Run {
		r := boathook.Run{
			RunHead: boathook.RunHead{
				ID: boathook.NewID(boathook.RunID), WorkspaceID: firstWorkspace, SourceID: sourceID, VersionID: boathook.NewID(boathook.VersionID), VersionNumber: 1,
				Environment: boathook.Production, Trigger: boathook.TriggerWebhook, WebhookID: boathook.NewID(boathook.IncomingID),
				CreatedAt: ago(i), StartedAt: ago(i), CompletedAt: ago(i), Status: boathook.RunSucceeded,
			},
			Input: boathook.NewBody([]byte(fmt.Sprintf(`{"number":%d}`, i))), Output: []byte(`{"ok":true}`),
		}
		if last := of - 1 - i; last < len(rare) {
			r.Status, r.Environment, r.WebhookID, r.Output = rare[last], boathook.Staging, c.paths["incoming"], nil
		}
		if i%80 == 0 {
			r.Input = boathook.NewBody([]byte(`"` + strings.Repeat("x", 200<<10) + `"`))
		}
		r.InputHash = boathook.HashInput(r.Input.Bytes())
		return r
	}
	for i := range manyRuns {
		b.leaveOut = func(sk string) bool {
			return i >= shownRuns && i < manyRuns-len(rare) && (strings.HasPrefix(sk, "input#") || strings.HasPrefix(sk, "output#"))
		}
		if err := many.CreateRun(t.Context(), run(c.paths["deployment"], i, manyRuns)); err != nil {
			t.Fatal(err)
		}
	}
	b.leaveOut = func(sk string) bool { return strings.HasPrefix(sk, "input#") || strings.HasPrefix(sk, "output#") }
	for i := range manyRuns / 2 {
		if err := many.CreateRun(t.Context(), run(c.paths["agent"], i, manyRuns/2)); err != nil {
			t.Fatal(err)
		}
	}
	b.leaveOut = nil
	for i := range manyChunks {
		head := boathook.RunHead{ID: boathook.NewID(boathook.RunID), SourceID: c.paths["agent"], CreatedAt: ago(i)}
		lines := []boathook.LogLine{{Time: ago(i), Stream: "stdout", Text: "hello"}, {Time: ago(i), Stream: "stdout", Text: strings.Repeat("x", i)}}
		if err := many.AppendLog(t.Context(), head, 0, lines[:1+i%2]); err != nil {
			t.Fatal(err)
		}
	}
}

// fillWebhooks makes the outgoing webhooks of the last source of a kind, and the
// deliveries of the last of them.
func (c *crowd) fillWebhooks(t *testing.T, many *dynamo.Store, kind boathook.SourceKind, ago func(int) time.Time) {
	t.Helper()
	ctx, sourceID := t.Context(), c.paths[string(kind)]
	types := boathook.EventTypes[kind]
	var w boathook.OutgoingWebhook
	for i := range boathook.MaxWebhooks {
		w = boathook.OutgoingWebhook{
			ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: firstWorkspace, SourceID: sourceID, Name: "x", URL: "https://example.com",
			Events: types, Dialect: dialect.DefaultFor(kind), Format: boathook.Raw, Enabled: true, CreatedAt: ago(i),
			SealedHeaders: bytes.Repeat([]byte{1}, 2<<10), HeaderNames: []string{"X-Key"},
		}
		if err := many.PutOutgoing(ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	c.paths["outgoing of "+string(kind)], c.paths["hook"], c.paths["webhook"] = w.ID, fmt.Sprint(w.Number()), w.ID
	if kind == boathook.Repository {
		c.paths["hook of repository"] = c.paths["hook"]
	}
	n, body := 300, []byte(`{"event":"x"}`)
	switch kind {
	case boathook.Deployment:
		n = manyDeliveries
	case boathook.App:
		body = []byte(strings.Repeat("0123456789abcdef", 2<<10)) // an answer of DynamoDB's ends before its limit
	}
	var entered []boathook.Delivery
	statuses := []boathook.DeliveryStatus{boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled}
	for i := range n {
		e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: ago(i)}
		d := boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, w.ID), WorkspaceID: firstWorkspace, SourceID: sourceID, WebhookID: w.ID, EventID: e.ID, EventType: types[0],
			Environment: boathook.Production, Body: boathook.NewBody(body), Status: boathook.DeliverySucceeded, Attempts: 1,
		}
		if last := n - 1 - i; last < 4*len(statuses) {
			d.Status, d.EventType = statuses[last%len(statuses)], types[len(types)-1]
		}
		a := boathook.Attempt{Number: 1, SentAt: e.Time, Duration: time.Second, Response: &boathook.Response{Status: 200, Body: random(8 << 10)}}
		if kind != boathook.App {
			a.Response.Body = []byte("ok")
		}
		if err := many.RecordAttempt(ctx, d, a); err != nil {
			t.Fatal(err)
		}
		entered = append(entered, d)
	}
	if err := many.EnterDeliveries(ctx, entered...); err != nil {
		t.Fatal(err)
	}
}

// random are bytes that don't compress.
func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i*7 + i*13 + i/256*31)
	}
	return b
}

// retry gives an app's webhook deliveries of three attempts each.
func (c *crowd) retry(t *testing.T, s *dynamo.Store, ago func(int) time.Time) {
	t.Helper()
	for i := range 30 {
		e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: ago(-i - 1)}
		d := boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, c.paths["outgoing of app"]), WorkspaceID: firstWorkspace, SourceID: c.paths["app"], WebhookID: c.paths["outgoing of app"],
			EventID: e.ID, EventType: boathook.EventTypes[boathook.App][0], Body: boathook.NewBody([]byte(strings.Repeat("z", 40<<10))), Status: boathook.DeliveryRetrying,
		}
		for d.Attempts = 1; d.Attempts <= 3; d.Attempts++ {
			if err := s.RecordAttempt(t.Context(), d, boathook.Attempt{Number: d.Attempts, SentAt: e.Time, Error: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
