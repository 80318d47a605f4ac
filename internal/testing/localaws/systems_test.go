package localaws_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The journeys of the users of other systems: what they set up by those
// systems' own paths, what arrives, and what the log says of it.

// publish publishes an event whose data is a file of the catalogue, which its
// type names.
func (s *stack) publish(source, file string, deliveries float64) (data string) {
	s.t.Helper()
	text, err := os.ReadFile("../../catalogue/examples/" + file + ".json")
	if err != nil {
		s.t.Fatal(err)
	}
	data = string(bytes.TrimSuffix(text, []byte("\n")))
	answer := s.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":%q,"data":%s}`, source, path.Base(file), data), 202)
	if event := answer["events"].([]any)[0].(object); event["deliveries"] != deliveries {
		s.t.Errorf("published %v, want %v deliveries", event, deliveries)
	}
	return data
}

// checkHeader compares a whole header.
func (r received) checkHeader(t *testing.T, want map[string]string) {
	t.Helper()
	header := http.Header{"Content-Length": {strconv.Itoa(len(r.body))}, "Content-Type": {"application/json"}}
	for name, value := range want {
		header.Set(name, value)
	}
	if diff := cmp.Diff(header, r.header); diff != "" {
		t.Errorf("the header (-want +got):\n%s", diff)
	}
}

func thanks(w http.ResponseWriter, _ int, _ received) { fmt.Fprint(w, "thanks") }

func shipway(t *testing.T, s *stack) {
	url, requests := receiver(t, thanks)
	other, unsigned := receiver(t, thanks)
	repository := s.call("POST", "/v1/repositories", `{"owner":"grosskur","name":"docker-hello"}`, 201)["id"].(string)
	const hooks = "/repos/grosskur/docker-hello/hooks"
	github := []string{"Authorization", "token " + s.token} // as GitHub's older clients have it
	hook := s.call("POST", hooks, fmt.Sprintf(
		`{"name":"web","active":true,"events":["build_finish"],"config":{"url":%q,"content_type":"json","secret":"s3cret"}}`, url), 201, github...)
	if config := hook["config"].(object); config["secret"] != "********" || config["url"] != url {
		t.Errorf("made %v", hook)
	}
	s.call("POST", hooks, fmt.Sprintf(`{"config":{"url":%q}}`, other), 201, github...)

	build := s.publish(repository, "repository/build_finish", 2)
	first, bare := next(t, requests), next(t, unsigned)
	id := first.header.Get("X-Shipway-Delivery")
	first.checkHeader(t, map[string]string{
		"User-Agent": "Shipway-Hookshot/0.1", "X-Shipway-Event": "build_finish", "X-Shipway-Delivery": id,
		"X-Shipway-Signature": "sha1=" + hexMAC(sha1.New, "s3cret", build),
	})
	bare.checkHeader(t, map[string]string{
		"User-Agent": "Shipway-Hookshot/0.1", "X-Shipway-Event": "build_finish", "X-Shipway-Delivery": bare.header.Get("X-Shipway-Delivery"),
	})
	if first.body != build || bare.body != build {
		t.Errorf("delivered %s\nand %s", first.body, bare.body)
	}

	deliveries := fmt.Sprintf("%s/%.0f/deliveries", hooks, hook["id"])
	logged := s.eventually("the delivery is in the log", func() object {
		if list := s.list(deliveries); len(list) == 1 {
			return list[0]
		}
		return nil
	})
	if logged["guid"] != id || logged["status"] != "OK" || logged["status_code"] != 200.0 || logged["redelivery"] != false {
		t.Errorf("logged %v", logged)
	}
	detail := fmt.Sprintf("%s/%.0f", deliveries, logged["id"])
	if payload := s.call("GET", detail, "", 200, github...)["response"].(object)["payload"]; payload != "thanks" {
		t.Errorf("the log has the response %v", payload)
	}
	s.call("POST", detail+"/attempts", "", 202, github...)
	again := next(t, requests)
	again.checkHeader(t, map[string]string{
		"User-Agent": "Shipway-Hookshot/0.1", "X-Shipway-Event": "build_finish", "X-Shipway-Delivery": id,
		"X-Shipway-Signature": "sha1=" + hexMAC(sha1.New, "s3cret", build),
	})
	s.eventually("the redelivery is in the log", func() object {
		if newest := s.list(deliveries)[0]; newest["redelivery"] == true {
			return newest
		}
		return nil
	})
}

func capawesome(t *testing.T, s *stack) {
	url, requests := receiver(t, func(w http.ResponseWriter, number int, _ received) {
		if number == 1 {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "thanks")
	})
	app := s.call("POST", "/v1/apps", `{"name":"My app"}`, 201)["id"].(string)
	webhooks := "/v1/apps/" + app + "/webhooks"
	made := s.call("POST", webhooks, fmt.Sprintf(`{"name":"CI","url":%q,"events":["job_finished"],"signingSecret":"s3cret"}`, url), 201)
	if made["appId"] != app || made["format"] != "raw" || made["enabled"] != true || made["signingSecret"] != nil {
		t.Errorf("made %v", made)
	}

	body := `{"event":"job_finished","data":` + s.publish(app, "app/job_finished", 1) + `}`
	first := next(t, requests)
	header := map[string]string{"User-Agent": "Boathook/" + s.call("GET", "/healthz", "", 200)["version"].(string), "X-Signature": hexMAC(sha256.New, "s3cret", body)}
	first.checkHeader(t, header)
	if first.body != body {
		t.Errorf("delivered %s, want %s", first.body, body)
	}

	deliveries := fmt.Sprintf("%s/%s/deliveries", webhooks, made["id"])
	attempts := func(n int) object {
		return s.eventually(fmt.Sprintf("%d attempts are in the log", n), func() object {
			if list := s.list(deliveries); len(list) >= n {
				return list[0]
			}
			return nil
		})
	}
	failed := attempts(1)
	if failed["requestBody"] != body || failed["responseStatusCode"] != 400.0 || failed["responseBody"] != "no\n" {
		t.Errorf("logged %v", failed)
	}
	s.call("POST", fmt.Sprintf("%s/%s/resend", deliveries, failed["id"]), "", 202)
	again := next(t, requests)
	again.checkHeader(t, header)
	if resent := attempts(2); again.body != body || resent["id"] != failed["id"].(string)+":2" || resent["responseStatusCode"] != 200.0 {
		t.Errorf("resent %s, logged %v", again.body, resent)
	}
}

// verified is the journey of two senders that sign: one over the body, one with
// the time.
func verified(t *testing.T, s *stack) {
	target, executed := receiver(t, echo)
	const body, secret = `{"id":"evt_1","ref":"refs/heads/main"}`, "a secret that both sides know"
	for preset, sign := range map[string]func(secret, body string) []string{
		"github": func(secret, body string) []string {
			return []string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "one", "X-Hub-Signature-256", "sha256=" + hexMAC(sha256.New, secret, body)}
		},
		"stripe": func(secret, body string) []string {
			at := strconv.FormatInt(time.Now().Unix(), 10)
			return []string{"Stripe-Signature", "t=" + at + ",v1=" + hexMAC(sha256.New, secret, at+"."+body)}
		},
	} {
		path, _ := s.deployment(target)
		made := s.call("POST", path+"/incoming-webhooks", fmt.Sprintf(
			`{"name":"in","environment":"production","verification":{"preset":%q,"secret":%q}}`, preset, secret), 201)
		trigger := strings.Replace(made["url"].(string), "https://", "http://", 1)

		run := s.run(s.call("POST", trigger, body, 202, sign(secret, body)...)["run_id"])
		if run["status"] != "succeeded" || !strings.Contains(next(t, executed).body, body) {
			t.Errorf("%s: the run is %v", preset, run)
		}
		if again := s.call("POST", trigger, body, 202, sign(secret, body)...); again["run_id"] != run["id"] {
			t.Errorf("%s: the same delivery again started %v", preset, again)
		}
		refusal := s.call("POST", trigger, body, 401, sign("another secret", body)...)["error"].(object)["message"].(string)
		s.call("POST", trigger, body+" ", 401, sign(secret, body)...)

		requests := s.call("GET", fmt.Sprintf("%s/incoming-webhooks/%s/requests", path, made["id"]), "", 200)["data"].([]any)
		outcomes := make(map[string]int)
		for _, r := range requests {
			request := r.(object)
			outcomes[request["outcome"].(string)]++
			if request["outcome"] == "rejected" && request["reason"] != refusal {
				t.Errorf("%s: refused with %q, logged %v", preset, refusal, request)
			}
		}
		if diff := cmp.Diff(map[string]int{"accepted": 1, "repeated": 1, "rejected": 2}, outcomes); diff != "" {
			t.Errorf("%s: the log of requests (-want +got):\n%s", preset, diff)
		}
	}
	if len(executed) != 0 {
		t.Errorf("%d runs too many were executed", len(executed))
	}
}
