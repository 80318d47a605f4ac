package intake_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/preset"
	"boathook/internal/run"
	"boathook/internal/store"
)

// noon is when the requests of these tests arrive.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const (
	secret     = "the secret of a sender and its webhook"
	mismatched = "signature is over another body or with another secret"
)

// guarded is a place whose webhook verifies its senders, with a clock.
type guarded struct {
	*place
	t   testing.TB
	now time.Time
}

func newGuarded(t testing.TB, v boathook.Verification, f boathook.Filter) *guarded {
	t.Helper()
	g := &guarded{place: newPlace(t), t: t, now: noon}
	v.SealedSecret = []byte(secret)
	if v.Preset == preset.Standard {
		v.SealedSecret = []byte("whsec_" + base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	g.Incoming.Verification, g.Incoming.Filter = v, f
	g.put(g.Incoming)
	g.handler = g.process()
	return g
}

// put replaces the webhook, whatever it has become meanwhile.
func (g *guarded) put(w boathook.IncomingWebhook) {
	g.t.Helper()
	stored, err := g.store.Incoming(g.t.Context(), w.SourceID, w.ID)
	if err == nil {
		w.Revision = stored.Revision
		err = g.store.PutIncoming(g.t.Context(), w)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// process is the handler of one more process of the same function.
func (g *guarded) process() http.Handler {
	log := slog.New(slog.NewTextHandler(&synced{w: g.place.log}, nil))
	return (&intake.Intake{
		Store: g, Seal: g, Now: func() time.Time { return g.now }, Log: log,
		Runs: &run.Starter{Store: g.store, Queue: g, Now: func() time.Time { return g.now }, Log: log},
	}).Handler()
}

// requests is the webhook's log, newest first.
func (g *guarded) requests(outcome boathook.RequestOutcome) []boathook.Request {
	g.t.Helper()
	list, next, err := g.store.Requests(g.t.Context(), store.RequestQuery{
		WorkspaceID: g.Source.WorkspaceID, SourceID: g.Source.ID, WebhookID: g.Incoming.ID, Outcome: outcome, Page: boathook.Page{Limit: 1000},
	})
	if err != nil || next != "" {
		g.t.Fatal(next, err)
	}
	return list
}

// wantKept is that the newest request was kept with an outcome and a reason.
func (g *guarded) wantKept(outcome boathook.RequestOutcome, status int, reason string) {
	g.t.Helper()
	list := g.requests("")
	if len(list) == 0 {
		g.t.Fatal("the log is empty")
	}
	got := []any{list[0].Outcome, list[0].Status, list[0].Reason}
	if diff := cmp.Diff([]any{outcome, status, reason}, got); diff != "" {
		g.t.Errorf("the log (-want +got):\n%s", diff)
	}
}

func sum(key, message string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func hexSum(key, message string) string { return hex.EncodeToString(sum(key, message)) }
func base64Sum(key, message string) string {
	return base64.StdEncoding.EncodeToString(sum(key, message))
}

// sender makes requests as a real one does.
type sender struct {
	verification boathook.Verification
	body         string
	sign         func(key, body string, at time.Time) []string // headers
	signature    string                                        // the header that holds the signature
	expected     string                                        // the reason for one of the wrong form; empty: any text has the right one
	wrong        string                                        // the reason for another secret, or another body
	timestamped  bool
	bodyUnsigned bool
	idInBody     func(body string) string // gives the body another delivery id; nil: the id is in a header
	idHeader     string                   // empty and idInBody nil: the sender has no ids
	idSigned     bool                     // nobody but the sender can give the request another id
}

func senders() map[string]sender {
	seconds := func(at time.Time) string { return fmt.Sprint(at.Unix()) }
	return map[string]sender{
		"GitHub": {
			verification: boathook.Verification{Preset: preset.GitHub},
			body:         `{"action":"opened","number":42,"pull_request":{"id":1,"title":"Bjørn's <fix>"},"repository":{"full_name":"org/repo"}}`,
			sign: func(key, body string, _ time.Time) []string {
				return []string{
					"Content-Type", "application/json", "User-Agent", "GitHub-Hookshot/044aadd", "X-GitHub-Event", "pull_request",
					"X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature-256", "sha256=" + hexSum(key, body),
				}
			},
			signature: "X-Hub-Signature-256", expected: "X-Hub-Signature-256: expected sha256=<64 hex digits>", wrong: mismatched,
			idHeader: "X-GitHub-Delivery",
		},
		"GitLab": {
			verification: boathook.Verification{Preset: preset.GitLab},
			body:         `{"object_kind":"push","ref":"refs/heads/main","project":{"path_with_namespace":"group/project"}}`,
			sign: func(key, _ string, _ time.Time) []string {
				return []string{
					"Content-Type", "application/json", "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", key,
					"X-Gitlab-Event-UUID", "13792a34-cac6-4fda-95a8-c58e00a3954e",
				}
			},
			signature: "X-Gitlab-Token", wrong: "X-Gitlab-Token is not the webhook's secret", bodyUnsigned: true,
			idHeader: "X-Gitlab-Event-UUID",
		},
		"Stripe": {
			verification: boathook.Verification{Preset: preset.Stripe},
			body:         `{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","type":"invoice.paid","pending_webhooks":2,"data":{"object":{"id":"in_1"}}}`,
			sign: func(key, body string, at time.Time) []string {
				return []string{
					"Content-Type", "application/json; charset=utf-8",
					"Stripe-Signature", "t=" + seconds(at) + ",v1=" + strings.Repeat("0", 64) + ",v1=" + hexSum(key, seconds(at)+"."+body) + ",v0=x",
				}
			},
			signature: "Stripe-Signature", expected: "Stripe-Signature: expected t=<Unix seconds>,v1=<64 hex digits>", wrong: mismatched,
			timestamped: true, idInBody: func(body string) string { return strings.Replace(body, "evt_1", "evt_2", 1) }, idSigned: true,
		},
		"Slack": {
			verification: boathook.Verification{Preset: preset.Slack},
			body:         `{"type":"event_callback","event_id":"Ev123ABC456","team_id":"T1","event":{"type":"app_mention","text":"<@U1> deploy"}}`,
			sign: func(key, body string, at time.Time) []string {
				return []string{
					"Content-Type", "application/json", "X-Slack-Request-Timestamp", seconds(at),
					"X-Slack-Signature", "v0=" + hexSum(key, "v0:"+seconds(at)+":"+body),
				}
			},
			signature: "X-Slack-Signature", expected: "X-Slack-Signature: expected v0=<64 hex digits>", wrong: mismatched,
			timestamped: true, idInBody: func(body string) string { return strings.Replace(body, "Ev1", "Ev2", 1) }, idSigned: true,
		},
		"Shopify": {
			verification: boathook.Verification{Preset: preset.Shopify},
			body:         `{"id":820982911946154508,"email":"jon@example.com","total_price":"199.00"}`,
			sign: func(key, body string, _ time.Time) []string {
				return []string{
					"Content-Type", "application/json", "X-Shopify-Topic", "orders/create", "X-Shopify-Hmac-Sha256", base64Sum(key, body),
					"X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
				}
			},
			signature: "X-Shopify-Hmac-Sha256", expected: "X-Shopify-Hmac-Sha256: expected <44 characters of base64>", wrong: mismatched,
			idHeader: "X-Shopify-Webhook-Id",
		},
		"Standard Webhooks": {
			verification: boathook.Verification{Preset: preset.Standard},
			body:         `{"type":"invoice.paid","timestamp":"2026-11-21T12:00:00Z","data":{"id":"in_1"}}`,
			sign: func(key, body string, at time.Time) []string {
				return []string{
					"Content-Type", "application/json", "webhook-id", "msg_1", "webhook-timestamp", seconds(at),
					"webhook-signature", "v1,bm90IHRoaXMgb25l v1," + base64Sum(key, "msg_1."+seconds(at)+"."+body),
				}
			},
			signature: "webhook-signature", expected: "webhook-signature: expected v1,<44 characters of base64>", wrong: mismatched,
			timestamped: true, idSigned: true,
		},
		"Grafana": {
			verification: boathook.Verification{Preset: preset.Grafana},
			body:         `{"receiver":"boathook","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"HighLatency"}}]}`,
			sign: func(key, body string, _ time.Time) []string {
				return []string{"Content-Type", "application/json", "X-Grafana-Alerting-Signature", hexSum(key, body)}
			},
			signature: "X-Grafana-Alerting-Signature", expected: "X-Grafana-Alerting-Signature: expected <64 hex digits>", wrong: mismatched,
		},
		"Grafana with a timestamp": {
			verification: boathook.Verification{Preset: preset.Grafana, TimestampHeader: "X-Grafana-Alerting-Timestamp"},
			body:         `{"receiver":"boathook","status":"resolved"}`,
			sign: func(key, body string, at time.Time) []string {
				return []string{
					"X-Grafana-Alerting-Timestamp", seconds(at), "X-Grafana-Alerting-Signature", hexSum(key, seconds(at)+":"+body),
				}
			},
			signature: "X-Grafana-Alerting-Signature", expected: "X-Grafana-Alerting-Signature: expected <64 hex digits>", wrong: mismatched,
			timestamped: true,
		},
		"a sender of one's own": {
			verification: boathook.Verification{
				Preset: preset.HMAC, Header: "X-Signature", Algorithm: "sha256", Encoding: "base64", Prefix: "HMAC ", DeliveryHeader: "X-Delivery",
			},
			body: `{"event":"deployed"}`,
			sign: func(key, body string, _ time.Time) []string {
				return []string{"X-Signature", "HMAC " + base64Sum(key, body), "X-Delivery", "7"}
			},
			signature: "X-Signature", expected: "X-Signature: expected HMAC <44 characters of base64>", wrong: mismatched,
			idHeader: "X-Delivery",
		},
	}
}

// without leaves a header out; with sets one.
func without(headers []string, name string) []string {
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == name {
			return slices.Concat(headers[:i], headers[i+2:])
		}
	}
	panic("no " + name)
}

func with(headers []string, name, value string) []string {
	return append(without(headers, name), name, value)
}

func TestEachSendersRequestsAreVerified(t *testing.T) {
	for name, s := range senders() {
		g := newGuarded(t, s.verification, boathook.Filter{})
		refused := func(t *testing.T, body, reason string, headers []string) {
			t.Helper()
			w := g.trigger(body, headers...)
			if want := fmt.Sprintf(`{"error":{"message":%q}}`, reason); w.Code != http.StatusUnauthorized || w.Body.String() != want {
				t.Errorf("answered %d %s\nwant 401 %s", w.Code, w.Body, want)
			}
			g.t = t
			g.wantKept(boathook.RequestRejected, http.StatusUnauthorized, reason)
			g.now = g.now.Add(time.Minute) // so that no slot is taken twice, and the newest is the newest
		}
		signed := func() []string { return s.sign(secret, s.body, g.now) }

		t.Run(name+": missing", func(t *testing.T) {
			refused(t, s.body, s.signature+" is missing", without(signed(), s.signature))
		})
		t.Run(name+": with another secret", func(t *testing.T) {
			refused(t, s.body, s.wrong, s.sign("another secret", s.body, g.now))
		})
		if s.expected != "" {
			for what, value := range map[string]string{
				"empty but for spaces": " x ", "of the wrong prefix": "sha1=" + strings.Repeat("0", 64), "cut short": signed()[1][:3],
			} {
				t.Run(name+": "+what, func(t *testing.T) { refused(t, s.body, s.expected, with(signed(), s.signature, value)) })
			}
		}
		if !s.bodyUnsigned {
			t.Run(name+": tampered", func(t *testing.T) { refused(t, s.body+" ", s.wrong, signed()) })
			t.Run(name+": tampered to be no JSON", func(t *testing.T) { refused(t, "{", s.wrong, signed()) })
		}
		if s.timestamped {
			t.Run(name+": stale", func(t *testing.T) {
				refused(t, s.body, "timestamp is 412 s old, 300 allowed", s.sign(secret, s.body, g.now.Add(-412*time.Second)))
			})
			t.Run(name+": from the future", func(t *testing.T) {
				refused(t, s.body, "timestamp is 301 s ahead, 300 allowed", s.sign(secret, s.body, g.now.Add(301*time.Second)))
			})
		}
		t.Run(name+": good, and repeated", func(t *testing.T) {
			if n := len(g.queued(t)); n != 0 {
				t.Fatalf("%d runs of refused requests were queued", n)
			}
			first := runID(t, g.trigger(s.body, signed()...))
			queued := g.queued(t)
			if len(queued) != 1 || queued[0].Input.String() != s.body {
				t.Errorf("queued %+v", queued)
			}
			g.t = t
			g.wantKept(boathook.RequestAccepted, http.StatusAccepted, "")

			g.now = g.now.Add(4 * time.Minute)
			again := runID(t, g.trigger(s.body, signed()...))
			if repeats := s.idHeader != "" || s.idInBody != nil || s.verification.Preset == preset.Standard; (again == first) != repeats {
				t.Errorf("a repeated delivery got run %s, the first %s", again, first)
			} else if repeats {
				g.wantKept(boathook.RequestRepeated, http.StatusAccepted, "")
				if kept := g.requests("")[0]; kept.RunID != first {
					t.Errorf("the log says it repeats run %q", kept.RunID)
				}
			}
			for _, key := range []string{"k", "another"} {
				explicit := runID(t, g.trigger(s.body, append(signed(), "Idempotency-Key", key)...))
				if (explicit == first) != s.idSigned {
					t.Errorf("with the key %q it got run %s, the first %s", key, explicit, first)
				}
			}
			switch {
			case s.idHeader != "":
				if other := runID(t, g.trigger(s.body, with(signed(), s.idHeader, "another")...)); other == first {
					t.Error("another delivery got the same run")
				}
			case s.idInBody != nil:
				body := s.idInBody(s.body)
				if other := runID(t, g.trigger(body, s.sign(secret, body, g.now)...)); other == first {
					t.Error("another delivery got the same run")
				}
			}
		})
	}
}

func TestUpperCaseHexIsTheSameSignature(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	runID(t, g.trigger(`{}`, "X-Hub-Signature-256", "sha256="+strings.ToUpper(hexSum(secret, `{}`))))
}

func TestAnEmptyBodyIsVerifiedAsItCame(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	runID(t, g.trigger(``, "X-Hub-Signature-256", "sha256="+hexSum(secret, ``)))
	if w := g.trigger(``, "X-Hub-Signature-256", "sha256="+hexSum(secret, `{}`)); w.Code != 401 {
		t.Errorf("signed over {}, it was answered %d", w.Code)
	}
}

func TestOneSecretOpensNoOtherWebhook(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	g.Incoming.Verification.SealedSecret = nil
	g.put(g.Incoming)
	if w := g.trigger(`{}`, "X-Hub-Signature-256", "sha256="+hexSum("", `{}`)); w.Code == 202 {
		t.Error("a webhook without a secret takes what is signed with none")
	}
}

// Stripe counts the webhooks that are still to be delivered, in the event.
func TestASendersRepeatMayHaveAnotherBody(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.Stripe}, boathook.Filter{})
	send := func(body string) *httptest.ResponseRecorder {
		return g.trigger(body, senders()["Stripe"].sign(secret, body, g.now)...)
	}
	first := runID(t, send(`{"id":"evt_1","pending_webhooks":2}`))
	g.now = g.now.Add(time.Minute)
	if again := runID(t, send(`{"id":"evt_1","pending_webhooks":1}`)); again != first {
		t.Errorf("got run %s, want %s", again, first)
	}
	g.wantKept(boathook.RequestRepeated, http.StatusAccepted, "")

	g.sendErr = errors.New("down") // the first message may never have been sent either
	g.now = g.now.Add(time.Minute)
	if w := send(`{"id":"evt_1","pending_webhooks":0}`); w.Code != 503 {
		t.Errorf("answered %d %s, though nobody may ever execute it", w.Code, w.Body)
	}
}

func TestASendersRepeatIsAnsweredThoughNothingIsLiveAnymore(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.Stripe}, boathook.Filter{})
	body := `{"id":"evt_1"}`
	send := func() *httptest.ResponseRecorder {
		g.now = g.now.Add(time.Second)
		return g.trigger(body, senders()["Stripe"].sign(secret, body, g.now)...)
	}
	first := runID(t, send())
	g.Incoming.Environment = boathook.Staging
	g.put(g.Incoming)
	if again := runID(t, send()); again != first {
		t.Errorf("got run %s, want %s", again, first)
	}
	body = `{"id":"evt_2"}`
	if w := send(); w.Code != 409 {
		t.Errorf("another was answered %d %s", w.Code, w.Body)
	}
	g.wantKept(boathook.RequestRejected, 409, "No running version found for staging environment")
}

func TestFormsAreReadWhereTheSenderSendsThem(t *testing.T) {
	const input = `{"action":"opened","title":"a+b & c=d"}`
	form := "payload=" + url.QueryEscape(input)
	const formType = "application/x-www-form-urlencoded; charset=utf-8"
	post := func(name, body string) (*guarded, *httptest.ResponseRecorder) {
		t.Helper()
		g := newGuarded(t, boathook.Verification{Preset: name}, boathook.Filter{})
		headers := []string{"X-Hub-Signature-256", "sha256=" + hexSum(secret, body), "X-GitHub-Event", "pull_request"}
		if name == preset.Slack {
			headers = senders()["Slack"].sign(secret, body, g.now)[2:]
		}
		return g, g.trigger(body, append(headers, "Content-Type", formType)...)
	}
	for _, name := range []string{preset.GitHub, preset.Slack} {
		g, w := post(name, form)
		if w.Code >= 300 {
			t.Fatalf("%s: answered %d %s", name, w.Code, w.Body)
		}
		if queued := g.queued(t); len(queued) != 1 || queued[0].Input.String() != input {
			t.Errorf("%s: queued %s", name, queued[0].Input.Bytes())
		}
		refused := map[string]string{
			"payload=%zz":   "the form is malformed",
			"payload=a%3Db": "not JSON: it looks like a form",
			"payload=%ff":   "not JSON: not valid UTF-8",
		}
		if name == preset.GitHub {
			refused["token=x&command=%2Fdeploy"], refused[input] = "the form has no field payload", "the form has no field payload"
		}
		for body, reason := range refused {
			g, w := post(name, body)
			if w.Code != 400 || !strings.Contains(w.Body.String(), reason) {
				t.Errorf("%s: %s was answered %d %s", name, body, w.Code, w.Body)
			}
			g.wantKept(boathook.RequestRejected, 400, reason)
		}
	}
}

func TestHandshakesStartNoRun(t *testing.T) {
	const challenge = `{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`
	for name, tc := range map[string]struct {
		preset, body string
		sign         func(string) []string
		want         string
	}{
		"Slack": {preset.Slack, challenge, func(key string) []string {
			return senders()["Slack"].sign(key, challenge, noon)
		}, `{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`},
		"GitHub": {preset.GitHub, `{"zen":"Design for failure.","hook_id":1}`, func(key string) []string {
			return []string{"X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256=" + hexSum(key, `{"zen":"Design for failure.","hook_id":1}`)}
		}, `{"status":"pong"}`},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t, boathook.Verification{Preset: tc.preset}, boathook.Filter{Events: []string{"something else"}})
			g.Incoming.Environment = boathook.Staging // where nothing is live yet
			g.put(g.Incoming)
			if w := g.trigger(tc.body, tc.sign("another secret")...); w.Code != 401 {
				t.Errorf("with another secret it is answered %d %s", w.Code, w.Body)
			}
			g.now = g.now.Add(time.Second)
			w := g.trigger(tc.body, tc.sign(secret)...)
			if w.Code != 200 || w.Body.String() != tc.want || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			g.wantKept(boathook.RequestAnswered, 200, "")
			if n := len(g.queued(t)); n != 0 {
				t.Errorf("%d runs were queued", n)
			}
		})
	}
}

func TestWhatTheFilterDoesNotWantIsIgnored(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{
		Events: []string{"pull_request", "issues"}, Pointer: "/action", Equals: json.RawMessage(`"opened"`),
	})
	send := func(event, body string) *httptest.ResponseRecorder {
		g.now = g.now.Add(time.Second)
		return g.trigger(body, "X-GitHub-Event", event, "X-Hub-Signature-256", "sha256="+hexSum(secret, body))
	}
	runID(t, send("pull_request", `{"action":"opened"}`))
	for _, tc := range []struct{ event, body, reason string }{
		{"push", `{"action":"opened"}`, `the event "push.opened" is not one that the filter names`},
		{"issues", `{"action":"closed"}`, `/action is not "opened"`},
		{"issues", `{}`, `/action is not in the input`},
	} {
		w := send(tc.event, tc.body)
		if want := fmt.Sprintf(`{"status":"ignored","reason":%q}`, tc.reason); w.Code != 200 || w.Body.String() != want {
			t.Errorf("answered %d %s\nwant %s", w.Code, w.Body, want)
		}
		g.wantKept(boathook.RequestIgnored, 200, tc.reason)
	}
	if n := len(g.queued(t)); n != 1 {
		t.Errorf("%d runs were queued", n)
	}
}

func TestEventsAreFilteredByEachSendersNames(t *testing.T) {
	for name, event := range map[string]string{
		"GitHub": "pull_request", "GitLab": "Push Hook", "Stripe": "invoice.paid", "Slack": "app_mention", "Shopify": "orders/create",
		"Standard Webhooks": "invoice.paid", "Grafana": "firing", "a sender of one's own": "deployed",
	} {
		s := senders()[name]
		g := newGuarded(t, s.verification, boathook.Filter{Events: []string{event}})
		if w := g.trigger(s.body, s.sign(secret, s.body, g.now)...); w.Code != 202 {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
		g = newGuarded(t, s.verification, boathook.Filter{Events: []string{"other"}})
		if w := g.trigger(s.body, s.sign(secret, s.body, g.now)...); w.Code != 200 {
			t.Errorf("%s, with a filter for others: answered %d %s", name, w.Code, w.Body)
		}
	}
}

// TestChecksComeInTheDocumentedOrder mends a request one mistake at a time.
func TestChecksComeInTheDocumentedOrder(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	live := g.Incoming
	g.Incoming.Environment = boathook.Staging
	g.Incoming.Enabled = false
	large := `"` + strings.Repeat("x", boathook.MaxTriggerBody) + `"`
	signed := func(body string) []string { return []string{"X-Hub-Signature-256", "sha256=" + hexSum(secret, body)} }
	want := func(status int, body string, headers ...string) {
		t.Helper()
		if w := g.trigger(body, headers...); w.Code != status {
			t.Errorf("answered %d %s, want %d", w.Code, w.Body, status)
		}
	}
	g.sendErr = errors.New("down")
	g.put(g.Incoming)
	want(404, large)
	g.Incoming.Enabled = true
	g.put(g.Incoming)
	want(413, large)
	want(401, `{`)
	want(400, `{`, signed(`{`)...)
	want(409, `{}`, signed(`{}`)...)
	g.put(live)
	want(503, `{}`, signed(`{}`)...)
	g.sendErr = nil
	want(202, `{}`, append(signed(`{}`), "Idempotency-Key", "k")...)
	want(409, `[]`, append(signed(`[]`), "Idempotency-Key", "k")...)

	var kept []int
	for _, r := range g.requests(boathook.RequestRejected) {
		kept = append(kept, r.Status)
	}
	slices.Sort(kept)
	if diff := cmp.Diff([]int{400, 401, 409, 409, 413, 503}, kept); diff != "" {
		t.Errorf("the log has the statuses (-want +got):\n%s", diff)
	}
}

func TestTheLogTellsOfTheSenderAndNothingSecret(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	r := httptest.NewRequest(http.MethodPost, "/webhooks/runs/"+g.Token.Text, strings.NewReader("Hello, World!"))
	r.RemoteAddr = "203.0.113.7:0"
	for name, value := range map[string]string{
		"Authorization": "Bearer hunter2", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/" + strings.Repeat("é", 100),
		"X-Hub-Signature-256": "sha256=" + hexSum("hunter2", "Hello, World!"), "X-Forwarded-For": "203.0.113.7", "X-Amzn-Trace-Id": "Root=1",
		strings.Repeat("Z", 200): "a", strings.Repeat("Z", 201): "b",
	} {
		r.Header.Set(name, value)
	}
	g.handler.ServeHTTP(httptest.NewRecorder(), r)
	got := g.requests("")[0]
	want := boathook.Request{
		ID: got.ID, WorkspaceID: g.Source.WorkspaceID, WebhookID: g.Incoming.ID, At: noon,
		Outcome: boathook.RequestRejected, Status: 401, Reason: mismatched,
		Sender: &boathook.Sender{
			IP: "203.0.113.7", UserAgent: "GitHub-Hookshot/" + strings.Repeat("é", 40) + "…", ContentType: "application/json",
			Headers:  []string{"Authorization", "Content-Type", "User-Agent", "X-Hub-Signature-256", "Z" + strings.Repeat("z", 199)},
			BodySize: 13, BodySHA256: "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, hidden := range []string{"hunter2", "Hello", secret, hexSum(secret, "Hello, World!"), g.Token.Text} {
		if strings.Contains(fmt.Sprintf("%+v %+v", got, got.Sender), hidden) || strings.Contains(g.place.log.String(), hidden) {
			t.Errorf("%q is in the log", hidden)
		}
	}
}

func TestAFloodFillsNothingAndHidesNothing(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{Events: []string{"push"}})
	signed := []string{"X-Hub-Signature-256", "sha256=" + hexSum(secret, `{}`), "X-GitHub-Event"}
	first := g.trigger(`{}`)
	good := runID(t, g.trigger(`{}`, append(signed, "push")...))
	g.trigger(`{}`, append(signed, "star")...)

	writes := 0
	g.keep = func() { writes++ }
	processes := []http.Handler{g.handler, g.process(), g.process()}
	for minute := range 60 {
		g.now = noon.Add(time.Duration(minute+1) * time.Minute)
		for i := range 300 {
			g.handler = processes[i%len(processes)]
			if w := g.trigger(`{}`, "X-Hub-Signature-256", "x"); w.Code != 401 {
				t.Fatalf("answered %d", w.Code)
			}
		}
	}
	if first.Code != 401 || writes != 60*10*len(processes) {
		t.Errorf("%d writes of 18,000 bad requests at three processes in an hour, want ten a minute and process", writes)
	}
	if n := len(g.requests(boathook.RequestRejected)); n != store.RequestSlots {
		t.Errorf("%d bad requests are kept, want %d", n, store.RequestSlots)
	}
	if kept := g.requests(boathook.RequestAccepted); len(kept) != 1 || kept[0].RunID != good {
		t.Errorf("of the good request the log has %+v", kept)
	}
	if kept := g.requests(boathook.RequestIgnored); len(kept) != 1 {
		t.Errorf("of the ignored request the log has %+v", kept)
	}

	g.now = noon.Add(2 * time.Hour)
	g.trigger(`{}`)
	g.wantKept(boathook.RequestRejected, 401, "X-Hub-Signature-256 is missing")
}

func TestALogThatFailsFailsNoRequest(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	g.keepErr = errors.New("throttled")
	if w := g.trigger(`{}`); w.Code != 401 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if !strings.Contains(g.place.log.String(), "throttled") {
		t.Error("nothing tells of it")
	}
}

func TestAKeyServiceThatFailsIsA503(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	g.openErr = errors.New("KMS says hunter2")
	if w := g.trigger(`{}`); w.Code != 503 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// Plain webhooks ask neither the key service nor the log.
func TestAPlainTriggerCostsNoMore(t *testing.T) {
	p := newPlace(t)
	p.openErr, p.keepErr = errors.New("asked"), errors.New("asked")
	runID(t, p.trigger(`{}`))
	if strings.Contains(p.log.String(), "asked") {
		t.Error(p.log.String())
	}
}

func FuzzTrigger(f *testing.F) {
	f.Add([]byte(`{"type":"url_verification","challenge":1}`), "application/json", "ping")
	f.Add([]byte("payload=%7B%7D&payload=1"), "application/x-www-form-urlencoded", "push")
	f.Add([]byte("payload=%"), "application/x-www-form-urlencoded;=", "\xff")
	f.Add([]byte(`{"event":{"type":{}},"event_id":[]}`), "", "")
	var places []*guarded
	for _, preset := range []string{preset.GitHub, preset.Slack} {
		places = append(places, newGuarded(f, boathook.Verification{Preset: preset}, boathook.Filter{Events: []string{"push"}, Pointer: "/a/0", Equals: json.RawMessage(`1`)}))
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType, event string) {
		for _, g := range places {
			headers := append(senders()["Slack"].sign(secret, string(body), g.now)[2:],
				"X-Hub-Signature-256", "sha256="+hexSum(secret, string(body)), "Content-Type", contentType, "X-GitHub-Event", event)
			switch w := g.trigger(string(body), headers...); w.Code {
			case 200, 202, 400, 413:
			default:
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		}
	})
}
