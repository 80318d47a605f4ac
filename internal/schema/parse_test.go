package schema

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParse holds the parser to what the library's decoder reads.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `[[],{}]`, `""`, `0`, `-1.5e+300`, `true`, `false`, `null`, " [ 1 ,\t2\r\n] ", `[1,[2,[3]],4]`,
		`{"a":1,"b":{"c":[true,false,null,"d"]},"a":2}`, ` { "a" : { } , "" : [ ] } `, `["\"","\\","\\\"","\/","\u00e9","\ud83d\ude00","\ud83d","é","\n"]`,
		`{"\u0061":1,"a\"b":2}`, "[\"\xff\"]", `[`, `{"a"}`, `[1,]`, ``, `1 2`, `"`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); !json.Valid(text) {
			if got, failed := decode(text); failed == nil {
				t.Errorf("%q is read as %#v, and the decoder says %v", text, got, err)
			}
			return
		}
		if got, err := decode(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %#v, %v; want %#v", text, got, err, want)
		}
	})
}
