package native

import (
	"net/http"

	"boathook/internal/api/httpjson"
)

// Style is how the API speaks where no other system's shapes are asked for.
var Style = httpjson.Style{StrictQuery: true, WriteError: writeError}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id"`
}

func writeError(w http.ResponseWriter, status int, code, field, message string) {
	httpjson.WriteError(w, status, map[string]errorBody{
		"error": {code, message, field, w.Header().Get(httpjson.RequestIDHeader)},
	})
}
