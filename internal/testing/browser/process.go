// Package browser drives Chromium as a person would: it clicks what has a name, fills
// what has a label, and reads what is shown. Only tests use it.
//
// One Chromium runs per test binary, from the first [Open] to [Close], which TestMain
// calls. Each [Page] is in a browser context of its own, so its cookies are too.
//
// An act waits until what it needs is there, and fails the test with the page's text and
// a screenshot otherwise. What a page reports as an error fails its test as well: an
// exception, an answer 5xx, a file that is missing, a breach of its
// Content-Security-Policy.
package browser

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// Variable names the browser's program, where it is not among those that [Open] looks for.
const Variable = "BOATHOOK_CHROMIUM"

// programs are the names of Chromium in the path.
var programs = []string{"chromium", "chromium-browser", "google-chrome"}

var errNone = errors.New("there is no Chromium: install chromium, or name it in " + Variable)

// process is the one Chromium of this test binary.
var process struct {
	sync.Mutex
	open func() (context.Context, context.CancelFunc) // a tab in a browser context of its own; nil: it does not run
	end  func()
}

// Find gives the path of the browser's program.
func Find() (path string, err error) {
	for _, name := range append([]string{os.Getenv(Variable)}, programs...) {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", errNone
}

// start starts the one Chromium, unless it runs.
func start() error {
	process.Lock()
	defer process.Unlock()
	if process.open != nil {
		return nil
	}
	path, err := Find()
	if err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path),
		chromedp.Flag("disable-dev-shm-usage", true), // a container's is small
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-US"),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		end()
		endAllocator()
		return err
	}
	process.open = func() (context.Context, context.CancelFunc) {
		return chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	}
	process.end = func() {
		// Its error is of no use: the test binary is about to end.
		_ = chromedp.Cancel(ctx)
		end()
		endAllocator()
	}
	return nil
}

// Close ends the Chromium that [Open] started, if it did.
func Close() {
	process.Lock()
	defer process.Unlock()
	if process.end != nil {
		process.end()
	}
	process.open, process.end = nil, nil
}

// tab opens a tab of Chromium. Without a Chromium it skips the test and says so; with
// CI=true it fails it.
func tab(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	err := start()
	switch {
	case errors.Is(err, errNone) && os.Getenv("CI") != "true":
		t.Skip("NOT RUN: ", err)
	case err != nil:
		t.Fatal(err)
	}
	return process.open()
}

// root is the folder of the checkout.
func root(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal("go env GOMOD: ", err)
	}
	return cmp.Or(string(out[:max(0, len(out)-len("/go.mod\n"))]), ".")
}
