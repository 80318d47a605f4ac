package localaws_test

import (
	"net/http"
	"testing"
)

// listening has two developers' machines told of a delivery, and one of them leave
// without a word.
func listening(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	path, trigger := s.deployment(target)
	made := s.call("POST", path+"/outgoing-webhooks",
		`{"name":"laptop","destination":{"type":"listener"},"events":["run.succeeded"],"environment":"production"}`, 201)
	workspace := s.call("GET", "/v1/me", "", 200)["workspace"].(object)["id"].(string)
	sockets := s.webSockets()
	listen := func() watcher {
		w := connect(t, sockets+"?token="+s.webSocketToken())
		w.send(`{"type":"subscribe","channel":"deliveries:` + workspace + `"}`)
		if f := w.next(); f.Type != "subscribed" || f.Channel != "deliveries:"+workspace {
			t.Fatalf("who subscribes is told %+v", f)
		}
		return w
	}
	// announced triggers a run, whose delivery the listeners are told of.
	announced := func(listeners ...watcher) (delivery object) {
		s.call("POST", trigger, `{"a":1}`, 202)
		id := ""
		for _, w := range listeners {
			f := w.next()
			if f.Type != "delivery" || f.Payload.DeliveryID == "" || id != "" && f.Payload.DeliveryID != id {
				t.Fatalf("of the delivery %q a listener is told %+v", id, f)
			}
			id = f.Payload.DeliveryID
		}
		return s.eventually("the delivery is recorded", func() object {
			if d := s.call("GET", path+"/outgoing-webhooks/"+made["id"].(string)+"/deliveries", "", 200); len(d["data"].([]any)) > 0 &&
				d["data"].([]any)[0].(object)["id"] == id {
				return s.call("GET", "/v1/deliveries/"+id, "", 200)
			}
			return nil
		})
	}
	staying, leaving := listen(), listen()
	first := announced(staying, leaving)
	request := first["request"].(object)
	r := received{header: http.Header{}, body: request["body"].(string)}
	for name, value := range request["headers"].(object) {
		r.header.Set(name, value.(string))
	}
	if !r.verifies(made["signing_secret"].(string)) || first["status"] != "succeeded" {
		t.Errorf("the delivery is %v", first)
	}

	s.Function("StreamFunction").Close() // nobody hears that it leaves
	_ = leaving.conn.CloseNow()
	const post = "DeliverFunction PostToConnection 410"
	for s.calls.of(post) == 0 { // the gateway sees it some time later
		announced(staying)
	}
	announced(staying)
	if n := s.calls.of(post); n != 1 {
		t.Errorf("%d posts found nobody: who is gone is not forgotten", n)
	}
}
