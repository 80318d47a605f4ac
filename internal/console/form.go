package console

import (
	"net/url"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// form is what was typed into a form, and what is wrong with it. Its fields have the
// API's names.
type form map[string]*field

type field struct {
	values []string
	Error  string
}

// whole is the name of what is wrong with a form as a whole.
const whole = ""

func formOf(values url.Values) form {
	f := make(form, len(values))
	for name, v := range values {
		f[name] = &field{values: v}
	}
	return f
}

// wrong adds what an operation said. Of a field of a field, as in retry.schedule_seconds,
// the outermost that the form has is meant; of a field that it does not have, the form as
// a whole.
func (f form) wrong(e *boathook.Error) form {
	name := e.Field
	for f[name] == nil && name != whole {
		i := strings.LastIndexAny(name, ".[")
		name = name[:max(i, 0)]
	}
	message := sentence(e.Message)
	if name == whole && e.Field != "" {
		message = e.Field + " " + e.Message
	}
	if f[name] == nil {
		f[name] = &field{}
	}
	f[name].Error = message
	return f
}

// has makes sure that errors of these fields stand beside them, though a browser sends
// nothing of an unchecked box.
func (f form) has(names ...string) form {
	for _, name := range names {
		if f[name] == nil {
			f[name] = &field{}
		}
	}
	return f
}

// Value is what was typed into a field.
func (f form) Value(name string) string {
	if f[name] == nil || len(f[name].values) == 0 {
		return ""
	}
	return f[name].values[0]
}

// Or is what was typed into a field, or value where the form is not yet filled in.
func (f form) Or(name, value string) string {
	if f[name] == nil || f[name].values == nil {
		return value
	}
	return f.Value(name)
}

// Is reports whether a field has a value among its values.
func (f form) Is(name, value string) bool {
	return f[name] != nil && slices.Contains(f[name].values, value)
}

// Error is what is wrong with a field.
func (f form) Error(name string) string {
	if f[name] == nil {
		return ""
	}
	return f[name].Error
}

// Failed reports whether something is wrong with a field.
func (f form) Failed() bool {
	for _, field := range f {
		if field.Error != "" {
			return true
		}
	}
	return false
}

// set gives a field a value that nobody typed: that of what is edited.
func (f form) set(name string, values ...string) {
	f[name] = &field{values: values}
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
