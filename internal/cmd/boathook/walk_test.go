package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// inbox is a receiver that keeps what it is sent, and answers as it is told.
type inbox struct {
	*httptest.Server
	t        *testing.T
	answer   chan int // what it answers next; 204 where nothing waits
	received chan letter
}

type letter struct {
	header http.Header
	body   string
}

func newInbox(t *testing.T) *inbox {
	in := &inbox{t: t, answer: make(chan int, 10), received: make(chan letter, 100)}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		in.received <- letter{r.Header, string(body)}
		select {
		case status := <-in.answer:
			w.WriteHeader(status)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(in.Close)
	return in
}

// next awaits what is sent.
func (in *inbox) next() letter {
	in.t.Helper()
	select {
	case l := <-in.received:
		return l
	case <-patience(in.t).Done():
		in.t.Fatal("nothing was sent")
		return letter{}
	}
}

// nextMillisecond waits until the clock shows another one, of which times are kept.
func nextMillisecond() {
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
		runtime.Gosched()
	}
}

// data is what a body in the dialect standard has for data.
func (l letter) data(t *testing.T) (data map[string]any) {
	t.Helper()
	var body struct{ Data map[string]any }
	if err := json.Unmarshal([]byte(l.body), &body); err != nil {
		t.Fatalf("%s: %v", l.body, err)
	}
	return body.Data
}

// TestAUserWalksTheWholeWay is what the documents say a user can do with events of one's
// own, by requests over HTTP alone.
func TestAUserWalksTheWholeWay(t *testing.T) {
	t.Parallel()
	p := start(t)
	id := func(answer map[string]any) string { return answer["id"].(string) }

	t.Run("customers get events of one's own, signed by Standard Webhooks", func(t *testing.T) {
		in := newInbox(t)
		p.call("PUT", "/v1/event-types/invoice.paid", `{"description":"An invoice was paid.","schema":{"type":"object","required":["invoice"]}}`, 200)
		customer := "/v1/customers/" + id(p.call("POST", "/v1/customers", `{"name":"Acme","external_id":"acct_1"}`, 201))
		eu := p.call("POST", customer+"/outgoing-webhooks", fmt.Sprintf(`{"name":"eu","url":%q,"events":["invoice.paid"],"channels":["eu"]}`, in.URL), 201)
		p.call("POST", "/v1/events", `{"source":"customer:acct_1","type":"invoice.paid","data":{}}`, 400)
		for _, channel := range []string{"us", "eu"} {
			p.call("POST", "/v1/events", `{"source":"customer:acct_1","type":"invoice.paid","channels":["`+channel+`"],"data":{"invoice":"`+channel+`"}}`, 202)
		}
		got := in.next()
		if got.data(t)["invoice"] != "eu" {
			t.Errorf("sent %s", got.body)
		}
		wh, err := standardwebhooks.NewWebhook(eu["signing_secret"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify([]byte(got.body), got.header); err != nil {
			t.Error(err)
		}
		kept := p.call("GET", customer+"/events", "", 200)["data"].([]any)
		if len(kept) != 2 || fmt.Sprint(kept[0].(map[string]any)["channels"]) != "[us]" {
			t.Errorf("the feed has %v", kept)
		}
		p.call("DELETE", "/v1/event-types/invoice.paid", "", 204)
		p.call("POST", "/v1/events", `{"source":"customer:acct_1","type":"invoice.paid","channels":["eu"],"data":{"invoice":"x"}}`, 400)
	})

	t.Run("events are filtered and transformed, and shown before they are sent", func(t *testing.T) {
		in := newInbox(t)
		app := "/v1/apps/" + id(p.call("POST", "/v1/apps", `{"name":"walk"}`, 201))
		webhook := app + "/outgoing-webhooks/" + id(p.call("POST", app+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"x","url":%q,"events":["job_finished"],"filter":".data.status == \"failed\"","transform":"{text: \"job \\(.data.id)\"}"}`, in.URL), 201))
		p.call("PATCH", webhook, `{"filter":".data ="}`, 400)
		preview := p.call("POST", webhook+"/preview", `{"event":{"type":"job_finished"}}`, 200)
		if preview["delivered"] != false || !strings.HasPrefix(preview["reason"].(string), "filter") {
			t.Errorf("the preview is %v", preview)
		}
		example := p.call("GET", "/v1/event-types/job_finished", "", 200)["example"].(map[string]any)
		for _, status := range []string{"succeeded", "failed"} {
			example["status"] = status
			data, _ := json.Marshal(example)
			p.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, strings.TrimPrefix(app, "/v1/apps/"), data), 202)
		}
		if got := in.next(); got.body != fmt.Sprintf(`{"text":"job %s"}`, example["id"]) {
			t.Errorf("sent %s", got.body)
		}
	})

	t.Run("a poller reads every event, and a webhook that was not there is sent what it missed", func(t *testing.T) {
		customer := "/v1/customers/" + id(p.call("POST", "/v1/customers", `{"name":"Away","external_id":"acct_2"}`, 201))
		p.call("PUT", "/v1/event-types/shipped", `{"description":"It left."}`, 200)
		since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		for i := range 5 {
			p.call("POST", "/v1/events", fmt.Sprintf(`{"source":"customer:acct_2","type":"shipped","data":{"n":%d}}`, i), 202)
		}
		// A webhook that is made in the millisecond of an event may be about to be sent it.
		nextMillisecond()
		var read []float64
		for cursor, more := "", true; more; {
			page := p.call("GET", customer+"/events?limit=2&cursor="+cursor, "", 200)
			for _, e := range page["data"].([]any) {
				read = append(read, e.(map[string]any)["data"].(map[string]any)["n"].(float64))
			}
			cursor, more = page["next_cursor"].(string), page["has_more"] == true
		}
		if fmt.Sprint(read) != "[0 1 2 3 4]" {
			t.Errorf("the feed has %v", read)
		}
		in := newInbox(t)
		webhook := customer + "/outgoing-webhooks/" + id(p.call("POST", customer+"/outgoing-webhooks", fmt.Sprintf(`{"name":"late","url":%q,"events":["shipped"]}`, in.URL), 201))
		asked := `{"since":"` + since + `","only":"all"`
		if got := p.call("POST", webhook+"/replay", asked+`,"dry_run":true}`, 202); got["queued"] != 5.0 {
			t.Fatalf("counted %v", got)
		}
		if got := p.call("POST", webhook+"/replay", asked+`}`, 202); got["queued"] != 5.0 || got["next_cursor"] != nil {
			t.Fatalf("replayed %v", got)
		}
		seen := map[any]int{}
		for range 5 {
			seen[in.next().data(t)["n"]]++
		}
		if len(seen) != 5 {
			t.Errorf("sent %v", seen)
		}
	})

	t.Run("a run that failed is run again, by hand and without being asked", func(t *testing.T) {
		path, trigger := p.deployment(`exit 1`)
		p.call("PATCH", path, `{"retry":{"max":1,"backoff_seconds":1}}`, 200)
		first := p.call("POST", trigger, `{"n":1}`, 202)["run_id"].(string)
		over := func(run string) map[string]any {
			t.Helper()
			for ctx := patience(t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				if r := p.call("GET", "/v1/runs/"+run, "", 200); r["status"] == "failed" && (r["retried_by"] != nil || r["retry_number"] != nil) {
					return r
				}
			}
			t.Fatal("it does not end")
			return nil
		}
		second := over(first)["retried_by"].(string)
		if again := over(second); again["retry_of"] != first {
			t.Errorf("the retry is %v", again)
		}
		if by := p.call("POST", "/v1/runs/"+second+"/retry", "", 202); by["run_id"] == nil {
			t.Errorf("answered %v", by)
		}
	})

	t.Run("runs take turns, and a burst of triggers is one run on the last input", func(t *testing.T) {
		over := func(run any) map[string]any {
			t.Helper()
			for ctx := patience(t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				if r := p.call("GET", fmt.Sprintf("/v1/runs/%s", run), "", 200); r["status"] == "succeeded" {
					return r
				}
			}
			t.Fatal("it does not end")
			return nil
		}
		path, trigger := p.deployment(`cat`)
		p.call("PATCH", path, `{"max_in_flight":1}`, 200)
		var started []string
		var turns []any
		for range 3 {
			turns = append(turns, p.call("POST", trigger, `{}`, 202)["run_id"])
			nextMillisecond() // those of one have no order
		}
		for _, run := range turns {
			started = append(started, over(run)["started_at"].(string))
		}
		if !slices.IsSorted(started) {
			t.Errorf("they started at %v", started)
		}

		burst := p.call("POST", path+"/incoming-webhooks", `{"name":"pushes","environment":"production","coalesce":{"key":".body.ref","quiet_seconds":1}}`, 201)["url"].(string)
		runs := map[any]bool{}
		for n := range 3 {
			runs[p.call("POST", burst, fmt.Sprintf(`{"ref":"main","n":%d}`, n), 202)["run_id"]] = true
		}
		other := p.call("POST", burst, `{"ref":"next"}`, 202)["run_id"]
		if len(runs) != 1 || runs[other] {
			t.Errorf("the burst is %v, and the other %v", runs, other)
		}
		for run := range runs {
			r := over(run)
			if input, _ := json.Marshal(r["input"]); string(input) != `{"n":2,"ref":"main"}` || len(r["coalesced"].([]any)) != 3 {
				t.Errorf("its input is %s, and it stands for %v", input, r["coalesced"])
			}
		}
	})

	t.Run("a filter of an incoming webhook reads all that its sender says", func(t *testing.T) {
		path, _ := p.deployment(`cat`)
		made := p.call("POST", path+"/incoming-webhooks", `{"name":"main","environment":"production","filter":{"jq":".body.ref == \"main\" and .query.env == \"prod\""}}`, 201)
		trigger := made["url"].(string)
		if got := p.call("POST", trigger+"?env=prod", `{"ref":"next"}`, 200); got["status"] != "ignored" {
			t.Errorf("answered %v", got)
		}
		p.call("POST", trigger+"?env=prod", `{"ref":"main"}`, 202)
	})

	t.Run("what came of deliveries is found in the whole workspace, and a run by its sender's id", func(t *testing.T) {
		in := newInbox(t)
		path, trigger := p.deployment(`cat`)
		webhook := path + "/outgoing-webhooks/" + id(p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"x","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[]}}`, in.URL), 201))
		in.answer <- http.StatusBadGateway
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, trigger, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
		r.Header.Set("X-GitHub-Event", "push")
		p.call("PATCH", path+"/incoming-webhooks/"+id(p.call("GET", path+"/incoming-webhooks", "", 200)["data"].([]any)[0].(map[string]any)),
			`{"verification":{"preset":"hmac","secret":"long enough for a secret","header":"X-Signature","algorithm":"sha256","encoding":"hex","delivery_header":"X-GitHub-Delivery"}}`, 200)
		mac := hmac.New(sha256.New, []byte("long enough for a secret"))
		mac.Write([]byte(`{}`))
		r.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		in.next()
		failed := p.finished(webhook)["id"]
		list := p.call("GET", "/v1/deliveries?status=failed&response_status=5xx&event_type=run.succeeded", "", 200)["data"].([]any)
		if len(list) == 0 || list[0].(map[string]any)["id"] != failed {
			t.Errorf("found %v, want %v", list, failed)
		}
		runs := p.call("GET", "/v1/runs?delivery_id=72d3162e-cc78-11e3-81ab-4c9367dc0958", "", 200)["runs"].([]any)
		if len(runs) != 1 || runs[0].(map[string]any)["status"] != "succeeded" {
			t.Errorf("the sender's delivery started %v", runs)
		}
		for ctx := patience(t); ; time.Sleep(20 * time.Millisecond) { // counted with the batch, after the record
			buckets := p.call("GET", webhook+"/stats?bucket=day", "", 200)["data"].([]any)
			if n := len(buckets); n > 0 && buckets[n-1].(map[string]any)["failed"] == 1.0 {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("counted %v", buckets)
			}
		}
		asked := `{"since":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"`
		if got := p.call("POST", webhook+"/recover", asked+`,"dry_run":true}`, 202); got["queued"] != 1.0 {
			t.Errorf("counted %v", got)
		}
		p.call("POST", webhook+"/recover", asked+`}`, 202)
		in.next()
	})

	t.Run("people are told once that a webhook fails, and once that it is over", func(t *testing.T) {
		in, chat := newInbox(t), newInbox(t)
		p.call("POST", "/v1/alerts/outgoing-webhooks", fmt.Sprintf(`{"name":"on call","url":%q,"format":"slack","events":["webhook.failing","webhook.recovered"]}`, chat.URL), 201)
		path, _ := p.deployment(`cat`)
		webhook := path + "/outgoing-webhooks/" + id(p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"status page","url":%q,"events":["run.succeeded"],"environment":"production","alert_after":{"failures":1,"seconds":0}}`, in.URL), 201))
		in.answer <- http.StatusInternalServerError
		p.call("POST", webhook+"/test", "", 202)
		if got := chat.next(); !strings.Contains(got.body, "Webhook failing: status page") {
			t.Errorf("told %s", got.body)
		}
		p.call("POST", webhook+"/test", "", 202)
		if got := chat.next(); !strings.Contains(got.body, "Webhook works again: status page") {
			t.Errorf("told %s", got.body)
		}
	})

	t.Run("a trace goes on to the delivery", func(t *testing.T) {
		in := newInbox(t)
		path, trigger := p.deployment(`cat`)
		p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(`{"name":"x","url":%q,"events":["run.succeeded"],"environment":"production"}`, in.URL), 201)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, trigger, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		r.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := in.next().header.Get("Traceparent"); !strings.HasPrefix(got, "00-"+trace) {
			t.Errorf("the delivery has traceparent %q", got)
		}
	})
}
