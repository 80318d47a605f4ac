package main

import (
	"testing"
	"time"

	"boathook/internal/testing/templatetest"
)

// A message of the local program comes back when it does on AWS.
func TestVisibilityIsAsInTheTemplate(t *testing.T) {
	template := templatetest.Read(t)
	for name, visibility := range map[string]time.Duration{
		"RunsQueue": runsVisibility, "DeliveriesQueue": deliveriesVisibility, "RetriesQueue": deliveriesVisibility,
	} {
		var properties struct {
			Seconds int `yaml:"VisibilityTimeout"`
		}
		template.Properties(t, name, &properties)
		if want := time.Duration(properties.Seconds) * time.Second; visibility != want {
			t.Errorf("a message of %s comes back after %s, want %s", name, visibility, want)
		}
	}
}
