package api_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// locked seals, and opens nothing: the key is gone, or what it sealed is damaged.
type locked struct{ sealer }

func (locked) Open(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errors.New("not authentic")
}

func TestWebhooksAreListedThoughTheirHeadersCantBeOpened(t *testing.T) {
	a := newAPI(t, func(c *config) { c.Seal = locked{} })
	webhooks := a.deployment() + "/outgoing-webhooks"
	made := a.ask(201, "POST", webhooks, `{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging","headers":{"X-B":"1","x-a":"2"}}`)
	want := map[string]any{"X-B": "********", "x-a": "********"}
	for _, shown := range []object{made, a.ask(200, "GET", webhooks, "").list("data")[0], a.ask(200, "GET", webhooks+"/"+made.text("id"), "")} {
		if got := shown["headers"]; !reflect.DeepEqual(got, want) {
			t.Errorf("headers %v, want %v", got, want)
		}
	}
	a.ask(200, "PATCH", webhooks+"/"+made.text("id"), `{"headers":{}}`)
	if got := a.ask(200, "GET", webhooks, "").list("data")[0]["headers"]; !reflect.DeepEqual(got, map[string]any{}) {
		t.Errorf("without headers: %v", got)
	}
}

// incomplete is a store in which one of the webhooks of each source can't be read.
type incomplete struct{ store.Store }

func (s incomplete) AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	all, err := s.Store.AllOutgoing(ctx, sourceID)
	return all, errors.Join(err, store.ErrIncomplete)
}

func TestWebhooksAreListedThoughOneOfThemCantBeRead(t *testing.T) {
	a := newAPI(t, func(c *config) { c.Store = incomplete{c.Store.(store.Store)} })
	deployment := a.deployment()
	a.outgoing(deployment)
	if got := a.ask(200, "GET", deployment+"/outgoing-webhooks", "").list("data"); len(got) != 1 {
		t.Errorf("a deployment has %v", got)
	}
	webhooks, _ := a.app()
	a.appWebhook(webhooks)
	if got := a.array(webhooks); len(got) != 1 {
		t.Errorf("an app has %v", got)
	}
}
