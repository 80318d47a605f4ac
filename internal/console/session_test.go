package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

func TestNobodySeesAPageWithoutSigningIn(t *testing.T) {
	s := newSite(t)
	for _, pattern := range s.console.Pages() {
		v := s.visitor()
		v.open(strings.TrimSuffix(strings.NewReplacer("{", "", "}", "").Replace(pattern), "$"))
		if !strings.HasPrefix(v.page.path, "/console/sign-in") {
			t.Errorf("%s is shown at %s", pattern, v.page.path)
		}
	}
}

func TestSigningInLeadsToThePageThatWasAskedFor(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	v.open("/console/deliveries?status=failed")
	v.sees("Sign in")
	v.send("/console/sign-in", url.Values{"token": {adminToken}, "to": {"/console/deliveries?status=failed"}})
	v.at("/console/deliveries?status=failed")
	v.sees("Stack admin")

	for _, elsewhere := range []string{"https://evil.example/", "//evil.example/", "/v1/tokens", "/console/\\evil", "/console/\r\nX: y"} {
		v := s.visitor()
		v.send("/console/sign-in", url.Values{"token": {adminToken}, "to": {elsewhere}})
		v.at("/console/")
	}
}

func TestAWrongTokenIsRefused(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	for _, token := range []string{"", "bh_wrong", adminToken + "x", strings.Repeat("x", 10000)} {
		v.send("/console/sign-in", url.Values{"token": {token}})
		v.refused(http.StatusUnauthorized, "This is not a token")
		v.seesNot("bh_wrong")
	}
	if strings.Contains(s.log.String(), "bh_wrong") {
		t.Errorf("the log has a token: %s", s.log)
	}
}

func TestASessionEndsWithItsTokenAndItsTime(t *testing.T) {
	s := newSite(t)
	text, id := s.token("ops-laptop", boathook.Member)
	v := s.signedIn(text)
	v.sees("ops-laptop")
	s.pass(11*time.Hour + 59*time.Minute)
	v.open("/console/deployments")
	v.at("/console/deployments")
	s.pass(time.Minute)
	v.open("/console/deployments")
	v.sees("Your session ended")

	v = s.signedIn(text)
	admin, err := s.service.Callers.Find(t.Context(), adminToken)
	if err == nil {
		err = s.service.Tokens.Delete(t.Context(), admin, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.open("/console/deployments")
	v.sees("Your session ended")
	v.seesNot("There are no deployments yet")
}

func TestSigningOutEndsTheSession(t *testing.T) {
	s := newSite(t)
	v := s.signedIn(adminToken)
	v.send("/console/sign-out", url.Values{})
	v.sees("Sign in")
	v.open("/console/deployments")
	v.sees("API token")
}

func TestASessionOfAnotherKeyOrAChangedOneIsNone(t *testing.T) {
	s, other := newSite(t), newSite(t)
	v := s.signedIn(adminToken)
	at, _ := url.Parse(s.server.URL + "/console/")
	cookie := v.client.Jar.Cookies(at)[0]
	if !regexp.MustCompile(`^[A-Za-z0-9_=-]{100,1000}$`).MatchString(cookie.Value) {
		t.Errorf("the session is %q", cookie.Value)
	}
	half := len(cookie.Value) / 2
	for _, value := range []string{cookie.Value[:half] + "A" + cookie.Value[half+1:], cookie.Value[:half], "", "x"} {
		stranger := other.visitor()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/console/deployments", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		if got := stranger.do(r); !strings.HasPrefix(got.path, "/console/sign-in") {
			t.Errorf("%q shows %s", value, got.path)
		}
	}
}

func TestAFormNeedsTheProofOfItsSession(t *testing.T) {
	s := newSite(t)
	v := s.signedIn(adminToken)
	text, _ := s.token("other", boathook.Admin)
	stolen := csrfOf(t, s.signedIn(text))
	for _, proof := range []string{"", "x", stolen, stolen[:40], strings.Repeat("A", len(stolen))} {
		v.send("/console/deployments", url.Values{"name": {"forged"}, "csrf": {proof}})
		v.refused(http.StatusForbidden, "not of your session")
	}
	v.open("/console/deployments")
	v.seesNot("forged")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/console/deployments", strings.NewReader(url.Values{"name": {"forged"}, "csrf": {csrfOf(t, v)}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	v.do(r)
	v.refused(http.StatusForbidden, "another site")
}

// csrfOf is the proof of the page that a visitor sees.
func csrfOf(t *testing.T, v *visitor) string {
	t.Helper()
	found := csrf.FindStringSubmatch(v.page.body)
	if found == nil {
		t.Fatalf("%s has no form", v.page.path)
	}
	return html.UnescapeString(found[1])
}

func TestWhatWasTypedOutlivesTheSession(t *testing.T) {
	s := newSite(t)
	v := s.signedIn(adminToken)
	v.open("/console/deployments/new")
	s.pass(13 * time.Hour)
	v.send("/console/deployments", url.Values{"name": {`nightly "close" & <b>more</b>`}})
	v.refused(http.StatusUnauthorized, "What you typed is kept")
	kept := regexp.MustCompile(`name="kept" value="([^"]*)"`).FindStringSubmatch(v.page.body)
	if kept == nil {
		t.Fatalf("nothing is kept: %s", v.page.body)
	}
	v.send("/console/sign-in", url.Values{"token": {adminToken}, "to": {"/console/deployments"}, "kept": {html.UnescapeString(kept[1])}})
	v.sees("Send it")
	name := regexp.MustCompile(`name="name" value="([^"]*)"`).FindStringSubmatch(v.page.body)
	if name == nil {
		t.Fatalf("the form is gone: %s", v.page.body)
	}
	v.send("/console/deployments", url.Values{"name": {html.UnescapeString(name[1])}})
	v.sees(`nightly &#34;close&#34; &amp; &lt;b&gt;more&lt;/b&gt;`)
}

func TestALinkOfAFirstVisitSignsInOnce(t *testing.T) {
	s := newSite(t)
	path := s.console.Visit(adminToken)
	page, code, _ := strings.Cut(path, "#code=")
	if page != "/console/sign-in" || len(code) < 26 {
		t.Fatalf("the link is %s", path)
	}
	v := s.visitor()
	v.send(page, url.Values{"code": {code}})
	v.at("/console/")
	again := s.visitor()
	again.send(page, url.Values{"code": {code}})
	again.refused(http.StatusUnauthorized, "This link was used")

	_, code, _ = strings.Cut(s.console.Visit(adminToken), "#code=")
	s.pass(10 * time.Minute)
	again.send(page, url.Values{"code": {code}})
	again.refused(http.StatusUnauthorized, "over ten minutes old")
}

func TestTheCookieOfASessionIsOutOfReach(t *testing.T) {
	s := newSite(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/console/sign-in", strings.NewReader("token="+adminToken))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answered, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answered.Body.Close()
	for _, c := range answered.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/console/" || c.MaxAge != 12*60*60 {
			t.Errorf("the cookie is %s", c)
		}
	}
	if len(answered.Cookies()) != 1 {
		t.Errorf("the cookies are %v", answered.Cookies())
	}
}

func TestAPageAllowsNothingButItsOwnFiles(t *testing.T) {
	s := newSite(t)
	v := s.signedIn(adminToken)
	policy := v.page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if got := v.page.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a page is kept: %q", got)
	}
	if strings.Contains(v.page.body, "style=") || strings.Contains(v.page.body, " onclick") {
		t.Error("a page has an inline style or script")
	}
}

func TestAViewerIsShownNothingToChange(t *testing.T) {
	s := newSite(t)
	text, _ := s.token("looks", boathook.Viewer)
	v := s.signedIn(text)
	v.open("/console/deployments")
	v.seesNot("Add deployment")
	v.seesNot("Operations")
	v.send("/console/deployments", url.Values{"name": {"mine"}})
	v.refused(http.StatusForbidden, "needs a token with the role member")
	v.open("/console/deployments/new")
	v.refused(http.StatusForbidden, "Not allowed")
}
