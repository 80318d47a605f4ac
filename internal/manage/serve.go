package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 1 << 20

// handler serves a call of a caller whose role allows it. An error means that
// nothing is answered yet.
type handler func(w http.ResponseWriter, c call) error

// none is the body of a request or an answer that has none.
type none struct{}

// serve makes a handler of a method: it decodes the request's JSON body,
// calls, and encodes the answer. No body at all counts as {}.
func serve[In, Out any](status int, method func(context.Context, call, In) (Out, error)) handler {
	return func(w http.ResponseWriter, c call) error {
		var in In
		if err := decode(http.MaxBytesReader(w, c.Body, maxBody), &in, c.style.lenient); err != nil {
			return err
		}
		out, err := method(c.Context(), c, in)
		if err != nil {
			return err
		}
		return answer(w, status, out)
	}
}

func answer(w http.ResponseWriter, status int, out any) error {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	body, err := boathook.EncodeJSON(out)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	writeJSON(w, status, body)
	return nil
}

// decode reads one JSON object strictly: values of the wrong type, anything
// after the object and, unless it is to be lenient, fields that are not known
// are refused.
func decode(r io.Reader, into any, lenient bool) error {
	body, err := io.ReadAll(r)
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return boathook.Errorf(boathook.TooLarge, "the body is over %d bytes", tooLong.Limit)
	}
	if err != nil {
		return boathook.Errorf(boathook.Invalid, "the body could not be read to its end")
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return boathook.Errorf(boathook.Invalid, "the body must be a JSON object")
	}
	if !utf8.Valid(body) {
		return boathook.Errorf(boathook.Invalid, "the body is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if !lenient {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(into); err != nil {
		return decodeError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return boathook.Errorf(boathook.Invalid, "the body goes on after its JSON object")
	}
	return nil
}

func decodeError(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return boathook.InvalidField(wrong.Field, "must be %s", typeName(wrong.Type))
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if field, err := strconv.Unquote(quoted); err == nil {
			return boathook.InvalidField(field, "no such field")
		}
	}
	return boathook.Errorf(boathook.Invalid, "the body is not JSON: %s", err)
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "an array"
	default:
		return "an object"
	}
}

// The sizes of a list's page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// page is the part of a list that the request asks for.
func (c call) page() (store.Page, error) {
	q := c.URL.Query()
	p := store.Page{Limit: defaultLimit, Cursor: q.Get("cursor")}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit {
			return p, boathook.InvalidField("limit", "must be a whole number from 1 to %d", maxLimit)
		}
		p.Limit = n
	}
	return p, nil
}

type list[V any] struct {
	Data       []V     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

// viewList shows a page of what the store gave.
func viewList[T, V any](items []T, next string, view func(T) V) list[V] {
	l := list[V]{Data: make([]V, len(items)), NextCursor: nullable(next)}
	for i, item := range items {
		l.Data[i] = view(item)
	}
	return l
}

// cut takes a page of a list that the store gives whole. Its cursor is the id
// of the last item before the page.
func cut[T any](items []T, p store.Page, id func(T) string) (page []T, next string, err error) {
	if p.Cursor != "" {
		last := slices.IndexFunc(items, func(item T) bool { return id(item) == p.Cursor })
		if last < 0 {
			return nil, "", boathook.InvalidField("cursor", "not a cursor of this list")
		}
		items = items[last+1:]
	}
	if len(items) <= p.Limit {
		return items, "", nil
	}
	return items[:p.Limit], id(items[p.Limit-1]), nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
