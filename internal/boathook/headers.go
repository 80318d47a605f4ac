package boathook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// JoinedHeaders has one value for each name, as HTTP allows to write several.
func JoinedHeaders(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[name] = strings.Join(values, ", ")
	}
	return m
}

// MaxRetryAfter is the longest wait that Retry-After can ask for.
const MaxRetryAfter = 24 * time.Hour

// ParseRetryAfter reads a Retry-After header, in seconds or as an HTTP date
// (RFC 9110, section 10.2.3); false when it is neither. The wait is between 0,
// also for a date that is past, and [MaxRetryAfter].
func ParseRetryAfter(header string, now time.Time) (time.Duration, bool) {
	header = strings.TrimSpace(header)
	if header != "" && strings.Trim(header, "0123456789") == "" {
		// A number that is out of range parses as the largest one.
		seconds, _ := strconv.ParseUint(header, 10, 64)
		return time.Duration(min(seconds, uint64(MaxRetryAfter/time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter), true
}
