package intake_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// input is a small body made by hand.
func input(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// compressed is a text in a format of package compress.
func compressed[W io.WriteCloser](text string, newWriter func(io.Writer) W) string {
	var packed bytes.Buffer
	w := newWriter(&packed)
	io.WriteString(w, text)
	w.Close()
	return packed.String()
}

func inGzip(text string) string { return compressed(text, gzip.NewWriter) }

func inZlib(text string) string { return compressed(text, zlib.NewWriter) }

func inFlate(text string) string {
	return compressed(text, func(w io.Writer) *flate.Writer {
		packed, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			panic(err)
		}
		return packed
	})
}

const formType = "application/x-www-form-urlencoded"

func TestABodyIsReadHoweverItsSenderWritesIt(t *testing.T) {
	const text = `{"a":1}`
	for name, tc := range map[string]struct {
		body    string
		headers []string
		want    string // the input
	}{
		"a byte order mark":            {input(t, "byte-order-mark.json"), nil, "{\"a\":1}\n"},
		"a byte order mark alone":      {"\ufeff", nil, `{}`},
		"gzip":                         {inGzip(text), []string{"Content-Encoding", "gzip"}, text},
		"gzip by its old name":         {inGzip(text), []string{"Content-Encoding", "X-GZIP"}, text},
		"gzip of a byte order mark":    {inGzip("\ufeff" + text), []string{"Content-Encoding", "gzip"}, text},
		"deflate":                      {inZlib(text), []string{"Content-Encoding", "deflate"}, text},
		"deflate without its frame":    {inFlate(text), []string{"Content-Encoding", "deflate"}, text},
		"encoded twice":                {inGzip(inZlib(text)), []string{"Content-Encoding", "deflate, gzip"}, text},
		"encoded as itself":            {text, []string{"Content-Encoding", "identity"}, text},
		"nothing, said to be gzip":     {"", []string{"Content-Encoding", "gzip"}, `{}`},
		"a form of fields":             {input(t, "fields.form"), []string{"Content-Type", formType}, `{"Body":"Grüße & more","From":"+15005550006","NumMedia":"0","Tag":["a","b"]}`},
		"a form whose payload is JSON": {input(t, "payload.form"), []string{"Content-Type", formType + "; charset=utf-8"}, `{"build":{"id":7}}`},
		"a form of nothing":            {"", []string{"Content-Type", formType}, `{}`},
		"a form in gzip":               {inGzip("a=1"), []string{"Content-Type", formType, "Content-Encoding", "gzip"}, `{"a":"1"}`},
		"a field without a value":      {"ok=", []string{"Content-Type", formType}, `{"ok":""}`},
		"JSON that is said to be one":  {` {"a":"x=y"}`, []string{"Content-Type", formType}, ` {"a":"x=y"}`},
	} {
		for _, v := range []boathook.Verification{
			{Preset: preset.None},
			{Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha256", Encoding: "hex"},
		} {
			g := newGuarded(t, v, boathook.Filter{})
			runID(t, g.trigger(tc.body, append(tc.headers, "X-Sig", hexSum(secret, tc.body))...))
			if queued := g.queued(t); len(queued) != 1 || queued[0].Input.String() != tc.want {
				t.Errorf("%s, %s: queued %q", name, v.Preset, queued[0].Input.Bytes())
			}
		}
	}
}

func TestABodyThatCannotBeReadIsToldInWords(t *testing.T) {
	long := strings.Repeat(" ", boathook.MaxTriggerBody)
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
		message string
	}{
		"an encoding that is not taken": {"{}", []string{"Content-Encoding", "br"}, 415, `Content-Encoding \"br\" is not taken: gzip and deflate are`},
		"encoded without end":           {"{}", []string{"Content-Encoding", "gzip,gzip,gzip"}, 415, "Content-Encoding has more than 2 encodings"},
		"not gzip":                      {"{}", []string{"Content-Encoding", "gzip"}, 400, "the body is not gzip, though Content-Encoding says so"},
		"gzip cut short":                {inGzip(`{"a":1}`)[:20], []string{"Content-Encoding", "gzip"}, 400, "the body is not gzip, though Content-Encoding says so"},
		"neither form of deflate":       {"\xff\xff", []string{"Content-Encoding", "deflate"}, 400, "the body is not deflate, though Content-Encoding says so"},
		"gzip that is not said":         {inGzip(`{"a":1}`), nil, 400, "not JSON: it is gzip, without the header Content-Encoding: gzip"},
		"a bomb":                        {inGzip(strings.Repeat("0", 4<<20)), []string{"Content-Encoding", "gzip"}, 413, "the body is larger than 512 KiB"},
		"a bomb in a bomb":              {inGzip(inGzip(strings.Repeat("0", 4<<20))), []string{"Content-Encoding", "gzip, gzip"}, 413, "the body is larger than 512 KiB"},
		"one byte too many in gzip":     {inGzip("{" + long + "}"), []string{"Content-Encoding", "gzip"}, 413, "the body is larger than 512 KiB"},
		"a broken form":                 {"a=%zz", []string{"Content-Type", formType}, 400, "the form is malformed"},
		"broken JSON as a form":         {`{"a":"x=y"`, []string{"Content-Type", formType}, 400, "not JSON: it ends before it is complete"},
		"a form that is not UTF-8":      {"a=%ff", []string{"Content-Type", formType}, 400, "the form is not valid UTF-8"},
	} {
		g := newGuarded(t, boathook.Verification{}, boathook.Filter{})
		w := g.trigger(tc.body, tc.headers...)
		if w.Code != tc.status || w.Body.String() != `{"error":{"message":"`+tc.message+`"}}` {
			t.Errorf("%s: answered %d %s\nwant %d %s", name, w.Code, w.Body, tc.status, tc.message)
		}
	}
}

// Most sign what they then compress; some sign what they send.
func TestASignatureIsOverTheBodyBeforeOrAfterItIsCompressed(t *testing.T) {
	body := `{"action":"opened"}`
	packed := inGzip(body)
	for name, tc := range map[string]struct {
		signed string
		status int
	}{
		"what is sent": {packed, 202}, "what is in it": {body, 202}, "another": {"{}", 401},
	} {
		g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
		w := g.trigger(packed, "Content-Encoding", "gzip", "X-Hub-Signature-256", "sha256="+hexSum(secret, tc.signed))
		if w.Code != tc.status {
			t.Errorf("signed over %s: answered %d %s", name, w.Code, w.Body)
		}
	}
}

func TestAGitForgesFormIsSignedOverTheJSONInIt(t *testing.T) {
	form := input(t, "payload.form")
	for signed, status := range map[string]int{`{"build":{"id":7}}`: 202, form: 202, `{"build":{"id":8}}`: 401, ``: 401} {
		g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
		w := g.trigger(form, "Content-Type", formType, "X-Gitea-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473", "X-Gitea-Event", "push",
			"X-Hub-Signature-256", "sha256="+hexSum(secret, signed))
		if w.Code != status {
			t.Errorf("signed over %q: answered %d %s, want %d", signed, w.Code, w.Body, status)
		}
	}
}

func TestWhoLooksForAURLStartsNothing(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	ask := func(status int, url string) {
		t.Helper()
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			w := g.ask(method, url, "")
			if w.Code != status || status == 200 && w.Body.Len() > 0 {
				t.Errorf("%s: answered %d %q, want %d", method, w.Code, w.Body, status)
			}
			if method == http.MethodOptions && status == 200 && w.Header().Get("Allow") != "GET, HEAD, OPTIONS, POST" {
				t.Errorf("allowed is %q", w.Header().Get("Allow"))
			}
		}
	}
	url := "/webhooks/runs/" + g.Token.Text
	ask(200, url)
	ask(404, url[:len(url)-1]+"_")
	ask(404, "/webhooks/runs/x")
	g.lookUpErr = io.ErrUnexpectedEOF
	ask(503, url)
	g.lookUpErr = nil
	g.Incoming.Enabled = false
	g.put(g.Incoming)
	ask(404, url)
	if n := len(g.queued(t)); n != 0 || len(g.requests("")) != 0 {
		t.Errorf("%d runs were queued, %d requests are kept", n, len(g.requests("")))
	}
}

func TestSlacksFormsAreAnsweredAsSlackWants(t *testing.T) {
	for name, tc := range map[string]struct{ body, event, input string }{
		"a command": {"command=%2Fdeploy&text=prod&trigger_id=1.2.a", "/deploy", `{"command":"/deploy","text":"prod","trigger_id":"1.2.a"}`},
		"an interaction": {"payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%221.2.b%22%7D", "block_actions",
			`{"type":"block_actions","trigger_id":"1.2.b"}`},
		"a look at the certificate": {"ssl_check=1&token=x", "", ""},
	} {
		g := newGuarded(t, boathook.Verification{Preset: preset.Slack}, boathook.Filter{Events: []string{"unused", tc.event}[:2]})
		w := g.trigger(tc.body, append(senders()["Slack"].sign(secret, tc.body, g.now)[2:], "Content-Type", formType)...)
		if w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("%s: answered %d %q", name, w.Code, w.Body)
		}
		queued := g.queued(t)
		if tc.input == "" {
			if len(queued) != 0 || w.Header().Get("X-Run-Id") != "" {
				t.Errorf("%s: queued %+v", name, queued)
			}
			g.wantKept(boathook.RequestAnswered, 200, "")
			continue
		}
		if len(queued) != 1 || queued[0].Input.String() != tc.input || w.Header().Get("X-Run-Id") != queued[0].ID {
			t.Errorf("%s: queued %+v; X-Run-Id is %q", name, queued, w.Header().Get("X-Run-Id"))
		}
	}
}
