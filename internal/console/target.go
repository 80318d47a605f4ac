package console

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// targetTypes are what can execute runs, in the order in which a form offers them.
var targetTypes = []option{
	{Value: string(boathook.TargetHTTP), Text: "HTTP"},
	{Value: string(boathook.TargetLambda), Text: "Lambda"},
	{Value: string(boathook.TargetAgentCore), Text: "AgentCore"},
	{Value: string(boathook.TargetCommand), Text: "Command"},
}

// targetOf reads a target's fields. Those of another type than the chosen one are not
// meant. Its errors name the form's fields.
func targetOf(f form) (*service.Target, error) {
	t := &service.Target{Type: boathook.TargetType(f.Value("type"))}
	var err error
	if t.TimeoutSeconds, err = numberOf(f, "timeout_seconds"); err != nil {
		return nil, err
	}
	text := func(name string) *string {
		value := strings.TrimSpace(f.Value(name))
		return &value
	}
	switch t.Type {
	case boathook.TargetHTTP:
		t.URL = text("url")
		if t.Headers, err = headersOf(f.Value("headers")); err != nil {
			return nil, err
		}
	case boathook.TargetLambda:
		t.FunctionARN = text("function_arn")
	case boathook.TargetAgentCore:
		t.RuntimeARN = text("runtime_arn")
	case boathook.TargetCommand:
		t.Argv, err = argvOf(f.Value("argv"))
	}
	return t, err
}

// argvOf reads a command: an argument a line, or a JSON array.
func argvOf(text string) ([]string, error) {
	argv := []string{}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		if json.Unmarshal([]byte(text), &argv) != nil {
			return nil, boathook.InvalidField("argv", "is no JSON array of texts")
		}
		return argv, nil
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			argv = append(argv, line)
		}
	}
	return argv, nil
}

// argvText writes a command as [argvOf] reads it.
func argvText(argv []string) string {
	if !slices.ContainsFunc(argv, func(a string) bool { return a == "" || strings.ContainsAny(a, "\r\n") }) && !strings.HasPrefix(strings.Join(argv, ""), "[") {
		return strings.Join(argv, "\n")
	}
	text, err := boathook.EncodeJSON(argv)
	if err != nil { // of texts there is none
		return ""
	}
	return string(text)
}

// formOfTarget fills in the fields of a target that there is.
func formOfTarget(f form, t boathook.Target) {
	f.set("type", string(t.Type))
	f.set("url", t.URL)
	f.set("function_arn", t.FunctionARN)
	f.set("runtime_arn", t.RuntimeARN)
	f.set("argv", argvText(t.Argv))
	if t.TimeoutSeconds > 0 {
		f.set("timeout_seconds", strconv.Itoa(t.TimeoutSeconds))
	}
}

// sameTarget reports whether a form has changed nothing of a target. The values of
// headers are never shown, so one that is given is a change.
func sameTarget(f form, t boathook.Target) bool {
	was := form{}
	formOfTarget(was, t)
	return f.Value("headers") == "" && !slices.ContainsFunc(slices.Collect(maps.Keys(was)), func(name string) bool {
		return strings.ReplaceAll(f.Value(name), "\r\n", "\n") != was.Value(name)
	}) && (t.TimeoutSeconds > 0 || f.Value("timeout_seconds") == "")
}

// ofTarget has an error name a target's field as the form does.
func ofTarget(err error) error {
	e, ok := err.(*boathook.Error) //nolint:errorlint // wrapped ones are not about fields
	if !ok || !strings.HasPrefix(e.Field, "target.") {
		return err
	}
	field := strings.TrimPrefix(e.Field, "target.")
	field, _, _ = strings.Cut(field, "[")
	field, _, _ = strings.Cut(field, ".")
	return &boathook.Error{Kind: e.Kind, Field: field, Message: e.Message}
}

// targetText says what executes runs, in one line.
func targetText(t boathook.Target) string {
	switch t.Type {
	case boathook.TargetHTTP:
		return t.URL
	case boathook.TargetLambda:
		return t.FunctionARN
	case boathook.TargetAgentCore:
		return t.RuntimeARN
	}
	return strings.Join(t.Argv, " ")
}

// targetName is the word for a type of target.
func targetName(t boathook.Target) string {
	for _, known := range targetTypes {
		if known.Value == string(t.Type) {
			return known.Text
		}
	}
	return string(t.Type)
}
