// Package httpapi serves an [http.Handler] behind an API Gateway HTTP API, whose
// events have payload format 2.0. The API's stage is $default, so that paths
// have no stage in front.
//
// The handler sees an ordinary server request, with these particulars:
//
//   - The header X-Request-Id is API Gateway's id of the request, whatever the
//     client sent. It is in the access log too.
//   - RemoteAddr is the client's address with the port 0, which API Gateway
//     does not tell.
//   - API Gateway decodes the path before it passes it on. Where a path still
//     has valid escapes, they are taken as such; any other is taken literally.
//   - The ResponseWriter is no [http.Flusher]: a response leaves whole.
package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// requestIDHeader tells the handler the id of the request.
const requestIDHeader = "X-Request-Id"

// reserve is what is left to answer in when the handler's context ends.
const reserve = 500 * time.Millisecond

// maxResponse is the longest response that Lambda returns, in bytes of the
// JSON that it travels in.
const maxResponse = 6 << 20

// Handler makes a Lambda handler of h. The request's context ends half a
// second before Lambda's deadline. A panic in h and a response over 6 MB are
// logged and answered 500. The error is always nil.
func Handler(h http.Handler) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		return serve(ctx, h, &e), nil
	}
}

func serve(ctx context.Context, h http.Handler, e *events.APIGatewayV2HTTPRequest) (resp events.APIGatewayV2HTTPResponse) {
	r, err := request(ctx, e)
	if err != nil {
		return failure(e, http.StatusBadRequest, "invalid", err.Error())
	}
	// The route is logged, never the path: it may hold a token.
	log := slog.With("request_id", e.RequestContext.RequestID, "route", e.RouteKey)
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			resp = failure(e, http.StatusInternalServerError, "internal", "internal error")
		}
	}()
	var w recorder
	h.ServeHTTP(&w, r)
	resp = w.response(r.Method)
	if tooLarge(&resp) {
		log.ErrorContext(ctx, "response too large", "body_bytes", w.body.Len(), "limit", maxResponse)
		resp = failure(e, http.StatusInternalServerError, "internal", "response too large")
	}
	return resp
}

// failure is an answer of this package's own, in the form of the API's errors.
func failure(e *events.APIGatewayV2HTTPRequest, status int, code, message string) events.APIGatewayV2HTTPResponse {
	body, _ := json.Marshal(map[string]any{ // strings always marshal
		"error": map[string]string{"code": code, "message": message, "request_id": e.RequestContext.RequestID},
	})
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers:    map[string]string{"Content-Type": "application/json"},
		Body:       string(body),
	}
}

// request gives e the form that net/http's server gives a request.
func request(ctx context.Context, e *events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, errors.New("the body is not valid base64")
		}
	}
	header := make(http.Header, len(e.Headers)+2)
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	header.Del("Host") // it is the request's Host
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	header.Set(requestIDHeader, e.RequestContext.RequestID)

	path, err := url.PathUnescape(e.RawPath)
	if err != nil {
		path = e.RawPath
	}
	u := &url.URL{Path: path, RawPath: e.RawPath, RawQuery: e.RawQueryString}
	r := &http.Request{
		Method:        e.RequestContext.HTTP.Method,
		URL:           u,
		RequestURI:    u.RequestURI(),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Host:          e.RequestContext.DomainName,
		RemoteAddr:    net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0"),
	}
	return r.WithContext(ctx), nil
}

// recorder is a ResponseWriter that keeps the response.
type recorder struct {
	header http.Header
	status int         // 0 until the header is written
	sent   http.Header // header as it was when it was written
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // an informational response has no way to the client
		w.status = status
		w.sent = w.Header().Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// response is what was recorded. The answer to a HEAD has no body.
func (w *recorder) response(method string) events.APIGatewayV2HTTPResponse {
	w.WriteHeader(http.StatusOK)
	body := w.body.Bytes()
	if w.sent.Get("Content-Type") == "" && len(body) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(body))
	}
	if method == http.MethodHead {
		body = nil
	}
	resp := events.APIGatewayV2HTTPResponse{
		StatusCode: w.status,
		Headers:    make(map[string]string, len(w.sent)),
		Cookies:    w.sent.Values("Set-Cookie"),
	}
	w.sent.Del("Set-Cookie")
	for name, values := range w.sent {
		resp.Headers[name] = strings.Join(values, ",")
	}
	if utf8.Valid(body) {
		resp.Body = string(body)
	} else {
		resp.Body = base64.StdEncoding.EncodeToString(body)
		resp.IsBase64Encoded = true
	}
	return resp
}

// tooLarge reports whether the JSON of resp is over [maxResponse]. Measuring
// it is spared where it can't be: a byte of text takes at most six of JSON.
func tooLarge(resp *events.APIGatewayV2HTTPResponse) bool {
	if len(resp.Body) < maxResponse/8 {
		return false
	}
	var n counter
	enc := json.NewEncoder(&n)
	enc.SetEscapeHTML(false) // as Lambda's runtime does
	_ = enc.Encode(resp)     // strings always marshal
	return n > maxResponse
}

// counter is a Writer that counts.
type counter int

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}
