package diagnose

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// bodies are the forms of a body that may have been signed, the one that is here first.
func bodies(body []byte) []Variant {
	var forms distinct
	forms.add("", body)
	forms.add("without the line ending at its end", bytes.TrimRight(body, "\r\n"))
	forms.add("with a line feed at its end", append(bytes.Clone(body), '\n'))
	forms.add("with a carriage return and a line feed at its end", append(bytes.Clone(body), "\r\n"...))
	forms.add("with LF for each CRLF", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	forms.add("with CRLF for each LF", bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")))
	forms.add("without the byte order mark before it", bytes.TrimPrefix(body, []byte("\ufeff")))
	forms.add("without the white space around it", bytes.TrimSpace(body))
	if utf8.Valid(body) {
		forms.add("read as UTF-8 where it was read as Latin-1", latin1(body))
	}
	forms.add("that is empty", nil)
	if boathook.CheckJSON(body) == nil {
		serialised(&forms, body)
	}
	return forms
}

// latin1 undoes the reading of UTF-8 as Latin-1. A body that is no such text stays.
func latin1(body []byte) []byte {
	narrow := make([]byte, 0, len(body))
	for _, r := range string(body) {
		if r > 0xff {
			return body
		}
		narrow = append(narrow, byte(r))
	}
	if !utf8.Valid(narrow) {
		return body
	}
	return narrow
}

// The ways in which serialisers differ.
var (
	layouts = []struct {
		words                     string
		colon, comma, indentation string
	}{
		{"written as JSON without white space", ":", ",", ""},
		{"written as JSON with a space after each colon and comma", ": ", ", ", ""},
		{"written as JSON indented by two spaces", ": ", ",", "  "},
		{"written as JSON indented by four spaces", ": ", ",", "    "},
	}
	orders = []struct {
		words string
		sort  func(node) node
	}{
		{"", func(n node) node { return n }},
		{", with its keys in the order of Boathook's document", documented},
		{", with its keys in the alphabet's order", sorted},
	}
	escapes = []struct {
		words  string
		escape func(r rune) string
	}{
		{"", func(rune) string { return "" }},
		{`, with other than ASCII characters escaped (\u00e9)`, escapeUnicode},
		{`, with <, > and & escaped (\u003c)`, escapeHTML},
		{`, with slashes and other than ASCII characters escaped (\/, \u00e9)`, escapeSlash},
	}
)

// serialised adds what serialisers would make of a body. The words of a form without
// escapes say nothing of them, unless the body has escapes: then that is the difference.
func serialised(forms *distinct, body []byte) {
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		forms.add("without white space between its JSON's values", compact.Bytes())
	}
	parsed := parse(body)
	for _, order := range orders {
		root := order.sort(parsed)
		for _, escape := range escapes {
			words := escape.words
			if words == "" && bytes.Contains(body, []byte(`\`)) {
				words = ", with characters as they are that need no escape (é, /)"
			}
			for _, layout := range layouts {
				w := writer{colon: layout.colon, comma: layout.comma, indentation: layout.indentation, escape: escape.escape}
				w.write(root, 0)
				forms.add(layout.words+words+order.words, w.Bytes())
			}
		}
	}
}
