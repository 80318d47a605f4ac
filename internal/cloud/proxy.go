package cloud

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// Call is a request to AWS.
type Call struct {
	From     string // the logical id of the function that sent it; empty: the cloud itself, as a service of AWS
	Service  string // such as "DynamoDB"
	Action   string // such as "PutItem"
	Request  []byte // JSON
	Response []byte // JSON, or an error's
	Status   int
}

// proxy is where all requests to AWS go, and from there to the emulators: the
// path's first element tells who sent one.
type proxy struct {
	server   *http.Server
	listener net.Listener
}

func newProxy(ctx context.Context, e Emulators, called func(Call)) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	hosts := make(map[string]string)
	for service, text := range map[string]string{"": e.Any, "DynamoDB": e.DynamoDB, "AmazonSQS": e.SQS} {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		hosts[service] = u.Host
	}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			service, _ := target(r.In)
			host, ok := hosts[service]
			if !ok {
				host = hosts[""]
			}
			r.Out.URL.Scheme, r.Out.URL.Host = "http", host
			_, path, _ := strings.Cut(strings.TrimPrefix(r.In.URL.Path, "/"), "/")
			r.Out.URL.Path = "/" + path
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { // the process was killed, or the emulator
			w.WriteHeader(http.StatusBadGateway)
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Second}, // the emulators close what is idle
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the process was killed
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		from, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		call := Call{From: from, Request: body}
		call.Service, call.Action = target(r)
		answer := &answer{header: w.Header()}
		// What has been sent is done, whoever is killed meanwhile; and an emulator
		// that loses a request half-way ends.
		reverse.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		call.Response, call.Status = answer.body.Bytes(), answer.status
		called(call) // before the function knows, and goes on
		w.WriteHeader(answer.status)
		w.Write(answer.body.Bytes())
	})
	p := &proxy{server: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}, listener: listener}
	go p.server.Serve(listener) //nolint:errcheck // it ends when it is closed
	return p, nil
}

// target is the service and the action that a request names in its header, as
// AWS's JSON protocols do: DynamoDB_20120810.PutItem.
func target(r *http.Request) (service, action string) {
	service, action, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	service, _, _ = strings.Cut(service, "_")
	return service, action
}

// url is AWS's, as a function is told it.
func (p *proxy) url(from string) string {
	return "http://" + p.listener.Addr().String() + "/" + from
}

func (p *proxy) close() { _ = p.server.Close() }

// answer is a ResponseWriter that keeps what is written to it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
