package httpjson

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/tracing"
)

// Callers finds out who asks; see [service.Callers].
type Callers interface {
	Find(ctx context.Context, token string) (service.Caller, error)
	FindInternal(ctx context.Context, token string) (service.Caller, error)
}

// Server serves the routes of faces.
type Server struct {
	Callers   Callers
	PublicURL string // see [PublicURL]
	Log       *slog.Logger
	Tracer    *tracing.Tracer // may be nil
}

// Mount adds a face's routes to a mux, behind each prefix that its style has.
func (s Server) Mount(mux *http.ServeMux, f Face) {
	for _, route := range f.Routes {
		method, path, _ := strings.Cut(route.Pattern, " ")
		for _, prefix := range append([]string{""}, f.Style.Prefixes...) {
			pattern := method + " " + prefix + path
			mux.HandleFunc(pattern, s.Tracer.Serve(pattern, func(w http.ResponseWriter, r *http.Request) {
				if err := s.serve(w, r, f, route, prefix); err != nil {
					s.Fail(w, r, f.Style, err)
				}
			}))
		}
	}
}

// serve serves a request whose path is a route's behind a prefix. Who may not call its
// operation learns nothing of what else is wrong.
func (s Server) serve(w http.ResponseWriter, r *http.Request, f Face, route Route, prefix string) error {
	caller, err := s.caller(r, f)
	if err != nil {
		return err
	}
	if err := caller.May(route.Operation); err != nil {
		return err
	}
	if f.Style.StrictQuery {
		if err := CheckQuery(r, route.Pattern); err != nil {
			return err
		}
	}
	return route.Handle(w, Call{Request: r, Caller: caller, Style: f.Style, Prefix: prefix, Published: s.PublicURL})
}

// caller finds who has sent a request to a face.
func (s Server) caller(r *http.Request, f Face) (service.Caller, error) {
	if f.InternalToken != "" {
		return s.Callers.FindInternal(r.Context(), r.Header.Get(f.InternalToken))
	}
	return s.Callers.Find(r.Context(), tokenOf(r, f.Style.Basic))
}

// Fail answers an error in a style. What has no kind is a dependency's failure: its text goes to
// the log only.
func (s Server) Fail(w http.ResponseWriter, r *http.Request, style Style, err error) {
	if all, ok := errors.AsType[boathook.Issues](err); ok && style.WriteIssues != nil {
		style.WriteIssues(w, all)
		return
	}
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		e = &boathook.Error{Kind: boathook.Unavailable}
	}
	status := e.Kind.Status()
	message := e.Message
	if status >= 500 {
		s.Log.ErrorContext(r.Context(), "request failed", "request_id", w.Header().Get(RequestIDHeader),
			"route", r.Pattern, "status", status, "error", err)
		message = "Boathook can't answer for now: try again"
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Kind == boathook.Gone && style.WriteGone != nil {
		style.WriteGone(w, e)
		return
	}
	style.WriteError(w, status, string(e.Kind), e.Field, message)
}

// tokenOf is the bearer token of a request, whose scheme clients of GitHub's
// shapes call "token"; empty if there is none. With Basic authentication, where it
// is taken, the token is the password. As GitHub takes it, a token may stand in
// the user's place, beside no password or the word x-oauth-basic.
func tokenOf(r *http.Request, basic bool) string {
	if user, password, ok := r.BasicAuth(); ok && basic {
		if password == "" || password == "x-oauth-basic" {
			return user
		}
		return password
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "token") {
		return ""
	}
	return text
}
