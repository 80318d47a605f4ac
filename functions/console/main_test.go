package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/testing/stack"
)

type (
	request  = awsevents.APIGatewayV2HTTPRequest
	response = awsevents.APIGatewayV2HTTPResponse
)

// function is the console behind its HTTP API, and a browser's cookies.
type function struct {
	*stack.Stack
	t       *testing.T
	handler any
	cookies []string
}

// newFunction makes the console, with some variables that differ from the stack's.
func newFunction(t *testing.T, variables map[string]string) *function {
	t.Helper()
	s := stack.New(t)
	maps.Copy(s.Env, variables)
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	return &function{Stack: s, t: t, handler: handler}
}

// send sends an event with the cookies, and keeps those of the answer.
func (f *function) send(e request) response {
	f.t.Helper()
	e.Cookies = f.cookies
	got := stack.Invoke[request, response](f.t, f.handler, e)
	for _, cookie := range got.Cookies {
		pair, _, _ := strings.Cut(cookie, ";")
		f.cookies = append(f.cookies, pair)
	}
	return got
}

func (f *function) page(path string) response {
	f.t.Helper()
	e := events.Load[request](f.t, "console/not-signed-in")
	e.RawPath, e.RequestContext.HTTP.Path = path, path
	return f.send(e)
}

func TestThePayloadsAreAnswered(t *testing.T) {
	f := newFunction(t, nil)
	for _, tc := range []struct {
		name, location, want string
		status               int
	}{
		{name: "console/sign-in-page", status: http.StatusOK, want: `name="token"`},
		{name: "console/not-signed-in", status: http.StatusSeeOther, location: "/console/sign-in?to=%2Fconsole%2Fdeployments"},
		{name: "console/sign-in", status: http.StatusSeeOther, location: "/console/deployments"},
		{name: "console/not-signed-in", status: http.StatusOK, want: "Deployments"}, // with the session's cookie
	} {
		got := f.send(events.Load[request](t, tc.name))
		if got.StatusCode != tc.status || got.Headers["Location"] != tc.location || !strings.Contains(got.Body, tc.want) {
			t.Errorf("%s: answered %d, to %q: %s", tc.name, got.StatusCode, got.Headers["Location"], got.Body)
		}
	}
}

// The address that users see decides whether browsers send the cookies by https alone:
// API Gateway's own, that of the stack's domain, or one in front of it, whose requests
// come with API Gateway's host.
func TestSessionsAreCookiesOfTheAddressThatUsersSee(t *testing.T) {
	for _, url := range []string{"", "https://hooks.example.com"} {
		f := newFunction(t, map[string]string{"BOATHOOK_PUBLIC_URL": url})
		e := events.Load[request](t, "console/sign-in")
		if url != "" {
			e.Headers["origin"] = url
		}
		got := f.send(e)
		if got.StatusCode != http.StatusSeeOther || len(got.Cookies) != 1 {
			t.Fatalf("at %q: answered %d %s with the cookies %q", url, got.StatusCode, got.Body, got.Cookies)
		}
		for _, attribute := range []string{"; Path=/console/", "; HttpOnly", "; Secure", "; SameSite=Lax", "; Max-Age=43200"} {
			if !strings.Contains(got.Cookies[0], attribute) {
				t.Errorf("at %q: the cookie %q lacks %q", url, got.Cookies[0], attribute)
			}
		}
		if page := f.page("/console/deployments"); page.StatusCode != http.StatusOK {
			t.Errorf("at %q: with the cookie, the page is answered %d", url, page.StatusCode)
		}
		e.Headers["origin"] = "https://evil.example"
		if got := f.send(e); got.StatusCode != http.StatusForbidden {
			t.Errorf("at %q: another site's form is answered %d", url, got.StatusCode)
		}
	}
}

var assetPath = regexp.MustCompile(`/console/assets/[^"#]+`)

func TestPagesAndAssetsAreCompressed(t *testing.T) {
	f := newFunction(t, nil)
	f.Calls()
	asked := []string{"/console/sign-in"}
	for i := 0; i < len(asked); i++ {
		e := events.Load[request](t, "console/sign-in-page")
		e.RawPath, e.Headers["accept-encoding"] = asked[i], "gzip, deflate, br"
		got := f.send(e)
		text := []byte(got.Body)
		if got.Headers["Content-Encoding"] == "gzip" {
			packed, err := base64.StdEncoding.DecodeString(got.Body)
			if err != nil || !got.IsBase64Encoded {
				t.Fatalf("%s: compressed and not in base64: %v", asked[i], err)
			}
			r, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		} else if len(got.Body) > 4096 {
			t.Errorf("%s: %d bytes are not compressed", asked[i], len(got.Body))
		}
		if got.StatusCode != http.StatusOK || len(text) == 0 {
			t.Errorf("%s: answered %d with %d bytes", asked[i], got.StatusCode, len(text))
		}
		if i > 0 {
			if cached := got.Headers["Cache-Control"]; cached != "public, max-age=31536000, immutable" {
				t.Errorf("%s: Cache-Control is %q", asked[i], cached)
			}
			continue
		}
		asked = append(asked, assetPath.FindAllString(string(text), -1)...)
		slices.Sort(asked[1:])
		asked = slices.Compact(asked)
	}
	if len(asked) < 4 {
		t.Errorf("the page refers to %v", asked[1:])
	}
	if calls := f.Calls(); len(calls) != 0 {
		t.Errorf("who is not signed in has AWS asked %v", stack.Actions(calls))
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "ConsoleFunction")
}
