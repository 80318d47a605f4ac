package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// reader is somebody who is signed in with a browser that runs no scripts.
type reader struct {
	t      *testing.T
	url    string
	client *http.Client
	page   string // the last
}

func signedInReader(t *testing.T, p *program) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, url: p.url, client: &http.Client{Jar: jar}}
	r.send("/console/sign-in", url.Values{"token": {adminToken}})
	return r
}

func (r *reader) answered(res *http.Response, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s, %v: %s", res.Request.URL, res.Status, err, body)
	}
	r.page = string(body)
}

func (r *reader) open(path string) { r.t.Helper(); r.answered(r.client.Get(r.url + path)) }

// send sends a form with the proof of the page that is open.
func (r *reader) send(path string, form url.Values) {
	r.t.Helper()
	if found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(r.page); found != nil {
		form.Set("csrf", html.UnescapeString(found[1]))
	}
	r.answered(r.client.PostForm(r.url+path, form))
}

// the gives what a pattern's group finds on the page.
func (r *reader) the(pattern string) string {
	r.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(r.page)
	if found == nil {
		r.t.Fatalf("the page has no %s: %s", pattern, r.page)
	}
	return html.UnescapeString(found[1])
}

// TestThePastedReceiversVerify pastes each program that the console shows beside a new
// secret, in each dialect, and delivers to it.
func TestThePastedReceiversVerify(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and starts twelve receivers: run it without -short")
	}
	languages := map[string]string{"Python": "python", "Node": "js", "Go": "go"}
	for _, dialect := range []string{"crewship", "standard", "shipway", "capawesome"} {
		for label, language := range languages {
			t.Run(dialect+" in "+label, func(t *testing.T) {
				p := start(t)
				path, trigger := p.deployment("cat")
				page := "/console/deployments/" + strings.TrimPrefix(path, "/v1/deployments/")
				r := signedInReader(t, p)
				for status, pasted := range map[float64]bool{204: true, 401: false} {
					address := freeAddress(t)
					r.open(page + "/outgoing/new")
					r.send(page+"/outgoing", url.Values{
						"name": {"pasted"}, "url": {"http://" + address + "/"}, "events": {"run.succeeded"}, "environment": {"production"}, "dialect": {dialect}, "retry": {"none"},
					})
					secret := r.the(`data-copy="([^"]+)" title="Copy the secret"`)
					code := r.the(`(?s)aria-label="` + label + `"><code>(.*?)</code>`)
					if !pasted {
						secret = "whsec_YW5vdGhlciBzZWNyZXQ="
					}
					out := r.the(`/outgoing/(out_[a-z0-9]+)/test"`)
					runReceiverAt(t, address, language, code, secret)
					p.call("POST", trigger, `{"n":12345678901234567890,"text":"é <&>"}`, 202)
					delivery := p.finished(path + "/outgoing-webhooks/" + out)
					if attempt := delivery["attempts"].([]any)[0].(map[string]any); attempt["response_status"] != status {
						t.Errorf("the receiver answered %v, want %v", attempt, status)
					}
				}
			})
		}
	}
}
