package preset

import (
	"bytes"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// byteOrderMark begins texts of some senders on Windows, though JSON has none
// (RFC 8259, section 8.1).
var byteOrderMark = []byte("\ufeff")

// readInput finds the run's input: the body, which is JSON whatever its
// Content-Type says, or what the preset makes of it. An empty body is the empty
// object.
func (p *Sender) readInput(m *message) error {
	m.input = bytes.TrimPrefix(m.Body, byteOrderMark)
	if p.preset.input != nil {
		input, ok, err := p.preset.input(m)
		if err != nil {
			return err
		}
		if ok {
			m.input = input
			return boathook.CheckJSON(m.input)
		}
	}
	if err := p.readForm(m); err != nil {
		return err
	}
	if len(m.input) == 0 {
		m.input = boathook.EmptyInput
		return nil
	}
	return boathook.CheckJSON(m.input)
}

// isForm reports whether a request says that its body is a form.
func isForm(m *message) bool {
	kind, _, _ := mime.ParseMediaType(m.header("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// readForm replaces a form by the JSON that it stands for.
func (p *Sender) readForm(m *message) error {
	if p.form == noForm || !isForm(m) {
		return nil
	}
	if p.form != payloadIn && looksLikeJSON(m.input) {
		return nil // curl -d says of everything that it is a form
	}
	fields, err := url.ParseQuery(string(m.input))
	switch {
	case err != nil:
		return boathook.Errorf(boathook.Invalid, "the form is malformed")
	case fields.Has("payload") && p.form != fieldsOf:
		m.input = []byte(fields.Get("payload"))
	case p.form == payloadIn:
		return boathook.Errorf(boathook.Invalid, "the form has no field payload")
	default:
		m.input, err = objectOf(fields)
	}
	return err
}

// looksLikeJSON reports whether a text is JSON, or was meant to be: a form's field
// has a name and an equals sign.
func looksLikeJSON(text []byte) bool {
	text = bytes.TrimSpace(text)
	return len(text) > 0 && bytes.IndexByte([]byte(`{["`), text[0]) >= 0 || !bytes.ContainsRune(text, '=')
}

// objectOf is the JSON object of a form's fields: texts, and lists of texts where
// a field is given more than once.
func objectOf(fields url.Values) ([]byte, error) {
	object := make(map[string]any, len(fields))
	for name, values := range fields {
		if !utf8.ValidString(name + strings.Join(values, "")) {
			return nil, boathook.Errorf(boathook.Invalid, "the form is not valid UTF-8")
		}
		if object[name] = values; len(values) == 1 {
			object[name] = values[0]
		}
	}
	return boathook.EncodeJSON(object)
}
