package target_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/egress"
	"boathook/internal/run/target"
)

func newHTTP() target.HTTP { return newHTTPWith(egress.Config{NoReuse: true}) }

func newHTTPWith(cfg egress.Config) target.HTTP {
	cfg.AllowHTTP, cfg.AllowPrefixes = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return target.HTTP{UserAgent: "Boathook/test", Client: egress.New(cfg)}
}

func httpJob(url string) target.Job {
	return target.Job{RunID: "run_1", Input: []byte(`{"a":1}`), Target: boathook.Target{Type: boathook.TargetHTTP, URL: url}}
}

func TestAnHTTPTargetReceivesTheJob(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := `{"run_id":"run_1","input":{"a":1},"message":"hello","session_id":"s"}`; string(body) != want {
			t.Errorf("got body %s, want %s", body, want)
		}
		if r.Method != "POST" || r.ContentLength != int64(len(body)) {
			t.Errorf("got %s with Content-Length %d", r.Method, r.ContentLength)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Boathook/test", "Authorization": "Bearer x", "Accept-Encoding": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("got %s %q, want %q", name, got, want)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	job := httpJob(server.URL)
	job.Message, job.SessionID = "hello", "s"
	job.Target.Headers = map[string]string{"authorization": "Bearer x"}
	var log record
	if got := newHTTP().Run(t.Context(), job, &log); got.Err != "" || got.Output != nil || got.ExitCode != nil || len(log.lines) != 0 {
		t.Errorf("got %+v and log %q, want nothing", got, log.lines)
	}
}

func TestAnHTTPTargetsResponseIsItsLogAndEndsInItsOutput(t *testing.T) {
	pretty := "{\n  \"a\": [\n    1\n  ]\n}\n"
	long := strings.Repeat("working\n", boathook.MaxRunOutput/8+1)
	noise := make([]byte, boathook.MaxRunOutput)
	rand.Read(noise)
	tooLong := `{"a":"` + base64.StdEncoding.EncodeToString(noise) + `"}`
	fits := `"` + strings.Repeat("x", boathook.MaxRunOutput-2) + `"`
	deep := strings.Repeat("[", boathook.MaxJSONDepth+1) + strings.Repeat("]", boathook.MaxJSONDepth+1)

	for _, tt := range []struct {
		name, media, body string
		output            string
		err               string
		lines             int
	}{
		{"nothing", "", "", "", "", 0},
		{"one object", "", `{"b":1,"a":123456789012345678901234567890}`, `{"b":1,"a":123456789012345678901234567890}`, "", 1},
		{"lines, then an object", "", "one\ntwo\n{\"a\":1}\n", `{"a":1}`, "", 3},
		{"an object, then blank lines", "", "one\n{\"a\":1}\r\n\r\n \n", `{"a":1}`, "", 4},
		{"objects", "", "{\"a\":1}\n{\"a\":2}", `{"a":2}`, "", 2},
		{"a pretty-printed object", "", pretty, strings.TrimSpace(pretty), "", 5},
		{"one value that is no object", "", "[1,2]", "[1,2]", "", 1},
		{"null", "", "null", "null", "", 1},
		{"text", "", "ok\n", "", "", 1},
		{"an object, then text", "", "{\"a\":1}\nok\n", "", "", 2},
		{"lines, then a number", "", "one\n42\n", "", "", 2},
		{"lines, then half an object", "", "one\n{\"a\":", "", "", 2},
		{"bytes that are not UTF-8", "", "{\"a\":\"\xff\"}", "", "", 1},
		{"too deep", "", deep, "", "", 1},
		{"as long as an output may be", "", fits, fits, "", 1},
		{"megabytes of lines, then an object", "application/json", long + `{"a":1}`, `{"a":1}`, "", boathook.MaxRunOutput/8 + 2},
		{"megabytes of lines", "text/plain", long, "", "", boathook.MaxRunOutput/8 + 1},
		{"an object that is too long", "", tooLong, "", target.OutputTooLong, 1},
		{"lines, then an object that is too long", "", "one\n" + tooLong, "", target.OutputTooLong, 2},
		{"a document that is too long", "application/json; charset=utf-8", "[" + strings.Repeat("1,\n", boathook.MaxRunOutput) + "1]", "", target.OutputTooLong, boathook.MaxRunOutput + 1},
		{"a document of another JSON type that is too long", "application/problem+json", "[" + strings.Repeat("1,\n", boathook.MaxRunOutput) + "1]", "", target.OutputTooLong, boathook.MaxRunOutput + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.media)
				io.WriteString(w, tt.body)
			}))
			defer server.Close()
			var log record
			got := newHTTP().Run(t.Context(), httpJob(server.URL), &log)
			if string(got.Output) != tt.output || got.Err != tt.err {
				t.Errorf("got output %.60q and error %q; want %.60q and %q", got.Output, got.Err, tt.output, tt.err)
			}
			if len(log.lines) != tt.lines {
				t.Errorf("got %d lines, want %d", len(log.lines), tt.lines)
			}
		})
	}
}

func TestAStatusThatIsNoSuccessFailsTheRun(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 201: "", 299: "", 301: "target answered 301", 307: "target answered 307",
		400: "target answered 400", 500: "target answered 500", 599: "target answered 599",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, "why\n{\"a\":1}")
		}))
		var log record
		got := newHTTP().Run(t.Context(), httpJob(server.URL), &log)
		if got.Err != want || (want != "") != (got.Output == nil) || len(log.lines) != 2 {
			t.Errorf("%d: got %+v and log %q; want error %q", status, got, log.lines, want)
		}
		server.Close()
	}
}

// lineChan is a log that hands lines over as they come.
type lineChan chan string

func (c lineChan) Line(_, text string) { c <- text }

func TestLinesAreLoggedAsTheyCome(t *testing.T) {
	logged, seen := make(lineChan), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-seen
		io.WriteString(w, "two\n")
	}))
	defer server.Close()
	done := make(chan target.Result)
	go func() { done <- newHTTP().Run(t.Context(), httpJob(server.URL), logged) }()
	if got := <-logged; got != "one" {
		t.Errorf("got %q while the target runs", got)
	}
	close(seen)
	if got := <-logged; got != "two" {
		t.Errorf("got %q, want two", got)
	}
	if got := <-done; got.Err != "" {
		t.Error(got.Err)
	}
}

func TestAnHTTPTargetStopsWithItsContext(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header bool // it answers before it hangs
		end    func(context.Context) (context.Context, context.CancelFunc)
		want   string
	}{
		{"canceled before an answer", false, context.WithCancel, target.Canceled},
		{"canceled within an answer", true, context.WithCancel, target.Canceled},
		{"too slow to answer", false, expiring, target.TimeLimit},
		{"too slow with its answer", true, expiring, target.TimeLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := tt.end(t.Context())
			defer cancel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				if tt.header {
					io.WriteString(w, "one\n")
					w.(http.Flusher).Flush()
				}
				if tt.want == target.Canceled {
					cancel()
				}
				<-r.Context().Done()
			}))
			defer server.Close()
			if got := newHTTP().Run(ctx, httpJob(server.URL), &record{}); got.Err != tt.want || got.Output != nil {
				t.Errorf("got %+v, want error %q", got, tt.want)
			}
		})
	}
}

func TestATargetThatSwitchesProtocolsFailsItsRun(t *testing.T) {
	for name, afterwards := range map[string]string{"and is silent": "", "and talks": strings.Repeat("line\n", 10_000)} {
		for _, noReuse := range []bool{false, true} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"+afterwards)
				io.Copy(io.Discard, conn) // until the client hangs up
			}))
			defer server.Close()
			var log record
			got := newHTTPWith(egress.Config{NoReuse: noReuse}).Run(t.Context(), httpJob(server.URL), &log)
			if want := "target: answered 101, which is no final response"; got.Err != want || got.Output != nil || len(log.lines) > 0 {
				t.Errorf("%s: got %+v and log %q, want error %q", name, got, log.lines, want)
			}
		}
	}
}

// stubborn answers with a body that no context ends, as that of a connection
// which switched protocols: a read waits until the body is closed.
type stubborn struct {
	read func() // hears of the first read
	*io.PipeReader
}

func (s stubborn) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: s}, nil
}

func (s stubborn) Read(p []byte) (int, error) {
	s.read()
	return s.PipeReader.Read(p)
}

func TestNoAnswerOutlivesItsRunsContext(t *testing.T) {
	for _, tt := range []struct {
		want string
		end  func(context.Context) (context.Context, context.CancelFunc)
	}{
		{target.Canceled, context.WithCancel},
		{target.TimeLimit, expiring},
	} {
		ctx, cancel := tt.end(t.Context())
		defer cancel()
		r, w := io.Pipe()
		defer w.Close()
		runner := target.HTTP{Client: stubborn{func() {
			if tt.want == target.Canceled {
				cancel()
			}
		}, r}}
		if got := runner.Run(ctx, httpJob("http://127.0.0.1/"), &record{}); got.Err != tt.want || got.Output != nil {
			t.Errorf("got %+v, want error %q", got, tt.want)
		}
	}
}

// expiring gives a context that has a time limit of its own.
func expiring(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 50*time.Millisecond)
}

func TestAnHTTPTargetThatCanNotBeReachedSaysWhy(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:1/":          "target: connection refused",
		"http://10.0.0.7/?key=secret":  "target: refused: 10.0.0.7 is not a public address",
		"http://user:pa ss@127.0.0.1/": "the target's URL is not valid",
	} {
		if got := newHTTP().Run(t.Context(), httpJob(url), &record{}); got.Err != want {
			t.Errorf("%s: got %q, want %q", url, got.Err, want)
		}
	}
}

func TestAnAnswerThatBreaksOffFailsTheRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{\"a\":1}\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	got := newHTTP().Run(t.Context(), httpJob(server.URL), &record{})
	if want := "target: connection closed before the response was complete"; got.Err != want || got.Output != nil {
		t.Errorf("got %+v, want error %q", got, want)
	}
}

// A target's URL is as strange an address as a webhook's: it goes through the
// same client.
func TestAnHTTPTargetsRedirectsAndCompressionAreLeftAlone(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 64 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/bomb" {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
			return
		}
		http.Redirect(w, r, "http://10.0.0.7/", http.StatusTemporaryRedirect)
	}))
	defer server.Close()

	if got := newHTTP().Run(t.Context(), httpJob(server.URL+"/redirect"), &record{}); got.Err != "target answered 307" {
		t.Errorf("a redirect: got %+v", got)
	}
	var log record
	got := newHTTP().Run(t.Context(), httpJob(server.URL+"/bomb"), &log)
	size := 0
	for _, line := range log.lines {
		size += len(line)
	}
	if got.Err != "" || got.Output != nil || size > 4*bomb.Len() { // a byte that is no UTF-8 is replaced by three
		t.Errorf("a bomb of %d bytes: got %+v and a log of %d", bomb.Len(), got, size)
	}
	if asked.Load() != 2 {
		t.Errorf("%d requests", asked.Load())
	}
}

func TestARunIsNeverSentTwice(t *testing.T) {
	// A receiver that hangs up on each request that it has read: the transport
	// would send a replayable one again on a kept connection that it finds dead.
	var posts atomic.Int32
	var hangUp atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Method == "POST" {
			posts.Add(1)
		}
		if hangUp.Load() {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}
	}))
	defer server.Close()
	runner := newHTTPWith(egress.Config{})
	warmUp := func() { // leaves a kept connection
		req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		resp, err := runner.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	warmUp()
	hangUp.Store(true)
	job := httpJob(server.URL)
	job.Target.Headers = map[string]string{"Idempotency-Key": "lets the transport replay a POST"}
	if got := runner.Run(t.Context(), job, &record{}); got.Err == "" {
		t.Error("a run without an answer succeeded")
	}
	if posts.Load() != 1 {
		t.Errorf("the run was sent %d times", posts.Load())
	}
}

func TestATargetMayAnswerWithoutReadingItsInput(t *testing.T) {
	answer := `"` + strings.Repeat("x", boathook.MaxRunOutput-2) + `"`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }))
	defer server.Close()
	job := httpJob(server.URL)
	job.Input = []byte(`"` + strings.Repeat("x", boathook.MaxTriggerBody-2) + `"`)
	for range 10 {
		if got := newHTTP().Run(t.Context(), job, &record{}); string(got.Output) != answer || got.Err != "" {
			t.Fatalf("got %d bytes, %q; want all %d", len(got.Output), got.Err, len(answer))
		}
	}
}

func TestAnHTTPTargetReceivesTheTraceUnlessItsHeadersHaveOne(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer server.Close()
	trace := boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	for _, tt := range []struct {
		name          string
		trace         boathook.TraceContext
		own           map[string]string
		parent, state string
	}{
		{"a trace", trace, nil, trace.Parent, trace.State},
		{"none", boathook.TraceContext{}, nil, "", ""},
		{"its own", trace, map[string]string{"traceparent": "mine"}, "mine", ""},
	} {
		job := httpJob(server.URL)
		job.Trace, job.Target.Headers = tt.trace, tt.own
		newHTTP().Run(t.Context(), job, &record{})
		if got.Get("traceparent") != tt.parent || got.Get("tracestate") != tt.state {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}
