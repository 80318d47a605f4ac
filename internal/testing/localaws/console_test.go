package localaws_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"boathook/internal/testing/localaws"
)

// browser is somebody who looks at a stack's console, without JavaScript.
type browser struct {
	*stack
	client http.Client
}

// visitor opens a browser that has no cookies.
func (s *stack) visitor() *browser {
	return &browser{s, http.Client{Jar: jar{}}}
}

// jar has a browser's cookies by name. Unlike the library's it sends those that are for
// https to this machine too, as browsers do.
type jar map[string]*http.Cookie

func (j jar) SetCookies(_ *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		if j[c.Name] = c; c.MaxAge < 0 {
			delete(j, c.Name)
		}
	}
}

func (j jar) Cookies(*url.URL) []*http.Cookie { return slices.Collect(maps.Values(j)) }

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

// links are the paths of consoles and portals that a page leads to, and those of the parts that a
// script would load into it.
func (p page) links() (paths []string) {
	for n := range p.root.Descendants() {
		for _, name := range []string{"href", "src", "hx-get"} {
			ref := attribute(n, name)
			if ref == "" || ref[0] == '#' {
				continue
			}
			if to, err := p.url.Parse(ref); err == nil && to.Host == p.url.Host && (strings.HasPrefix(to.Path, "/console/") || strings.HasPrefix(to.Path, "/portal/")) {
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

// perKind is how many pages and forms of a kind are tried: what the first is about may be
// empty, or gone.
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
	in := walk{browser: s.visitor(), made: made, until: "/portal/"}
	in.to(in.open("/portal/enter", url.Values{"token": {made.portal}}).url.Path)
	in.wants(portalChanges)

	b.againWhileRunsAreLate(made.run)
	b.againWithoutQueues(made.run)
	other := s.visitor()
	other.signIn(made.agent.token)
	s.forgetLoad(made.agent.id)
	for range 3 { // of two at most one is of another minute than the one before
		if p := other.again(made.ofTask); p.status != http.StatusOK || strings.HasSuffix(p.url.Path, made.ofTask) {
			t.Errorf("an agent's run started again leads to %s: %d %s", p.url, p.status, p.problems())
		}
	}
	s.fail(s.crossed("ConsoleFunction"))
	w := walk{browser: b, made: made, until: "/console/sign-in"}
	w.to(append([]string{"/console/"}, made.paths...)...)
	w.wants(changes)
	if p := b.open("/console/", nil); p.url.Path != "/console/sign-in" {
		t.Errorf("signed out, it sees %s", p.url)
	}
}

// walk is somebody's way through all pages and forms.
type walk struct {
	*browser
	made  furniture
	until string // the page at which it ends

	opened, accepted map[string]bool
	opens, sends     map[string]int // by kind
	queue            []string
	forms            []form
}

// to opens pages and each that they lead to, and sends each form that is there.
func (w *walk) to(paths ...string) {
	w.t.Helper()
	w.opened, w.accepted = map[string]bool{}, map[string]bool{}
	w.opens, w.sends = map[string]int{}, map[string]int{}
	w.queue = paths
	w.crawl()
	for len(w.forms) > 0 {
		// What deletes comes last, of a source after what is below it, and signing out at the very end.
		slices.SortStableFunc(w.forms, func(a, b form) int {
			return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(strings.Count(b.path, "/"), strings.Count(a.path, "/")))
		})
		f := w.forms[0]
		w.forms = w.forms[1:]
		p := w.open(f.path, w.made.filled(f))
		if f.values.Has("key") { // a double click: it happens once
			p = w.open(f.path, f.values)
		}
		switch {
		case p.status >= 500:
			w.t.Errorf("POST %s: answered %d %s", f.path, p.status, p.text)
		case p.status < 400 || p.url.Path != f.path: // or on to another page, whether that is there or not
			w.accepted[f.kind()] = true
		default:
			w.t.Logf("POST %s: answered %d: %s", f.path, p.status, p.problems())
		}
		if p.url.Path == w.until {
			return
		}
		w.look(p)
		w.crawl()
	}
}

// look notes where a page leads.
func (w *walk) look(p page) {
	w.queue = append(w.queue, p.links()...)
	for _, f := range p.forms() {
		if key := f.key(); w.sends[key] < perKind {
			w.sends[key]++
			w.forms = append(w.forms, f)
		}
	}
}

func (w *walk) crawl() {
	w.t.Helper()
	for ; len(w.queue) > 0; w.queue = w.queue[1:] {
		path, kind := w.queue[0], kindOf(w.queue[0])
		if w.opened[path] || w.opens[kind] >= perKind {
			continue
		}
		w.opened[path] = true
		w.opens[kind]++
		p := w.open(path, nil)
		switch {
		case p.status >= 500:
			w.t.Errorf("GET %s: answered %d %s", path, p.status, p.text)
		case p.status >= 400:
			w.t.Logf("GET %s: answered %d", path, p.status)
		case strings.HasPrefix(path, "/console/assets/"):
			if cached := p.header.Get("Cache-Control"); cached != "public, max-age=31536000, immutable" {
				w.t.Errorf("GET %s: Cache-Control is %q", path, cached)
			}
		default:
			w.look(p)
		}
	}
}

// wants has each kind of form have been accepted once at least.
func (w *walk) wants(kinds []string) {
	w.t.Helper()
	for _, kind := range kinds {
		if !w.accepted[kind] {
			w.t.Errorf("no POST of %s was accepted, of %v", kind, slices.Sorted(maps.Keys(w.accepted)))
		}
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
	case "delete", "revoke", "archive":
		return 2
	case "enabled", "cancel":
		return 1
	}
	return 0
}

// changes are the kinds of forms of the console of which one at least must be accepted.
var changes = []string{
	"/console/deployments", "/console/crews", "/console/repositories", "/console/apps", "/console/customers",
	"/console/deliveries/*/resend", "/console/event-types", "/console/event-types/report.made", "/console/event-types/report.made/archive",
	"/console/deployments/*/outgoing", "/console/deployments/*/outgoing/preview", "/console/deployments/*/outgoing/*/edit",
	"/console/deployments/*/outgoing/*/enabled", "/console/deployments/*/outgoing/*/test", "/console/deployments/*/outgoing/*/rotate",
	"/console/deployments/*/outgoing/*/recover", "/console/apps/*/outgoing/*/replay", "/console/deployments/*/outgoing/*/delete",
}

// portalChanges are those of a customer's portal.
var portalChanges = []string{"/portal/customers/*/outgoing", "/portal/customers/*/outgoing/*/test"}

// furniture is what a console has to show.
type furniture struct {
	typed  map[string]string // what somebody types, by a field's name
	portal string            // the token of a link to a customer's portal
	paths  []string          // of pages that lists may not lead to among the first of their kind
	run    string            // one that is over
	agent  *agent            // of another workspace
	ofTask string            // a run of the agent that is over
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
	made.typed = map[string]string{"url": url, "own_events": "report.made", "source": "customer:acme", "type": "report.made", "data": `{"a":1}`}
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
	made.run = s.call("GET", "/v1/runs?limit=1", "", 200)["runs"].([]any)[0].(object)["id"].(string)
	s.call("POST", trigger, `{`, 400)
	made.paths = append(made.paths, s.tried(path), s.inLine())
	s.watched()
	for _, queue := range []string{"Runs", "Deliveries", "Retries"} {
		if err := s.Send(s.t.Context(), queue+"DeadLetterQueue", undecodable); err != nil {
			s.t.Fatal(err)
		}
	}
	app := id(s.call("POST", "/v1/apps", `{"name":"shop"}`, 201))
	s.call("PATCH", "/v1/apps/"+app+"/events", `{"event_retention_days":1}`, 200)
	out("/v1/apps/"+app, "job_finished", "")
	s.call("POST", "/v1/events", fmt.Sprintf(`{"source":%q,"type":"job_finished","data":%s}`, app, example(s.t, s, "job_finished")), 202)
	s.call("PUT", "/v1/event-types/report.made", `{"description":"x"}`, 200)
	for _, external := range []string{"acme", "visitor"} {
		customer := "/v1/customers/" + id(s.call("POST", "/v1/customers", fmt.Sprintf(`{"name":"a","external_id":%q}`, external), 201))
		s.call("PATCH", customer+"/events", `{"event_retention_days":1}`, 200)
		s.call("POST", "/v1/events", fmt.Sprintf(`{"source":"customer:%s","type":"report.made","data":{"noise":%q}}`, external, noise(20_000)), 202)
		out(customer, "*", "")
		made.portal = s.call("POST", customer+"/portal", "", 201)["url"].(string)
	}
	repository := id(s.call("POST", "/v1/repositories", `{"owner":"acme","name":"site"}`, 201))
	out("/v1/repositories/"+repository, "build_finish", "")
	out("/v1/alerts", "webhook.failing", "")
	made.agent = s.agent(target)
	made.ofTask = made.agent.trigger(`{}`)
	made.agent.finished(made.ofTask)
	s.call("POST", "/v1/tokens", `{"name":"a viewer","role":"viewer"}`, 201)
	for range 3 { // two runs', and the app's
		next(s.t, requests)
	}
	return made
}

// tried makes a delivery of which two attempts have failed, and gives its page.
func (s *stack) tried(source string) (page string) {
	s.t.Helper()
	url, _ := receiver(s.t, func(w http.ResponseWriter, _ int, _ received) { w.WriteHeader(http.StatusServiceUnavailable) })
	webhook := source + "/outgoing-webhooks/" + s.call("POST", source+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"never well","url":%q,"events":["run.failed"],"environment":"production","retry":{"schedule_seconds":[1]}}`, url), 201)["id"].(string)
	s.call("POST", webhook+"/test", "", 202)
	d := s.eventually("two attempts have failed", func() object {
		if list := s.deliveries(webhook); len(list) == 1 && list[0]["attempt_count"] == 2.0 {
			return list[0]
		}
		return nil
	})
	return "/console/deliveries/" + d["id"].(string)
}

// inLine has a run stand in line behind one that does not end, and gives its page.
func (s *stack) inLine() (page string) {
	s.t.Helper()
	closed := make(chan struct{})
	target, executed := receiver(s.t, func(http.ResponseWriter, int, received) { <-closed })
	s.t.Cleanup(func() { close(closed) })
	path, trigger := s.deployment(target)
	s.call("PATCH", path, `{"max_in_flight":1}`, 200)
	s.call("POST", trigger, `{}`, 202)
	next(s.t, executed)
	id := s.call("POST", trigger, `{}`, 202)["run_id"]
	s.waits(id)
	return fmt.Sprint("/console/runs/", id)
}

// watched has somebody watch the workspace by an API token, which the console will delete.
func (s *stack) watched() {
	s.t.Helper()
	token := s.call("POST", "/v1/tokens", `{"name":"watcher","role":"viewer"}`, 201)
	opens := s.call("GET", "/api/v1/ws-token", "", 200, "Authorization", fmt.Sprint("Bearer ", token["token"]))["token"].(string)
	w := connect(s.t, s.webSockets()+"?token="+opens)
	before := s.calls.of("StreamFunction PutItem 200")
	w.subscribe("ws_default")
	s.eventually("it watches", func() object {
		if s.calls.of("StreamFunction PutItem 200") == before {
			return nil
		}
		return object{}
	})
}

// again has a run started again by its page.
func (b *browser) again(run string) (answered page) {
	b.t.Helper()
	for _, f := range b.open("/console/runs/"+run, nil).forms() {
		if strings.HasSuffix(f.path, "/again") {
			answered = b.open(f.path, f.values)
		}
	}
	return answered
}

// againWhileRunsAreLate has a run started again by its page while runs start late, but
// while they are waited for: that is marked, and then the mark is taken away.
func (b *browser) againWhileRunsAreLate(run string) {
	b.t.Helper()
	var taken atomic.Bool
	b.fail(func(c localaws.Call) int {
		if c.From == "ExecuteFunction" && c.Action == "PutItem" {
			time.Sleep(1300 * time.Millisecond)
		}
		if c.From == "ConsoleFunction" && c.Action == "DeleteItem" && bytes.Contains(c.Request, []byte("backlog#")) {
			taken.Store(true)
		}
		return 0
	})
	b.eventually("the mark is taken away by the console", func() object {
		b.run(path.Base(b.again(run).url.Path)) // one at a time: many would be later still
		if !taken.Load() {
			return nil
		}
		return object{}
	})
	b.fail(nothing)
}

// againWithoutQueues has a run started again by its page while no queue takes a message:
// the run that was recorded is taken back.
func (b *browser) againWithoutQueues(run string) {
	b.t.Helper()
	var taken atomic.Bool
	b.fail(func(c localaws.Call) int {
		switch {
		case c.From != "ConsoleFunction":
		case c.Service == "AmazonSQS":
			return http.StatusInternalServerError
		case c.Action == "DeleteItem" && bytes.Contains(c.Request, []byte(`"run#`)):
			taken.Store(true)
		}
		return 0
	})
	if p := b.again(run); p.status != http.StatusServiceUnavailable || !taken.Load() {
		b.t.Errorf("started again without queues: %d %s; its record is taken back: %v", p.status, p.problems(), taken.Load())
	}
	b.fail(nothing)
}
