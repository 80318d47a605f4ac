package crewship

import (
	"errors"
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// style is of the API of agents: an error is {"error":"…"}.
var style = httpjson.Style{WriteError: writeError}

func writeError(w http.ResponseWriter, status int, _, field, message string) {
	if field != "" {
		message = field + ": " + message
	}
	httpjson.WriteError(w, status, map[string]string{"error": message})
}

// What is not found, in Crewship's own words.
var (
	errNoWorkspace = boathook.Errorf(boathook.NotFound, "Workspace not found")
	errNoCrew      = boathook.Errorf(boathook.NotFound, "Crew not found")
	errNoAgent     = boathook.Errorf(boathook.NotFound, "Agent not found")
	errNoRun       = boathook.Errorf(boathook.NotFound, "Run not found")
)

// found is an error of an operation, in Crewship's own words where it tells that what
// the request names is not found.
func found(err error, missing *boathook.Error) error {
	if boathook.IsKind(err, boathook.NotFound) && !errors.Is(err, service.ErrNoSecret) {
		return missing
	}
	return err
}
