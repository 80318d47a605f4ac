package dialect_test

import (
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
)

// A dialect makes all of a request but for its URL: the body once for an event, the
// signature and the headers for each attempt.
func ExampleDialect() {
	shipway, ok := dialect.Lookup("shipway")
	if !ok {
		return
	}
	event := boathook.Event{ID: "evt_1", Type: "build_finish", Data: []byte(`{"build":{"status":"finished"}}`)}
	body, err := shipway.Body(boathook.Raw, event)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := dialect.Message{EventType: event.Type, SentAt: time.Unix(1795287600, 0), Body: body}
	signature, err := shipway.Sign(m, "s3cret")
	if err != nil {
		fmt.Println(err)
		return
	}
	header := shipway.Header(m, signature)
	fmt.Println(string(body))
	fmt.Println(header.Get("X-Shipway-Event"), header.Get("X-Shipway-Signature"))
	// Output:
	// {"build":{"status":"finished"}}
	// build_finish sha1=c718468dbfa735c74fd80669969c5c3ddf44cfe9
}
