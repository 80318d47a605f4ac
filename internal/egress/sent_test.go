package egress_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

func TestACharacterThatCanNotBeSentIsNamed(t *testing.T) {
	client := egress.New(egress.Config{})
	for tail, want := range map[string]string{
		"/?q=a b":      `" " can't be sent in a URL: percent-encode it, as %20`,
		"/a b":         `" " can't be sent in a URL: percent-encode it, as %20`,
		"?q=\n":        `"\n" can't be sent in a URL: percent-encode it, as %0A`,
		"/?name=José":  `"é" can't be sent in a URL: percent-encode it, as %C3%A9`,
		"/{secret}/ x": `"{" can't be sent in a URL: percent-encode it, as %7B`,
	} {
		var invalid *boathook.Error
		if err := client.CheckURL("url", "https://example.com"+tail); !errors.As(err, &invalid) || invalid.Message != want {
			t.Errorf("%q: got %v, want %s", tail, err, want)
		}
	}
}

// FuzzAURLThatPassesIsSentAsItIs gives CheckURL a path and query, and sends what
// passes to a server.
func FuzzAURLThatPassesIsSentAsItIs(f *testing.F) {
	for b := range 256 {
		f.Add(fmt.Sprintf("/a%sb", []byte{byte(b)}))
		f.Add(fmt.Sprintf("/?a%sb", []byte{byte(b)}))
		f.Add(fmt.Sprintf("/%%2F%s%%41", []byte{byte(b)})) // an escape that a new encoding would lose
	}
	for _, tail := range []string{
		"", "?", "/?", "//", "/..", "/./a/../b", "/%", "/%4", "/%zz", "/?%", "/?%zz", "/%41%2f%2F", "/a;b=c", "/*", "/a?b?c", "/é/ü", "/?\u00a0",
		"/\u202e", "/ HTTP/1.1\r\nX: y\r\n\r\n", "/?a HTTP/1.0", "?a=b#", "/#", "/a:b", "/:", "/@", "/[::1]", "/a//b", "/?a=b&&c=d;e",
	} {
		f.Add(tail)
	}
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.RequestURI }))
	f.Cleanup(server.Close)
	client := egress.New(local)
	f.Fuzz(func(t *testing.T, tail string) {
		if tail != "" && tail[0] != '/' && tail[0] != '?' {
			return // it would be part of the host
		}
		if client.CheckURL("url", server.URL+tail) != nil {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+tail, strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("%q passes, and is no URL: %v", tail, err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%q passes, and can't be sent: %v", tail, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%q passes, and the server answers %s", tail, resp.Status)
		}
		want := tail
		if !strings.HasPrefix(tail, "/") {
			want = "/" + tail // HTTP has no empty path
		}
		if got := <-asked; got != want {
			t.Errorf("%q is sent as %q", tail, got)
		}
	})
}
