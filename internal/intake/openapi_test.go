package intake_test

import (
	"slices"
	"testing"

	"boathook/internal/testing/openapitest"
)

// routes are those of this handler.
var routes = []string{
	"GET /api/v1/webhooks/{crew}/{agent}/trigger", "GET /webhooks/runs/{token}",
	"HEAD /api/v1/webhooks/{crew}/{agent}/trigger", "HEAD /webhooks/runs/{token}",
	"OPTIONS /api/v1/webhooks/{crew}/{agent}/trigger", "OPTIONS /webhooks/runs/{token}",
	"POST /api/v1/webhooks/{crew}/{agent}/trigger", "POST /webhooks/runs/{token}",
}

// document is what every answer of the tests is held to.
var document = openapitest.Load()

func TestMain(m *testing.M) { document.Main(m, routes) }

func TestTheDocumentHasTheRoutesAndNoOther(t *testing.T) {
	if got := document.Patterns("Triggers"); !slices.Equal(got, routes) {
		t.Errorf("documented are %q", got)
	}
	for _, route := range routes {
		if role := document.Role(route); role != "" {
			t.Errorf("%s is documented for the role %q", route, role)
		}
	}
}
