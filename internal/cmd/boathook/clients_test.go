package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestOthersClients runs the clients that others have made for a system, which
// infra/clients pins, against the program: they are to work unchanged.
func TestOthersClients(t *testing.T) {
	python := os.Getenv("BOATHOOK_TEST_PYTHON_CLIENTS")
	if python == "" {
		t.Skip("BOATHOOK_TEST_PYTHON_CLIENTS is not set: see internal/cmd/emulators")
	}
	for _, client := range []string{"capawesome_sdk", "github_clients"} {
		t.Run(client, func(t *testing.T) {
			p := start(t)
			// -B: what they share leaves no compiled copy behind.
			out, err := exec.CommandContext(t.Context(), python, "-B", "testdata/"+client+".py", p.url, adminToken).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
