package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/internal/boathook"
	"boathook/internal/capacity"
	"boathook/internal/catalogue"
)

// ran is what becomes of triggers.
type ran struct {
	trigger, execution capacity.Usage
	turn               capacity.Usage // an execution whose deployment lets one run execute at a time
	lease              capacity.Usage // more of an execution for each renewal of its lease
	log                capacity.Usage // more of one for each second in which its target prints
	joined             capacity.Usage // a trigger that is part of a burst which another has begun
}

const input = `{"repository":"acme/reports","ref":"refs/heads/main","build":18446744073709551617,"actor":"Zoë"}`

// runs measures triggers and the runs that they start. Until it returns, the queues are
// polled.
func (b *bench) runs(ctx context.Context) (r ran, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.Run(ctx); err != nil {
		return r, err
	}
	if r.trigger, r.execution, err = b.oneByOne(ctx); err != nil {
		return r, err
	}
	if r.lease, r.log, err = b.long(ctx); err != nil {
		return r, err
	}
	if err := b.send(ctx, http.MethodPatch, b.deployment, `{"max_in_flight":1}`, "", new(struct{})); err != nil {
		return r, err
	}
	if _, r.turn, err = b.oneByOne(ctx); err != nil {
		return r, err
	}
	if r.joined, err = b.join(ctx); err != nil {
		return r, err
	}
	return r, b.drained(ctx, "DeliveriesQueue")
}

// long measures what runs use while their targets work: for each renewal of their lease,
// and for each line that they print a second or more after another.
func (b *bench) long(ctx context.Context) (lease, log capacity.Usage, err error) {
	for target, used := range map[string]*capacity.Usage{quietTarget: &lease, talkingTarget: &log} {
		if err := b.deploy(ctx, target); err != nil {
			return lease, log, err
		}
		if err := b.post(ctx, b.trigger, input, "", new(struct{})); err != nil {
			return lease, log, err
		}
		if *used, err = b.meter.during(ctx, "ExecuteFunction", func() error { return b.working(ctx) }); err != nil {
			return lease, log, err
		}
		close(b.answer)
		if err := b.drained(ctx, "RunsQueue"); err != nil {
			return lease, log, err
		}
	}
	return lease, log.Times(1.0 / printed), b.deploy(ctx, target)
}

// oneByOne measures a trigger and its run, each after the one before is over.
func (b *bench) oneByOne(ctx context.Context) (trigger, execution capacity.Usage, err error) {
	for i := range repeats + 3 {
		if err := b.post(ctx, b.trigger, input, "", new(struct{})); err != nil {
			return trigger, execution, err
		}
		if err := b.drained(ctx, "RunsQueue"); err != nil {
			return trigger, execution, err
		}
		used, err := b.meter.take(ctx)
		if err != nil {
			return trigger, execution, err
		}
		if i < 3 {
			continue // warm by now
		}
		trigger = trigger.Plus(used["IntakeFunction"]).Plus(request(len(input)))
		execution = execution.Plus(used["ExecuteFunction"]).Plus(capacity.Usage{SQS: 2}) // received and deleted
	}
	return trigger.Times(1.0 / repeats), execution.Times(1.0 / repeats), nil
}

// join measures a trigger that is part of a burst. The burst's run does not start while the
// bench runs.
func (b *bench) join(ctx context.Context) (joined capacity.Usage, err error) {
	var made struct{ URL string }
	if err := b.post(ctx, b.deployment+"/incoming-webhooks",
		`{"name":"pushes","environment":"production","coalesce":{"key":".body.ref","quiet_seconds":900,"max_wait_seconds":3600}}`, "", &made); err != nil {
		return joined, err
	}
	_, token, _ := strings.Cut(made.URL, "/webhooks/")
	for i := range repeats + 1 {
		used, err := b.meter.during(ctx, "IntakeFunction", func() error { return b.post(ctx, "/webhooks/"+token, input, "", new(struct{})) })
		if err != nil {
			return joined, err
		}
		if i > 0 { // the first one begins the burst
			joined = joined.Plus(used).Plus(request(len(input)))
		}
	}
	return joined.Times(1.0 / repeats), nil
}

// events measures publishes: what one event uses, its share of the request, and
// what it uses in a request that may be repeated, by a key that begins with keys.
func (b *bench) events(ctx context.Context, keys string) (event, keyed capacity.Usage, err error) {
	for i := range repeats + 1 {
		once, err := b.publish(ctx, boathook.Production, "")
		if err != nil {
			return event, keyed, err
		}
		again, err := b.publish(ctx, boathook.Production, fmt.Sprint(keys, i))
		if err != nil {
			return event, keyed, err
		}
		if i > 0 { // the first ones warm the function
			event, keyed = event.Plus(once), keyed.Plus(again)
		}
	}
	return event.Times(1.0 / (repeats * published)), keyed.Times(1.0 / (repeats * published)), nil
}

// alone measures the publish of one event.
func (b *bench) alone(ctx context.Context) (event capacity.Usage, err error) {
	t, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	body := fmt.Sprintf(`{"source":%q,"type":%q,"environment":"production","data":%s}`, b.appID, t.Name, t.Example)
	for i := range repeats + 1 {
		once, err := b.meter.during(ctx, "ManageFunction", func() error { return b.post(ctx, "/v1/events", body, "", new(struct{})) })
		if err != nil {
			return event, err
		}
		if i > 0 { // the first one warms the function
			event = event.Plus(once).Plus(request(len(body)))
		}
	}
	b.meter.messages("ManageFunction") // nobody delivers them
	return event.Times(1.0 / repeats), nil
}

// fed measures publishes of an app that keeps its events, as [bench.events] does.
func (b *bench) fed(ctx context.Context) (event, keyed capacity.Usage, err error) {
	if err := b.keepEvents(ctx, 30); err != nil {
		return event, keyed, err
	}
	if event, keyed, err = b.events(ctx, "kept "); err != nil {
		return event, keyed, err
	}
	return event, keyed, b.keepEvents(ctx, 0)
}

func (b *bench) keepEvents(ctx context.Context, days int) error {
	return b.send(ctx, http.MethodPatch, "/v1/apps/"+b.appID+"/events", fmt.Sprintf(`{"event_retention_days":%d}`, days), "", new(struct{}))
}

// replays measures what one kept event uses that a replay counts, that it queues because
// a webhook has missed it, and that is then delivered in a full batch.
func (b *bench) replays(ctx context.Context) (counted, queued, delivered capacity.Usage, err error) {
	if err := b.keepEvents(ctx, 30); err != nil {
		return counted, queued, delivered, err
	}
	if _, err := b.publish(ctx, boathook.Production, ""); err != nil {
		return counted, queued, delivered, err
	}
	var made struct{ ID string }
	webhooks := "/v1/apps/" + b.appID + "/outgoing-webhooks"
	if err := b.post(ctx, webhooks, fmt.Sprintf(
		`{"name":"late","url":"%s/receiver/ok","events":["job_finished"],"environment":"production","dialect":"crewship"}`, b.url), "", &made); err != nil {
		return counted, queued, delivered, err
	}
	path := webhooks + "/" + made.ID
	for range 2 { // the first one warms the function
		if counted, err = b.replay(ctx, path, true); err != nil {
			return counted, queued, delivered, err
		}
	}
	if queued, err = b.replay(ctx, path, false); err != nil {
		return counted, queued, delivered, err
	}
	sent := b.meter.messages("ManageFunction")
	const batch = 10
	for i := range repeats + 1 {
		used, err := b.deliver(ctx, sent[i*batch:(i+1)*batch])
		if err != nil {
			return counted, queued, delivered, err
		}
		if i > 0 {
			delivered = delivered.Plus(used)
		}
	}
	if err := b.send(ctx, http.MethodPatch, path, `{"enabled":false}`, "", new(struct{})); err != nil {
		return counted, queued, delivered, err
	}
	return counted, queued, delivered.Times(1.0 / (repeats * batch)), b.keepEvents(ctx, 0)
}

// replay has all that a webhook has missed sent, or counted, and gives what one event uses.
func (b *bench) replay(ctx context.Context, path string, dry bool) (used capacity.Usage, err error) {
	events := 0
	for cursor := ""; events == 0 || cursor != ""; {
		body := fmt.Sprintf(`{"since":"2026-01-01T00:00:00Z","dry_run":%t}`, dry)
		if cursor != "" {
			body = fmt.Sprintf(`{"since":"2026-01-01T00:00:00Z","dry_run":%t,"cursor":%q}`, dry, cursor)
		}
		var answer struct {
			Queued     int    `json:"queued"`
			NextCursor string `json:"next_cursor"`
		}
		part, err := b.meter.during(ctx, "ManageFunction", func() error { return b.post(ctx, path+"/replay", body, "", &answer) })
		if err != nil {
			return used, err
		}
		if answer.Queued == 0 && answer.NextCursor == "" {
			return used, errors.New("a replay has found nothing")
		}
		used, events, cursor = used.Plus(part).Plus(request(len(body))), events+answer.Queued, answer.NextCursor
	}
	return used.Times(1 / float64(events)), nil
}

// publish publishes as many events as a request may have, and keeps the messages
// that this puts into the deliveries queue.
func (b *bench) publish(ctx context.Context, environment boathook.Environment, key string) (capacity.Usage, error) {
	t, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	event := fmt.Sprintf(`{"source":%q,"type":%q,"environment":%q,"data":%s}`, b.appID, t.Name, environment, t.Example)
	body := `{"events":[` + strings.Repeat(event+",", published-1) + event + `]}`
	used, err := b.meter.during(ctx, "ManageFunction", func() error {
		return b.post(ctx, "/v1/events", body, key, new(struct{}))
	})
	if err != nil {
		return capacity.Usage{}, err
	}
	sent := b.meter.messages("ManageFunction")
	if len(sent) != published {
		return capacity.Usage{}, fmt.Errorf("%d events were published in %d messages", published, len(sent))
	}
	b.queued[environment] = append(b.queued[environment], sent...)
	return used.Plus(request(len(body))), nil
}

// request is what the HTTP API takes for one itself: it counts 512 KiB as one.
func request(size int) capacity.Usage {
	return capacity.Usage{HTTP: kilobytes(size, 512), LogBytes: accessLine + lineOverhead}
}

// deliveries measures batches of n: what one delivery uses that succeeds at
// once, and one that succeeds at the second attempt, from the time when it is
// in its queue. A second attempt comes alone, since it was sent with a delay of
// its own; while many fail they share a batch, and cost less.
func (b *bench) deliveries(ctx context.Context, n int) (first, second capacity.Usage, err error) {
	for i := range repeats + 1 {
		once, err := b.attempt(ctx, boathook.Production, n)
		if err != nil {
			return first, second, err
		}
		b.stored = b.meter.stored()
		failed, err := b.attempt(ctx, boathook.Staging, n)
		if err != nil {
			return first, second, err
		}
		retries := b.meter.messages("DeliverFunction")
		if len(retries) != n {
			return first, second, fmt.Errorf("of %d attempts that failed, %d are made again", n, len(retries))
		}
		for _, retry := range retries {
			again, err := b.deliver(ctx, []string{retry})
			if err != nil {
				return first, second, err
			}
			failed = failed.Plus(again)
		}
		if i > 0 { // the first ones warm the function
			first, second = first.Plus(once), second.Plus(failed)
		}
	}
	share := 1 / float64(n*repeats)
	return first.Times(share), second.Times(share), nil
}

// spread measures an event that goes to n webhooks, whose deliveries are one batch: what
// one delivery uses of the publish, and what it uses then, with counts of its own.
func (b *bench) spread(ctx context.Context, n int) (published, delivered capacity.Usage, err error) {
	var app struct{ ID string }
	if err := b.post(ctx, "/v1/apps", `{"name":"spread"}`, "", &app); err != nil {
		return published, delivered, err
	}
	for i := range n {
		if err := b.post(ctx, "/v1/apps/"+app.ID+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"of %d","url":"%s/receiver/ok","events":["job_finished"],"environment":"production","dialect":"crewship"}`, i, b.url), "", new(struct{})); err != nil {
			return published, delivered, err
		}
	}
	t, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	event := fmt.Sprintf(`{"source":%q,"type":%q,"environment":"production","data":%s}`, app.ID, t.Name, t.Example)
	for i := range repeats + 1 {
		once, err := b.meter.during(ctx, "ManageFunction", func() error { return b.post(ctx, "/v1/events", event, "", new(struct{})) })
		if err != nil {
			return published, delivered, err
		}
		sent := b.meter.messages("ManageFunction")
		if len(sent) != n {
			return published, delivered, fmt.Errorf("an event for %d webhooks was published in %d messages", n, len(sent))
		}
		made, err := b.deliver(ctx, sent)
		if err != nil {
			return published, delivered, err
		}
		if i > 0 { // the first ones warm the function
			published, delivered = published.Plus(once).Plus(request(len(event))), delivered.Plus(made)
		}
	}
	share := 1 / float64(n*repeats)
	return published.Times(share), delivered.Times(share), nil
}

// attempt has the first attempts of n published events made.
func (b *bench) attempt(ctx context.Context, environment boathook.Environment, n int) (capacity.Usage, error) {
	if len(b.queued[environment]) < n {
		if _, err := b.publish(ctx, environment, ""); err != nil {
			return capacity.Usage{}, err
		}
	}
	batch := b.queued[environment][:n]
	b.queued[environment] = b.queued[environment][n:]
	return b.deliver(ctx, batch)
}

// slow is what an endpoint uses that takes longer than a second to answer.
type slow struct {
	mark                capacity.Usage // the first delivery, which marks it and holds a lease
	handOver, delivered capacity.Usage // one of the others: given to the retries queue, and delivered from there
	held                capacity.Usage // one that waits there, since another has had no answer
}

// slow measures deliveries to an endpoint that always takes longer than a second, and to one
// that does not answer in its time-out, in batches of n.
func (b *bench) slow(ctx context.Context, n int) (s slow, err error) {
	sent, err := b.toSlow(ctx, 30, 2*n+1)
	if err != nil {
		return s, err
	}
	if s.mark, err = b.deliver(ctx, sent[:1]); err != nil {
		return s, err
	}
	share := 1 / float64(n)
	for _, batch := range [][]string{sent[1 : 1+n], sent[1+n:]} { // the last counts: by then the function is warm
		given, handed, err := b.putOff(ctx, batch)
		if err != nil {
			return s, err
		}
		made, err := b.deliver(ctx, handed)
		if err != nil {
			return s, err
		}
		s.handOver, s.delivered = given.Times(share), made.Times(share)
	}
	if sent, err = b.toSlow(ctx, 1, n+1); err != nil {
		return s, err
	}
	if _, err = b.deliver(ctx, sent[:1]); err != nil {
		return s, err
	}
	b.meter.messages("DeliverFunction") // its retry
	_, handed, err := b.putOff(ctx, sent[1:])
	if err != nil {
		return s, err
	}
	held, _, err := b.putOff(ctx, handed)
	s.held = held.Times(share)
	return s, err
}

// toSlow publishes events to a webhook of their own, whose endpoint is slow and has so many
// seconds, and gives the messages of their deliveries.
func (b *bench) toSlow(ctx context.Context, seconds, events int) ([]string, error) {
	var app struct{ ID string }
	if err := b.post(ctx, "/v1/apps", `{"name":"slow"}`, "", &app); err != nil {
		return nil, err
	}
	if err := b.post(ctx, "/v1/apps/"+app.ID+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"slow","url":"%s/receiver/slow","events":["job_finished"],"environment":"production","dialect":"crewship","timeout_seconds":%d}`,
		b.url, seconds), "", new(struct{})); err != nil {
		return nil, err
	}
	t, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	event := fmt.Sprintf(`{"source":%q,"type":%q,"environment":"production","data":%s}`, app.ID, t.Name, t.Example)
	body := `{"events":[` + strings.Repeat(event+",", events-1) + event + `]}`
	if err := b.post(ctx, "/v1/events", body, "", new(struct{})); err != nil {
		return nil, err
	}
	return b.meter.messages("ManageFunction"), nil
}

// putOff has a batch handled of which each delivery is to be made later, and gives the
// messages by which it will be.
func (b *bench) putOff(ctx context.Context, batch []string) (used capacity.Usage, later []string, err error) {
	if used, err = b.deliver(ctx, batch); err != nil {
		return used, nil, err
	}
	if later = b.meter.messages("DeliverFunction"); len(later) != len(batch) {
		err = fmt.Errorf("of %d deliveries to a slow endpoint %d are to be made later", len(batch), len(later))
	}
	return used, later, err
}

// page is one of the console's that is measured.
type page struct{ key, name, path string }

// pages measures pages of the console, for somebody who is signed in: without what they
// are made of, which browsers keep.
func (b *bench) pages(ctx context.Context, row func(key, name string, u capacity.Usage) float64) error {
	var list struct{ Data []struct{ ID string } }
	if err := b.send(ctx, http.MethodGet, "/v1/deliveries?limit=1", "", "", &list); err != nil {
		return err
	}
	if len(list.Data) == 0 {
		return errors.New("there is no delivery to look at")
	}
	session, err := b.signIn(ctx)
	if err != nil {
		return err
	}
	for _, p := range []page{
		{"console", "console's overview", "/console/"}, {"console list", "… its list of deliveries", "/console/deliveries"},
		{"console delivery", "… one delivery", "/console/deliveries/" + list.Data[0].ID},
	} {
		var used capacity.Usage
		for i := range repeats + 1 {
			once, err := b.meter.during(ctx, "ConsoleFunction", func() error { return b.look(ctx, p.path, session) })
			if err != nil {
				return err
			}
			if i > 0 { // the first one warms the function
				used = used.Plus(once).Plus(request(0))
			}
		}
		row(p.key, p.name, used.Times(1.0/repeats))
	}
	return nil
}

// deliver hands a batch of messages to the function, and gives what it used,
// with the request that received the batch and the one that deleted it.
func (b *bench) deliver(ctx context.Context, batch []string) (capacity.Usage, error) {
	var e awsevents.SQSEvent
	for i, body := range batch {
		e.Records = append(e.Records, awsevents.SQSMessage{MessageId: fmt.Sprint(i), Body: body, EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return capacity.Usage{}, err
	}
	used, err := b.meter.during(ctx, "DeliverFunction", func() error {
		answer, err := b.Invoke(ctx, "DeliverFunction", payload)
		if err == nil && strings.Contains(string(answer), "itemIdentifier") {
			err = fmt.Errorf("the function reports %s", answer)
		}
		return err
	})
	return used.Plus(capacity.Usage{SQS: chunks(batch) + 1}), err
}

// sweep measures a minute's, with nothing to do.
func (b *bench) sweep(ctx context.Context) (used capacity.Usage, err error) {
	for range 2 { // the first one warms the function
		used, err = b.meter.during(ctx, "SweepFunction", func() error {
			_, err := b.Invoke(ctx, "SweepFunction", []byte(`{"source":"aws.events"}`))
			return err
		})
		if err != nil {
			return used, err
		}
	}
	return used, nil
}
