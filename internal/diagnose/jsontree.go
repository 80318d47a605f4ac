package diagnose

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"boathook/internal/catalogue"
)

// node is a JSON value that keeps the order of its keys and the text of its numbers.
type node struct {
	open    json.Delim // '{', '[', or 0 of another value
	members []member   // of an object; of an array those without names
	text    string     // of a string: itself; of another value: its JSON
	quoted  bool       // it is a string
}

type member struct {
	name  string
	value node
}

// parse reads JSON that [boathook.CheckJSON] takes, so that it is not too deep.
func parse(text []byte) node {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return value(dec)
}

func value(dec *json.Decoder) node {
	token, err := dec.Token()
	if err != nil {
		return node{text: "null"}
	}
	switch v := token.(type) {
	case json.Delim:
		n := node{open: v}
		for dec.More() {
			var m member
			if v == '{' {
				m.name = value(dec).text
			}
			m.value = value(dec)
			n.members = append(n.members, m)
		}
		_, _ = dec.Token() // what closes it
		return n
	case string:
		return node{text: v, quoted: true}
	case nil:
		return node{text: "null"}
	default:
		return node{text: fmt.Sprint(v)}
	}
}

// sorted has the keys of all objects by the alphabet.
func sorted(n node) node {
	n = each(n, sorted)
	if n.open == '{' {
		slices.SortStableFunc(n.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	}
	return n
}

// each is a copy of a value, with a function of its members.
func each(n node, f func(node) node) node {
	n.members = slices.Clone(n.members)
	for i := range n.members {
		n.members[i].value = f(n.members[i].value)
	}
	return n
}

// documented has the keys of all objects as the catalogue's examples have them. Those
// that no example has come last.
func documented(n node) node {
	n = each(n, documented)
	if n.open == '{' {
		keys := closest(n)
		place := func(m member) int {
			if at := slices.Index(keys, m.name); at >= 0 {
				return at
			}
			return len(keys)
		}
		slices.SortStableFunc(n.members, func(a, b member) int { return cmp.Compare(place(a), place(b)) })
	}
	return n
}

// closest are the keys of the example's object that has the most in common with n.
func closest(n node) (keys []string) {
	most := 0
	for _, candidate := range exampleKeys() {
		shared := 0
		for _, m := range n.members {
			if slices.Contains(candidate, m.name) {
				shared++
			}
		}
		if shared > most {
			keys, most = candidate, shared
		}
	}
	return keys
}

// exampleKeys has the keys of each object of the examples, and of what dialects put
// around or among them.
var exampleKeys = sync.OnceValue(func() [][]string {
	all := [][]string{{"event", "data"}, {"type", "timestamp", "data"}}
	var walk func(node)
	walk = func(n node) {
		keys := []string{"event"} // which Crewship's body has before the data's own
		for _, m := range n.members {
			keys = append(keys, m.name)
			walk(m.value)
		}
		if n.open == '{' {
			all = append(all, keys)
		}
	}
	for _, t := range catalogue.All() {
		walk(parse(t.Example))
	}
	return all
})

// writer writes JSON in the way of one serialiser.
type writer struct {
	bytes.Buffer
	colon, comma, indentation string
	escape                    func(rune) string // empty: the character stays
}

func (w *writer) write(n node, depth int) {
	switch {
	case n.open != 0:
		w.writeMembers(n, depth)
	case n.quoted:
		w.writeString(n.text)
	default:
		w.WriteString(n.text)
	}
}

func (w *writer) writeMembers(n node, depth int) {
	w.WriteByte(byte(n.open))
	for i, m := range n.members {
		if i > 0 {
			w.WriteString(w.comma)
		}
		w.newLine(depth + 1)
		if n.open == '{' {
			w.writeString(m.name)
			w.WriteString(w.colon)
		}
		w.write(m.value, depth+1)
	}
	if len(n.members) > 0 {
		w.newLine(depth)
	}
	w.WriteByte(byte(n.open) + 2) // its closing bracket, in ASCII
}

func (w *writer) newLine(depth int) {
	if w.indentation != "" {
		w.WriteString("\n" + strings.Repeat(w.indentation, depth))
	}
}

// short are the escapes that all serialisers write.
var short = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func (w *writer) writeString(s string) {
	w.WriteByte('"')
	for _, r := range s {
		if text := short[r]; text != "" {
			w.WriteString(text)
		} else if text = w.escape(r); text != "" {
			w.WriteString(text)
		} else if r < ' ' {
			fmt.Fprintf(w, `\u%04x`, r)
		} else {
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}

func escapeUnicode(r rune) string {
	if r < 0x7f {
		return ""
	}
	if high, low := utf16.EncodeRune(r); high != '\ufffd' {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func escapeHTML(r rune) string {
	if strings.ContainsRune("<>&\u2028\u2029", r) {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return ""
}

func escapeSlash(r rune) string {
	if r == '/' {
		return `\/`
	}
	return escapeUnicode(r)
}
