package manage

import (
	"strings"

	"boathook/internal/boathook"
)

// oneOf lists what may be given, for an error that says so.
func oneOf[T ~string](allowed []T) string {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

func checkEnvironment(e boathook.Environment) error {
	if !e.Valid() {
		return boathook.InvalidField("environment", "must be %s or %s", boathook.Production, boathook.Staging)
	}
	return nil
}
