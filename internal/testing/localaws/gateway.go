package localaws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// What an HTTP API answers by itself.
const (
	gatewayNotFound    = `{"message":"Not Found"}`
	gatewayTooLarge    = `{"message":"Request Entity Too Large"}`
	gatewayBroken      = `{"message":"Internal Server Error"}`
	maxGatewayBody     = 10 << 20
	anyMethodExtension = "x-amazon-apigateway-any-method"
)

var (
	functionOf = regexp.MustCompile(`/functions/([^/]+)/invocations`)
	greedy     = regexp.MustCompile(`\{(\w+)\+\}`)
	parameter  = regexp.MustCompile(`\{(\w+)\+?\}`)
)

// gateway is the stack's HTTP API, with the routes of the template's.
func (d *Cloud) gateway() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { gatewayAnswer(w, http.StatusNotFound, gatewayNotFound) })
	for _, id := range d.resolver.resources("AWS::ApiGatewayV2::Api") {
		var api struct {
			Body struct {
				Paths map[string]map[string]struct {
					Integration struct{ URI string } `json:"x-amazon-apigateway-integration"`
				}
			}
		}
		if err := d.resolver.properties(id, &api); err != nil {
			return nil, err
		}
		for path, methods := range api.Body.Paths {
			for method, operation := range methods {
				m := functionOf.FindStringSubmatch(operation.Integration.URI)
				if m == nil || d.ids[m[1]] == "" {
					return nil, fmt.Errorf("route %s leads to %q", path, operation.Integration.URI)
				}
				pattern, route := greedy.ReplaceAllString(path, "{$1...}"), "ANY "+path
				if strings.HasSuffix(pattern, "/") {
					pattern += "{$}" // in ServeMux's words: this path, and none below
				}
				if method != anyMethodExtension {
					method = strings.ToUpper(method)
					pattern, route = method+" "+pattern, method+" "+path
				}
				mux.HandleFunc(pattern, d.route(d.ids[m[1]], route))
			}
		}
	}
	return mux, nil
}

// route passes requests on to a function, as payloads of format 2.0.
func (d *Cloud) route(function, key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGatewayBody))
		if err != nil {
			gatewayAnswer(w, http.StatusRequestEntityTooLarge, gatewayTooLarge)
			return
		}
		payload, err := json.Marshal(request(r, key, body))
		if err != nil {
			gatewayAnswer(w, http.StatusInternalServerError, gatewayBroken)
			return
		}
		var answer events.APIGatewayV2HTTPResponse
		// A client that goes away ends nothing: Lambda has the invocation.
		response, err := d.Invoke(context.WithoutCancel(r.Context()), function, payload)
		if err == nil {
			err = json.Unmarshal(response, &answer)
		}
		text := []byte(answer.Body)
		if err == nil && answer.IsBase64Encoded {
			text, err = base64.StdEncoding.DecodeString(answer.Body)
		}
		if err != nil {
			gatewayAnswer(w, http.StatusInternalServerError, gatewayBroken)
			return
		}
		for name, value := range answer.Headers {
			w.Header().Set(name, value)
		}
		for _, cookie := range answer.Cookies {
			w.Header().Add("Set-Cookie", cookie)
		}
		w.WriteHeader(answer.StatusCode)
		w.Write(text)
	}
}

func gatewayAnswer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // the client has gone
}

// request is the event of a request.
func request(r *http.Request, key string, body []byte) events.APIGatewayV2HTTPRequest {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr) // it is the server's own
	headers := map[string]string{"host": r.Host, "x-forwarded-for": ip, "x-forwarded-proto": "http"}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	_, path, _ := strings.Cut(key, " ")
	parameters := make(map[string]string)
	for _, m := range parameter.FindAllStringSubmatch(path, -1) {
		parameters[m[1]] = r.PathValue(m[1])
	}
	now := time.Now()
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: key, RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
		Headers: headers, PathParameters: parameters, Body: string(body),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: key, AccountID: account, Stage: "$default", RequestID: fmt.Sprintf("%x", now.UnixNano()),
			APIID: "here", DomainName: r.Host, DomainPrefix: "here", Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: ip, UserAgent: r.UserAgent(),
			},
		},
	}
	for _, line := range r.Header.Values("Cookie") {
		e.Cookies = append(e.Cookies, strings.Split(line, "; ")...)
	}
	if query := r.URL.Query(); len(query) > 0 {
		e.QueryStringParameters = make(map[string]string)
		for _, name := range slices.Sorted(maps.Keys(query)) {
			e.QueryStringParameters[name] = strings.Join(query[name], ",")
		}
	}
	if len(body) > 0 && !isText(r.Header.Get("Content-Type")) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return e
}

// isText reports whether an HTTP API passes a body of a type on as it is.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" || kind == "application/javascript")
}
