package boathook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// The document and the pointers are those of RFC 6901, section 5.
func TestValueAtFollowsJSONPointers(t *testing.T) {
	const document = `{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,"big":12345678901234567890123}`
	for pointer, want := range map[string]any{
		"/foo": []any{"bar", "baz"}, "/foo/0": "bar", "/foo/1": "baz", "/": json.Number("0"),
		"/a~1b": json.Number("1"), "/c%d": json.Number("2"), "/e^f": json.Number("3"), "/g|h": json.Number("4"),
		`/i\j`: json.Number("5"), `/k"l`: json.Number("6"), "/ ": json.Number("7"), "/m~0n": json.Number("8"),
		"/big": json.Number("12345678901234567890123"),
	} {
		if got, ok := (&boathook.Document{Text: []byte(document)}).ValueAt(pointer); !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v, want %v", pointer, got, ok, want)
		}
	}
	for _, pointer := range []string{"foo", "/none", "/foo/2", "/foo/-", "/foo/-1", "/foo/01", "/foo/0/x", "/~", "/~2", "/m~n", "\xff"} {
		if got, ok := (&boathook.Document{Text: []byte(document)}).ValueAt(pointer); ok {
			t.Errorf("%q: got %v", pointer, got)
		}
	}
	for _, text := range []string{``, `{`, `{"a":1} 2`} {
		if got, ok := (&boathook.Document{Text: []byte(text)}).ValueAt("/a"); ok {
			t.Errorf("in %s: got %v", text, got)
		}
	}
}

func TestAFilterRefusesInWords(t *testing.T) {
	for _, tc := range []struct {
		filter       boathook.Filter
		event, input string
		want         string
	}{
		{boathook.Filter{}, "push", `{}`, ""},
		{boathook.Filter{Events: []string{"push", "release"}}, "release", `{}`, ""},
		{boathook.Filter{Events: []string{"push"}}, "Push", `{}`, `the event "Push" is not one that the filter names`},
		{boathook.Filter{Events: []string{"push"}}, "", `{}`, `the request names no event`},
		{boathook.Filter{Pointer: "/action", Equals: json.RawMessage(`"opened"`)}, "", `{"action":"opened"}`, ""},
		{boathook.Filter{Pointer: "/action", Equals: json.RawMessage(`"opened"`)}, "", `{"action":"hunter2"}`, `/action is not "opened"`},
		{boathook.Filter{Pointer: "/action", Equals: json.RawMessage(`"opened"`)}, "", `{"action":["opened"]}`, `/action is not "opened"`},
		{boathook.Filter{Pointer: "/action", Equals: json.RawMessage(`"opened"`)}, "", `[1]`, `/action is not in the input`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":1}`, ""},
		{boathook.Filter{Events: []string{"push"}}, "push.forced push", `{}`, ""},
		{boathook.Filter{Events: []string{"issues"}}, "push.forced push", `{}`, `the event "push.forced" is not one that the filter names`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":1.0}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1.50`)}, "", `{"n":15e-1}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1200`)}, "", `{"n":1.2E+3}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`0`)}, "", `{"n":-0.00e7}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":-1}`, `/n is not 1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":10}`, `/n is not 1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`0.1`)}, "", `{"n":0.10000000000000000001}`, `/n is not 0.1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":1e999999999999}`, `/n is not 1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1e999999999999`)}, "", `{"n":1e999999999999}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":true}`, `/n is not 1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`1`)}, "", `{"n":"1"}`, `/n is not 1`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`12345678901234567890`)}, "", `{"n":12345678901234567891}`, `/n is not 12345678901234567890`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(` null `)}, "", `{"n":null}`, ""},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`null`)}, "", `{}`, `/n is not in the input`},
		{boathook.Filter{Pointer: "/n", Equals: json.RawMessage(`false`)}, "", `{"n":true}`, `/n is not false`},
		{boathook.Filter{Events: []string{"push"}, Pointer: "/n", Equals: json.RawMessage(`1`)}, "push", `{"n":2}`, `/n is not 1`},
	} {
		if err := tc.filter.Check(); err != nil {
			t.Errorf("%+v: %v", tc.filter, err)
		}
		var names []string
		if tc.event != "" {
			names = strings.Split(tc.event, " ")
		}
		if got := tc.filter.Refuse(names, &boathook.Document{Text: []byte(tc.input)}); got != tc.want {
			t.Errorf("%+v of %q %s: %q, want %q", tc.filter, tc.event, tc.input, got, tc.want)
		}
	}
	long := boathook.Filter{Events: []string{"push"}}.Refuse([]string{strings.Repeat("ü", 10_000)}, &boathook.Document{})
	if len(long) > 300 || !utf8.ValidString(long) {
		t.Errorf("a long event's name is shown in %d bytes: %s", len(long), long)
	}
}

func TestFiltersAreChecked(t *testing.T) {
	for _, tc := range []struct {
		filter boathook.Filter
		field  string
	}{
		{boathook.Filter{Events: []string{""}}, "filter.events"},
		{boathook.Filter{Events: []string{strings.Repeat("x", 101)}}, "filter.events"},
		{boathook.Filter{Events: make([]string, 51)}, "filter.events"},
		{boathook.Filter{Pointer: "/a"}, "filter"},
		{boathook.Filter{Equals: json.RawMessage(`1`)}, "filter"},
		{boathook.Filter{Pointer: "action", Equals: json.RawMessage(`1`)}, "filter.pointer"},
		{boathook.Filter{Pointer: "/~3", Equals: json.RawMessage(`1`)}, "filter.pointer"},
		{boathook.Filter{Pointer: "/" + strings.Repeat("x", 256), Equals: json.RawMessage(`1`)}, "filter.pointer"},
		{boathook.Filter{Pointer: "/a", Equals: json.RawMessage(`{}`)}, "filter.equals"},
		{boathook.Filter{Pointer: "/a", Equals: json.RawMessage(`[1]`)}, "filter.equals"},
		{boathook.Filter{Pointer: "/a", Equals: json.RawMessage(`"` + strings.Repeat("x", 512) + `"`)}, "filter.equals"},
	} {
		var e *boathook.Error
		if err := tc.filter.Check(); !errors.As(err, &e) || e.Kind != boathook.Invalid || e.Field != tc.field {
			t.Errorf("%+v: %v, want one about %s", tc.filter, err, tc.field)
		}
	}
}

func FuzzValueAt(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":1}]}`), "/a/0/b")
	f.Add([]byte(`[[]]`), "/0/0")
	f.Add([]byte(`{"~":{"/":null}}`), "/~0/~1")
	f.Add([]byte("\xff"), "/~")
	f.Fuzz(func(t *testing.T, text []byte, pointer string) {
		if _, ok := (&boathook.Document{Text: text}).ValueAt(pointer); ok && boathook.CheckJSON(text) != nil && !strings.Contains(boathook.CheckJSON(text).Error(), "deeper") && utf8.Valid(text) {
			t.Errorf("found %q in what is not JSON: %s", pointer, text)
		}
		filter := boathook.Filter{Pointer: pointer, Equals: json.RawMessage(`1`)}
		if filter.Check() == nil && !utf8.ValidString(filter.Refuse(nil, &boathook.Document{Text: text})) {
			t.Error("the reason is not text")
		}
	})
}

func TestADocumentIsDecodedOnce(t *testing.T) {
	d := boathook.Document{Text: []byte(`{"a":1,"b":"two"}`)}
	if got, ok := d.ValueAt("/a"); !ok || fmt.Sprint(got) != "1" {
		t.Fatalf("got %v, %v", got, ok)
	}
	clear(d.Text) // what is not JSON any more is not looked at
	if got, ok := d.ValueAt("/b"); !ok || got != "two" {
		t.Errorf("the second value is %v, %v", got, ok)
	}
}
