package intake_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/preset"
	"boathook/internal/run"
)

// Twilio signs the URL: the one that Boathook shows, or the one that a request came
// to, by either scheme.
func TestTwilioSignsTheURLThatItWasGiven(t *testing.T) {
	const form = "MessageSid=SM1&SmsStatus=received&Body=deploy"
	sign := func(url string) string {
		mac := hmac.New(sha1.New, []byte(secret))
		io.WriteString(mac, url+"BodydeployMessageSidSM1SmsStatusreceived")
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	for host, status := range map[string]int{
		"https://hooks.example": 200, "https://example.com": 200, "http://example.com": 200, "https://another.example": 401,
	} {
		g := newGuarded(t, boathook.Verification{Preset: preset.Twilio}, boathook.Filter{Events: []string{"received"}})
		log := slog.New(slog.DiscardHandler)
		g.handler = (&intake.Intake{
			Store: g, Seal: g, PublicURL: "https://hooks.example", Now: func() time.Time { return g.now }, Log: log,
			Runs: &run.Starter{Store: g.store, Queue: g, Now: func() time.Time { return g.now }, Log: log},
		}).Handler()
		w := g.trigger(form, "Content-Type", formType, "X-Twilio-Signature", sign(host+"/webhooks/runs/"+g.Token.Text))
		if w.Code != status || status == 200 && (w.Body.String() != "<Response/>" || w.Header().Get("Content-Type") != "text/xml") {
			t.Errorf("signed for %s: answered %d %s", host, w.Code, w.Body)
		}
		if n := len(g.queued(t)); n != 1 && status == 200 {
			t.Errorf("signed for %s: %d runs were queued", host, n)
		}
	}
}

func TestDiscordIsAnsweredAsItWants(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for body, tc := range map[string]struct {
		status int
		answer string
		runs   int
	}{
		`{"type":1,"token":"a","id":"1"}`:                                      {200, `{"type":1}`, 0},
		`{"type":2,"token":"a","id":"2","data":{"name":"deploy"}}`:             {200, `{"type":5}`, 1},
		`{"version":1,"application_id":"1","type":0}`:                          {204, "", 0},
		`{"version":1,"application_id":"1","type":1,"event":{"type":"QUEST"}}`: {204, "", 1},
	} {
		g := newGuarded(t, boathook.Verification{Preset: preset.Discord}, boathook.Filter{})
		g.Incoming.Verification.SealedSecret = []byte(hex.EncodeToString(key.Public().(ed25519.PublicKey)))
		g.put(g.Incoming)
		at := fmt.Sprint(g.now.Unix())
		w := g.trigger(body, "X-Signature-Timestamp", at, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(key, []byte(at+body))))
		queued := g.queued(t)
		if w.Code != tc.status || w.Body.String() != tc.answer || len(queued) != tc.runs {
			t.Errorf("%s: answered %d %s, %d runs were queued", body, w.Code, w.Body, len(queued))
		}
		if tc.runs == 1 && w.Header().Get("X-Run-Id") != queued[0].ID {
			t.Errorf("%s: X-Run-Id is %q", body, w.Header().Get("X-Run-Id"))
		}
	}
}

// Graph's token goes back as text, whatever it is, and is never markup.
func TestGraphsTokenIsEchoedAsText(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.MSGraph}, boathook.Filter{})
	w := g.post("/webhooks/runs/"+g.Token.Text+"?validationToken=%3Cb%3E+1", "")
	if w.Code != 200 || w.Body.String() != "<b> 1" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" ||
		w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("answered %d %q %v", w.Code, w.Body, w.Header())
	}
	g.wantKept(boathook.RequestAnswered, 200, "")
	for body, status := range map[string]int{
		`{"value":[{"clientState":"` + secret + `","changeType":"created"}]}`:                           202,
		`{"value":[{"clientState":"` + secret + `"},{"clientState":"another","changeType":"created"}]}`: 401,
		`{"value":[]}`: 401,
	} {
		if w := g.trigger(body); w.Code != status {
			t.Errorf("%s: answered %d %s", body, w.Code, w.Body)
		}
	}
}

func TestCloudEventsAskForLeaveAndBringAToken(t *testing.T) {
	g := newGuarded(t, boathook.Verification{Preset: preset.CloudEvents}, boathook.Filter{Events: []string{"com.example.done"}})
	url := "/webhooks/runs/" + g.Token.Text
	w := g.ask(http.MethodOptions, url, "", "WebHook-Request-Origin", "events.example")
	if w.Code != 200 || w.Header().Get("WebHook-Allowed-Origin") != "events.example" {
		t.Errorf("answered %d %v", w.Code, w.Header())
	}
	event := []string{"Ce-Specversion", "1.0", "Ce-Type", "com.example.done", "Ce-Id", "1", "Ce-Source", "/a", "Content-Type", "application/json"}
	if w := g.trigger(`{"n":1}`, event...); w.Code != 401 {
		t.Errorf("without its token: answered %d %s", w.Code, w.Body)
	}
	first := runID(t, g.trigger(`{"n":1}`, append(event, "Authorization", "Bearer "+secret)...))
	if again := runID(t, g.post(url+"?access_token="+strings.ReplaceAll(secret, " ", "+"), `{"n":1}`, event...)); again != first {
		t.Errorf("the same event got run %s, the first %s", again, first)
	}
	if queued := g.queued(t); queued[0].Input.String() != `{"data":{"n":1},"datacontenttype":"application/json","id":"1","source":"/a","specversion":"1.0","type":"com.example.done"}` {
		t.Errorf("queued %s", queued[0].Input.Bytes())
	}
}

// fetcher answers what a test says, and remembers what it was asked.
type fetcher struct {
	asked  []string
	answer func(*http.Request) (*http.Response, error)
}

func (f *fetcher) Do(r *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, r.URL.Host+r.URL.Path)
	return f.answer(r)
}

// What SNS serves is asked for within bounds, and a failure is told as one that
// passes, so that SNS sends again.
func TestACertificateThatCannotBeHadIsA503(t *testing.T) {
	const topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
	message := `{"Type":"Notification","MessageId":"1","TopicArn":"` + topic + `","SignatureVersion":"2","Signature":"eA==",` +
		`"SigningCertURL":"https://sns.eu-central-1.amazonaws.com/a.pem"}`
	serve := func(status int, body io.Reader) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(body)}, nil
		}
	}
	for name, tc := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		status int
	}{
		"nobody answers":    {func(*http.Request) (*http.Response, error) { return nil, errors.New("down") }, 503},
		"it is not there":   {serve(404, strings.NewReader("")), 503},
		"it breaks off":     {serve(200, brokenReader{}), 503},
		"it is none":        {serve(200, strings.NewReader("x")), 401},
		"it has no end":     {serve(200, endless{}), 401},
		"another topic's":   {nil, 401},
		"no client is here": {nil, 503},
	} {
		g := newGuarded(t, boathook.Verification{Preset: preset.AWSSNS, TopicARN: topic}, boathook.Filter{})
		client := &fetcher{answer: tc.answer}
		log := slog.New(slog.DiscardHandler)
		in := &intake.Intake{
			Store: g, Seal: g, Client: client, Now: func() time.Time { return g.now }, Log: log,
			Runs: &run.Starter{Store: g.store, Queue: g, Now: func() time.Time { return g.now }, Log: log},
		}
		if name == "no client is here" {
			in.Client = nil
		}
		g.handler = in.Handler()
		body := message
		if name == "another topic's" {
			body = strings.Replace(body, "alarms", "others", 1)
		}
		if w := g.trigger(body); w.Code != tc.status {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
		if tc.answer == nil && len(client.asked) > 0 {
			t.Errorf("%s: asked for %q", name, client.asked)
		}
		if name == "it is none" {
			g.trigger(body)
			if len(client.asked) != 1 {
				t.Errorf("asked for %q, though it was known", client.asked)
			}
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
