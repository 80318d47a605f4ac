package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// How many objects one request of a list asks for: the most that the API allows.
const (
	pageSize  = 200
	arraySize = 100 // of a list that is a bare array
)

// Collection are the objects of one kind below one path. In is what they are made and
// changed by.
type Collection[T, In any] struct {
	c     *Client
	path  string
	query url.Values
	lists lists
}

// lists is how a collection answers a list.
type lists int

const (
	inPages  lists = iota // {"data":[…],"next_cursor":…}, or "runs" in place of "data"
	inArrays              // a bare array, by offset, as Capawesome's clients read it
)

// Where is the collection with a filter on its list; an empty value is none.
func (c Collection[T, In]) Where(name, value string) Collection[T, In] {
	if value == "" {
		return c
	}
	query := url.Values{name: {value}}
	maps.Copy(query, c.query)
	c.query = query
	return c
}

// All are the objects, newest first, a request for each page. An error is the last.
func (c Collection[T, In]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := ""
		for {
			page, cursor, err := c.page(ctx, next)
			for _, object := range page {
				if !yield(object, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if cursor == "" {
				return
			}
			next = cursor
		}
	}
}

// page is one page of the list, and the cursor of the next; empty if it is the last.
func (c Collection[T, In]) page(ctx context.Context, cursor string) ([]T, string, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	maps.Copy(query, c.query)
	if c.lists == inArrays {
		return c.array(ctx, query, cursor)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	page, err := get[struct {
		Data       []T     `json:"data"`
		Runs       []T     `json:"runs"`
		NextCursor *string `json:"next_cursor"`
	}](ctx, c.c, c.path+"?"+query.Encode())
	if err != nil || page.NextCursor == nil {
		return append(page.Data, page.Runs...), "", err
	}
	return append(page.Data, page.Runs...), *page.NextCursor, nil
}

// array is one page of a list that is a bare array; the offset is its cursor.
func (c Collection[T, In]) array(ctx context.Context, query url.Values, cursor string) ([]T, string, error) {
	offset, _ := strconv.Atoi(cursor)
	query.Set("limit", strconv.Itoa(arraySize))
	query.Set("offset", strconv.Itoa(offset))
	objects, err := get[[]T](ctx, c.c, c.path+"?"+query.Encode())
	if err != nil || len(objects) < arraySize {
		return objects, "", err
	}
	return objects, strconv.Itoa(offset + len(objects)), nil
}

// Get reads one.
func (c Collection[T, In]) Get(ctx context.Context, id string) (T, error) {
	return get[T](ctx, c.c, c.path+join(id))
}

// Create makes one. What is shown once (a token, a URL, a secret) is in the answer.
func (c Collection[T, In]) Create(ctx context.Context, in In) (T, error) {
	return post[T](ctx, c.c, c.path, in)
}

// Change changes what in gives.
func (c Collection[T, In]) Change(ctx context.Context, id string, in In) (T, error) {
	return call[T](ctx, c.c, request{method: http.MethodPatch, path: c.path + join(id), body: in})
}

// Delete removes one.
func (c Collection[T, In]) Delete(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c.c, request{method: http.MethodDelete, path: c.path + join(id)})
	return err
}

// act calls an action of one object.
func act[Answer, T, In any](ctx context.Context, c Collection[T, In], id, action string, in any) (Answer, error) {
	return post[Answer](ctx, c.c, strings.Join([]string{c.path + join(id), action}, "/"), in)
}
