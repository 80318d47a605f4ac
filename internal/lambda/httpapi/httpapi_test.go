package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/lambda/httpapi"
)

// event is a request as API Gateway passes it on.
func event(method, path string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "ANY /v1/{proxy+}", RawPath: path,
		Headers: map[string]string{"host": "forged.example", "x-request-id": "forged"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RequestID: "JKJaXmPLvHcESHA=", DomainName: "api.example.com", Stage: "$default",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: method, Path: path, Protocol: "HTTP/1.1", SourceIP: "203.0.113.7",
			},
		},
	}
}

func serve(t *testing.T, h http.HandlerFunc, e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	t.Helper()
	resp, err := httpapi.Handler(h)(t.Context(), e)
	if err != nil {
		t.Fatalf("the Lambda handler failed: %v", err)
	}
	return resp
}

// captureLog returns what is logged until the test ends.
func captureLog(t *testing.T) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&buf, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &buf
}

func TestHandlerSeesAnOrdinaryRequest(t *testing.T) {
	e := event("POST", "/v1/runs")
	e.RawQueryString = "cursor=a%2Fb&limit=2"
	e.Headers["x-forwarded-for"] = "198.51.100.1, 203.0.113.7"
	e.Cookies = []string{"session=1", "theme=dark"}
	e.Body = `{"n":12345678901234567890}`

	called := false
	serve(t, func(_ http.ResponseWriter, r *http.Request) {
		called = true
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		got := map[string]any{
			"method": r.Method, "host": r.Host, "remote": r.RemoteAddr, "uri": r.RequestURI, "body": string(body),
			"length": r.ContentLength, "cursor": r.FormValue("cursor"), "header": r.Header,
		}
		want := map[string]any{
			"method": "POST", "host": "api.example.com", "remote": "203.0.113.7:0",
			"uri": "/v1/runs?cursor=a%2Fb&limit=2", "body": e.Body, "length": int64(len(e.Body)), "cursor": "a/b",
			"header": http.Header{
				"Cookie":          {"session=1; theme=dark"},
				"X-Forwarded-For": {"198.51.100.1, 203.0.113.7"},
				"X-Request-Id":    {"JKJaXmPLvHcESHA="},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}, e)
	if !called {
		t.Error("the handler was not called")
	}
}

func TestPathReachesTheRouteItWasSentTo(t *testing.T) {
	for _, tt := range []struct{ name, rawPath, token string }{
		{"plain", "/webhooks/runs/AbC-_09", "AbC-_09"},
		{"an escaped slash is no separator", "/webhooks/runs/a%2Fb", "a/b"},
		{"an escape in lower case", "/webhooks/runs/a%2fb", "a/b"},
		{"a space that API Gateway has decoded", "/webhooks/runs/a b", "a b"},
		{"a percent sign that API Gateway has decoded", "/webhooks/runs/100%", "100%"},
		{"a question mark is no query", "/webhooks/runs/a?b=c", "a?b=c"},
		{"a letter beyond ASCII", "/webhooks/runs/é", "é"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var token string
			mux := http.NewServeMux()
			mux.HandleFunc("POST /webhooks/runs/{token}", func(_ http.ResponseWriter, r *http.Request) {
				token = r.PathValue("token")
				if r.URL.RawQuery != "" {
					t.Errorf("query is %q, want none", r.URL.RawQuery)
				}
			})
			resp := serve(t, mux.ServeHTTP, event("POST", tt.rawPath))
			if resp.StatusCode != http.StatusOK || token != tt.token {
				t.Errorf("status %d, token %q; want 200, %q", resp.StatusCode, token, tt.token)
			}
		})
	}
}

func TestBase64BodyIsDecoded(t *testing.T) {
	want := []byte("\xff\x00binary")
	e := event("POST", "/v1/runs")
	e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(want), true
	serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if got, _ := io.ReadAll(r.Body); !bytes.Equal(got, want) || r.ContentLength != int64(len(want)) {
			t.Errorf("body %q of length %d, want %q of %d", got, r.ContentLength, want, len(want))
		}
	}, e)
}

func TestBadBase64IsRefusedBeforeTheHandler(t *testing.T) {
	e := event("POST", "/v1/runs")
	e.Body, e.IsBase64Encoded = "!not base64!", true
	resp := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }, e)
	wantError(t, resp, http.StatusBadRequest, `{"error":{"code":"invalid","message":"the body is not valid base64","request_id":"JKJaXmPLvHcESHA="}}`)
}

func wantError(t *testing.T, resp events.APIGatewayV2HTTPResponse, status int, body string) {
	t.Helper()
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: status, Headers: map[string]string{"Content-Type": "application/json"}, Body: body,
	}
	if diff := cmp.Diff(want, resp); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

func TestResponse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		h      http.HandlerFunc
		want   events.APIGatewayV2HTTPResponse
	}{
		{
			"text stays text", "GET",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, `{"name":`)
				io.WriteString(w, `"ü"}`)
			},
			events.APIGatewayV2HTTPResponse{
				StatusCode: 202, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"name":"ü"}`,
			},
		},
		{
			"bytes that are not UTF-8 go as base64", "GET",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/png")
				w.Write([]byte{0x89, 'P', 'N', 'G'})
			},
			events.APIGatewayV2HTTPResponse{
				StatusCode: 200, Headers: map[string]string{"Content-Type": "image/png"}, Body: "iVBORw==", IsBase64Encoded: true,
			},
		},
		{
			"an unset content type is detected", "GET",
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
			events.APIGatewayV2HTTPResponse{
				StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: "hello",
			},
		},
		{
			"cookies are apart, other headers joined", "GET",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Vary"] = []string{"Accept", "Origin"}
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
				http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", HttpOnly: true})
				w.WriteHeader(http.StatusNoContent)
			},
			events.APIGatewayV2HTTPResponse{
				StatusCode: 204, Headers: map[string]string{"Vary": "Accept,Origin"}, Cookies: []string{"a=1", "b=2; HttpOnly"},
			},
		},
		{
			"a handler that does nothing answers 200", "GET",
			func(http.ResponseWriter, *http.Request) {},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}},
		},
		{
			"the first status counts, and headers up to it", "GET",
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Set("X-Run-Id", "run_1")
				w.WriteHeader(http.StatusNotFound)
				w.WriteHeader(http.StatusOK)
				w.Header().Set("X-Late", "yes")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 404, Headers: map[string]string{"X-Run-Id": "run_1"}},
		},
		{
			"the answer to a HEAD has no body", "HEAD",
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
			events.APIGatewayV2HTTPResponse{
				StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, serve(t, tt.h, event(tt.method, "/v1/me"))); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPanicIsLoggedAndAnsweredWithAFixedBody(t *testing.T) {
	log := captureLog(t)
	e := event("GET", "/v1/secret-path")
	e.Headers["authorization"] = "Bearer secret-token"
	resp := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half an ans")
		panic("boom")
	}, e)
	wantError(t, resp, http.StatusInternalServerError, `{"error":{"code":"internal","message":"internal error","request_id":"JKJaXmPLvHcESHA="}}`)

	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, log)
	}
	if line["panic"] != "boom" || line["request_id"] != "JKJaXmPLvHcESHA=" || line["route"] != "ANY /v1/{proxy+}" ||
		!strings.Contains(line["stack"].(string), "httpapi_test.go") {
		t.Errorf("the log does not tell the panic, its request and its stack: %s", log)
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log holds the path or a header: %s", log)
	}
}

func TestResponseIsBoundedByItsLengthOnTheWire(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name   string
		body   string
		status int
	}{
		{"text that fits", strings.Repeat("a", 6*mb-4096), 200},
		{"text that does not", strings.Repeat("a", 6*mb), 500},
		{"binary that fits", strings.Repeat("\xff", 4*mb), 200},
		{"binary that does not after base64", strings.Repeat("\xff", 5*mb), 500},
		{"text that does not after escaping", strings.Repeat(`"`, 4*mb), 500},
		{"text that does not, though it is a sixth", strings.Repeat("\x01", mb+1), 500},
		{"text that grows little", strings.Repeat("<", 5*mb), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			captureLog(t)
			resp := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				io.WriteString(w, tt.body)
			}, event("GET", "/v1/me"))
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.status == http.StatusInternalServerError {
				wantError(t, resp, tt.status, `{"error":{"code":"internal","message":"response too large","request_id":"JKJaXmPLvHcESHA="}}`)
			}
		})
	}
}

func TestContextEndsBeforeTheLambdaDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		var requestContext context.Context
		_, err := httpapi.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requestContext = r.Context()
			<-requestContext.Done()
			w.WriteHeader(http.StatusServiceUnavailable)
		}))(ctx, event("GET", "/v1/me"))
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 14500*time.Millisecond {
			t.Errorf("the request's context ended after %v, want 14.5s", waited)
		}
		if requestContext.Err() != context.DeadlineExceeded {
			t.Errorf("the request's context ended with %v", requestContext.Err())
		}
	})
}

func TestResponseCannotBeFlushed(t *testing.T) {
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); ok {
			t.Error("the ResponseWriter is a Flusher, but a response leaves whole")
		}
	}, event("GET", "/v1/me"))
}
