package main

import (
	"net/http"
	"slices"
	"testing"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/testing/stack"
)

// newHandler is a handler, and what hands it a payload and checks its answer.
func newHandler(t *testing.T) (s *stack.Stack, send func(name string, status int)) {
	t.Helper()
	s = stack.New(t)
	s.Put(t, events.Servers{})
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	s.Calls()
	return s, func(name string, status int) {
		t.Helper()
		got := stack.Invoke[awsevents.APIGatewayWebsocketProxyRequest, awsevents.APIGatewayProxyResponse](
			t, handler, events.Load[awsevents.APIGatewayWebsocketProxyRequest](t, "stream/"+name))
		if got.StatusCode != status {
			t.Errorf("%s: answered %d, want %d", name, got.StatusCode, status)
		}
	}
}

func watchers(t *testing.T, s *stack.Stack) []boathook.Connection {
	t.Helper()
	w, err := s.Store.Watchers(t.Context(), events.WorkspaceID, boathook.LogChannel)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const (
	pong   = `{"type":"pong","payload":null}`
	denied = `{"type":"error","channel":"workspace:ws_another","payload":{"error":"access denied","message":"access denied"}}`
	noJSON = `{"type":"error","payload":{"error":"message is not a JSON object","message":"message is not a JSON object"}}`
)

func TestAConnectionsLife(t *testing.T) {
	for name, beginning := range map[string][]string{
		"with its token in the URL":   {"connect-with-token"},
		"with its token in a message": {"connect", "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			s, send := newHandler(t)
			for _, payload := range append(beginning, "subscribe-to-another", "subscribe", "ping", "not-json", "binary") {
				send(payload, http.StatusOK)
			}
			if diff := cmp.Diff([]string{denied, pong, noJSON, noJSON}, s.WebSockets.Frames(events.ConnectionID)); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
			if w := watchers(t, s); len(w) != 1 || w[0].ID != events.ConnectionID {
				t.Errorf("watchers %v", w)
			}
			send("disconnect", http.StatusOK)
			if w := watchers(t, s); len(w) != 0 {
				t.Errorf("watchers %v after the end", w)
			}
		})
	}
}

func TestABadTokenOpensNothing(t *testing.T) {
	_, send := newHandler(t)
	send("connect-bad-token", http.StatusUnauthorized)
}

func TestADeletedAPITokensWebSocketTokenOpensNothing(t *testing.T) {
	s, send := newHandler(t)
	send("connect-with-token", http.StatusOK)
	if err := s.Store.DeleteToken(t.Context(), events.WorkspaceID, events.TokenID); err != nil {
		t.Fatal(err)
	}
	send("subscribe", http.StatusOK)
	if w := watchers(t, s); len(w) != 0 || !s.WebSockets.Gone(events.ConnectionID) {
		t.Errorf("watchers %v, gone %t", w, s.WebSockets.Gone(events.ConnectionID))
	}
	send("connect-with-token", http.StatusUnauthorized)
}

func TestGarbageBeforeAuthenticationEndsTheConnection(t *testing.T) {
	s, send := newHandler(t)
	send("connect", http.StatusOK)
	send("not-json", http.StatusOK)
	if !s.WebSockets.Gone(events.ConnectionID) {
		t.Error("it is still open")
	}
	send("disconnect", http.StatusOK)
}

// What a watcher costs, besides one invocation of the function for each of its
// frames.
func TestTheCallsOfAWatcher(t *testing.T) {
	s, send := newHandler(t)
	for _, step := range []struct {
		payload string
		want    []string
	}{
		{"connect-with-token", []string{"GetSecretValue", "GetItem", "PutItem"}}, // the secret once a minute, the API token
		{"subscribe", []string{"GetItem", "GetItem", "PutItem", "GetItem"}},      // the API token before and after
		{"ping", []string{""}}, // the pong alone, which is no action by name
		{"disconnect", []string{"GetItem", "DeleteItem", "DeleteItem", "DeleteItem"}},
	} {
		send(step.payload, http.StatusOK)
		if got := stack.Actions(s.Calls()); !slices.Equal(got, step.want) {
			t.Errorf("%s: the calls are %v, want %v", step.payload, got, step.want)
		}
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "StreamFunction")
}
