package dialect_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
)

func finishedRun() boathook.Run {
	at := time.Date(2026, 11, 21, 12, 0, 0, 250_000_000, time.UTC)
	return boathook.Run{
		RunHead: boathook.RunHead{
			ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a", VersionNumber: 5,
			Environment: boathook.Production, Trigger: boathook.TriggerWebhook, Status: boathook.RunSucceeded,
			CreatedAt: at, StartedAt: at.Add(time.Second), CompletedAt: at.Add(2 * time.Second),
		},
		Input:  boathook.NewBody(json.RawMessage(`{"z":12345678901234567890123,"a":"<&>"}`)),
		Output: json.RawMessage(`{"ok":true}`),
	}
}

func TestCrewshipBodyIsTheRunWithItsEvent(t *testing.T) {
	succeeded := finishedRun()
	failed := finishedRun()
	failed.Status, failed.Output, failed.Error = boathook.RunFailed, nil, "exit status 3"

	for name, tc := range map[string]struct {
		run  boathook.Run
		want string
	}{
		"succeeded": {succeeded, `{"event":"run.succeeded","run_id":"run_a","deployment_id":"dep_a","version_id":"ver_a","version_number":5,` +
			`"environment":"production","status":"succeeded","input":{"z":12345678901234567890123,"a":"<&>"},"output":{"ok":true},"error_message":null,` +
			`"created_at":"2026-11-21T12:00:00.250Z","started_at":"2026-11-21T12:00:01.250Z","completed_at":"2026-11-21T12:00:02.250Z"}`},
		"failed": {failed, `{"event":"run.failed","run_id":"run_a","deployment_id":"dep_a","version_id":"ver_a","version_number":5,` +
			`"environment":"production","status":"failed","input":{"z":12345678901234567890123,"a":"<&>"},"output":null,"error_message":"exit status 3",` +
			`"created_at":"2026-11-21T12:00:00.250Z","started_at":"2026-11-21T12:00:01.250Z","completed_at":"2026-11-21T12:00:02.250Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			event, ok := tc.run.Event()
			if !ok {
				t.Fatal("the run has no event")
			}
			d, _ := dialect.Lookup(dialect.Crewship)
			body, err := d.Body(boathook.Raw, event)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCrewshipHeaders(t *testing.T) {
	d, _ := dialect.Lookup(dialect.Crewship)
	event, _ := finishedRun().Event()
	m := dialect.Message{
		DeliveryID: boathook.NewDeliveryID(&event, "out_a"),
		EventType:  event.Type,
		SentAt:     time.Unix(1771143284, 0),
		Body:       []byte(`{"event":"run.succeeded"}`),
	}
	mac := func(secret string) string {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(`1771143284.{"event":"run.succeeded"}`))
		return hex.EncodeToString(h.Sum(nil))
	}

	for name, tc := range map[string]struct {
		secrets []string
		want    string
	}{
		"one secret":                {[]string{"whsec_new"}, mac("whsec_new")},
		"overlap, the newest first": {[]string{"whsec_new", "whsec_old"}, mac("whsec_new") + "," + mac("whsec_old")},
	} {
		t.Run(name, func(t *testing.T) {
			want := http.Header{
				"Content-Type":         {"application/json"},
				"User-Agent":           {"Boathook/" + boathook.Release},
				"X-Crewship-Event":     {"run.succeeded"},
				"X-Crewship-Delivery":  {m.DeliveryID.String()},
				"X-Crewship-Timestamp": {"1771143284"},
				"X-Crewship-Signature": {tc.want},
			}
			signature, err := d.Sign(m, tc.secrets...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, d.Header(m, signature)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
