package intake

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// identity is what an agent's trigger is known by when it comes again. Each part
// is the id of the run that the trigger starts if nothing says otherwise.
//
// A trigger that is signed with a timestamp is known by its signature: whoever
// has captured it can send it again within the timestamp's tolerance, and give it
// another key, since the signature does not cover that. Its sender may repeat it
// with the same key and a later timestamp, which makes another signature. So the
// key is pinned to the run of the signature that it came with first, and the
// signatures of the repeats are pinned to that run too.
//
// A key that comes with a known signature is not pinned. Otherwise whoever has captured
// a trigger could use up its sender's keys. The price: if the captured copy is accepted
// first, with another key, the sender's own key is not pinned. Sent again with a later
// timestamp, it starts a second run.
//
// A preset's own id of the delivery counts in place of a key, whatever the key says
// where the signature covers the id.
//
// A signature over the body alone says nothing: a schedule may send one body each
// minute. Such a trigger, and one with the plain secret, is known by its key, and
// by its body too for as long as the agent's dedupe_seconds say.
type identity struct {
	signature string // or of the body, or of the signed delivery; empty: none of them counts
	key       string // empty: it has no key
}

func identify(h http.Header, agentID, key string) (ids identity) {
	// The only form that is accepted of a signature is lower-case hex.
	if signature := h.Get(Signature); signature != "" && h.Get(Timestamp) != "" {
		ids.signature = boathook.DeriveID(boathook.RunID, agentID, "signature", signature)
	}
	if key != "" {
		ids.key = boathook.DeriveID(boathook.RunID, agentID, key)
	}
	return ids
}

// with is the identity of a trigger that has told its delivery.
func (ids identity) with(agentID string, t told, key string) identity {
	if t.byDelivery(key) {
		ids.key = boathook.DeriveID(boathook.RunID, agentID, "delivery", t.delivery)
	}
	return ids
}

// lookAgain adds to a view what could not be asked for before the body was read: the
// run of the delivery, and of the same body lately.
//
// A run's id follows from its body and from the interval in which it was accepted, of
// dedupe_seconds each. So the last run of a body is of this interval or the one
// before. Of two that come at once, at the end of one interval and the beginning of
// the next, both may start a run.
func (in *Intake) lookAgain(r request, agent boathook.Source, ids *identity, view store.AgentView, t told) error {
	if t.byDelivery(r.key) {
		head, err := in.existing(r.Context(), ids.key)
		if err != nil {
			return err
		}
		if head != nil {
			view.Runs[ids.key] = *head
		}
	}
	seconds := int64(agent.Agent.DedupeSeconds)
	_, run := view.Runs[ids.key]
	_, pinned := view.Pinned[ids.key]
	if seconds == 0 || ids.signature != "" || t.signed || run || pinned {
		return nil
	}
	hash := boathook.HashInput(t.input)
	interval := r.at.Unix() / seconds
	id := func(interval int64) string {
		return boathook.DeriveID(boathook.RunID, agent.ID, "body", strconv.FormatInt(seconds, 10), strconv.FormatInt(interval, 10), string(hash[:]))
	}
	ids.signature = id(interval)
	for _, id := range []string{id(interval), id(interval - 1)} {
		head, err := in.existing(r.Context(), id)
		if err != nil {
			return err
		}
		if head != nil && r.at.Sub(head.CreatedAt) < time.Duration(seconds)*time.Second {
			ids.signature, view.Runs[id] = id, *head
			return nil
		}
	}
	return nil
}

// all are the ids, that of the signature first.
func (ids identity) all() (all []string) {
	for _, id := range []string{ids.signature, ids.key} {
		if id != "" {
			all = append(all, id)
		}
	}
	return all
}

// match is the run that a trigger starts, or has started before.
type match struct {
	id       string
	existing *boathook.RunHead // nil: it was not created yet
	known    bool              // by the signature: there is nothing to pin
	ofThis   bool              // no trigger with another body can have the id
}

// find looks for the run that the trigger has started before. Conflict: its key
// stands for another run than its signature does. This happens when somebody captures
// the trigger, and sends it first with another key.
func (in *Intake) find(ctx context.Context, ids identity, view store.AgentView) (match, error) {
	var found []match
	for _, id := range ids.all() {
		m := match{id: id, known: id == ids.signature}
		if head, ok := view.Runs[id]; ok {
			m.existing = &head
		} else if pinned, ok := view.Pinned[id]; ok {
			m.id = pinned
		} else {
			continue
		}
		found = append(found, m)
	}
	switch {
	case len(found) == 0:
		return match{id: cmp.Or(ids.signature, ids.key, boathook.NewID(boathook.RunID)), ofThis: ids.key == ""}, nil
	case found[0].id != found[len(found)-1].id:
		return match{}, boathook.Errorf(boathook.Conflict, "the idempotency key stands for another trigger's run")
	}
	m := found[0]
	if m.existing != nil {
		return m, nil
	}
	var err error
	m.existing, err = in.existing(ctx, m.id)
	return m, err
}

// existing is the head of a run that may not have been created: its first trigger
// ended between the pin and the run, or was refused.
func (in *Intake) existing(ctx context.Context, id string) (*boathook.RunHead, error) {
	head, err := in.Store.RunHead(ctx, id)
	if boathook.IsKind(err, boathook.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up run: %w", err)
	}
	return &head, nil
}

// pin makes the key of a trigger with a signature stand for its run, and the
// signature too where the run is that of another. Of two triggers that pin a key
// at once, the first to come has the run.
func (in *Intake) pin(ctx context.Context, ids identity, m match) (match, error) {
	if ids.signature == "" || ids.key == "" || m.known {
		return m, nil
	}
	if m.id == ids.signature {
		var err error
		if m, err = in.pinTo(ctx, ids.key, m); err != nil || m.id == ids.signature {
			return m, err
		}
	}
	return in.pinTo(ctx, ids.signature, m)
}

// pinTo makes an id stand for a run, unless it stands for another already.
func (in *Intake) pinTo(ctx context.Context, id string, m match) (match, error) {
	pinned, err := in.Store.PinRun(ctx, id, m.id)
	if err != nil {
		return m, fmt.Errorf("pin a trigger to its run: %w", err)
	}
	if pinned != m.id {
		m.id = pinned
		m.existing, err = in.existing(ctx, pinned)
	}
	return m, err
}
