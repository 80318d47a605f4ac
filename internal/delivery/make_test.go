package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	queuesqlite "boathook/internal/queue/sqlite"
	storesqlite "boathook/internal/store/sqlite"
)

func filtered(id, filter, transform string) boathook.OutgoingWebhook {
	w := webhook(id)
	w.Filter, w.Transform = filter, transform
	return w
}

// decoded are the deliveries, by webhook.
func decoded(t *testing.T, messages []queue.Message) map[string]queue.Delivery {
	t.Helper()
	found := make(map[string]queue.Delivery)
	for _, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		found[d.WebhookID] = d
	}
	return found
}

func TestExpressionsSayWhatIsDelivered(t *testing.T) {
	q := &sent{}
	p := delivery.Publisher{Store: webhooks{list: []boathook.OutgoingWebhook{
		filtered("out_yes", `.data.run_id == "run_a"`, ""), filtered("out_no", `false`, `error("is not asked")`),
		filtered("out_json", "", `{run: .data.run_id, of: .source.kind}`), filtered("out_text", `true`, `"run \(.data.run_id)"`),
		filtered("out_broken", `.data.run_id.deeper`, ""), filtered("out_bomb", "", `[range(1e9)]`), filtered("out_old", "no such function", ""),
	}}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	n, err := p.PublishAll(t.Context(), event())
	if err != nil || len(n) != 1 || n[0] != 6 {
		t.Fatalf("queued %v, %v", n, err)
	}
	got := decoded(t, q.messages)
	const data = `{"run_id":"run_a"}`
	for id, want := range map[string]struct{ body, contentType, fault string }{
		"out_yes":    {`{"event":"run.succeeded","run_id":"run_a"}`, "", ""},
		"out_json":   {`{"of":"deployment","run":"run_a"}`, "", ""},
		"out_text":   {`run run_a`, "text/plain; charset=utf-8", ""},
		"out_broken": {data, "", "filter: expected an object"},
		"out_bomb":   {data, "", "transform: takes more than"},
		"out_old":    {data, "", "filter: "},
	} {
		d, ok := got[id]
		if !ok || d.Body.String() != want.body || d.ContentType != want.contentType || !strings.HasPrefix(d.Fault, want.fault) || (d.Fault == "") != (want.fault == "") {
			t.Errorf("%s: body %q, %q, fault %q", id, d.Body, d.ContentType, d.Fault)
		}
	}
}

// Who asks for a test wants to see one, whatever the filter says.
func TestATestIsTransformedAndNotFiltered(t *testing.T) {
	q := &sent{}
	p := delivery.Publisher{Store: webhooks{}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	if err := p.PublishTo(t.Context(), event(), filtered("out_a", "false", `.type`)); err != nil {
		t.Fatal(err)
	}
	if d := decoded(t, q.messages)["out_a"]; d.Body.String() != "run.succeeded" {
		t.Errorf("got %q", d.Body)
	}
}

// A publish that is given up is no fault of the webhook.
func TestACanceledPublishFailsNoDelivery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := &sent{}
	p := delivery.Publisher{Store: webhooks{list: []boathook.OutgoingWebhook{filtered("out_a", "[range(10000)] | length > 0", "")}}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	if err := p.Publish(ctx, event()); !errors.Is(err, context.Canceled) || len(q.messages) > 0 {
		t.Errorf("got %v, %d messages", err, len(q.messages))
	}
}

func TestExpressionsReadTheEvent(t *testing.T) {
	e := event()
	e.SourceID, e.Environment, e.Data = "app_a", "", []byte(`{"n":123456789012345678901234567890}`)
	p := &delivery.Publisher{Log: slog.New(slog.DiscardHandler)}
	w := filtered("out_a", `.environment == null and .source == {id: "app_a", kind: "app"}`, "{all: .}")
	w.Format = boathook.Slack // a transform is the message
	d, reason, err := p.Make(t.Context(), e, w)
	want := `{"all":{"data":{"n":123456789012345678901234567890},"environment":null,"source":{"id":"app_a","kind":"app"},"type":"run.succeeded"}}`
	if err != nil || reason != "" || d.Body.String() != want {
		t.Errorf("got %s, %q, %v", d.Body, reason, err)
	}
}

// firstOf queues an event's delivery to the place's webhook, and gives it.
func (p *place) firstOf(t *testing.T) queue.Delivery {
	t.Helper()
	e := event()
	e.ID, e.Time = boathook.NewID(boathook.EventID), time.Now()
	e.WorkspaceID, e.SourceID, e.Environment = p.Source.WorkspaceID, p.Source.ID, p.Outgoing.Environment
	must(t, p.publisher().PublishTo(t.Context(), e, p.Outgoing))
	messages, err := p.first.Receive(t.Context(), 1, 0)
	must(t, err)
	job, err := queue.DecodeDelivery(messages[0].Body)
	must(t, err)
	return job
}

// express gives the place's webhook a transform.
func (p *place) express(t *testing.T, transform string) {
	t.Helper()
	p.change(t, func(w *boathook.OutgoingWebhook) { w.Transform = transform })
	var err error
	p.Outgoing, err = p.store.Store.Outgoing(t.Context(), p.Source.ID, p.Outgoing.ID)
	must(t, err)
}

// resend queues a resend, and makes its attempt.
func (p *place) resend(t *testing.T, job queue.Delivery) {
	t.Helper()
	d, _ := p.record(t, job)
	r := delivery.Resender{Store: p.store, Retries: p.retries, Now: time.Now}
	must(t, r.Resend(t.Context(), p.Outgoing, d))
	must(t, p.handle(t, p.next(t, 0)))
}

// bodiesOf answers with statuses, and keeps what it is sent.
func bodiesOf(sent *[]string, statuses ...int) answers {
	return func(r *http.Request, body []byte) (*http.Response, error) {
		*sent = append(*sent, r.Header.Get("Content-Type")+" "+string(body))
		return response(statuses[min(len(*sent), len(statuses))-1], ""), nil
	}
}

func TestAllAttemptsSendWhatWasMadeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		p := newPlace(t, bodiesOf(&sent, 500, 200))
		p.express(t, `{text: "<\(.data.run_id)>", content_type: "text/html"}`)
		job := p.firstOf(t)
		must(t, p.handle(t, job))
		p.express(t, `"changed"`)
		must(t, p.handle(t, p.next(t, time.Minute)))
		p.resend(t, job)
		if want := "text/html <run_a>"; !slices.Equal(sent, []string{want, want, want}) {
			t.Errorf("sent %q", sent)
		}
	})
}

func TestAnExpressionThatFailsIsADeliveryThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		p.express(t, `{run: .data.run_id.number}`)
		job := p.firstOf(t)
		must(t, p.handle(t, job))
		d, attempts := p.record(t, job)
		if d.Status != boathook.DeliveryFailed || len(attempts) != 1 || !strings.HasPrefix(attempts[0].Error, "transform: expected an object") {
			t.Errorf("it is %s, with the attempts %+v", d.Status, attempts)
		}
		if sent := d.Sent(); p.sent > 0 || sent.Len() > 0 || p.store.calls["MarkFailure"] > 0 {
			t.Errorf("%d requests, the body %q", p.sent, sent)
		}
		p.noRetry(t)
	})
}

// The event is not lost: once the expression is mended, a resend makes the body, and its
// retries send the same.
func TestAResendIsMadeByThePresentExpressions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		p := newPlace(t, bodiesOf(&sent, 500, 200))
		p.express(t, `error("not yet")`)
		job := p.firstOf(t)
		must(t, p.handle(t, job))
		p.resend(t, job)
		if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || len(attempts) != 2 || attempts[1].Error != "transform: error: not yet" {
			t.Fatalf("it is %s, with the attempts %+v", d.Status, attempts)
		}

		p.express(t, `"\(.type) \(.data.run_id) \(.source.kind) \(.environment)"`)
		p.resend(t, job)
		must(t, p.handle(t, p.next(t, time.Minute)))
		want := "text/plain; charset=utf-8 run.succeeded run_a deployment production"
		if d, attempts := p.record(t, job); !slices.Equal(sent, []string{want, want}) || d.Status != boathook.DeliverySucceeded || len(attempts) != 4 {
			t.Errorf("sent %q; it is %s after %d attempts", sent, d.Status, len(attempts))
		}
	})
}

func TestAResendAsksThePresentFilterOfAnEventThatNoneHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		p.express(t, `error("not yet")`)
		job := p.firstOf(t)
		must(t, p.handle(t, job))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Filter = "false" })
		p.resend(t, job)
		if d, attempts := p.record(t, job); p.sent > 0 || d.Status != boathook.DeliveryFailed || attempts[1].Error != "filter: false" {
			t.Errorf("%d requests; it is %s, with the attempts %+v", p.sent, d.Status, attempts)
		}
	})
}

// BenchmarkPublish compares a hundred webhooks with a hundred that have a filter each, as
// on one machine: from the store of a file to the queue of a file. The time says little on
// a busy machine, so it also counts the CPU time of the process.
func BenchmarkPublish(b *testing.B) {
	const filter = `.data.status == "succeeded" and (.data.output.rows | length) > 1 and .type != `
	small, large := event(), event()
	small.Data = []byte(`{"run_id":"run_a","deployment_id":"dep_a","status":"succeeded","output":{"answer":42,"rows":["a","b"]}}`)
	large.Data = []byte(`{"run_id":"run_a","status":"succeeded","output":{"rows":[` + strings.Repeat(`{"id":12345,"name":"a row","tags":["a","b"]},`, 100) + `{"id":1}]}}`)
	for name, e := range map[string]boathook.Event{"small": small, "large": large} {
		for kind, filterOf := range map[string]func(id string) string{
			"plain": func(string) string { return "" }, "filtered": func(id string) string { return filter + strconv.Quote(id) },
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				p := onDisk(b, filterOf)
				publish := func() {
					if n, err := p.PublishAll(b.Context(), e); err != nil || n[0] != boathook.MaxWebhooks {
						b.Fatalf("%d deliveries, %v", n, err)
					}
				}
				publish() // which compiles the filters
				began := cpuTime()
				for b.Loop() {
					publish()
				}
				b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// onDisk is a publisher to a source of a hundred webhooks.
func onDisk(b *testing.B, filterOf func(id string) string) *delivery.Publisher {
	b.Helper()
	db, err := database.Open(filepath.Join(b.TempDir(), "boathook.db"))
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	q, err := queuesqlite.Open(db, "deliveries", queuemem.Config{})
	must(b, err)
	s := storesqlite.New(storesqlite.Config{DB: db, Retention: 30 * 24 * time.Hour})
	for _, w := range hundred() {
		w.WorkspaceID, w.SourceID, w.Filter = event().WorkspaceID, event().SourceID, filterOf(w.ID)
		must(b, s.PutOutgoing(b.Context(), w))
	}
	return &delivery.Publisher{Store: s, Queue: q, Log: slog.New(slog.DiscardHandler)}
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
