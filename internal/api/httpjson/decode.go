package httpjson

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
)

// MaxBody is the longest body of a request, in bytes.
const MaxBody = 1 << 20

// trusted is how much memory a request gets on its word alone, in bytes.
const trusted = 64 << 10

// None is the body of a request or an answer that has none.
type None struct{}

// Serve makes a handler of a method: it decodes the request's JSON body,
// calls, and encodes the answer.
func Serve[In, Out any](status int, method func(context.Context, Call, In) (Out, error)) Handler {
	return func(w http.ResponseWriter, c Call) error {
		var in In
		if err := Decode(w, c, MaxBody, &in); err != nil {
			return err
		}
		out, err := method(c.Context(), c, in)
		if err != nil {
			return err
		}
		return Answer(w, status, out)
	}
}

// Decode reads a body of at most that many bytes, which is one JSON object, as the
// caller's style has it; see [reading]. No body at all counts as {}: what is
// required of it is told by name. A change has nothing that is, and so a change
// without a body is refused.
func Decode(w http.ResponseWriter, c Call, most int64, into any) error {
	var read bytes.Buffer
	read.Grow(int(min(max(c.ContentLength, 0), trusted)) + bytes.MinRead)
	_, err := read.ReadFrom(http.MaxBytesReader(w, c.Body, most))
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return boathook.Errorf(boathook.TooLarge, "the body is over %d bytes", tooLong.Limit)
	}
	if err != nil {
		return boathook.Errorf(boathook.Invalid, "the body could not be read to its end")
	}
	body := bytes.TrimSpace(read.Bytes())
	if len(body) == 0 {
		if c.Method == http.MethodPatch {
			return boathook.Errorf(boathook.Invalid, "a body is required: a JSON object with the fields to change")
		}
		return nil
	}
	if body[0] != '{' {
		return boathook.Errorf(boathook.Invalid, "the body must be a JSON object")
	}
	if !utf8.Valid(body) {
		return boathook.Errorf(boathook.Invalid, "the body is not valid UTF-8")
	}
	r := reading{lenient: c.Style.Lenient}
	if err := r.object(body, into); err != nil {
		return err
	}
	if keeper, ok := into.(interface{ keep(boathook.Issues) }); ok {
		keeper.keep(r.issues)
		return nil
	}
	return r.issues.Or()
}

// Found is embedded in what a body is decoded into. It keeps the body's faults, so that
// an operation can tell them together with its own.
type Found struct{ Issues boathook.Issues }

func (f *Found) keep(all boathook.Issues) { f.Issues = all }

// CheckQuery refuses a parameter that the operation does not have: a misspelt filter
// would show everything.
func CheckQuery(r *http.Request, pattern string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return boathook.Errorf(boathook.Invalid, "the query of the URL is not well-formed: %s", err)
	}
	known := openapi.QueryParameters(pattern)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(known, name):
		case len(known) == 0:
			return boathook.InvalidField(name, "no such parameter: this path takes none in its query")
		default:
			return boathook.InvalidField(name, "no such parameter: %s", thereAre(known))
		}
	}
	return nil
}
