// Command bareruntime is runc for a sandbox that forbids to limit resources: it takes the
// limits out of a container's configuration (config.json of the Open Container
// Initiative's runtime specification) and then becomes runc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// runc is its path, which the linker is told: podman's commands don't all have a PATH.
var runc = "/usr/sbin/runc"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bareruntime:", err)
		os.Exit(1)
	}
}

// run does not return unless it fails.
func run(args []string) error {
	if slices.Contains(args, "create") || slices.Contains(args, "run") {
		if err := unlimit(filepath.Join(bundle(args), "config.json")); err != nil {
			return err
		}
	}
	return syscall.Exec(runc, append([]string{runc}, args...), os.Environ()) //nolint:gosec // that is what it is for
}

// bundle is the folder of the configuration, as runc's options name it.
func bundle(args []string) string {
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if name != "--bundle" && name != "-b" {
			continue
		}
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		return value
	}
	return "."
}

// unlimit takes the limits out of a configuration.
func unlimit(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for part, limits := range map[string][]string{"process": {"rlimits", "oomScoreAdj"}, "linux": {"resources", "seccomp"}} {
		if of, ok := config[part].(map[string]any); ok {
			for _, name := range limits {
				delete(of, name)
			}
		}
	}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
