package boathook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Filter says which requests to an incoming webhook start runs. All its
// conditions must hold; the zero value has none.
type Filter struct {
	Events  []string        // one of the sender's events; empty: any
	Pointer string          // a JSON Pointer into the input; empty: none
	Equals  json.RawMessage // the string, number, boolean or null that stands there
	JQ      string          // gives true for what starts a run, see package expression; empty: none
}

// MaxPointer is the longest JSON Pointer that is taken, in bytes.
const MaxPointer = 256

// The limits of a filter.
const (
	maxFilterEvents = 50
	maxEventName    = 100 // bytes
	maxEquals       = 512 // bytes
)

// IsZero reports whether every request passes f.
func (f Filter) IsZero() bool {
	return len(f.Events) == 0 && f.Pointer == "" && f.Equals == nil && f.JQ == ""
}

// Check reports what is wrong with f, as an [Invalid] error about one of the
// fields of "filter". Whether its expression compiles is not looked at.
func (f Filter) Check() error {
	if len(f.Events) > maxFilterEvents {
		return InvalidField("filter.events", "must have at most %d names", maxFilterEvents)
	}
	for _, e := range f.Events {
		if e == "" || len(e) > maxEventName {
			return InvalidField("filter.events", "must be names of 1 to %d bytes", maxEventName)
		}
	}
	if f.Pointer == "" && f.Equals == nil {
		return nil
	}
	if f.Pointer == "" || f.Equals == nil {
		return InvalidField("filter", "pointer and equals are given together or not at all")
	}
	if !IsPointer(f.Pointer) {
		return InvalidField("filter.pointer", "must be a JSON Pointer such as /action, of at most %d bytes", MaxPointer)
	}
	if v, err := decodeNumbers(f.Equals); err != nil || !isScalar(v) || len(f.Equals) > maxEquals {
		return InvalidField("filter.equals", "must be a string, a number, true, false or null, of at most %d bytes", maxEquals)
	}
	return nil
}

// Refuse says in words why an input starts no run; empty if it does. names are
// those of its event, of which the filter may name any; the first is told. What
// the input holds is not in the words. f must pass [Filter.Check]. Its expression is
// not asked.
func (f Filter) Refuse(names []string, input *Document) string {
	wanted := func(name string) bool { return slices.Contains(f.Events, name) }
	if len(f.Events) > 0 && !slices.ContainsFunc(names, wanted) {
		if len(names) == 0 {
			return "the request names no event"
		}
		return fmt.Sprintf("the event %q is not one that the filter names", Shorten(names[0], maxEventName))
	}
	if f.Pointer == "" {
		return ""
	}
	got, ok := input.ValueAt(f.Pointer)
	if !ok {
		return f.Pointer + " is not in the input"
	}
	if want, err := decodeNumbers(f.Equals); err != nil || !equal(got, want) {
		return fmt.Sprintf("%s is not %s", f.Pointer, f.Equals)
	}
	return ""
}

// Document is a JSON text in which values are looked up. It is decoded once, when the
// first is asked for. It is for one goroutine.
type Document struct {
	Text    []byte
	decoded bool
	value   any
	err     error
}

// Value is the whole text: a string, a [json.Number] as it is written, a bool, nil, a
// []any or a map[string]any. It must not be changed.
func (d *Document) Value() (any, error) {
	if !d.decoded {
		d.value, d.err = decodeNumbers(d.Text)
		d.decoded = true
	}
	return d.value, d.err
}

// ValueAt is the value at a JSON Pointer (RFC 6901). False: the text has no such value,
// or one of the two is malformed.
func (d *Document) ValueAt(pointer string) (value any, ok bool) {
	tokens, ok := parsePointer(pointer)
	if !ok {
		return nil, false
	}
	value, err := d.Value()
	if err != nil {
		return nil, false
	}
	for _, token := range tokens {
		switch v := value.(type) {
		case map[string]any:
			if value, ok = v[token]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) || strconv.Itoa(i) != token {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}

// IsPointer reports whether s is a JSON Pointer (RFC 6901) of at most [MaxPointer]
// bytes.
func IsPointer(s string) bool {
	_, ok := parsePointer(s)
	return ok && len(s) <= MaxPointer
}

// parsePointer gives the reference tokens of a JSON Pointer.
func parsePointer(pointer string) (tokens []string, ok bool) {
	if pointer == "" {
		return nil, true
	}
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok || !utf8.ValidString(pointer) {
		return nil, false
	}
	for token := range strings.SplitSeq(rest, "/") {
		for i := range token {
			if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
				return nil, false
			}
		}
		tokens = append(tokens, unescapeToken.Replace(token))
	}
	return tokens, true
}

var unescapeToken = strings.NewReplacer("~1", "/", "~0", "~")

// decodeNumbers decodes one JSON value, and leaves its numbers as they are
// written.
func decodeNumbers(text []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, Errorf(Invalid, "not JSON: more than one value")
	}
	return v, nil
}

// equal compares two values of [decodeNumbers]. Numbers are equal by their value,
// however they are written: 1, 1.0 and 10e-1.
func equal(a, b any) bool {
	if x, ok := asNumber(a); ok {
		if y, ok := asNumber(b); ok {
			return x == y
		}
	}
	return isScalar(a) && isScalar(b) && a == b
}

func asNumber(v any) (Number, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return Number{}, false
	}
	return ParseNumber(n.String())
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}
