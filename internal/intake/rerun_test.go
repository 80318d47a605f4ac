package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// end ends a run.
func (g *guarded) end(id string, status boathook.RunStatus) {
	g.t.Helper()
	claim := boathook.Claim{ID: "claim_a", LeaseUntil: g.now.Add(time.Minute)}
	if _, err := g.store.ClaimRun(g.t.Context(), id, claim, g.now); err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.store.FinishRun(g.t.Context(), id, claim, boathook.Outcome{Status: status, CompletedAt: g.now}); err != nil {
		g.t.Fatal(err)
	}
}

// A person who asks GitHub to redeliver wants what failed to run again, and nothing
// else to run twice.
func TestARedeliveryOfAFailedRunStartsAnother(t *testing.T) {
	s := senders()["GitHub"]
	for name, tc := range map[string]struct {
		setting *bool
		ends    boathook.RunStatus
		again   bool
	}{
		"failed":                      {nil, boathook.RunFailed, true},
		"canceled":                    {nil, boathook.RunCanceled, true},
		"succeeded":                   {nil, boathook.RunSucceeded, false},
		"under way":                   {nil, "", false},
		"failed, where it is not set": {new(false), boathook.RunFailed, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t, s.verification, boathook.Filter{})
			g.Incoming.WaitForStart = 0
			g.Incoming.RerunFailed = tc.setting
			g.put(g.Incoming)
			send := func() string {
				g.now = g.now.Add(time.Second)
				return runID(t, g.trigger(s.body, s.sign(secret, s.body, g.now)...))
			}
			first := send()
			if tc.ends != "" {
				g.end(first, tc.ends)
			}
			second := send()
			if again := second != first; again != tc.again {
				t.Fatalf("the first run is %s, the redelivery's %s", first, second)
			}
			if !tc.again {
				g.wantKept(boathook.RequestRepeated, 202, "")
				return
			}
			if got := send(); got != second {
				t.Errorf("while %s is under way, a redelivery starts %s", second, got)
			}
			g.end(second, boathook.RunFailed)
			third := send()
			for id, of := range map[string]string{first: "", second: first, third: second} {
				head, err := g.store.RunHead(t.Context(), id)
				if err != nil || head.RetryOf != of {
					t.Errorf("run %s is a retry of %q, %v; want %q", id, head.RetryOf, err, of)
				}
			}
			g.end(third, boathook.RunSucceeded)
			if got := send(); got != third {
				t.Errorf("once %s has succeeded, a redelivery starts %s", third, got)
			}
		})
	}
}

func TestOtherSendersRepeatOfThemselves(t *testing.T) {
	s := senders()["Stripe"]
	for name, setting := range map[string]*bool{"unless it is set": nil, "set": new(true)} {
		g := newGuarded(t, s.verification, boathook.Filter{})
		g.Incoming.WaitForStart, g.Incoming.RerunFailed = 0, setting
		g.put(g.Incoming)
		first := runID(t, g.trigger(s.body, s.sign(secret, s.body, g.now)...))
		g.end(first, boathook.RunFailed)
		g.now = g.now.Add(time.Minute)
		if again := runID(t, g.trigger(s.body, s.sign(secret, s.body, g.now)...)); (again != first) != (setting != nil) {
			t.Errorf("%s: the first run is %s, the repeat's %s", name, first, again)
		}
	}
}

// A run that fails at once is not started over by its own first request.
func TestAFirstDeliveryStartsOneRun(t *testing.T) {
	s := senders()["GitHub"]
	g := newGuarded(t, s.verification, boathook.Filter{})
	runID(t, g.trigger(s.body, s.sign(secret, s.body, g.now)...))
	if n := len(g.queued(t)); n != 1 {
		t.Errorf("%d runs were queued", n)
	}
}

func TestWhatATriggerSaysBesideItsBodyTravelsWithTheRun(t *testing.T) {
	s := senders()["GitHub"]
	for query, want := range map[string]string{
		"": "", "?env=prod&n=1&n=2": "env=prod&n=1&n=2",
		"?access_token=hunter2&Signature=hunter2&api_key=hunter2&sig=hunter2&keyword=a": "keyword=a",
		"?a=" + strings.Repeat("x", 600):                                                "", "?a=%zz": "",
	} {
		g := newGuarded(t, s.verification, boathook.Filter{})
		id := runID(t, g.postAs(query, s.body, s.sign(secret, s.body, g.now)...))
		details := boathook.TriggerDetails{
			Event: "pull_request.opened", DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", ContentType: "application/json", Query: want,
		}
		queued := g.queued(t)
		head, err := g.store.RunHead(t.Context(), id)
		if err != nil || len(queued) != 1 {
			t.Fatal(len(queued), err)
		}
		if diff := cmp.Diff([]boathook.TriggerDetails{details, details}, []boathook.TriggerDetails{queued[0].Details, head.Details}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	g := newGuarded(t, boathook.Verification{Preset: preset.None}, boathook.Filter{})
	runID(t, g.trigger(`{"event":"`+strings.Repeat("ü", 100)+`"}`, "Content-Type", "a\x7fb"))
	if d := g.queued(t)[0].Details; len(d.Event) > boathook.MaxTriggerDetail || !strings.HasSuffix(d.Event, "…") || d.ContentType != "a b" {
		t.Errorf("kept %+v", d)
	}
}
