package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// All are below the checkout, and what is installed there is not in git.
const (
	folder  = "infra/emulators" // the pinned versions, and Node's modules
	clients = "infra/clients"   // the same of what makes and checks clients of the API, and of others' clients
	verify  = "infra/verify"    // the same of what examines the template, and can't be installed beside moto
	tools   = ".tools"          // Python's virtual environments, and logs
)

// probe prints the folder of a Python's scripts if exactly the required
// versions are installed there, and otherwise says what is not. Its arguments are
// the requirements, and the scripts and modules that must be there.
const probe = `
import importlib.metadata, importlib.util, os, sys, sysconfig
scripts = sysconfig.get_path("scripts")
for line in open(sys.argv[1]):
    name, _, version = line.strip().partition("==")
    if importlib.metadata.version(name.partition("[")[0]) != version:
        sys.exit("not " + line)
for tool in sys.argv[2:]:
    if not os.path.exists(os.path.join(scripts, tool)) and not importlib.util.find_spec(tool):
        sys.exit("no " + tool)
print(scripts)
`

// installPython gives the folder that holds moto_server, cfn-lint and sam.
func installPython(ctx context.Context, report io.Writer) (scripts string, err error) {
	// flask and flask_cors are what moto[server] adds to moto.
	return installVenv(ctx, report, filepath.Join(folder, "requirements.txt"), "venv", "moto_server", "cfn-lint", "sam", "flask", "flask_cors")
}

// checkov examines the template. Its requirements contradict those of the others.
const checkov = "checkov"

// installVerify gives the folder that holds checkov and the AWS CLI, with which the
// runbook's commands are tested.
func installVerify(ctx context.Context, report io.Writer) (scripts string, err error) {
	return installVenv(ctx, report, filepath.Join(verify, "requirements.txt"), "verify", checkov, "aws")
}

// installClients gives the Python that has others' clients of the systems.
func installClients(ctx context.Context, report io.Writer) (python string, err error) {
	scripts, err := installVenv(ctx, report, filepath.Join(clients, "requirements.txt"), "clients")
	return filepath.Join(scripts, "python3"), err
}

// installVenv gives the folder of the scripts of a Python that has what is
// required. It takes the Python that is installed if that has the required
// versions, else a virtual environment of that name, which it makes.
func installVenv(ctx context.Context, report io.Writer, requirements, name string, needed ...string) (scripts string, err error) {
	if _, err := os.Stat(requirements); err != nil {
		return "", fmt.Errorf("not at the root of the checkout: %w", err)
	}
	venv := filepath.Join(tools, name)
	own := filepath.Join(venv, "bin", "python")
	for _, python := range []string{own, "python3"} {
		out, err := exec.CommandContext(ctx, python, append([]string{"-c", probe, requirements}, needed...)...).Output()
		if err == nil {
			return strings.TrimSpace(string(out)), nil
		}
	}
	if _, err := exec.LookPath("python3"); err != nil {
		return "", err
	}
	fmt.Fprintf(report, "emulators: installing what %s names in %s, once\n", requirements, venv)
	if err := step(ctx, report, ".", "python3", "-m", "venv", venv); err != nil {
		return "", err
	}
	if err := step(ctx, report, ".", own, "-m", "pip", "install", "--quiet", "--requirement", requirements); err != nil {
		return "", err
	}
	return filepath.Abs(filepath.Join(venv, "bin"))
}

// installNode installs the modules that a folder's lock file pins, unless they are,
// and gives the folder that they are in.
func installNode(ctx context.Context, report io.Writer, folder string) (modules string, err error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	pinned, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("not at the root of the checkout: %w", err)
	}
	modules, err = filepath.Abs(filepath.Join(folder, "node_modules"))
	if err != nil {
		return "", err
	}
	// npm writes this one when all else is done.
	installed, err := os.Stat(filepath.Join(modules, ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(pinned.ModTime()) {
		return modules, nil
	}
	fmt.Fprintf(report, "emulators: installing what %s pins, once\n", filepath.Join(folder, pinned.Name()))
	return modules, step(ctx, report, folder, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
}

// step runs one step of an installation in a folder.
func step(ctx context.Context, report io.Writer, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = report, report
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return nil
}

// chromium are the names of the browser's program.
var chromium = []string{"chromium", "chromium-browser", "google-chrome"}

// installChromium gives the path of Chromium. Where there is none and apt-get may
// install, it installs Debian's.
func installChromium(ctx context.Context, report io.Writer) (path string, err error) {
	if path := os.Getenv(chromiumVariable); path != "" {
		return exec.LookPath(path)
	}
	for _, name := range chromium {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	if err := installPackages(ctx, report, chromium[0]); err != nil {
		return "", err
	}
	return exec.LookPath(chromium[0])
}

// engine are Debian's packages of what runs containers, and of what their images are made
// of, with a program of each.
var engine = map[string]string{"podman": "podman", "runc": "runc", "netavark": "/usr/lib/podman/netavark", "iptables": "iptables", "busybox-static": "busybox"}

// installEngine installs what of them is not there.
func installEngine(ctx context.Context, report io.Writer) error {
	var missing []string
	for name, program := range engine {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	return installPackages(ctx, report, missing...)
}

// installPackages installs Debian's packages, if apt-get can be used without a password.
func installPackages(ctx context.Context, report io.Writer, packages ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("there is no %s, nor apt-get to install it", strings.Join(packages, ", "))
	}
	var as []string
	if os.Getuid() != 0 {
		as = []string{"sudo", "--non-interactive"} // it asks for no password in the middle of the tests
	}
	fmt.Fprintf(report, "emulators: installing %s, once\n", strings.Join(packages, ", "))
	for _, args := range [][]string{
		{"apt-get", "update", "--quiet=2"},
		slices.Concat([]string{"apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends"}, packages),
	} {
		argv := slices.Concat(as, args)
		if err := step(ctx, report, ".", argv[0], argv[1:]...); err != nil {
			return err
		}
	}
	return nil
}
