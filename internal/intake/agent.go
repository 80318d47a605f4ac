package intake

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/preset"
	"boathook/internal/run"
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
	Signature   = boathook.AgentSignature
	PlainSecret = boathook.AgentPlainSecret
	Timestamp   = boathook.AgentTimestamp
	RunID       = "X-Run-Id"

	deprecation = `version="` + PlainSecret + `"`
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

// refused is an error that the sender is told in Crewship's few words, and that the
// agent's log explains.
type refused struct {
	error
	reason string
}

func (r refused) Unwrap() error { return r.error }

func because(answer error, format string, args ...any) error {
	return refused{answer, fmt.Sprintf(format, args...)}
}

// reasonOf is what the log says of an error that was answered with a refusal.
func reasonOf(err error, refusal *boathook.Error) string {
	if r, ok := errors.AsType[refused](err); ok {
		return r.reason
	}
	return refusal.Message
}

// triggerAgent serves POST /api/v1/webhooks/{crew}/{agent}/trigger. It does not
// wait for the run's start.
func (in *Intake) triggerAgent(w http.ResponseWriter, r *http.Request) {
	req := read(r, in.Now())
	view, ids, err := in.lookUpAgent(req)
	var res result
	if err == nil {
		res, err = in.acceptAgent(w.Header(), req, view, ids)
	}
	status := http.StatusAccepted
	switch {
	case err != nil:
		refusal := in.refusal(r.Context(), err)
		refuseAgent(w, refusal)
		status, res = refusal.Kind.Status(), result{outcome: boathook.RequestRejected, reason: reasonOf(err, refusal)}
	case res.outcome == boathook.RequestAnswered:
		status = res.answer.Status
		writeAnswer(w, res.answer)
	default:
		in.Log.InfoContext(r.Context(), "trigger accepted", "run_id", res.run.ID, "source_id", res.run.SourceID,
			"event", res.run.EventName, "outcome", res.outcome, "duration_ms", in.Now().Sub(req.at).Milliseconds())
		in.Metrics.Observe(metrics.TriggerAccepted, in.Now().Sub(req.at))
		w.Header().Set(RunID, res.run.ID)
		tellUnrecorded(w, res.run)
		if res.answer != nil {
			status = res.answer.Status
			writeAnswer(w, res.answer)
			break
		}
		writeJSON(w, status, struct {
			Status string `json:"status"`
		}{"accepted"})
	}
	if a := view.Agent; a != nil && a.Agent.CrewID == r.PathValue("crew") {
		in.keep(req, receiver{a.WorkspaceID, a.ID, a.ID}, res, status)
	}
}

// checkAgent answers a sender that asks, before it sends anything, whether the URL is
// there. It starts nothing. Who brings no credential learns of agents with a preset
// only: those alone take the requests of senders that have neither header.
func (in *Intake) checkAgent(w http.ResponseWriter, r *http.Request) {
	var sender *preset.Sender
	view, _, err := in.lookUpAgent(request{Request: r})
	if err == nil {
		sender, err = senderOfAgent(view.Agent.ID, view.Agent.Agent.Verification)
	}
	in.answerCheck(w, r, sender, err, refuseAgent)
}

// senderOfAgent is the preset that an agent names, with its settings. An error is no
// fault of the request: an agent is stored with a preset that exists.
func senderOfAgent(agentID string, v boathook.Verification) (*preset.Sender, error) {
	sender, err := preset.New(v)
	if err != nil {
		return nil, errors.New("agent " + agentID + ": " + err.Error())
	}
	return sender, nil
}

// byHeaders reports whether a trigger proves itself by one of the document's two
// headers, not by the agent's preset.
func byHeaders(h http.Header) bool { return h.Get(Signature) != "" || h.Get(PlainSecret) != "" }

// lookUpAgent finds the agent that the path names, with what is known of the
// trigger's headers.
func (in *Intake) lookUpAgent(r request) (view store.AgentView, ids identity, err error) {
	agentID := r.PathValue("agent")
	ids = identify(r.Header, agentID, r.key)
	if view, err = in.Store.LookUpAgent(r.Context(), agentID, ids.all()...); err != nil {
		return view, ids, fmt.Errorf("look up agent: %w", err)
	}
	known := view.Agent != nil && view.Agent.Agent.CrewID == r.PathValue("crew")
	switch {
	case !byHeaders(r.Header) && !(known && view.Agent.Agent.Verification.IsSet()):
		return view, ids, because(errUnauthorized, "neither %s nor %s is given", Signature, PlainSecret)
	case !known:
		return view, ids, errNoAgent
	case len(view.Agent.Agent.SealedSecret) == 0:
		return view, ids, because(errNoAgent, "the agent has no webhook secret")
	}
	return view, ids, nil
}

// acceptAgent checks in the documented order. It sets those headers of the
// answer that a trigger by plain secret gets.
func (in *Intake) acceptAgent(answer http.Header, r request, view store.AgentView, ids identity) (result, error) {
	agent := view.Agent
	if max(len(r.wire), len(r.body)) > boathook.MaxAgentBody || boathook.IsKind(r.bodyErr, boathook.TooLarge) {
		return result{}, because(errTooLarge, "the body is larger than %d KiB", boathook.MaxAgentBody>>10)
	}
	told, err := in.authenticate(answer, r, *agent)
	if err != nil {
		return result{}, err
	}
	if r.keyErr != nil {
		return result{}, r.keyErr
	}
	if told.handshake != nil {
		return result{outcome: boathook.RequestAnswered, answer: told.handshake}, nil
	}
	ids = ids.with(agent.ID, told, r.key)
	if err := in.lookAgain(r, *agent, &ids, view, told); err != nil {
		return result{}, err
	}
	m, err := in.find(r.Context(), ids, view)
	if err != nil {
		return result{}, err
	}
	live, ok := view.Live[boathook.Production]
	if !ok && m.existing == nil {
		return result{}, because(errNoAgent, "the agent has no version that is live")
	}
	if m, err = in.pin(r.Context(), ids, m); err != nil {
		return result{}, err
	}
	started, err := in.admit(r.Context(), m, boathook.Run{
		RunHead: boathook.RunHead{
			ID: m.id, WorkspaceID: agent.WorkspaceID, SourceID: agent.ID,
			VersionID: live.ID, VersionNumber: live.Number, Environment: boathook.Production,
			Trigger: boathook.TriggerWebhook, InputHash: boathook.HashInput(told.input), CreatedAt: r.at, Status: boathook.RunPending,
			EventName: boathook.Label(told.event), EventSource: boathook.Label(told.source), Fenced: agent.Agent.FencePayload,
			Details: told.details,
		},
		Input: boathook.NewBody(told.input),
	}, view, told.byDelivery(r.key))
	if err != nil {
		return result{}, err
	}
	outcome := boathook.RequestAccepted
	if m.existing != nil || !started.CreatedAt.Equal(r.at) {
		outcome = boathook.RequestRepeated
	}
	return result{outcome: outcome, run: started, answer: told.accepted}, nil
}

// told is what a trigger says that has proved itself.
type told struct {
	input         []byte
	event, source string
	details       boathook.TriggerDetails
	handshake     *preset.Answer // the answer to one that only asks whether somebody is there
	accepted      *preset.Answer // what its sender wants to be told; nil: the usual
	delivery      string         // a preset's own id of the delivery; empty if it has none
	signed        bool           // the signature covers that id
}

// byDelivery reports whether the delivery's id tells of a repetition: the signed one
// always, another where there is no key.
func (t told) byDelivery(key string) bool { return t.delivery != "" && (t.signed || key == "") }

// authenticate checks who has sent a trigger, its timestamp, and that its body is
// JSON.
func (in *Intake) authenticate(answer http.Header, r request, agent boathook.Source) (told, error) {
	if !byHeaders(r.Header) {
		return in.byPreset(r, agent)
	}
	if err := in.byDocument(answer, r, agent); err != nil {
		return told{}, err
	}
	if err := fresh(r.Header.Get(Timestamp), agent.Agent.RequireTimestamp, r.at); err != nil {
		return told{}, err
	}
	input, err := agentInput(r)
	payload := boathook.ParseAgentPayload(input)
	var reading preset.Reading
	if payload.Event != boathook.Unknown {
		reading.Event = payload.Event
	}
	return told{input: input, event: payload.Event, source: payload.Source, details: detailsOf(r, reading)}, err
}

func agentInput(r request) ([]byte, error) {
	if r.bodyErr != nil {
		return nil, because(errNotJSON, "%s", r.bodyErr)
	}
	if len(r.body) == 0 {
		return boathook.EmptyInput, nil
	}
	if err := boathook.CheckJSON(r.body); err != nil {
		return nil, because(errNotJSON, "%s", err)
	}
	return r.body, nil
}

// byDocument checks the signature or, without one, the plain secret.
func (in *Intake) byDocument(answer http.Header, r request, agent boathook.Source) error {
	secret, err := in.Seal.Open(r.Context(), agent.WorkspaceID, seal.AgentSecret(agent.ID), agent.Agent.SealedSecret)
	if err != nil {
		return fmt.Errorf("open the secret of agent %s: %w", agent.ID, err)
	}
	if given := r.Header.Get(Signature); given != "" {
		if !signature.VerifyAgent(given, string(secret), r.Header.Get(Timestamp), r.wire) {
			return because(errUnauthorized, "%s", whyWrong(given, r.Header.Get(Timestamp) != ""))
		}
		return nil
	}
	if r.at.After(Sunset) && !agent.Agent.KeepPlainSecret {
		return because(errUnauthorized, "%s is not taken since %s", PlainSecret, Sunset.Format(time.DateOnly))
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(PlainSecret)), secret) != 1 {
		return because(errUnauthorized, "%s is not the agent's", PlainSecret)
	}
	answer.Set("Deprecation", deprecation)
	answer.Set("Sunset", Sunset.Format(http.TimeFormat))
	return nil
}

// whyWrong says what is wrong with a signature, as far as it can be told without
// the secret.
func whyWrong(given string, timestamped bool) string {
	const form = "64 lower-case hex digits"
	switch {
	case len(given) != 64 || strings.Trim(given, "0123456789abcdef") != "":
		return fmt.Sprintf("%s is not of the form %s, without a prefix", Signature, form)
	case timestamped:
		return fmt.Sprintf("%s is not that of %s, a dot and the body with the agent's secret", Signature, Timestamp)
	}
	return Signature + " is not that of the body with the agent's secret"
}

// byPreset reads a trigger as the agent's preset says, with the preset's own secret or
// else the agent's.
func (in *Intake) byPreset(r request, agent boathook.Source) (told, error) {
	if r.bodyErr != nil {
		return told{}, because(errNotJSON, "%s", r.bodyErr)
	}
	v, subject := agent.Agent.Verification, seal.AgentSender(agent.ID)
	if len(v.SealedSecret) == 0 {
		v.SealedSecret, subject = agent.Agent.SealedSecret, seal.AgentSecret(agent.ID)
	}
	sender, err := senderOfAgent(agent.ID, v)
	switch {
	case err != nil:
		return told{}, err
	case !sender.Verifies():
		return told{}, because(errUnauthorized, "the preset %s proves nothing", v.Preset)
	}
	secret, err := in.Seal.Open(r.Context(), agent.WorkspaceID, subject, v.SealedSecret)
	if err != nil {
		return told{}, fmt.Errorf("open the secret of agent %s: %w", agent.ID, err)
	}
	reading, err := in.readBy(r, sender, secret)
	switch {
	case boathook.IsKind(err, boathook.Unauthorized):
		return told{}, because(errUnauthorized, "%s", err)
	case boathook.IsKind(err, boathook.Invalid):
		return told{}, because(errNotJSON, "%s", err)
	case err != nil || reading.Handshake != nil:
		return told{handshake: reading.Handshake}, err
	}
	payload := boathook.ParseAgentPayload(reading.Input)
	t := told{
		input: reading.Input, event: payload.Event, source: sender.Name(), accepted: reading.Accepted,
		delivery: reading.Key, signed: reading.KeySigned, details: detailsOf(r, reading),
	}
	own := v.Preset == preset.HMAC || v.Preset == preset.Token // of one's own sender, which may write what Crewship's document shows
	if own {
		t.source = payload.Source
	}
	if reading.Event != "" && !(own && payload.Event != boathook.Unknown) {
		t.event = reading.Event
	}
	return t, nil
}

// fresh checks a trigger's timestamp, in Unix seconds.
func fresh(timestamp string, required bool, now time.Time) error {
	if timestamp == "" {
		if required {
			return because(errStale, "%s is required and not given", Timestamp)
		}
		return nil
	}
	seconds, err := strconv.ParseUint(timestamp, 10, 63) // takes digits only
	if err != nil {
		return because(errStale, "%s is not a number of seconds", Timestamp)
	}
	// In seconds: the age of a time far away does not fit a Duration.
	age := float64(now.Unix() - int64(seconds))
	switch {
	case age > maxSkew.Seconds():
		return because(errStale, "%s is %.0f s old, over %.0f s", Timestamp, age, maxSkew.Seconds())
	case -age > maxSkew.Seconds():
		return because(errStale, "%s is %.0f s ahead, over %.0f s", Timestamp, -age, maxSkew.Seconds())
	}
	return nil
}

// admit starts a run if the agent's limits allow it. byDelivery: a repetition may have
// another body, as senders' may.
func (in *Intake) admit(ctx context.Context, m match, pending boathook.Run, view store.AgentView, byDelivery bool) (run.Started, error) {
	places := run.Places{Store: in.Store, Log: in.Log}
	return places.Start(ctx, *view.Agent, view.Load, pending, m.existing, func() (run.Started, error) {
		if m.ofThis {
			return in.Runs.Start(ctx, pending, run.Wait{})
		}
		return in.startOnce(ctx, pending, m.existing, run.Wait{}, byDelivery)
	})
}

// refuseAgent answers as Crewship does: in plain text, by a line.
func refuseAgent(w http.ResponseWriter, refusal *boathook.Error) {
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
