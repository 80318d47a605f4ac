// Package httpjson is what the JSON faces of the API share: routes and the calls that
// they serve, how bodies are read, and how answers, lists and errors are written. What
// differs between faces is their [Style].
package httpjson

import (
	"net"
	"net/http"
	"net/netip"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// RequestIDHeader names a request in its answer and in the log.
const RequestIDHeader = "X-Request-Id"

// Route is a path of a face, the operation that it calls, and what serves it.
type Route struct {
	Pattern   string // as [http.ServeMux] has it
	Operation service.Operation
	Handle    Handler
}

// On makes a route.
func On(pattern string, op service.Operation, handle Handler) Route {
	return Route{Pattern: pattern, Operation: op, Handle: handle}
}

// Handler serves a call of a caller who may call the route's operation. An error
// means that nothing is answered yet.
type Handler func(w http.ResponseWriter, c Call) error

// Face is routes that speak as one system does.
type Face struct {
	Style  Style
	Routes []Route
	// InternalToken is the header of the stack's internal token, where that is the only
	// credential which the routes take. Empty: they take users' tokens.
	InternalToken string
}

// Style is what a system's clients expect of bodies and errors.
type Style struct {
	Lenient     bool // fields of a body that are not known are ignored, not refused
	StrictQuery bool // parameters of the query that are not known are refused, not ignored
	Basic       bool // HTTP's Basic authentication is taken too
	WriteError  func(w http.ResponseWriter, status int, code, field, message string)
	// WriteIssues answers several faults of one request. Nil: the first is told.
	WriteIssues func(w http.ResponseWriter, all boathook.Issues)
	// WriteGone answers a [boathook.Gone] error with the cursor that goes on. Nil: as any
	// other error.
	WriteGone func(w http.ResponseWriter, e *boathook.Error)
	// Prefixes are what the system's paths may begin with besides nothing.
	Prefixes []string
	// Below are paths, each ending with a slash, where what is not found is
	// answered in this style.
	Below []string
}

// Call is a request of a known caller.
type Call struct {
	*http.Request
	service.Caller
	Style     Style
	Prefix    string // of the path, before the route's own
	Published string // see [PublicURL]
}

// PublicURL is where the API and incoming webhooks are reached, without a trailing
// slash.
func (c Call) PublicURL() string { return PublicURL(c.Request, c.Published) }

// PublicURL is the configured one, or where the request came to. Only on AWS may none
// be configured: there package httpapi takes the host from API Gateway's own
// requestContext.domainName. A server of one's own would repeat any Host that a
// client sends.
func PublicURL(r *http.Request, configured string) string {
	if configured != "" {
		return configured
	}
	// By https, unless it came to this machine.
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host // without a port
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// RequestID is the id of a request: the one that the gateway gave, if it looks like one,
// or a new one each time.
func RequestID(r *http.Request) string {
	id := r.Header.Get(RequestIDHeader)
	if id == "" || len(id) > 128 || !boathook.Printable(id) {
		return boathook.NewID("req")
	}
	return id
}
