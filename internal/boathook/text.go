package boathook

import "strings"

// Printable reports whether s is ASCII without spaces or control characters.
func Printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
