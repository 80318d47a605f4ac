package localaws

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Call is a request to AWS.
type Call struct {
	From     string // the logical id of the function that sent it, or in whose name AWS did; empty: the cloud itself, as a service of AWS
	ByAWS    bool   // an event source mapping or a queue's move task sent it, in the function's name
	Service  string // such as "DynamoDB"
	Action   string // such as "PutItem"
	Method   string // of the request, as HTTP's
	Path     string // of the request, escaped; the JSON protocols have none
	Request  []byte // JSON, or a frame
	Response []byte // JSON, or an error's
	Status   int
}

// proxy is where all requests to AWS go, and from there to the emulators, or to
// what serves them here: the path's first element tells who sent one.
type proxy struct {
	server   *http.Server
	listener net.Listener
	abandon  context.CancelFunc // what the emulators are doing
}

// inItsName marks who sends in a path that is AWS's, in the name of a function.
const inItsName = "aws:"

// serve answers a call in the emulators' place.
type serve func(w http.ResponseWriter, r *http.Request, c Call)

// newProxy serves by here, of services or of single actions such as
// "AmazonSQS.SendMessage", what no emulator has. A request for which fault gives
// a status is not passed on.
func newProxy(ctx context.Context, host string, e Emulators, here map[string]serve, fault func(Call) int, called func(Call), l *lineages) (*proxy, error) {
	hosts := make(map[string]string)
	for service, text := range map[string]string{"": e.Any, "DynamoDB": e.DynamoDB, "AmazonSQS": e.SQS} {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		hosts[service] = u.Host
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			service, _ := target(r.In)
			host, ok := hosts[service]
			if !ok {
				host = hosts[""]
			}
			r.Out.URL.Scheme, r.Out.URL.Host = "http", host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { // the emulator has ended, or the cloud
			w.WriteHeader(http.StatusBadGateway)
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Second}, // the emulators close what is idle
	}
	// What AWS has received it does, though its sender is killed meanwhile.
	// (dynalite ends when a request to it does.)
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the process was killed
		}
		r = r.WithContext(working)
		r.Body = io.NopCloser(bytes.NewReader(body))
		from, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
		call := Call{Method: r.Method, Path: "/" + path, Request: body}
		call.From, call.ByAWS = strings.CutPrefix(from, inItsName)
		call.Service, call.Action = target(r)
		answer := &answer{header: w.Header(), status: http.StatusOK}
		var service http.Handler = reverse
		for _, name := range []string{call.Service, call.Service + "." + call.Action} {
			if serve, ok := here[name]; ok {
				service = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, call) })
			}
		}
		sends := strings.HasPrefix(call.Action, "SendMessage")
		if sends {
			l.sending.RLock()
		}
		if status := fault(call); status != 0 {
			exception(answer, status, "InternalFailure", "a fault of the test's")
		} else {
			http.StripPrefix("/"+from, service).ServeHTTP(answer, r)
		}
		call.Response, call.Status = answer.body.Bytes(), answer.status
		if sends {
			l.keep(call, r.Header.Get("X-Amzn-Trace-Id"))
			l.sending.RUnlock()
		}
		called(call) // before the function knows, and goes on
		w.WriteHeader(answer.status)
		w.Write(answer.body.Bytes())
	})
	p := &proxy{server: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}, listener: listener, abandon: abandon}
	go p.server.Serve(listener) //nolint:errcheck // it ends when it is closed
	return p, nil
}

// target is the service and the action of a request. AWS's JSON protocols name
// them in a header, DynamoDB_20120810.PutItem; of others, the signature's scope
// names the service.
func target(r *http.Request) (service, action string) {
	if header := r.Header.Get("X-Amz-Target"); header != "" {
		service, action, _ = strings.Cut(header, ".")
		service, _, _ = strings.Cut(service, "_")
		return service, action
	}
	if m := signedFor.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		service = m[1]
	}
	if service == managementService {
		return service, managementAction[r.Method]
	}
	return service, invokes[service]
}

// exception answers with an error as AWS's JSON protocols have them.
func exception(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	answerJSON(w, status, map[string]string{"__type": code, "message": message})
}

// answerJSON answers as AWS's JSON protocols do.
func answerJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	w.Write(text)
}

// signedFor finds the service in a signature's scope: key/date/region/service/aws4_request.
var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

// url is AWS's, as a function is told it.
func (p *proxy) url(from string) string {
	return "http://" + p.listener.Addr().String() + "/" + from
}

// urlInName is AWS's for what it does itself in the name of a function.
func (p *proxy) urlInName(function string) string { return p.url(inItsName + function) }

// close lets what is under way end, but for what waits for messages.
func (p *proxy) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.server.Shutdown(ctx)
	p.abandon()
	_ = p.server.Close()
}

// answer is a ResponseWriter that keeps what is written to it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
