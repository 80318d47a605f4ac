package manage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 1 << 20

// handler serves a call of a caller whose role allows it. An error means that
// nothing is answered yet.
type handler func(w http.ResponseWriter, c call) error

// none is the body of a request or an answer that has none.
type none struct{}

// serve makes a handler of a method: it decodes the request's JSON body,
// calls, and encodes the answer.
func serve[In, Out any](status int, method func(context.Context, call, In) (Out, error)) handler {
	return func(w http.ResponseWriter, c call) error {
		var in In
		if err := decode(w, c, maxBody, &in); err != nil {
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

// decode reads a body of at most that many bytes, which is one JSON object, as the
// caller's style has it; see [reading]. No body at all counts as {}: what is
// required of it is told by name. A change has nothing that is, and so a change
// without a body is refused.
func decode(w http.ResponseWriter, c call, most int64, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, most))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return boathook.Errorf(boathook.TooLarge, "the body is over %d bytes", tooLong.Limit)
	}
	if err != nil {
		return boathook.Errorf(boathook.Invalid, "the body could not be read to its end")
	}
	body = bytes.TrimSpace(body)
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
	r := reading{lenient: c.style.lenient}
	if err := r.object(body, into); err != nil {
		return err
	}
	if keeper, ok := into.(interface{ keep(issues) }); ok {
		keeper.keep(r.issues)
		return nil
	}
	return r.issues.or()
}

// checkQuery refuses a parameter that the operation does not have: a misspelt filter
// would show everything.
func checkQuery(r *http.Request, pattern string) error {
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

// The sizes of a list's page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// page is the part of a list that the request asks for.
func (c call) page() (boathook.Page, error) {
	limit, err := c.number("limit", defaultLimit, 1, maxLimit)
	return boathook.Page{Limit: limit, Cursor: c.URL.Query().Get("cursor")}, err
}

// number is a parameter of the query within bounds, or unset where it is not
// given.
func (c call) number(name string, unset, least, most int) (int, error) {
	s := c.URL.Query().Get(name)
	if s == "" {
		return unset, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, boathook.InvalidField(name, "must be a whole number from %d to %d", least, most)
	}
	return n, nil
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

// place is where an item stands in a list that is sorted by time.
type place struct {
	at time.Time
	id string
}

// behind reports whether p comes after q, newest first.
func (p place) behind(q place) bool {
	return cmp.Or(p.at.Compare(q.at), strings.Compare(p.id, q.id)) < 0
}

func (p place) cursor() string { return fmt.Sprintf("%d.%s", p.at.UnixMilli(), p.id) }

// cut takes a page of a list that the store gives whole, newest first. The
// cursor is the place of the last item before the page, which may be gone.
func cut[T any](items []T, p boathook.Page, placeOf func(T) place) (page []T, next string, err error) {
	slices.SortFunc(items, func(a, b T) int {
		if placeOf(a).behind(placeOf(b)) {
			return 1
		}
		return -1
	})
	if p.Cursor != "" {
		at, id, _ := strings.Cut(p.Cursor, ".")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || id == "" {
			return nil, "", boathook.InvalidField("cursor", "not one that a list has given")
		}
		last := place{time.UnixMilli(ms), id}
		items = slices.DeleteFunc(items, func(item T) bool { return !placeOf(item).behind(last) })
	}
	if len(items) <= p.Limit {
		return items, "", nil
	}
	return items[:p.Limit], placeOf(items[p.Limit-1]).cursor(), nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
