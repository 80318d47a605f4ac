package console

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/securecookie"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// sessionLife is how long somebody stays signed in.
const sessionLife = 12 * time.Hour

const (
	sessionCookie = "boathook_session"
	toastCookie   = "boathook_toast"
	themeCookie   = "boathook_theme" // written by console.js
	zoneCookie    = "boathook_zone"  // written by console.js

	csrfField = "csrf"
)

// session is who is signed in, as the cookie has it: signed, and readable by whoever
// holds it. It is good while the token is.
type session struct {
	TokenHash []byte         `json:"t"`
	Caller    service.Caller `json:"c"`
	Name      string         `json:"n"` // the token's
	Workspace string         `json:"w"` // the workspace's name
	Ends      time.Time      `json:"e"`

	csrf []byte // what this session's forms prove; derived from the cookie
}

var errNoSession = boathook.Errorf(boathook.Unauthorized, "Sign in first")

// codec signs and reads what is kept with browsers. The console's own clock ends
// sessions, so that the codec's has nothing to say.
func (c *Console) codec(ctx context.Context) (*securecookie.SecureCookie, []byte, error) {
	secret, err := c.cfg.Key(ctx)
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "boathook console session v1", 32)
	if err != nil {
		return nil, nil, err
	}
	codec := securecookie.New(key, nil)
	codec.SetSerializer(securecookie.JSONEncoder{})
	codec.MaxAge(0)
	return codec, key, nil
}

// session reads who is signed in. The error is Unauthorized if nobody is.
func (c *Console) session(r *http.Request) (session, error) {
	s, err := c.sessionIn(r, sessionCookie)
	if err == nil && !c.cfg.Now().Before(s.Ends) {
		return session{}, errNoSession
	}
	return s, err
}

// sessionIn reads who has a cookie, also if the session has ended.
func (c *Console) sessionIn(r *http.Request, name string) (session, error) {
	cookie, err := r.Cookie(name)
	if err != nil {
		return session{}, errNoSession
	}
	codec, key, err := c.codec(r.Context())
	if err != nil {
		return session{}, err
	}
	var s session
	if err := codec.Decode(name, cookie.Value, &s); err != nil {
		return session{}, errNoSession
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("csrf\n" + cookie.Value))
	s.csrf = mac.Sum(nil)
	return s, nil
}

// checkSession finds out whether a session's token is still good, with the role that it
// had. The error is Unauthorized if it is not.
func (c *Console) checkSession(ctx context.Context, s session) error {
	if len(s.TokenHash) != sha256.Size {
		return errNoSession
	}
	caller, err := c.cfg.Service.Callers.FindByHash(ctx, [sha256.Size]byte(s.TokenHash))
	if err == nil && caller != s.Caller {
		return errNoSession
	}
	return err
}

// csrfToken is a proof that a form is of this session. It differs each time, so that a
// compressed page tells nothing of it.
func (s *session) csrfToken() string {
	token := make([]byte, 2*len(s.csrf))
	mask := token[:len(s.csrf)]
	rand.Read(mask)
	subtle.XORBytes(token[len(mask):], mask, s.csrf)
	return base64.RawURLEncoding.EncodeToString(token)
}

var errForged = boathook.Errorf(boathook.Forbidden, "This form is not of your session. Load the page again, and send it then")

func (s *session) checkCSRF(token string) error {
	given, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(s.csrf) == 0 || len(given) != 2*len(s.csrf) {
		return errForged
	}
	proof := make([]byte, len(s.csrf))
	subtle.XORBytes(proof, given[:len(s.csrf)], given[len(s.csrf):])
	if !hmac.Equal(proof, s.csrf) {
		return errForged
	}
	return nil
}

// cookie makes a cookie for the console's pages. maxAge is in seconds; negative: the
// browser forgets it.
func (r *request) cookie(name, value string, maxAge int) *http.Cookie {
	made := &http.Cookie{
		Name: name, Value: value, Path: r.Base() + "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(httpjson.PublicURL(r.Request, r.console.cfg.PublicURL), "https:"),
	}
	if r.visit != nil {
		forFrames(made, r.Request)
	}
	return made
}

// signInFirst answers who is not signed in. What was typed into a form is kept in the
// page of the sign-in, and shown again after it.
func (c *Console) signInFirst(w http.ResponseWriter, r *http.Request) {
	to := r.URL.RequestURI()
	ended := false
	if _, err := r.Cookie(sessionCookie); err == nil {
		ended = true
	}
	if r.Header.Get("HX-Request") != "" { // a part of a page: the whole of it goes there
		w.Header().Set("HX-Redirect", "/console/sign-in")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPost {
		path := "/console/sign-in"
		q := url.Values{}
		if to != "/console/" {
			q.Set("to", to)
		}
		if ended {
			q.Set("ended", "1")
		}
		if len(q) > 0 {
			path += "?" + q.Encode()
		}
		http.Redirect(w, r, path, http.StatusSeeOther)
		return
	}
	c.showSignIn(w, r, signIn{To: to, Ended: true, Kept: kept(r.PostForm)}, nil)
}

// signIn is what the page of the sign-in shows.
type signIn struct {
	To    string
	Ended bool
	Kept  string // a form that was sent without a session, encoded
}

// kept encodes a form for another try.
func kept(form url.Values) string {
	form.Del(csrfField)
	return form.Encode()
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, in signIn, problem error) {
	req := &request{Request: r, console: c}
	v := view{Title: "Sign in", Data: in, Form: form{}.has("token")}
	status := http.StatusOK
	e, refused := errors.AsType[*boathook.Error](problem)
	switch {
	case refused:
		v.Form = v.Form.wrong(&boathook.Error{Kind: e.Kind, Field: "token", Message: e.Message})
		status = e.Kind.Status()
	case problem != nil:
		c.write(w, req, answer{}, problem)
		return
	case in.Kept != "":
		status = http.StatusUnauthorized
	}
	a, err := req.render("sign-in", "bare", v, status)
	c.write(w, req, a, err)
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c.showSignIn(w, r, signIn{To: q.Get("to"), Ended: q.Has("ended")}, nil)
}

// signIn opens a session with an API token, or with a code that [Console.Visit] has made.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*maxForm) // it may hold a form that waits
	if err := r.ParseForm(); err != nil {
		c.write(w, &request{Request: r, console: c}, answer{}, formError(err))
		return
	}
	in := signIn{To: r.PostForm.Get("to"), Kept: r.PostForm.Get("kept")}
	token := strings.TrimSpace(r.PostForm.Get("token"))
	if code := r.PostForm.Get("code"); code != "" {
		token = c.visits.take(code)
		if token == "" {
			c.showSignIn(w, r, in, boathook.Errorf(boathook.Unauthorized, "This link was used, or is over ten minutes old. Sign in with a token"))
			return
		}
	}
	value, err := c.open(r.Context(), token)
	if boathook.IsKind(err, boathook.Unauthorized) {
		err = boathook.Errorf(boathook.Unauthorized, "This is not a token of this Boathook, or it was revoked")
	}
	if err != nil {
		c.showSignIn(w, r, in, err)
		return
	}
	req := &request{Request: r, console: c}
	cookie := req.cookie(sessionCookie, value, int(sessionLife/time.Second))
	http.SetCookie(w, cookie)
	if in.Kept != "" && req.local(in.To) {
		c.sendKept(w, r, in, cookie)
		return
	}
	to := "/console/"
	if req.local(in.To) {
		to = in.To
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// open makes the value of a session's cookie.
func (c *Console) open(ctx context.Context, token string) (string, error) {
	caller, err := c.cfg.Service.Callers.Find(ctx, token)
	if err != nil {
		return "", err
	}
	hash := boathook.HashToken(token)
	s := session{TokenHash: hash[:], Caller: caller, Ends: c.cfg.Now().Add(sessionLife)}
	var mine boathook.Token
	var workspace boathook.Workspace
	err = beside(func() (err error) {
		mine, err = c.cfg.Service.Tokens.Mine(ctx, caller)
		return err
	}, func() (err error) {
		workspace, err = c.cfg.Service.Workspaces.Mine(ctx, caller)
		return err
	})
	if err != nil {
		return "", err
	}
	s.Name, s.Workspace = mine.Name, workspace.Name
	if caller.Stack {
		s.Name = "Stack admin"
	}
	return c.seal(ctx, sessionCookie, s)
}

// seal makes the value of a cookie of this name.
func (c *Console) seal(ctx context.Context, name string, s session) (string, error) {
	codec, _, err := c.codec(ctx)
	if err != nil {
		return "", err
	}
	return codec.Encode(name, s)
}

// sendKept shows a form that waited for the sign-in, ready to be sent.
func (c *Console) sendKept(w http.ResponseWriter, r *http.Request, in signIn, cookie *http.Cookie) {
	r = r.Clone(r.Context())
	r.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
	s, err := c.session(r)
	req := &request{Request: r, console: c, session: s, caller: s.Caller}
	var a answer
	if err == nil {
		a, err = req.render("send-kept", "bare", sendKeptView(in.To, in.Kept, "/console/"), http.StatusOK)
	}
	c.write(w, req, a, err)
}

// sendKeptView is the page of a form that waited, for who may leave it and go home.
func sendKeptView(to, kept, home string) view {
	values, err := url.ParseQuery(kept)
	if err != nil {
		values = nil
	}
	return view{Title: "Send what you typed", Data: map[string]any{"To": to, "Values": values, "Home": home}, Form: form{}}
}

// signOut ends the session in this browser.
func (c *Console) signOut(_ context.Context, r *request) (answer, error) {
	head := http.Header{"Location": {"/console/sign-in"}}
	head.Add("Set-Cookie", r.cookie(sessionCookie, "", -1).String())
	return answer{status: http.StatusSeeOther, header: head}, nil
}

// A toast travels in a cookie to the page after a redirect.
func encodeToast(s string) string {
	b, _ := json.Marshal(s) //nolint:errchkjson // a string always marshals
	return base64.RawURLEncoding.EncodeToString(b)
}

func toastOf(value string) (s string) {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(b, &s) != nil {
		return ""
	}
	return boathook.Shorten(s, 300)
}
