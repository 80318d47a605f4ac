package catalogue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// schema is a JSON Schema of draft 2020-12, in the words that the catalogue's
// schemas use: [parse] refuses others. The library that knows them all compiles
// six drafts of its own whenever a process starts, which took 4 ms of the 8 of
// manage's start. The tests hold this to what the library says.
type schema struct {
	Ref                  string             `json:"$ref"` // #/$defs/{name}, beside no other word
	Defs                 map[string]*schema `json:"$defs"`
	Type                 typeNames          `json:"type"`
	Enum                 []string           `json:"enum"`
	Const                string             `json:"const"`
	MinLength            int                `json:"minLength"` // 0 or 1
	Format               string             `json:"format"`    // date-time or uri
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
	Items                *schema            `json:"items"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties *bool              `json:"additionalProperties"`

	// What it tells its readers.
	Schema      string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`

	is *schema // what Ref refers to
}

// anything is the schema of values that no other one is of.
var anything = new(schema)

// parse panics on a schema that says what check does not know.
func parse(document []byte) (s *schema) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		panic(err)
	}
	s.resolve(s.Defs)
	return s
}

// resolve finds what is referred to, here and further in.
func (s *schema) resolve(defs map[string]*schema) {
	if s.Ref != "" {
		s.is = defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		if s.is == nil || !reflect.DeepEqual(*s, schema{Ref: s.Ref, is: s.is}) {
			panic(fmt.Errorf("%s refers to nothing, or stands beside other words", s.Ref))
		}
		return
	}
	for _, name := range s.Type {
		if typeWords[name] == "" {
			panic(fmt.Errorf("there is no type %q", name))
		}
	}
	if !slices.Contains([]string{"", "date-time", "uri"}, s.Format) || s.MinLength > 1 || slices.Contains(s.Enum, "") {
		panic(fmt.Errorf("the format %q, the length %d or one of %q is not known", s.Format, s.MinLength, s.Enum))
	}
	for _, inner := range slices.Concat(slices.Collect(maps.Values(s.Defs)), slices.Collect(maps.Values(s.Properties))) {
		inner.resolve(defs)
	}
	if s.Items != nil {
		s.Items.resolve(defs)
	}
}

// check refuses a value that is not what the schema says. The error is about the
// first value at fault, of an object's fields in the order of their names: the
// same data always gives the same one.
func (s *schema) check(v any) error {
	if s.is != nil {
		return s.is.check(v)
	}
	if n, ok := v.(json.Number); ok {
		if err := s.countable(n); err != nil {
			return err
		}
	}
	if s.Type != nil && !s.Type.include(v) {
		return wrong("must be %s, not %s", s.Type, typeWords[typeOf(v)])
	}
	choices := s.Enum
	if s.Const != "" {
		choices = []string{s.Const}
	}
	if text, ok := v.(string); choices != nil && (!ok || !slices.Contains(choices, text)) {
		return wrong("must be %s", strings.Join(choices, ", "))
	}
	switch v := v.(type) {
	case string:
		return s.checkText(v)
	case json.Number:
		return s.checkNumber(v)
	case []any:
		return s.checkItems(v)
	case map[string]any:
		return s.checkFields(v)
	}
	return nil
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

func (s *schema) checkText(v string) error {
	switch {
	case utf8.RuneCountInString(v) < s.MinLength:
		return wrong("must not be empty")
	case s.Format == "date-time" && !isTime(v):
		return wrong("must be a time such as 2014-12-18T10:44:22+00:00")
	case s.Format == "uri" && !isURI(v):
		return wrong("must be a URL such as https://example.com/")
	}
	return nil
}

// rfc3339 is the shape of a time, which Go's parser takes some others for.
var rfc3339 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
})

func isTime(v string) bool {
	v = strings.ToUpper(v) // a t and a z will do
	if !rfc3339().MatchString(v) {
		return false
	}
	leap := v[17:19] == "60" // a second that Go has no time for
	if leap {
		v = v[:17] + "59" + v[19:]
	}
	t, err := time.Parse(time.RFC3339, v)
	return err == nil && (!leap || t.UTC().Format("15:04") == "23:59")
}

func isURI(v string) bool {
	u, err := url.Parse(v)
	return err == nil && u.IsAbs()
}

func (s *schema) checkNumber(v json.Number) error {
	if s.Minimum != nil && rational(v).Cmp(new(big.Rat).SetFloat64(*s.Minimum)) < 0 {
		return wrong("must be at least %v", *s.Minimum)
	}
	if s.Maximum != nil && rational(v).Cmp(new(big.Rat).SetFloat64(*s.Maximum)) > 0 {
		return wrong("must be at most %v", *s.Maximum)
	}
	return nil
}

// Numbers are compared with all their digits, so they may not have too many.
const (
	maxExponent = 999
	maxNumber   = 1000 // characters of one that is compared
)

// countable refuses a number that nobody can count with.
func (s *schema) countable(n json.Number) error {
	_, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e")
	if e, err := strconv.Atoi(exponent); ok && (err != nil || e > maxExponent || e < -maxExponent) {
		return wrong("must have an exponent of at most %d", maxExponent)
	}
	compared := s.Minimum != nil || s.Maximum != nil || slices.Contains(s.Type, "integer")
	if compared && len(n) > maxNumber {
		return wrong("must have at most %d characters", maxNumber)
	}
	return nil
}

func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String()) // JSON's numbers are all of its syntax
	return r
}

func (s *schema) checkItems(items []any) error {
	of := cmp.Or(s.Items, anything)
	for i, item := range items {
		if err := of.check(item); err != nil {
			return within(strconv.Itoa(i), err)
		}
	}
	return nil
}

func (s *schema) checkFields(object map[string]any) error {
	names := slices.AppendSeq(slices.Clone(s.Required), maps.Keys(object))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		value, given := object[name]
		of, known := s.Properties[name]
		var err error
		switch {
		case !given:
			err = wrong("is required")
		case !known && s.AdditionalProperties != nil && !*s.AdditionalProperties:
			err = wrong("no such field")
		default:
			err = cmp.Or(of, anything).check(value)
		}
		if err != nil {
			return within(name, err)
		}
	}
	return nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// typeNames are the types that a value may have. JSON has one or a list.
type typeNames []string

func (names *typeNames) UnmarshalJSON(document []byte) error {
	if document[0] == '[' {
		return json.Unmarshal(document, (*[]string)(names))
	}
	*names = make(typeNames, 1)
	return json.Unmarshal(document, &(*names)[0])
}

func (names typeNames) include(v any) bool {
	got := typeOf(v)
	n, _ := v.(json.Number)
	return slices.Contains(names, got) || got == "number" && slices.Contains(names, "integer") && rational(n).IsInt()
}

// String names the types in words; null comes last.
func (names typeNames) String() string {
	var words []string
	for _, name := range names {
		if name != "null" {
			words = append(words, typeWords[name])
		}
	}
	if len(words) < len(names) {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

var typeWords = map[string]string{
	"object": "an object", "array": "an array", "string": "a string", "number": "a number",
	"integer": "a whole number", "boolean": "true or false", "null": "null",
}
