package paths_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"boathook/internal/paths"
)

func TestNoPathIsRedirected(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/a/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Name", r.PathValue("name"))
		w.Header().Set("Query", r.URL.RawQuery)
	})
	for target, want := range map[string]struct {
		status int
		name   string
	}{
		"/a/b":           {200, "b"},
		"//a/b":          {200, "b"},
		"/a//b":          {200, "b"},
		"/a///b?q=//x":   {200, "b"},
		"/./a/b":         {200, "b"},
		"/x/../a/b":      {200, "b"},
		"/../../a/b":     {200, "b"},
		"//a/b%2F%2Fc":   {200, "b//c"},
		"//a/%2e%2e":     {200, ".."},
		"//a/%25":        {200, "%"},
		"/a/b//":         {404, ""},
		"//":             {404, ""},
		"//example.org/": {404, ""},
	} {
		w := httptest.NewRecorder()
		paths.Clean(mux).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://a.example"+target, nil))
		if w.Code != want.status || w.Header().Get("Name") != want.name {
			t.Errorf("%s: answered %d, the name is %q", target, w.Code, w.Header().Get("Name"))
		}
		if target == "/a///b?q=//x" && w.Header().Get("Query") != "q=//x" {
			t.Errorf("the query has become %q", w.Header().Get("Query"))
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, path := range []string{"/a//b", "/%2e/..", "/%/", "//", "/a/%2f/../b"} {
		f.Add(path)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		if paths.Clean(mux).ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("%q: answered %d %s", path, w.Code, w.Header().Get("Location"))
		}
	})
}
