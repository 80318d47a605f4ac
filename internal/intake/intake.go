// Package intake answers triggers: the HTTP requests that start runs. It has
// one job and no admin rights, and it is done when the run is durable.
//
// A request's road: [Intake.Handler] reads it and looks its webhook up; accept
// makes the checks in their documented order and starts the run; what started
// none is kept in the webhook's log (log.go), so that a user can mend its
// sender.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/expression"
	"boathook/internal/metrics"
	"boathook/internal/paths"
	"boathook/internal/preset"
	"boathook/internal/run"
	"boathook/internal/seal"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// Store is the part of the store that intake needs.
type Store interface {
	LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error)
	LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (store.AgentView, error)
	PinRun(ctx context.Context, id, runID string) (pinned string, err error)
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	store.Loads
	store.Bursts
	PutRequest(ctx context.Context, slot int, r boathook.Request) error
}

// Opener decrypts what webhooks and agents keep sealed.
type Opener interface {
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Starter makes a run durable; see package run.
type Starter interface {
	Start(ctx context.Context, r boathook.Run, wait run.Wait) (run.Started, error)
	StartOnce(ctx context.Context, r boathook.Run, existing *boathook.RunHead, wait run.Wait) (run.Started, error)
	StartBurst(ctx context.Context, r boathook.Run) (created bool, err error)
}

// Intake takes triggers. Exported fields are required unless they say otherwise.
type Intake struct {
	Store Store
	Runs  Starter
	Seal  Opener // asked only for agents, and for webhooks that verify their senders
	// Agents tells whether agents can be triggered here.
	Agents Prerequisites
	// PublicURL is how the URLs of triggers begin; empty: https:// and the host that a
	// request came to. Some senders sign it.
	PublicURL string
	Client    Client // to SNS's certificates and subscriptions; may be nil
	Now       func() time.Time
	Log       *slog.Logger

	Metrics *metrics.Counters // may be nil
	Tracer  *tracing.Tracer   // may be nil

	expressions cache.Cache[*expression.Expression] // by their texts
	slots       slots

	once         sync.Once
	certificates *certificates
}

// Handler serves /webhooks/runs/{token} (wire formats, section 1) and,
// where agents can be triggered, their trigger (section 2).
func (in *Intake) Handler() http.Handler {
	mux := http.NewServeMux()
	serve := func(path string, trigger, check http.HandlerFunc) {
		mux.HandleFunc("POST "+path, in.Tracer.Serve("POST "+path, trigger))
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			mux.HandleFunc(method+" "+path, check)
		}
	}
	serve("/webhooks/runs/{token}", in.trigger, in.check)
	if in.Agents == (Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true}) {
		serve("/api/v1/webhooks/{crew}/{agent}/trigger", in.triggerAgent, in.checkAgent)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, "not found")
	})
	mux.HandleFunc("/webhooks/runs/{token}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		writeError(w, http.StatusMethodNotAllowed, "a run is triggered with POST")
	})
	return tracing.Handler(paths.Clean(mux))
}

// accepted is the answer to a trigger that started a run.
type accepted struct {
	RunID         string             `json:"run_id"`
	VersionID     string             `json:"version_id"`
	VersionNumber int                `json:"version_number"`
	Status        boathook.RunStatus `json:"status"`
}

// request is a trigger that was read.
type request struct {
	*http.Request
	at      time.Time
	wire    []byte // the body as it came
	body    []byte // without its Content-Encoding
	bodyErr error  // why the body can't be taken
	key     string // of the header; empty without one
	keyErr  error  // why the key can't be taken
}

func read(r *http.Request, now time.Time) request {
	req := request{Request: r, at: now.UTC().Truncate(time.Millisecond)}
	req.key = boathook.IdempotencyKeyOf(r.Header)
	if req.keyErr = boathook.CheckIdempotencyKey(req.key); req.keyErr != nil {
		req.key = ""
	}
	req.wire, req.body, req.bodyErr = readBody(r)
	return req
}

// run is the id of the run that the request's key stands for; empty without
// one, and for a key that will be refused.
func (r request) run(webhookID string) string {
	if r.key == "" {
		return ""
	}
	return boathook.DeriveID(boathook.RunID, webhookID, r.key)
}

// result is what became of a request that was not refused.
type result struct {
	outcome boathook.RequestOutcome
	run     run.Started    // of one accepted, repeated or coalesced
	reason  string         // of one ignored
	answer  *preset.Answer // what its sender wants to be told; nil: the usual
}

func (in *Intake) trigger(w http.ResponseWriter, r *http.Request) {
	req := read(r, in.Now())
	view, err := in.lookUp(req)
	if err != nil {
		refuse(w, in.refusal(r.Context(), err))
		return
	}
	res, err := in.accept(req, view)
	if err != nil {
		refusal := in.refusal(r.Context(), err)
		refuse(w, refusal)
		in.keep(req, receiverOf(view.Webhook), result{outcome: boathook.RequestRejected, reason: refusal.Message}, refusal.Kind.Status())
		return
	}
	switch res.outcome {
	case boathook.RequestAccepted, boathook.RequestRepeated, boathook.RequestCoalesced:
		in.Log.InfoContext(r.Context(), "trigger accepted", "run_id", res.run.ID, "source_id", res.run.SourceID,
			"webhook_id", res.run.WebhookID, "outcome", res.outcome, "status", res.run.Status,
			"duration_ms", in.Now().Sub(req.at).Milliseconds())
		in.Metrics.Observe(metrics.TriggerAccepted, in.Now().Sub(req.at))
		tellUnrecorded(w, res.run)
		w.Header().Set(RunID, res.run.ID)
		if res.answer == nil {
			writeJSON(w, http.StatusAccepted, accepted{res.run.ID, res.run.VersionID, res.run.VersionNumber, res.run.Status})
		}
	case boathook.RequestIgnored:
		writeJSON(w, http.StatusOK, ignored{boathook.RequestIgnored, res.reason})
	}
	if res.answer != nil {
		writeAnswer(w, res.answer)
	}
	in.keep(req, receiverOf(view.Webhook), res, res.status())
}

// status is that of the answer.
func (r result) status() int {
	switch {
	case r.answer != nil:
		return r.answer.Status
	case r.outcome == boathook.RequestIgnored:
		return http.StatusOK
	default:
		return http.StatusAccepted
	}
}

// writeAnswer answers as a sender wants it.
func writeAnswer(w http.ResponseWriter, a *preset.Answer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
		w.Header().Set("X-Content-Type-Options", "nosniff") // it may hold what the sender has sent
	}
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// check answers a sender that asks, before it sends anything, whether the URL is
// there. It starts nothing.
func (in *Intake) check(w http.ResponseWriter, r *http.Request) {
	var sender *preset.Sender
	view, err := in.lookUp(request{Request: r})
	if err == nil {
		sender, err = senderOfWebhook(view.Webhook)
	}
	in.answerCheck(w, r, sender, err, refuse)
}

const methods = "GET, HEAD, OPTIONS, POST"

// answerCheck answers who asks for the URL of a sender's triggers, or says in the
// trigger's own words why it can't be told of.
func (in *Intake) answerCheck(w http.ResponseWriter, r *http.Request, sender *preset.Sender, err error, refuse func(http.ResponseWriter, *boathook.Error)) {
	if err != nil {
		refusal := in.refusal(r.Context(), err)
		if r.Method == http.MethodHead { // whose answers have no body
			w.WriteHeader(refusal.Kind.Status())
			return
		}
		refuse(w, refusal)
		return
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", methods)
		for name, value := range sender.Options(r.Header) {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(http.StatusOK)
}

// senderOfWebhook is the preset that a webhook names, with its settings. An error is
// no fault of the request: a webhook is stored with a preset that exists.
func senderOfWebhook(webhook *boathook.IncomingWebhook) (*preset.Sender, error) {
	sender, err := preset.New(webhook.Verification)
	if err != nil {
		return nil, errors.New("webhook " + webhook.ID + ": " + err.Error())
	}
	return sender, nil
}

// tellUnrecorded says that who asks for the run at once may not find it.
func tellUnrecorded(w http.ResponseWriter, started run.Started) {
	if started.Unrecorded {
		w.Header().Set("Retry-After", "1")
	}
}

// errNoWebhook answers unknown, malformed and disabled tokens alike, so that
// a token can't be probed.
var errNoWebhook = boathook.Errorf(boathook.NotFound, "webhook not found")

// lookUp finds the webhook that the URL names, what is live, and the run that
// the request's key stands for. Nothing is kept of a request without a webhook.
func (in *Intake) lookUp(r request) (store.TriggerView, error) {
	token, ok := boathook.ParseURLToken(r.PathValue("token"))
	if !ok {
		return store.TriggerView{}, errNoWebhook
	}
	view, err := in.Store.LookUpTrigger(r.Context(), token.SourceID, token.WebhookID, r.run(token.WebhookID))
	if err != nil {
		return store.TriggerView{}, fmt.Errorf("look up trigger: %w", err)
	}
	if view.Webhook == nil || !view.Webhook.Matches(token) || !view.Webhook.Enabled {
		return store.TriggerView{}, errNoWebhook
	}
	return view, nil
}

// accept checks in the documented order: 413, 401, 400, 409, 503. A handshake
// and what the filter does not want end between 400 and 409.
func (in *Intake) accept(r request, view store.TriggerView) (result, error) {
	if r.bodyErr != nil {
		return result{}, r.bodyErr
	}
	webhook := view.Webhook
	sender, err := senderOfWebhook(webhook)
	if err != nil {
		return result{}, err
	}
	var secret []byte
	if sender.Verifies() {
		secret, err = in.Seal.Open(r.Context(), webhook.WorkspaceID, seal.IncomingSecret(webhook.ID), webhook.Verification.SealedSecret)
		if err != nil {
			return result{}, fmt.Errorf("open the secret of %s: %w", webhook.ID, err)
		}
	}
	reading, err := in.readBy(r, sender, secret)
	if err != nil {
		return result{}, err
	}
	if r.keyErr != nil {
		return result{}, r.keyErr
	}
	if reading.Handshake != nil {
		return result{outcome: boathook.RequestAnswered, answer: reading.Handshake}, nil
	}
	details := detailsOf(r, reading)
	reason, err := in.unwanted(r.Context(), webhook, reading, &details)
	if err != nil {
		return result{}, err
	}
	if reason != "" {
		return result{outcome: boathook.RequestIgnored, reason: reason}, nil
	}
	return in.start(r, view, reading, details)
}

// readBy verifies who sent the request, and reads what it says.
func (in *Intake) readBy(r request, sender *preset.Sender, secret []byte) (preset.Reading, error) {
	return sender.Read(preset.Request{
		URLs: in.urlsOf(r), Header: r.Header, Query: r.URL.Query(), Wire: r.wire, Body: r.body, Secret: string(secret), At: r.at,
		Fetch: func(url string) ([]byte, error) { return in.fetch(r.Context(), url) },
	})
}

// urlsOf are the URLs that a request may have been sent to: a proxy in front may
// hide the scheme.
func (in *Intake) urlsOf(r request) (urls []string) {
	path := r.URL.RequestURI()
	if in.PublicURL != "" {
		urls = append(urls, in.PublicURL+path)
	}
	return append(urls, "https://"+r.Host+path, "http://"+r.Host+path)
}

// start starts the run, or finds the one that the same key or delivery has
// started. The sender's own id of the delivery counts without a key, and
// beside one where it is signed: the key is not, and so can't tell a repeated
// request from one that was captured.
func (in *Intake) start(r request, view store.TriggerView, reading preset.Reading, details boathook.TriggerDetails) (result, error) {
	webhook, input := view.Webhook, reading.Input
	live, isLive := view.Live[webhook.Environment]
	id, existing, byDelivery, err := in.identify(r, view, reading)
	if err != nil {
		return result{}, err
	}
	if !isLive && existing == nil {
		return result{}, boathook.NoRunningVersion(webhook.Environment)
	}

	pending := boathook.Run{Input: boathook.NewBody(input), RunHead: boathook.RunHead{
		ID: id, WorkspaceID: webhook.WorkspaceID, SourceID: webhook.SourceID,
		VersionID: live.ID, VersionNumber: live.Number, Environment: webhook.Environment,
		Trigger: boathook.TriggerWebhook, WebhookID: webhook.ID,
		InputHash: boathook.HashInput(input), CreatedAt: r.at, Status: boathook.RunPending,
		Details: details, TakesTurn: view.MaxInFlight > 0,
	}}
	if !webhook.Coalesce.IsZero() && existing == nil {
		key, fault, err := in.burstKey(r.Context(), webhook.Coalesce.Key, reading, details)
		if err != nil {
			return result{}, fmt.Errorf("evaluate the key of %s: %w", webhook.ID, err)
		}
		if fault == "" {
			outcome, started, err := in.coalesce(r.Context(), webhook, key, pending, r.key != "" || byDelivery)
			return result{outcome: outcome, run: started, answer: reading.Accepted}, err
		}
		// Nobody knows what it belongs to: it starts a run of its own, which says why.
		pending.Details.FilterError = boathook.Shorten("coalesce.key: "+fault, boathook.MaxFilterError)
		in.Log.WarnContext(r.Context(), "key of a burst failed, the run starts", "webhook_id", webhook.ID, "source_id", webhook.SourceID)
	}
	wait := run.Wait{Most: webhook.WaitForStart, Backlog: view.Backlog}
	if r.key == "" && !byDelivery {
		started, err := in.Runs.Start(r.Context(), pending, wait)
		return result{outcome: boathook.RequestAccepted, run: started, answer: reading.Accepted}, err
	}
	started, err := in.startOnce(r.Context(), pending, existing, wait, byDelivery)
	if err == nil && byDelivery && isLive && preset.RerunsFailed(*webhook) {
		started, err = in.rerun(r.Context(), pending, reading.Key, started, wait)
	}
	if err != nil {
		return result{}, err
	}
	outcome := boathook.RequestAccepted
	if repeated(started, pending) {
		outcome = boathook.RequestRepeated
	}
	return result{outcome: outcome, run: started, answer: reading.Accepted}, nil
}

// identify gives the id of the run that a trigger stands for, and that run where it is
// known to exist. byDelivery: the id follows from the sender's own id of the delivery.
func (in *Intake) identify(r request, view store.TriggerView, reading preset.Reading) (id string, existing *boathook.RunHead, byDelivery bool, err error) {
	webhook := view.Webhook
	if reading.Key == "" || r.key != "" && !reading.KeySigned {
		if id = r.run(webhook.ID); id == "" {
			id = boathook.NewID(boathook.RunID)
		}
		return id, view.Run, false, nil
	}
	id = runOfDelivery(webhook.ID, reading.Key)
	if _, isLive := view.Live[webhook.Environment]; isLive {
		return id, nil, true, nil
	}
	// No run can be started, but the same delivery may have started one before.
	again, err := in.Store.LookUpTrigger(r.Context(), webhook.SourceID, webhook.ID, id)
	if err != nil {
		return "", nil, true, fmt.Errorf("look up run: %w", err)
	}
	return id, again.Run, true, nil
}

// runOfDelivery is the id of the run that a sender's delivery starts; repeat tells
// those apart that it starts when it comes again.
func runOfDelivery(webhookID, delivery string, repeat ...string) string {
	return boathook.DeriveID(boathook.RunID, append([]string{webhookID, "delivery", delivery}, repeat...)...)
}

// maxReruns is how often one delivery starts another run. Each repeat looks at all
// before.
const maxReruns = 50

// rerun starts a run in place of the one that a delivery has started before, if that
// one failed. Otherwise it gives that one.
func (in *Intake) rerun(ctx context.Context, pending boathook.Run, delivery string, started run.Started, wait run.Wait) (run.Started, error) {
	for repeat := 1; repeated(started, pending) && failed(started) && repeat <= maxReruns; repeat++ {
		pending.ID, pending.RetryOf = runOfDelivery(pending.WebhookID, delivery, strconv.Itoa(repeat)), started.ID
		var err error
		if started, err = in.startOnce(ctx, pending, nil, wait, true); err != nil {
			return started, err
		}
	}
	return started, nil
}

// repeated reports whether a run is not the one that was to start, but one that was
// there.
func repeated(started run.Started, run boathook.Run) bool {
	return !started.CreatedAt.Equal(run.CreatedAt)
}

// failed reports whether a run is over and of no use to who asks for it again.
func failed(run run.Started) bool {
	return run.Status.Over() && run.Status != boathook.RunSucceeded
}

// startOnce starts a run whose id follows from its key or delivery, or gives the one
// that has the id.
func (in *Intake) startOnce(ctx context.Context, run boathook.Run, existing *boathook.RunHead, wait run.Wait, byDelivery bool) (run.Started, error) {
	started, err := in.Runs.StartOnce(ctx, run, existing, wait)
	if byDelivery && boathook.IsKind(err, boathook.Conflict) {
		// A sender that repeats a delivery may have changed details of its
		// body since. To refuse it would only make it repeat again.
		run.InputHash = started.InputHash
		started, err = in.Runs.StartOnce(ctx, run, &started.RunHead, wait)
	}
	return started, err
}

// ignored is the answer to what the filter does not want: senders take any
// 2xx for delivered, and don't repeat it.
type ignored struct {
	Status boathook.RequestOutcome `json:"status"`
	Reason string                  `json:"reason"`
}

// refusal is what the sender is told of an error.
func (in *Intake) refusal(ctx context.Context, err error) *boathook.Error {
	in.Metrics.Count(metrics.TriggersRefused)
	if known, ok := errors.AsType[*boathook.Error](err); ok {
		if known.Field == "" {
			return known
		}
		named := *known
		named.Field, named.Message = "", known.Field+" "+known.Message // the answer has no place for a field
		return &named
	}
	// A dependency failed before anything was done: the sender may repeat.
	in.Log.ErrorContext(ctx, "trigger failed", "error", err)
	return boathook.Errorf(boathook.Unavailable, "the run could not be made durable, try again")
}

func refuse(w http.ResponseWriter, err *boathook.Error) {
	if err.Kind == boathook.Unavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeError(w, err.Kind.Status(), err.Message)
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
