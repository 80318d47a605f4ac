package capawesome

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

func writeError(w http.ResponseWriter, status int, _, field, message string) {
	if status != http.StatusBadRequest {
		httpjson.WriteError(w, status, struct {
			Message string `json:"message"`
		}{message})
		return
	}
	var all boathook.Issues
	if field == "" {
		all.Add(message)
	} else {
		all.Add(message, field)
	}
	writeIssues(w, all)
}

type issueView struct {
	Path    []any  `json:"path"`
	Message string `json:"message"`
}

// writeIssues has the shape of zod's issues: that is what the SDKs know.
func writeIssues(w http.ResponseWriter, all boathook.Issues) {
	var body struct {
		Error struct {
			Issues []issueView `json:"issues"`
		} `json:"error"`
	}
	for _, one := range all {
		body.Error.Issues = append(body.Error.Issues, issueView{append([]any{}, one.Path...), one.Message})
	}
	httpjson.WriteError(w, http.StatusBadRequest, body)
}

// What operations call objects and fields, and Capawesome Cloud.
var (
	objects = map[string]string{"app": "App", "outgoing webhook": "Webhook", "delivery": "Delivery"}
	fields  = map[string]string{"signing_secret": "signingSecret"}
)

// inWords has a handler tell in Capawesome Cloud's words what there is none of.
func inWords(handle httpjson.Handler) httpjson.Handler {
	return func(w http.ResponseWriter, c httpjson.Call) error {
		err := handle(w, c)
		if e, ok := errors.AsType[*boathook.Error](err); ok && objects[e.Absent] != "" {
			return notFound(objects[e.Absent])
		}
		return err
	}
}

// named has Capawesome Cloud's names of fields in the faults that an operation has
// found. Those that it was given come first, and have them.
func named(err error, given boathook.Issues) error {
	all, ok := errors.AsType[boathook.Issues](err)
	if !ok {
		return err
	}
	all = slices.Clone(all)
	for i := len(given); i < len(all); i++ {
		path := slices.Clone(all[i].Path)
		for j, step := range path {
			if name, ok := step.(string); ok {
				path[j] = cmp.Or(fields[name], name)
			}
		}
		all[i].Path = path
	}
	return all
}

// notFound has the message that Capawesome Cloud has for an absent object.
func notFound(object string) error {
	return boathook.Errorf(boathook.NotFound, "%s not found.", object)
}
