package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/dialect"
	"boathook/internal/probe"
)

const (
	secret    = "whsec_VGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU="
	oldSecret = "whsec_QW4gb2xkZXIgc2VjcmV0IG9mIHRoZXNlIHZlcnkgdGVzdHM="
)

// clock is the time of a receiver and of its probe.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1795287600, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func sum(h func() hash.Hash, key, text string) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hex256(key, text string) string { return hex.EncodeToString(sum(sha256.New, key, text)) }

// A check says whether a delivery is signed right. These share no code with Boathook.
type check func(h http.Header, body string, now time.Time) bool

func fresh(timestamp string, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)).Abs() <= 5*time.Minute
}

// right are the faultless ones.
var right = map[string]check{
	"crewship": func(h http.Header, body string, now time.Time) bool {
		timestamp := h.Get("X-Crewship-Timestamp")
		return fresh(timestamp, now) && slices.Contains(strings.Split(h.Get("X-Crewship-Signature"), ","), hex256(secret, timestamp+"."+body))
	},
	"shipway": func(h http.Header, body string, _ time.Time) bool {
		return h.Get("X-Shipway-Signature") == "sha1="+hex.EncodeToString(sum(sha1.New, secret, body))
	},
	"capawesome": func(h http.Header, body string, _ time.Time) bool {
		return h.Get("X-Signature") == hex256(secret, body)
	},
	"standard": func(h http.Header, body string, now time.Time) bool {
		timestamp := h.Get("webhook-timestamp")
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		want := "v1," + base64.StdEncoding.EncodeToString(sum(sha256.New, string(key), h.Get("webhook-id")+"."+timestamp+"."+body))
		return fresh(timestamp, now) && slices.Contains(strings.Split(h.Get("webhook-signature"), " "), want)
	},
}

// serve is a handler of deliveries that are read whole.
func serve(c *clock, handle func(w http.ResponseWriter, h http.Header, body string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.Now().UTC().Format(http.TimeFormat))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		handle(w, r.Header, string(body))
	})
}

// checked is a receiver that does what is right but for its check.
func checked(c *clock, ok check) http.Handler {
	return serve(c, func(w http.ResponseWriter, h http.Header, body string) {
		if !ok(h, body, c.Now()) {
			w.WriteHeader(401)
			return
		}
		w.WriteHeader(204)
	})
}

// after is a receiver that verifies, and does more with what is right.
func after(c *clock, handle func(w http.ResponseWriter, h http.Header, body string)) http.Handler {
	return serve(c, func(w http.ResponseWriter, h http.Header, body string) {
		if !right["crewship"](h, body, c.Now()) {
			w.WriteHeader(401)
			return
		}
		handle(w, h, body)
	})
}

// either is a check with one more way to be right.
func either(more check) check {
	return func(h http.Header, body string, now time.Time) bool {
		return right["crewship"](h, body, now) || more(h, body, now)
	}
}

// result is what a probe has found.
type result struct {
	findings []probe.Finding
	summary  probe.Summary
}

// examine probes a URL, without waiting for anything but the receiver.
func examine(t *testing.T, c *clock, config probe.Config) (r result) {
	t.Helper()
	config.Now, config.Timeout = c.Now, time.Hour // a busy machine trips no time-out
	if config.Pause == nil {
		config.Pause = func(context.Context, time.Duration) {}
	}
	if config.Secret == "" {
		config.Secret = secret
	}
	if config.Dialect == "" {
		config.Dialect = "crewship"
	}
	var err error
	r.summary, err = probe.Receiver(t.Context(), config, func(f probe.Finding) { r.findings = append(r.findings, f) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r result) names(v probe.Verdict) (names []string) {
	for _, f := range r.findings {
		if f.Verdict == v {
			names = append(names, f.Name)
		}
	}
	return names
}

// mends is what there is to mend.
func (r result) mends() (all string) {
	for _, f := range r.findings {
		all += f.Mend + "\n"
	}
	return all
}

func TestAFaultlessReceiverHasNoFault(t *testing.T) {
	without := map[string][]string{
		"crewship": {"changed-id"},
		"standard": nil,
		"shipway":  {"rotation-first", "rotation-second", "changed-id", "stale", "future", "changed-timestamp", "body-only-signature", "no-timestamp"},
	}
	without["capawesome"] = without["shipway"]
	for _, name := range dialect.Names() {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			server := httptest.NewServer(checked(c, right[name]))
			defer server.Close()
			var pauses atomic.Int32
			r := examine(t, c, probe.Config{URL: server.URL, Dialect: name, OldSecret: oldSecret, Pause: func(_ context.Context, d time.Duration) {
				if d > 0 {
					pauses.Add(1)
				}
			}})
			if n := pauses.Load(); n != 5 {
				t.Errorf("the slow body has %d pieces, want 5", n)
			}
			var want []string
			for _, one := range probe.Names() {
				if !slices.Contains(without[name], one) {
					want = append(want, one)
				}
			}
			if diff := cmp.Diff(want, r.names(probe.OK)); diff != "" || r.summary != (probe.Summary{OK: len(want)}) {
				t.Errorf("%+v (-want +got):\n%s%+v", r.summary, diff, r.findings)
			}
		})
	}
}

// A receiver without a check is found out in each dialect, whatever it writes to its log.
func TestAReceiverThatVerifiesNothing(t *testing.T) {
	for _, name := range dialect.Names() {
		c := newClock()
		server := httptest.NewServer(checked(c, func(http.Header, string, time.Time) bool { return true }))
		defer server.Close()
		r := examine(t, c, probe.Config{URL: server.URL, Dialect: name, OldSecret: oldSecret})
		for _, f := range r.findings {
			want := probe.OK
			switch {
			case f.Name == "wrong-encoding":
				want = probe.Warning
			case f.Expected == "401":
				want = probe.Fault
			}
			if f.Verdict != want || (f.Mend == "") != (want == probe.OK) {
				t.Errorf("%s: %+v, want %s", name, f, want)
			}
		}
		if r.summary.Faults < 9 {
			t.Errorf("%s: %+v", name, r.summary)
		}
	}
}

// forged are the cases that a receiver of Crewship's dialect must refuse.
var forged = []string{
	"tampered-body", "tampered-number", "other-body", "no-signature", "empty-signature", "truncated-signature", "altered-signature", "wrong-encoding",
	"another-secret", "old-secret", "stale", "future", "changed-timestamp", "body-only-signature", "no-timestamp",
}

// plant is a receiver with one fault, and what must be found.
type plant struct {
	name     string
	receiver func(c *clock) http.Handler
	faults   []string
	warnings []string
	hint     string // in what there is to mend
}

// withSignatures is a check of what the header holds, with all else right.
func withSignatures(ok func(given, want string) bool) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return checked(c, func(h http.Header, body string, now time.Time) bool {
			timestamp := h.Get("X-Crewship-Timestamp")
			return fresh(timestamp, now) && ok(h.Get("X-Crewship-Signature"), hex256(secret, timestamp+"."+body))
		})
	}
}

func anyOf(given string, ok func(one string) bool) bool {
	return slices.ContainsFunc(strings.Split(given, ","), ok)
}

// overBody is a receiver that verifies what it makes of the body.
func overBody(change func(body string) string) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return checked(c, func(h http.Header, body string, now time.Time) bool { return right["crewship"](h, change(body), now) })
	}
}

// plusCheck is a receiver that takes one more thing for right.
func plusCheck(more check) func(c *clock) http.Handler {
	return func(c *clock) http.Handler { return checked(c, either(more)) }
}

// then is a receiver that verifies, and answers what handle says.
func then(handle func(h http.Header, body string) int) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return after(c, func(w http.ResponseWriter, h http.Header, body string) { w.WriteHeader(handle(h, body)) })
	}
}

// repeated is a receiver that answers so to a delivery that it knows.
func repeated(status int) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		known := map[string]bool{}
		return then(func(h http.Header, _ string) int {
			id := h.Get("X-Crewship-Delivery")
			if known[id] {
				return status
			}
			known[id] = true
			return 200
		})(c)
	}
}

// forgeries is a receiver that answers so to what is not right.
func forgeries(answer func(w http.ResponseWriter)) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return serve(c, func(w http.ResponseWriter, h http.Header, body string) {
			if !right["crewship"](h, body, c.Now()) {
				answer(w)
			}
		})
	}
}

// always is a receiver that gives one answer.
func always(status int, header ...string) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return serve(c, func(w http.ResponseWriter, _ http.Header, _ string) {
			for pair := range slices.Chunk(header, 2) {
				w.Header().Set(pair[0], pair[1])
			}
			w.WriteHeader(status)
		})
	}
}

func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// late is a receiver that takes its time. The clock tells it, and nobody waits.
func late(d time.Duration) func(c *clock) http.Handler {
	return func(c *clock) http.Handler {
		return after(c, func(w http.ResponseWriter, _ http.Header, _ string) { c.pass(d); w.WriteHeader(200) })
	}
}

func reserialised(body string) string {
	var v any
	_ = json.Unmarshal([]byte(body), &v)
	text, _ := json.Marshal(v)
	return string(text)
}

func compacted(body string) string {
	var b bytes.Buffer
	_ = json.Compact(&b, []byte(body))
	return b.String()
}

var plants = []plant{
	{
		"compares the begin", withSignatures(func(given, want string) bool {
			return anyOf(given, func(s string) bool { return len(s) >= 8 && s[:8] == want[:8] })
		}),
		[]string{"truncated-signature", "altered-signature"}, nil, "whole signature",
	},
	{
		"compares as much as is given", withSignatures(func(given, want string) bool {
			return anyOf(given, func(s string) bool { return strings.HasPrefix(want, s) })
		}),
		[]string{"no-signature", "empty-signature", "truncated-signature"}, nil, "without X-Crewship-Signature is not signed",
	},
	{"serialises the body again", overBody(reserialised), []string{"delivery"}, nil, "not the bytes that arrived, but JSON"},
	{"takes the spaces out", overBody(compacted), []string{"exact-spaces"}, nil, "before anything parses them"},
	{"unescapes slashes", overBody(func(b string) string { return strings.ReplaceAll(b, `\/`, "/") }), []string{"exact-escapes"}, nil, "express.raw"},
	{"rounds numbers", overBody(func(b string) string { return strings.ReplaceAll(b, "1e2", "100") }), []string{"exact-numbers"}, nil, "another text"},
	{"trims the body", overBody(func(b string) string { return b[:min(len(b), 4096)] }), []string{"large"}, nil, "Read the whole body"},
	{
		"looks at no time", plusCheck(func(h http.Header, body string, _ time.Time) bool {
			return h.Get("X-Crewship-Signature") == hex256(secret, h.Get("X-Crewship-Timestamp")+"."+body)
		}),
		[]string{"stale", "future"}, nil, "300 s before or after now",
	},
	{
		"accepts the future", plusCheck(func(h http.Header, body string, now time.Time) bool {
			return right["crewship"](h, body, now.Add(10*time.Minute))
		}),
		[]string{"future"}, nil, "X-Crewship-Timestamp is missing, no number",
	},
	{
		"accepts what is old", plusCheck(func(h http.Header, body string, now time.Time) bool {
			return right["crewship"](h, body, now.Add(-10*time.Minute))
		}),
		[]string{"stale"}, nil, "for ever",
	},
	{
		"accepts a signature without the timestamp too", plusCheck(func(h http.Header, body string, _ time.Time) bool {
			return h.Get("X-Crewship-Signature") == hex256(secret, body)
		}),
		[]string{"body-only-signature"}, nil, `timestamp + "." + body`,
	},
	{
		"knows no timestamp", func(c *clock) http.Handler {
			return checked(c, func(h http.Header, body string, _ time.Time) bool {
				return h.Get("X-Crewship-Signature") == hex256(secret, body)
			})
		},
		[]string{"delivery"}, nil, "over the body alone, without the timestamp",
	},
	{
		"remembers signatures for their new timestamps", func(c *clock) http.Handler {
			signed := map[string]bool{}
			return checked(c, func(h http.Header, body string, now time.Time) bool {
				timestamp, given := h.Get("X-Crewship-Timestamp"), h.Get("X-Crewship-Signature")
				old := strconv.FormatInt(now.Unix()-600, 10)
				signed[hex256(secret, old+"."+body)] = old != timestamp
				return right["crewship"](h, body, now) || fresh(timestamp, now) && signed[given]
			})
		},
		[]string{"changed-timestamp"}, nil, "must be part of what is verified",
	},
	{
		"accepts what has no timestamp", plusCheck(func(h http.Header, _ string, _ time.Time) bool { return h.Get("X-Crewship-Timestamp") == "" }),
		[]string{"no-timestamp"}, nil, "X-Crewship-Timestamp",
	},
	{
		"accepts what has no signature", plusCheck(func(h http.Header, _ string, _ time.Time) bool { return h["X-Crewship-Signature"] == nil }),
		[]string{"no-signature"}, nil, "Anybody can send one",
	},
	{
		"accepts an empty signature", plusCheck(func(h http.Header, _ string, _ time.Time) bool {
			given, ok := h["X-Crewship-Signature"]
			return ok && given[0] == ""
		}),
		[]string{"empty-signature"}, nil, "answer 401",
	},
	{
		"accepts the old secret", plusCheck(func(h http.Header, body string, now time.Time) bool {
			timestamp := h.Get("X-Crewship-Timestamp")
			return fresh(timestamp, now) && h.Get("X-Crewship-Signature") == hex256(oldSecret, timestamp+"."+body)
		}),
		[]string{"old-secret"}, nil, "take the old secret out",
	},
	{
		"looks at the first signature", withSignatures(func(given, want string) bool { return strings.Split(given, ",")[0] == want }),
		[]string{"rotation-second"}, nil, "separated by a comma",
	},
	{
		"looks at the last signature", withSignatures(func(given, want string) bool { return strings.HasSuffix(given, want) }),
		[]string{"rotation-first"}, nil, "accept if any of them is right",
	},
	{
		"takes upper-case hex", withSignatures(func(given, want string) bool {
			return anyOf(given, func(s string) bool { return strings.EqualFold(s, want) })
		}),
		nil, nil, "",
	},
	{
		"takes base64", plusCheck(func(h http.Header, body string, now time.Time) bool {
			timestamp := h.Get("X-Crewship-Timestamp")
			return fresh(timestamp, now) && h.Get("X-Crewship-Signature") == base64.StdEncoding.EncodeToString(sum(sha256.New, secret, timestamp+"."+body))
		}),
		nil, []string{"wrong-encoding"}, "It is no hole",
	},
	{"fails for repetitions", repeated(500), []string{"repeat"}, nil, "Deduplicate by X-Crewship-Delivery"},
	{"refuses repetitions", repeated(409), []string{"repeat"}, nil, "answer 2xx to a repetition"},
	{
		"refuses what is older", then(func(_ http.Header, body string) int {
			if strings.Contains(body, `"completed_at":"2026-11-20`) {
				return 409
			}
			return 200
		}),
		[]string{"out-of-order"}, nil, "any order",
	},
	{
		"refuses unknown fields", then(func(_ http.Header, body string) int {
			var fields map[string]any
			if json.Unmarshal([]byte(body), &fields) != nil || len(fields) != 13 {
				return 422
			}
			return 200
		}),
		[]string{"unknown-field"}, nil, "Ignore those you don't know",
	},
	{
		"refuses unknown events", then(func(h http.Header, _ string) int {
			if !strings.HasPrefix(h.Get("X-Crewship-Event"), "run.") {
				return 400
			}
			return 200
		}),
		[]string{"unknown-event"}, nil, "New events may be added",
	},
	{
		"hangs up on long bodies", func(c *clock) http.Handler {
			return after(c, func(w http.ResponseWriter, _ http.Header, body string) {
				if len(body) > 64<<10 {
					hangUp(w)
				}
			})
		},
		[]string{"large"}, nil, "without closing the connection",
	},
	{
		"refuses long bodies", then(func(_ http.Header, body string) int {
			if len(body) > 64<<10 {
				return 413
			}
			return 200
		}),
		nil, []string{"large"}, "784 KiB",
	},
	{
		"crashes on what is not ASCII", func(c *clock) http.Handler {
			return after(c, func(w http.ResponseWriter, _ http.Header, body string) {
				if strings.ContainsFunc(body, func(r rune) bool { return r > 0x7f }) {
					hangUp(w)
				}
			})
		},
		[]string{"non-ascii"}, nil, "The body is UTF-8",
	},
	{
		"breaks after a long body", func(c *clock) http.Handler {
			broken := false
			return then(func(_ http.Header, body string) int {
				if broken {
					return 500
				}
				broken = len(body) > 64<<10
				return 200
			})(c)
		},
		[]string{"lower-case-headers", "slow-body", "survival"}, nil, "one of the deliveries before has broken",
	},
	{"fails for forgeries", forgeries(func(w http.ResponseWriter) { w.WriteHeader(500) }), forged, nil, "not refused either"},
	{"hangs up on forgeries", forgeries(hangUp), forged, nil, "not refused either"},
	{"redirects forgeries", forgeries(func(w http.ResponseWriter) { w.Header().Set("Location", "/login"); w.WriteHeader(302) }), forged, nil, "A redirect is not followed"},
	{"hides from forgeries", forgeries(func(w http.ResponseWriter) { w.WriteHeader(404) }), nil, forged, "401 says why"},
	{"is gone for forgeries", forgeries(func(w http.ResponseWriter) { w.WriteHeader(410) }), nil, forged, "disables the webhook"},
	{"forbids forgeries", forgeries(func(w http.ResponseWriter) { w.WriteHeader(403) }), nil, nil, ""},
	{"answers after 15 s", late(15 * time.Second), []string{"speed"}, nil, "Store the delivery"},
	{"answers after 4 s", late(4 * time.Second), nil, []string{"speed"}, "do the work after that"},
	{"redirects", always(307, "Location", "http://127.0.0.1:1/elsewhere"), []string{"delivery"}, nil, `redirects to "http://127.0.0.1:1/elsewhere"`},
	{"is elsewhere", always(404), []string{"delivery"}, nil, "nothing at this path"},
	{"takes no POST", always(405), []string{"delivery"}, nil, "does not take POST"},
	{"fails", always(500), []string{"delivery"}, nil, "Its log should say why"},
	{"is full", always(429), []string{"delivery"}, nil, "how often it is called"},
	{"refuses all", always(401), []string{"delivery"}, nil, "another secret"},
	{"has another clock", func(c *clock) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", c.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(401)
		})
	}, []string{"delivery"}, nil, "set the clock that is wrong"},
	{"closes connections", func(*clock) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { hangUp(w) })
	},
		[]string{"delivery"}, nil, "connection closed before the response was complete"},
	{"is of another dialect", func(c *clock) http.Handler { return checked(c, right["standard"]) }, []string{"delivery"}, nil, "probe it with --dialect standard"},
	{
		"decodes the secret", func(c *clock) http.Handler {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			return checked(c, func(h http.Header, body string, _ time.Time) bool {
				return h.Get("X-Crewship-Signature") == hex256(string(key), h.Get("X-Crewship-Timestamp")+"."+body)
			})
		},
		[]string{"delivery"}, nil, "the secret decoded from base64",
	},
	{
		"wants base64", func(c *clock) http.Handler {
			return checked(c, func(h http.Header, body string, _ time.Time) bool {
				return h.Get("X-Crewship-Signature") == base64.StdEncoding.EncodeToString(sum(sha256.New, secret, h.Get("X-Crewship-Timestamp")+"."+body))
			})
		},
		[]string{"delivery"}, nil, "in another encoding",
	},
}

func TestEachFaultIsFound(t *testing.T) {
	for _, tc := range plants {
		t.Run(tc.name, func(t *testing.T) {
			c := newClock()
			server := httptest.NewServer(tc.receiver(c))
			defer server.Close()
			r := examine(t, c, probe.Config{URL: server.URL, OldSecret: oldSecret})
			if diff := cmp.Diff(tc.faults, r.names(probe.Fault)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, r.names(probe.Warning)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if mends := r.mends(); !strings.Contains(mends, tc.hint) || strings.Contains(mends, secret) {
				t.Errorf("want %q, and never the secret, in\n%s", tc.hint, mends)
			}
			if r.summary.Stopped != slices.Contains(tc.faults, "delivery") {
				t.Errorf("got %+v", r.summary)
			}
		})
	}
}

// Whatever a receiver answers that is wrong, there is something to mend.
func TestEachCaseSaysWhatToMend(t *testing.T) {
	for _, name := range dialect.Names() {
		c := newClock()
		answered := false
		server := httptest.NewServer(serve(c, func(w http.ResponseWriter, _ http.Header, _ string) {
			if answered {
				w.WriteHeader(418)
			}
			answered = true
		}))
		defer server.Close()
		r := examine(t, c, probe.Config{URL: server.URL, Dialect: name, OldSecret: oldSecret})
		for _, f := range r.findings {
			if wrong := f.Name != "delivery" && f.Name != "speed"; wrong != (f.Verdict != probe.OK) || wrong != (len(f.Mend) > 20) {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

// A receiver that reads once has a part of a body that comes in parts.
func TestAReceiverThatReadsOnce(t *testing.T) {
	c := newClock()
	read := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		into := make([]byte, 2<<20)
		n, _ := r.Body.Read(into)
		if r.ContentLength > int64(n) {
			once.Do(func() { close(read) })
		}
		if !right["crewship"](r.Header, string(into[:n]), c.Now()) {
			w.WriteHeader(401)
		}
	}))
	defer server.Close()
	var pieces atomic.Int32
	r := examine(t, c, probe.Config{URL: server.URL, Only: []string{"slow-body"}, Pause: func(ctx context.Context, _ time.Duration) {
		if pieces.Add(1) == 2 { // the first is on its way
			select {
			case <-read:
			case <-ctx.Done():
			}
		}
	}})
	if got := r.names(probe.Fault); !slices.Equal(got, []string{"slow-body"}) {
		t.Errorf("got %v", got)
	}
}

// A receiver that is no HTTP library may look for names as they are usually written.
func TestAReceiverThatKnowsHeadersByTheirCase(t *testing.T) {
	c := newClock()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var raw bytes.Buffer
			if r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &raw))); err == nil {
				body, _ := io.ReadAll(r.Body)
				status := "401 Unauthorized"
				if bytes.Contains(raw.Bytes(), []byte("\r\nX-Crewship-Signature: ")) && right["crewship"](r.Header, string(body), c.Now()) {
					status = "204 No Content"
				}
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
			}
			conn.Close()
		}
	}()
	r := examine(t, c, probe.Config{URL: "http://" + l.Addr().String()})
	if got := r.names(probe.Fault); !slices.Equal(got, []string{"lower-case-headers"}) {
		t.Errorf("got %v", got)
	}
}

// What a receiver sends without end, or sends that is no HTTP, is bounded and told of.
func TestHostileReceivers(t *testing.T) {
	for name, tc := range map[string]struct{ begin, again, got string }{
		"an endless body":    {"HTTP/1.1 200 OK\r\n\r\n", "\x1b[2J\xff", "200 in <1ms"},
		"an endless header":  {"HTTP/1.1 200 OK\r\n", "X-A: b\r\n", "response headers over 65536 bytes"},
		"no HTTP":            {"SSH-2.0-x\r\n", "", "no valid HTTP response"},
		"an endless prelude": {"", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", "response headers over 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						_, _ = io.Copy(io.Discard, r.Body)
					}
					_, err = io.WriteString(conn, tc.begin)
					for err == nil && tc.again != "" {
						_, err = io.WriteString(conn, strings.Repeat(tc.again, 100))
					}
					conn.Close()
				}
			}()
			r := examine(t, newClock(), probe.Config{URL: "http://" + l.Addr().String(), Only: []string{"no-signature"}})
			if f := r.findings[0]; !strings.Contains(f.Got, tc.got) {
				t.Errorf("got %+v", f)
			}
			if last := r.findings[len(r.findings)-1]; len(last.Said) > 200 || !utf8.ValidString(last.Said) {
				t.Errorf("it says %q", last.Said)
			}
		})
	}
}

func TestWhereNobodyListens(t *testing.T) {
	r := examine(t, newClock(), probe.Config{URL: "http://127.0.0.1:1"})
	if !r.summary.Stopped || len(r.findings) != 1 || !strings.Contains(r.mends(), "connection refused. Start it") {
		t.Errorf("got %+v", r)
	}
}

// More headers reach the receiver with each delivery, what it answers is shown, and only the cases that are
// asked for are sent.
func TestSomeCasesWithMoreHeaders(t *testing.T) {
	c := newClock()
	server := httptest.NewServer(serve(c, func(w http.ResponseWriter, h http.Header, body string) {
		switch {
		case h.Get("Authorization") != "Bearer t":
			w.WriteHeader(404)
		case !right["crewship"](h, body, c.Now()):
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "\n KeyError: "+strings.Repeat("é", 1000))
		}
	}))
	defer server.Close()
	r := examine(t, c, probe.Config{URL: server.URL, Header: http.Header{"Authorization": {"Bearer t"}}, Only: []string{"speed", "no-signature"}})
	if len(r.findings) != 3 || r.findings[1].Name != "no-signature" || r.findings[2].Name != "speed" || r.summary != (probe.Summary{OK: 2, Faults: 1}) {
		t.Fatalf("got %+v", r)
	}
	if f := r.findings[1]; !strings.HasPrefix(f.Said, "KeyError: é") || len(f.Said) > 130 || f.Got != "500 in <1ms" {
		t.Errorf("got %+v", f)
	}
}

func TestWhatCannotBeProbed(t *testing.T) {
	for name, tc := range map[string]struct {
		config probe.Config
		want   string
	}{
		"no URL":              {probe.Config{URL: "localhost:80", Dialect: "crewship", Secret: "s"}, "must begin with http://"},
		"a broken URL":        {probe.Config{URL: "http://user:hunter2@[", Dialect: "crewship", Secret: "s"}, "must begin with http://"},
		"no secret":           {probe.Config{URL: "http://a", Dialect: "crewship"}, "the secret is empty"},
		"no standard secret":  {probe.Config{URL: "http://a", Dialect: "standard", Secret: "s"}, "the secret must be whsec_"},
		"no standard old one": {probe.Config{URL: "http://a", Dialect: "standard", Secret: secret, OldSecret: "s"}, "the old secret must be whsec_"},
		"one secret twice":    {probe.Config{URL: "http://a", Dialect: "crewship", Secret: "s", OldSecret: "s"}, "the old secret is the secret"},
		"an unknown dialect":  {probe.Config{URL: "http://a", Dialect: "agent", Secret: "s"}, "capawesome, crewship, shipway, standard"},
		"an unknown case":     {probe.Config{URL: "http://a", Dialect: "crewship", Secret: "s", Only: []string{"slow"}}, `no case "slow": expected some of delivery,`},
		"a delivery's header": {probe.Config{URL: "http://a", Dialect: "crewship", Secret: "s", Header: http.Header{"X-Crewship-Signature": {"0"}}}, "X-Crewship-Signature is a delivery's own"},
		"a connection's":      {probe.Config{URL: "http://a", Dialect: "crewship", Secret: "s", Header: http.Header{"Content-Length": {"0"}}}, "Content-Length is a delivery's own"},
	} {
		_, err := probe.Receiver(t.Context(), tc.config, func(f probe.Finding) { t.Errorf("%s: %+v", name, f) })
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// Who interrupts a probe gets no verdict from what was interrupted.
func TestAnInterruptEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClock()
	sent := 0
	server := httptest.NewServer(after(c, func(http.ResponseWriter, http.Header, string) {
		if sent++; sent == 2 {
			cancel()
		}
	}))
	defer server.Close()
	reported := 0
	config := probe.Config{URL: server.URL, Dialect: "crewship", Secret: secret, Now: c.Now, Timeout: time.Hour}
	if _, err := probe.Receiver(ctx, config, func(probe.Finding) { reported++ }); err == nil || reported != 1 {
		t.Errorf("%v, after %d findings", err, reported)
	}
}
