package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

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
type reading struct {
	lenient bool // fields that are not known are ignored, not refused
}

// object reads a body that is one JSON object.
func (r reading) object(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	var text json.RawMessage
	if err := dec.Decode(&text); err != nil {
		return boathook.Errorf(boathook.Invalid, "the body is not JSON: %s", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return boathook.Errorf(boathook.Invalid, "the body goes on after its JSON object")
	}
	return r.value(text, reflect.ValueOf(into).Elem(), "")
}

// value reads one JSON value, which is well-formed.
func (r reading) value(text json.RawMessage, v reflect.Value, path string) error {
	wrong := func() error { return boathook.InvalidField(path, "must be %s", typeName(v.Type())) }
	if self, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		if err := self.UnmarshalJSON(text); err != nil {
			kind := v.Type()
			if as := (*json.UnmarshalTypeError)(nil); errors.As(err, &as) {
				kind = as.Type
			}
			return boathook.InvalidField(path, "must be %s", typeName(kind))
		}
		return nil
	}
	if string(text) == "null" {
		if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			return nil
		}
		return boathook.InvalidField(path, "must be %s, not null", typeName(v.Type()))
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.value(text, v.Elem(), path)
	case reflect.Struct:
		return r.fields(text, v, path)
	case reflect.Int:
		n, ok := wholeNumber(string(text))
		if !ok {
			return wrong()
		}
		v.SetInt(n)
		return nil
	case reflect.Slice:
		var elements []json.RawMessage
		if json.Unmarshal(text, &elements) != nil {
			return wrong()
		}
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
		for i, element := range elements {
			if err := r.value(element, v.Index(i), below(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		var entries map[string]json.RawMessage
		if json.Unmarshal(text, &entries) != nil {
			return wrong()
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			entry := reflect.New(v.Type().Elem()).Elem()
			if err := r.value(entries[key], entry, below(path, key)); err != nil {
				return err
			}
			v.SetMapIndex(reflect.ValueOf(key), entry)
		}
		return nil
	}
	if json.Unmarshal(text, v.Addr().Interface()) != nil {
		return wrong()
	}
	return nil
}

// fields reads an object into a struct.
func (r reading) fields(text json.RawMessage, v reflect.Value, path string) error {
	var given map[string]json.RawMessage
	if json.Unmarshal(text, &given) != nil {
		return boathook.InvalidField(path, "must be %s", typeName(v.Type()))
	}
	for i := range v.NumField() {
		tag, ok := v.Type().Field(i).Tag.Lookup("json")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		if value, ok := given[name]; ok {
			if err := r.value(value, v.Field(i), below(path, name)); err != nil {
				return err
			}
			delete(given, name)
		}
	}
	if len(given) > 0 && !r.lenient {
		return boathook.InvalidField(below(path, slices.Min(slices.Collect(maps.Keys(given)))), "no such field")
	}
	return nil
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// wholeNumber reads a number of JSON that is an integer, however it is written: 27,
// 27.0, 2.7e1. It is false for a fraction, and for what an int64 does not hold.
func wholeNumber(text string) (n int64, ok bool) {
	const mostDigits = 19
	mantissa, power, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false // no number
	}
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return 0, mantissa != ""
	}
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return 0, false
		}
	}
	exponent += len(digits) - len(significant) - len(fraction)
	if exponent < 0 || exponent > mostDigits {
		return 0, false
	}
	if negative {
		significant = "-" + significant
	}
	n, err := strconv.ParseInt(significant+strings.Repeat("0", exponent), 10, 64)
	return n, err == nil
}

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
