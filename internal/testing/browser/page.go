package browser

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The widths in which every page is looked at.
const (
	Phone   = 390
	Desktop = 1280
)

// A Look is how a page is looked at. The zero value is a light desktop with JavaScript.
type Look struct {
	Width    int // of the window, in CSS pixels; 0: [Desktop]
	Dark     bool
	NoScript bool
}

// String is as in "dark-390".
func (l Look) String() string {
	theme := "light"
	if l.Dark {
		theme = "dark"
	}
	return fmt.Sprintf("%s-%d", theme, l.width())
}

func (l Look) width() int64 {
	if l.Width == 0 {
		return Desktop
	}
	return int64(l.Width)
}

// height is that of a phone held upright, or of a laptop.
func (l Look) height() int64 {
	if l.width() < 600 {
		return 844
	}
	return 800
}

// A Page is a tab of a browser context of its own, and the person before it.
type Page struct {
	Clicks int // made so far

	t      testing.TB
	ctx    context.Context
	origin string // that paths are below
	look   Look

	mu       sync.Mutex
	loading  bool                                       // the document is on its way
	frame    string                                     // its own
	flying   map[network.RequestID]string               // requests of scripts without an answer, and their URLs
	kinds    map[network.RequestID]network.ResourceType // of all requests
	problems []string                                   // what the page reported as errors
	allowed  []*regexp.Regexp
	events   chan struct{} // has one when something changed
}

// Open opens a path of a site. The page is closed when the test ends, and fails it if
// it has reported errors.
func Open(t testing.TB, origin, path string, look Look) *Page {
	t.Helper()
	ctx, closed := tab(t)
	p := &Page{
		t: t, ctx: ctx, origin: origin, look: look,
		flying: map[network.RequestID]string{}, kinds: map[network.RequestID]network.ResourceType{}, events: make(chan struct{}, 1),
	}
	t.Cleanup(func() {
		p.mu.Lock()
		problems := p.problems
		p.mu.Unlock()
		closed()
		for _, problem := range problems {
			t.Error(problem)
		}
	})
	if err := errors.Join(chromedp.Listen(ctx, p.heard), p.dress()); err != nil {
		t.Fatal("a tab: ", err)
	}
	p.mu.Lock()
	p.frame = string(chromedp.FromContext(ctx).Target.TargetID) // a tab's own frame has the same
	p.mu.Unlock()
	p.Go(path)
	return p
}

// dress has the tab look as it is to.
func (p *Page) dress() error {
	scheme := "light"
	if p.look.Dark {
		scheme = "dark"
	}
	return errors.Join(
		call(p.ctx, cdplog.Enable, cdp.Empty{}),
		call(p.ctx, network.Enable, network.EnableParams{}),
		p.resize(p.look.height()),
		call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		// The clipboard is the focused page's.
		call(p.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		call(p.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"}),
		call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: p.look.NoScript}),
	)
}

// call gives a command to the tab, whose answer says nothing.
func call[P, R any](ctx context.Context, command cdp.Command[P, R], params P) error {
	_, err := chromedp.Call(ctx, command, params)
	return err
}

// heard takes note of what the browser tells of the page.
func (p *Page) heard(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *page.EventFrameStartedLoading, *page.EventFrameRequestedNavigation:
		p.loading = true
	case *page.EventFrameStoppedLoading:
		p.loading = false
	case *network.EventRequestWillBeSent:
		p.kinds[e.RequestID] = e.Type
		switch e.Type {
		case network.ResourceTypeDocument:
			if string(e.FrameID) != p.frame {
				break // of a frame, whose site's process may answer for it
			}
			p.flying = map[network.RequestID]string{e.RequestID: e.Request.URL} // nobody waits for what the last page asked
		case network.ResourceTypeXHR, network.ResourceTypeFetch:
			p.flying[e.RequestID] = e.Request.URL
		}
	case *network.EventLoadingFinished:
		delete(p.flying, e.RequestID)
	case *network.EventLoadingFailed:
		delete(p.flying, e.RequestID)
	case *network.EventResponseReceived:
		if e.Response.Status >= 500 {
			p.report(fmt.Sprintf("%s answered %d", e.Response.URL, e.Response.Status))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.report("the page threw: " + text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			p.report(fmt.Sprintf("the page wrote to its console: %s", arguments(e.Args)))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && !p.refused(e.Entry) {
			p.report(fmt.Sprintf("the page reported: %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	default:
		return
	}
	select {
	case p.events <- struct{}{}:
	default:
	}
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		text := string(a.Value)
		if text == "" {
			text = a.Description
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

// refused reports whether an entry tells of an answer 4xx that the person sees: a page,
// or a part that htmx puts in. A 5xx is reported by itself.
func (p *Page) refused(e *cdplog.Entry) bool {
	if e.Source != cdplog.EntrySourceNetwork || !strings.Contains(e.Text, "responded with a status of") {
		return false
	}
	kind := p.kinds[e.NetworkRequestID]
	return kind == network.ResourceTypeDocument || kind == network.ResourceTypeXHR || kind == network.ResourceTypeFetch ||
		strings.Contains(e.Text, "status of 5")
}

// report notes an error, but for those that the test allows.
func (p *Page) report(problem string) {
	for _, a := range p.allowed {
		if a.MatchString(problem) {
			return
		}
	}
	p.problems = append(p.problems, problem)
}

// Allow has the test pass though the page reports errors that a pattern matches.
func (p *Page) Allow(pattern string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, regexp.MustCompile(pattern))
}

// Go opens a path of the site, or a URL, as one types it into the address bar.
func (p *Page) Go(path string) {
	p.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = p.origin + path
	}
	p.busy()
	answer, err := chromedp.Call(p.ctx, page.Navigate, page.NavigateParams{URL: url})
	if err == nil && answer.ErrorText != "" {
		err = errors.New(answer.ErrorText)
	}
	if err != nil {
		p.fail("open %s: %v", url, err)
	}
	p.settle()
}

// Back is the browser's back button.
func (p *Page) Back() {
	p.t.Helper()
	history, err := chromedp.Call(p.ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil || history.CurrentIndex == 0 {
		p.fail("there is no page before this: %v", err)
	}
	p.busy()
	before := history.Entries[history.CurrentIndex-1].ID
	if err := call(p.ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: before}); err != nil {
		p.fail("go back: %v", err)
	}
	p.settle()
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.busy()
	if err := call(p.ctx, page.Reload, page.ReloadParams{}); err != nil {
		p.fail("reload: %v", err)
	}
	p.settle()
}

func (p *Page) busy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loading = true
}

// settle waits until the document is loaded and its requests are answered. Sockets may
// stay open.
func (p *Page) settle() {
	p.t.Helper()
	for range looks {
		if flying := p.unsettled(); flying == nil {
			return
		}
		select {
		case <-p.events:
		case <-p.ctx.Done():
			p.fail("the tab is closed: %v", p.ctx.Err())
		case <-time.After(betweenLooks):
		}
	}
	p.fail("the page is not loaded; it waits for %q", p.unsettled())
}

// unsettled gives the URLs that have not been answered, or nil.
func (p *Page) unsettled() (urls []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.loading && len(p.flying) == 0 {
		return nil
	}
	urls = []string{}
	for url := range maps.Values(p.flying) {
		urls = append(urls, url)
	}
	return urls
}

// What is not there is looked for again. On a busy machine each look takes longer, so
// that many are patient there as well.
const (
	looks        = 300
	betweenLooks = 100 * time.Millisecond
)

// until looks until there is nothing that is wrong.
func (p *Page) until(wrong func() error) {
	p.t.Helper()
	var err error
	for range looks {
		if err = wrong(); err == nil {
			return
		}
		if p.ctx.Err() != nil {
			break
		}
		select {
		case <-p.events:
		case <-p.ctx.Done():
		case <-time.After(betweenLooks):
		}
	}
	p.fail("%v", err)
}

// fail ends the test, and says what the person sees.
func (p *Page) fail(format string, args ...any) {
	p.t.Helper()
	message := fmt.Sprintf(format, args...)
	url, _ := eval[string](p, `location.href`)
	seen, _ := eval[string](p, visibleText)
	if len(seen) > 8000 {
		seen = strings.ToValidUTF8(seen[:8000], "") + "…"
	}
	file := filepath.Join(root(p.t), ".tools", "failed", unsafe.ReplaceAllString(p.t.Name(), "-")+".png")
	if image, err := p.image(); err != nil {
		file = err.Error()
	} else if err := save(file, image); err != nil {
		file = err.Error()
	}
	p.t.Fatalf("%s\nURL: %s\nscreenshot: %s\nthe page's text:\n%s", message, url, file, seen)
}

// unsafe is what a file's name does without.
var unsafe = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func save(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// eval gives the value of a JavaScript expression, whose promise it awaits. It works
// without JavaScript in the page as well.
func eval[T any](p *Page, expression string) (T, error) {
	return chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// image is a screenshot of the whole page, as PNG: of a window that is as high as the page,
// so that what sticks to the window's edges is where it belongs.
func (p *Page) image() (png []byte, err error) {
	metrics, err := chromedp.Call(p.ctx, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	if height := min(int64(metrics.CSSContentSize.Height), maxHeight); height > p.look.height() {
		if err := p.resize(height); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.resize(p.look.height())) }()
	}
	shot, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	return shot.Data, err
}

// resize gives the window a height.
func (p *Page) resize(height int64) error {
	return call(p.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: p.look.width(), Height: height, DeviceScaleFactor: 1,
	})
}

// maxHeight bounds a screenshot, in CSS pixels: what comes after is more of the same.
const maxHeight = 4000

// Screenshot saves the whole page as a PNG.
func (p *Page) Screenshot(file string) {
	p.t.Helper()
	image, err := p.image()
	if err == nil {
		err = save(file, image)
	}
	if err != nil {
		p.fail("the screenshot: %v", err)
	}
}

// URL is the page's path with its query.
func (p *Page) URL() string {
	p.t.Helper()
	url, err := eval[string](p, `location.pathname + location.search`)
	if err != nil {
		p.fail("the URL: %s", err)
	}
	return url
}

// Forget has the browser forget all cookies, as when a session ends.
func (p *Page) Forget() {
	p.t.Helper()
	if err := call(p.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		p.fail("the cookies: %v", err)
	}
}

// Copied is what the page's last click copied.
func (p *Page) Copied() string {
	p.t.Helper()
	err := errors.Join(p.permit("clipboard-read"), p.permit("clipboard-write"))
	if err != nil {
		p.fail("the clipboard: %v", err)
	}
	text, err := eval[string](p, `navigator.clipboard.readText()`)
	if err != nil {
		p.fail("the clipboard: %v", err)
	}
	return text
}

func (p *Page) permit(name string) error {
	_, err := chromedp.CallBrowser(p.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
		Permission: &cdpbrowser.PermissionDescriptor{Name: name}, Setting: cdpbrowser.PermissionSettingGranted,
		Origin: p.origin, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	return err
}
