package smoke

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// The workspaces that a trial makes. Those that a killed one left behind are known by
// their names.
const (
	ownName      = "boathook smoke"
	otherName    = "boathook smoke, another"
	leftBehindIn = time.Hour
)

// triggerEvery is how often an agent is triggered until a line is seen: nobody tells from when
// on a watcher gets them.
const triggerEvery = time.Second

const (
	standard  = "standard" // the preset and the dialect: what is signed in one is verified by the other
	input     = `{"smoke":true}`
	keyLength = 24 // bytes of a signing secret
)

// trial is one run of the checks: what they have made so far.
type trial struct {
	cfg     Config
	started time.Time

	admin, own, other *client.Client // of the first workspace, of the trial's, and of another
	workspaces        []string       // that were made

	plain, signed, strange string // URLs of receivers: one that takes all, and two that verify by different secrets
	secret                 string // of signed
	receiversOf            string // the deployment whose webhooks they are
	signedID               string

	deployment   string // whose runs are looked at
	triggerURL   string
	key          string
	run          string
	sent         client.OutgoingWebhook
	failing      client.OutgoingWebhook
	toReceiver   client.OutgoingWebhook // if there is one
	lastDelivery string
}

func (t *trial) health(ctx context.Context) (string, error) {
	h, err := t.admin.Health(ctx)
	if err != nil {
		return "", err
	}
	if h.Status != "ok" {
		return "", fmt.Errorf("its status is %q", h.Status)
	}
	return "version " + h.Version, nil
}

// access makes two workspaces, and removes those that were left behind.
func (t *trial) access(ctx context.Context) (string, error) {
	for w, err := range t.admin.Workspaces().All(ctx) {
		if err != nil {
			return "", err
		}
		if (w.Name == ownName || w.Name == otherName) && t.started.Sub(w.CreatedAt.Time) > leftBehindIn {
			if err := t.remove(ctx, w.ID); err != nil {
				return "", fmt.Errorf("the workspace %s, which an earlier start left behind: %w", w.ID, err)
			}
		}
	}
	for name, c := range map[string]**client.Client{ownName: &t.own, otherName: &t.other} {
		w, err := t.admin.Workspaces().Create(ctx, client.NamedInput{Name: name})
		if err != nil {
			return "", err
		}
		t.workspaces = append(t.workspaces, w.ID)
		*c = t.admin.As(w.Token)
	}
	return "two workspaces are made", nil
}

// remove empties a workspace and deletes it.
func (t *trial) remove(ctx context.Context, id string) error {
	token, err := t.admin.WorkspaceToken(ctx, id, client.TokenInput{Name: ownName, Role: boathook.Admin})
	if err != nil {
		return err
	}
	c := t.admin.As(token.Token)
	for d, err := range c.Deployments().All(ctx) {
		if err != nil {
			return err
		}
		if err := gone(c.Deployments().Delete(ctx, d.ID)); err != nil {
			return err
		}
	}
	for crew, err := range c.Crews().All(ctx) {
		if err != nil {
			return err
		}
		for a, err := range c.Agents(crew.ID).All(ctx) {
			if err != nil {
				return err
			}
			if err := gone(c.Agents(crew.ID).Delete(ctx, a.ID)); err != nil {
				return err
			}
		}
		if err := gone(c.Crews().Delete(ctx, crew.ID)); err != nil {
			return err
		}
	}
	return gone(t.admin.Workspaces().Delete(ctx, id))
}

// gone is the error of a deletion, which may have been made by someone else.
func gone(err error) error {
	if client.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func (t *trial) cleanUp(ctx context.Context) (string, error) {
	var errs []error
	for _, id := range t.workspaces {
		if err := t.remove(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("the workspace %s stays: %w", id, err))
		}
	}
	return fmt.Sprintf("%d workspaces are deleted, with all that was in them", len(t.workspaces)), errors.Join(errs...)
}

// reach is the URL of a webhook as this client reaches it. The API shows https, which is
// what senders use; where its own URL was given with http, that is the webhook's, too.
func (t *trial) reach(shown string) string {
	u, err := url.Parse(shown)
	base, baseErr := url.Parse(t.admin.URL())
	if err == nil && baseErr == nil && u.Host == base.Host {
		u.Scheme = base.Scheme
		return u.String()
	}
	return shown
}

// deploy makes a deployment whose runs post to a URL.
func (t *trial) deploy(ctx context.Context, name, target string) (string, error) {
	d, err := t.own.Deployments().Create(ctx, client.DeploymentInput{Name: &name})
	if err != nil {
		return "", err
	}
	_, err = t.own.Versions(d.ID).Create(ctx, client.VersionInput{
		Environment: boathook.Production, Target: boathook.Target{Type: boathook.TargetHTTP, URL: target, TimeoutSeconds: 30},
	})
	return d.ID, err
}

// incoming makes an incoming webhook, and gives its id and URL.
func (t *trial) incoming(ctx context.Context, deployment, name string, in client.IncomingWebhookInput) (id, url string, err error) {
	production := boathook.Production
	in.Name, in.Environment = &name, &production
	w, err := t.own.IncomingWebhooks(deployment).Create(ctx, in)
	return w.ID, t.reach(w.URL), err
}

// receivers makes what runs and deliveries are sent to, and what is looked at.
func (t *trial) receivers(ctx context.Context) (string, error) {
	var err error
	if t.receiversOf, err = t.deploy(ctx, "receivers", t.admin.URL()+"/healthz"); err != nil { // nothing runs it
		return "", err
	}
	nothing := &client.Filter{JQ: "false"}
	if _, t.plain, err = t.incoming(ctx, t.receiversOf, "takes all", client.IncomingWebhookInput{Filter: nothing}); err != nil {
		return "", err
	}
	t.secret = secret()
	verifies := func(secret string) client.IncomingWebhookInput {
		return client.IncomingWebhookInput{Filter: nothing, Verification: &client.Verification{Preset: standard, Secret: secret}}
	}
	if t.signedID, t.signed, err = t.incoming(ctx, t.receiversOf, "verifies", verifies(t.secret)); err != nil {
		return "", err
	}
	if _, t.strange, err = t.incoming(ctx, t.receiversOf, "verifies by another secret", verifies(secret())); err != nil {
		return "", err
	}
	if t.deployment, err = t.deploy(ctx, "looked at", t.plain); err != nil {
		return "", err
	}
	if _, t.triggerURL, err = t.incoming(ctx, t.deployment, "trigger", client.IncomingWebhookInput{}); err != nil {
		return "", err
	}
	if t.sent, err = t.outgoing(ctx, "verified", t.signed); err != nil {
		return "", err
	}
	if t.failing, err = t.outgoing(ctx, "refused", t.strange); err != nil {
		return "", err
	}
	if t.cfg.Receiver != "" {
		if t.toReceiver, err = t.outgoing(ctx, "given", t.cfg.Receiver); err != nil {
			return "", fmt.Errorf("the receiver that was given: %w", err)
		}
	}
	return "deployments and webhooks are made", nil
}

// secret makes a signing secret of Standard Webhooks.
func secret() string {
	key := make([]byte, keyLength)
	rand.Read(key)
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// outgoing makes a webhook that tells of the runs that are looked at, and tries twice.
func (t *trial) outgoing(ctx context.Context, name, url string) (client.OutgoingWebhook, error) {
	dialect, production := standard, boathook.Production
	return t.own.OutgoingWebhooks(client.DeploymentSource(t.deployment)).Create(ctx, client.OutgoingWebhookInput{
		Name: &name, URL: &url, Dialect: &dialect, SigningSecret: &t.secret, Environment: &production,
		Events: []boathook.EventType{boathook.EventRunSucceeded}, Retry: &client.Retry{ScheduleSeconds: []int{1}},
	})
}

func (t *trial) trigger(ctx context.Context) (string, error) {
	t.key = rand.Text()
	var err error
	t.run, err = t.post(ctx)
	return "accepted with 202 as the run " + t.run, err
}

// repeat sends the trigger again, as a sender does that had no answer.
func (t *trial) repeat(ctx context.Context) (string, error) {
	again, err := t.post(ctx)
	if err == nil && again != t.run {
		err = fmt.Errorf("the same Idempotency-Key started the run %s, too", again)
	}
	return "the same Idempotency-Key starts nothing", err
}

// post sends the trigger as any sender would, without the API's client.
func (t *trial) post(ctx context.Context) (run string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.triggerURL, strings.NewReader(input))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(boathook.IdempotencyKey, t.key)
	res, err := t.cfg.HTTP.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL is a credential
		}
		return "", fmt.Errorf("the trigger's URL can't be reached: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var started client.StartedRun
	if err := json.Unmarshal(body, &started); err != nil || res.StatusCode != http.StatusAccepted || started.RunID == "" {
		return "", fmt.Errorf("the trigger is answered %d %.200s", res.StatusCode, body)
	}
	return started.RunID, nil
}

func (t *trial) finished(ctx context.Context) (string, error) {
	var run client.Run
	err := eventually(ctx, "the run ends", func() (bool, string, error) {
		var err error
		run, err = t.own.Runs().Get(ctx, t.run)
		over := run.Status != boathook.RunPending && run.Status != boathook.RunRunning
		return over, "it is " + string(run.Status), err
	})
	if err != nil {
		return "", err
	}
	if run.Status != boathook.RunSucceeded {
		why := ""
		if run.ErrorMessage != nil {
			why = ": " + *run.ErrorMessage
		}
		return "", fmt.Errorf("it ended as %s%s", run.Status, why)
	}
	if !strings.Contains(string(run.Output), "ignored") {
		return "", fmt.Errorf("its output is %.200s, which its target did not answer", run.Output)
	}
	return fmt.Sprintf("succeeded %s after it was triggered", run.CompletedAt.Sub(run.CreatedAt.Time).Round(time.Millisecond)), nil
}

// delivery waits for a webhook's delivery to come to an end.
func (t *trial) delivery(ctx context.Context, w client.OutgoingWebhook, want boathook.DeliveryStatus) (d client.Delivery, err error) {
	err = eventually(ctx, "the delivery to "+w.Name+" ends as "+string(want), func() (bool, string, error) {
		for d, err = range t.own.Deliveries(client.DeploymentSource(t.deployment), w.ID).All(ctx) {
			return err == nil && d.Status == want, "it is " + string(d.Status) + outcome(d), err
		}
		return false, "there is none", nil
	})
	return d, err
}

// outcome says what came of a delivery's last attempt.
func outcome(d client.Delivery) string {
	switch last := d.LastAttempt; {
	case last == nil:
		return ""
	case last.Error != nil:
		return ", " + *last.Error
	case last.ResponseStatus != nil:
		return fmt.Sprintf(", answered %d", *last.ResponseStatus)
	}
	return ""
}

func (t *trial) delivered(ctx context.Context) (string, error) {
	d, err := t.delivery(ctx, t.sent, boathook.DeliverySucceeded)
	if err != nil {
		return "", err
	}
	t.lastDelivery = d.ID
	arrived := 0
	for r, err := range t.own.Requests(t.receiversOf, t.signedID).All(ctx) {
		if err != nil {
			return "", err
		}
		if r.Outcome == string(boathook.RequestIgnored) { // it has been verified before that
			arrived++
		}
	}
	if arrived == 0 {
		return "", errors.New("it is recorded as made, and its receiver has no request whose signature verifies")
	}
	got := "its receiver has verified the signature"
	if t.toReceiver.ID != "" {
		if _, err := t.delivery(ctx, t.toReceiver, boathook.DeliverySucceeded); err != nil {
			return "", err
		}
		got += ", and the one that was given has taken it"
	}
	return got, nil
}

// recovered waits for a delivery to fail for good whose receiver refuses it, mends that, and
// has it sent again.
func (t *trial) recovered(ctx context.Context) (string, error) {
	failed, err := t.delivery(ctx, t.failing, boathook.DeliveryFailed)
	if err != nil {
		return "", err
	}
	if failed.AttemptCount != 2 {
		return "", fmt.Errorf("it failed after %d attempts; its schedule has 2", failed.AttemptCount)
	}
	source := client.DeploymentSource(t.deployment)
	if _, err := t.own.OutgoingWebhooks(source).Change(ctx, t.failing.ID, client.OutgoingWebhookInput{URL: &t.signed}); err != nil {
		return "", err
	}
	// Of the server's clock, which made the webhook.
	since := t.failing.CreatedAt.UTC().Format(time.RFC3339)
	r, err := t.own.Recover(ctx, source, t.failing.ID, client.Recovery{Since: since, Statuses: []string{string(boathook.DeliveryFailed)}})
	if err != nil {
		return "", err
	}
	if r.Queued != 1 {
		return "", fmt.Errorf("%d deliveries are sent again, not the one that failed", r.Queued)
	}
	if _, err := t.delivery(ctx, t.failing, boathook.DeliverySucceeded); err != nil {
		return "", err
	}
	return "refused twice, mended, sent again and taken", nil
}

// watched has an agent print a line, and sees it on the WebSocket.
func (t *trial) watched(ctx context.Context) (string, error) {
	crew, err := t.own.Crews().Create(ctx, client.NamedInput{Name: ownName})
	if err != nil {
		return "", err
	}
	name, slug := "Smoke", "smoke"
	agent, err := t.own.Agents(crew.ID).Create(ctx, client.AgentInput{
		Name: &name, Slug: &slug, Target: &boathook.Target{Type: boathook.TargetHTTP, URL: t.plain, TimeoutSeconds: 30},
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- t.own.Watch(ctx, func(l client.LogLine) {
			if l.AgentID == agent.ID {
				select {
				case seen <- struct{}{}:
				default: // one is enough
				}
			}
		})
	}()
	again := time.NewTicker(triggerEvery)
	defer again.Stop()
	for n := 1; ; n++ {
		if _, err := t.own.TriggerAgent(ctx, crew.ID, agent.ID, agent.WebhookSecret, time.Now(), fmt.Appendf(nil, `{"smoke":%d}`, n)); err != nil && ctx.Err() == nil {
			return "", err
		}
		select {
		case <-seen:
			return "an agent's line was seen as it came", nil
		case err := <-ended:
			if ctx.Err() != nil {
				err = fmt.Errorf("nobody was told a line of the agent's %d runs", n)
			}
			return "", err
		case <-again.C:
		}
	}
}

// redriven has queues whose dead-letter queues are empty redrive nothing, which shows that
// they could. What is dead already is left to an operator.
func (t *trial) redriven(ctx context.Context) (string, error) {
	queues, err := t.admin.Queues(ctx)
	if err != nil {
		return "", err
	}
	var dead []string
	for _, q := range queues {
		switch {
		case q.Dead.Ready+q.Dead.InFlight > 0:
			dead = append(dead, fmt.Sprintf("%d of %s", q.Dead.Ready+q.Dead.InFlight, q.Queue))
		case q.Move != nil && q.Move.Status == "running":
		default:
			if _, err := t.admin.Redrive(ctx, q.Queue); err != nil {
				return "", fmt.Errorf("the queue %s: %w", q.Queue, err)
			}
		}
	}
	if len(dead) > 0 {
		return "", notice{"there are dead letters: " + strings.Join(dead, ", ")}
	}
	return "there are none, and each queue can be redriven", nil
}

// isolated looks for what is another workspace's with that one's neighbour's token and with
// the first workspace's, and has a viewer try to change something.
func (t *trial) isolated(ctx context.Context) (string, error) {
	for who, c := range map[string]*client.Client{"another workspace": t.other, "the first workspace": t.admin} {
		for what, err := range map[string]error{
			"the deployment": of(c.Deployments().Get(ctx, t.deployment)),
			"the run":        of(c.Runs().Get(ctx, t.run)),
			"the delivery":   of(c.Delivery(ctx, t.lastDelivery)),
		} {
			if t.lastDelivery == "" && what == "the delivery" {
				continue // there was none
			}
			if err == nil {
				return "", fmt.Errorf("%s sees %s", who, what)
			}
			if !client.IsStatus(err, http.StatusNotFound) {
				return "", err
			}
		}
	}
	for r, err := range t.other.Runs().All(ctx) {
		if err != nil {
			return "", err
		}
		return "", fmt.Errorf("another workspace lists the run %s", r.ID)
	}
	viewer, err := t.own.Tokens().Create(ctx, client.TokenInput{Name: ownName, Role: boathook.Viewer})
	if err != nil {
		return "", err
	}
	name := "a viewer's"
	_, err = t.own.As(viewer.Token).Deployments().Create(ctx, client.DeploymentInput{Name: &name})
	switch {
	case err == nil:
		return "", errors.New("a viewer has made a deployment")
	case !client.IsStatus(err, http.StatusForbidden):
		return "", err
	}
	return "workspaces don't see each other, and a viewer changes nothing", nil
}

// of is the error of an answer.
func of[T any](_ T, err error) error { return err }
