// Package intake answers triggers: the HTTP requests that start runs. It has
// one job and no admin rights, and it is done when the run is durable.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Store is the part of the store that intake needs.
type Store interface {
	LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error)
	LookUpAgent(ctx context.Context, agentID, runID string) (store.AgentView, error)
	store.Loads
}

// Opener decrypts agents' secrets.
type Opener interface {
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Starter makes a run durable; see package runs.
type Starter interface {
	Start(ctx context.Context, r boathook.Run, existing *boathook.RunHead, wait time.Duration) (boathook.RunHead, error)
}

// Intake is the room. All fields are required.
type Intake struct {
	Store Store
	Runs  Starter
	Seal  Opener
	// Agents tells whether agents can be triggered here.
	Agents Prerequisites
	Now    func() time.Time
	Log    *slog.Logger
}

// IdempotencyKey is the header that makes a repeated trigger safe.
const IdempotencyKey = "Idempotency-Key"

// Handler serves POST /webhooks/runs/{token} (wire formats, section 1) and,
// where agents can be triggered, their trigger (section 2).
func (in *Intake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/runs/{token}", in.trigger)
	if in.Agents == (Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true}) {
		mux.HandleFunc("POST /api/v1/webhooks/{crew}/{agent}/trigger", in.triggerAgent)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, "not found")
	})
	mux.HandleFunc("/webhooks/runs/{token}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, http.StatusMethodNotAllowed, "a run is triggered with POST")
	})
	return mux
}

// accepted is the answer to a trigger that started a run.
type accepted struct {
	RunID         string             `json:"run_id"`
	VersionID     string             `json:"version_id"`
	VersionNumber int                `json:"version_number"`
	Status        boathook.RunStatus `json:"status"`
}

func (in *Intake) trigger(w http.ResponseWriter, r *http.Request) {
	start := in.Now()
	head, err := in.accept(r, start)
	if err != nil {
		in.refuse(w, r, err)
		return
	}
	in.Log.InfoContext(r.Context(), "trigger accepted", "run_id", head.ID, "source_id", head.SourceID,
		"webhook_id", head.WebhookID, "status", head.Status, "duration_ms", in.Now().Sub(start).Milliseconds())
	writeJSON(w, http.StatusAccepted, accepted{head.ID, head.VersionID, head.VersionNumber, head.Status})
}

// errNoWebhook answers unknown, malformed and disabled tokens alike, so that
// a token can't be probed.
var errNoWebhook = boathook.Errorf(boathook.NotFound, "webhook not found")

// accept checks in the documented order: 404, 413, 400, 409, 503.
func (in *Intake) accept(r *http.Request, now time.Time) (boathook.RunHead, error) {
	token, ok := boathook.ParseURLToken(r.PathValue("token"))
	if !ok {
		return boathook.RunHead{}, errNoWebhook
	}
	body, bodyErr := readBody(r)
	key := r.Header.Get(IdempotencyKey)
	run := boathook.Run{RunHead: boathook.RunHead{ID: boathook.NewID(boathook.RunID)}, Input: body}
	lookUp := "" // a random id has no earlier run
	if key != "" && len(key) <= boathook.MaxIdempotencyKey {
		run.ID = boathook.DeriveID(boathook.RunID, token.WebhookID, key)
		lookUp = run.ID
	}

	view, err := in.Store.LookUpTrigger(r.Context(), token.SourceID, token.WebhookID, lookUp)
	if err != nil {
		return boathook.RunHead{}, fmt.Errorf("look up trigger: %w", err)
	}
	webhook := view.Webhook
	if webhook == nil || !webhook.Matches(token) || !webhook.Enabled {
		return boathook.RunHead{}, errNoWebhook
	}
	if bodyErr != nil {
		return boathook.RunHead{}, bodyErr
	}
	if len(key) > boathook.MaxIdempotencyKey {
		return boathook.RunHead{}, boathook.Errorf(boathook.Invalid, "%s is longer than %d bytes", IdempotencyKey, boathook.MaxIdempotencyKey)
	}
	if err := boathook.CheckJSON(body); err != nil {
		return boathook.RunHead{}, err
	}
	live, ok := view.Live[webhook.Environment]
	if !ok && view.Run == nil {
		return boathook.RunHead{}, boathook.NoRunningVersion(webhook.Environment)
	}

	run.RunHead = boathook.RunHead{
		ID: run.ID, WorkspaceID: webhook.WorkspaceID, SourceID: webhook.SourceID,
		VersionID: live.ID, VersionNumber: live.Number, Environment: webhook.Environment,
		Trigger: boathook.TriggerWebhook, WebhookID: webhook.ID,
		InputHash: boathook.HashInput(body), CreatedAt: now, Status: boathook.RunPending,
	}
	return in.Runs.Start(r.Context(), run, view.Run, webhook.WaitForStart)
}

// readBody reads the run's input: an empty body is the empty object.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, boathook.MaxTriggerBody+1))
	switch {
	case err != nil:
		return nil, boathook.Errorf(boathook.Invalid, "the body could not be read")
	case len(body) > boathook.MaxTriggerBody:
		return nil, boathook.Errorf(boathook.TooLarge, "the body is larger than %d KiB", boathook.MaxTriggerBody>>10)
	case len(body) == 0:
		return boathook.EmptyInput, nil
	}
	return body, nil
}

func (in *Intake) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var known *boathook.Error
	if !errors.As(err, &known) {
		// The store failed before anything was done: the sender may repeat.
		in.Log.ErrorContext(r.Context(), "trigger failed", "error", err)
		known = boathook.Errorf(boathook.Unavailable, "the run could not be made durable, try again")
	}
	if known.Kind == boathook.Unavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeError(w, known.Kind.Status(), known.Message)
}

func writeError(w http.ResponseWriter, status int, message string) {
	type body struct {
		Message string `json:"message"`
	}
	writeJSON(w, status, struct {
		Error body `json:"error"`
	}{body{message}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := boathook.EncodeJSON(v)
	if err != nil {
		panic(err) // structs of strings and numbers always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}
