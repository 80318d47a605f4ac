package boathook

import (
	"regexp"
	"strconv"
)

// StatusRange is a range of HTTP status codes, its ends included. The zero one has all,
// and what has no status.
type StatusRange struct{ Least, Most int }

// noStatus has what has no status, and nothing else.
var noStatus = StatusRange{-1, 0}

var statusRange = regexp.MustCompile(`^([1-5])([0-9]{2}|xx)$`)

// ParseStatusRange reads one status code, such as 503, a class of them, such as 5xx, or
// none.
func ParseStatusRange(s string) (StatusRange, bool) {
	if s == "none" {
		return noStatus, true
	}
	parts := statusRange.FindStringSubmatch(s)
	if parts == nil {
		return StatusRange{}, false
	}
	if parts[2] == "xx" {
		class, _ := strconv.Atoi(parts[1])
		return StatusRange{class * 100, class*100 + 99}, true
	}
	code, _ := strconv.Atoi(s)
	return StatusRange{code, code}, true
}

// IsZero reports whether the range has all.
func (r StatusRange) IsZero() bool { return r == StatusRange{} }

// Has reports whether a status code is in the range; 0 stands for none.
func (r StatusRange) Has(status int) bool {
	return r.IsZero() || r.Least <= status && status <= r.Most
}

// Succeeds reports whether the range has a code with which a delivery may have succeeded.
func (r StatusRange) Succeeds() bool { return r.IsZero() || r.Least <= 299 && r.Most >= 200 }
