package httpjson

import (
	"errors"
	"strconv"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// DefaultLimit is how many items a page has that asks for no number.
const DefaultLimit = 50

// Page is the part of a list that the request asks for.
func (c Call) Page() (boathook.Page, error) {
	limit, err := c.Number("limit", DefaultLimit, 1, service.MaxLimit)
	return boathook.Page{Limit: limit, Cursor: c.URL.Query().Get("cursor")}, err
}

// Number is a parameter of the query within bounds, or unset where it is not
// given.
func (c Call) Number(name string, unset, least, most int) (int, error) {
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

// List is a page of a list.
type List[V any] struct {
	Data       []V     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

// ViewList shows a page of what the store gave.
func ViewList[T, V any](items []T, next string, view func(T) V) List[V] {
	l := List[V]{Data: make([]V, len(items)), NextCursor: Nullable(next)}
	for i, item := range items {
		l.Data[i] = view(item)
	}
	return l
}

// Clamped is a number of the query, as GitHub and Crewship take it. Where the query has
// no number, it is otherwise. Where the number is out of range, it is the nearest bound.
func (c Call) Clamped(name string, least, most, otherwise int) int {
	n, err := strconv.Atoi(c.URL.Query().Get(name))
	if err != nil && !errors.Is(err, strconv.ErrRange) { // of a number out of an int's range, the nearest int
		return otherwise
	}
	return min(max(n, least), most)
}

// Nullable is null for an empty string.
func Nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Listed answers the page of a list that a request asks for.
func Listed[T, V any](c Call, view func(T) V, list func(boathook.Page) ([]T, string, error)) (List[V], error) {
	p, err := c.Page()
	if err != nil {
		return List[V]{}, err
	}
	items, next, err := list(p)
	return ViewList(items, next, view), err
}
