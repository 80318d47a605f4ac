package schema

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"boathook/internal/boathook"
)

// Draft is the $schema that a schema may have.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// Limits of patterns.
const (
	maxPattern  = 256    // bytes
	maxProgram  = 2000   // instructions about: what a repeat repeats counts as often
	maxPrograms = 20_000 // of all patterns of a schema
)

// Compile reads a schema. The error is [boathook.Invalid]; its field is the JSON
// Pointer of the word at fault.
func Compile(document []byte) (*Schema, error) {
	v, err := decode(document)
	if err != nil {
		return nil, err
	}
	if err := countable(v); err != nil {
		return nil, err
	}
	r := reader{words: words, nodes: map[string]*node{}}
	root, err := r.node(v, "")
	if err != nil {
		return nil, err
	}
	if err := r.resolve(); err != nil {
		return nil, err
	}
	return &Schema{root}, nil
}

// reader reads the schemas of a document.
type reader struct {
	words map[string]word
	nodes map[string]*node // by JSON Pointer
	refs  []reference

	programs int // instructions of the patterns that were read
}

// reference is a $ref that is to be resolved when all of the document is read.
type reference struct {
	from *node
	at   string
	to   string // JSON Pointer
}

// word reads the value of a word of a schema. Its errors are about the word.
type word func(r *reader, n *node, v any, at string) error

// below is the JSON Pointer of what is in what at points to.
func below(at, name string) string { return at + "/" + pointerEscapes.Replace(name) }

// node reads a schema. The error's field is a pointer from it on.
func (r *reader) node(v any, at string) (*node, error) {
	n := new(node)
	r.nodes[at] = n
	switch v := v.(type) {
	case bool:
		n.nothing = !v
		return n, nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := r.word(n, name, v[name], at); err != nil {
				return nil, within(name, err)
			}
		}
		return n, nil
	}
	return nil, wrong("must be a schema: an object, true or false")
}

func (r *reader) word(n *node, name string, v any, at string) error {
	if at == "" && name == "$schema" {
		if text, _ := v.(string); strings.TrimSuffix(text, "#") != Draft {
			return wrong("must be %s", Draft)
		}
		return nil
	}
	if annotations[name] || strings.HasPrefix(name, "x-") || at == "" && name == "$id" {
		return nil
	}
	read := r.words[name]
	if read == nil {
		return wrong("is not a word that is known here of JSON Schema 2020-12")
	}
	return read(r, n, v, below(at, name))
}

// annotations are words that tell readers something.
var annotations = map[string]bool{
	"title": true, "description": true, "default": true, "examples": true, "deprecated": true, "readOnly": true, "writeOnly": true,
	"$comment": true, "contentEncoding": true, "contentMediaType": true,
}

var words = map[string]word{
	"$defs": func(r *reader, _ *node, v any, at string) error { _, err := r.named(v, at); return err },
	"$ref":  readRef,

	"type": readType,
	"enum": readEnum,
	"const": func(_ *reader, n *node, v any, _ string) error {
		n.choices = append(n.choices, []choice{newChoice(v)})
		return nil
	},

	"minLength": number(func(n *node) **int { return &n.length.least }),
	"maxLength": number(func(n *node) **int { return &n.length.most }),
	"pattern":   readPattern,
	"format":    readFormat,

	"minimum":          limit(func(n *node) **bound { return &n.minimum }),
	"exclusiveMinimum": limit(func(n *node) **bound { return &n.above }),
	"maximum":          limit(func(n *node) **bound { return &n.maximum }),
	"exclusiveMaximum": limit(func(n *node) **bound { return &n.below }),
	"multipleOf":       readMultipleOf,

	"minItems":    number(func(n *node) **int { return &n.count.least }),
	"maxItems":    number(func(n *node) **int { return &n.count.most }),
	"prefixItems": several(func(n *node) *[]*node { return &n.prefix }),
	"items":       single(func(n *node) **node { return &n.items }),
	"contains":    single(func(n *node) **node { return &n.contains }),
	"minContains": number(func(n *node) **int { return &n.matches.least }),
	"maxContains": number(func(n *node) **int { return &n.matches.most }),
	"uniqueItems": readUnique,

	"minProperties":        number(func(n *node) **int { return &n.fields.least }),
	"maxProperties":        number(func(n *node) **int { return &n.fields.most }),
	"properties":           byName(func(n *node) *map[string]*node { return &n.properties }),
	"patternProperties":    readPatternProperties,
	"additionalProperties": single(func(n *node) **node { return &n.additional }),
	"propertyNames":        single(func(n *node) **node { return &n.names }),
	"required":             func(_ *reader, n *node, v any, _ string) (err error) { n.required, err = texts(v); return err },
	"dependentRequired":    readDependentRequired,
	"dependentSchemas":     byName(func(n *node) *map[string]*node { return &n.dependent }),

	"allOf": several(func(n *node) *[]*node { return &n.all }),
	"anyOf": several(func(n *node) *[]*node { return &n.any }),
	"oneOf": several(func(n *node) *[]*node { return &n.one }),
	"not":   single(func(n *node) **node { return &n.not }),
	"if":    single(func(n *node) **node { return &n.when }),
	"then":  single(func(n *node) **node { return &n.then }),
	"else":  single(func(n *node) **node { return &n.otherwise }),
}

func single(field func(*node) **node) word {
	return func(r *reader, n *node, v any, at string) (err error) {
		*field(n), err = r.node(v, at)
		return err
	}
}

func several(field func(*node) *[]*node) word {
	return func(r *reader, n *node, v any, at string) error {
		list, _ := v.([]any)
		if len(list) == 0 {
			return wrong("must be an array of one or more schemas")
		}
		for i, inner := range list {
			of, err := r.node(inner, below(at, strconv.Itoa(i)))
			if err != nil {
				return within(strconv.Itoa(i), err)
			}
			*field(n) = append(*field(n), of)
		}
		return nil
	}
}

func byName(field func(*node) *map[string]*node) word {
	return func(r *reader, n *node, v any, at string) (err error) {
		*field(n), err = r.named(v, at)
		return err
	}
}

// named reads schemas by name.
func (r *reader) named(v any, at string) (map[string]*node, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, wrong("must be an object of schemas")
	}
	nodes := make(map[string]*node, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		of, err := r.node(object[name], below(at, name))
		if err != nil {
			return nil, within(name, err)
		}
		nodes[name] = of
	}
	return nodes, nil
}

func number(field func(*node) **int) word {
	return func(_ *reader, n *node, v any, _ string) error {
		const most = 1 << 30
		literal, ok := v.(json.Number)
		if !ok || len(literal) > maxNumber || !isWhole(literal) {
			return wrong("must be a whole number, at least 0")
		}
		value := rational(literal)
		if value.Sign() < 0 {
			return wrong("must be a whole number, at least 0")
		}
		count := most // nothing has more
		if whole := value.Num(); whole.IsInt64() && whole.Int64() < most {
			count = int(whole.Int64())
		}
		*field(n) = &count
		return nil
	}
}

func limit(field func(*node) **bound) word {
	return func(_ *reader, n *node, v any, _ string) (err error) {
		*field(n), err = readBound(v)
		return err
	}
}

func readBound(v any) (*bound, error) {
	literal, ok := v.(json.Number)
	if !ok {
		return nil, wrong("must be a number")
	}
	if len(literal) > maxNumber {
		return nil, wrong("must have at most %d characters", maxNumber)
	}
	value := rational(literal)
	return &bound{value, value.IsInt() && value.Num().IsInt64(), literal.String()}, nil
}

func readMultipleOf(_ *reader, n *node, v any, _ string) (err error) {
	n.multipleOf, err = readBound(v)
	if err == nil && n.multipleOf.value.Sign() <= 0 {
		return wrong("must be more than 0")
	}
	return err
}

func readUnique(_ *reader, n *node, v any, _ string) error {
	unique, ok := v.(bool)
	if !ok {
		return wrong("must be true or false")
	}
	n.unique = unique
	return nil
}

// readRef reads a reference within the document.
func readRef(r *reader, n *node, v any, at string) error {
	text, ok := v.(string)
	pointer, local := strings.CutPrefix(text, "#")
	if pointer, err := url.PathUnescape(pointer); ok && local && err == nil && (pointer == "" || pointer[0] == '/') {
		r.refs = append(r.refs, reference{n, at, pointer})
		return nil
	}
	return wrong("must be a JSON Pointer within the schema, such as #/$defs/name: nothing is fetched")
}

func readType(_ *reader, n *node, v any, _ string) (err error) {
	if name, ok := v.(string); ok {
		v = []any{name}
	}
	if n.types, err = texts(v); err != nil {
		return err
	}
	if len(n.types) == 0 || slices.ContainsFunc(n.types, func(name string) bool { return typeWords[name] == "" }) {
		return wrong("must be one or more of %s", strings.Join(slices.Sorted(maps.Keys(typeWords)), ", "))
	}
	return nil
}

// texts are the texts of an array, none of which is twice in it.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	names := make([]string, len(list))
	for i, item := range list {
		name, isText := item.(string)
		ok = ok && isText && !slices.Contains(names[:i], name)
		names[i] = name
	}
	if !ok {
		return nil, wrong("must be an array of strings, each once")
	}
	return names, nil
}

func readEnum(_ *reader, n *node, v any, _ string) error {
	list, ok := v.([]any)
	if !ok {
		return wrong("must be an array")
	}
	choices := make([]choice, len(list))
	for i, value := range list {
		choices[i] = newChoice(value)
	}
	n.choices = append(n.choices, choices)
	return nil
}

func newChoice(v any) choice {
	text, ok := v.(string)
	if !ok || text == "" {
		encoded, err := boathook.EncodeJSON(v)
		if err != nil {
			panic(err) // it was decoded from JSON
		}
		text = strings.TrimSpace(string(encoded))
	}
	return choice{canonical(v), text}
}

func readFormat(_ *reader, n *node, v any, _ string) error {
	n.format, _ = v.(string)
	if _, known := formats[n.format]; !known {
		return wrong("must be one of %s", strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
	}
	return nil
}

func readPattern(r *reader, n *node, v any, _ string) (err error) {
	text, ok := v.(string)
	if !ok {
		return wrong("must be a string")
	}
	n.pattern, err = r.pattern(text)
	return err
}

func (r *reader) pattern(text string) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, wrong("must have at most %d bytes", maxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			err = errors.New(e.Code.String())
		}
		return nil, wrong("must be a regular expression of the syntax of RE2: %s", err)
	}
	size := programSize(tree)
	if size > maxProgram {
		return nil, wrong("must repeat less: it takes more than %d steps a character", maxProgram)
	}
	if r.programs += size; r.programs > maxPrograms {
		return nil, wrong("is one pattern too many: those of a schema take at most %d steps a character together", maxPrograms)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, wrong("must be a regular expression of the syntax of RE2: %s", err)
	}
	return &pattern{re, size}, nil
}

// programSize estimates what a regular expression compiles to, without doing it: a
// repeat of a repeat is long when it is written out.
func programSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)
	for _, inner := range tree.Sub {
		size += programSize(inner)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max, 1)
	}
	return min(size, maxProgram+1)
}

func readPatternProperties(r *reader, n *node, v any, at string) error {
	named, err := r.named(v, at)
	if err != nil {
		return err
	}
	for _, text := range slices.Sorted(maps.Keys(named)) {
		p, err := r.pattern(text)
		if err != nil {
			return within(text, err)
		}
		n.patterns = append(n.patterns, fieldPattern{p, named[text]})
	}
	return nil
}

func readDependentRequired(_ *reader, n *node, v any, _ string) error {
	object, ok := v.(map[string]any)
	if !ok {
		return wrong("must be an object of arrays of strings")
	}
	n.dependentRequired = make(map[string][]string, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		others, err := texts(object[name])
		if err != nil {
			return within(name, err)
		}
		n.dependentRequired[name] = others
	}
	return nil
}

// resolve finds what is referred to, and refuses what refers to itself about one and
// the same value.
func (r *reader) resolve() error {
	for _, ref := range r.refs {
		to := r.nodes[ref.to]
		if to == nil {
			return boathook.InvalidField(ref.at, "refers to no schema of this document")
		}
		ref.from.is = to
	}
	seen := make(map[*node]bool)
	for _, ref := range r.refs {
		if ref.from.circles(seen, map[*node]bool{}) {
			return boathook.InvalidField(ref.at, "refers to itself without going into the value")
		}
	}
	return nil
}

// circles reports whether a node comes to itself by way of those that are about the
// same value. seen has those that don't, path those that lead to n.
func (n *node) circles(seen, path map[*node]bool) bool {
	if n == nil || seen[n] {
		return false
	}
	if path[n] {
		return true
	}
	path[n] = true
	defer delete(path, n)
	next := slices.Concat([]*node{n.is, n.not, n.when, n.then, n.otherwise}, n.all, n.any, n.one, slices.Collect(maps.Values(n.dependent)))
	for _, of := range next {
		if of.circles(seen, path) {
			return true
		}
	}
	seen[n] = true
	return false
}
