package boathook

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind classifies an [Error] by what its reader can do about it. The API
// maps kinds to statuses in one place; an error without a kind is internal,
// and its text never reaches a user.
type Kind string

// The kinds of errors.
const (
	Invalid      Kind = "invalid"      // the request is wrong: mend it
	TooLarge     Kind = "too_large"    // over a documented limit
	Unsupported  Kind = "unsupported"  // of a content type or encoding that is not taken
	Unauthorized Kind = "unauthorized" // no valid credential
	Forbidden    Kind = "forbidden"    // the credential's role is too small
	NotFound     Kind = "not_found"    // absent, expired, or another workspace's
	Conflict     Kind = "conflict"     // the state does not allow it
	Gone         Kind = "gone"         // it was there, and has expired
	Limited      Kind = "rate_limited" // too much for now
	Unavailable  Kind = "unavailable"  // a dependency failed: try again
)

// Status is the HTTP status that answers an error of kind k.
func (k Kind) Status() int {
	switch k {
	case Invalid:
		return http.StatusBadRequest
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Unsupported:
		return http.StatusUnsupportedMediaType
	case Unauthorized:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case Gone:
		return http.StatusGone
	case Limited:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// Error is an error that its user may read.
type Error struct {
	Kind    Kind
	Field   string // the JSON field or parameter at fault, if one is
	Message string // a sentence fragment that names the limit or the remedy
	Absent  string // of a [NotFound] error: what there is none of, as in "app"; may be empty

	// OldestCursor is of a [Gone] error about a feed's cursor: the one to go on with.
	OldestCursor string

	// RetryAfter is when it makes sense to try again, of a [Limited] error.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Errorf makes an [Error] of kind k about no field in particular.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// InvalidField makes an [Invalid] error about one field.
func InvalidField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// IsKind reports whether err is, or wraps, an [Error] of kind k.
func IsKind(err error, k Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == k
}

// Within makes an error about a field one about that field of an object.
func Within(object string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Field != "" {
		return &Error{Kind: e.Kind, Field: object + "." + e.Field, Message: e.Message}
	}
	return err
}
