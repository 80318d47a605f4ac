package intake_test

import (
	"slices"
	"testing"

	"boathook/internal/openapi/openapitest"
)

// route is the only one of this room.
const route = "POST /webhooks/runs/{token}"

// document is what every answer of the tests is held to.
var document = openapitest.Load()

func TestMain(m *testing.M) { document.Main(m, []string{route}) }

func TestTheDocumentHasTheRouteAndNoOther(t *testing.T) {
	if got := document.Patterns("Triggers"); !slices.Equal(got, []string{route}) || document.Role(route) != "" {
		t.Errorf("documented are %q", got)
	}
}
