package localaws_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"boathook/internal/testing/localaws"
)

const undecodable = `{"poison":`

// dead waits until a queue's dead-letter queue holds so many messages.
func (s *stack) dead(queue string, messages int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d messages of %s are dead", messages, queue), func() object {
		waiting, _, err := s.Depth(s.t.Context(), queue+"DeadLetterQueue")
		if err != nil {
			s.t.Fatal(err)
		}
		if waiting != messages {
			return nil
		}
		return object{}
	})
}

// queue is what an operator sees of one.
func (s *stack) queue(name string) object {
	s.t.Helper()
	for _, q := range s.call("GET", "/v1/admin/redrive", "", 200)["data"].([]any) {
		if q := q.(object); q["queue"] == name {
			return q
		}
	}
	s.t.Fatalf("there is no queue %s", name)
	return nil
}

// redriven lets KMS fail until a run and a delivery are dead letters, beside
// messages that nobody can read, and then redrives all.
func redriven(t *testing.T, s *stack) {
	target, executed := receiver(t, echo)
	url, requests := receiver(t, ok)
	path, trigger := s.deployment(target)
	s.call("POST", path+"/versions", fmt.Sprintf( // whose header must be unsealed
		`{"environment":"production","target":{"type":"http","url":%q,"headers":{"X-Key":"k"}}}`, target), 201)
	webhook, secret := s.outgoing(path, url)
	s.fail(func(c localaws.Call) int {
		if c.Service == "TrentService" && c.From != "ManageFunction" {
			return http.StatusInternalServerError
		}
		return 0
	})
	accepted := s.call("POST", trigger, `{}`, 202)
	s.call("POST", webhook+"/test", "", 202)
	for _, queue := range []string{"Runs", "Deliveries", "Retries"} {
		if err := s.Send(t.Context(), queue+"Queue", undecodable); err != nil {
			t.Fatal(err)
		}
	}
	s.dead("Deliveries", 2)
	s.dead("Retries", 1)
	s.dead("Runs", 2)
	if run := s.call("GET", fmt.Sprintf("/v1/runs/%s", accepted["run_id"]), "", 200); run["status"] != "pending" || len(executed)+len(requests) != 0 {
		t.Errorf("with KMS down the run is %v, %d were executed, %d delivered", run, len(executed), len(requests))
	}

	// The move of the runs is held while another is asked for.
	var held atomic.Bool
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	s.fail(func(c localaws.Call) int {
		if c.ByAWS && c.From == "ManageFunction" && c.Action == "ReceiveMessage" && held.CompareAndSwap(false, true) {
			<-release
		}
		return 0
	})
	redrive := func(queue string, status int) object {
		t.Helper()
		return s.call("POST", "/v1/admin/redrive", fmt.Sprintf(`{"queue":%q}`, queue), status)
	}
	if q := redrive("runs", 202); q["move"].(object)["status"] != "running" || q["move"].(object)["total"] != 2.0 || q["dead"].(object)["ready"] != 2.0 {
		t.Errorf("the redrive of the runs has begun as %v", q)
	}
	redrive("runs", 409)
	letGo()
	redrive("deliveries", 202)
	redrive("retries", 202)
	for queue, moved := range map[string]float64{"runs": 2, "deliveries": 2, "retries": 1} {
		s.eventually("the move of "+queue+" is over", func() object {
			move := s.queue(queue)["move"].(object)
			if move["status"] == "running" {
				return nil
			}
			if move["status"] != "completed" || move["moved"] != moved || move["total"] != moved || move["failure"] != nil {
				t.Errorf("the move of %s is %v", queue, move)
			}
			return move
		})
	}

	if run := s.run(accepted["run_id"]); run["status"] != "succeeded" {
		t.Errorf("redriven, the run is %v", run)
	}
	told := make(map[string]int)
	for range 2 {
		r := next(t, requests)
		if !r.verifies(secret) {
			t.Errorf("delivered %v\n%s", r.header, r.body)
		}
		told[r.header.Get("X-Crewship-Delivery")]++
	}
	s.dead("Deliveries", 1)
	s.dead("Retries", 1)
	if q := s.queue("deliveries"); q["depth"].(object)["ready"] != 0.0 || q["dead"].(object)["ready"] != 1.0 {
		t.Errorf("the deliveries' queues are %v", q)
	}
	list := s.deliveries(webhook)
	for _, d := range list {
		if d["status"] != "succeeded" || told[d["id"].(string)] != 1 {
			t.Errorf("recorded %v", d)
		}
	}
	if len(list) != 2 || len(executed) != 1 || len(requests) != 0 {
		t.Errorf("%d deliveries are recorded, %d runs were executed, %d requests came too many", len(list), len(executed), len(requests))
	}
}
