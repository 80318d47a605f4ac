package boathook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Issue is one fault of a request.
type Issue struct {
	Path    []any // where it is: names of fields, and positions in arrays; empty: the whole
	Message string
}

// Issues are all faults of a request: an error of the kind [Invalid], which is about
// the first to those that want one.
type Issues []Issue //nolint:errname // it is what it lists, and an error besides

func (all Issues) Error() string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.err().Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the first.
func (all Issues) Unwrap() error { return all[0].err() }

func (one Issue) err() *Error {
	at := make([]string, len(one.Path))
	for i, step := range one.Path {
		at[i] = fmt.Sprint(step)
	}
	return InvalidField(strings.Join(at, "."), "%s", one.Message)
}

// maxIssues is how many are told: a body may have many more.
const maxIssues = 50

// Add notes a fault.
func (all *Issues) Add(message string, path ...any) {
	if len(*all) < maxIssues {
		*all = append(*all, Issue{path, message})
	}
}

// Take adds what is wrong with one field, and gives any other error back.
func (all *Issues) Take(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Invalid {
		return err
	}
	all.Add(e.Message, e.Field)
	return nil
}

// About reports whether one is about a field of the body.
func (all Issues) About(field string) bool {
	return slices.ContainsFunc(all, func(one Issue) bool { return len(one.Path) > 0 && one.Path[0] == field })
}

// Or is nil if there are none.
func (all Issues) Or() error {
	if len(all) == 0 {
		return nil
	}
	return all
}
