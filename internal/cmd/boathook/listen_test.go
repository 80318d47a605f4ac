package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"boathook/internal/signature"
)

// announced is the frame that tells of a delivery.
type announced struct {
	Type, Channel string
	Payload       struct {
		DeliveryID string `json:"delivery_id"`
		WebhookID  string `json:"webhook_id"`
		Event      string
		Attempt    int
	}
}

// nextFrame reads what a WebSocket gets next.
func nextFrame(t *testing.T, conn *websocket.Conn) (f announced) {
	t.Helper()
	_, text, err := conn.Read(patience(t))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatalf("got %q, %v", text, err)
	}
	return f
}

// recorded awaits the record of a delivery, which is made after the attempt.
func (p *program) recorded(id string) map[string]any {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; {
		if status, text := p.ask("GET", "/v1/deliveries/"+id, ""); status == 200 {
			var d map[string]any
			if err := json.Unmarshal(text, &d); err != nil {
				p.t.Fatal(err)
			}
			return d
		}
		time.Sleep(20 * time.Millisecond) // the program has no way to tell
	}
	p.t.Fatalf("delivery %s is not recorded", id)
	return nil
}

// A developer's machine hears of a delivery, fetches it, and verifies it as a receiver
// would. What happens while it is away is in the log, as failed.
func TestADeveloperListensToDeliveries(t *testing.T) {
	p := start(t)
	path, trigger := p.deployment("cat")
	const secret = "0123456789abcdefghijklmnop"
	made := p.call("POST", path+"/outgoing-webhooks", `{"name":"laptop","events":["run.succeeded"],"environment":"production",`+
		`"destination":{"type":"listener"},"signing_secret":"`+secret+`"}`, 201)
	webhook := path + "/outgoing-webhooks/" + made["id"].(string)

	token := p.call("GET", "/api/v1/ws-token", "", 200)["token"].(string)
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(p.url, "http", "ws", 1)+"/ws?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	const channel = "deliveries:" + firstWorkspace
	if err := conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"subscribe","channel":%q}`, channel)); err != nil {
		t.Fatal(err)
	}
	if f := nextFrame(t, conn); f.Type != "subscribed" || f.Channel != channel {
		t.Fatalf("it is told %+v", f)
	}
	p.call("POST", trigger, `{"hello":"world"}`, 202)
	f := nextFrame(t, conn)
	if f.Type != "delivery" || f.Channel != channel || f.Payload.WebhookID != made["id"] || f.Payload.Event != "run.succeeded" || f.Payload.Attempt != 1 {
		t.Fatalf("it is told %+v", f)
	}
	d := p.recorded(f.Payload.DeliveryID)
	attempt := d["attempts"].([]any)[0].(map[string]any)
	if d["status"] != "succeeded" || attempt["response_status"] != 202.0 || attempt["response_body"] != "announced to 1 connection" {
		t.Errorf("the delivery is %v", d)
	}
	request := d["request"].(map[string]any)
	header := func(name string) string { text, _ := request["headers"].(map[string]any)[name].(string); return text }
	seconds, _ := strconv.ParseInt(header("X-Crewship-Timestamp"), 10, 64)
	body := request["body"].(string)
	if !signature.VerifyTimestamped(header("X-Crewship-Signature"), secret, time.Unix(seconds, 0), []byte(body)) || !strings.Contains(body, "world") {
		t.Errorf("the signature of %v does not verify", request)
	}
	if request["method"] != "POST" || request["url"] != nil {
		t.Errorf("the request is %v", request)
	}
	test := p.call("POST", webhook+"/test", "", 202)["delivery_id"]
	if f := nextFrame(t, conn); f.Payload.DeliveryID != test {
		t.Errorf("of the test %v it is told %+v", test, f)
	}

	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	for ctx := patience(t); ; { // the program hears of the end some time later
		if ctx.Err() != nil {
			t.Fatal("deliveries go on to succeed")
		}
		id := p.call("POST", webhook+"/test", "", 202)["delivery_id"].(string)
		if p.recorded(id)["status"] == "failed" {
			break
		}
	}
	failed := p.call("GET", webhook+"/deliveries?status=failed", "", 200)["data"].([]any)
	last, _ := failed[0].(map[string]any)["last_attempt"].(map[string]any)
	if len(failed) != 1 || !strings.HasPrefix(last["error"].(string), "nobody listens") || failed[0].(map[string]any)["next_attempt_at"] != nil {
		t.Errorf("of whom nobody heard: %v", failed)
	}
}
