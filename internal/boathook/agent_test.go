package boathook_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"boathook/internal/boathook"
)

func TestAnAgentReadsItsPayloadInCrewshipsForm(t *testing.T) {
	for name, tc := range map[string]struct {
		body, event, source, data string
	}{
		"the document's example": {
			`{"event":"pull_request.opened","source":"github","data":{"repository":"org/repo","pr_number":42,"branch":"feat/new-feature"}}`,
			"pull_request.opened", "github", "{repository: org/repo, pr_number: 42, branch: feat/new-feature}",
		},
		"the document's own key order": {`{"data":{"z":1,"a":2,"m":3}}`, "unknown", "unknown", "{z: 1, a: 2, m: 3}"},
		"nested values": {
			`{"data":{"a":{"b":[1,"two",null,true,false,{"c":[]}]},"d":{}}}`,
			"unknown", "unknown", "{a: {b: [1, two, null, true, false, {c: []}]}, d: {}}",
		},
		"numbers as they are written": {`{"data":[1.50,1e400,12345678901234567890]}`, "unknown", "unknown", "[1.50, 1e400, 12345678901234567890]"},
		"strings bare":                {`{"data":"line\none: {\"a\"}"}`, "unknown", "unknown", "line\none: {\"a\"}"},
		"null":                        {`{"event":"e","data":null}`, "e", "unknown", "null"},
		"no data":                     {`{"event":"e","n":1}`, "e", "unknown", "{event: e, n: 1}"},
		"nothing":                     {`{}`, "unknown", "unknown", "{}"},
		"no object":                   {`["a",1]`, "unknown", "unknown", "[a, 1]"},
		"an event of another type":    {`{"event":{"x":1},"source":"","data":1}`, "unknown", "unknown", "1"},
		"names in another case":       {`{"Event":"e","DATA":1}`, "unknown", "unknown", "{Event: e, DATA: 1}"},
		"duplicate keys":              {`{"data":{"a":1,"a":2}}`, "unknown", "unknown", "{a: 1, a: 2}"},
		"the deepest":                 {strings.Repeat("[", 512) + strings.Repeat("]", 512), "unknown", "unknown", strings.Repeat("[", 512) + strings.Repeat("]", 512)},
	} {
		t.Run(name, func(t *testing.T) {
			got := boathook.ParseAgentPayload([]byte(tc.body)).Message()
			want := "Webhook event received:\nEvent: " + tc.event + "\nSource: " + tc.source + "\nData: " + tc.data
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func FuzzEveryPayloadHasAMessage(f *testing.F) {
	for _, seed := range []string{`{}`, `{"event":"a","data":{"b":[1,null]}}`, `"\ud800"`, `[[[]]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if boathook.CheckJSON(body) != nil {
			return
		}
		p := boathook.ParseAgentPayload(body)
		if m := p.Message(); !utf8.ValidString(m) || strings.HasSuffix(m, "Data: ") && !strings.Contains(string(body), `""`) {
			t.Errorf("%q gives %q", body, m)
		}
		if l := boathook.Label(p.Event); len(l) > 200 || !utf8.ValidString(l) {
			t.Errorf("%q has the label %q", p.Event, l)
		}
	})
}

func TestAnAgentsRunIsToldOfWithItsAgent(t *testing.T) {
	r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", SourceID: "agent_a", Status: boathook.RunTimedOut}, Input: boathook.NewBody(boathook.EmptyInput)}
	event, ok := r.Event()
	if !ok || event.Type != boathook.EventRunFailed ||
		!strings.Contains(string(event.Data), `"agent_id":"agent_a"`) || strings.Contains(string(event.Data), "deployment_id") {
		t.Errorf("the event is %s %s", event.Type, event.Data)
	}
}

func TestAgentSecretsAre64HexCharacters(t *testing.T) {
	a, b := boathook.NewAgentSecret(), boathook.NewAgentSecret()
	if a == b || len(a) != 64 || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("got %s and %s", a, b)
	}
}
