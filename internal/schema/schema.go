// Package schema holds JSON values to JSON Schemas of draft 2020-12.
//
// It knows the draft's words but these, and refuses a schema that has one: $anchor,
// $dynamicAnchor, $dynamicRef, $vocabulary, unevaluatedItems and unevaluatedProperties,
// an $id or a $schema below the root. A $ref stays within its document. Of formats it
// knows those of [formats], and holds values to them; a pattern is one of Go's package
// regexp. The tests hold it to what a library of the whole draft says.
//
// Strangers write both, the schema and the value, so that neither may cost much: a
// schema is refused that has a costly pattern or refers to itself without going into
// the value, and a value on which it takes more than [maxSteps]. A library has no such
// bound: 40 allOf of twice the same $ref each take it 10^12 steps. The
// most used one also compiles six drafts of its own whenever a process starts, which
// took 4 ms of the 8 of manage's start.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strings"

	"boathook/internal/boathook"
)

// Schema is a JSON Schema. It may be used by several goroutines.
type Schema struct{ root *node }

// node is a schema, or one within it. What is zero says nothing.
type node struct {
	nothing bool // the schema false

	is *node // what its $ref refers to

	types   typeNames
	choices [][]choice // of enum and of const: one of each

	length  span // of a text, in characters
	pattern *pattern
	format  string

	minimum, above, maximum, below, multipleOf *bound

	count    span // of items
	prefix   []*node
	items    *node // behind those of prefix
	contains *node
	matches  span // how many items are as contains says
	unique   bool

	fields            span // how many there are
	properties        map[string]*node
	patterns          []fieldPattern
	additional        *node // of fields that neither properties nor patterns have
	names             *node // of each field's name
	required          []string
	dependentRequired map[string][]string
	dependent         map[string]*node

	all, any, one              []*node
	not, when, then, otherwise *node
}

// span bounds a number of things; nil does not.
type span struct{ least, most *int }

// bound is a number that others are compared with.
type bound struct {
	value *big.Rat
	whole bool   // value is an int64
	text  string // as the schema writes it
}

// choice is a value that enum or const allows.
type choice struct {
	canonical string
	text      string // for people
}

// fieldPattern is a schema of the fields whose names a pattern matches.
type fieldPattern struct {
	*pattern
	of *node
}

type pattern struct {
	*regexp.Regexp
	size int // of its program, in instructions about
}

// Validate holds data, which must be JSON, to the schema. The error is
// [boathook.Invalid]; its field is the JSON Pointer (RFC 6901) of the first value at
// fault, in data's root empty, and its message says what that must be. The same data
// always gives the same error.
func (s *Schema) Validate(data []byte) error {
	if err := checkSyntax(data); err != nil {
		return err
	}
	// Nearly all data is as it should be, and to find that out takes no order.
	text := string(data)
	if (&judge{parser{text: text}, checking{verdict: true}}).value(s.root) == nil {
		return nil
	}
	v := (&parser{text: text}).value()
	if err := countable(v); err != nil {
		return err
	}
	err := new(checking).check(s.root, v)
	if errors.Is(err, errCostly) {
		return wrong("takes too long to hold to its schema: it looks at more than %d schemas, or %d within each other", maxSteps, maxDepth)
	}
	return err
}

// decode reads JSON, its numbers as they are written.
func decode(data []byte) (v any, err error) {
	if err := checkSyntax(data); err != nil {
		return nil, err
	}
	return (&parser{text: string(data)}).value(), nil
}

// checkSyntax refuses what is not one JSON value.
func checkSyntax(data []byte) error {
	if boathook.IsJSON(data) {
		return nil
	}
	var v json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		return boathook.Errorf(boathook.Invalid, "not JSON: %s", err)
	}
	return boathook.Errorf(boathook.Invalid, "not JSON: more than one value")
}

// wrong is an error about the value that is looked at.
func wrong(format string, args ...any) error { return boathook.InvalidField("", format, args...) }

// within makes an error about a value one about its place in what holds it. So
// only a value at fault has its pointer written down.
func within(name string, err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		return err
	}
	return &boathook.Error{Kind: e.Kind, Field: "/" + pointerEscapes.Replace(name) + e.Field, Message: e.Message}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
