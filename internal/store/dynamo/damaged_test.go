package dynamo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// damaged is a store in an emulator whose items a test can damage.
type damaged struct {
	*dynamo.Store
	t      *testing.T
	client *dynamodb.Client
	tables []string
	log    *bytes.Buffer
}

func newDamaged(t *testing.T) damaged {
	client := emulator(t, dynalite)
	c := tables(t, client)
	log := new(bytes.Buffer)
	c.Now, c.Log = func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil))
	return damaged{dynamo.New(client, c), t, client, []string{c.ConfigTable, c.RecordsTable}, log}
}

// change gives some attributes of the items whose sort key begins so another
// value; nil removes one. It changes at least one item.
func (d damaged) change(sk string, values map[string]types.AttributeValue) {
	d.t.Helper()
	changed := 0
	for _, table := range d.tables {
		out, err := d.client.Scan(d.t.Context(), &dynamodb.ScanInput{TableName: &table})
		if err != nil {
			d.t.Fatal(err)
		}
		for _, it := range out.Items {
			key, _ := it["sk"].(*types.AttributeValueMemberS)
			if !strings.HasPrefix(key.Value, sk) {
				continue
			}
			for name, value := range values {
				if it[name] = value; value == nil {
					delete(it, name)
				}
			}
			if _, err := d.client.PutItem(d.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: it}); err != nil {
				d.t.Fatal(err)
			}
			changed++
		}
	}
	if changed == 0 {
		d.t.Fatalf("no item is called %s…", sk)
	}
}

// remove deletes the items whose sort key begins so.
func (d damaged) remove(sk string) {
	d.t.Helper()
	for _, table := range d.tables {
		out, err := d.client.Scan(d.t.Context(), &dynamodb.ScanInput{TableName: &table})
		if err != nil {
			d.t.Fatal(err)
		}
		for _, it := range out.Items {
			if key, _ := it["sk"].(*types.AttributeValueMemberS); strings.HasPrefix(key.Value, sk) {
				_, err := d.client.DeleteItem(d.t.Context(), &dynamodb.DeleteItemInput{
					TableName: &table, Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]},
				})
				if err != nil {
					d.t.Fatal(err)
				}
			}
		}
	}
}

// wantLogged tells whether the log has an error that names an item, and empties it.
func (d damaged) wantLogged(what, key string) {
	d.t.Helper()
	text := d.log.String()
	if logged := strings.Contains(text, "level=ERROR") && strings.Contains(text, key); logged != (key != "") || key == "" && text != "" {
		d.t.Errorf("%s: the log is %q, want an error that names %q", what, text, key)
	}
	d.log.Reset()
}

// A value that no attribute of ours has.
var nonsense = &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberBOOL{}}}

func TestAListLeavesOutWhatCantBeRead(t *testing.T) {
	const (
		good = "aaaaaaaaaaaaaaaaaaaaaaaa"
		bad  = "zzzzzzzzzzzzzzzzzzzzzzzz"
	)
	page := boathook.Page{Limit: 10}
	d := newDamaged(t)
	ctx := t.Context()
	put := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	deliveryOf := func(event string) boathook.Delivery {
		e := boathook.Event{ID: event, Time: now}
		return boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, "out_"+good), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_" + good,
			EventID: e.ID, Body: boathook.NewBody([]byte(`{}`)), Status: boathook.DeliveryFailed, Attempts: 1,
		}
	}
	rejected := func(id string) boathook.Request {
		r := rejection(boathook.RequestRejected)
		r.ID, r.WorkspaceID, r.WebhookID = id, "ws_a", "in_"+good
		return r
	}
	damagedDelivery, wholeDelivery := deliveryOf("evt_"+bad), deliveryOf("evt_"+good)
	for i, id := range []string{good, bad} {
		agent := &boathook.AgentSettings{CrewID: "crew_a", Slug: id}
		run := run()
		run.ID, run.WorkspaceID, run.SourceID, run.Status = "run_"+id, "ws_a", "dep_a", boathook.RunSucceeded
		version := boathook.Version{ID: "ver_" + id, SourceID: "dep_a", WorkspaceID: "ws_a", Environment: boathook.Staging}
		_, versionErr := d.AddVersion(ctx, version)
		put(
			d.PutToken(ctx, boathook.Token{ID: "tok_" + id, WorkspaceID: "ws_a", Hash: [32]byte{byte(i)}}),
			d.PutSource(ctx, boathook.Source{ID: "dep_" + id, WorkspaceID: "ws_a", Kind: boathook.Deployment}),
			d.PutSource(ctx, boathook.Source{ID: "agent_" + id, WorkspaceID: "ws_a", Kind: boathook.Agent, Agent: agent}),
			versionErr,
			d.PutIncoming(ctx, boathook.IncomingWebhook{ID: "in_" + id, SourceID: "dep_a", WorkspaceID: "ws_a"}),
			d.PutOutgoing(ctx, boathook.OutgoingWebhook{ID: "out_" + id, SourceID: "dep_a", WorkspaceID: "ws_a"}),
			d.CreateRun(ctx, run),
			d.PutRequest(ctx, i, rejected("req_"+id)),
			d.RecordAttempt(ctx, []boathook.Delivery{wholeDelivery, damagedDelivery}[i], attempt(1)),
			d.AppendLog(ctx, boathook.RunHead{ID: "run_" + id, SourceID: "agent_a", CreatedAt: now}, i, []boathook.LogLine{{Text: id}}),
		)
	}
	for _, c := range []struct {
		what, sk string // the damaged item's
		broken   string // which attribute of it
		want     []string
		list     func() ([]string, string, error)
	}{
		{"tokens", "tok#tok_" + bad, "CreatedAt", []string{"tok_" + good}, func() ([]string, string, error) {
			return named(d.Tokens(ctx, "ws_a", page))(func(t boathook.Token) string { return t.ID })
		}},
		{"sources", "src#dep_" + bad, "Name", []string{"dep_" + good}, func() ([]string, string, error) {
			return named(d.Sources(ctx, "ws_a", boathook.Deployment, page))(func(s boathook.Source) string { return s.ID })
		}},
		{"agents", "src#agent_" + bad, "Agent", []string{"agent_" + good}, func() ([]string, string, error) {
			return named(d.CrewAgents(ctx, "ws_a", "crew_a", page))(func(s boathook.Source) string { return s.ID })
		}},
		{"versions", "ver#ver_" + bad, "Target", []string{"ver_" + good}, func() ([]string, string, error) {
			return named(d.Versions(ctx, "dep_a", page))(func(v boathook.Version) string { return v.ID })
		}},
		{"incoming webhooks", "in#in_" + bad, "Filter", []string{"in_" + good}, func() ([]string, string, error) {
			all, err := d.AllIncoming(ctx, "dep_a")
			return named(all, "", err)(func(w boathook.IncomingWebhook) string { return w.ID })
		}},
		{"requests", "rejected#001", "c", []string{"run_" + bad, "run_" + good, "req_" + good}, func() ([]string, string, error) {
			q := store.RequestQuery{WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "in_" + good, Page: page}
			return named(d.Requests(ctx, q))(func(r boathook.Request) string { return r.ID })
		}},
		{"deliveries", damagedDelivery.ID.String(), "n", []string{"evt_" + good}, func() ([]string, string, error) {
			q := store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: "out_" + good, Page: page}
			return named(d.Deliveries(ctx, q))(func(d boathook.Delivery) string { return d.EventID })
		}},
		{"failed deliveries", damagedDelivery.ID.String(), "n", []string{"evt_" + good}, func() ([]string, string, error) {
			q := store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: "out_" + good, Statuses: []boathook.DeliveryStatus{boathook.DeliveryFailed}, Page: page}
			return named(d.Deliveries(ctx, q))(func(d boathook.Delivery) string { return d.EventID })
		}},
		{"an agent's log", "log#000000001", "b", []string{good}, func() ([]string, string, error) {
			lines, err := d.AgentLog(ctx, store.AgentLogQuery{AgentID: "agent_a", Limit: 10, MaxBytes: 1 << 20})
			return named(lines, "", err)(func(l boathook.AgentLine) string { return l.Text })
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			d.t = t
			if c.what == "requests" {
				d.change("head", map[string]types.AttributeValue{"w": &types.AttributeValueMemberS{Value: "in_" + good}})
			}
			d.change(c.sk, map[string]types.AttributeValue{c.broken: nonsense})
			d.log.Reset()
			got, _, err := c.list()
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("listed %q, %v; want %q", got, err, c.want)
			}
			d.wantLogged("the damaged one", c.sk)
		})
	}
	t.Run("outgoing webhooks, and who must reach them all is told", func(t *testing.T) {
		d.t = t
		d.change("out#out_"+bad, map[string]types.AttributeValue{"Events": nonsense})
		all, err := d.AllOutgoing(ctx, "dep_a")
		if !errors.Is(err, store.ErrIncomplete) || len(all) != 1 || all[0].ID != "out_"+good {
			t.Errorf("listed %v, %v", all, err)
		}
		d.wantLogged("the damaged one", "out#out_"+bad)
	})
}

func named[T any](objects []T, next string, err error) func(id func(T) string) ([]string, string, error) {
	return func(id func(T) string) (ids []string, _ string, _ error) {
		for _, o := range objects {
			ids = append(ids, id(o))
		}
		return ids, next, err
	}
}

func TestARunIsShownWithoutWhatIsMissingOfIt(t *testing.T) {
	output := json.RawMessage(`{"pages":3}`)
	for _, c := range []struct {
		what   string
		damage func(d damaged)
		runs   int
		input  bool
		output bool
		logged string
	}{
		{"nothing is missing", func(damaged) {}, 1, true, true, ""},
		{"its input is missing, as while it is written", func(d damaged) { d.remove("input#") }, 1, false, true, ""},
		{"its output is missing", func(d damaged) { d.remove("output#") }, 1, true, false, ""},
		{"its head is missing, as after it has expired", func(d damaged) { d.remove("head") }, 0, false, false, ""},
		{"its input can't be read", func(d damaged) { d.change("input#", map[string]types.AttributeValue{"b": nonsense}) }, 1, false, true, "input#"},
		{"a part of its input is missing", func(d damaged) {
			d.change("input#", map[string]types.AttributeValue{"b": nil, "k": &types.AttributeValueMemberN{Value: "1"}})
		}, 1, false, true, "input#"},
		{"its output can't be read", func(d damaged) {
			d.change("output#", map[string]types.AttributeValue{"b": &types.AttributeValueMemberB{Value: []byte{1, 2, 3}}})
		}, 1, true, false, "output#"},
		{"its head can't be read", func(d damaged) { d.change("head", map[string]types.AttributeValue{"c": nonsense}) }, 0, false, false, "head"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDamaged(t)
			r := run()
			r.Status, r.Output = boathook.RunSucceeded, output
			if err := d.CreateRun(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			c.damage(d)
			for _, q := range []store.RunQuery{{Kind: boathook.Deployment}, {SourceID: r.SourceID}} {
				q.WorkspaceID, q.Page = r.WorkspaceID, boathook.Page{Limit: 10}
				runs, next, err := d.Runs(t.Context(), q)
				if err != nil || next != "" || len(runs) != c.runs {
					t.Fatalf("listed %d, next %q, %v; want %d", len(runs), next, err, c.runs)
				}
				if len(runs) == 1 && (runs[0].ID != r.ID || (!runs[0].Input.Lost()) != c.input || (runs[0].Output != nil) != c.output) {
					t.Errorf("it is shown with the input %s and the output %s", runs[0].Input.Bytes(), runs[0].Output)
				}
				d.wantLogged("Runs", c.logged)
			}
		})
	}
}

func TestAnAttemptIsShownWithoutWhatIsMissingOfIt(t *testing.T) {
	for _, c := range []struct {
		what     string
		damage   func(d damaged)
		attempts []int
		body     bool
		logged   string
	}{
		{"nothing is missing", func(damaged) {}, []int{2, 1}, true, ""},
		{"a part of the body is missing", func(d damaged) { d.remove("0001") }, []int{2, 1}, false, "is missing"},
		{"the second can't be read", func(d damaged) {
			d.change("000002", map[string]types.AttributeValue{"a": &types.AttributeValueMemberB{Value: []byte{9}}})
		}, []int{1}, true, "attempt 2 of delivery"},
		{"the second is missing", func(d damaged) { d.remove("000002") }, []int{1}, true, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDamaged(t)
			sent := delivery(printable(400 << 10))
			sent.Status, sent.Attempts = boathook.DeliveryRetrying, 1
			later := sent
			later.Attempts = 2
			if err := errors.Join(d.RecordAttempt(t.Context(), sent, attempt(1)), d.RecordAttempt(t.Context(), later, attempt(2))); err != nil {
				t.Fatal(err)
			}
			c.damage(d)
			log, err := d.AttemptLog(t.Context(), store.AttemptQuery{WorkspaceID: sent.WorkspaceID, WebhookID: sent.WebhookID, Limit: 10})
			var numbers []int
			for _, a := range log {
				numbers = append(numbers, a.Attempt.Number)
				if (!a.Delivery.Body.Lost()) != c.body {
					t.Errorf("attempt %d is shown with a body of %d bytes", a.Attempt.Number, a.Delivery.Body.Len())
				}
			}
			if err != nil || !slices.Equal(numbers, c.attempts) {
				t.Errorf("listed %v, %v; want %v", numbers, err, c.attempts)
			}
			d.wantLogged("AttemptLog", c.logged)
		})
	}
}
