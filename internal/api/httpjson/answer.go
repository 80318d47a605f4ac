package httpjson

import (
	"fmt"
	"net/http"

	"boathook/internal/boathook"
)

// Answer encodes an answer. One of the status 204 has no body.
func Answer(w http.ResponseWriter, status int, out any) error {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	body, err := boathook.EncodeJSON(out)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	Write(w, status, body)
	return nil
}

// WriteError answers an error's body, in whatever shape: of strings, which always
// encode.
func WriteError(w http.ResponseWriter, status int, e any) {
	body, err := boathook.EncodeJSON(e)
	if err != nil {
		panic(err)
	}
	Write(w, status, body)
}

// Write answers JSON that is encoded already.
func Write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // an answer may hold a secret
	w.WriteHeader(status)
	w.Write(body) // a client that has gone is nobody's failure
}
