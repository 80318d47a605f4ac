package simulation

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/run"
	"boathook/internal/testing/templatetest"
)

// The simulated functions and queues have the timeouts of template.yaml: what
// would be simulated with others is no promise.
func TestTheWorldIsAsTheTemplateMakesIt(t *testing.T) {
	template := templatetest.Read(t)
	type properties struct {
		Timeout    int `yaml:"Timeout"`
		Visibility int `yaml:"VisibilityTimeout"`
	}
	of := func(name string) (p properties) {
		template.Properties(t, name, &p)
		return p
	}
	for k, timeout := range timeouts {
		name := strings.ToUpper(string(k[:1])) + string(k[1:]) + "Function"
		if want := time.Duration(of(name).Timeout) * time.Second; timeout != want {
			t.Errorf("%s has %s, want %s", name, timeout, want)
		}
	}
	for name, visibility := range map[string]time.Duration{
		"RunsQueue": runsVisibility, "DeliveriesQueue": deliveriesVisibility, "RetriesQueue": deliveriesVisibility,
	} {
		if want := time.Duration(of(name).Visibility) * time.Second; visibility != want {
			t.Errorf("a message of %s comes back after %s, want %s", name, visibility, want)
		}
	}
	if apart := 2 * maxSkew; apart >= run.Grace {
		t.Errorf("two clocks differ by up to %s, and a run is looked after %s after its lease", apart, run.Grace)
	}
}
