package agentcore_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
	"boathook/internal/run/target/agentcore"
	"boathook/internal/run/target/targettest"
)

const arn = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/reviewer-AbCdEf1234"

// newTarget invokes through the SDK's real client at a server in AWS's place.
func newTarget(t *testing.T, answer http.HandlerFunc) agentcore.Target {
	t.Helper()
	return agentcore.Target{
		Allowed: []string{"arn:aws:bedrock-agentcore:*:123456789012:runtime/reviewer-*"},
		Client:  agentcore.NewClient(targettest.AWS(t, answer)),
	}
}

func job() target.Job {
	return target.Job{
		RunID: "run_1", Input: []byte(`{"a":1}`), Message: "hello", SessionID: boathook.ChatID(boathook.NewID(boathook.AgentID)),
		Target: boathook.Target{Type: boathook.TargetAgentCore, RuntimeARN: arn},
	}
}

func TestAnAgentIsInvokedInItsSessionAndStreamsItsLog(t *testing.T) {
	j := job()
	seen := make(chan struct{})
	agent := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := `{"run_id":"run_1","input":{"a":1},"message":"hello","session_id":"` + j.SessionID + `"}`; string(body) != want {
			t.Errorf("got payload %s, want %s", body, want)
		}
		if got, want := r.URL.EscapedPath(), "/runtimes/"+url.PathEscape(arn)+"/invocations"; r.Method != "POST" || !strings.EqualFold(got, strings.ReplaceAll(want, ":", "%3A")) {
			t.Errorf("got %s %s, want %s", r.Method, got, want)
		}
		if got := r.Header.Get("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"); got != j.SessionID || len(got) < 33 {
			t.Errorf("the runtime session is %q, want %q", got, j.SessionID)
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("the content type is %q", got)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ": comment\nevent: step\ndata: reading the diff\n\n")
		w.(http.Flusher).Flush()
		<-seen // lines come while the agent works
		io.WriteString(w, "data:{\"verdict\":\"ok\"}\r\nid: 2\n\n")
	})
	log := targettest.Log{Came: func(text string) {
		if text == "reading the diff" {
			close(seen)
		}
	}}
	got := agent.Run(t.Context(), j, &log)
	if string(got.Output) != `{"verdict":"ok"}` || got.Err != "" || got.ExitCode != nil {
		t.Errorf("got %+v with output %s", got, got.Output)
	}
	if want := `stdout: reading the diff|stdout: {"verdict":"ok"}`; strings.Join(log.Lines, "|") != want {
		t.Errorf("got log %q, want %q", log.Lines, want)
	}
}

func TestAnAgentsAnswerIsJudged(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for name, tc := range map[string]struct {
		kind, answer, output, err string
		log                       string
	}{
		"nothing":                {"application/json", "", "", "", ""},
		"JSON":                   {"application/json", `{"a":1}`, `{"a":1}`, "", `{"a":1}`},
		"lines and an object":    {"text/plain", "one\ntwo\n{\"a\":1}\n", `{"a":1}`, "", `one|two|{"a":1}`},
		"lines alone":            {"text/plain", "one\ntwo", "", "", "one|two"},
		"one event":              {"text/event-stream; charset=utf-8", "data: [1,2]\n\n", "[1,2]", "", "[1,2]"},
		"events without an end":  {"text/event-stream", "data: one\n\ndata: two", "", "", "one|two"},
		"no data":                {"text/event-stream", ": ping\n\nevent: end\n\n", "", "", ""},
		"a long line of data":    {"text/event-stream", "data: " + long + "\ndata: next\n", "", "", long[:8192-len(" … [cut: the line has 10000 bytes]")] + " … [cut: the line has 10000 bytes]|next"},
		"a long line of another": {"text/event-stream", "note: " + long + "\ndata: next\n", "", "", "next"},
		"too long":               {"application/json", `"` + strings.Repeat("x", boathook.MaxRunOutput) + `"`, "", target.OutputTooLong, ""},
	} {
		t.Run(name, func(t *testing.T) {
			agent := newTarget(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tc.kind)
				io.WriteString(w, tc.answer)
			})
			var log targettest.Log
			got := agent.Run(t.Context(), job(), &log)
			if string(got.Output) != tc.output || got.Err != tc.err {
				t.Errorf("got output %.60q and error %q; want %.60q and %q", got.Output, got.Err, tc.output, tc.err)
			}
			if text := strings.ReplaceAll(strings.Join(log.Lines, "|"), "stdout: ", ""); tc.err == "" && text != tc.log {
				t.Errorf("got log %.100q, want %.100q", text, tc.log)
			}
		})
	}
}

func TestAnAgentIsNeverInvokedTwice(t *testing.T) {
	awsError := func(status int, code, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", code)
			w.WriteHeader(status)
			io.WriteString(w, `{"message":"`+message+`"}`)
		}
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"throttled":       {awsError(429, "ThrottlingException", "slow down"), "AgentCore: ThrottlingException: slow down"},
		"failed inside":   {awsError(424, "RuntimeClientError", "the agent crashed"), "AgentCore: RuntimeClientError: the agent crashed"},
		"out of order":    {awsError(500, "InternalServerException", "try later"), "AgentCore: InternalServerException: try later"},
		"unknown runtime": {awsError(404, "ResourceNotFoundException", "no such runtime"), "AgentCore: ResourceNotFoundException: no such runtime"},
		"other protocols": {targettest.SwitchProtocols, "AgentCore: answered 101, which is no final response"},
		"hung up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "AgentCore: connection closed before the response was complete"},
		"broke off": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "one line\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "AgentCore: connection closed before the response was complete"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			agent := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				tc.answer(w, r)
			})
			if got := agent.Run(t.Context(), job(), &targettest.Log{}); got.Err != tc.want || got.Output != nil {
				t.Errorf("got %q, want %q", got.Err, tc.want)
			}
			if calls.Load() != 1 {
				t.Errorf("invoked %d times", calls.Load())
			}
		})
	}
}

func TestARuntimeThatIsNotAllowedIsNotInvoked(t *testing.T) {
	agent := newTarget(t, func(http.ResponseWriter, *http.Request) { t.Error("invoked") })
	j := job()
	j.Target.RuntimeARN = strings.Replace(arn, "123456789012", "999999999999", 1)
	if got := agent.Run(t.Context(), j, &targettest.Log{}); !strings.HasSuffix(got.Err, "is not among those that this stack allows") {
		t.Errorf("got %q", got.Err)
	}
}

func TestAnInvocationEndsWithItsContext(t *testing.T) {
	for name, begun := range map[string]bool{"before the answer": false, "amid the answer": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			agent := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
				if begun {
					io.WriteString(w, "working\n")
					w.(http.Flusher).Flush()
				} else {
					cancel()
				}
				<-r.Context().Done()
			})
			log := targettest.Log{Came: func(string) { cancel() }}
			if got := agent.Run(ctx, job(), &log); got.Err != target.Canceled {
				t.Errorf("got %q, want %q", got.Err, target.Canceled)
			}
		})
	}
}

func TestASessionIDHas33To256Characters(t *testing.T) {
	seen := map[string]bool{}
	for _, tc := range []struct{ session, run string }{
		{"webhook-agent_a", "run_1"}, {"webhook-agent_b", "run_1"}, {"", "run_1"}, {"", "run_2"},
		{strings.Repeat("s", 300), "run_1"}, {strings.Repeat("s", 301), "run_1"},
	} {
		var got string
		agent := newTarget(t, func(_ http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id")
		})
		j := job()
		j.SessionID, j.RunID = tc.session, tc.run
		agent.Run(t.Context(), j, &targettest.Log{})
		if len(got) < 33 || len(got) > 256 || seen[got] {
			t.Errorf("%+v has the session %q (%d characters)", tc, got, len(got))
		}
		seen[got] = true
	}
}

func TestAnAgentKnowsTheTrace(t *testing.T) {
	var got []http.Header
	agent := newTarget(t, func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header) })
	j := job()
	agent.Run(t.Context(), j, &targettest.Log{})
	j.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	agent.Run(t.Context(), j, &targettest.Log{})
	if len(got) != 2 || got[0].Get("traceparent")+got[0].Get("tracestate") != "" ||
		got[1].Get("traceparent") != j.Trace.Parent || got[1].Get("tracestate") != j.Trace.State {
		t.Errorf("got %v", got)
	}
}
