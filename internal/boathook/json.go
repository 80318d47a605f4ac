package boathook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// CheckJSON reports, in words for the sender, why body is not one JSON value
// of at most [MaxJSONDepth] nested levels in UTF-8; nil when it is. The body
// is never re-encoded: integers beyond 64 bits, key order and duplicate keys
// are the sender's own.
func CheckJSON(body []byte) error {
	if !utf8.Valid(body) {
		return Errorf(Invalid, "not JSON: %s", notUTF8(body))
	}
	if depth(body) > MaxJSONDepth {
		return Errorf(Invalid, "nested deeper than %d levels", MaxJSONDepth)
	}
	if IsJSON(body) {
		return nil
	}
	var raw json.RawMessage
	return Errorf(Invalid, "not JSON: %s", notJSON(body, json.Unmarshal(body, &raw)))
}

// IsJSON is [json.Valid], and takes less time.
func IsJSON(text []byte) bool {
	return jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// notUTF8 says what a body is that is no text.
func notUTF8(body []byte) string {
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return "it is gzip, without the header Content-Encoding: gzip"
	}
	return "not valid UTF-8"
}

// formLike is the begin of a form: a field's name and its value.
var formLike = regexp.MustCompile(`^[\w.%+*\[\]-]+=`)

// notJSON says what a text is that the parser has refused: what its sender meant
// it to be is of more use than where the parser has stopped.
func notJSON(body []byte, err error) string {
	text := bytes.TrimSpace(body)
	switch {
	case len(text) == 0:
		return "it is empty"
	case bytes.HasPrefix(text, []byte("\ufeff")):
		return "it begins with a byte order mark"
	case text[0] == '<':
		return "it looks like XML or HTML"
	case bytes.HasPrefix(text, []byte("--")):
		return "it looks like a multipart form"
	case formLike.Match(text):
		return "it looks like a form"
	}
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err.Error()
	}
	switch at := syntax.Offset; {
	case syntax.Error() == "unexpected end of JSON input":
		return "it ends before it is complete"
	case bytes.IndexByte([]byte(`{["`), text[0]) < 0:
		return "it looks like plain text"
	default:
		r, _ := utf8.DecodeRune(body[at-1:])
		return fmt.Sprintf("it is broken at byte %d, %q", at, r)
	}
}

// depth counts the deepest nesting of brackets outside of strings. It is
// asked before the parser, whose own limit is larger than most receivers'.
func depth(body []byte) int {
	deepest, level := 0, 0
	inString, escaped := false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
