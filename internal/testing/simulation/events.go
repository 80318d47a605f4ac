package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
)

// publication is an event that users publish.
type publication struct {
	id     string // the event's
	source *source
	kind   boathook.EventType
	env    boathook.Environment
	mark   string // which only its data holds
	from   time.Time
	until  time.Time // when it was first accepted
}

// request is one of publishing, which may be repeated.
type publishing struct {
	body   string
	key    string
	events []publication
	began  time.Time // when it was first sent
}

// event makes an event, with an id of its own or without. Its data is the
// catalogue's example, but for a mark.
func (u *users) event(r *rand.Rand, withID bool) (publication, json.RawMessage) {
	s := pick(r, u.w.of(boathook.Repository, boathook.App))
	p := publication{
		source: s, kind: pick(r, boathook.EventTypes[s.kind]), mark: fmt.Sprintf("%08x", r.Uint32()),
		env: pick(r, []boathook.Environment{"", boathook.Production, boathook.Staging}),
	}
	t, _ := catalogue.Lookup(s.kind, p.kind)
	marked := map[boathook.SourceKind][2]string{
		boathook.Repository: {"Revert test commit", "Revert " + p.mark},
		boathook.App:        {`{"id":"`, `{"id":"` + p.mark},
	}[s.kind]
	data := bytes.Replace(t.Example, []byte(marked[0]), []byte(marked[1]), 1)
	if s.kind == boathook.App { // the id keeps its length
		data = append(data[:len(`{"id":"`)+len(p.mark)], data[len(`{"id":"`)+2*len(p.mark):]...)
	}
	in := map[string]any{"source": s.id, "type": p.kind, "data": json.RawMessage(data)}
	if p.env != "" {
		in["environment"] = p.env
	}
	if withID {
		p.id = fmt.Sprintf("event-%d", r.Uint64())
		in["id"] = p.id
	}
	text, err := boathook.EncodeJSON(in)
	must(err)
	return p, text
}

// publish publishes an event or a few, with ids or a key or neither, perhaps twice.
func (u *users) publish(r *rand.Rand) {
	if !u.w.plan.events {
		return
	}
	withIDs := r.IntN(2) == 0
	p := &publishing{began: time.Now()}
	var texts []string
	for range pick(r, []int{1, 1, 3}) {
		e, text := u.event(r, withIDs)
		p.events = append(p.events, e)
		texts = append(texts, string(text))
	}
	p.body = `{"events":[` + strings.Join(texts, ",") + `]}`
	if len(texts) == 1 {
		p.body = texts[0]
	}
	if r.IntN(2) == 0 {
		p.key = fmt.Sprintf("key-%d", r.Uint32())
	}
	if withIDs || p.key != "" {
		u.mu.Lock()
		u.publishings = append(u.publishings, p)
		u.mu.Unlock()
	}
	u.putOut(p)
	if (withIDs || p.key != "") && r.IntN(3) == 0 {
		u.putOut(p)
	}
}

// publishAgain repeats what was published, once in a while with other content.
func (u *users) publishAgain(r *rand.Rand) {
	u.mu.Lock()
	known := u.publishings
	u.mu.Unlock()
	if len(known) == 0 {
		return
	}
	p := pick(r, known)
	if r.IntN(4) > 0 {
		u.putOut(p)
		return
	}
	other := strings.Replace(p.body, p.events[0].mark, "00000000", 1)
	if a := u.post("/v1/events", other, p.key); a.status == http.StatusAccepted && p.accepted(u.w) {
		u.w.violated(ruleSameKey, p.events[0].id, "other content was accepted under its id or key")
	}
}

// putOut sends a request, and notes what was accepted.
func (u *users) putOut(p *publishing) {
	a := u.post("/v1/events", p.body, p.key)
	if a.status != http.StatusAccepted {
		return
	}
	var answer struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	must(json.Unmarshal(a.body, &answer))
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	for i := range p.events {
		e := &p.events[i]
		if e.id == "" {
			e.id = answer.Events[i].ID
		}
		if e.id != answer.Events[i].ID {
			u.w.ledger.violated(ruleSameKey, e.id, "its repetition is called %s", answer.Events[i].ID)
		}
		if e.until.IsZero() {
			e.from, e.until = p.began, time.Now()
			u.w.ledger.published = append(u.w.ledger.published, *e)
		}
	}
}

// accepted reports whether the user knows that all was accepted.
func (p *publishing) accepted(w *world) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !p.events[0].until.IsZero()
}

// What must hold of published events once the world is at rest.
const (
	rulePublication = "an accepted event has a finished delivery for each webhook, or a dead message"
	ruleContent     = "a raw body holds what was published"
)

// publication checks one that was accepted.
func (c checker) publication(p publication) {
	for _, id := range c.webhooks {
		wants := func(w *boathook.OutgoingWebhook) bool {
			return w.SourceID == p.source.id && w.Wants(p.kind, p.env) && c.store.w.expressions[w.ID].hears(p.kind, p.env)
		}
		if !c.throughout(id, p.from, p.until, wants) {
			continue
		}
		pair := eventAt{p.id, id}
		deliveries := c.deliveriesOf[pair]
		if len(deliveries) == 0 {
			if !c.deadPairs[pair] {
				c.violated(rulePublication, p.id, "no delivery to %s", id)
			}
			continue
		}
		d := deliveries[0]
		c.delivery(d)
		if w := c.last(id); w.Format == boathook.Raw && !bytes.Contains(c.records[d].Body.Bytes(), []byte(p.mark)) {
			c.violated(ruleContent, d.String(), "%s is not in %s", p.mark, c.records[d].Body)
		}
	}
}
