package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"boathook/internal/boathook"
	"boathook/internal/palette"
	"boathook/internal/service"
)

// A customer's portal has the console's pages of that customer's webhooks, deliveries and
// events, below /portal and in the sender's colours. Whoever follows a link to it gets a
// session of its own, in a cookie that no page of the console takes.
const (
	portalBase   = "/portal"
	portalCookie = "boathook_portal"
)

// portalRoutes has the pages of portals. What they are allowed is the service's to say.
func (c *Console) portalRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+portalBase, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, portalBase+"/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET "+portalBase+"/{$}", func(w http.ResponseWriter, r *http.Request) { c.showDoor(w, r, nil) })
	mux.HandleFunc("POST "+portalBase+"/enter", c.enterPortal)
	mux.HandleFunc("GET "+portalBase+"/brand/{colours}", c.brand)
	c.visitorGet(mux, portalBase+"/home", func(_ context.Context, r *request) (answer, error) {
		return r.redirect(r.pathOf(portalOf(r.caller)), "")
	})
	c.visitorGet(mux, portalBase+"/", c.notFound)

	p := place{boathook.Customer, portalBase + "/customers/{source}"}
	c.outgoingRoutes(p, func(path string, h ofSource) { c.visitorGet(mux, path, p.at(h)) }, func(path string, h ofSource) { c.visitorPost(mux, path, p.at(h)) })
	c.visitorGet(mux, portalBase+"/deliveries/{delivery}", c.deliveryPage)
	c.visitorPost(mux, portalBase+"/deliveries/{delivery}/resend", c.resend)
}

// portalOf is the customer whose portal a caller is in.
func portalOf(c service.Caller) service.SourceRef {
	return service.SourceRef{Kind: boathook.Customer, ID: c.Customer}
}

// visitor makes the request of somebody in a portal. Whether the customer is still there,
// and what the portal looks like, is found out while the page is made. The error is
// Unauthorized without a session.
func (c *Console) visitor(r *http.Request) (*request, error) {
	s, err := c.sessionIn(r, portalCookie)
	if err == nil && s.Caller.Customer == "" {
		err = errNoSession
	}
	if err != nil {
		return nil, err
	}
	var v service.PortalVisit
	found := make(chan struct{})
	go func() {
		defer close(found)
		if v, err = c.cfg.Service.Callers.Portal(r.Context(), s.Caller); err == nil && !c.cfg.Now().Before(s.Ends) {
			err = errEnded
		}
	}()
	return &request{Request: r, console: c, session: s, caller: s.Caller, visit: func() (service.PortalVisit, error) {
		<-found
		return v, err
	}}, nil
}

var errEnded = boathook.Errorf(boathook.Gone, "The link that you followed has ended")

// visitorGet has a page in portals at a pattern.
func (c *Console) visitorGet(mux *http.ServeMux, path string, h handler) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		req, err := c.visitor(r)
		if err != nil {
			c.showDoor(w, r, err)
			return
		}
		made, err := h(r.Context(), req)
		c.writeVisitor(w, req, made, err)
	})
}

// visitorPost has a change in portals at a pattern.
func (c *Console) visitorPost(mux *http.ServeMux, path string, h handler) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		unread := r.ParseForm()
		req, err := c.visitor(r)
		if err != nil {
			c.showDoor(w, r, err)
			return
		}
		var made answer
		if unread != nil {
			err = formError(unread)
		}
		if err == nil {
			err = req.session.checkCSRF(r.PostForm.Get(csrfField))
		}
		if err == nil {
			_, err = req.visit()
		}
		if err == nil {
			made, err = h(r.Context(), req)
		}
		c.writeVisitor(w, req, made, err)
	})
}

// writeVisitor sends a page of a portal, which the origins that the workspace allows may
// have in a frame; or, if the link has ended, who can make another.
func (c *Console) writeVisitor(w http.ResponseWriter, r *request, made answer, err error) {
	v, closed := r.visit()
	if closed != nil {
		c.closePortal(w, r.Request, v, closed)
		return
	}
	frames := cmp.Or(strings.Join(v.Look.FrameOrigins, " "), "'none'")
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, origin(c.webSocketURL(r.Request)), frames))
	c.write(w, r, made, err)
}

// showDoor is the page that a link leads to. Its token is behind a #, which no server
// sees, so that a script hands it in. The page has nothing that anybody must not see, and
// is in a frame before it is known of whose portal.
func (c *Console) showDoor(w http.ResponseWriter, r *http.Request, problem error) {
	_, other := c.sessionIn(r, portalCookie)
	v := view{Title: "Open your webhooks", Form: form{}.has("token"), Portal: &service.PortalVisit{}, Data: doorOf(r, other == nil)}
	status := http.StatusOK
	if e, ok := errors.AsType[*boathook.Error](problem); ok {
		status = e.Kind.Status()
		if e.Kind != boathook.Unauthorized || r.Method == http.MethodPost {
			v.Form = v.Form.wrong(&boathook.Error{Kind: e.Kind, Field: "token", Message: e.Message})
		}
	}
	c.showBare(w, r, "portal-door", v, status, problem)
}

// door is what the page that a link leads to shows.
type door struct {
	In   bool // who looks is in a portal already
	To   string
	Kept string // a form that was sent after its link had ended, encoded; empty: none
}

// doorOf keeps a form that was sent from a portal's page, until a new link is followed.
func doorOf(r *http.Request, in bool) door {
	switch to := r.PostForm.Get("to"); {
	case r.Method != http.MethodPost:
		return door{In: in}
	case r.URL.Path == portalBase+"/enter":
		return door{In: in, To: to, Kept: r.PostForm.Get("kept")}
	}
	return door{To: r.URL.RequestURI(), Kept: kept(r.PostForm)}
}

// closePortal tells that a link has ended, and whom to ask.
func (c *Console) closePortal(w http.ResponseWriter, r *http.Request, visit service.PortalVisit, problem error) {
	if !boathook.IsKind(problem, boathook.Gone) {
		c.showBare(w, r, "portal-door", view{}, 0, problem)
		return
	}
	c.showBare(w, r, "portal-ended", view{Title: "This link has ended", Form: form{}.has("token"), Portal: &visit, Data: doorOf(r, false)}, http.StatusGone, nil)
}

// showBare shows a page to who has no session. problem, if it is the stack's own, takes its
// place.
func (c *Console) showBare(w http.ResponseWriter, r *http.Request, name string, v view, status int, problem error) {
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, origin(c.webSocketURL(r)), "*"))
	req := &request{Request: r, console: c}
	if _, told := errors.AsType[*boathook.Error](problem); problem != nil && !told {
		c.write(w, req, answer{}, problem)
		return
	}
	a, err := req.render(name, "portal-bare", v, status)
	c.write(w, req, a, err)
}

// enterPortal exchanges the token of a link for a session, which ends with the link.
func (c *Console) enterPortal(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*maxForm) // it may hold a form that waits
	if err := r.ParseForm(); err != nil {
		c.showDoor(w, r, formError(err))
		return
	}
	token := strings.TrimSpace(r.PostForm.Get("token"))
	if _, behind, ok := strings.Cut(token, "#token="); ok { // the whole link
		token = behind
	}
	visit, err := c.cfg.Service.Callers.FindPortal(r.Context(), token)
	switch {
	case boathook.IsKind(err, boathook.Gone):
		c.closePortal(w, r, visit, err)
		return
	case boathook.IsKind(err, boathook.Unauthorized):
		err = boathook.Errorf(boathook.Unauthorized, "This is no link to a portal. Copy the whole of it, to its end")
	}
	var value string
	if err == nil {
		value, err = c.seal(r.Context(), portalCookie, session{Caller: visit.Caller, Ends: visit.Until})
	}
	if err != nil {
		c.showDoor(w, r, err)
		return
	}
	req := &request{Request: r, console: c, visit: func() (service.PortalVisit, error) { return visit, nil }}
	cookie := req.cookie(portalCookie, value, int(visit.Until.Sub(c.cfg.Now())/time.Second)+endedFor)
	http.SetCookie(w, cookie)
	home := req.pathOf(portalOf(visit.Caller))
	if d := doorOf(r, true); d.Kept != "" && ofPortal(d.To, home) {
		c.sendKeptInPortal(w, req, d, home, cookie)
		return
	}
	http.Redirect(w, r, home, http.StatusSeeOther)
}

// ofPortal reports whether a path is of a page of the portal with this home.
func ofPortal(path, home string) bool {
	return strings.HasPrefix(path, home+"/") || strings.HasPrefix(path, portalBase+"/deliveries/")
}

// sendKeptInPortal shows a form that waited for a new link, ready to be sent.
func (c *Console) sendKeptInPortal(w http.ResponseWriter, r *request, d door, home string, cookie *http.Cookie) {
	r.Request = r.Clone(r.Context())
	r.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
	var a answer
	var err error
	if r.session, err = c.sessionIn(r.Request, portalCookie); err == nil {
		a, err = r.render("send-kept", "portal-bare", sendKeptView(d.To, d.Kept, home), http.StatusOK)
	}
	c.writeVisitor(w, r, a, err)
}

// endedFor is for how many seconds a browser knows of a session that has ended, to be told
// whom to ask for another.
const endedFor = 7 * 24 * 60 * 60

// forFrames lets a cookie be of use in a frame of another site's page, where that has one
// for itself. Browsers take such cookies by https, and on the same machine.
func forFrames(cookie *http.Cookie, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if cookie.Secure || host == "localhost" || err == nil && ip.IsLoopback() {
		cookie.Secure, cookie.SameSite, cookie.Partitioned = true, http.SameSiteNoneMode, true
	}
}

// brand is the stylesheet of a portal's colours, which are its name: 7a2d63.css, or
// 7a2d63-e0a2cd.css with a colour for dark pages.
func (c *Console) brand(w http.ResponseWriter, r *http.Request) {
	accent, dark, two := strings.Cut(strings.TrimSuffix(r.PathValue("colours"), ".css"), "-")
	if two {
		dark = "#" + dark
	}
	p, err := palette.New("#"+accent, dark)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	fmt.Fprint(w, p.CSS())
}

// Brand is where the stylesheet of a portal's colours is; empty: it has the console's.
func (v *view) Brand() string {
	if v.Portal == nil || v.Portal.Look.Accent == "" {
		return ""
	}
	name := strings.TrimPrefix(v.Portal.Look.Accent, "#")
	if dark := v.Portal.Look.AccentDark; dark != "" {
		name += "-" + strings.TrimPrefix(dark, "#")
	}
	return portalBase + "/brand/" + name + ".css"
}

// Product is whose page this is.
func (v *view) Product() string {
	if v.Portal != nil {
		return v.Portal.Sender
	}
	return "Boathook"
}

// Initial is the letter in the place of a sender's logo.
func (v *view) Initial() string {
	for _, r := range v.Product() {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}
