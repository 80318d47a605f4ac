package httpjson

import (
	"strings"

	"boathook/internal/boathook"
)

// BodyText is what is kept of the body of a receiver's answer, as text: what is not
// UTF-8 is replaced.
func BodyText(r *boathook.Response) string { return strings.ToValidUTF8(string(r.Body), "\uFFFD") }
