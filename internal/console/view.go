package console

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/service"
)

//go:embed templates
var sources embed.FS

// view is what a page shows.
type view struct {
	Title  string // of the browser's tab, and of the page unless its template heads it
	Nav    string // the sidebar's item that the page is below, as in "deliveries"
	Crumbs []link // the pages that it is below
	Source *sourceHead
	Data   any
	Form   form
	Toast  string
	Portal *service.PortalVisit // of a page in a customer's portal

	*request
}

// link is a name that leads to a page.
type link struct{ Text, Path string }

// May reports whether who looks may do an operation.
func (v *view) May(op string) bool { return v.caller.May(service.Operation(op)) == nil }

// Who is who is signed in; nil on the pages before that.
func (v *view) Who() *session {
	if v.session.Caller == (service.Caller{}) {
		return nil
	}
	return &v.session
}

// CSRF is the proof that each form carries.
func (v *view) CSRF() string { return v.session.csrfToken() }

// Theme is the theme that was chosen; empty: the system's.
func (v *view) Theme() string {
	if c, err := v.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// Here is the page's own path, to come back to.
func (v *view) Here() string { return v.URL.RequestURI() }

// zone is where who looks is, as the browser has told; UTC until it has.
func (r *request) zone() *time.Location {
	c, err := r.Cookie(zoneCookie)
	if err != nil || len(c.Value) > 64 {
		return time.UTC
	}
	zone, err := time.LoadLocation(strings.ReplaceAll(c.Value, "%2F", "/"))
	if err != nil || zone == time.Local {
		return time.UTC
	}
	return zone
}

// templates are all pages, for viewers in any zone. A page is parsed when it is first
// shown: to parse all of them takes a process longer than the rest of its start.
type templates struct {
	base    func() (*template.Template, error) // the layouts and the parts; never executed, so that it can be cloned
	now     func() time.Time
	inZones cache.Cache[*localized]
}

// localized are the pages for viewers in one zone.
type localized struct {
	zone *time.Location
	all  *templates

	mu    sync.Mutex // guards pages
	pages map[string]*template.Template
}

func newTemplates(a *assets, now func() time.Time) *templates {
	return &templates{now: now, base: sync.OnceValues(func() (*template.Template, error) {
		return template.New("").Funcs(functions(a)).Funcs(zoned(time.UTC, now)).ParseFS(sources, "templates/parts/*.html")
	})}
}

// in gives the pages for a zone.
func (t *templates) in(zone *time.Location) (*localized, error) {
	return t.inZones.Get(context.Background(), zone.String(), func(context.Context) (*localized, error) {
		return &localized{zone: zone, all: t, pages: make(map[string]*template.Template)}, nil
	})
}

// page parses a page, once.
func (l *localized) page(name string) (*template.Template, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.pages[name]; ok {
		return t, nil
	}
	base, err := l.all.base()
	if err != nil {
		return nil, err
	}
	t, err := base.Clone()
	if err == nil {
		t, err = t.Funcs(zoned(l.zone, l.all.now)).ParseFS(sources, path.Join("templates", name+".html"))
	}
	if err != nil {
		return nil, err
	}
	l.pages[name] = t
	return t, nil
}

func (l *localized) execute(w io.Writer, page, part string, v *view) error {
	t, err := l.page(page)
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, part, v)
}

// zoned are the functions that depend on where the viewer is.
func zoned(zone *time.Location, now func() time.Time) template.FuncMap {
	return template.FuncMap{
		// time shows a time of a log: HH:MM:SS today, with the day before.
		"time": func(t time.Time) template.HTML { return moment(t, now(), zone) },
		// precise is a time of a log with its milliseconds.
		"precise": func(t time.Time) template.HTML { return precise(t, zone) },
		// clock is HH:MM, for axes.
		"clock": func(t time.Time) string { return t.In(zone).Format("15:04") },
		// until and since say how far away a time is.
		"until": func(t time.Time) string { return about(max(0, t.Sub(now()))) },
		"since": func(t time.Time) string { return about(max(0, now().Sub(t))) },
	}
}

// functions are what templates can call, besides those of [zoned].
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset": a.path,
		// icon is a picture beside a word, which says the same.
		"icon": func(name string) (template.HTML, error) {
			sprite, err := a.path("icons.svg")
			spins := ""
			if name == "run" {
				spins = " i-run"
			}
			//nolint:gosec // names that templates have
			return template.HTML(`<svg class="i` + spins + `" aria-hidden="true"><use href="` + sprite + `#i-` + name + `"/></svg>`), err
		},
		"text":        text,
		"tone":        tone,
		"bytes":       func(b []byte) template.HTML { return text(string(b)) },
		"plain":       plain,
		"code":        code,
		"duration":    duration,
		"size":        size,
		"number":      number,
		"short":       short,
		"join":        func(sep string, parts []string) string { return strings.Join(parts, sep) },
		"dict":        dict,
		"strings":     func(s ...string) []string { return s },
		"plural":      plural,
		"sentence":    sentence,
		"senders":     sendersOf,
		"badge":       badgeOf,
		"environment": environmentName,
		"environments": func() []option {
			options := make([]option, len(boathook.Environments))
			for i, e := range boathook.Environments {
				options[i] = option{Value: string(e), Text: environmentName(e)}
			}
			return options
		},
		"inc": func(n int) int { return n + 1 },
	}
}

// dict makes an argument of a part of several values: dict "Name" "url" "Label" "URL".
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d values, want pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: a name is %T", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// badge is a status, with the icon and the word beside its colour.
type badge struct{ Class, Icon, Text string }

// badgeOf is how the status of a delivery or a run is shown.
func badgeOf(status any) badge {
	switch fmt.Sprint(status) {
	case string(boathook.DeliverySucceeded):
		return badge{"s-ok", "check", "Succeeded"}
	case string(boathook.DeliveryFailed):
		return badge{"s-bad", "x", "Failed"}
	case string(boathook.DeliveryRetrying):
		return badge{"s-warn", "retry", "Retrying"}
	case string(boathook.DeliveryCanceled):
		return badge{"s-idle", "slash", "Canceled"}
	case string(boathook.RunRunning):
		return badge{"s-live", "run", "Running"}
	case string(boathook.RunPending):
		return badge{"s-idle", "wait", "Pending"}
	}
	return badge{"s-idle", "wait", sentence(fmt.Sprint(status))}
}

func environmentName(e boathook.Environment) string {
	if e == "" {
		return "Every environment"
	}
	return sentence(string(e))
}
