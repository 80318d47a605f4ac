// Package paths keeps [http.ServeMux] from answering a request with a redirect.
// It sends one to a path that is not clean, such as /webhooks//runs, and many
// senders take the 307 for a success and never send again.
package paths

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Clean serves requests by h as if their paths were clean: without doubled slashes
// and without the segments "." and "..". A slash at the end stays.
func Clean(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A ServeMux looks at the path as it is escaped.
		escaped := r.URL.EscapedPath()
		if cleaned := clean(escaped); cleaned != escaped {
			r = withPath(r, cleaned)
		}
		h.ServeHTTP(w, r)
	})
}

// clean cleans an escaped path.
func clean(escaped string) string {
	if !strings.HasPrefix(escaped, "/") {
		escaped = "/" + escaped
	}
	cleaned := path.Clean(escaped)
	if strings.HasSuffix(escaped, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}

// withPath is a request with another path, which is escaped.
func withPath(r *http.Request, escaped string) *http.Request {
	unescaped, err := url.PathUnescape(escaped)
	if err != nil {
		panic(err) // what URL.EscapedPath gives is escaped, and cleaning splits no escape
	}
	u := *r.URL
	u.Path, u.RawPath = unescaped, escaped
	clone := *r
	clone.URL = &u
	return &clone
}
