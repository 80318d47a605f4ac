package stack

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// RoundTrip is how long each answer of AWS takes in a bubble of testing/synctest. The
// time that passes in the bubble is then the number of requests that were made one
// after another.
const RoundTrip = time.Second

// Outside makes requests for a bubble. Its goroutines and channels are made outside
// of it: while one waits for the network, the bubble's time stands still.
type Outside struct {
	free  chan *errand
	mu    sync.Mutex
	calls []string
}

// errand is a request that is made outside, and its answer.
type errand struct {
	request chan *http.Request
	answer  chan answer
}

type answer struct {
	response *http.Response
	body     []byte
	err      error
}

// NewOutside makes an Outside whose requests a client makes.
func NewOutside(t testing.TB, next aws.HTTPClient) *Outside {
	const most = 32 // at once
	o := &Outside{free: make(chan *errand, most)}
	for range most {
		e := &errand{make(chan *http.Request), make(chan answer)}
		go func() {
			for r := range e.request {
				var body []byte
				res, err := next.Do(r)
				if err == nil {
					body, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				e.answer <- answer{res, body, err}
			}
		}()
		t.Cleanup(func() { close(e.request) })
		o.free <- e
	}
	return o
}

// Calls are the actions, such as "DynamoDB_20120810.PutItem", of the requests since
// they were last asked for.
func (o *Outside) Calls() (actions []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	actions, o.calls = o.calls, nil
	return actions
}

// Do is called in a bubble.
func (o *Outside) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	target := r.Header.Get("X-Amz-Target")
	o.mu.Lock()
	o.calls = append(o.calls, target)
	o.mu.Unlock()
	if target == "AmazonSQS.ListMessageMoveTasks" { // which the emulator does not know
		time.Sleep(RoundTrip)
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"Results":[]}`))}, nil
	}

	e := <-o.free
	sent := r.Clone(context.Background()) // the bubble's context has timers of its own
	sent.Body = io.NopCloser(bytes.NewReader(body))
	e.request <- sent
	a := <-e.answer
	o.free <- e
	time.Sleep(RoundTrip)
	if a.err != nil {
		return nil, a.err
	}
	a.response.Request, a.response.Body = r, io.NopCloser(bytes.NewReader(a.body))
	return a.response, nil
}
