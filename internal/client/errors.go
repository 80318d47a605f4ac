package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Error is an answer that is no success.
type Error struct {
	Status    int
	Code      string // "not_found" and the like; empty where the API has none
	Message   string
	Field     string // that is at fault; may be empty
	RequestID string

	// OldestCursor is of a feed's cursor that is gone: the one to go on with.
	OldestCursor string
}

func (e *Error) Error() string {
	text := cmp.Or(e.Message, strings.ToLower(http.StatusText(e.Status)), fmt.Sprintf("status %d", e.Status))
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Status >= http.StatusInternalServerError && e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// IsStatus reports whether an error is an answer with a status.
func IsStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == status
}

// UnreachableError says that there was no answer, or not a whole one.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return "the server can't be reached: " + e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable is why there was no answer, without the URL, which may hold a token.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &UnreachableError{withoutURL(err)}
}

// withoutURL is an error of net/http without the URL that it names, which may hold a
// token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readError reads the error of an answer in the shapes of all the systems that the API
// speaks: ours is {"error":{"code","message","field","request_id"}}, Crewship's
// {"error":{"message"}} or {"error":"…"}, Capawesome's {"message"} or
// {"error":{"issues":[{"message"}]}}, and that of agents' triggers plain text.
func readError(res *http.Response) error {
	e := &Error{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id")}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxError))
	var shape struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(text, &shape) != nil {
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			e.Message = strings.TrimSpace(string(text))
		}
		return e
	}
	e.Message = shape.Message
	var ours struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Field     string `json:"field"`
		RequestID string `json:"request_id"`
		Oldest    string `json:"oldest_cursor"`
		Issues    []struct{ Message string }
	}
	if json.Unmarshal(shape.Error, &e.Message) == nil || json.Unmarshal(shape.Error, &ours) != nil {
		return e
	}
	e.Code, e.Field, e.RequestID = ours.Code, ours.Field, cmp.Or(ours.RequestID, e.RequestID)
	e.OldestCursor = ours.Oldest
	e.Message = cmp.Or(ours.Message, e.Message)
	if len(ours.Issues) > 0 {
		e.Message = ours.Issues[0].Message
	}
	return e
}
