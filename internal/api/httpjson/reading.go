package httpjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"boathook/internal/boathook"
)

// reading is how a request's body is read into a struct. It differs from
// [json.Unmarshal]: null is refused but where a field's type has a place for it,
// 27.0 is a whole number as it is in JSON Schema, names are exact, and an error
// names the field by its whole path.
//
// The fields of the struct have their names in json tags, and types made of
// strings, booleans, integers, slices, maps of strings, structs and pointers. A
// pointer is nil where the field is not given. A pointer to a pointer takes null,
// too: it points to nil then. So does what reads itself, as [json.RawMessage] does.
//
// Where a value can't be read, that is an issue, and the others are read.
type reading struct {
	lenient bool // fields that are not known are ignored, not refused
	issues  boathook.Issues
}

// object reads a body that is one JSON object. The error is that it is none.
func (r *reading) object(body []byte, into any) error {
	v := reflect.ValueOf(into).Elem()
	given, ok := split(body)
	if !ok {
		return notObject(body)
	}
	if _, self := reflect.TypeAssert[json.Unmarshaler](v.Addr()); !self && v.Kind() == reflect.Struct {
		r.fields(given, v, nil)
		return nil
	}
	r.value(body, v, nil)
	return nil
}

// split gives an object's fields, which are parts of text; of one that is given twice, the
// last. It accepts what encoding/json does, which would go through the text three times and
// copy it.
func split(text []byte) (fields map[string]json.RawMessage, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != '{' {
		return nil, false
	}
	fields = make(map[string]json.RawMessage)
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		end := dec.InputOffset()
		fields[name] = text[end-int64(len(value)) : end : end]
	}
	if _, err := dec.ReadToken(); err != nil { // the bracket
		return nil, false
	}
	_, err := dec.ReadToken()
	return fields, errors.Is(err, io.EOF)
}

// notObject says why a body is not one JSON object.
func notObject(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	var text json.RawMessage
	if err := dec.Decode(&text); err != nil {
		return boathook.Errorf(boathook.Invalid, "the body is not JSON: %s", err)
	}
	return boathook.Errorf(boathook.Invalid, "the body goes on after its JSON object")
}

// value reads one JSON value, which is well-formed: one case for each kind of type
// that a body can be read into.
func (r *reading) value(text json.RawMessage, v reflect.Value, path []any) {
	if raw, ok := reflect.TypeAssert[*json.RawMessage](v.Addr()); ok {
		*raw = text
		return
	}
	if self, ok := reflect.TypeAssert[json.Unmarshaler](v.Addr()); ok {
		if err := self.UnmarshalJSON(text); err != nil {
			kind := v.Type()
			if as, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				kind = as.Type
			}
			r.wrong(kind, path)
		}
		return
	}
	if string(text) == "null" {
		if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			return
		}
		r.issues.Add("must be "+typeName(v.Type())+", not null", path...)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if inner, quoted := bytes.CutPrefix(text, []byte{'"'}); quoted && bytes.IndexByte(inner, '\\') < 0 { // as nearly all
			v.SetString(string(inner[:len(inner)-1]))
		} else if json.Unmarshal(text, v.Addr().Interface()) != nil {
			r.wrong(v.Type(), path)
		}
	case reflect.Pointer:
		before := len(r.issues)
		v.Set(reflect.New(v.Type().Elem()))
		r.value(text, v.Elem(), path)
		if len(r.issues) > before {
			v.SetZero() // what can't be read counts as not given
		}
	case reflect.Struct:
		given, isObject := split(text)
		if !isObject {
			r.wrong(v.Type(), path)
			return
		}
		r.fields(given, v, path)
	case reflect.Int:
		n, isNumber := boathook.ParseNumber(string(text))
		whole, fits := n.Int64()
		if !isNumber || !fits {
			r.wrong(v.Type(), path)
			return
		}
		v.SetInt(whole)
	case reflect.Slice:
		r.elements(text, v, path)
	case reflect.Map:
		r.entries(text, v, path)
	default:
		if json.Unmarshal(text, v.Addr().Interface()) != nil {
			r.wrong(v.Type(), path)
		}
	}
}

// elements reads an array into a slice.
func (r *reading) elements(text json.RawMessage, v reflect.Value, path []any) {
	var elements []json.RawMessage
	if json.Unmarshal(text, &elements) != nil {
		r.wrong(v.Type(), path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	for i, element := range elements {
		r.value(element, v.Index(i), below(path, i))
	}
}

// entries reads an object into a map.
func (r *reading) entries(text json.RawMessage, v reflect.Value, path []any) {
	entries, isObject := split(text)
	if !isObject {
		r.wrong(v.Type(), path)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		entry := reflect.New(v.Type().Elem()).Elem()
		r.value(entries[key], entry, below(path, key))
		v.SetMapIndex(reflect.ValueOf(key), entry)
	}
}

// wrong is the issue of a value that is of another type.
func (r *reading) wrong(wanted reflect.Type, path []any) {
	r.issues.Add("must be "+typeName(wanted), path...)
}

// fields reads an object's fields, which it uses up, into a struct.
func (r *reading) fields(given map[string]json.RawMessage, v reflect.Value, path []any) {
	known := namesOf(v.Type())
	for i, name := range known {
		if name == "" {
			continue
		}
		if value, ok := given[name]; ok {
			r.value(value, v.Field(i), below(path, name))
			delete(given, name)
		}
	}
	if r.lenient || len(given) == 0 {
		return
	}
	known = slices.DeleteFunc(slices.Clone(known), func(name string) bool { return name == "" })
	for _, name := range slices.Sorted(maps.Keys(given)) {
		r.issues.Add("no such field: "+thereAre(known), below(path, name)...)
	}
}

// fieldNames are what [namesOf] has found, by the types.
var fieldNames sync.Map

// namesOf are the names of a struct's fields in JSON, in their order; empty of one that has
// none.
func namesOf(t reflect.Type) []string {
	if names, ok := fieldNames.Load(t); ok {
		return names.([]string)
	}
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	fieldNames.Store(t, names)
	return names
}

// thereAre tells who has written another name which there are.
func thereAre(names []string) string {
	switch len(names) {
	case 0:
		return "there is none"
	case 1:
		return "there is only " + names[0]
	}
	return "there are " + strings.Join(names, ", ")
}

func below(path []any, step any) []any { return append(slices.Clone(path), step) }

// typeName is what a value must be, in words.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "an array"
	default:
		return "an object"
	}
}
