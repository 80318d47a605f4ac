package localaws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/store"
	"boathook/internal/store/dynamo"
	"boathook/internal/testing/localaws"
)

// The roads that are rarely taken: what a role allows for them alone is proven
// by these.

// noise is a text of so many bytes that hardly compresses.
func noise(size int) string {
	raw := make([]byte, size)
	rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)[:size]
}

// What runs may invoke, outside of the stack.
const (
	reportARN   = "arn:aws:lambda:eu-west-1:123456789012:function:report"
	reviewerARN = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/reviewer-AbCdEf1234"
)

// outside answers as a function or an agent does that gives back what it got.
func outside(arn string, payload []byte) []byte {
	return fmt.Appendf(nil, `{"arn":%q,"payload":%s}`, arn, payload)
}

func invoked(t *testing.T, s *stack) {
	for arn, target := range map[string]string{
		reportARN:   fmt.Sprintf(`{"type":"lambda","function_arn":%q}`, reportARN),
		reviewerARN: fmt.Sprintf(`{"type":"agentcore","runtime_arn":%q}`, reviewerARN),
	} {
		path := "/v1/deployments/" + s.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
		s.call("POST", path+"/versions", `{"environment":"production","target":`+strings.Replace(target, arn, arn+"-other", 1)+`}`, 400)
		s.call("POST", path+"/versions", `{"environment":"production","target":`+target+`}`, 201)
		id := path[strings.LastIndexByte(path, '/')+1:]
		run := s.run(s.call("POST", "/v1/runs", fmt.Sprintf(`{"deployment_id":%q,"input":{"a":1}}`, id), 202)["run_id"])
		output, _ := run["output"].(object)
		if run["status"] != "succeeded" || output["arn"] != arn || fmt.Sprint(output["payload"].(object)["input"]) != "map[a:1]" {
			t.Errorf("the run of %s is %v", arn, run)
		}
	}
}

func refused(t *testing.T, s *stack) {
	target, executed := receiver(t, echo)
	path, trigger := s.deployment(target)
	id := path[strings.LastIndexByte(path, '/')+1:]
	s.fail(func(c localaws.Call) int {
		if c.Service == "AmazonSQS" && !c.ByAWS && c.From != "" {
			return http.StatusInternalServerError
		}
		return 0
	})
	byAPI := fmt.Sprintf(`{"deployment_id":%q,"input":{}}`, id)
	s.call("POST", trigger, `{}`, 503)
	s.call("POST", "/v1/runs", byAPI, 503)
	if runs := s.call("GET", "/v1/runs?deployment_id="+id, "", 200)["runs"].([]any); len(runs) != 0 {
		t.Errorf("there are %v", runs)
	}
	s.fail(nothing)
	s.run(s.call("POST", trigger, `{}`, 202)["run_id"])
	s.run(s.call("POST", "/v1/runs", byAPI, 202)["run_id"])
	if len(executed) != 2 {
		t.Errorf("%d runs were executed", len(executed))
	}
}

func canceled(t *testing.T, s *stack) {
	release := make(chan struct{})
	defer close(release)
	target, executed := receiver(t, func(http.ResponseWriter, int, received) { <-release })
	_, trigger := s.deployment(target)
	id := s.call("POST", trigger, `{}`, 202)["run_id"]
	next(t, executed)
	s.call("POST", fmt.Sprintf("/v1/runs/%s/cancel", id), "", 202)
	if run := s.run(id); run["status"] != "canceled" || run["output"] != nil {
		t.Errorf("the run is %v", run)
	}
	s.call("POST", fmt.Sprintf("/v1/runs/%s/cancel", id), "", 409)
}

// lostRunner has the message of a run whose runner is killed come again and
// again, as a queue may. Meanwhile another run works for longer than its lease.
func lostRunner(t *testing.T, s *stack) {
	var message atomic.Pointer[string]
	var lookedAfter atomic.Bool
	s.fail(func(c localaws.Call) int {
		switch {
		case c.From == "IntakeFunction" && c.Action == "SendMessageBatch":
			var in struct {
				Entries []struct{ MessageBody string }
			}
			if json.Unmarshal(c.Request, &in) == nil {
				message.CompareAndSwap(nil, &in.Entries[0].MessageBody)
			}
		case c.From == "SweepFunction" && c.Action == "PutItem": // moves the row of a run that goes on
			lookedAfter.Store(true)
		}
		return 0
	})
	killed, release := make(chan received, 1), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	target, executed := receiver(t, func(w http.ResponseWriter, number int, r received) {
		if number == 1 {
			s.Function("ExecuteFunction").Kill()
			killed <- r
			return
		}
		<-release
		echo(w, number, r)
	})
	url, requests := receiver(t, ok)
	path, trigger := s.deployment(target)
	s.outgoing(path, url)
	// It is read again to be told of, in all its parts.
	lost := s.call("POST", trigger, `{"lost":true,"noise":"`+noise(500_000)+`"}`, 202)["run_id"]
	next(t, killed)
	long := s.call("POST", trigger, `{"lost":false}`, 202)["run_id"]

	var sent time.Time
	run := s.eventually("the lost run is failed", func() object {
		if time.Since(sent) > 5*time.Second {
			sent = time.Now()
			if err := s.Send(t.Context(), "RunsQueue", *message.Load()); err != nil {
				t.Fatal(err)
			}
		}
		if run := s.call("GET", fmt.Sprintf("/v1/runs/%s", lost), "", 200); run["status"] != "running" {
			return run
		}
		return nil
	})
	if run["status"] != "failed" || run["error_message"] != "runner lost" {
		t.Errorf("the lost run is %v", run)
	}
	if told := next(t, requests); told.header.Get("X-Crewship-Event") != "run.failed" {
		t.Errorf("delivered %v\n%s", told.header, told.body)
	}
	s.eventually("the long run is looked after", func() object {
		if !lookedAfter.Load() {
			return nil
		}
		return object{}
	})
	letGo()
	if run := s.run(long); run["status"] != "succeeded" {
		t.Errorf("the long run is %v", run)
	}
	if told := next(t, requests); told.header.Get("X-Crewship-Event") != "run.succeeded" || len(requests) != 0 || len(executed) != 2 {
		t.Errorf("delivered %v, %d requests more, %d executed", told.header, len(requests), len(executed))
	}
}

func longBody(t *testing.T, s *stack) {
	target, _ := receiver(t, ok)
	var well atomic.Bool
	url, requests := receiver(t, func(w http.ResponseWriter, _ int, _ received) {
		if !well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	path, trigger := s.deployment(target)
	webhook := s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[1,3600]}}`, url), 201)
	input := `{"noise":"` + noise(500_000) + `"}`
	s.call("POST", trigger, input, 202)

	first := next(t, requests)
	id := first.header.Get("X-Crewship-Delivery")
	s.eventually("the attempt at once has failed, too", func() object {
		if list := s.deliveries(path + "/outgoing-webhooks/" + webhook["id"].(string)); len(list) == 1 && list[0]["attempt_count"] == 2.0 {
			return list[0]
		}
		return nil
	})
	well.Store(true)
	s.hurry()
	s.eventually("the delivery has succeeded", func() object {
		d := s.call("GET", "/v1/deliveries/"+id, "", 200)
		if d["status"] != "succeeded" {
			return nil
		}
		if n := len(d["attempts"].([]any)); n != 3 {
			t.Errorf("%d attempts are recorded", n)
		}
		return d
	})
	arrived := []received{first}
	for len(requests) > 0 {
		arrived = append(arrived, next(t, requests))
	}
	for _, r := range arrived {
		if !strings.Contains(r.body, input) || r.body != first.body || !r.verifies(webhook["signing_secret"].(string)) {
			t.Errorf("delivered %v with %d bytes", r.header, len(r.body))
		}
	}
	if len(arrived) < 3 { // more, where a busy machine takes seconds to answer one
		t.Errorf("%d requests arrived", len(arrived))
	}
	byAPI := s.call("POST", "/v1/runs", fmt.Sprintf(`{"deployment_id":%q,"input":%s}`, path[strings.LastIndexByte(path, '/')+1:], input), 202)
	if run := s.run(byAPI["run_id"]); len(run["input"].(object)["noise"].(string)) != 500_000 {
		t.Errorf("the run of the API is %.200v", run)
	}
}

// hurry moves the next attempt of a delivery that waits for its time in the
// store, and so is later than the queue's 15 minutes, to now.
func (s *stack) hurry() {
	s.t.Helper()
	tables := make([]string, 2)
	for i, id := range []string{"ConfigTable", "RecordsTable"} {
		var err error
		if tables[i], err = s.Ref(id); err != nil {
			s.t.Fatal(err)
		}
	}
	records := dynamo.New(dynamodb.NewFromConfig(s.SDK()), dynamo.Config{
		ConfigTable: tables[0], RecordsTable: tables[1], Retention: 30 * 24 * time.Hour,
	})
	s.eventually("an attempt waits in the store", func() (moved object) {
		for shard := range store.DueShards {
			rows, err := records.Due(s.t.Context(), shard, store.Due{}, time.Now().Add(24*time.Hour), 100)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, row := range rows {
				if row.Kind != store.DueDelivery {
					continue
				}
				now := row
				now.At = time.Now()
				if err := records.PutDue(s.t.Context(), now); err != nil {
					s.t.Fatal(err)
				}
				if err := records.DeleteDue(s.t.Context(), row); err != nil {
					s.t.Fatal(err)
				}
				moved = object{}
			}
		}
		return moved
	})
}

// chat has a chat hear of a source, in messages that name it. What it is to hear of
// is the begin of a body.
func (c client) chat(source, begin string) (messages <-chan received) {
	c.t.Helper()
	url, messages := receiver(c.t, ok)
	c.call("POST", source+"/outgoing-webhooks", begin+fmt.Sprintf(`,"name":"chat","url":%q,"format":"slack"}`, url), 201)
	return messages
}

// halfRecorded has a later attempt be recorded by halves: the attempt is there when
// its message comes again, and its delivery does not know of it.
func halfRecorded(t *testing.T, s *stack) {
	var refused atomic.Bool
	s.fail(func(c localaws.Call) int {
		if c.From == "DeliverFunction" && c.Action == "UpdateItem" && bytes.Contains(c.Request, []byte(`"dlv#`)) && refused.CompareAndSwap(false, true) {
			return http.StatusBadRequest // which the SDK does not repeat
		}
		return 0
	})
	target, _ := receiver(t, echo)
	url, _ := receiver(t, func(w http.ResponseWriter, number int, _ received) {
		if number == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	path, trigger := s.deployment(target)
	webhook := path + "/outgoing-webhooks/" + s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[1]}}`, url), 201)["id"].(string)
	s.call("POST", trigger, `{}`, 202)
	s.eventually("the delivery is as its second attempt has left it", func() object {
		if list := s.deliveries(webhook); len(list) == 1 && list[0]["status"] == "succeeded" {
			if list[0]["attempt_count"] != 2.0 || !refused.Load() {
				t.Errorf("it is %v; refused: %t", list[0], refused.Load())
			}
			return list[0]
		}
		return nil
	})
}

// leased has a lone endpoint answer slowly: its request is not given up, and has a
// lease for as long as it takes. A busy machine may take too long to note that it is
// slow, and then there is none: another is tried.
func leased(t *testing.T, s *stack) {
	url, requests := receiver(t, func(http.ResponseWriter, int, received) { time.Sleep(4 * time.Second) })
	s.eventually("a lease was taken and given back", func() object {
		app := s.call("POST", "/v1/apps", `{"name":"a"}`, 201)["id"].(string)
		webhook := "/v1/apps/" + app + "/outgoing-webhooks/" + s.call("POST", "/v1/apps/"+app+"/outgoing-webhooks",
			fmt.Sprintf(`{"name":"out","url":%q,"events":["job_finished"]}`, url), 201)["id"].(string)
		s.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, app, example(t, s, "job_finished")), 202)
		next(t, requests)
		s.eventually("it is taken", func() object {
			if list := s.deliveries(webhook); len(list) == 1 && list[0]["status"] == "succeeded" {
				return list[0]
			}
			return nil
		})
		if s.calls.of("DeliverFunction DeleteItem 200") == 0 {
			return nil
		}
		return object{}
	})
}

// retrying makes a deployment whose failed runs are retried once, and whose events are kept.
func (c client) retrying(target string) (path, trigger string) {
	c.t.Helper()
	path, trigger = c.deployment(target)
	c.call("PATCH", path, `{"retry":{"max":1,"backoff_seconds":1}}`, 200)
	c.call("PATCH", path+"/events", `{"event_retention_days":1}`, 200)
	return path, trigger
}

// again is a run that failed, and the one that repeats it, once both are over.
func (c client) again(id any) (failed, again object) {
	c.t.Helper()
	c.run(id)
	failed = c.eventually("the run is retried", func() object { // which is recorded after its end
		if run := c.call("GET", fmt.Sprintf("/v1/runs/%s", id), "", 200); run["retried_by"] != nil {
			return run
		}
		return nil
	})
	return failed, c.run(failed["retried_by"])
}

// inFeed wants the types of the events in a source's feed, sorted: a run that is retried
// at once may end before it is told that the first one failed.
func (c client) inFeed(source string, want ...string) {
	c.t.Helper()
	var types []string
	c.eventually("the feed has all", func() object {
		types = nil
		for _, e := range c.call("GET", source+"/events", "", 200)["data"].([]any) {
			types = append(types, e.(object)["type"].(string))
		}
		if len(types) < len(want) {
			return nil
		}
		return object{}
	})
	if slices.Sort(types); !slices.Equal(types, want) {
		c.t.Errorf("the feed of %s has %v, want %v", source, types, want)
	}
}

// crossed has a function meet, with the first event that it puts into a feed, what a
// publisher that died and a reader that came by have left: the event's mark, and a
// tombstone at the place that the mark names.
func (s *stack) crossed(function string) func(localaws.Call) int {
	var once sync.Once
	return func(c localaws.Call) int {
		if c.From == function && c.Action == "PutItem" && bytes.Contains(c.Request, []byte(`"fed#`)) {
			once.Do(func() {
				var in struct {
					Item map[string]struct{ S, N string }
				}
				if err := json.Unmarshal(c.Request, &in); err != nil {
					s.t.Error(err)
				}
				mark := in.Item
				source := strings.Split(mark["pk"].S, "#")[1]
				position, _ := strconv.Atoi(mark["n"].N)
				for pk, sk := range map[string]string{
					mark["pk"].S: mark["sk"].S,
					fmt.Sprintf("feed#%s#%010d", source, position/1000): fmt.Sprintf("%015d", position),
				} {
					s.put(map[string]types.AttributeValue{
						"pk": text(pk), "sk": text(sk), "x": number(mark["x"].N), "n": number(mark["n"].N), "ta": number(mark["ta"].N),
					})
				}
			})
		}
		return 0
	}
}

func retried(t *testing.T, s *stack) {
	target, executed := receiver(t, func(w http.ResponseWriter, number int, r received) {
		if number == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		echo(w, number, r)
	})
	path, trigger := s.retrying(target)
	s.fail(s.crossed("ExecuteFunction"))
	failed, again := s.again(s.call("POST", trigger, `{}`, 202)["run_id"])
	if failed["status"] != "failed" || again["status"] != "succeeded" || len(executed) != 2 {
		t.Errorf("%v is retried by %v, %d executed", failed, again, len(executed))
	}
	s.inFeed(path, "run.failed", "run.succeeded")
}

// retriedByHand starts an agent's run again by the API: the first puts the agent's load
// anew, and of two more at most one is of another minute.
func retriedByHand(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	a := s.agent(target)
	run := a.trigger(`{}`)
	a.finished(run)
	s.forgetLoad(a.id)
	for key := range 3 {
		again := a.call("POST", "/v1/runs/"+run+"/retry", `{}`, 202, "Idempotency-Key", fmt.Sprint("again-", key))
		a.finished(again["run_id"].(string))
	}
}

func retriedLost(t *testing.T, s *stack) {
	target, executed := receiver(t, func(w http.ResponseWriter, number int, _ received) {
		if number == 1 {
			s.Function("ExecuteFunction").Kill()
			return
		}
		fmt.Fprint(w, `{"done":true}`)
	})
	path, trigger := s.retrying(target)
	s.fail(s.crossed("SweepFunction"))
	lost, again := s.again(s.call("POST", trigger, `{"noise":"`+noise(500_000)+`"}`, 202)["run_id"])
	if lost["error_message"] != "runner lost" || again["status"] != "succeeded" || len(executed) != 2 {
		t.Errorf("the run ended by %v, its retry by %v, %d executed", lost["error_message"], again["status"], len(executed))
	}
	s.inFeed(path, "run.failed", "run.succeeded")
}

// waits waits until a run stands in line.
func (c client) waits(id any) {
	c.t.Helper()
	c.eventually("the run stands in line", func() object {
		if run := c.call("GET", fmt.Sprintf("/v1/runs/%s", id), "", 200); run["waits_since"] != nil {
			return run
		}
		return nil
	})
}

func turns(t *testing.T, s *stack) {
	release := make(chan struct{})
	target, executed := receiver(t, func(w http.ResponseWriter, number int, r received) {
		if number == 1 {
			<-release
		}
		echo(w, number, r)
	})
	path, trigger := s.deployment(target)
	s.call("PATCH", path, `{"max_in_flight":1}`, 200)
	var ids []any
	for n := range 4 {
		ids = append(ids, s.call("POST", trigger, fmt.Sprintf(`{"n":%d}`, n), 202)["run_id"])
		if n == 0 {
			next(t, executed)
		} else {
			s.waits(ids[n])
		}
	}
	s.call("POST", fmt.Sprintf("/v1/runs/%s/cancel", ids[2]), "", 202)
	close(release)
	for n, want := range []string{"succeeded", "succeeded", "canceled", "succeeded"} {
		if run := s.run(ids[n]); run["status"] != want || run["waits_since"] != nil {
			t.Errorf("the %d. run is %v", n, run)
		}
	}
	for _, n := range []int{1, 3} {
		if r := next(t, executed); !strings.Contains(r.body, ids[n].(string)) {
			t.Errorf("it is not the turn of %s", r.body)
		}
	}
}

func turnOfLost(t *testing.T, s *stack) {
	kill := make(chan struct{})
	target, executed := receiver(t, func(w http.ResponseWriter, number int, r received) {
		if number == 1 {
			<-kill
			s.Function("ExecuteFunction").Kill()
			return
		}
		echo(w, number, r)
	})
	path, trigger := s.deployment(target)
	s.call("PATCH", path, `{"max_in_flight":1}`, 200)
	lost := s.call("POST", trigger, `{}`, 202)["run_id"]
	next(t, executed)
	second := s.call("POST", trigger, `{}`, 202)["run_id"]
	s.waits(second)
	close(kill)
	if run := s.run(second); run["status"] != "succeeded" {
		t.Errorf("the second run is %v", run)
	}
	if run := s.run(lost); run["error_message"] != "runner lost" {
		t.Errorf("the first run is %v", run)
	}
}

func alerted(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, _ := receiver(t, func(w http.ResponseWriter, number int, _ received) {
		w.WriteHeader(map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusNoContent}[number == 1])
	})
	onCall, told := receiver(t, ok)
	path, trigger := s.deployment(target)
	webhook, _ := s.outgoing(path, url)
	s.call("PATCH", webhook, `{"retry":{"schedule_seconds":[]},"alert_after":{"failures":1,"seconds":0}}`, 200)
	s.call("POST", "/v1/alerts/outgoing-webhooks", fmt.Sprintf(
		`{"name":"on call","url":%q,"events":["webhook.failing","webhook.recovered","delivery.exhausted"]}`, onCall), 201)

	s.call("POST", trigger, `{}`, 202)
	heard := map[string]bool{}
	for range 2 {
		r := next(t, told)
		for _, event := range []string{"webhook.failing", "delivery.exhausted"} {
			heard[event] = heard[event] || strings.Contains(r.body, `"type":"`+event+`"`) && strings.Contains(r.body, `"response_status":503`)
		}
	}
	if !heard["webhook.failing"] || !heard["delivery.exhausted"] {
		t.Errorf("heard %v", heard)
	}
	s.call("POST", trigger, `{}`, 202)
	if r := next(t, told); !strings.Contains(r.body, `"type":"webhook.recovered"`) {
		t.Errorf("heard %s", r.body)
	}
}

func coalesced(t *testing.T, s *stack) {
	target, executed := receiver(t, func(w http.ResponseWriter, _ int, _ received) { fmt.Fprint(w, `{"done":true}`) })
	path, _ := s.deployment(target)
	in := s.call("POST", path+"/incoming-webhooks", `{"name":"burst","environment":"production","coalesce":{"key":".body.ref","quiet_seconds":10,"max_wait_seconds":20}}`, 201)
	trigger := in["url"].(string)
	trigger = trigger[strings.Index(trigger, "/webhooks/"):]
	var id any
	for n := range 3 {
		body := fmt.Sprintf(`{"ref":"main","n":%d,"noise":%q}`, n, noise(400_000))
		accepted := s.call("POST", trigger, body, 202, "Idempotency-Key", fmt.Sprint("k", n))
		if n == 0 {
			id = accepted["run_id"]
		} else if accepted["run_id"] != id {
			t.Errorf("the %d. trigger is part of %v, not %v", n, accepted["run_id"], id)
		}
	}
	if again := s.call("POST", trigger, `{"ref":"main"}`, 202, "Idempotency-Key", "k1"); again["run_id"] != id {
		t.Errorf("a repeat is part of %v, not %v", again["run_id"], id)
	}
	run := s.run(id)
	if list, _ := run["coalesced"].([]any); run["status"] != "succeeded" || len(list) != 3 {
		t.Errorf("the run is %v, of %v", run["status"], run["coalesced"])
	}
	if r := next(t, executed); !strings.Contains(r.body, `"n":2,`) || len(executed) > 0 {
		t.Errorf("executed on %.200s, and %d more", r.body, len(executed))
	}
	requests := s.call("GET", fmt.Sprintf("%s/incoming-webhooks/%s/requests?outcome=coalesced", path, in["id"]), "", 200)["data"].([]any)
	for _, r := range requests {
		if r.(object)["run_id"] != id {
			t.Errorf("a request shows %v", r)
		}
	}
	if len(requests) != 2 {
		t.Errorf("%d requests show the run that took them", len(requests))
	}
}

func gone(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	left, calls := receiver(t, func(w http.ResponseWriter, _ int, _ received) { w.WriteHeader(http.StatusGone) })
	other, told := receiver(t, ok)
	path, trigger := s.deployment(target)
	webhook, _ := s.outgoing(path, left)
	s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"other","url":%q,"events":["webhook.disabled"],"environment":"production"}`, other), 201)
	messages := s.chat(path, `{"events":["webhook.disabled"],"environment":"production"`)
	s.call("PATCH", path+"/events", `{"event_retention_days":1}`, 200)
	s.fail(s.crossed("DeliverFunction"))
	s.call("POST", trigger, `{}`, 202)
	next(t, messages)
	if r := next(t, told); r.header.Get("X-Crewship-Event") != "webhook.disabled" || !strings.Contains(r.body, "410") {
		t.Errorf("the other webhook heard %v\n%s", r.header, r.body)
	}
	s.eventually("the webhook is disabled", func() object {
		if w := s.call("GET", webhook, "", 200); w["enabled"] == false {
			return w
		}
		return nil
	})
	s.run(s.call("POST", trigger, `{}`, 202)["run_id"])
	s.drained("DeliveriesQueue")
	if len(calls) != 1 {
		t.Errorf("the receiver that is gone was called %d times", len(calls))
	}
	// It is there again, and gets what it has missed.
	s.call("PATCH", webhook, `{"enabled":true}`, 200)
	if missed := s.call("POST", webhook+"/recover", `{"since":"2026-01-01T00:00:00Z"}`, 202); missed["queued"] != 1.0 {
		t.Errorf("recovered %v", missed)
	}
	next(t, calls)
}

// longLog refuses each piece of a run's log that fits into one item: it grows
// until it is several.
func longLog(t *testing.T, s *stack) {
	var lines []string
	for range 100 {
		lines = append(lines, noise(8<<10))
	}
	target, _ := receiver(t, func(w http.ResponseWriter, _ int, _ received) {
		fmt.Fprint(w, strings.Join(lines, "\n"))
	})
	var refused, several atomic.Int64
	s.fail(func(c localaws.Call) int {
		switch {
		case c.From != "ExecuteFunction":
		case c.Action == "BatchWriteItem":
			several.Add(1)
		case c.Action == "PutItem" && bytes.Contains(c.Request, []byte(`"log#`)) && several.Load() == 0:
			refused.Add(1)
			return http.StatusBadRequest // which the SDK does not repeat
		}
		return 0
	})
	_, trigger := s.deployment(target)
	run := s.run(s.call("POST", trigger, `{}`, 202)["run_id"])
	if run["status"] != "succeeded" || refused.Load() == 0 || several.Load() == 0 {
		t.Errorf("after %d refusals and %d writes of several items the run is %v", refused.Load(), several.Load(), run)
	}
	var text strings.Builder
	for last, over := "0", false; !over; {
		_, page := s.request("GET", fmt.Sprintf("/v1/runs/%s/events", run["id"]), "", "Last-Event-ID", last)
		for line := range strings.Lines(string(page)) {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				last = strings.TrimSpace(id)
			}
		}
		text.Write(page)
		over = bytes.Contains(page, []byte(`"type":"complete"`))
	}
	at := 0
	for i, line := range lines {
		found := strings.Index(text.String()[at:], line)
		if found < 0 {
			t.Fatalf("line %d is missing, or out of order", i)
		}
		at += found
	}
}

func deleted(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, _ := receiver(t, ok)
	path, trigger := s.deployment(target)
	webhook, _ := s.outgoing(path, url)
	s.outgoing(path, url)
	s.run(s.call("POST", trigger, `{}`, 202)["run_id"])

	s.call("DELETE", webhook, "", 204)
	s.call("GET", webhook, "", 404)
	token := s.call("POST", "/v1/tokens", `{"name":"t","role":"viewer"}`, 201)
	bearer := []string{"Authorization", "Bearer " + token["token"].(string)}
	if list := s.call("GET", "/v1/deployments", "", 200, bearer...)["data"].([]any); len(list) != 1 {
		t.Errorf("the deployments are %v", list)
	}
	s.call("DELETE", path, "", 403, bearer...)
	s.call("DELETE", fmt.Sprintf("/v1/tokens/%s", token["id"]), "", 204)
	s.call("GET", "/v1/deployments", "", 401, bearer...)

	s.call("DELETE", path, "", 204)
	for _, gone := range []string{path, path + "/versions", path + "/outgoing-webhooks"} {
		s.call("GET", gone, "", 404)
	}
	s.call("POST", trigger, `{}`, 404)
	if list := s.call("GET", "/v1/deployments", "", 200)["data"].([]any); len(list) != 0 {
		t.Errorf("the deployments are %v", list)
	}
}

// recursive has a delivery go from deliver to itself, by way of the queue, more
// often than Lambda lets a function that is not allowed to.
func recursive(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, requests := receiver(t, func(w http.ResponseWriter, _ int, _ received) { w.WriteHeader(http.StatusInternalServerError) })
	path, trigger := s.deployment(target)
	schedule := strings.TrimSuffix(strings.Repeat("1,", 20), ",")
	webhook := path + "/outgoing-webhooks/" + s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[%s]}}`, url, schedule), 201)["id"].(string)
	s.call("POST", trigger, `{}`, 202)
	over := s.eventually("the delivery is over, or its messages were dropped as those of an endless loop", func() object {
		if n := s.Dropped(); n != 0 {
			return object{"dropped": n}
		}
		if list := s.deliveries(webhook); len(list) == 1 && list[0]["status"] == "failed" {
			return list[0]
		}
		return nil
	})
	if over["status"] != "failed" || over["attempt_count"] != 21.0 || len(requests) < 21 {
		t.Errorf("in the end it is %v, after %d requests", over, len(requests))
	}
}

// hanging has more events go to an endpoint that does not answer than there are
// batches for: the others' arrive before any of its requests is over.
func hanging(t *testing.T, s *stack) {
	closed := make(chan struct{})
	release := sync.OnceFunc(func() { close(closed) })
	defer release()
	hangs, begun := receiver(t, func(http.ResponseWriter, int, received) { <-closed })
	url, requests := receiver(t, ok)
	app := "/v1/apps/" + s.call("POST", "/v1/apps", `{"name":"a"}`, 201)["id"].(string)
	other := "/v1/apps/" + s.call("POST", "/v1/apps", `{"name":"b"}`, 201)["id"].(string)
	sick := app + "/outgoing-webhooks/" + s.call("POST", app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"out","url":%q,"events":["job_finished"]}`, hangs), 201)["id"].(string)
	s.call("POST", other+"/outgoing-webhooks", fmt.Sprintf(`{"name":"out","url":%q,"events":["job_finished"]}`, url), 201)
	publish := func(app string, n int) {
		id := app[strings.LastIndexByte(app, '/')+1:]
		event := fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, id, example(t, s, "job_finished"))
		s.call("POST", "/v1/events", `{"events":[`+strings.TrimSuffix(strings.Repeat(event+",", n), ",")+`]}`, 202)
	}
	publish(app, 100)
	publish(app, 100) // ten for each of the twenty batches
	next(t, begun)
	publish(other, 20)
	for range 20 {
		next(t, requests)
	}
	for _, d := range s.deliveries(sick) {
		if d["attempt_count"] != 0.0 {
			t.Errorf("the others waited until a request was over: %v", d)
		}
	}
	if w := s.call("GET", sick, "", 200); w["slow_since"] == nil {
		t.Errorf("the webhook is %v", w)
	}
	// Once it answers, all that waited is sent.
	release()
	s.eventually("all is taken, though late", func() object {
		taken := s.call("GET", sick+"/deliveries?limit=200&status=succeeded", "", 200)["data"].([]any)
		if len(taken) < 200 {
			return nil
		}
		return object{}
	})
}

// limited has a webhook with a rate limit.
func limited(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, requests := receiver(t, ok)
	path, trigger := s.deployment(target)
	webhook, _ := s.outgoing(path, url)
	s.call("PATCH", webhook, `{"rate_limit":{"per_second":1}}`, 200)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { s.call("POST", trigger, `{}`, 202) })
	}
	all.Wait()
	for range 5 {
		next(t, requests)
	}
}

// published has an event published twice under one id, at once.
func published(t *testing.T, s *stack) {
	url, requests := receiver(t, ok)
	app := s.call("POST", "/v1/apps", `{"name":"a"}`, 201)["id"].(string)
	s.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"out","url":%q,"events":["job_finished"]}`, url), 201)
	s.call("PATCH", "/v1/apps/"+app+"/events", `{"event_retention_days":1}`, 200)
	s.fail(s.crossed("ManageFunction"))
	event := fmt.Sprintf(`{"id":"job-1","source":%q,"type":"job_finished","data":%s}`, app, example(t, s, "job_finished"))
	for range 2 {
		s.call("POST", "/v1/events", event, 202)
	}
	s.call("POST", "/v1/events", strings.Replace(event, `"data":`, `"environment":"staging","data":`, 1), 409)
	next(t, requests)
	s.drained("DeliveriesQueue")
	if len(requests) != 0 {
		t.Errorf("%d requests more", len(requests))
	}
	s.inFeed("/v1/apps/"+app, "job_finished")
}

// missed has an event that is too long for one item, which happened before there was a
// webhook, sent to it: as one that is missing, and then once more.
func missed(t *testing.T, s *stack) {
	url, requests := receiver(t, ok)
	s.call("PUT", "/v1/event-types/report.made", `{"description":"x"}`, 200)
	customer := "/v1/customers/" + s.call("POST", "/v1/customers", `{"name":"a","external_id":"missed"}`, 201)["id"].(string)
	s.call("POST", "/v1/events", fmt.Sprintf(`{"source":"customer:missed","type":"report.made","data":{"noise":%q}}`, noise(20_000)), 202)
	webhook := customer + "/outgoing-webhooks/" +
		s.call("POST", customer+"/outgoing-webhooks", fmt.Sprintf(`{"name":"out","url":%q,"events":["*"]}`, url), 201)["id"].(string)
	const since = `{"since":"2026-01-01T00:00:00Z"`
	if count := s.call("POST", webhook+"/replay", since+`,"dry_run":true}`, 202); count["queued"] != 1.0 {
		t.Errorf("it has missed %v", count)
	}
	s.call("POST", webhook+"/replay", since+`}`, 202)
	first := next(t, requests)
	s.drained("RetriesQueue")
	if done := s.call("POST", webhook+"/replay", since+`}`, 202); done["queued"] != 0.0 || done["matched"] != 1.0 || len(requests) > 0 {
		t.Errorf("a repeat has queued %v", done)
	}
	s.call("POST", webhook+"/replay", since+`,"only":"all"}`, 202)
	if again := next(t, requests); again.header.Get("Webhook-Id") != first.header.Get("Webhook-Id") || again.body != first.body {
		t.Errorf("first %v\n%s\nthen %v\n%s", first.header, first.body, again.header, again.body)
	}
}

// lookedAt has a delivery found in its workspace's list, once by the event's publish and once
// more by its failure, and its attempts counted.
func lookedAt(t *testing.T, s *stack) {
	url, requests := receiver(t, func(w http.ResponseWriter, n int, _ received) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	app := s.call("POST", "/v1/apps", `{"name":"looked at"}`, 201)["id"].(string)
	webhook := "/v1/apps/" + app + "/outgoing-webhooks/" + s.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["job_finished"],"environment":"production","retry":{"schedule_seconds":[]}}`, url), 201)["id"].(string)
	event := fmt.Sprintf(`{"source":%q,"type":"job_finished","environment":"production","data":%s}`, app, example(t, s, "job_finished"))
	for range 2 {
		s.call("POST", "/v1/events", event, 202)
		next(t, requests)
	}
	list := func(query string) []any {
		return s.call("GET", "/v1/deliveries?source_id="+app+query, "", 200)["data"].([]any)
	}
	s.eventually("both deliveries are listed", func() object {
		if all := list(""); len(all) == 2 {
			return all[0].(object)
		}
		return nil
	})
	for _, query := range []string{"&status=failed", "&response_status=5xx"} {
		failed := list(query)
		if len(failed) != 1 || failed[0].(object)["last_attempt"].(object)["response_status"] != 503.0 {
			t.Errorf("%s: %v", query, failed)
		}
	}
	s.eventually("the attempts are counted", func() object {
		stats := s.call("GET", webhook+"/stats?bucket=day", "", 200)
		succeeded, failed := 0.0, 0.0
		for _, b := range stats["data"].([]any) {
			succeeded, failed = succeeded+b.(object)["succeeded"].(float64), failed+b.(object)["failed"].(float64)
		}
		if succeeded == 1 && failed == 1 {
			return stats
		}
		return nil
	})
}

// table is the name of one of the stack's tables.
func (s *stack) table(id string) string {
	s.t.Helper()
	name, err := s.Ref(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

// put writes an item into the records table, as another process may have.
func (s *stack) put(item map[string]types.AttributeValue) {
	table := s.table("RecordsTable")
	if _, err := dynamodb.NewFromConfig(s.SDK()).PutItem(context.WithoutCancel(s.t.Context()), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
		s.t.Error(err)
	}
}

// forgetLoad removes what an agent's limits are compared with, as if it had never run.
func (s *stack) forgetLoad(agent string) {
	table := s.table("RecordsTable")
	key := map[string]types.AttributeValue{"pk": text("load#" + agent), "sk": text("load")}
	if _, err := dynamodb.NewFromConfig(s.SDK()).DeleteItem(s.t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: key}); err != nil {
		s.t.Fatal(err)
	}
}

func text(v string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: v} }
func number(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

// expired has a webhook fail whose health of long ago is still in the table.
func expired(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	url, requests := receiver(t, func(w http.ResponseWriter, _ int, _ received) { w.WriteHeader(http.StatusInternalServerError) })
	path, trigger := s.deployment(target)
	webhook, _ := s.outgoing(path, url)
	s.put(map[string]types.AttributeValue{
		"pk": text("health#" + webhook[strings.LastIndexByte(webhook, '/')+1:]), "sk": text("health"), "x": number("1"), "fs": number("1"),
	})
	s.call("POST", trigger, `{}`, 202)
	next(t, requests)
	s.eventually("the webhook fails since now", func() object {
		w := s.call("GET", webhook, "", 200)
		if since, _ := w["failing_since"].(string); since > "2026" {
			return w
		}
		return nil
	})
}

// pinned has another process pin an agent's key at the same time.
func pinned(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	a := s.agent(target)
	first := a.trigger(`{}`)
	var once sync.Once
	s.fail(func(c localaws.Call) int {
		if c.From == "IntakeFunction" && c.Action == "PutItem" && bytes.Contains(c.Request, []byte(`"pin#`)) {
			once.Do(func() {
				var in struct {
					Item map[string]struct{ S, N string }
				}
				if err := json.Unmarshal(c.Request, &in); err != nil {
					t.Error(err)
				}
				s.put(map[string]types.AttributeValue{
					"pk": text(in.Item["pk"].S), "sk": text(in.Item["sk"].S), "x": number(in.Item["x"].N), "r": text(first),
				})
			})
		}
		return 0
	})
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	_, _, run := a.send(a.id, `{}`, "X-Signature", a.sign(timestamp+`.{}`), "X-Timestamp", timestamp, "Idempotency-Key", "k")
	if run != first {
		t.Errorf("the key that stands for %s has started %s", first, run)
	}
}

// lostAgent has an agent's runner be lost: its place among those in flight is
// free again.
func lostAgent(t *testing.T, s *stack) {
	target, executed := receiver(t, func(http.ResponseWriter, int, received) { s.Function("ExecuteFunction").Kill() })
	a := s.agent(target)
	messages := a.chat("/v1/crews/"+a.crew+"/agents/"+a.id, `{"events":["run.failed"]`)
	run := a.trigger(`{}`)
	next(t, executed)
	if told := next(t, messages); !strings.Contains(told.body, "runner lost") { // told by sweep, which names the agent
		t.Errorf("the chat hears\n%s", told.body)
	}
	if r := a.finished(run); r["status"] != "FAILED" {
		t.Errorf("the run is %v", r)
	}
	s.eventually("sweep has freed its place", func() object {
		if s.calls.of("SweepFunction UpdateItem 200") < 3 { // its head twice, and the load
			return nil
		}
		return object{}
	})
}

// example is an event's data.
func example(t *testing.T, s *stack, event string) string {
	t.Helper()
	for _, e := range s.call("GET", "/v1/event-types", "", 200)["data"].([]any) {
		if e := e.(object); e["type"] == event {
			text, err := json.Marshal(e["example"])
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	t.Fatalf("there is no event %s", event)
	return ""
}

// backlog has triggers come while no run starts: once that is known, they are
// answered without waiting, whatever process serves them.
func backlog(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	path, trigger := s.deployment(target)
	s.fail(func(c localaws.Call) int {
		if c.From == "ExecuteFunction" && c.Action == "PutItem" {
			return http.StatusBadRequest
		}
		return 0
	})
	many := func(n int) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if a := s.call("POST", trigger, `{}`, 202); a["status"] != "pending" {
					t.Errorf("answered %v", a)
				}
			})
		}
		all.Wait()
	}
	id := path[strings.LastIndexByte(path, '/')+1:]
	byAPI := fmt.Sprintf(`{"deployment_id":%q,"input":{}}`, id)
	s.call("POST", "/v1/runs", byAPI, 202) // the first waits, and marks it
	many(10)
	before := s.calls.of("IntakeFunction BatchGetItem 200")
	many(30)
	// A look-up each, and the looks of one that tries, if it is time for that.
	if looks := s.calls.of("IntakeFunction BatchGetItem 200") - before - 30; looks > 10 {
		t.Errorf("while runs don't start, 30 triggers looked %d times for theirs", looks)
	}
	s.fail(nothing)
	// Once the mark is over, one trigger waits for its run, and takes the mark away when
	// that starts. If it starts too late, the next one tries. Each try waits until its run
	// is over: if they came faster than that, runs would queue up for ever.
	now := time.Now()
	over, kept := strconv.FormatInt(now.Add(-time.Second).UnixMilli(), 10), strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	for function, url := range map[string]string{"Intake": trigger, "Manage": "/v1/runs"} {
		s.eventually("the mark is taken away by "+function, func() object {
			s.put(map[string]types.AttributeValue{"pk": text("backlog#" + id), "sk": text("backlog"), "x": number(kept), "un": number(over)})
			s.run(s.call("POST", url, byAPI, 202)["run_id"])
			if s.calls.of(function+"Function DeleteItem 200") == 0 {
				return nil
			}
			return object{}
		})
	}
}
