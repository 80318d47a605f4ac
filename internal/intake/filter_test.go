package intake_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// filtering is a place whose webhook has an expression for a filter.
func filtering(t testing.TB, jq string) *guarded {
	return newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{JQ: jq})
}

// push sends what GitHub does. Each body is a delivery of its own.
func (g *guarded) push(body, query string) *httptest.ResponseRecorder {
	return g.postAs(query, body, "X-GitHub-Event", "push", "X-GitHub-Delivery", "72d3162e-"+hexSum("", body),
		"X-Hub-Signature-256", "sha256="+hexSum(secret, body))
}

func TestAnExpressionSaysWhatStartsARun(t *testing.T) {
	for _, tc := range []struct {
		jq, body, query string
		wanted          bool
	}{
		{`.body.ref == "refs/heads/main"`, `{"ref":"refs/heads/main"}`, "", true},
		{`.body.ref == "refs/heads/main"`, `{"ref":"refs/heads/next"}`, "", false},
		{`.event == "push" and (.delivery_id | startswith("72d3162e-"))`, `{}`, "", true},
		{`.query.env == "prod"`, `{}`, "?env=prod", true},
		{`.query.env == ["a", "b"]`, `{}`, "?env=a&env=b", true},
		{`.query == {"a": ""}`, `{}`, "?a&token=hunter2", true}, // nothing that may be a credential
		{`.query == {}`, `{}`, "?" + strings.Repeat("a", 600), true},
		{`.body == 12345678901234567890`, `12345678901234567890`, "", true},
		{`.body[1].a`, `[0,{"a":true}]`, "", true},
		{`keys == ["body", "delivery_id", "event", "query"]`, `null`, "", true},
	} {
		g := filtering(t, tc.jq)
		w := g.push(tc.body, tc.query)
		if !tc.wanted {
			if want := `{"status":"ignored","reason":"filter.jq gives false"}`; w.Code != 200 || w.Body.String() != want {
				t.Errorf("%s of %s: answered %d %s", tc.jq, tc.body, w.Code, w.Body)
			}
			g.wantKept(boathook.RequestIgnored, 200, "filter.jq gives false")
			continue
		}
		run, err := g.store.Run(t.Context(), g.Source.WorkspaceID, runID(t, w))
		if err != nil || run.Details.FilterError != "" {
			t.Errorf("%s of %s: %v, %q", tc.jq, tc.body, err, run.Details.FilterError)
		}
	}
}

func TestAnExpressionIsAskedAfterTheOtherConditions(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{Events: []string{"issues"}, JQ: "error"})
	if w := g.push(`{}`, ""); w.Code != 200 || !strings.Contains(w.Body.String(), `the event \"push\" is not one`) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// What nobody could judge is not dropped: its run says so.
func TestAnExpressionThatFailsStartsTheRun(t *testing.T) {
	for jq, want := range map[string]string{
		`.body.n`:                          "filter.jq: gives a number, not a boolean",
		`.body.n > 0, true`:                "filter.jq: gives several values, not one",
		`empty`:                            "filter.jq: gives nothing, not one value",
		`.body.n / 0 > 1`:                  "filter.jq: cannot divide number (1) by: number (0)",
		`.body.n | test("a")`:              "filter.jq: ",
		`[range(1e9)] | length > 0`:        "filter.jq: ",
		`def f: f; f`:                      "filter.jq: ",
		`[limit(1e6; repeat("x"))] | any`:  "filter.jq: ",
		`"x" * 10000000 == ""`:             "filter.jq: ",
		`reduce range(1e6) as $i (0; [.])`: "filter.jq: ",
		`error("ü" * 1000)`:                "filter.jq: error: ü",
	} {
		g := filtering(t, jq)
		run, err := g.store.Run(t.Context(), g.Source.WorkspaceID, runID(t, g.push(`{"n":1}`, "")))
		if err != nil {
			t.Fatal(err)
		}
		got := run.Details.FilterError
		if !strings.HasPrefix(got, want) || len(got) > boathook.MaxFilterError || !utf8.ValidString(got) {
			t.Errorf("%s: %q, want %q", jq, got, want)
		}
		if !strings.Contains(g.log.String(), "filter failed, the run starts") {
			t.Errorf("%s: the log has\n%s", jq, g.log)
		}
		if n := len(g.queued(t)); n != 1 {
			t.Errorf("%s: %d runs were queued", jq, n)
		}
	}
}

// The sender has gone: nothing was accepted, and it sends again.
func TestAnExpressionThatIsInterruptedDecidesNothing(t *testing.T) {
	g := filtering(t, `[range(1e5)] | length == 0`)
	ctx, cancel := context.WithCancel(t.Context())
	g.lookedUp = cancel
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/runs/"+g.Token.Text, strings.NewReader(`{}`))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hexSum(secret, `{}`))
	w := httptest.NewRecorder()
	if g.handler.ServeHTTP(w, r); w.Code != 503 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if n := len(g.queued(t)); n != 0 {
		t.Errorf("%d runs were queued", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	body := fmt.Sprintf(`{"ref":"refs/heads/next","commits":[%s{}]}`, strings.Repeat(`{"id":"72d3162e"},`, 60))
	for name, filter := range map[string]boathook.Filter{
		"pointer": {Pointer: "/ref", Equals: []byte(`"refs/heads/main"`)},
		"jq":      {JQ: `.body.ref == "refs/heads/main"`},
	} {
		b.Run(name, func(b *testing.B) {
			g := newGuarded(b, boathook.Verification{Preset: preset.GitHub}, filter)
			b.ReportAllocs()
			for b.Loop() {
				if w := g.push(body, ""); w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
