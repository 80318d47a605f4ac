package service_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/store"
)

// textOf gives a secret.
func textOf(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

// pins is a store that has every app, and keeps what events are pinned by.
type pins struct {
	service.Store
	kept map[string][sha256.Size]byte
}

func (s pins) Source(_ context.Context, workspaceID, id string) (boathook.Source, error) {
	return boathook.Source{ID: id, WorkspaceID: workspaceID, Kind: boathook.App}, nil
}

func (s pins) PinEvent(_ context.Context, p store.EventPin) (store.EventPin, error) {
	s.kept[p.ID] = p.Hash
	return p, nil
}

func (s pins) MarkEventPublished(context.Context, string, string, []int) error { return nil }

// nowhere publishes to nobody.
type nowhere struct{ service.Publisher }

func (nowhere) PublishAll(_ context.Context, events ...boathook.Event) ([]int, error) {
	return make([]int, len(events)), nil
}

// What is stored tells a repeated event from another one: a hash that changes would
// refuse the repeats of what was published before.
func TestTheHashOfAnEventStays(t *testing.T) {
	kept := pins{kept: map[string][sha256.Size]byte{}}
	s := service.New(service.Config{Store: kept, Publish: nowhere{}, Now: func() time.Time { return time.UnixMilli(0) }})
	const data = `{"id":"<&>","appId":"a","appBuildId":null,"appChannelId":null,"appDestinationId":null,"jobId":null,"rolloutPercentage":0.50,"createdAt":1,"updatedAt":1}`
	caller := service.Caller{Workspace: "ws_a", Role: boathook.Member}
	event := service.NewEvent{Source: "app_a", Type: boathook.EventAppDeploymentCreated, Environment: boathook.Staging, Data: json.RawMessage(data)}

	const without = `"source":"app_a","type":"app_deployment_created","environment":"staging","data":` + data + `}`
	for id, want := range map[string]string{
		"evt_own": `{"id":"evt_own",` + without,
		"":        `[{"id":"",` + without + `]`,
	} {
		event.ID = id
		published, err := s.Events.Publish(t.Context(), caller, []service.NewEvent{event}, "a key")
		if err != nil {
			t.Fatal(err)
		}
		if got := kept.kept[published[0].ID]; got != sha256.Sum256([]byte(want)) {
			t.Errorf("the event of the id %q is not pinned by the hash of %s", id, want)
		}
	}
}
