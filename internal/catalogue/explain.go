package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"boathook/internal/boathook"
)

// explain tells one thing that is wrong: of several, the first by its pointer,
// so that the same data always gives the same error.
func explain(invalid *jsonschema.ValidationError) error {
	var mistakes []*boathook.Error
	for _, leaf := range leavesOf(invalid, nil) {
		mistakes = append(mistakes, mistake(leaf))
	}
	return slices.MinFunc(mistakes, func(a, b *boathook.Error) int { return strings.Compare(a.Field, b.Field) })
}

func mistake(leaf *jsonschema.ValidationError) *boathook.Error {
	at := leaf.InstanceLocation
	var what string
	switch k := leaf.ErrorKind.(type) {
	case *kind.Required:
		at, what = append(slices.Clone(at), slices.Min(k.Missing)), "is required"
	case *kind.AdditionalProperties:
		at, what = append(slices.Clone(at), slices.Min(k.Properties)), "no such field"
	case *kind.Type:
		what = fmt.Sprintf("must be %s, not %s", anyOf(k.Want), typeWords[k.Got])
	case *kind.Enum:
		what = "must be " + listed(k.Want...)
	case *kind.Const:
		what = "must be " + listed(k.Want)
	case *kind.Format:
		what = "must be " + formatWords[k.Want]
	case *kind.MinLength:
		what = "must not be empty"
	case *kind.Minimum:
		what = "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		what = "must be at most " + k.Want.RatString()
	default:
		what = k.LocalizedString(message.NewPrinter(language.English))
	}
	return boathook.InvalidField(pointer(at), "%s", what)
}

// leavesOf are the errors that have no others as their causes.
func leavesOf(e *jsonschema.ValidationError, leaves []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(leaves, e)
	}
	for _, cause := range e.Causes {
		leaves = leavesOf(cause, leaves)
	}
	return leaves
}

var typeWords = map[string]string{
	"object": "an object", "array": "an array", "string": "a string", "number": "a number",
	"integer": "a whole number", "boolean": "true or false", "null": "null",
}

// formatWords are the formats that the schemas use.
var formatWords = map[string]string{
	"date-time": "a time such as 2014-12-18T10:44:22+00:00",
}

// anyOf names types; null comes last.
func anyOf(types []string) string {
	var words []string
	for _, t := range types {
		if t != "null" {
			words = append(words, typeWords[t])
		}
	}
	if len(words) < len(types) {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

func listed(values ...any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}
