package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// delivered is a request as its receiver has it.
type delivered struct {
	header   http.Header
	length   int64
	encoding []string
	body     []byte
}

// inboxes receive at a path for each webhook.
func inboxes(t *testing.T) (url string, next func(path string) delivered) {
	t.Helper()
	type arrival struct {
		path string
		delivered
	}
	arrivals := make(chan arrival, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrivals <- arrival{r.URL.Path, delivered{r.Header, r.ContentLength, r.TransferEncoding, body}}
	}))
	t.Cleanup(server.Close)
	waiting := make(map[string][]delivered)
	return server.URL, func(path string) delivered {
		t.Helper()
		for ctx := patience(t); len(waiting[path]) == 0; {
			select {
			case a := <-arrivals:
				waiting[a.path] = append(waiting[a.path], a.delivered)
			case <-ctx.Done():
				t.Fatalf("nothing has come to %s", path)
			}
		}
		d := waiting[path][0]
		waiting[path] = waiting[path][1:]
		return d
	}
}

func hexMAC(h func() hash.Hash, secret string, parts ...[]byte) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write(slices.Concat(parts...))
	return hex.EncodeToString(mac.Sum(nil))
}

// published publishes an event whose data is a file of the catalogue, which its
// type names.
func (p *program) published(source, file string, deliveries int) (data []byte) {
	p.t.Helper()
	data, err := os.ReadFile("../../catalogue/examples/" + file + ".json")
	if err != nil {
		p.t.Fatal(err)
	}
	answer := p.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":%q,"data":%s}`, source, path.Base(file), data), 202)
	event := answer["events"].([]any)[0].(map[string]any)
	if event["deliveries"] != float64(deliveries) {
		p.t.Errorf("published %v, want %d deliveries", event, deliveries)
	}
	return bytes.TrimSuffix(data, []byte("\n"))
}

// The documents' own payloads, from POST /v1/events to the receivers of the
// systems whose they are.
func TestTheDocumentsPayloadsArriveAsTheirSystemsSendThem(t *testing.T) {
	p := start(t)
	url, next := inboxes(t)

	p.call("POST", "/v1/repositories", `{"owner":"grosskur","name":"docker-hello"}`, 201)
	repository := p.call("GET", "/v1/repositories", ``, 200)["data"].([]any)[0].(map[string]any)["id"].(string)
	p.call("POST", "/repos/grosskur/docker-hello/hooks", `{"events":["build_finish"],"config":{"url":"`+url+`/signed","content_type":"json","secret":"hook secret"}}`, 201)
	p.call("POST", "/repos/grosskur/docker-hello/hooks", `{"config":{"url":"`+url+`/unsigned"}}`, 201)
	app := p.call("POST", "/v1/apps", `{"name":"shop"}`, 201)["id"].(string)
	p.call("POST", "/v1/apps/"+app+"/webhooks", `{"name":"CI","url":"`+url+`/app","events":["job_finished"],"signingSecret":"SIGNING_SECRET"}`, 201)
	secret := p.call("POST", "/v1/apps/"+app+"/outgoing-webhooks",
		`{"name":"standard","url":"`+url+`/standard","events":["job_finished"],"dialect":"standard"}`, 201)["signing_secret"].(string)

	build := p.published(repository, "repository/build_finish", 2)
	for _, path := range []string{"/signed", "/unsigned"} {
		d := next(path)
		if !bytes.Equal(d.body, build) {
			t.Errorf("%s: the body is %s", path, d.body)
		}
		want := http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"Shipway-Hookshot/0.1"},
			"X-Shipway-Event": {"build_finish"}, "X-Shipway-Delivery": d.header["X-Shipway-Delivery"],
		}
		if path == "/signed" {
			want.Set("X-Shipway-Signature", "sha1="+hexMAC(sha1.New, "hook secret", build))
		}
		p.checkRequest(d, want, d.header.Get("X-Shipway-Delivery"))
	}

	before := time.Now().Truncate(time.Millisecond)
	job := p.published(app, "app/job_finished", 2)
	d := next("/app")
	if want := `{"event":"job_finished","data":` + string(job) + `}`; string(d.body) != want {
		t.Errorf("Capawesome Cloud: the body is %s, want %s", d.body, want)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {boathook.UserAgent()},
		"X-Signature": {hexMAC(sha256.New, "SIGNING_SECRET", d.body)},
	}
	p.checkRequest(d, want, "")

	d = next("/standard")
	receiver, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Verify(d.body, d.header); err != nil {
		t.Error(err)
	}
	var body struct {
		Type      string
		Timestamp time.Time
		Data      json.RawMessage
	}
	if err := json.Unmarshal(d.body, &body); err != nil || body.Type != "job_finished" ||
		body.Timestamp.Before(before) || body.Timestamp.After(time.Now()) || !bytes.Equal(body.Data, job) {
		t.Errorf("Standard Webhooks: %v: %s", err, d.body)
	}
	want = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {boathook.UserAgent()},
		"Webhook-Id": d.header["Webhook-Id"], "Webhook-Timestamp": d.header["Webhook-Timestamp"], "Webhook-Signature": d.header["Webhook-Signature"],
	}
	p.checkRequest(d, want, d.header.Get("Webhook-Id"))
}

// checkRequest compares a request's header, and what the log says of it if the
// receiver was told the delivery's id.
func (p *program) checkRequest(d delivered, want http.Header, id string) {
	p.t.Helper()
	want.Set("Content-Length", strconv.Itoa(len(d.body)))
	if diff := cmp.Diff(want, d.header); diff != "" {
		p.t.Errorf("the header (-want +got):\n%s", diff)
	}
	if d.length != int64(len(d.body)) || d.encoding != nil {
		p.t.Errorf("Content-Length is %d, Transfer-Encoding %v, of %d bytes", d.length, d.encoding, len(d.body))
	}
	if id == "" {
		return
	}
	request := p.logged(id)["request"]
	url := request.(map[string]any)["url"]
	logged := make(map[string]any)
	for name := range want {
		if name != "Content-Length" { // which is HTTP's own
			logged[name] = want.Get(name)
		}
	}
	if diff := cmp.Diff(map[string]any{"method": "POST", "url": url, "headers": logged, "body": string(d.body)}, request); diff != "" {
		p.t.Errorf("the log (-received +logged):\n%s", diff)
	}
}

// logged awaits that a delivery is in the log: its attempt is recorded after it
// is made.
func (p *program) logged(id string) (delivery map[string]any) {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; {
		status, text := p.ask(http.MethodGet, "/v1/deliveries/"+id, "")
		if err := json.Unmarshal(text, &delivery); err != nil {
			p.t.Fatal(err)
		}
		if status == http.StatusOK {
			return delivery
		}
	}
	p.t.Fatalf("delivery %s is not in the log", id)
	return nil
}

// What is sealed when it is set up is opened where it is used.
func TestSealedHeadersAndSecretsArrive(t *testing.T) {
	p := start(t)
	url, next := inboxes(t)
	path := "/v1/deployments/" + p.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
	p.call("POST", path+"/versions", `{"environment":"production","target":{"type":"http","url":"`+url+`/target","headers":{"X-Key":"of the target"}}}`, 201)
	trigger := p.call("POST", path+"/incoming-webhooks",
		`{"name":"i","environment":"production","verification":{"preset":"hmac","header":"X-Sig","algorithm":"sha256","encoding":"hex","secret":"of the sender"}}`, 201)["url"].(string)
	out := p.call("POST", path+"/outgoing-webhooks",
		`{"name":"o","url":"`+url+`/out","events":["run.succeeded"],"environment":"production","headers":{"X-Key":"of the webhook"}}`, 201)
	secrets := []string{out["signing_secret"].(string)}
	secrets = append(secrets, p.call("POST", path+"/outgoing-webhooks/"+out["id"].(string)+"/rotate-secret", `{"overlap_seconds":60}`, 200)["signing_secret"].(string))

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, trigger, strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Sig", hexMAC(sha256.New, "of the sender", []byte(`{}`)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("the trigger is answered %s", res.Status)
	}
	if got := next("/target").header.Get("X-Key"); got != "of the target" {
		t.Errorf("the target has the header %q", got)
	}
	d := next("/out")
	if got := d.header.Get("X-Key"); got != "of the webhook" {
		t.Errorf("the receiver has the header %q", got)
	}
	signed := []byte(d.header.Get("X-Crewship-Timestamp") + ".")
	want := hexMAC(sha256.New, secrets[1], signed, d.body) + "," + hexMAC(sha256.New, secrets[0], signed, d.body)
	if got := d.header.Get("X-Crewship-Signature"); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}
