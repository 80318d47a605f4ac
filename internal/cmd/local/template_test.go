package main

import (
	"os"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// A message of the local program comes back when it does on AWS.
func TestVisibilityIsAsInTheTemplate(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	for name, visibility := range map[string]time.Duration{
		"RunsQueue": runsVisibility, "DeliveriesQueue": deliveriesVisibility, "RetriesQueue": deliveriesVisibility,
	} {
		var properties struct {
			Seconds int `yaml:"VisibilityTimeout"`
		}
		node := template.Resources[name].Properties
		if err := node.Decode(&properties); err != nil {
			t.Fatal(err)
		}
		if want := time.Duration(properties.Seconds) * time.Second; visibility != want {
			t.Errorf("a message of %s comes back after %s, want %s", name, visibility, want)
		}
	}
}
