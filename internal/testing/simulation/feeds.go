package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// What must hold of feeds, filters and replays once the world is at rest.
const (
	ruleFed      = "an event is in its source's feed once"
	ruleFeed     = "who polls a feed is shown all events, each once, in one order"
	ruleFilter   = "a webhook is sent what its filter lets through, as its transform makes it"
	ruleFault    = "an event whose expression fails is a delivery that failed, and is not sent"
	ruleReplayed = "an event that a webhook has missed has a delivery after a replay, or a dead message"
	ruleAsked    = "a delivery is queued again as often as users ask for it, once for each replay"
)

// feedDays is for how long feeds keep events: longer than any world lasts.
const feedDays = 100

// expressions are a webhook's filter and transform, and what they do.
type expressions struct {
	filter, transform string
	lets              func(t boathook.EventType, env boathook.Environment) bool // nil: all
	fails             boathook.EventType                                        // an event at which one of them fails
}

// remade is a transform whose result each dialect's receiver can read.
const remade = `{event: .type, type: .type, data: .data, made: "anew"}`

var filtering = []expressions{
	{transform: remade},
	{filter: `.type != "run.succeeded"`, lets: func(t boathook.EventType, _ boathook.Environment) bool { return t != boathook.EventRunSucceeded }},
	{
		filter: `.environment != "staging" and (.data | type) == "object"`, transform: remade,
		lets: func(_ boathook.EventType, env boathook.Environment) bool { return env != boathook.Staging },
	},
	{filter: `if .type == "run.failed" then error("no") else true end`, fails: boathook.EventRunFailed},
	{transform: `if .type == "job_finished" then error("no") else ` + remade + ` end`, fails: boathook.EventJobFinished},
	{transform: `if .type == "run.succeeded" then error("no") else ` + remade + ` end`, fails: boathook.EventRunSucceeded},
}

// express gives some webhooks of a world with feeds a filter or a transform.
func (w *world) express(out *boathook.OutgoingWebhook) {
	if r := w.chance("expressions", out.ID); w.plan.feeds && r.IntN(3) > 0 {
		x := pick(r, filtering)
		out.Filter, out.Transform = x.filter, x.transform
		w.mu.Lock()
		defer w.mu.Unlock()
		w.expressions[out.ID] = x
	}
}

// hears reports whether the filter lets an event through.
func (x expressions) hears(t boathook.EventType, env boathook.Environment) bool {
	return x.lets == nil || x.lets(t, env)
}

// poller reads a source's feed from its beginning on.
type poller struct {
	cursor string
	seen   []string // events
	busy   bool
}

// poll reads what is new in a feed, as far as answers come.
func (u *users) poll(r *rand.Rand) {
	s := pick(r, u.w.sources)
	p := u.w.pollers[s.id]
	u.mu.Lock()
	busy := p == nil || p.busy
	if !busy {
		p.busy = true
	}
	u.mu.Unlock()
	for more := !busy; more; {
		query := "?limit=3"
		if p.cursor != "" {
			query += "&cursor=" + p.cursor
		}
		a := u.manage(http.MethodGet, s.path+"/events"+query, "")
		if a.status != http.StatusOK {
			break
		}
		var page struct {
			Data []struct{ ID string }
			Next string `json:"next_cursor"`
			More bool   `json:"has_more"`
		}
		must(json.Unmarshal(a.body, &page))
		for _, e := range page.Data {
			p.seen = append(p.seen, e.ID)
		}
		p.cursor, more = page.Next, page.More
		u.w.count("part of a feed")
	}
	if !busy {
		u.mu.Lock()
		p.busy = false
		u.mu.Unlock()
	}
}

// fed are the events in a source's feed.
func (w *world) fed(sourceID string) (events []store.FeedEvent) {
	q := store.FeedQuery{WorkspaceID: workspaceID, SourceID: sourceID, Settings: boathook.FeedSettings{RetentionDays: feedDays}, Limit: 200}
	for more := true; more; {
		page, err := w.store.Store.FeedEvents(context.Background(), q)
		must(err)
		events = append(events, page.Events...)
		q.Cursor, more = page.Next, page.More
	}
	return events
}

// expected is an event that a webhook had missed when it was replayed.
type expected struct{ eventAt }

// join makes a webhook, and has it sent all that happened before.
func (u *users) join(r *rand.Rand) {
	s := pick(r, u.w.sources)
	u.replayTo(r, s, u.w.addWebhook(s, r), "missing")
}

// replay has a webhook sent what it has missed, or what failed, or all.
func (u *users) replay(r *rand.Rand) {
	if path := u.webhook(r); path != "" {
		below, id, _ := strings.Cut(path, "/outgoing-webhooks/")
		s := u.w.sources[slices.IndexFunc(u.w.sources, func(s *source) bool { return s.path == below })]
		u.replayTo(r, s, id, pick(r, []string{"missing", "missing", "failed", "all"}))
	}
}

// replayTo makes the requests of a replay. One that carries on is repeated by chance, as one
// whose answer was lost is.
func (u *users) replayTo(r *rand.Rand, s *source, id, only string) {
	path := s.path + "/outgoing-webhooks/" + id
	body := fmt.Sprintf(`{"since":%q,"only":%q`, u.w.began.Add(-maxSkew).Format(time.RFC3339), only)
	out, err := u.w.store.Store.Outgoing(context.Background(), s.id, id)
	if err != nil {
		return
	}
	at := time.Now()
	missed, promised := u.w.missed(s, out, only, at)
	for cursor, tries := "", 0; tries < 4; {
		next := body
		if cursor != "" {
			next += `,"cursor":"` + cursor + `"`
		} else if only != "missing" {
			u.w.asks(id)
		}
		a := u.manage(http.MethodPost, path+"/replay", next+"}")
		if a.status != http.StatusAccepted {
			if a.status != 0 && a.status < 500 {
				return
			}
			tries++
			continue
		}
		var answer struct {
			Cursor *string `json:"next_cursor"`
		}
		must(json.Unmarshal(a.body, &answer))
		if cursor != "" && r.IntN(2) == 0 {
			u.w.count("request of a replay that is repeated")
			u.manage(http.MethodPost, path+"/replay", next+"}")
		}
		if answer.Cursor != nil {
			cursor = *answer.Cursor
			continue
		}
		u.w.count("replay of " + only)
		u.w.mu.Lock()
		u.w.ledger.expected = append(u.w.ledger.expected, missed...)
		u.w.ledger.promises = append(u.w.ledger.promises, promised...)
		u.w.mu.Unlock()
		return
	}
}

// missed are the events of which a replay must make a delivery, and the deliveries that it
// must attempt. What may be on its way, or was attempted just now, is not among them.
func (w *world) missed(s *source, out boathook.OutgoingWebhook, only string, at time.Time) (missed []expected, promised []promise) {
	const grace = 5*time.Minute + 2*maxSkew
	w.mu.Lock()
	x := w.expressions[out.ID]
	w.mu.Unlock()
	for _, e := range w.fed(s.id) {
		if !out.Wants(e.Type, e.Environment) || !x.hears(e.Type, e.Environment) {
			continue
		}
		d, err := w.store.Store.Delivery(context.Background(), workspaceID, boathook.NewDeliveryID(&e.Event, out.ID))
		over := err == nil && d.Last.SentAt.Before(at.Add(-2*maxSkew)) && d.Status != boathook.DeliveryRetrying
		switch {
		case err != nil && only != "failed" && at.Sub(e.Published) > grace:
			missed = append(missed, expected{eventAt{e.ID, out.ID}})
		case over && only == "all", over && only == "failed" && d.Status != boathook.DeliverySucceeded:
			promised = append(promised, promise{d.ID, at, d.Attempts})
		}
	}
	return missed, promised
}

// asks notes that a user asks for attempts of what a webhook was sent.
func (w *world) asks(of string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.asked[of]++
}

// feeds checks the feeds of all sources.
func (w *world) feeds(c checker) {
	for _, s := range w.sources {
		p := w.pollers[s.id]
		if p == nil {
			continue
		}
		var order []string
		times := make(map[string]int)
		for _, e := range w.fed(s.id) {
			order = append(order, e.ID)
			if times[e.ID]++; times[e.ID] > 1 {
				c.violated(ruleFed, e.ID, "it is there %d times", times[e.ID])
			}
			c.filtered(e)
		}
		if len(p.seen) > len(order) || !slices.Equal(p.seen, order[:len(p.seen)]) {
			c.violated(ruleFeed, s.id, "it shows %v, and a poller has seen %v", order, p.seen)
		}
		for _, of := range c.published {
			if of.source == s && times[of.id] == 0 {
				c.violated(ruleFed, of.id, "it was published, and is not there")
			}
		}
		for _, r := range w.allRuns() {
			if e, has := r.Event(); has && r.SourceID == s.id && r.Status.Over() && r.Published && times[e.ID] == 0 {
				c.violated(ruleFed, e.ID, "run %s is over, and it is not there", r.ID)
			}
		}
		w.counts["event in a feed"] += len(order)
	}
	w.counts["event that was missing"] += len(c.expected)
	for _, e := range c.expected {
		if len(c.deliveriesOf[e.eventAt]) == 0 && !c.deadPairs[e.eventAt] {
			c.violated(ruleReplayed, e.event, "webhook %s has none", e.webhook)
		}
	}
	for id, attempts := range c.resent {
		if asked := c.asked[id.String()] + c.asked[c.records[id].WebhookID]; len(attempts) > asked {
			c.violated(ruleAsked, id.String(), "it was asked for %d times, and these attempts were queued: %v", asked, attempts)
		}
	}
}

// filtered checks what webhooks were sent of an event. A test's event is not in the feed,
// and not asked of filters.
func (c checker) filtered(e store.FeedEvent) {
	w := c.store.w
	for id, x := range w.expressions {
		for _, d := range c.deliveriesOf[eventAt{e.ID, id}] {
			if !x.hears(e.Type, e.Environment) {
				c.violated(ruleFilter, d.String(), "webhook %s is sent %s of %q", id, e.Type, e.Environment)
			}
			if fault := c.records[d].Fault; (fault != "") != (x.fails == e.Type) {
				c.violated(ruleFault, d.String(), "%s: it has the fault %q", e.Type, fault)
			}
			for _, r := range c.requests[d] {
				if x.transform != "" && !strings.Contains(string(r.body), `"made":"anew"`) {
					c.violated(ruleFilter, d.String(), "webhook %s is sent %s", id, r.body)
				}
			}
		}
	}
}

// faulty checks a delivery whose expression failed.
func (c checker) faulty(d boathook.Delivery, attempts []boathook.Attempt) {
	c.store.w.counts["delivery with a fault"]++
	switch {
	case len(c.requests[d.ID]) > 0:
		c.violated(ruleFault, d.ID.String(), "it was sent %d times", len(c.requests[d.ID]))
	case d.Status == boathook.DeliveryCanceled && !c.throughout(d.WebhookID, c.history[d.WebhookID][0].at, c.now, isEnabled):
	case d.Status != boathook.DeliveryFailed || len(attempts) == 0 || attempts[0].Error != d.Fault:
		c.violated(ruleFault, d.ID.String(), "it is %s, with the attempts %v", d.Status, attempts)
	}
}
