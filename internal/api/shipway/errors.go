package shipway

import (
	"errors"
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// hooksDocumentation is where these shapes are described.
const hooksDocumentation = "https://docs.github.com/rest/repos/webhooks"

type errorBody struct {
	Message       string       `json:"message"`
	Errors        []fieldError `json:"errors,omitempty"`
	Documentation string       `json:"documentation_url"`
}

type fieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// wholeHook is the field of an error that is about no field, but is answered 422.
const wholeHook = "hook"

// errHookExists has GitHub's words, which clients compare.
var errHookExists = boathook.InvalidField(wholeHook, "Hook already exists on this repository")

// writeError has GitHub's words where clients compare them, and its 422
// for a body that is JSON but not valid.
func writeError(w http.ResponseWriter, status int, _, field, message string) {
	e := errorBody{Message: message, Documentation: hooksDocumentation}
	switch {
	case status == http.StatusUnauthorized:
		e.Message = "Bad credentials"
	case status == http.StatusNotFound:
		e.Message = "Not Found"
	case status == http.StatusBadRequest && field != "":
		status = http.StatusUnprocessableEntity
		if field == wholeHook {
			field = ""
		}
		e.Message, e.Errors = "Validation Failed", []fieldError{{"Hook", field, "custom", message}}
	}
	httpjson.WriteError(w, status, e)
}

// inWords has a handler tell in GitHub's words, or with a path that helps, what an
// operation can't.
func inWords(handle httpjson.Handler) httpjson.Handler {
	return func(w http.ResponseWriter, c httpjson.Call) error {
		err := handle(w, c)
		switch {
		case errors.Is(err, service.ErrHookExists):
			return errHookExists
		case errors.Is(err, service.ErrHookAmbiguous):
			repository := boathook.NewRepositoryID(c.Workspace, c.PathValue("owner"), c.PathValue("repo"))
			return boathook.Errorf(boathook.Conflict, "several hooks have this id: use /v1/repositories/%s/outgoing-webhooks", repository)
		}
		return err
	}
}

// What operations call a field, and GitHub: of a hook, and of its config alone.
var (
	hookFields   = map[string]string{"url": "config.url", "signing_secret": "config.secret"}
	configFields = map[string]string{"signing_secret": "secret"}
)

// named is an operation's error about a field as GitHub calls it.
func named(err error, fields map[string]string) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || fields[e.Field] == "" {
		return err
	}
	named := *e
	named.Field = fields[e.Field]
	return &named
}
