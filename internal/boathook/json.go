package boathook

import (
	"encoding/json"
	"unicode/utf8"
)

// CheckJSON reports, in words for the sender, why body is not one JSON value
// of at most [MaxJSONDepth] nested levels in UTF-8; nil when it is. The body
// is never re-encoded: integers beyond 64 bits, key order and duplicate keys
// are the sender's own.
func CheckJSON(body []byte) error {
	if !utf8.Valid(body) {
		return Errorf(Invalid, "not JSON: not valid UTF-8")
	}
	if depth(body) > MaxJSONDepth {
		return Errorf(Invalid, "nested deeper than %d levels", MaxJSONDepth)
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return Errorf(Invalid, "not JSON: %s", err)
	}
	return nil
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
