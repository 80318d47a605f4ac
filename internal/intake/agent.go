package intake

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/runs"
	"boathook/internal/seal"
	"boathook/internal/signature"
	"boathook/internal/store"
)

// Prerequisites are what Crewship's agents document asks of a deployment before
// the trigger of agents exists at all.
type Prerequisites struct {
	Execution     bool // runs of agents are executed
	Target        bool // a container provider, or another kind of target, is allowed
	LogStore      bool
	InternalToken bool
}

// Headers of an agent's trigger and its answers (wire formats, section 2).
const (
	Signature   = "X-Signature"
	PlainSecret = "X-Webhook-Secret"
	Timestamp   = "X-Timestamp"
	RunID       = "X-Run-Id"

	deprecation = `version="X-Webhook-Secret"`
)

// Sunset is when X-Webhook-Secret stops working.
var Sunset = time.Date(2026, time.December, 31, 23, 59, 59, 0, time.UTC)

// maxSkew is how far a trigger's timestamp may be from now.
const maxSkew = 300 * time.Second

// The refusals of an agent's trigger, in Crewship's own words.
var (
	errUnauthorized = boathook.Errorf(boathook.Unauthorized, "unauthorized")
	errNoAgent      = boathook.Errorf(boathook.NotFound, "not found")
	errTooLarge     = boathook.Errorf(boathook.TooLarge, "payload too large")
	errStale        = boathook.Errorf(boathook.Invalid, "stale or invalid timestamp")
	errNotJSON      = boathook.Errorf(boathook.Invalid, "invalid JSON")
)

const tooMany = "too many requests"

// triggerAgent serves POST /api/v1/webhooks/{crew}/{agent}/trigger. It does not
// wait for the run's start.
func (in *Intake) triggerAgent(w http.ResponseWriter, r *http.Request) {
	start := in.Now()
	run, err := in.acceptAgent(w.Header(), r, start)
	if err != nil {
		in.refuseAgent(w, r, err)
		return
	}
	in.Log.InfoContext(r.Context(), "trigger accepted", "run_id", run.ID, "source_id", run.SourceID,
		"event", run.EventName, "duration_ms", in.Now().Sub(start).Milliseconds())
	w.Header().Set(RunID, run.ID)
	tellUnrecorded(w, run)
	writeJSON(w, http.StatusAccepted, struct {
		Status string `json:"status"`
	}{"accepted"})
}

// acceptAgent checks in the documented order. It sets those headers of the
// answer that a trigger by plain secret gets.
func (in *Intake) acceptAgent(answer http.Header, r *http.Request, now time.Time) (runs.Started, error) {
	if r.Header.Get(Signature) == "" && r.Header.Get(PlainSecret) == "" {
		return runs.Started{}, errUnauthorized
	}
	agentID := r.PathValue("agent")
	key, keyErr := boathook.ReadIdempotencyKey(r.Header)
	ids := identify(r.Header, agentID, key)
	view, err := in.Store.LookUpAgent(r.Context(), agentID, ids.all()...)
	if err != nil {
		return runs.Started{}, fmt.Errorf("look up agent: %w", err)
	}
	agent := view.Agent
	if agent == nil || agent.Agent.CrewID != r.PathValue("crew") || len(agent.Agent.SealedSecret) == 0 {
		return runs.Started{}, errNoAgent
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, boathook.MaxTriggerBody+1))
	switch {
	case err != nil:
		return runs.Started{}, boathook.Errorf(boathook.Invalid, "the body could not be read")
	case len(body) > boathook.MaxTriggerBody:
		return runs.Started{}, errTooLarge
	}
	if err := in.authenticate(answer, r, *agent, body, now); err != nil {
		return runs.Started{}, err
	}
	if !fresh(r.Header.Get(Timestamp), agent.Agent.RequireTimestamp, now) {
		return runs.Started{}, errStale
	}
	if len(body) == 0 {
		body = boathook.EmptyInput
	}
	if boathook.CheckJSON(body) != nil {
		return runs.Started{}, errNotJSON
	}
	if keyErr != nil {
		return runs.Started{}, keyErr
	}
	m, err := in.find(r.Context(), ids, view)
	if err != nil {
		return runs.Started{}, err
	}
	live, ok := view.Live[boathook.Production]
	if !ok && m.existing == nil {
		return runs.Started{}, errNoAgent
	}
	if m, err = in.pin(r.Context(), ids, m); err != nil {
		return runs.Started{}, err
	}

	payload := boathook.ParseAgentPayload(body)
	return in.admit(r.Context(), m, boathook.Run{
		RunHead: boathook.RunHead{
			ID: m.id, WorkspaceID: agent.WorkspaceID, SourceID: agent.ID,
			VersionID: live.ID, VersionNumber: live.Number, Environment: boathook.Production,
			Trigger: boathook.TriggerWebhook, InputHash: boathook.HashInput(body), CreatedAt: now, Status: boathook.RunPending,
			EventName: boathook.Label(payload.Event), EventSource: boathook.Label(payload.Source),
		},
		Input: body,
	}, view)
}

// authenticate checks the signature or, without one, the plain secret.
func (in *Intake) authenticate(answer http.Header, r *http.Request, agent boathook.Source, body []byte, now time.Time) error {
	secret, err := in.Seal.Open(r.Context(), agent.WorkspaceID, seal.AgentSecret(agent.ID), agent.Agent.SealedSecret)
	if err != nil {
		return fmt.Errorf("open the secret of agent %s: %w", agent.ID, err)
	}
	if given := r.Header.Get(Signature); given != "" {
		if !signature.VerifyAgent(given, string(secret), r.Header.Get(Timestamp), body) {
			return errUnauthorized
		}
		return nil
	}
	if now.After(Sunset) && !agent.Agent.KeepPlainSecret ||
		subtle.ConstantTimeCompare([]byte(r.Header.Get(PlainSecret)), secret) != 1 {
		return errUnauthorized
	}
	answer.Set("Deprecation", deprecation)
	answer.Set("Sunset", Sunset.Format(http.TimeFormat))
	return nil
}

// fresh checks a trigger's timestamp, in Unix seconds.
func fresh(timestamp string, required bool, now time.Time) bool {
	if timestamp == "" {
		return !required
	}
	seconds, err := strconv.ParseUint(timestamp, 10, 63) // takes digits only
	if err != nil {
		return false
	}
	// In seconds: the age of a time far away does not fit a Duration.
	return math.Abs(float64(now.Unix()-int64(seconds))) <= maxSkew.Seconds()
}

// admit starts a run if the agent's limits allow it. A trigger that is repeated
// counts once: its run has a place already. Only one that still waits may have none,
// if its first trigger was refused and its record could not be removed.
func (in *Intake) admit(ctx context.Context, m match, run boathook.Run, view store.AgentView) (runs.Started, error) {
	waits := m.existing == nil || m.existing.Status == boathook.RunPending
	if waits {
		limit := store.Limit{RatePerMinute: view.Agent.Agent.RatePerMinute, MaxInFlight: view.Agent.Agent.MaxInFlight}
		if err := in.Store.Admit(ctx, run.SourceID, run.ID, limit, view.Load, run.CreatedAt); err != nil {
			return runs.Started{}, err
		}
	}
	var started runs.Started
	var err error
	if m.ofThis {
		started, err = in.Runs.Start(ctx, run, runs.Wait{})
	} else {
		started, err = in.Runs.StartOnce(ctx, run, m.existing, runs.Wait{})
	}
	_, held := view.Load.InFlight[run.ID] // by another trigger, which may have been accepted
	if waits && !held && boathook.IsKind(err, boathook.Unavailable) {
		in.release(ctx, run)
	}
	return started, err
}

// release gives back the place of a run that was not accepted. It is left to a run
// that has a record: that is of a trigger which was accepted meanwhile, or could not
// be removed. A place that is not given back is free when it expires.
func (in *Intake) release(ctx context.Context, run boathook.Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := in.Store.RunHead(ctx, run.ID)
	if boathook.IsKind(err, boathook.NotFound) {
		err = in.Store.Release(ctx, run.SourceID, run.ID)
	}
	if err != nil {
		in.Log.ErrorContext(ctx, "place of a refused run left behind", "run_id", run.ID, "error", err)
	}
}

// refuseAgent answers as Crewship does: in plain text, by a line.
func (in *Intake) refuseAgent(w http.ResponseWriter, r *http.Request, err error) {
	refusal := in.refusal(r.Context(), err)
	message := refusal.Message
	wait := refusal.RetryAfter
	switch refusal.Kind {
	case boathook.Limited:
		message = tooMany
	case boathook.Unavailable:
		wait = time.Second
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	http.Error(w, message, refusal.Kind.Status())
}
