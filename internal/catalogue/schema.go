package catalogue

import (
	"encoding/json"
	"maps"
	"math/big"
	"net/url"
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
// schemas use: one with any other is not read. The library that knows them all
// compiles six drafts of its own whenever a process starts, which took 4 ms of
// the 8 of manage's start. The tests hold this to what the library says.
type schema struct {
	Ref                  string             `json:"$ref"` // #/$defs/{name}, beside no other word
	Defs                 map[string]*schema `json:"$defs"`
	Type                 typeNames          `json:"type"`
	Enum                 []string           `json:"enum"`
	Const                *string            `json:"const"`
	MinLength            int                `json:"minLength"`
	Format               string             `json:"format"` // date-time or uri
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
}

// anything is the schema of values that no other one is of.
var anything = new(schema)

// check refuses a value that is not what the schema, of a document with these
// definitions, says. The error is about the first value at fault, of an object's
// fields in the order of their names: the same data always gives the same one.
func (s *schema) check(v any, at string, defs map[string]*schema) error {
	if s.Ref != "" {
		return defs[strings.TrimPrefix(s.Ref, "#/$defs/")].check(v, at, defs)
	}
	if n, ok := v.(json.Number); ok && !countable(n) {
		return boathook.InvalidField(at, "must have an exponent of at most %d", maxExponent)
	}
	if s.Type != nil && !s.Type.include(v) {
		return boathook.InvalidField(at, "must be %s, not %s", s.Type, typeWords[typeOf(v)])
	}
	choices := s.Enum
	if s.Const != nil {
		choices = []string{*s.Const}
	}
	if text, ok := v.(string); choices != nil && (!ok || !slices.Contains(choices, text)) {
		return boathook.InvalidField(at, "must be %s", strings.Join(choices, ", "))
	}
	switch v := v.(type) {
	case string:
		return s.checkText(v, at)
	case json.Number:
		return s.checkNumber(v, at)
	case []any:
		return s.checkItems(v, at, defs)
	case map[string]any:
		return s.checkFields(v, at, defs)
	}
	return nil
}

func (s *schema) checkText(v, at string) error {
	switch {
	case utf8.RuneCountInString(v) < s.MinLength:
		return boathook.InvalidField(at, "must not be empty")
	case s.Format == "date-time" && !isTime(v):
		return boathook.InvalidField(at, "must be a time such as 2014-12-18T10:44:22+00:00")
	case s.Format == "uri" && !isURI(v):
		return boathook.InvalidField(at, "must be a URL such as https://example.com/")
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

func (s *schema) checkNumber(v json.Number, at string) error {
	n := rational(v)
	switch {
	case s.Minimum != nil && n.Cmp(new(big.Rat).SetFloat64(*s.Minimum)) < 0:
		return boathook.InvalidField(at, "must be at least %v", *s.Minimum)
	case s.Maximum != nil && n.Cmp(new(big.Rat).SetFloat64(*s.Maximum)) > 0:
		return boathook.InvalidField(at, "must be at most %v", *s.Maximum)
	}
	return nil
}

// maxExponent is the largest of a number's that is taken, since numbers are
// compared with all their digits.
const maxExponent = 999

func countable(n json.Number) bool {
	_, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e")
	if !ok {
		return true
	}
	e, err := strconv.Atoi(exponent)
	return err == nil && e <= maxExponent && e >= -maxExponent
}

func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String()) // JSON's numbers are all of its syntax
	return r
}

func (s *schema) checkItems(items []any, at string, defs map[string]*schema) error {
	of := s.Items
	if of == nil {
		of = anything
	}
	for i, item := range items {
		if err := of.check(item, at+"/"+strconv.Itoa(i), defs); err != nil {
			return err
		}
	}
	return nil
}

func (s *schema) checkFields(object map[string]any, at string, defs map[string]*schema) error {
	names := slices.AppendSeq(slices.Clone(s.Required), maps.Keys(object))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		value, given := object[name]
		of, known := s.Properties[name]
		if !known {
			of = anything
		}
		field := at + "/" + pointerEscapes.Replace(name)
		switch {
		case !given:
			return boathook.InvalidField(field, "is required")
		case !known && s.AdditionalProperties != nil && !*s.AdditionalProperties:
			return boathook.InvalidField(field, "no such field")
		}
		if err := of.check(value, field, defs); err != nil {
			return err
		}
	}
	return nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// typeNames are the types that a value may have. JSON has one or a list.
type typeNames []string

func (names *typeNames) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(names))
	}
	*names = make(typeNames, 1)
	return json.Unmarshal(text, &(*names)[0])
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
