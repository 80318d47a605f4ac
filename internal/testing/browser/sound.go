package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ModulesVariable names the folder of Node's modules that infra/clients pins. Without it
// they are looked for there.
const ModulesVariable = "BOATHOOK_TEST_NODE_CLIENTS"

// axe gives axe-core's program. It skips the test if it is not installed; with CI=true
// that fails it.
func axe(t testing.TB) string {
	t.Helper()
	modules := os.Getenv(ModulesVariable)
	if modules == "" {
		modules = filepath.Join(root(t), "infra", "clients", "node_modules")
	}
	program, err := os.ReadFile(filepath.Join(modules, "axe-core", "axe.min.js"))
	switch {
	case err != nil && os.Getenv("CI") != "true":
		t.Skip("NOT RUN: axe-core is not installed: see internal/cmd/emulators: ", err)
	case err != nil:
		t.Fatal(err)
	}
	return string(program)
}

// A finding is what axe-core tells of a rule that is broken.
type finding struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

func (f finding) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s (%s): %s", f.ID, f.Impact, f.Help)
	for i, n := range f.Nodes {
		if i == 5 {
			fmt.Fprintf(&s, "\n  … and %d more", len(f.Nodes)-i)
			break
		}
		fmt.Fprintf(&s, "\n  %.300s\n    %s", n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n    "))
	}
	return s.String()
}

// Accessible fails the test if axe-core finds anything serious or critical on the page,
// and names it.
func (p *Page) Accessible() {
	p.t.Helper()
	program := axe(p.t)
	if _, err := eval[bool](p, program+"; true"); err != nil {
		p.fail("axe-core: %v", err)
	}
	found, err := eval[[]finding](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
		({id, impact, help, nodes}) => ({id, impact, help, nodes: nodes.map(({html, failureSummary}) => ({html, failureSummary}))})))`)
	if err != nil {
		p.fail("axe-core: %v", err)
	}
	for _, f := range found {
		if f.Impact == "serious" || f.Impact == "critical" {
			p.t.Errorf("%s, %s: %s", p.URL(), p.look, f)
		}
	}
}

// Fits fails the test if the page is wider than its window, and names what sticks out.
func (p *Page) Fits() {
	p.t.Helper()
	wide, err := eval[[]string](p, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return [];
		const out = [...document.body.querySelectorAll("*")].filter(e => {
			const spills = e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).overflowX == "visible";
			if (e.getBoundingClientRect().right <= width + 1 && !spills) return false;
			for (let a = e.parentElement; a; a = a.parentElement)
				if (getComputedStyle(a).overflowX != "visible" && a != document.body) return false;
			return true;
		});
		return out.slice(-5).map(e => e.outerHTML.slice(0, 200)).concat("width " + document.documentElement.scrollWidth);
	})()`)
	if err != nil {
		p.fail("the width: %v", err)
	}
	if len(wide) > 0 {
		p.t.Errorf("%s, %s: the page scrolls sideways:\n  %s", p.URL(), p.look, strings.Join(wide, "\n  "))
	}
}
