package httpjson

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzSplit holds split to what encoding/json reads.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{
		`{}`, ` {"a" : 1 , "b":[{"c":null}]} `, `{"a":1,"a":2}`, `{"\u0061":1,"a\"b":" x "}`, `{"\ud800":1}`, `{"é":-0.5e+3,"":true}`,
		`[]`, `null`, `1`, ``, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a":01}`, `{}{}`, `{} x`, "{\"a\":\"\x01\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		isObject := json.Unmarshal(text, &want) == nil && want != nil
		got, ok := split(text)
		if ok != isObject || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is split into %q, %t; want %q, %t", text, got, ok, want, isObject)
		}
	})
}
