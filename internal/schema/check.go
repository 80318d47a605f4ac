package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// Limits of holding one value to a schema.
const (
	maxSteps = 1_000_000 // schemas that are looked at, about; some tenths of a second
	maxDepth = 4096      // of them, within each other
)

// errCostly is no verdict on a value: no schema around may take it for one.
var errCostly = errors.New("a value is too costly to check")

// errFault is the verdict on a value, without what is wrong with it.
var errFault = errors.New("a value is not as its schema says")

// checking is the holding of one value to a schema.
type checking struct {
	steps, depth int
	// verdict: whether there is a fault is asked, and not which is the first. Then the
	// fields of an object need no order.
	verdict bool
}

// spend counts steps.
func (c *checking) spend(steps int) error {
	if c.steps += steps; c.steps > maxSteps || c.depth > maxDepth {
		return errCostly
	}
	return nil
}

// check refuses a value that is not what a schema says; nil says nothing. The error is
// about the first value at fault, of an object's fields in the order of their names.
func (c *checking) check(n *node, v any) error {
	if n == nil {
		return nil
	}
	c.depth++
	defer func() { c.depth-- }()
	if err := c.spend(1); err != nil {
		return err
	}
	if n.nothing {
		return wrong("must not be given")
	}
	if n.types != nil && !n.types.include(v) {
		return wrong("must be %s, not %s", n.types, typeWords[typeOf(v)])
	}
	if err := c.checkChoices(n, v); err != nil {
		return err
	}
	var err error
	switch v := v.(type) {
	case string:
		err = c.checkText(n, v)
	case json.Number:
		err = n.checkNumber(v)
	case []any:
		err = c.checkItems(n, v)
	case map[string]any:
		err = c.checkFields(n, v)
	}
	if err != nil {
		return err
	}
	return c.checkOthers(n, v)
}

// holds reports whether a value is what a schema says.
func (c *checking) holds(n *node, v any) (bool, error) {
	verdict := c.verdict
	c.verdict = false // how many steps it takes to find a fault must not depend on luck
	err := c.check(n, v)
	c.verdict = verdict
	if errors.Is(err, errCostly) {
		return false, err
	}
	return err == nil, nil
}

func (c *checking) checkChoices(n *node, v any) error {
	if n.choices == nil {
		return nil
	}
	text := canonical(v)
	if err := c.spend(len(text) / 16); err != nil {
		return err
	}
	for _, choices := range n.choices {
		if err := c.spend(len(choices) / 16); err != nil {
			return err
		}
		if !slices.ContainsFunc(choices, func(c choice) bool { return c.canonical == text }) {
			words := make([]string, len(choices))
			for i, c := range choices {
				words[i] = c.text
			}
			return wrong("must be %s", strings.Join(words, ", "))
		}
	}
	return nil
}

func (c *checking) checkText(n *node, v string) error {
	if n.length != (span{}) {
		length := utf8.RuneCountInString(v)
		if n.length.least != nil && *n.length.least == 1 && length == 0 {
			return wrong("must not be empty")
		}
		if err := n.length.check(length, "character"); err != nil {
			return err
		}
	}
	if n.pattern != nil {
		matches, err := c.matches(n.pattern, v)
		if err != nil {
			return err
		}
		if !matches {
			return wrong("must match %s", n.pattern)
		}
	}
	if f, ok := formats[n.format]; ok && !f.is(v) {
		return wrong("must be %s", f.words)
	}
	return nil
}

func (c *checking) matches(p *pattern, text string) (bool, error) {
	if err := c.spend(len(text) * p.size / 16); err != nil {
		return false, err
	}
	return p.MatchString(text), nil
}

// check refuses a number of things that is out of bounds.
func (s span) check(n int, thing string) error {
	plural := func(n int) string {
		if n == 1 {
			return "1 " + thing
		}
		return fmt.Sprintf("%d %ss", n, thing)
	}
	switch {
	case s.least != nil && n < *s.least:
		return wrong("must have at least %s", plural(*s.least))
	case s.most != nil && n > *s.most:
		return wrong("must have at most %s", plural(*s.most))
	}
	return nil
}

func (c *checking) checkItems(n *node, items []any) error {
	if err := n.count.check(len(items), "item"); err != nil {
		return err
	}
	for i, item := range items {
		of := n.items
		if i < len(n.prefix) {
			of = n.prefix[i]
		}
		if err := c.check(of, item); err != nil {
			return within(strconv.Itoa(i), err)
		}
	}
	if n.unique {
		if err := c.checkUnique(items); err != nil {
			return err
		}
	}
	return c.checkContains(n, items)
}

func (c *checking) checkUnique(items []any) error {
	seen := make(map[string]int, len(items))
	for i, item := range items {
		text := canonical(item)
		if err := c.spend(1 + len(text)/16); err != nil {
			return err
		}
		if first, twice := seen[text]; twice {
			return within(strconv.Itoa(i), wrong("is the same as item %d: each must be another", first))
		}
		seen[text] = i
	}
	return nil
}

func (c *checking) checkContains(n *node, items []any) error {
	if n.contains == nil {
		return nil
	}
	matching := 0
	for _, item := range items {
		matches, err := c.holds(n.contains, item)
		if err != nil {
			return err
		}
		if matches {
			matching++
		}
	}
	wanted := n.matches
	if wanted.least == nil {
		wanted.least = new(1)
	}
	return wanted.check(matching, "item that contains allow")
}

func (c *checking) checkFields(n *node, object map[string]any) error {
	if err := n.fields.check(len(object), "field"); err != nil {
		return err
	}
	if c.verdict {
		return c.judgeFields(n, object)
	}
	required := n.requiredOf(object)
	names := slices.AppendSeq(slices.Collect(maps.Keys(required)), maps.Keys(object))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		value, given := object[name]
		var err error
		if given {
			err = c.checkField(n, name, value)
		} else {
			err = wrong("is required%s", required[name])
		}
		if err != nil {
			return within(name, err)
		}
	}
	return nil
}

// judgeFields is the rest of checkFields where the order does not matter.
func (c *checking) judgeFields(n *node, object map[string]any) error {
	for _, name := range n.required {
		if _, given := object[name]; !given {
			return errFault
		}
	}
	for because, names := range n.dependentRequired {
		if _, given := object[because]; !given {
			continue
		}
		for _, name := range names {
			if _, given := object[name]; !given {
				return errFault
			}
		}
	}
	for name, value := range object {
		if err := c.checkField(n, name, value); err != nil {
			return err
		}
	}
	return nil
}

// requiredOf are the fields that an object must have, each with what to add to the
// error of one that is missing.
func (n *node) requiredOf(object map[string]any) map[string]string {
	required := make(map[string]string, len(n.required))
	for _, because := range slices.Sorted(maps.Keys(n.dependentRequired)) {
		if _, given := object[because]; given {
			for _, name := range n.dependentRequired[because] {
				required[name] = fmt.Sprintf(" beside %q", because)
			}
		}
	}
	for _, name := range n.required {
		required[name] = ""
	}
	return required
}

func (c *checking) checkField(n *node, name string, value any) error {
	if n.names != nil {
		if err := c.check(n.names, name); err != nil {
			if e, ok := errors.AsType[*boathook.Error](err); ok {
				return wrong("has a name that %s", e.Message)
			}
			return err
		}
	}
	of, known := n.properties[name]
	if err := c.check(of, value); err != nil {
		return err
	}
	for _, p := range n.patterns {
		matches, err := c.matches(p.pattern, name)
		if err == nil && matches {
			known = true
			err = c.check(p.of, value)
		}
		if err != nil {
			return err
		}
	}
	if known || n.additional == nil {
		return nil
	}
	if n.additional.nothing {
		return wrong("no such field")
	}
	return c.check(n.additional, value)
}

// checkOthers holds a value to the schemas beside and within one that are about the
// same value.
func (c *checking) checkOthers(n *node, v any) error {
	if err := c.check(n.is, v); err != nil {
		return err
	}
	for _, of := range n.all {
		if err := c.check(of, v); err != nil {
			return err
		}
	}
	if n.any == nil && n.one == nil && n.not == nil && n.when == nil && n.dependent == nil {
		return nil // as are most
	}
	for _, check := range []func(*node, any) error{c.checkAny, c.checkOne, c.checkNot, c.checkIf, c.checkDependent} {
		if err := check(n, v); err != nil {
			return err
		}
	}
	return nil
}

// holding counts the schemas that a value is as they say.
func (c *checking) holding(schemas []*node, v any) (n int, err error) {
	for _, of := range schemas {
		holds, err := c.holds(of, v)
		if err != nil {
			return 0, err
		}
		if holds {
			n++
		}
	}
	return n, nil
}

func (c *checking) checkAny(n *node, v any) error {
	holding, err := c.holding(n.any, v)
	if err == nil && n.any != nil && holding == 0 {
		return wrong("must be as one of the %d schemas of anyOf says", len(n.any))
	}
	return err
}

func (c *checking) checkOne(n *node, v any) error {
	holding, err := c.holding(n.one, v)
	if err == nil && n.one != nil && holding != 1 {
		return wrong("must be as exactly one of the %d schemas of oneOf says, and is as %d say", len(n.one), holding)
	}
	return err
}

func (c *checking) checkNot(n *node, v any) error {
	if n.not == nil {
		return nil
	}
	holds, err := c.holds(n.not, v)
	if holds {
		return wrong("must not be as the schema of not says")
	}
	return err
}

func (c *checking) checkIf(n *node, v any) error {
	if n.when == nil {
		return nil
	}
	holds, err := c.holds(n.when, v)
	if err != nil {
		return err
	}
	if holds {
		return c.check(n.then, v)
	}
	return c.check(n.otherwise, v)
}

func (c *checking) checkDependent(n *node, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(n.dependent)) {
		if _, given := object[name]; given {
			if err := c.check(n.dependent[name], v); err != nil {
				return err
			}
		}
	}
	return nil
}
