package localaws_test

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// browser is somebody who looks at a stack's console, without JavaScript.
type browser struct {
	*stack
	client http.Client
}

// visitor opens a browser that has no cookies.
func (s *stack) visitor() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s, http.Client{Jar: jar}}
}

// page is what a browser shows.
type page struct {
	url    *url.URL // after redirects
	status int
	header http.Header
	root   *html.Node
	text   string // of the HTML
}

// open asks for a page: with a form, by a POST of it.
func (b *browser) open(path string, form url.Values) page {
	b.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.url)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res.Request.URL, res.StatusCode, res.Header, root, string(text)}
}

// signIn signs in with a token.
func (b *browser) signIn(token string) page {
	b.t.Helper()
	return b.open("/console/sign-in", url.Values{"token": {token}})
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// links are the console's paths that a page leads to, and those of the parts that a
// script would load into it.
func (p page) links() (paths []string) {
	for n := range p.root.Descendants() {
		for _, name := range []string{"href", "src", "hx-get"} {
			ref := attribute(n, name)
			if ref == "" || ref[0] == '#' {
				continue
			}
			if to, err := p.url.Parse(ref); err == nil && to.Host == p.url.Host && strings.HasPrefix(to.Path, "/console/") {
				paths = append(paths, to.RequestURI())
			}
		}
	}
	return paths
}

// form is one of a page's, as a browser would send it.
type form struct {
	path   string
	values url.Values
	must   []string   // what is to be typed
	boxes  url.Values // of each group of boxes to tick all values, though none is ticked
}

// forms are those that a page would post, and what a script would post of one.
func (p page) forms() (forms []form) {
	for n := range p.root.Descendants() {
		if n.DataAtom != atom.Form || attribute(n, "method") != "post" {
			continue
		}
		f := form{path: attribute(n, "action"), values: url.Values{}, boxes: url.Values{}}
		for field := range n.Descendants() {
			f.take(field)
		}
		forms = append(forms, f)
		for field := range n.Descendants() {
			if to := attribute(field, "hx-post"); to != "" {
				other := f
				other.path = to
				forms = append(forms, other)
			}
		}
	}
	return forms
}

// take takes what a field of a form begins with.
func (f *form) take(field *html.Node) {
	name, value := attribute(field, "name"), attribute(field, "value")
	if name == "" || has(field, "disabled") {
		return
	}
	switch field.DataAtom {
	case atom.Button:
		if !f.values.Has(name) {
			f.values.Set(name, value)
		}
		return
	case atom.Textarea:
		if field.FirstChild != nil {
			value = field.FirstChild.Data
		}
	case atom.Select:
		for o := range field.Descendants() {
			if o.DataAtom == atom.Option && (has(o, "selected") || !f.values.Has(name)) {
				value := attribute(o, "value")
				if !has(o, "value") && o.FirstChild != nil {
					value = o.FirstChild.Data
				}
				f.values.Set(name, value)
			}
		}
		return
	case atom.Input:
		if kind := attribute(field, "type"); (kind == "checkbox" || kind == "radio") && !has(field, "checked") {
			f.boxes.Add(name, value)
			return
		}
	default:
		return
	}
	f.values.Add(name, value)
	if value == "" && has(field, "required") {
		f.must = append(f.must, name)
	}
}

var anID = regexp.MustCompile(`\b(dep|crew|agent|repo|app|cus|out|in|run|ver|tok|evt|req|ws)_[A-Za-z0-9_-]+|[0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z0-9_-]{30,}`)

// kindOf is what pages of one kind have in common: their paths and queries but for ids
// and for values.
func kindOf(path string) string {
	path, query, _ := strings.Cut(path, "?")
	values, _ := url.ParseQuery(query)
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return anID.ReplaceAllString(path, "*") + "?" + strings.Join(names, "&")
}

// perKind is how many pages of a kind are opened: the first of its kind may be empty.
const perKind = 4

// pagesOfConsole has everything that the console shows be there, opens every page that
// another one leads to, and sends every form: under the role of the console's function, by
// which the calls of all pages and changes are held.
func pagesOfConsole(t *testing.T, s *stack) {
	b := s.visitor()
	if p := b.signIn("bh_wrong"); p.status != http.StatusUnauthorized || !strings.Contains(p.text, `name="token"`) {
		t.Errorf("a wrong token is answered %d %s", p.status, p.text)
	}
	if p := b.open("/console/deployments", nil); p.url.Path != "/console/sign-in" {
		t.Errorf("who is not signed in sees %s", p.url)
	}
	// The stack's first user, for whom the workspace is made.
	if p := b.signIn(s.token); p.status != http.StatusOK || p.url.Path != "/console/" {
		t.Fatalf("signed in, it is at %s: %d %s", p.url, p.status, p.text)
	}
	if p := b.open("/console/deployments", url.Values{"name": {"forged"}}); p.status != http.StatusForbidden {
		t.Errorf("a form without its token is answered %d", p.status)
	}

	made := furnish(s)
	opened, opens := map[string]bool{}, map[string]int{}
	sent, accepted := map[string]bool{}, map[string]bool{}
	var forms []form
	queue := append([]string{"/console/"}, made.paths...)
	look := func(p page) {
		queue = append(queue, p.links()...)
		for _, f := range p.forms() {
			if key := f.key(); !sent[key] {
				sent[key] = true
				forms = append(forms, f)
			}
		}
	}
	crawl := func() {
		for ; len(queue) > 0; queue = queue[1:] {
			path, kind := queue[0], kindOf(queue[0])
			if opened[path] || opens[kind] >= perKind {
				continue
			}
			opened[path] = true
			opens[kind]++
			p := b.open(path, nil)
			switch {
			case p.status >= 500:
				t.Errorf("GET %s: answered %d %s", path, p.status, p.text)
			case p.status >= 400:
				t.Logf("GET %s: answered %d", path, p.status)
			case strings.HasPrefix(path, "/console/assets/"):
				if cached := p.header.Get("Cache-Control"); cached != "public, max-age=31536000, immutable" {
					t.Errorf("GET %s: Cache-Control is %q", path, cached)
				}
			default:
				look(p)
			}
		}
	}
	crawl()
	// What deletes comes last, of a source after what is below it, and signing out at the very end.
	for len(forms) > 0 {
		slices.SortStableFunc(forms, func(a, b form) int {
			return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(strings.Count(b.path, "/"), strings.Count(a.path, "/")))
		})
		f := forms[0]
		forms = forms[1:]
		p := b.open(f.path, made.filled(f))
		switch {
		case p.status < 500 && p.url.Path != f.path: // on to another page, whether that is there or not
			accepted[f.kind()] = true
		case p.status >= 500:
			t.Errorf("POST %s: answered %d %s", f.path, p.status, p.text)
		case p.status >= 400:
			t.Logf("POST %s: answered %d: %s", f.path, p.status, p.problems())
		default:
			accepted[f.kind()] = true
		}
		if p.url.Path == "/console/sign-in" {
			break
		}
		look(p)
		crawl()
	}
	for _, kind := range changes {
		if !accepted[kind] {
			t.Errorf("no POST of %s was accepted, of %v", kind, slices.Sorted(maps.Keys(accepted)))
		}
	}
	if p := b.open("/console/", nil); p.url.Path != "/console/sign-in" {
		t.Errorf("signed out, it sees %s", p.url)
	}
}

func (f form) kind() string { return strings.TrimSuffix(kindOf(f.path), "?") }

// key is what forms of one kind have in common.
func (f form) key() string {
	names := make([]string, 0, len(f.values))
	for name := range f.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return kindOf(f.path) + " " + strings.Join(names, " ")
}

// rank says when a form is sent.
func (f form) rank() int {
	switch last := f.path[strings.LastIndexByte(f.path, '/')+1:]; last {
	case "sign-out":
		return 3
	case "delete", "revoke":
		return 2
	case "enabled", "cancel":
		return 1
	}
	return 0
}

// changes are the kinds of forms of which one at least must be accepted.
var changes = []string{
	"/console/deployments", "/console/crews", "/console/repositories", "/console/apps", "/console/customers",
	"/console/deliveries/*/resend",
	"/console/deployments/*/outgoing", "/console/deployments/*/outgoing/preview", "/console/deployments/*/outgoing/*/edit",
	"/console/deployments/*/outgoing/*/enabled", "/console/deployments/*/outgoing/*/test", "/console/deployments/*/outgoing/*/rotate",
	"/console/deployments/*/outgoing/*/recover", "/console/apps/*/outgoing/*/replay", "/console/deployments/*/outgoing/*/delete",
}

// furniture is what a console has to show.
type furniture struct {
	typed map[string]string // what somebody types, by a field's name
	paths []string          // of pages that lists don't lead to
}

// filled is a form with what somebody types into it, who ticks the first of boxes.
func (m furniture) filled(f form) url.Values {
	for name := range f.values {
		typed, known := m.typed[name]
		if f.values.Get(name) == "" && known {
			f.values.Set(name, typed)
		}
	}
	for _, name := range f.must {
		if f.values.Get(name) == "" {
			f.values.Set(name, "typed")
		}
	}
	for name, values := range f.boxes {
		if (len(values) > 1 || name == "events") && !f.values.Has(name) {
			f.values.Set(name, values[0])
		}
	}
	return f.values
}

// problems are the errors that a page shows beside fields, or instead of itself.
func (p page) problems() (texts []string) {
	for n := range p.root.Descendants() {
		if class := attribute(n, "class"); n.DataAtom == atom.Title || class == "err" || strings.Contains(class, "s-bad") {
			for text := range n.Descendants() {
				if text.Type == html.TextNode {
					texts = append(texts, text.Data)
				}
			}
		}
	}
	return texts
}

// furnish has something of everything be there.
func furnish(s *stack) (made furniture) {
	target, _ := receiver(s.t, echo)
	url, requests := receiver(s.t, func(w http.ResponseWriter, number int, _ received) {
		if number%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	made.typed = map[string]string{"url": url, "own_events": "report.made"}
	id := func(answer object) string { return answer["id"].(string) }
	out := func(path, events, more string) {
		s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(`{"name":"out","url":%q,"events":[%q],%s"retry":{"schedule_seconds":[]}}`, url, events, more), 201)
	}
	path, trigger := s.deployment(target)
	s.call("PATCH", path+"/events", `{"event_retention_days":1}`, 200)
	out(path, "run.succeeded", `"environment":"production",`)
	for _, body := range []string{`{"a":1}`, `{"noise":"` + noise(20_000) + `"}`} {
		s.run(s.call("POST", trigger, body, 202)["run_id"])
	}
	s.call("POST", trigger, `{`, 400)
	app := id(s.call("POST", "/v1/apps", `{"name":"shop"}`, 201))
	s.call("PATCH", "/v1/apps/"+app+"/events", `{"event_retention_days":1}`, 200)
	out("/v1/apps/"+app, "job_finished", "")
	s.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, app, example(s.t, s, "job_finished")), 202)
	s.call("PUT", "/v1/event-types/report.made", `{"description":"x"}`, 200)
	customer := "/v1/customers/" + id(s.call("POST", "/v1/customers", `{"name":"Acme","external_id":"acme"}`, 201))
	s.call("PATCH", customer+"/events", `{"event_retention_days":1}`, 200)
	s.call("POST", "/v1/events", fmt.Sprintf(`{"source":"customer:acme","type":"report.made","data":{"noise":%q}}`, noise(20_000)), 202)
	out(customer, "*", "")
	repository := id(s.call("POST", "/v1/repositories", `{"owner":"acme","name":"site"}`, 201))
	out("/v1/repositories/"+repository, "build_finish", "")
	out("/v1/alerts", "webhook.failing", "")
	a := s.agent(target)
	a.finished(a.trigger(`{}`))
	s.call("POST", "/v1/tokens", `{"name":"a viewer","role":"viewer"}`, 201)
	for range 3 { // two runs', and the app's
		next(s.t, requests)
	}
	return made
}
