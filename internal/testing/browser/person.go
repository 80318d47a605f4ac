package browser

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// visibleText is what a person can read of the page: innerText leaves out what is not
// displayed.
const visibleText = `document.body ? document.body.innerText : ""`

// The roles that a person clicks, or fills, as the accessibility tree names them.
var (
	clickable = []string{"button", "link", "checkbox", "radio", "switch", "tab", "menuitem", "menuitemradio", "DisclosureTriangle", "PopUpButton"}
	fillable  = []string{"textbox", "searchbox", "combobox", "spinbutton", "Date", "DateTime", "InputTime", "time"}
	choosable = []string{"combobox", "listbox", "PopUpButton", "ComboBoxSelect"}
)

// a thing is one of the page's, with the name that a screen reader says.
type thing struct {
	role, name string
	disabled   bool
	node       cdp.BackendNodeID
}

func (t thing) String() string { return t.role + " " + strconv.Quote(t.name) }

var spaces = regexp.MustCompile(`\s+`)

// plain makes one space of each space that there is: a line's end in a template is none.
func plain(text string) string { return strings.TrimSpace(spaces.ReplaceAllString(text, " ")) }

// text gives what a value of the accessibility tree says.
func text(v *accessibility.Value) (s string) {
	if v != nil {
		// What is no string has no name.
		_ = jsonv2.Unmarshal(v.Value, &s)
	}
	return s
}

// things gives the page's things of some roles, in their order.
func (p *Page) things(roles []string) (found []thing, err error) {
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		return nil, err
	}
	for _, n := range tree.Nodes {
		role := text(n.Role)
		if n.Ignored || !slices.Contains(roles, role) {
			continue
		}
		t := thing{role: role, name: plain(text(n.Name)), node: n.BackendDOMNodeID}
		for _, property := range n.Properties {
			if property.Name == accessibility.PropertyNameDisabled && property.Value != nil {
				t.disabled = string(property.Value.Value) == "true"
			}
		}
		found = append(found, t)
	}
	return found, nil
}

// find gives the first thing of that name, or else the only one whose name contains it.
func (p *Page) find(name string, roles []string) (thing, error) {
	all, err := p.things(roles)
	if err != nil {
		return thing{}, err
	}
	var containing []thing
	for _, t := range all {
		if t.name == name {
			if t.disabled {
				return t, fmt.Errorf("%s is disabled", t)
			}
			return t, nil
		}
		if strings.Contains(t.name, name) && !t.disabled {
			containing = append(containing, t)
		}
	}
	switch len(containing) {
	case 1:
		return containing[0], nil
	case 0:
		return thing{}, fmt.Errorf("nothing has the name %q; there are %v", name, all)
	}
	return thing{}, fmt.Errorf("which is %q? There are %v", name, containing)
}

// Click clicks what has that name: a button, a link, a box, a summary. If nothing has
// exactly that name, it is the one thing whose name contains it. The page has settled
// afterwards.
func (p *Page) Click(name string) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(name, clickable)
		if err != nil {
			return err
		}
		return p.press(t)
	})
	p.Clicks++
	p.settle()
}

// ClickTwice is a double click, by someone who takes a button for an icon.
func (p *Page) ClickTwice(name string) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(name, clickable)
		if err != nil {
			return err
		}
		return p.press(t, 1, 2)
	})
	p.Clicks += 2
	p.settle()
}

// press clicks in the middle of a thing, where it must be what lies on top.
func (p *Page) press(t thing, counts ...int64) error {
	x, y, err := p.middle(t)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		counts = []int64{1}
	}
	move := input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: x, Y: y}
	if err := call(p.ctx, input.DispatchMouseEvent, move); err != nil {
		return err
	}
	for _, count := range counts {
		for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
			event := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: count}
			if err := call(p.ctx, input.DispatchMouseEvent, event); err != nil {
				return err
			}
		}
	}
	// What the click begins is told before the second of these is answered: a form is
	// sent by a task of its own.
	for range 2 {
		if _, err := eval[bool](p, `true`); err != nil {
			return nil //nolint:nilerr // the click led to another document, whose context replaces that of the question
		}
	}
	return nil
}

// onTop tells whether a point is a thing's: itself, what is in it, or its label.
const onTop = `function(x, y) {
	const hit = document.elementFromPoint(x, y);
	if (!hit) return "outside the window";
	if (this.contains(hit) || hit.contains(this) && hit.tagName == "LABEL") return "";
	if (this.labels && [...this.labels].some(l => l.contains(hit))) return "";
	if (hit.closest("a,button,summary,label") === this) return "";
	return hit.outerHTML.slice(0, 200);
}`

// middle scrolls to a thing and gives a point of it, which nothing else covers.
func (p *Page) middle(t thing) (x, y float64, err error) {
	if err := call(p.ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: t.node}); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", t, err)
	}
	shape, err := chromedp.Call(p.ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: t.node})
	if err != nil || len(shape.Quads) == 0 {
		return 0, 0, fmt.Errorf("%s is not shown: %w", t, err)
	}
	covered := errors.New("it has no size")
	for _, q := range shape.Quads {
		if len(q) != 8 || q[2] == q[0] && q[4] == q[0] {
			continue
		}
		x, y = (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
		by, err := on[string](p, t, onTop, x, y)
		if err != nil {
			return 0, 0, err
		}
		if by == "" {
			return x, y, nil
		}
		covered = fmt.Errorf("it is covered by %s", by)
	}
	// What sticks to the window's edge may cover it: the next look finds it in the middle.
	if _, err := on[bool](p, t, `function() { this.scrollIntoView({block: "center"}); return true }`); err != nil {
		return 0, 0, err
	}
	return 0, 0, fmt.Errorf("%s can't be clicked: %w", t, covered)
}

// on calls a JavaScript function, whose this is a thing's element.
func on[T any](p *Page, t thing, function string, args ...any) (T, error) {
	var zero T
	resolved, err := chromedp.Call(p.ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: t.node})
	if err != nil {
		return zero, fmt.Errorf("%s: %w", t, err)
	}
	return chromedp.Run(p.ctx, chromedp.CallFunctionOn[T](function, func(params *runtime.CallFunctionOnParams) {
		params.ObjectID = resolved.Object.ObjectID
	}, args...))
}

// Fill writes into the field with that label, in the place of what is there.
func (p *Page) Fill(label, value string) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(label, fillable)
		if err != nil {
			return err
		}
		if err := p.press(t); err != nil {
			return err
		}
		typed, err := on[bool](p, t, `function(value) {
			if (!["date", "datetime-local", "time", "month", "number"].includes(this.type)) { this.select(); return false; }
			this.value = value;
			this.dispatchEvent(new Event("input", {bubbles: true}));
			this.dispatchEvent(new Event("change", {bubbles: true}));
			return true;
		}`, value)
		if err != nil || typed {
			return err
		}
		if value == "" {
			return p.key("Backspace")
		}
		return call(p.ctx, input.InsertText, input.InsertTextParams{Text: value})
	})
}

// Choose chooses an option of the select with that label, by the option's text.
func (p *Page) Choose(label, option string) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(label, choosable)
		if err != nil {
			return err
		}
		found, err := on[bool](p, t, `function(text) {
			const i = [...this.options].findIndex(o => o.text.trim() == text);
			if (i < 0) return false;
			this.focus();
			this.selectedIndex = i;
			this.dispatchEvent(new Event("input", {bubbles: true}));
			this.dispatchEvent(new Event("change", {bubbles: true}));
			return true;
		}`, option)
		if err == nil && !found {
			err = fmt.Errorf("%s has no option %q", t, option)
		}
		return err
	})
	p.Clicks += 2 // a person opens the list, and picks
	p.settle()
}

// Press presses a key, as in "Enter", "Tab", "Escape" or "/".
func (p *Page) Press(key string) {
	p.t.Helper()
	if err := p.key(key); err != nil {
		p.fail("press %s: %v", key, err)
	}
	p.settle()
}

// keys are those that have a name.
var keys = map[string]string{
	"Enter": kb.Enter, "Tab": kb.Tab, "Escape": kb.Escape, "Backspace": kb.Backspace, "Space": " ",
	"ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp,
}

func (p *Page) key(name string) error {
	code, named := keys[name]
	if !named {
		code = name
	}
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(code)); err != nil {
		return err
	}
	for range 2 { // see press
		if _, err := eval[bool](p, `true`); err != nil {
			return nil //nolint:nilerr // the key led to another document
		}
	}
	return nil
}

// Focused is the accessible name of what has the focus.
func (p *Page) Focused() string {
	p.t.Helper()
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		p.fail("the focus: %v", err)
	}
	name := ""
	for _, n := range tree.Nodes {
		for _, property := range n.Properties {
			if property.Name == accessibility.PropertyNameFocused && property.Value != nil && string(property.Value.Value) == "true" && text(n.Role) != "RootWebArea" {
				name = plain(text(n.Name))
			}
		}
	}
	return name
}

// Text is what the page shows, with one space for any.
func (p *Page) Text() string {
	p.t.Helper()
	seen, err := eval[string](p, visibleText)
	if err != nil {
		p.fail("the text: %v", err)
	}
	return plain(seen)
}

// See waits until the page shows each text.
func (p *Page) See(texts ...string) {
	p.t.Helper()
	for _, want := range texts {
		p.until(func() error {
			seen, err := eval[string](p, visibleText)
			if err == nil && !strings.Contains(plain(seen), plain(want)) {
				err = fmt.Errorf("%q is not there", want)
			}
			return err
		})
	}
}

// Unseen waits until the page does not show any of the texts.
func (p *Page) Unseen(texts ...string) {
	p.t.Helper()
	for _, unwanted := range texts {
		p.until(func() error {
			seen, err := eval[string](p, visibleText)
			if err == nil && strings.Contains(plain(seen), plain(unwanted)) {
				err = fmt.Errorf("%q is there", unwanted)
			}
			return err
		})
	}
}

// Has reports whether something to click has that name now.
func (p *Page) Has(name string) bool {
	p.t.Helper()
	all, err := p.things(clickable)
	if err != nil {
		p.fail("%v", err)
	}
	return slices.ContainsFunc(all, func(t thing) bool { return t.name == name })
}

// Value is what stands in the field with that label.
func (p *Page) Value(label string) (value string) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(label, fillable)
		if err == nil {
			value, err = on[string](p, t, `function() { return this.value }`)
		}
		return err
	})
	return value
}

// Checked reports whether the box, the switch or the radio button of that name is set.
func (p *Page) Checked(name string) (checked bool) {
	p.t.Helper()
	p.until(func() error {
		t, err := p.find(name, clickable)
		if err == nil {
			checked, err = on[bool](p, t, `function() { return this.checked ?? this.getAttribute("aria-checked") == "true" }`)
		}
		return err
	})
	return checked
}

// Await waits until a CSS selector finds something.
func (p *Page) Await(selector string) {
	p.t.Helper()
	p.until(func() error {
		n, err := eval[int](p, fmt.Sprintf(`document.querySelectorAll(%q).length`, selector))
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing is %s", selector)
		}
		return err
	})
}

// Count is how many elements a CSS selector finds, for what a person sees without
// reading: bars, rows.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	n, err := eval[int](p, fmt.Sprintf(`document.querySelectorAll(%q).length`, selector))
	if err != nil {
		p.fail("%s: %v", selector, err)
	}
	return n
}
