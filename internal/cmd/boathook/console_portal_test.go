package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"boathook/internal/testing/browser"
)

// portalLink makes a link to a customer's portal, and gives its path.
func portalLink(p *program, customer string) string {
	p.t.Helper()
	link := p.call("POST", "/v1/customers/"+customer+"/portal", "", 201)["url"].(string)
	return strings.TrimPrefix(link, p.url)
}

// A customer follows a link, and sets up a webhook of its own.
func TestACustomersPortal(t *testing.T) {
	p, w := filled(t)
	p.call("PATCH", "/v1/portal-settings", `{"name":"Kestrel Freight","accent":"#7a2d63"}`, 200)
	for _, look := range []browser.Look{{}, {Width: browser.Phone, Dark: true}} {
		t.Run(look.String(), func(t *testing.T) {
			page := browser.Open(t, p.url, portalLink(p, w.Customer), look)
			page.See("Kestrel Freight, for Halvard Bryggeri AS", "Warehouse listener", "Accounting")
			page.Unseen("Boathook", "Deployments", "Settings", "Portal link")
			if strings.Contains(page.URL(), "token") {
				t.Errorf("the token stays at %s", page.URL())
			}
			home := "/portal/customers/" + w.Customer
			for i, path := range []string{"", "/deliveries", "/events", "/events/" + w.Event, "/outgoing/new"} {
				page.Go(home + path)
				page.Fits()
				page.Accessible()
				if *screenshots != "" {
					page.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("portal-%d-%s.png", i, look)))
				}
			}
			page.See("Kestrel Freight")
			page.Fill("Name", "From the portal")
			page.Fill("URL", w.Receivers.URL+"/own")
			page.Click("order.shipped")
			page.Click("Create webhook")
			page.See("Copy the signing secret now", "whsec_")
			page.Accessible()
			page.Click("I have stored the secret")
			page.See("From the portal", "Send a test")
			page.Click("Send a test")
			page.See("A test is being sent")
			page.Click("Webhooks")
			page.See("From the portal")
		})
	}
	ended := p.call("POST", "/v1/customers/"+w.Customer+"/portal", `{"expires_seconds":1}`, 201)["url"].(string)
	token := ended[strings.Index(ended, "=")+1:]
	page := browser.Open(t, p.url, "/portal/", browser.Look{NoScript: true})
	page.See("Open your webhooks")
	page.Fill("Link", strings.Replace(ended, token, token+"x", 1))
	page.Allow("401")
	page.Click("Open")
	page.See("This is no link to a portal")
	page.Fill("Link", p.url+portalLink(p, w.Customer))
	page.Click("Open")
	page.See("Kestrel Freight, for Halvard Bryggeri AS", "Warehouse listener")

	// What is typed when the session ends is sent with the next link.
	page.Go("/portal/customers/" + w.Customer + "/outgoing/new")
	page.Fill("Name", "Typed before")
	page.Fill("URL", w.Receivers.URL+"/typed")
	page.Click("order.shipped")
	page.Forget()
	page.Click("Create webhook")
	page.See("What you typed was not sent")
	page.Fits()
	page.Fill("Link", p.url+portalLink(p, w.Customer))
	page.Click("Open")
	page.See("Your webhooks are open again")
	page.Click("Send it")
	page.See("Copy the signing secret now", "Typed before")
}

// framed is a portal as frames have it, behind a proxy that tells which of its pages are
// shown: a page that is refused has no stylesheet.
type framed struct {
	*httptest.Server
	opened, shown chan struct{} // one for each page of a customer, and for each stylesheet
}

func newFramed(t *testing.T, p *program) *framed {
	t.Helper()
	target, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	f := &framed{opened: make(chan struct{}, 100), shown: make(chan struct{}, 100)}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			switch path := r.Request.URL.Path; {
			case strings.HasPrefix(path, "/portal/customers/") && r.StatusCode == http.StatusOK:
				f.opened <- struct{}{}
			case strings.HasPrefix(path, "/portal/brand/"):
				r.Header.Set("Cache-Control", "no-store")
				f.shown <- struct{}{}
			}
			return nil
		},
	}
	f.Server = httptest.NewServer(proxy)
	t.Cleanup(f.Close)
	return f
}

// host is a site of its own with a page that has a frame. It is another site than the
// program's, which is called by its address.
func host(t *testing.T, src string) (origin string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="data:,"><h1>Our own page</h1><iframe title="Webhooks" src=%q width=900 height=600></iframe>`, src)
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// A portal is shown in a frame of a page that the workspace allows, with a session that
// the browser keeps for that page's site, and in no other.
func TestAPortalInAFrame(t *testing.T) {
	p, w := filled(t)
	f := newFramed(t, p)
	allowed, other := host(t, f.URL+portalLink(p, w.Customer)), host(t, f.URL+portalLink(p, w.Customer))
	p.call("PATCH", "/v1/portal-settings", `{"accent":"#7a2d63","frame_origins":["`+allowed+`"]}`, 200)

	page := browser.Open(t, other, "/", browser.Look{})
	page.Allow("frame-ancestors")
	page.See("Our own page")
	<-f.opened

	page = browser.Open(t, allowed, "/", browser.Look{})
	page.See("Our own page")
	<-f.opened
	<-f.shown
	if *screenshots != "" {
		page.Screenshot(filepath.Join(*screenshots, "portal-frame.png"))
	}
	if n := len(f.shown); n != 0 {
		t.Errorf("it is shown in %d other frames", n)
	}
}
