package console_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// portals is a site with customers, and a browser that follows links to their portals.
type portals struct {
	*site
	admin service.Caller
	jar   map[string]*http.Cookie
	host  string
}

func newPortals(t *testing.T) *portals {
	t.Helper()
	p := &portals{site: newSite(t), jar: map[string]*http.Cookie{}, host: "hooks.example.com"}
	p.now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var err error
	if p.admin, err = p.service.Callers.Find(t.Context(), adminToken); err != nil {
		t.Fatal(err)
	}
	return p
}

// customer makes a customer with a webhook.
func (p *portals) customer(name string) (id, webhook string) {
	p.t.Helper()
	s, err := p.service.Customers.Create(p.t.Context(), p.admin, service.CustomerChange{Name: &name})
	if err != nil {
		p.t.Fatal(err)
	}
	w, _, err := p.service.Outgoing.Create(p.t.Context(), p.admin, service.SourceRef{Kind: boathook.Customer, ID: s.ID}, service.OutgoingChange{
		Name: new("hook of " + name), URL: new("https://e.example/in"), Events: []boathook.EventType{"*"}, Metadata: map[string]string{"note": "secret note"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return s.ID, w.ID
}

// link is the token of a link to a customer's portal.
func (p *portals) link(customer string, life time.Duration) string {
	p.t.Helper()
	token, _, err := p.service.Customers.Portal(p.t.Context(), p.admin, customer, new(int(life/time.Second)))
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// page is what the browser shows.
type page struct {
	*http.Response
	body string
}

// do sends a request as the browser does, which keeps cookies and follows no redirect.
func (p *portals) do(method, path string, form url.Values) page {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, body)
	r.Host = p.host
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range p.jar {
		if strings.HasPrefix(r.URL.Path+"/", c.Path) {
			r.AddCookie(c)
		}
	}
	w := httptest.NewRecorder()
	p.console.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if p.jar[c.Name] = c; c.MaxAge < 0 {
			delete(p.jar, c.Name)
		}
	}
	return page{res, w.Body.String()}
}

// see gets a page, which has an answer's status and texts.
func (p *portals) see(status int, path string, texts ...string) page {
	p.t.Helper()
	got := p.do("GET", path, nil)
	p.has(got, status, path, texts...)
	return got
}

func (p *portals) has(got page, status int, what string, texts ...string) {
	p.t.Helper()
	if got.StatusCode != status {
		p.t.Fatalf("%s: %d, not %d: %s\n%s", what, got.StatusCode, status, got.body, p.log.String())
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			p.t.Errorf("%s does not say %q:\n%s", what, text, got.body[max(0, strings.Index(got.body, "<main")):])
		}
	}
}

// enter exchanges a link's token for a session, and gives the page that it leads to.
func (p *portals) enter(token string) (home string) {
	p.t.Helper()
	got := p.do("POST", "/portal/enter", url.Values{"token": {token}})
	p.has(got, http.StatusSeeOther, "the door")
	return got.Header.Get("Location")
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// send fills in a page's form and sends it.
func (p *portals) send(from, to string, values url.Values) page {
	p.t.Helper()
	found := csrf.FindStringSubmatch(p.see(200, from).body)
	if found == nil {
		p.t.Fatalf("%s has no form", from)
	}
	values.Set("csrf", found[1])
	return p.do("POST", to, values)
}

func TestALinkLeadsThroughTheDoorIntoThePortal(t *testing.T) {
	p := newPortals(t)
	customer, webhook := p.customer("Halvard <Bryggeri>")
	p.see(200, "/portal/", "Open your webhooks", `action="/portal/enter"`)
	token := p.link(customer, time.Hour)
	home := p.enter("https://hooks.example.com/portal/#token=" + token)
	if home != "/portal/customers/"+customer {
		t.Fatalf("the door leads to %s", home)
	}
	got := p.see(200, home, "Default", "Halvard &lt;Bryggeri&gt;", "hook of Halvard", home+"/deliveries", home+"/outgoing/"+webhook)
	for _, hidden := range []string{"/console/customers", "/console/deliveries", "Settings", "secret note", "side-foot", "Boathook"} {
		if strings.Contains(got.body, hidden) {
			t.Errorf("the portal has %q", hidden)
		}
	}
	if got := p.see(http.StatusSeeOther, "/portal/home"); got.Header.Get("Location") != home {
		t.Errorf("home is %s", got.Header.Get("Location"))
	}
	for _, path := range []string{"", "/deliveries", "/outgoing/new", "/outgoing/" + webhook, "/outgoing/" + webhook + "/edit", "/outgoing/" + webhook + "/rotate",
		"/outgoing/" + webhook + "/delete", "/outgoing/" + webhook + "/recover", "/outgoing/" + webhook + "/replay"} {
		got := p.see(200, home+path)
		if links := regexp.MustCompile(`(?:href|action|hx-post)="/console/(?:[^a]|a[^s])[^"]*"`).FindAllString(got.body, -1); len(links) > 0 {
			t.Errorf("%s leads out of the portal: %q", path, links)
		}
	}
	if strings.Contains(p.log.String(), token) {
		t.Error("the token is in the log")
	}
}

func TestAPortalSetsUpItsCustomersWebhooks(t *testing.T) {
	p := newPortals(t)
	customer, webhook := p.customer("Halvard")
	home := p.enter(p.link(customer, time.Hour))
	fields := url.Values{"name": {"mine"}, "url": {"https://mine.example"}, "events": {"*"}, "dialect": {"standard"}}
	if got := p.send(home+"/outgoing/new", home+"/outgoing", fields); got.StatusCode != 200 || !strings.Contains(got.body, "whsec_") {
		t.Errorf("made: %d %s", got.StatusCode, got.body)
	}
	p.see(200, home, "mine.example")
	fields.Set("queue_arn", "arn:aws:sqs:eu-central-1:111122223333:q")
	p.has(p.send(home+"/outgoing/new", home+"/outgoing", fields), http.StatusForbidden, "a queue, which the form has not")
	if got := p.send(home, home+"/outgoing/"+webhook+"/enabled", url.Values{}); got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), home) {
		t.Errorf("disabled: %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	p.see(200, home, "is disabled: nothing is sent to it")
	p.has(p.do("POST", home+"/outgoing/"+webhook+"/enabled", url.Values{"enabled": {"true"}}), http.StatusForbidden, "without the form's proof")
	if got := p.send(home, home+"/outgoing/"+webhook+"/enabled", url.Values{"enabled": {"true"}, "back": {"/console/tokens"}}); got.Header.Get("Location") != home {
		t.Errorf("it goes back to %s", got.Header.Get("Location"))
	}
	if got := p.send(home, home+"/outgoing/"+webhook+"/test", url.Values{}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("a test: %d %s", got.StatusCode, got.body)
	}
}

func TestAPortalHasNothingOfOthers(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	other, webhook := p.customer("Other")
	home := p.enter(p.link(customer, time.Hour))
	for _, path := range []string{"", "/deliveries", "/outgoing/" + webhook} {
		p.see(http.StatusNotFound, "/portal/customers/"+other+path)
	}
	p.see(http.StatusNotFound, home+"/outgoing/"+webhook)
	p.see(http.StatusNotFound, home+"/settings")
	p.see(http.StatusNotFound, "/portal/tokens")

	// A portal's session is none of the console's, and the other way round.
	portal := p.jar["boathook_portal"]
	portal.Name, portal.Path = "boathook_session", "/"
	p.jar = map[string]*http.Cookie{"boathook_session": portal}
	p.see(http.StatusSeeOther, "/console/customers")
	p.jar = map[string]*http.Cookie{}
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	p.see(200, "/console/customers", "Halvard")
	session := p.jar["boathook_session"]
	session.Name, session.Path = "boathook_portal", "/"
	p.jar = map[string]*http.Cookie{"boathook_portal": session}
	p.see(http.StatusUnauthorized, home, "Open your webhooks")
}

func TestALinkThatHasEndedSaysWhomToAsk(t *testing.T) {
	p := newPortals(t)
	if _, err := p.service.PortalSettings.Change(t.Context(), p.admin, service.PortalSettingsChange{Name: new(new("Kestrel Freight")), Accent: new(new("#7a2d63"))}); err != nil {
		t.Fatal(err)
	}
	customer, _ := p.customer("Halvard")
	token := p.link(customer, time.Hour)
	home := p.enter(token)
	p.pass(time.Hour - time.Second)
	p.see(200, home, "Kestrel Freight")
	p.pass(time.Second)
	for _, got := range []page{p.see(http.StatusGone, home), p.do("POST", home+"/outgoing", url.Values{}), p.do("POST", "/portal/enter", url.Values{"token": {token}})} {
		p.has(got, http.StatusGone, "after its end", "This link has ended", "Kestrel Freight", "/portal/brand/7a2d63.css")
		if strings.Contains(got.body, "Halvard") {
			t.Errorf("it shows the customer:\n%s", got.body)
		}
	}
	home = p.enter(p.link(customer, time.Hour))
	p.see(200, home)
	if err := p.service.Customers.Delete(t.Context(), p.admin, customer); err != nil {
		t.Fatal(err)
	}
	p.see(http.StatusGone, home, "This link has ended")
	p.has(p.do("POST", "/portal/enter", url.Values{"token": {"ws_local." + customer + ".1.x"}}), http.StatusUnauthorized, "a forged link", "This is no link to a portal")
}

func TestOnlyAllowedPagesHaveAPortalInAFrame(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	ancestors := func(got page) string {
		t.Helper()
		_, sources, ok := strings.Cut(got.Header.Get("Content-Security-Policy"), "frame-ancestors ")
		if !ok {
			t.Fatalf("the policy is %q", got.Header.Get("Content-Security-Policy"))
		}
		return sources
	}
	// The door leads to any portal, and so is not bound to one's frames.
	if got := ancestors(p.see(200, "/portal/")); got != "*" {
		t.Errorf("the door may be framed by %s", got)
	}
	home := p.enter(p.link(customer, time.Hour))
	if got := ancestors(p.see(200, home)); got != "'none'" {
		t.Errorf("at first it may be framed by %s", got)
	}
	origins := []string{"https://app.kestrel.example", "https://b.example:8443"}
	if _, err := p.service.PortalSettings.Change(t.Context(), p.admin, service.PortalSettingsChange{FrameOrigins: origins}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{home, home + "/nothing", "/portal/deliveries/x"} {
		if got := ancestors(p.do("GET", path, nil)); got != strings.Join(origins, " ") {
			t.Errorf("%s may be framed by %s", path, got)
		}
	}
	p.jar = map[string]*http.Cookie{}
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	if got := ancestors(p.see(200, "/console/customers")); got != "'none'" {
		t.Errorf("the console may be framed by %s", got)
	}
}

func TestAPortalsSessionWorksInAFrame(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	for host, framed := range map[string]bool{"hooks.example.com": true, "localhost:8080": true, "127.0.0.1:8080": true} {
		p.host = host
		p.enter(p.link(customer, time.Hour))
		c := p.jar["boathook_portal"]
		if c.Path != "/portal/" || !c.HttpOnly || c.Secure != framed || c.Partitioned != framed || c.SameSite != http.SameSiteNoneMode {
			t.Errorf("by %s: %+v", host, c)
		}
	}
}

func TestAPortalHasItsSendersColours(t *testing.T) {
	p := newPortals(t)
	change := service.PortalSettingsChange{Name: new(new("Kestrel Freight")), Accent: new(new("#7A2D63")), AccentDark: new(new("#E0A2CD"))}
	if _, err := p.service.PortalSettings.Change(t.Context(), p.admin, change); err != nil {
		t.Fatal(err)
	}
	customer, _ := p.customer("Halvard")
	home := p.enter(p.link(customer, time.Hour))
	const css = "/portal/brand/7a2d63-e0a2cd.css"
	p.see(200, home, css, "· Kestrel Freight</title>", `<span class="logo" aria-hidden="true">K</span>`)
	got := p.see(200, css, "--accent:light-dark(#7a2d63,#e0a2cd)", "--fill:", "--fill-hover:", "--accent-soft:")
	if !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the stylesheet has %v", got.Header)
	}
	for _, name := range []string{"ffcc00", "7a2d63-7a2d63", "x", "7a2d63;}", "7a2d63-e0a2cd-000000"} {
		if got := p.do("GET", "/portal/brand/"+url.PathEscape(name)+".css", nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
}

func TestTheConsoleMakesLinksToPortals(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	path := "/console/customers/" + customer
	p.see(200, path, path+"/portal")
	got := p.send(path+"/portal", path+"/portal", url.Values{"expires_seconds": {"86400"}})
	link := regexp.MustCompile(`https://hooks\.example\.com/portal/#token=[\w.-]+`).FindString(got.body)
	if got.StatusCode != 200 || link == "" || !strings.Contains(got.body, `title="2026-03-02 12:00:00.000 UTC"`) {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	p.has(p.send(path+"/portal", path+"/portal", url.Values{"expires_seconds": {"604801"}}), 400, "too long a life", "Must be from 1 to 604800")
	p.see(200, p.enter(link), "Halvard")
	p.see(http.StatusNotFound, "/console/customers/cus_absent/portal")
}

func TestCustomersAreFoundAndSetUp(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	p.customer("Other")
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	path := "/console/customers/" + customer + "/settings"
	fields := url.Values{"name": {"Halvard AS"}, "external_id": {"acct/1042 ü"}, "metadata": {"plan: team\n\n region : eu: west \n"}}
	p.has(p.send(path, path, fields), http.StatusSeeOther, "saved")
	p.see(200, path, `value="Halvard AS"`, `value="acct/1042 ü"`, "plan: team\nregion: eu: west</textarea>")
	if found := p.see(200, "/console/customers?external_id=acct%2F1042+%C3%BC", "Halvard AS"); strings.Contains(found.body, "Other") {
		t.Error("another one is found too")
	}
	p.see(200, "/console/customers?external_id=nobody", "No customer has this external id")
	fields.Set("metadata", "no colon")
	p.has(p.send(path, path, fields), 400, "notes", "Must be lines such as plan: team", "no colon</textarea>")
	p.has(p.send(path, path, url.Values{"name": {"x"}, "external_id": {""}, "metadata": {""}}), http.StatusSeeOther, "saved")
	s, err := p.service.Customers.Get(t.Context(), p.admin, customer)
	if err != nil || s.Name != "x" || s.Customer.ExternalID != "" || len(s.Customer.Metadata) != 0 {
		t.Errorf("it is %+v, %+v, %v", s, s.Customer, err)
	}
	p.has(p.send("/console/customers/"+customer+"/delete", "/console/customers/"+customer+"/delete", url.Values{}), http.StatusSeeOther, "deleted")
	p.see(http.StatusNotFound, path)
}

func TestTheLookOfPortalsIsSet(t *testing.T) {
	p := newPortals(t)
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	const path = "/console/portal-settings"
	fields := url.Values{"name": {"Kestrel"}, "accent": {"#ffcc00"}, "accent_dark": {""}, "frame_origins": {"https://a.example"}}
	p.has(p.send(path, path, fields), 400, "a colour that can't be read", "choose a darker colour", `value="#ffcc00"`, "https://a.example</textarea>")
	fields.Set("accent", "#7A2D63")
	fields.Set("frame_origins", "https://a.example\r\n https://B.example:443/\r\n")
	p.has(p.send(path, path, fields), http.StatusSeeOther, "saved")
	p.see(200, path, `value="Kestrel"`, `value="#7a2d63"`, "https://a.example\nhttps://b.example</textarea>")
	p.has(p.send(path, path, url.Values{"name": {""}, "accent": {""}, "accent_dark": {""}, "frame_origins": {""}}), http.StatusSeeOther, "taken away")
	if got, err := p.service.PortalSettings.Get(t.Context(), p.admin); err != nil || !got.IsZero() {
		t.Errorf("left are %+v, %v", got, err)
	}
}

func TestAnEventIsPublishedByHandAndFollowed(t *testing.T) {
	p := newPortals(t)
	customer, webhook := p.customer("Halvard")
	for _, name := range []boathook.EventType{"order.shipped", "order.delayed"} {
		if _, err := p.service.EventTypes.Put(t.Context(), p.admin, name, service.EventTypeInput{
			Description: new("An order."), Schema: []byte(`{"type":"object","required":["order"]}`), Example: []byte(`{"order":"<KF-1>"}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	p.see(200, "/console/customers/"+customer+"/events", "Nothing has happened yet", "/console/events?source="+customer)
	form := "/console/events?source=" + customer + "&type=order.shipped"
	got := p.see(200, form, "&#34;order&#34;: &#34;&lt;KF-1&gt;&#34;", "An order.", `value="`+customer+`"`)
	values := url.Values{
		"source": {customer}, "type": {"order.shipped"}, "data": {`{"order":"<KF-2>"}`}, "environment": {""}, "channels": {""},
		"csrf": {csrf.FindStringSubmatch(got.body)[1]}, "key": {regexp.MustCompile(`name="key" value="(\w+)"`).FindStringSubmatch(got.body)[1]},
	}
	for range 2 { // a form that is sent twice publishes once
		got := p.do("POST", "/console/events", values)
		p.has(got, http.StatusSeeOther, "published")
		p.see(200, got.Header.Get("Location"), "order.shipped is published, and goes to 1 webhook")
	}
	values.Set("data", `{"order":"another"}`)
	p.has(p.do("POST", "/console/events", values), http.StatusConflict, "with other data", "This form was sent before", "another")
	for field, bad := range map[string]url.Values{
		"data":     {"data": {`{"parcels":1}`}},
		"source":   {"source": {"customer:nobody"}},
		"channels": {"channels": {"a/b"}},
	} {
		send := url.Values{"source": {customer}, "type": {"order.shipped"}, "data": {`{"order":"x"}`}, "channels": {""}}
		send.Set(field, bad.Get(field))
		got := p.send("/console/events", "/console/events", send)
		if got.StatusCode < 400 || !strings.Contains(got.body, `id="`+field+`-e"`) {
			t.Errorf("%s: %d %s", field, got.StatusCode, got.body)
		}
	}

	list := p.see(200, "/console/customers/"+customer+"/events", "order.shipped", "{&#34;order&#34;:&#34;&lt;KF-2&gt;&#34;}", "1 event")
	event := regexp.MustCompile(`/console/customers/` + customer + `/events/(evt_\w+)`).FindString(list.body)
	p.see(200, event, "order.shipped", "&lt;KF-2&gt;", "Not sent to", "hook of Halvard")
	if strings.Contains(list.body, "<KF-2>") {
		t.Error("data is not escaped")
	}
	id := event[strings.LastIndex(event, "/")+1:]
	for _, other := range []string{"evt_absent", id + "x"} {
		p.see(http.StatusNotFound, "/console/customers/"+customer+"/events/"+other)
	}
	p.see(200, "/console/customers/"+customer+"/outgoing/"+webhook)

	// In the portal the same, without what is the workspace's to do.
	home := p.enter(p.link(customer, time.Hour))
	mine := p.see(200, home+"/events", "order.shipped", home+"/events/"+id)
	for _, hidden := range []string{"Publish", "/console/events", "Keep", "event_retention_days"} {
		if strings.Contains(mine.body, hidden) {
			t.Errorf("the portal has %q", hidden)
		}
	}
	p.see(200, home+"/events/"+id, "&lt;KF-2&gt;")
	p.has(p.do("POST", home+"/events", url.Values{}), http.StatusMethodNotAllowed, "retention, in a portal")
}

func TestTheRetentionOfEventsIsSet(t *testing.T) {
	p := newPortals(t)
	app, err := p.service.Apps.Create(t.Context(), p.admin, service.AppChange{Name: new("app")})
	if err != nil {
		t.Fatal(err)
	}
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {adminToken}}), http.StatusSeeOther, "sign-in")
	path := "/console/apps/" + app.ID + "/events"
	p.see(200, path, "No events are kept", `name="event_retention_days"`)
	p.has(p.send(path, path, url.Values{"event_retention_days": {"4000"}}), 400, "too many days", "from 0, for none, to 3653", `value="4000"`, `aria-invalid="true"`)
	p.has(p.send(path, path, url.Values{"event_retention_days": {""}}), 400, "no days", "Is required")
	p.has(p.send(path, path, url.Values{"event_retention_days": {"14"}}), http.StatusSeeOther, "kept")
	p.see(200, path, "Events are kept for 14 days", "Kept for 14 days", "Nothing has happened yet")
	p.has(p.send(path, path, url.Values{"event_retention_days": {"0"}}), http.StatusSeeOther, "not kept")
	p.see(200, path, "No events are kept")
}

func TestAFormThatIsSentAfterItsLinkHasEndedIsKept(t *testing.T) {
	p := newPortals(t)
	customer, _ := p.customer("Halvard")
	other, _ := p.customer("Other")
	home := p.enter(p.link(customer, time.Hour))
	proof := csrf.FindStringSubmatch(p.see(200, home+"/outgoing/new").body)[1]
	p.pass(time.Hour)
	typed := url.Values{"name": {"typed by <hand>"}, "url": {"https://typed.example"}, "events": {"*"}, "csrf": {proof}}
	ended := p.do("POST", home+"/outgoing", typed)
	p.has(ended, http.StatusGone, "the form", "This link has ended", "is kept on this page", `name="kept"`)
	kept := url.Values{"to": {home + "/outgoing"}, "kept": {keptIn(ended)}, "token": {"wrong"}}
	again := p.do("POST", "/portal/enter", kept)
	p.has(again, http.StatusUnauthorized, "a wrong link", "This is no link to a portal", "is kept on this page")
	if keptIn(again) != kept.Get("kept") || strings.Contains(keptIn(again), "csrf") {
		t.Errorf("it keeps %q of %q", keptIn(again), kept.Get("kept"))
	}
	kept.Set("token", p.link(customer, time.Hour))
	back := p.do("POST", "/portal/enter", kept)
	p.has(back, 200, "the new link", "Your webhooks are open again", "typed by &lt;hand&gt;", `action="`+home+`/outgoing"`, `href="`+home+`"`)
	typed.Set("csrf", csrf.FindStringSubmatch(back.body)[1])
	p.has(p.do("POST", home+"/outgoing", typed), 200, "what was kept", "whsec_")
	p.see(200, home, "typed.example")

	// The cookie is gone by then, or the new link is another customer's.
	p.jar = map[string]*http.Cookie{}
	p.has(p.do("POST", home+"/outgoing", typed), http.StatusUnauthorized, "without a session", "is kept on this page")
	kept.Set("token", p.link(other, time.Hour))
	p.has(p.do("POST", "/portal/enter", kept), http.StatusSeeOther, "another's link")
	kept.Set("to", "https://evil.example/")
	p.has(p.do("POST", "/portal/enter", kept), http.StatusSeeOther, "a form of another place")
}

// keptIn is the form that a page keeps.
func keptIn(p page) string {
	_, rest, _ := strings.Cut(p.body, `name="kept" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}
