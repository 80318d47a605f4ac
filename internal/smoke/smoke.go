// Package smoke proves that a Boathook works which was just deployed, from outside, as its
// users would: a trigger becomes a run, the run a signed delivery, a failed delivery is
// retried and recovered, an agent's log is seen live, dead letters can be moved back, and
// workspaces see nothing of each other.
//
// It needs no server beside the stack's own: runs and deliveries go to incoming webhooks
// whose filter wants nothing. They answer 200 and start nothing; one of them verifies the
// deliveries' signatures. What is made is made in two workspaces of its own, which are
// deleted at the end. Records of its few runs and deliveries stay until they expire.
package smoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"boathook/internal/client"
)

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // it works, and an operator should look
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped" // what it needs has failed
)

// Finding is what a check has found.
type Finding struct {
	Name    string        `json:"name"`
	Verdict Verdict       `json:"verdict"`
	Got     string        `json:"got"`
	Mend    string        `json:"mend,omitempty"` // what to do; empty where nothing is to be done
	Elapsed time.Duration `json:"-"`
}

// Summary counts the findings by their verdicts.
type Summary struct {
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`
}

// Config says what is examined.
type Config struct {
	Client   *client.Client // of an admin of the first workspace
	HTTP     *http.Client   // sends triggers, as their senders do
	Receiver string         // a URL that deliveries are sent to as well; empty: only to the stack's own

	// Patience is how long a check waits for what has to happen.
	Patience time.Duration
}

// cleanUpWithin is how long cleaning up may take, also after the rest was interrupted.
const cleanUpWithin = 30 * time.Second

// check is one row of the table of all.
type check struct {
	name  string
	needs string // the check without which this one can't be made; empty: none
	run   func(*trial, context.Context) (got string, err error)
	mend  string
}

const cleanUp = "clean-up"

// checks are in the order in which they are made.
var checks = []check{
	{name: "health", run: (*trial).health,
		mend: "Look at the URL: it is the stack's output ApiUrl. With a domain, look at its record and its certificate."},
	{name: "access", needs: "health", run: (*trial).access,
		mend: "Take the admin token of the stack's first workspace, which the output AdminTokenCommand shows."},
	{name: "receivers", needs: "access", run: (*trial).receivers,
		mend: "AllowedTargets has to contain http, and PublicUrl has to be the URL that senders reach."},
	{name: "trigger", needs: "receivers", run: (*trial).trigger,
		mend: "Look at the log of the function intake, and at PublicUrl: webhooks' URLs are shown with it."},
	{name: "repeat", needs: "trigger", run: (*trial).repeat,
		mend: "Look at the log of the function intake."},
	{name: "run", needs: "trigger", run: (*trial).finished,
		mend: "Look at the log of the function execute, and whether it is throttled: the account's concurrency is above RunConcurrency. In a VPC it needs a NAT gateway to reach the stack's URL."},
	{name: "delivery", needs: "run", run: (*trial).delivered,
		mend: "Look at the log of the function deliver, and whether it is throttled. In a VPC it needs a NAT gateway to reach the stack's URL."},
	{name: "recovery", needs: "run", run: (*trial).recovered,
		mend: "Look at the log of the function deliver, which sends the queue of retries, too."},
	{name: "live log", needs: "receivers", run: (*trial).watched,
		mend: "Look at the log of the function stream, at AgentExecution, and whether the output WebSocketUrl can be reached from here."},
	{name: "dead letters", needs: "access", run: (*trial).redriven,
		mend: "See the section on dead letters of infra/docs/runbook.md."},
	{name: "isolation", needs: "run", run: (*trial).isolated,
		mend: "This must not be: tell those who maintain Boathook, as SECURITY.md says."},
}

// Names are those of all checks, in their order.
func Names() (names []string) {
	for _, c := range checks {
		names = append(names, c.name)
	}
	return append(names, cleanUp)
}

// Run makes all checks and cleans up behind them, also when ctx ends meanwhile. It calls
// each for each finding as it is made.
func Run(ctx context.Context, cfg Config, each func(Finding)) (s Summary) {
	t := &trial{cfg: cfg, admin: cfg.Client, started: time.Now()}
	tell := func(f Finding) {
		switch f.Verdict {
		case OK:
			s.OK++
		case Warning:
			s.Warnings++
		case Failed:
			s.Failed++
		case Skipped:
			s.Skipped++
		}
		each(f)
	}
	passed := map[string]bool{"": true}
	for _, c := range checks {
		if !passed[c.needs] {
			tell(Finding{Name: c.name, Verdict: Skipped, Got: fmt.Sprintf("it needs %q", c.needs)})
			continue
		}
		f := t.make(ctx, c)
		passed[c.name] = f.Verdict == OK
		tell(f)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	tell(t.make(ctx, check{name: cleanUp, run: (*trial).cleanUp,
		mend: `The next start of this command removes them after an hour.`}))
	return s
}

// notice is an error that is none of Boathook's: an operator should look.
type notice struct{ text string }

func (n notice) Error() string { return n.text }

func (t *trial) make(ctx context.Context, c check) Finding {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Patience)
	defer cancel()
	got, err := c.run(t, ctx)
	f := Finding{Name: c.name, Verdict: OK, Got: got, Elapsed: time.Since(start)}
	if err != nil {
		f.Verdict, f.Got, f.Mend = Failed, err.Error(), c.mend
		if _, ok := errors.AsType[notice](err); ok {
			f.Verdict = Warning
		}
	}
	return f
}

// lookEvery is how often something is looked at that has to happen.
const lookEvery = 300 * time.Millisecond

// eventually looks until something has happened, or says what there was instead.
func eventually(ctx context.Context, what string, look func() (done bool, got string, err error)) error {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	got := ""
	for {
		done, now, err := look()
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && done:
			return nil
		case err == nil:
			got = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("in all the time that it had, it did not come true that %s: %s", what, got)
		case <-ticks.C:
		}
	}
}
