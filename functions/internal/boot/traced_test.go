//go:build otel

package boot

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"boathook/internal/tracing"
)

// inAFunction runs a test again in a process that has an endpoint, since a process reads
// its variables once.
func inAFunction(t *testing.T, endpoint string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "AWS_LAMBDA_FUNCTION_NAME=intake", "OTEL_BSP_SCHEDULE_DELAY=3600000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// step is a handler that records one step.
func step() lambda.Handler {
	tracer := Logging{OTLPEndpoint: os.Getenv(endpoint)}.Tracer()
	return told(lambda.NewHandler(func(ctx context.Context) error {
		_, span := tracer.Start(ctx, tracing.Server, "POST /v1/events")
		span.End()
		return nil
	}))
}

func TestSpansAreSentBeforeAnInvocationEnds(t *testing.T) {
	if os.Getenv(endpoint) != "" {
		h := step()
		for range 2 {
			if _, err := h.Invoke(t.Context(), []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		return // which ends the process: what is not sent by now never is
	}
	var spans, names []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		for _, of := range sent.ResourceSpans {
			for _, a := range of.Resource.Attributes {
				if a.Key == "faas.name" || a.Key == "service.name" {
					names = append(names, a.Value.GetStringValue())
				}
			}
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					spans = append(spans, span.Name)
				}
			}
		}
	}))
	defer server.Close()
	inAFunction(t, server.URL)
	if want := []string{"POST /v1/events", "POST /v1/events"}; !slices.Equal(spans, want) {
		t.Errorf("sent %v", spans)
	}
	if !slices.Contains(names, "intake") || !slices.Contains(names, "boathook") {
		t.Errorf("they are of %v", names)
	}
}

func TestACollectorThatIsAwayFailsNoInvocation(t *testing.T) {
	if os.Getenv(endpoint) != "" {
		if _, err := step().Invoke(t.Context(), []byte("{}")); err != nil {
			t.Fatal(err)
		}
		return
	}
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	inAFunction(t, away.URL)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer refusing.Close()
	inAFunction(t, refusing.URL)
}

func TestWithoutAnEndpointNothingIsRecorded(t *testing.T) {
	if (Logging{}).Tracer() != nil {
		t.Error("there is a tracer")
	}
	if _, wrapped := told(lambda.NewHandler(func() {})).(telling); wrapped {
		t.Error("invocations wait for nothing")
	}
}
