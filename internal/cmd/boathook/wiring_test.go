package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run/target/targettest"
)

// randomText is a JSON text of n bytes that hardly compresses.
func randomText(n int) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[rand.IntN(len(letters))]
	}
	text[0], text[n-1] = '"', '"'
	return text
}

// awkwardText is a JSON text of n bytes, of characters that an encoder may make
// longer.
func awkwardText(n int) []byte {
	text := append([]byte{'"'}, strings.Repeat("<&>\u2028\u2029é", n/16)...)
	return append(append(text, bytes.Repeat([]byte("<"), n-1-len(text))...), '"')
}

// The largest input and the largest output of a run fit through all that follows:
// its message, its record, its event, each delivery and its resend.
func TestTheLargestRunArrivesWhole(t *testing.T) {
	for name, text := range map[string]func(n int) []byte{"that hardly compresses": randomText, "of awkward characters": awkwardText} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			url, next := inboxes(t)
			input, output := text(boathook.MaxTriggerBody), text(boathook.MaxRunOutput)
			file := filepath.Join(t.TempDir(), "output")
			if err := os.WriteFile(file, output, 0o600); err != nil {
				t.Fatal(err)
			}
			path, trigger := p.deployment("cat >/dev/null; cat '" + file + "'")
			for _, dialect := range []string{"crewship", "standard"} {
				p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
					`{"name":"out","url":"%s/%s","events":["run.succeeded"],"environment":"production","dialect":%q}`, url, dialect, dialect), 201)
			}
			run := p.call("POST", trigger, string(input), 202)["run_id"].(string)

			var told struct {
				RunID  string `json:"run_id"`
				Input  json.RawMessage
				Output json.RawMessage
			}
			check := func(what string, body []byte) {
				t.Helper()
				if err := json.Unmarshal(body, &told); err != nil || told.RunID != run || !bytes.Equal(told.Input, input) || !bytes.Equal(told.Output, output) {
					t.Errorf("%s has %d bytes, of run %s, with %d of %d bytes of input and %d of %d bytes of output, %v", what, len(body),
						told.RunID, len(told.Input), len(input), len(told.Output), len(output), err)
				}
			}
			delivery := next("/crewship")
			check("the delivery", delivery.body)
			var wrapped struct{ Data json.RawMessage }
			if err := json.Unmarshal(next("/standard").body, &wrapped); err != nil {
				t.Error(err)
			}
			check("the delivery of Standard Webhooks", wrapped.Data)

			id := delivery.header.Get("X-Crewship-Delivery")
			logged := p.logged(id)["request"].(map[string]any)["body"].(string)
			if logged != string(delivery.body) {
				t.Errorf("the log has %d of %d bytes", len(logged), len(delivery.body))
			}
			p.call("POST", "/v1/deliveries/"+id+"/resend", "", 202)
			if again := next("/crewship").body; !bytes.Equal(again, delivery.body) {
				t.Errorf("the resend has %d of %d bytes", len(again), len(delivery.body))
			}
			_, shown := p.ask("GET", "/v1/runs/"+run, "")
			var whole struct{ Input, Output json.RawMessage }
			if err := json.Unmarshal(shown, &whole); err != nil || !bytes.Equal(whole.Input, input) || !bytes.Equal(whole.Output, output) {
				t.Errorf("the API shows %d bytes of input and %d bytes of output, %v", len(whole.Input), len(whole.Output), err)
			}
		})
	}
}

// failing makes a webhook whose receiver fails, and waits until n deliveries to it
// have failed once. It gives them.
func (p *program) failing(schedule string, n int) (deliveries []map[string]any) {
	p.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	p.t.Cleanup(server.Close)
	path, _ := p.deployment("cat")
	webhook := path + "/outgoing-webhooks/" + p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":%s}}`, server.URL, schedule), 201)["id"].(string)
	for range n {
		id := p.call("POST", webhook+"/test", "", 202)["delivery_id"].(string)
		deliveries = append(deliveries, p.logged(id))
	}
	return deliveries
}

// As on AWS, deliveries that fail together don't come back together. Their waits
// are a day, ±20 %.
func TestTheWaitsOfRetriesAreSpread(t *testing.T) {
	p := start(t)
	var soonest, last time.Time
	for _, d := range p.failing("[86400]", 10) {
		at, err := time.Parse(time.RFC3339, d["next_attempt_at"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if soonest.IsZero() || at.Before(soonest) {
			soonest = at
		}
		if at.After(last) {
			last = at
		}
	}
	// Ten waits that are even over 9.6 hours lie within 30 minutes once in 10^10 times.
	if spread := last.Sub(soonest); spread < 30*time.Minute {
		t.Errorf("the retries of a burst come within %s", spread)
	}
}

func TestRetriesWaitInTheirOwnQueue(t *testing.T) {
	p := start(t)
	p.failing("[600]", 3)
	waiting := make(map[string]float64)
	for _, q := range p.call("GET", "/v1/admin/redrive", "", 200)["data"].([]any) {
		q := q.(map[string]any)
		waiting[q["queue"].(string)] = q["depth"].(map[string]any)["delayed"].(float64)
	}
	if waiting["retries"] != 3 || waiting["deliveries"] != 0 || waiting["runs"] != 0 {
		t.Errorf("what waits is %v, want three retries", waiting)
	}
}

// version gives a deployment a version that executes runs by a target.
func (p *program) version(path, target string) {
	p.t.Helper()
	p.call("POST", path+"/versions", fmt.Sprintf(`{"environment":"production","target":%s}`, target), 201)
}

// over awaits the end of a run.
func (p *program) over(id string) (run map[string]any) {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) { // the program has no way to tell
		run = p.call("GET", "/v1/runs/"+id, "", 200)
		if status := run["status"]; status != "pending" && status != "running" {
			return run
		}
	}
	p.t.Fatalf("the run does not end: %v", run)
	return nil
}

func TestARetryAndTheRunThatItRepeatsTellOfEachOther(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("echo failed >&2; exit 3")
	input := `{"deployment_id":"` + strings.TrimPrefix(path, "/v1/deployments/") + `","input":{"n":12345678901234567890}}`
	old := p.over(p.call("POST", "/v1/runs", input, 202)["run_id"].(string))
	p.call("POST", path+"/versions", `{"environment":"production","target":{"type":"command","argv":["cat"]}}`, 201)

	s := loggedIn(t, p)
	if r := s.run("", "runs", "retry", old["id"].(string), "--version", "same", "--watch"); r.code != 3 || !strings.Contains(r.err, "failed") {
		t.Errorf("by the same version: exit code %d, %s", r.code, r.err)
	}
	s.must("runs", "retry", old["id"].(string), "--watch")
	next := p.over(p.over(old["id"].(string))["retried_by"].(string))
	if next["retry_of"] != old["id"] || next["status"] != "succeeded" || fmt.Sprint(next["output"]) != fmt.Sprint(old["input"]) {
		t.Errorf("the newest retry is %v", next)
	}
}

func TestEachRunHasAConnectionOfItsOwn(t *testing.T) {
	url, connections := targettest.Connections(t)
	p := start(t)
	path, trigger := p.deployment("cat")
	p.version(path, fmt.Sprintf(`{"type":"http","url":%q}`, url))
	const n = 4
	for range n {
		if run := p.over(p.call("POST", trigger, "{}", 202)["run_id"].(string)); run["status"] != "succeeded" {
			t.Fatalf("the run is %v", run)
		}
	}
	if made := connections(); made != n {
		t.Errorf("%d runs had %d connections", n, made)
	}
}

// A cancel request is seen at a heartbeat, long before a run's time limit.
func TestACanceledRunStopsLongBeforeItsTimeLimit(t *testing.T) {
	t.Parallel()
	p := start(t)
	path, trigger := p.deployment("cat")
	p.version(path, `{"type":"command","argv":["sh","-c","echo started; exec sleep 3600"],"timeout_seconds":60}`)
	id := p.call("POST", trigger, "{}", 202)["run_id"].(string)
	for ctx := patience(t); p.call("GET", "/v1/runs/"+id, "", 200)["status"] != "running"; time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the run does not start")
		}
	}
	p.call("POST", "/v1/runs/"+id+"/cancel", "", 202)
	if run := p.over(id); run["status"] != "canceled" {
		t.Errorf("the run is %v", run)
	}
}

func TestWhatOnlyAWSHasIsRefused(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("cat")
	for _, target := range []string{
		`{"type":"lambda","function_arn":"arn:aws:lambda:eu-west-1:123456789012:function:reports"}`,
		`{"type":"agentcore","runtime_arn":"arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/reports-a1b2c3d4e5"}`,
	} {
		p.call("POST", path+"/versions", fmt.Sprintf(`{"environment":"production","target":%s}`, target), 400)
	}
	p.call("POST", path+"/outgoing-webhooks", `{"name":"out","url":"http://10.0.0.7/","events":["run.succeeded"],"environment":"production"}`, 400)
}
