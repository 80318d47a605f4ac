package native

import (
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// Style is how the API speaks where no other system's shapes are asked for.
var Style = httpjson.Style{StrictQuery: true, WriteError: writeError, WriteGone: writeGone}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id"`
	// OldestCursor is of a feed's cursor that is gone.
	OldestCursor string `json:"oldest_cursor,omitempty"`
}

func writeError(w http.ResponseWriter, status int, code, field, message string) {
	httpjson.WriteError(w, status, map[string]errorBody{
		"error": {Code: code, Message: message, Field: field, RequestID: w.Header().Get(httpjson.RequestIDHeader)},
	})
}

func writeGone(w http.ResponseWriter, e *boathook.Error) {
	httpjson.WriteError(w, e.Kind.Status(), map[string]errorBody{
		"error": {string(e.Kind), e.Message, e.Field, w.Header().Get(httpjson.RequestIDHeader), e.OldestCursor},
	})
}
