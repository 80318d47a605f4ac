package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
)

// collector is a receiver of OTLP over HTTP.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	traces   tracepb.ExportTraceServiceRequest     // all of them
	metrics  metricspb.ExportMetricsServiceRequest // all of them
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests++
		switch {
		case err != nil:
		case r.Header.Get("X-Collector-Key") != "key of the collector":
			t.Errorf("%s came with %v", r.URL, r.Header)
		case r.URL.Path == "/v1/traces":
			err = proto.UnmarshalOptions{Merge: true}.Unmarshal(body, &c.traces)
		case r.URL.Path == "/v1/metrics":
			err = proto.UnmarshalOptions{Merge: true}.Unmarshal(body, &c.metrics)
		default:
			t.Errorf("asked for %s", r.URL)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// variables are those that have all sent to the collector. OpenTelemetry's SDK reads
// its own from the process.
func (c *collector) variables(t *testing.T, more ...string) []string {
	t.Helper()
	all := append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-collector-key=key%20of%20the%20collector"}, more...)
	for _, variable := range all {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return all
}

// spans are those of a trace, by their names; of several with one name, those in the order
// of their starts.
func (c *collector) spans(trace string) map[string][]*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[string][]*tracev1.Span)
	for _, resource := range c.traces.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				if fmt.Sprintf("%x", s.TraceId) == trace {
					found[s.Name] = append(found[s.Name], s)
				}
			}
		}
	}
	for _, all := range found {
		slices.SortFunc(all, func(a, b *tracev1.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	}
	return found
}

// end stops the program, which tells what is left.
func (p *program) end() {
	p.t.Helper()
	p.stop()
	err := <-p.done
	p.done <- err // for the cleanup
	if err != nil {
		p.t.Error(err)
	}
}

// peers are a target and a receiver that keep the headers of what they are sent.
type peers struct {
	*httptest.Server
	target, receiver chan http.Header
}

func newPeers(t *testing.T) peers {
	t.Helper()
	p := peers{target: make(chan http.Header, 10), receiver: make(chan http.Header, 10)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/target") {
			p.target <- r.Header
			io.WriteString(w, `{"secret":"in the output"}`)
			return
		}
		p.receiver <- r.Header
	}))
	t.Cleanup(p.Close)
	return p
}

// A trace that comes with a trigger, and what must be in no span.
const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentID = "00f067aa0ba902b7"
	parent   = "00-" + traceID + "-" + parentID + "-01"
	secret   = "secret"
)

// traced makes a deployment whose paths, headers and payloads are all secrets, and
// triggers it with a trace. It gives the webhook's path and the trigger's URL.
func (p *program) traced(to peers) (webhook, trigger string) {
	p.t.Helper()
	path := "/v1/deployments/" + p.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
	p.call("POST", path+"/versions", fmt.Sprintf(`{"environment":"production","target":
		{"type":"http","url":"%s/target/secret?secret=secret","headers":{"X-Key":"secret"}}}`, to.URL), 201)
	webhook = path + "/outgoing-webhooks/" + p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(`{"name":"secret","url":"%s/secret?secret=secret",
		"events":["run.succeeded"],"environment":"production","headers":{"X-Key":"secret"}}`, to.URL), 201)["id"].(string)
	trigger = p.call("POST", path+"/incoming-webhooks", `{"name":"test","environment":"production"}`, 201)["url"].(string)
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", trigger+"?secret=secret", strings.NewReader(`{"secret":"in the input"}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("traceparent", parent)
	req.Header.Set("tracestate", "vendor=value")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 202 {
		p.t.Fatalf("the trigger is answered with %s", res.Status)
	}
	return webhook, trigger
}

func TestOneTraceLeadsFromATriggerToItsDelivery(t *testing.T) {
	c, to := newCollector(t), newPeers(t)
	p := start(t, c.variables(t, "OTEL_SERVICE_NAME=hooks")...)
	webhook, trigger := p.traced(to)
	atTarget, atReceiver := <-to.target, <-to.receiver
	logged := p.finished(webhook)["request"].(map[string]any)["headers"].(map[string]any)
	p.end()

	spans := c.spans(traceID)
	one := func(name string, n int) *tracev1.Span {
		t.Helper()
		if len(spans[name]) <= n {
			t.Fatalf("there is no %d. span %q among %v", n+1, name, spans)
		}
		return spans[name][n]
	}
	served, queued, executed := one("POST /webhooks/runs/{token}", 0), one("send runs", 0), one("process runs", 0)
	asked, told, delivered, sent := one("POST", 0), one("send deliveries", 0), one("process deliveries", 0), one("POST", 1)
	for name, step := range map[string]struct {
		span   *tracev1.Span
		kind   tracev1.Span_SpanKind
		parent string
	}{
		"the trigger":              {served, tracev1.Span_SPAN_KIND_SERVER, parentID},
		"what queues the run":      {queued, tracev1.Span_SPAN_KIND_PRODUCER, fmt.Sprintf("%x", served.SpanId)},
		"the execution":            {executed, tracev1.Span_SPAN_KIND_CONSUMER, fmt.Sprintf("%x", queued.SpanId)},
		"the target's request":     {asked, tracev1.Span_SPAN_KIND_CLIENT, fmt.Sprintf("%x", executed.SpanId)},
		"what queues the delivery": {told, tracev1.Span_SPAN_KIND_PRODUCER, fmt.Sprintf("%x", executed.SpanId)},
		"the attempt":              {delivered, tracev1.Span_SPAN_KIND_CONSUMER, fmt.Sprintf("%x", told.SpanId)},
		"the attempt's request":    {sent, tracev1.Span_SPAN_KIND_CLIENT, fmt.Sprintf("%x", delivered.SpanId)},
	} {
		if got := fmt.Sprintf("%x", step.span.ParentSpanId); got != step.parent || step.span.Kind != step.kind || step.span.TraceState != "vendor=value" {
			t.Errorf("%s follows from %s, want %s: %v", name, got, step.parent, step.span)
		}
	}
	total := 0
	for _, all := range spans {
		total += len(all)
	}
	if total != 7 {
		t.Errorf("%d spans: %v", total, spans)
	}
	for name, got := range map[string]struct {
		header http.Header
		span   *tracev1.Span
	}{"the target": {atTarget, asked}, "the receiver": {atReceiver, sent}} {
		if want := fmt.Sprintf("00-%s-%x-01", traceID, got.span.SpanId); got.header.Get("traceparent") != want || got.header.Get("tracestate") != "vendor=value" {
			t.Errorf("%s is sent %v, want %s", name, got.header, want)
		}
	}
	if logged["traceparent"] != atReceiver.Get("traceparent") || logged["tracestate"] != "vendor=value" {
		t.Errorf("the log has the headers %v", logged)
	}
	c.withoutSecrets(t, trigger[strings.LastIndex(trigger, "/")+1:])
}

// withoutSecrets looks at all that was sent: names, attributes, events, states.
func (c *collector) withoutSecrets(t *testing.T, more ...string) {
	t.Helper()
	text := prototext.Format(&c.traces) + prototext.Format(&c.metrics)
	for _, s := range append(more, secret, adminToken, internalToken, "X-Key", "key of the collector") {
		if strings.Contains(text, s) {
			t.Errorf("%q is in what was sent", s)
		}
	}
	if !strings.Contains(text, `"127.0.0.1"`) || !strings.Contains(text, `"hooks"`) || !strings.Contains(text, "/webhooks/runs/{token}") {
		t.Errorf("what was sent is\n%s", text)
	}
}

func TestOneTraceLeadsFromAPublishToEachAttempt(t *testing.T) {
	c := newCollector(t)
	attempts, made := make(chan http.Header, 2), atomic.Int64{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if made.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		attempts <- r.Header
	}))
	defer receiver.Close()
	p := start(t, c.variables(t)...)
	app := p.call("POST", "/v1/apps", `{"name":"shop"}`, 201)["id"].(string)
	p.call("POST", "/v1/apps/"+app+"/outgoing-webhooks", fmt.Sprintf(`{"name":"r","url":%q,"events":["job_finished"],"retry":{"schedule_seconds":[1]}}`, receiver.URL), 201)
	finished, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/v1/events", strings.NewReader(`{"source":"`+app+`","type":"job_finished","data":`+string(finished.Example)+`}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("traceparent", parent)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	headers := []http.Header{<-attempts, <-attempts}
	p.end()

	spans := c.spans(traceID)
	if len(spans["POST /v1/events"]) != 1 || len(spans["send deliveries"]) != 1 || len(spans["process deliveries"]) != 1 || len(spans["process retries"]) != 1 || len(spans["POST"]) != 2 {
		t.Fatalf("the spans are %v", spans)
	}
	told := spans["send deliveries"][0]
	if fmt.Sprintf("%x", spans["POST /v1/events"][0].ParentSpanId) != parentID || !bytes.Equal(told.ParentSpanId, spans["POST /v1/events"][0].SpanId) {
		t.Errorf("the publish follows from another place: %v", spans)
	}
	for i, step := range []string{"process deliveries", "process retries"} {
		attempt, sent := spans[step][0], spans["POST"][i]
		if !bytes.Equal(attempt.ParentSpanId, told.SpanId) || !bytes.Equal(sent.ParentSpanId, attempt.SpanId) {
			t.Errorf("attempt %d follows from another place: %v", i+1, spans)
		}
		if got, want := headers[i].Get("traceparent"), fmt.Sprintf("00-%s-%x-01", traceID, sent.SpanId); got != want {
			t.Errorf("attempt %d is sent with %s, want %s", i+1, got, want)
		}
		failed := sent.Status.GetCode() == tracev1.Status_STATUS_CODE_ERROR
		if failed != (i == 0) {
			t.Errorf("attempt %d: %v", i+1, sent)
		}
	}
}

// What is off costs nothing: the trace that comes in goes on as it is.
func TestWithoutAnEndpointATraceGoesOnAsItCame(t *testing.T) {
	disabled := newCollector(t)
	for name, variables := range map[string][]string{
		"nothing is set": nil,
		"it is disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT=" + disabled.URL, "OTEL_SDK_DISABLED=true"},
		"no signal is":   {"OTEL_EXPORTER_OTLP_ENDPOINT=" + disabled.URL, "OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range variables {
				key, value, _ := strings.Cut(variable, "=")
				t.Setenv(key, value)
			}
			to := newPeers(t)
			p := start(t, variables...)
			p.traced(to)
			for _, got := range []http.Header{<-to.target, <-to.receiver} {
				if got.Get("traceparent") != parent || got.Get("tracestate") != "vendor=value" {
					t.Errorf("sent %v", got)
				}
			}
			p.end()
		})
	}
	if disabled.requests > 0 {
		t.Errorf("%d requests came to the collector", disabled.requests)
	}
}

func TestMetricsAreSentByOTLP(t *testing.T) {
	c, to := newCollector(t), newPeers(t)
	p := start(t, c.variables(t, "OTEL_SERVICE_NAME=hooks")...)
	webhook, _ := p.traced(to)
	p.finished(webhook)
	p.end()
	counts := make(map[string]int64)
	for _, resource := range c.metrics.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				for _, point := range m.GetSum().GetDataPoints() {
					key := m.Name
					for _, a := range point.Attributes {
						key += " " + a.Value.GetStringValue()
					}
					counts[key] = point.GetAsInt()
				}
				for _, point := range m.GetHistogram().GetDataPoints() {
					counts[m.Name] = int64(point.Count)
				}
			}
		}
	}
	for name, want := range map[string]int64{
		"boathook.deliveries succeeded": 1, "boathook.deliveries failed": 0, "boathook.runs succeeded": 1, "boathook.attempts succeeded": 1,
		"boathook.trigger.duration": 1, "boathook.run.duration": 1, "boathook.attempt.duration": 1, "boathook.delivery.duration": 1,
	} {
		if got, there := counts[name]; got != want || !there && want > 0 {
			t.Errorf("%s is %d, want %d: %v", name, got, want, counts)
		}
	}
}

func TestPrometheusReadsTheMetrics(t *testing.T) {
	to := newPeers(t)
	p := start(t, "BOATHOOK_METRICS_LISTEN=127.0.0.1:0", "BOATHOOK_LOG_LEVEL=info")
	address := p.stderr.await(t, `metrics are served" address=(127\.0\.0\.1:\d+)`)[1]
	webhook, _ := p.traced(to)
	p.finished(webhook)
	_, page := p.ask("GET", "http://"+address+"/metrics", "")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name, label string) float64 {
		t.Helper()
		family := families[name]
		if family == nil {
			t.Fatalf("there is no %s", name)
		}
		for _, m := range family.Metric {
			matches := label == ""
			for _, l := range m.Label {
				matches = matches || l.GetValue() == label
			}
			if matches {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		t.Fatalf("%s has no %s", name, label)
		return 0
	}
	for _, tc := range []struct {
		name, label string
		want        float64
	}{
		{"boathook_deliveries_total", "succeeded", 1}, {"boathook_deliveries_total", "failed", 0}, {"boathook_deliveries_total", "canceled", 0},
		{"boathook_attempts_total", "succeeded", 1}, {"boathook_attempts_total", "failed", 0}, {"boathook_attempts_total", "postponed", 0},
		{"boathook_runs_total", "succeeded", 1}, {"boathook_runs_total", "failed", 0}, {"boathook_runs_lost_total", "", 0},
		{"boathook_webhooks_disabled_total", "", 0}, {"boathook_triggers_refused_total", "", 0},
		{"boathook_trigger_duration_seconds", "", 1}, {"boathook_run_duration_seconds", "", 1},
		{"boathook_attempt_duration_seconds", "", 1}, {"boathook_delivery_duration_seconds", "", 1},
		{"boathook_queue_messages", "delayed", 0},
	} {
		if got := value(tc.name, tc.label); got != tc.want {
			t.Errorf("%s %s is %v, want %v", tc.name, tc.label, got, tc.want)
		}
	}
	if families["go_goroutines"] == nil {
		t.Error("nothing is told of the process")
	}
	// Strangers reach the address that all others are served at.
	if status, text := p.ask("GET", "/metrics", ""); status != 404 {
		t.Errorf("/metrics is answered with %d %s", status, text)
	}
}

func TestVariablesOfTelemetryAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		variables []string
		want      signals
		err       string
	}{
		"nothing":             {nil, signals{}, ""},
		"an endpoint":         {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c"}, signals{traces: true, metrics: true}, ""},
		"of traces":           {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c"}, signals{traces: true}, ""},
		"of metrics":          {[]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c"}, signals{metrics: true}, ""},
		"without traces":      {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_TRACES_EXPORTER=none"}, signals{metrics: true}, ""},
		"disabled":            {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_SDK_DISABLED=True"}, signals{}, ""},
		"the protocol":        {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, signals{traces: true, metrics: true}, ""},
		"another protocol":    {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, signals{}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"another for metrics": {[]string{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc"}, signals{}, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"},
		"another exporter":    {[]string{"OTEL_TRACES_EXPORTER=zipkin"}, signals{}, "OTEL_TRACES_EXPORTER"},
	} {
		got, err := readSignals(environment(tc.variables...))
		if tc.err == "" && (err != nil || got != tc.want) || tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err+": ")) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
