package localaws_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/testing/localaws"
)

// haste makes a queue's visibility of six minutes six seconds, and a minute's
// schedule run each second.
const haste = 60

// patience ends shortly before the test binary is stopped, so that a test can say
// what it waits for in vain. Nothing else bounds a wait: these tests make a machine
// busy, and it gets to everything in the end.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx := t.Context()
	if deadline, bounded := t.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-20*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}

// TestTheStack runs the real binaries as the template deploys them.
func TestTheStack(t *testing.T) {
	file := os.Getenv("BOATHOOK_TEST_TEMPLATE")
	if file == "" {
		t.Skip("NOT RUN: `make test-stack` translates the template and runs this")
	}
	emulators, err := localaws.FromEnv(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	template, err := localaws.ReadTemplate(file)
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	if err := localaws.Build(t.Context(), "../../..", binaries, runtime.GOARCH, template.Functions()...); err != nil {
		t.Fatal(err)
	}
	s := suite{config: localaws.Config{
		Template: template, Binaries: binaries, Emulators: emulators, Haste: haste,
		Parameters: map[string]string{
			"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true", "LogLevel": "info",
			"AllowedFunctionArns": reportARN, "AllowedRuntimeArns": reviewerARN, "AllowedQueueArns": ordersARN + "," + eventsARN,
		},
		Outside: outside,
	}}
	tests := map[string]func(*testing.T, *stack){
		"the pages and forms of the console":                                       pagesOfConsole,
		"the journey of a deployment":                                              journey,
		"the journey of an agent":                                                  agentJourney,
		"a watcher that does not authenticate is closed":                           silentWatcher,
		"a watcher that has gone does not disturb the run":                         goneWatcher,
		"a watcher whose token is deleted is cut off":                              revokedWatcher,
		"the journey of a repository's hooks":                                      shipway,
		"the journey of an app's webhooks":                                         capawesome,
		"the journey of a verified sender":                                         verified,
		"only the template's routes reach a function":                              routes,
		"runs invoke the functions and the agents that the stack allows":           invoked,
		"a run that is canceled stops at its next heartbeat":                       canceled,
		"what the queue does not take is refused, and leaves no run":               refused,
		"a long body is retried, at once and after an hour":                        longBody,
		"a webhook whose receiver is gone is disabled, and others hear of it":      gone,
		"alerts tell that a webhook fails, and that it works again":                alerted,
		"a log that the store refuses for a while is kept whole":                   longLog,
		"what a user deletes is gone":                                              deleted,
		"a delivery goes to its own function as often as its schedule says":        recursive,
		"an endpoint that hangs does not hold the others up":                       hanging,
		"an attempt that was recorded by halves is recorded whole":                 halfRecorded,
		"a lone slow endpoint holds its batch by a lease":                          leased,
		"while runs don't start, triggers don't wait for them":                     backlog,
		"a rate limit is kept":                                                     limited,
		"an event that is published again under its id is delivered once":          published,
		"webhooks send to the queues that the stack allows, and to no others":      toQueues,
		"a developer's machine listens, and one that has gone is forgotten":        listening,
		"boathook listen forwards what the stack delivers":                         listeningByCommand,
		"boathook smoke proves the stack":                                          smokedByCommand,
		"a health that has expired begins anew":                                    expired,
		"a key that two requests pin at once stands for one run":                   pinned,
		"an agent's place is free when its runner is lost":                         lostAgent,
		"a run whose runner is killed is failed, told of, and not executed again":  killedRunner,
		"a run that fails is retried, and each event is in the feed once":          retried,
		"a webhook is sent what it has missed":                                     missed,
		"an agent's run is started again":                                          retriedByHand,
		"a run that is lost is retried, and each event is in the feed once":        retriedLost,
		"deliveries are found, and their attempts counted":                         lookedAt,
		"a run outlives its lease; a lost one is failed when its message returns":  lostRunner,
		"runs take turns in order, and one that is canceled leaves the line":       turns,
		"a burst of triggers becomes one run, on the last of them":                 coalesced,
		"the turn of a run that is lost goes to the next":                          turnOfLost,
		"a delivery whose sender is killed is sent again and recorded once":        killedSender,
		"a poison message ends in its dead-letter queue, and the others are done":  poison,
		"what was poison is redriven and done; what still is returns":              redriven,
		"of two thousand deliveries none is lost, though some fail and some crash": noneLost,
	}
	var ran atomic.Int64
	t.Run("side by side", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ran.Add(1)
				test(t, s.deploy(t))
			})
		}
	})
	if int(ran.Load()) < len(tests) {
		t.Log("NOT CHECKED: whether each permission is needed and each operation called, which takes all tests")
		return
	}
	s.checkRoles(t)
	s.checkOperations(t)
}

func journey(t *testing.T, s *stack) {
	target, executed := receiver(t, echo)
	url, requests := receiver(t, ok)
	s.call("GET", "/healthz", "", 200, "Authorization", "")
	path, trigger := s.deployment(target)
	webhook, secret := s.outgoing(path, url)

	const input = `{"n":123456789012345678901234567890}`
	accepted := s.call("POST", trigger, input, 202, "Content-Type", "application/x-www-form-urlencoded", "Idempotency-Key", "k1")
	if again := s.call("POST", trigger, input, 202, "Idempotency-Key", "k1"); again["run_id"] != accepted["run_id"] {
		t.Errorf("the same key started %v and %v", accepted, again)
	}
	s.call("POST", trigger, `{"other":1}`, 409, "Idempotency-Key", "k1")
	s.call("POST", trigger[:len(trigger)-3]+"AAA", input, 404)
	s.call("POST", trigger, `{`, 400)
	if run := s.run(accepted["run_id"]); run["status"] != "succeeded" || run["error_message"] != nil {
		t.Errorf("the run is %v", run)
	}
	if !strings.Contains(next(t, executed).body, input) || len(executed) != 0 {
		t.Errorf("the target was called %d times more, or without the input", len(executed))
	}
	if all := s.call("GET", "/v1/runs", "", 200)["runs"].([]any); len(all) != 1 {
		t.Errorf("the workspace's runs are %v", all)
	}
	_, stream := s.request("GET", fmt.Sprintf("/v1/runs/%s/events", accepted["run_id"]), "")
	for _, want := range []string{"run.started", `"log"`, "working", "run.completed", `"complete"`} {
		if !strings.Contains(string(stream), want) {
			t.Errorf("the run's events don't show %s:\n%s", want, stream)
		}
	}

	first := next(t, requests)
	if !first.verifies(secret) || !strings.Contains(first.body, `"output":`+input) || first.header.Get("X-Crewship-Event") != "run.succeeded" {
		t.Errorf("delivered %v\n%s", first.header, first.body)
	}
	id := first.header.Get("X-Crewship-Delivery")
	s.eventually("the delivery is in the log", func() object {
		for _, d := range s.deliveries(webhook) {
			if d["id"] == id && d["status"] == "succeeded" {
				return d
			}
		}
		return nil
	})
	s.call("POST", "/v1/deliveries/"+id+"/resend", "", 202)
	if again := next(t, requests); again.body != first.body || again.header.Get("X-Crewship-Delivery") != id || !again.verifies(secret) {
		t.Errorf("resent %v\n%s", again.header, again.body)
	}

	old := s.version(path, target) // then another, and back
	s.version(path, "http://127.0.0.1:1/nobody")
	s.call("POST", path+"/versions/"+old+"/activate", "", 200)
	if run := s.run(s.call("POST", trigger, `{}`, 202)["run_id"]); run["status"] != "succeeded" || run["version_id"] != old {
		t.Errorf("rolled back, the run is %v", run)
	}
}

func routes(t *testing.T, s *stack) {
	for _, path := range []string{"/nowhere", "/webhooks", "/v2/runs"} {
		if res, text := s.request("GET", path, ""); res.StatusCode != 404 || string(text) != `{"message":"Not Found"}` {
			t.Errorf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	s.call("GET", "/v1/runs", "", 401, "Authorization", "Bearer bh_wrong")
}

func killedRunner(t *testing.T, s *stack) {
	target, executed := receiver(t, func(http.ResponseWriter, int, received) { s.Function("ExecuteFunction").Kill() })
	url, requests := receiver(t, ok)
	path, trigger := s.deployment(target)
	_, secret := s.outgoing(path, url)
	accepted := s.call("POST", trigger, `{}`, 202)

	told := next(t, requests)
	if told.header.Get("X-Crewship-Event") != "run.failed" || !told.verifies(secret) {
		t.Errorf("delivered %v\n%s", told.header, told.body)
	}
	if run := s.run(accepted["run_id"]); run["status"] != "failed" || run["error_message"] != "runner lost" {
		t.Errorf("the run is %v", run)
	}
	s.drained("RunsQueue")
	if n := len(executed); n != 1 {
		t.Errorf("executed %d times", n)
	}
}

func killedSender(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, requests := receiver(t, func(w http.ResponseWriter, number int, _ received) {
		if number == 1 {
			s.Function("DeliverFunction").Kill()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	path, trigger := s.deployment(target)
	webhook, secret := s.outgoing(path, url)
	s.call("POST", trigger, `{}`, 202)

	first, second := next(t, requests), next(t, requests)
	if first.body != second.body || first.header.Get("X-Crewship-Delivery") != second.header.Get("X-Crewship-Delivery") || !second.verifies(secret) {
		t.Errorf("delivered %v\n%s\nand then %v\n%s", first.header, first.body, second.header, second.body)
	}
	s.drained("DeliveriesQueue")
	list := s.deliveries(webhook)
	if len(list) != 1 || list[0]["status"] != "succeeded" {
		t.Fatalf("recorded %v", list)
	}
	attempts := s.call("GET", fmt.Sprintf("/v1/deliveries/%s", list[0]["id"]), "", 200)["attempts"].([]any)
	if len(attempts) != 1 {
		t.Fatalf("%d attempts are recorded", len(attempts))
	}
	// A busy machine may have the request given up after three seconds. It is made once
	// more then, and the log says so.
	more := 0
	if attempts[0].(object)["cut_at"] != nil {
		more = 1
	}
	if len(requests) != more {
		t.Errorf("%d more requests were made, want %d", len(requests), more)
	}
}

func poison(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, requests := receiver(t, ok)
	path, trigger := s.deployment(target)
	s.outgoing(path, url)
	queues := []string{"Runs", "Deliveries", "Retries"}
	for _, queue := range queues {
		if err := s.Send(t.Context(), queue+"Queue", undecodable); err != nil {
			t.Fatal(err)
		}
	}
	s.run(s.call("POST", trigger, `{}`, 202)["run_id"])
	next(t, requests)
	for _, queue := range queues {
		s.dead(queue, 1)
		s.drained(queue + "Queue")
	}
}

func noneLost(t *testing.T, s *stack) {
	const webhooks, runs = 100, 20
	target, _ := receiver(t, echo)
	var mu sync.Mutex
	seen := make(map[string]string) // a delivery's body by its id
	url, _ := receiver(t, func(w http.ResponseWriter, number int, r received) {
		mu.Lock()
		id := r.header.Get("X-Crewship-Delivery")
		before, known := seen[id]
		seen[id] = r.body
		mu.Unlock()
		switch {
		case known && before != r.body:
			t.Errorf("delivery %s has two bodies", id)
		case number%500 == 100:
			s.Function("DeliverFunction").Kill() // with all that it has under way
		case number%20 == 0 && !known: // it has three attempts
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	path, trigger := s.deployment(target)
	paths := make([]string, webhooks)
	for i := range paths {
		paths[i], _ = s.outgoing(path, url)
	}
	for range runs {
		s.call("POST", trigger, `{"a":1}`, 202)
	}
	for _, webhook := range paths {
		s.eventually(webhook+" has had all deliveries", func() object {
			succeeded := 0
			for _, d := range s.deliveries(webhook) {
				if d["status"] == "succeeded" {
					succeeded++
				}
			}
			if succeeded < runs {
				return nil
			}
			return object{}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != webhooks*runs {
		t.Errorf("%d deliveries arrived, want %d", len(seen), webhooks*runs)
	}
	for _, queue := range []string{"RunsDeadLetterQueue", "DeliveriesDeadLetterQueue", "RetriesDeadLetterQueue"} {
		if waiting, _, err := s.Depth(t.Context(), queue); waiting != 0 || err != nil {
			t.Errorf("%s has %d messages, %v", queue, waiting, err)
		}
	}
}
