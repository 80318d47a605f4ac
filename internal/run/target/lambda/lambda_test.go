package lambda_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
	"boathook/internal/run/target/lambda"
	"boathook/internal/run/target/targettest"
)

const arn = "arn:aws:lambda:eu-west-1:123456789012:function:agent"

// newTarget invokes through the SDK's real client at a server in AWS's place.
func newTarget(t *testing.T, answer http.HandlerFunc) lambda.Target {
	t.Helper()
	return lambda.Target{
		Allowed: []string{"arn:aws:lambda:*:123456789012:function:*"},
		Client:  lambda.NewClient(targettest.AWS(t, answer)),
	}
}

func job() target.Job {
	return target.Job{RunID: "run_1", Input: []byte(`{"a":1}`), Target: boathook.Target{Type: boathook.TargetLambda, FunctionARN: arn}}
}

func TestAFunctionIsInvokedWithTheJobAndAnswersWithTheOutput(t *testing.T) {
	fn := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := `{"run_id":"run_1","input":{"a":1},"message":"hello","session_id":"s"}`; string(body) != want {
			t.Errorf("got payload %s, want %s", body, want)
		}
		if want := "/2015-03-31/functions/" + arn + "/invocations"; r.URL.Path != want {
			t.Errorf("got path %s, want %s", r.URL.Path, want)
		}
		for name, want := range map[string]string{"X-Amz-Invocation-Type": "RequestResponse", "X-Amz-Log-Type": "Tail"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("got %s %q, want %q", name, got, want)
			}
		}
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte("START\nworking\nEND\n")))
		io.WriteString(w, `{"b":123456789012345678901234567890}`)
	})
	j := job()
	j.Message, j.SessionID = "hello", "s"
	var log targettest.Log
	got := fn.Run(t.Context(), j, &log)
	if string(got.Output) != `{"b":123456789012345678901234567890}` || got.Err != "" || got.ExitCode != nil {
		t.Errorf("got %+v", got)
	}
	if want := "stdout: START|stdout: working|stdout: END"; strings.Join(log.Lines, "|") != want {
		t.Errorf("got log %q, want %q", log.Lines, want)
	}
}

func TestAFunctionsAnswerIsJudged(t *testing.T) {
	for _, tt := range []struct {
		name, fnError, answer string
		output, err           string
		log                   []string
	}{
		{"nothing", "", "", "", "", nil},
		{"null", "", "null", "", "", nil},
		{"a string", "", `"done"`, `"done"`, "", nil},
		{"text", "", "done\nreally", "", "", []string{"stdout: done", "stdout: really"}},
		{"too deep", "", strings.Repeat("[", 600) + strings.Repeat("]", 600), "", "", []string{"stdout: " + strings.Repeat("[", 600) + strings.Repeat("]", 600)}},
		{"the limit", "", `"` + strings.Repeat("x", boathook.MaxRunOutput-2) + `"`, `"` + strings.Repeat("x", boathook.MaxRunOutput-2) + `"`, "", nil},
		{"over the limit", "", `"` + strings.Repeat("x", boathook.MaxRunOutput-1) + `"`, "", target.OutputTooLong, nil},
		{"an exception", "Unhandled", `{"errorMessage":"no such user","errorType":"KeyError","stackTrace":["…"]}`, "", "the function failed: KeyError: no such user", nil},
		{"a time-out", "Unhandled", `{"errorMessage":"Task timed out after 3.00 seconds"}`, "", "the function failed: Task timed out after 3.00 seconds", nil},
		{"only a type", "Unhandled", `{"errorType":"Runtime.ExitError"}`, "", "the function failed: Runtime.ExitError", nil},
		{"no reason", "Handled", `{}`, "", "the function failed: Handled", nil},
		{"a reason that can't be read", "Unhandled", `oops`, "", "the function failed: Unhandled", nil},
		{"a long reason", "Unhandled", `{"errorMessage":"` + strings.Repeat("€", 1000) + `"}`, "", "the function failed: " + strings.Repeat("€", 341) + " … [cut]", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fn := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.fnError != "" {
					w.Header().Set("X-Amz-Function-Error", tt.fnError)
				}
				io.WriteString(w, tt.answer)
			})
			var log targettest.Log
			got := fn.Run(t.Context(), job(), &log)
			if string(got.Output) != tt.output || got.Err != tt.err {
				t.Errorf("got output %.60q and error %q; want %.60q and %q", got.Output, got.Err, tt.output, tt.err)
			}
			if strings.Join(log.Lines, "|") != strings.Join(tt.log, "|") {
				t.Errorf("got log %.60q, want %.60q", log.Lines, tt.log)
			}
		})
	}
}

func TestAnInvocationIsNeverRepeated(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"throttled", awsError(429, "TooManyRequestsException", "Rate Exceeded."), "Lambda: TooManyRequestsException: Rate Exceeded."},
		{"out of order", awsError(500, "ServiceException", "try later"), "Lambda: ServiceException: try later"},
		{"unknown function", awsError(404, "ResourceNotFoundException", "Function not found"), "Lambda: ResourceNotFoundException: Function not found"},
		{"other protocols", targettest.SwitchProtocols, "Lambda: answered 101, which is no final response"},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "Lambda: connection closed before the response was complete"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			addrs := make(chan string, 10)
			var broken atomic.Bool
			fn := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
				addrs <- r.RemoteAddr
				if !broken.Load() {
					return
				}
				calls.Add(1)
				tt.answer(w, r)
			})
			if got := fn.Run(t.Context(), job(), &targettest.Log{}); got.Err != "" {
				t.Fatal(got.Err)
			}
			broken.Store(true)
			if got := fn.Run(t.Context(), job(), &targettest.Log{}); got.Err != tt.want {
				t.Errorf("got %q, want %q", got.Err, tt.want)
			}
			if calls.Load() != 1 {
				t.Errorf("invoked %d times", calls.Load())
			}
			if first, second := <-addrs, <-addrs; first == second {
				t.Error("two invocations over one connection")
			}
		})
	}
}

func awsError(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		io.WriteString(w, `{"Type":"User","Message":"`+message+`"}`)
	}
}

func TestAFunctionThatIsNotAllowedIsNotInvoked(t *testing.T) {
	fn := newTarget(t, func(http.ResponseWriter, *http.Request) { t.Error("invoked") })
	j := job()
	j.Target.FunctionARN = "arn:aws:lambda:eu-west-1:999999999999:function:agent"
	want := "function arn:aws:lambda:eu-west-1:999999999999:function:agent is not among those that this stack allows"
	if got := fn.Run(t.Context(), j, &targettest.Log{}); got.Err != want {
		t.Errorf("got %q, want %q", got.Err, want)
	}
}

func TestAnInvocationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fn := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if got := fn.Run(ctx, job(), &targettest.Log{}); got.Err != target.Canceled {
		t.Errorf("got %q, want %q", got.Err, target.Canceled)
	}
}

// As OpenTelemetry's instrumentations of the SDKs tell a function of a trace.
func TestAFunctionKnowsTheTraceByItsClientContext(t *testing.T) {
	var contexts []string
	fn := newTarget(t, func(_ http.ResponseWriter, r *http.Request) {
		contexts = append(contexts, r.Header.Get("X-Amz-Client-Context"))
	})
	j := job()
	fn.Run(t.Context(), j, &targettest.Log{})
	j.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: strings.Repeat("a", boathook.MaxTraceState)}
	fn.Run(t.Context(), j, &targettest.Log{})
	if len(contexts) != 2 || contexts[0] != "" || len(contexts[1]) > 3583 {
		t.Fatalf("got %q", contexts)
	}
	text, err := base64.StdEncoding.DecodeString(contexts[1])
	if want := `{"custom":{"traceparent":"` + j.Trace.Parent + `","tracestate":"` + j.Trace.State + `"}}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
}
