package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/service"
)

// Config is what the console works with. Every field but PublicURL and WebSocketURL is
// required.
type Config struct {
	Service *service.Service

	// PublicURL is where users reach it, without a slash at the end; empty: where the
	// request came to, see [httpjson.PublicURL].
	PublicURL string
	// WebSocketURL is where logs are watched live; empty: at /ws of the same origin.
	WebSocketURL string
	// Key gives the secret that signs sessions, of 32 bytes or more. It is asked on every
	// request, so whoever gives it caches it.
	Key func(context.Context) ([]byte, error)

	Now func() time.Time
	Log *slog.Logger
}

// Console serves the pages, all of which are below /console/.
type Console struct {
	cfg       Config
	templates *templates
	assets    *assets
	visits    visits
	named     cache.Cache[service.Names] // by workspace, customer and source
	handler   http.Handler
	pages     []string
}

// maxForm is how long a form may be, in bytes, with what is typed into it.
const maxForm = 2 << 20

// New makes the console. An error is the developer's.
func New(cfg Config) (*Console, error) {
	a, err := newAssets()
	if err != nil {
		return nil, fmt.Errorf("console assets: %w", err)
	}
	c := &Console{cfg: cfg, assets: a, visits: visits{now: cfg.Now}, named: cache.Cache[service.Names]{TTL: namesKept, Now: cfg.Now}}
	c.templates = newTemplates(a, cfg.Now)
	mux := http.NewServeMux()
	mux.Handle("GET /console/assets/", a)
	c.routes(mux)
	c.portalRoutes(mux)
	compressed, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.RandomJitter(64, 0, false))
	if err != nil {
		return nil, err
	}
	// Browsers say where a form was sent from. What other sites send is refused, beside
	// the token that each form has.
	own := http.NewCrossOriginProtection()
	if cfg.PublicURL != "" { // what stands in front may ask by another name than browsers know
		if err := own.AddTrustedOrigin(origin(cfg.PublicURL)); err != nil {
			return nil, fmt.Errorf("public URL: %w", err)
		}
	}
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "This was sent by another site.", http.StatusForbidden)
	}))
	c.handler = secured(compressed(own.Handler(mux)))
	return c, nil
}

// Pages are the patterns of the pages that somebody sees who is signed in, as in
// "/console/crews/{crew}". Tests look at each.
func (c *Console) Pages() []string { return slices.Clone(c.pages) }

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// policy is the Content-Security-Policy of every page. A log is watched over a
// WebSocket, on AWS at a host of its own.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self' %s; form-action 'self'; base-uri 'none'; frame-ancestors %s"

// secured sets the headers that hold for whatever is answered.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		r.Header.Set(httpjson.RequestIDHeader, httpjson.RequestID(r)) // the same for all of this request
		head.Set(httpjson.RequestIDHeader, r.Header.Get(httpjson.RequestIDHeader))
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cache-Control", "no-store") // what a browser keeps outlives a sign-out
		h.ServeHTTP(w, r)
	})
}

// A handler answers a request of somebody who is signed in.
type handler func(ctx context.Context, r *request) (answer, error)

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is what a handler gets: the HTTP request, and who makes it.
type request struct {
	*http.Request
	console *Console
	session session
	caller  service.Caller
	visit   func() (service.PortalVisit, error) // waits for it; nil: this is no customer's portal
	crew    func() string                       // what the crew of the path is called; nil: there is none in it
}

// get has a page at a pattern, as in "GET /console/runs/{id}". That the session's token
// is still good is found out while the page is made.
func (c *Console) get(mux *http.ServeMux, path string, h handler) {
	c.pages = append(c.pages, path)
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		s, err := c.session(r)
		req := &request{Request: r, console: c, session: s, caller: s.Caller}
		var made answer
		if err == nil {
			err = beside(func() error {
				return c.checkSession(r.Context(), s)
			}, func() (err error) {
				made, err = h(r.Context(), req)
				return err
			})
		}
		if boathook.IsKind(err, boathook.Unauthorized) {
			c.signInFirst(w, r)
			return
		}
		c.write(w, req, made, err)
	})
}

// post has a change at a pattern.
func (c *Console) post(mux *http.ServeMux, path string, h handler) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			c.write(w, &request{Request: r, console: c}, answer{}, formError(err))
			return
		}
		s, err := c.session(r)
		if err == nil {
			err = c.checkSession(r.Context(), s)
		}
		if boathook.IsKind(err, boathook.Unauthorized) {
			c.signInFirst(w, r)
			return
		}
		req := &request{Request: r, console: c, session: s, caller: s.Caller}
		var made answer
		if err == nil {
			err = s.checkCSRF(r.PostForm.Get(csrfField))
		}
		if err == nil {
			made, err = h(r.Context(), req)
		}
		c.write(w, req, made, err)
	})
}

// formError is why a form can't be read.
func formError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return boathook.Errorf(boathook.TooLarge, "The form is over %d MiB", maxForm>>20)
	}
	return boathook.Errorf(boathook.Invalid, "The form can't be read")
}

// write sends an answer, or the page of an error.
func (c *Console) write(w http.ResponseWriter, r *request, a answer, err error) {
	if err != nil {
		a = r.failed(err)
	}
	for name, values := range a.header {
		w.Header()[name] = append(w.Header()[name], values...)
	}
	if w.Header().Get("Content-Security-Policy") == "" {
		w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, origin(c.webSocketURL(r.Request)), "'none'"))
	}
	w.WriteHeader(a.status)
	if _, err := w.Write(a.body); err != nil {
		c.cfg.Log.DebugContext(r.Context(), "page not sent", "error", err)
	}
}

// failed is the page of an error. One that its user can't mend has a fixed message.
func (r *request) failed(err error) answer {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		r.console.cfg.Log.ErrorContext(r.Context(), "page failed", "request_id", httpjson.RequestID(r.Request), "pattern", r.Pattern, "error", err)
		e = boathook.Errorf(boathook.Unavailable, "Boathook can't show this for now. Try again")
	}
	v := view{Title: titleOf(e.Kind), Data: map[string]any{"Error": e, "RequestID": httpjson.RequestID(r.Request)}}
	a, err := r.page("error", v)
	if err != nil { // the template of errors has one
		return answer{status: http.StatusInternalServerError, body: []byte("internal error")}
	}
	a.status = e.Kind.Status()
	return a
}

// titleOf heads the page of an error.
func titleOf(k boathook.Kind) string {
	switch k {
	case boathook.NotFound, boathook.Gone:
		return "Not found"
	case boathook.Forbidden:
		return "Not allowed"
	case boathook.Unavailable, boathook.Limited:
		return "Not available"
	}
	return "Not done"
}

// page answers with a page.
func (r *request) page(name string, v view) (answer, error) {
	return r.render(name, "layout", v, http.StatusOK)
}

// fragment answers with a part of a page, by the name of the template in it.
func (r *request) fragment(name, part string, v view) (answer, error) {
	return r.render(name, part, v, http.StatusOK)
}

// invalid answers with a form again, beside whose fields stands what is wrong with them.
// An error that is not about what was typed is given back.
func (r *request) invalid(name string, v view, err error) (answer, error) {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		return answer{}, err
	}
	if v.Form == nil {
		v.Form = formOf(r.PostForm)
	}
	v.Form.wrong(e)
	return r.render(name, "layout", v, e.Kind.Status())
}

func (r *request) render(name, part string, v view, status int) (answer, error) {
	v.request = r
	if r.visit != nil {
		visit, err := r.visit()
		if err != nil {
			return answer{}, err
		}
		if v.Portal = &visit; part == "layout" {
			part = "portal"
		}
	}
	if v.Form == nil {
		if v.Form = formOf(r.Form); r.Form == nil { // a GET's is its query
			v.Form = formOf(r.URL.Query())
		}
	}
	head := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	if c, err := r.Cookie(toastCookie); err == nil && (part == "layout" || part == "portal") {
		v.Toast = toastOf(c.Value)
		head.Add("Set-Cookie", r.cookie(toastCookie, "", -1).String())
	}
	pages, err := r.console.templates.in(r.zone())
	if err != nil {
		return answer{}, err
	}
	var b bytes.Buffer
	if err := pages.execute(&b, name, part, &v); err != nil {
		return answer{}, fmt.Errorf("render %s: %w", name, err)
	}
	return answer{status: status, header: head, body: b.Bytes()}, nil
}

// redirect answers a change: the browser goes to a page, which shows the toast.
func (r *request) redirect(path, toast string) (answer, error) {
	head := http.Header{"Location": {path}}
	if toast != "" {
		head.Add("Set-Cookie", r.cookie(toastCookie, encodeToast(toast), 60).String())
	}
	return answer{status: http.StatusSeeOther, header: head}, nil
}

// back is a path of the console that a form names to go on with; anything else is
// fallback.
func (r *request) back(fallback string) string {
	to := r.Form.Get("back")
	if r.local(to) {
		return to
	}
	return fallback
}

// Base begins the paths of the pages: /console, or /portal in a customer's.
func (r *request) Base() string {
	if r.visit != nil {
		return portalBase
	}
	return "/console"
}

// local reports whether a path is of a page that the request could have come from.
func (r *request) local(path string) bool {
	return strings.HasPrefix(path, r.Base()+"/") && !strings.ContainsAny(path, "\\\r\n")
}

// webSocketURL is where a browser watches logs.
func (c *Console) webSocketURL(r *http.Request) string {
	if c.cfg.WebSocketURL != "" {
		return c.cfg.WebSocketURL
	}
	return "ws" + strings.TrimPrefix(httpjson.PublicURL(r, c.cfg.PublicURL), "http") + "/ws"
}

// origin is the scheme and host of a URL.
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// beside runs functions at once, and gives the first error in their order.
func beside(fs ...func() error) error {
	failed := make([]error, len(fs))
	var group sync.WaitGroup
	for i, f := range fs {
		group.Go(func() { failed[i] = f() })
	}
	group.Wait()
	return cmp.Or(failed...)
}
