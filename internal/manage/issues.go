package manage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// issue is one fault of a request.
type issue struct {
	path    []any // where it is: names of fields, and positions in arrays; empty: the whole
	message string
}

// issues are all faults of a request: an error of the kind [boathook.Invalid],
// which is about the first to those that want one.
type issues []issue

func (all issues) Error() string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.err().Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the first.
func (all issues) Unwrap() error { return all[0].err() }

func (one issue) err() *boathook.Error {
	at := make([]string, len(one.path))
	for i, step := range one.path {
		at[i] = fmt.Sprint(step)
	}
	return boathook.InvalidField(strings.Join(at, "."), "%s", one.message)
}

// maxIssues is how many are told: a body may have many more.
const maxIssues = 50

func (all *issues) add(message string, path ...any) {
	if len(*all) < maxIssues {
		*all = append(*all, issue{path, message})
	}
}

// take adds what is wrong with one field, and gives any other error back.
func (all *issues) take(err error) error {
	var e *boathook.Error
	if !errors.As(err, &e) || e.Kind != boathook.Invalid {
		return err
	}
	all.add(e.Message, e.Field)
	return nil
}

// about reports whether one is about a field of the body.
func (all issues) about(field string) bool {
	return slices.ContainsFunc(all, func(one issue) bool { return len(one.path) > 0 && one.path[0] == field })
}

// or is nil if there are none.
func (all issues) or() error {
	if len(all) == 0 {
		return nil
	}
	return all
}

// found takes part in a struct that a body is decoded into: the body's faults are
// kept, to be told with those that its values have.
type found struct{ issues issues }

func (f *found) keep(all issues) { f.issues = all }
