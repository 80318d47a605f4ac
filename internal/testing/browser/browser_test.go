package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"boathook/internal/testing/browser"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

const home = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Home</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head><body><main><h1>Home</h1>
<form method="post" action="/save">
<label>Name <input name="name" value="before"></label>
<label for="kind">Kind</label> <select id="kind" name="kind"><option value="a">First</option><option value="b">Second</option></select>
<label><input type="checkbox" name="on"> On</label>
<button>Save</button>
<button disabled>Never</button>
</form>
<button type="button" id="copy"><svg aria-hidden="true" width="8" height="8"></svg><span>Copy</span></button>
<button type="button" id="more">More</button> <p id="part"></p>
<p hidden>unseen</p> <p id="script"></p><a href="/other">Other</a>
</main><script src="/page.js"></script></body></html>`

const script = `document.querySelector("#script").textContent = "with JavaScript";
document.querySelector("#copy").onclick = () => navigator.clipboard.writeText("a secret");
document.querySelector("#more").onclick = async () => {
	document.querySelector("#part").textContent = await (await fetch("/part")).text();
};`

// site is a page with what the console's have. Its answers wait for a request that is
// long under way, so that an act that does not wait is caught. The short tests open no
// browser.
func site(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN: it opens a browser: run it without -short")
	}
	html := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { html(w, home) })
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
	})
	mux.HandleFunc("GET /part", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the part") })
	mux.HandleFunc("POST /save", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("name") == "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			html(w, `<title>Bad</title><link rel="icon" href="data:,"><p>A name is needed`)
			return
		}
		http.Redirect(w, r, "/saved?name="+r.FormValue("name")+"&kind="+r.FormValue("kind")+"&on="+r.FormValue("on"), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /saved", func(w http.ResponseWriter, r *http.Request) {
		html(w, `<title>Saved</title><link rel="icon" href="data:,"><p>Saved `+r.URL.RawQuery)
	})
	mux.HandleFunc("GET /other", func(w http.ResponseWriter, _ *http.Request) {
		html(w, `<title>Other</title><link rel="icon" href="data:,"><p>Another page`)
	})
	mux.HandleFunc("GET /policy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:")
		html(w, `<title>Policy</title><link rel="icon" href="data:,"><p style="color: red">Red`)
	})
	mux.HandleFunc("GET /throws", func(w http.ResponseWriter, _ *http.Request) {
		html(w, `<title>Throws</title><link rel="icon" href="data:,"><script>throw new Error("of the page")</script>`)
	})
	mux.HandleFunc("GET /fails", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	mux.HandleFunc("GET /lacks", func(w http.ResponseWriter, _ *http.Request) {
		html(w, `<title>Lacks</title><link rel="icon" href="data:,"><script src="/missing.js"></script>`)
	})
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, _ *http.Request) {
		html(w, `<title>Bad</title><link rel="icon" href="data:,"><input><div class="wide">`+strings.Repeat("x", 500)+`</div>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAPersonClicksFillsAndReads(t *testing.T) {
	for _, look := range []browser.Look{{}, {Width: browser.Phone, Dark: true}, {NoScript: true}} {
		t.Run(fmt.Sprintf("%+v", look), func(t *testing.T) {
			p := browser.Open(t, site(t), "/", look)
			p.See("Home")
			p.Unseen("unseen")
			if scripted := strings.Contains(p.Text(), "with JavaScript"); scripted == look.NoScript {
				t.Errorf("with JavaScript: %t", scripted)
			}
			if got := p.Value("Name"); got != "before" {
				t.Errorf("the field has %q", got)
			}
			p.Fill("Name", "after")
			p.Choose("Kind", "Second")
			p.Click("On")
			if !p.Checked("On") {
				t.Error("the box is not checked")
			}
			p.Click("Save")
			p.See("Saved name=after&kind=b&on=on")
			if got := p.URL(); got != "/saved?name=after&kind=b&on=on" {
				t.Errorf("at %s", got)
			}
			if p.Clicks != 4 {
				t.Errorf("%d clicks", p.Clicks)
			}
			p.Back()
			p.Fill("Name", "")
			p.Click("Save")
			p.See("A name is needed")
		})
	}
}

func TestWhatIsCopiedAndWhatComesLater(t *testing.T) {
	p := browser.Open(t, site(t), "/", browser.Look{})
	p.Click("Copy")
	if got := p.Copied(); got != "a secret" {
		t.Errorf("copied %q", got)
	}
	p.Click("More")
	p.See("the part")
	p.Click("Other")
	if got := p.Text(); got != "Another page" { // without waiting
		t.Errorf("after the click: %q", got)
	}
}

// told is a test that is told to fail, so that what the harness says can be seen.
type told struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (t *told) Helper()                      {}
func (t *told) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *told) Error(args ...any)            { t.errors = append(t.errors, fmt.Sprint(args...)) }
func (t *told) Errorf(f string, args ...any) { t.errors = append(t.errors, fmt.Sprintf(f, args...)) }

func TestWhatAPageReportsFailsItsTest(t *testing.T) {
	origin := site(t)
	for path, want := range map[string]string{
		"/policy": "Content Security Policy",
		"/throws": "of the page",
		"/fails":  "/fails answered 500",
		"/lacks":  "/missing.js",
		"/other":  "",
	} {
		seen := &told{TB: t}
		browser.Open(seen, origin, path, browser.Look{})
		for _, f := range seen.cleanups {
			f()
		}
		if got := strings.Join(seen.errors, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: reported %q, want %q", path, got, want)
		}
	}
}

func TestWhatIsWrongWithAPageIsNamed(t *testing.T) {
	seen := &told{TB: t}
	p := browser.Open(seen, site(t), "/bad", browser.Look{Width: browser.Phone})
	p.Accessible()
	p.Fits()
	got := strings.Join(seen.errors, "\n")
	for _, want := range []string{"html-has-lang (serious)", "label (critical)", `class="wide"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among\n%s", want, got)
		}
	}
	good := browser.Open(t, site(t), "/", browser.Look{})
	good.Accessible()
	good.Fits()
	file := filepath.Join(t.TempDir(), "page.png")
	good.Screenshot(file)
	if image, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(image), "\x89PNG") {
		t.Errorf("the screenshot: %.8q, %v", image, err)
	}
}
