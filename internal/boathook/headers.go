package boathook

import (
	"net/http"
	"strings"
)

// JoinedHeaders has one value for each name, as HTTP allows to write several.
func JoinedHeaders(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[name] = strings.Join(values, ", ")
	}
	return m
}
