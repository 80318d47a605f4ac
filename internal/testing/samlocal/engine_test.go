package samlocal_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// engine is podman with a storage of its own, as it is when a test begins.
type engine struct {
	env  []string // of commands that use it
	host string   // this machine's address in the containers' network
}

// newEngine starts podman's service, which speaks Docker's protocol. Where the machine
// lets nobody run containers, the test says so, and is skipped.
func newEngine(t *testing.T) *engine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: sam local: containers with addresses of their own need root: run it as root, or trust CI")
	}
	// Not t.TempDir: the path of a socket has 108 bytes at most.
	folder, err := os.MkdirTemp("", "sam") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	in := func(name string) string { return filepath.Join(folder, name) }
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.runc="+runc, "-o", in("bareruntime"), "./bareruntime")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"vfs\"\nrunroot = %q\ngraphroot = %q\n", in("run"), in("images")),
		"containers.conf": fmt.Sprintf(`[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "bare"
[engine.runtimes]
bare = [%q]
[containers]
log_driver = "k8s-file"
default_sysctls = []
[network]
network_backend = "netavark"
network_config_dir = %q
default_network = %q
default_subnet = %q
`, in("bareruntime"), in("networks"), network, subnet),
	} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The emulators' variables are not the SAM CLI's: a profile that is empty is none to it.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	e := &engine{env: append(env,
		"CONTAINERS_STORAGE_CONF="+in("storage.conf"), "CONTAINERS_CONF="+in("containers.conf"), "DOCKER_HOST=unix://"+in("socket"),
		"SAM_CLI_TELEMETRY=0", "AWS_ACCESS_KEY_ID=emulator", "AWS_SECRET_ACCESS_KEY=emulator", "AWS_DEFAULT_REGION=eu-west-1", "MAKEFLAGS=",
	)}
	e.base(t)
	e.probe(t)
	service := e.command(t.Context(), "podman", "system", "service", "--time=0", "unix://"+in("socket"))
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Kill()
		_ = service.Wait()
		out, err := e.command(context.WithoutCancel(t.Context()), "podman", "rm", "--all", "--force", "--time=0").CombinedOutput()
		if err != nil {
			t.Errorf("podman rm: %v\n%s", err, out)
		}
	})
	return e
}

func (e *engine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = e.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that the SAM CLI removes its containers
	cmd.WaitDelay = time.Minute
	return cmd
}

// base makes the image that functions run on. AWS's can't be had without a network; the
// functions are static programs, so that busybox, with which the SAM CLI adds Lambda's
// runtime interface emulator to the image, is all that it needs to have.
func (e *engine) base(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"bin/", "tmp/", "var/", "var/task/", "var/runtime/"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o777}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range []string{"sh", "mv", "chmod", "nc", "echo"} {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	load := e.command(t.Context(), "podman", "import", "-", baseImage(t))
	load.Stdin = &image
	if out, err := load.CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: sam local: podman can't store an image here: %v\n%s", err, out)
	}
}

// baseImage is the name under which the SAM CLI looks for AWS's image.
func baseImage(t *testing.T) string {
	t.Helper()
	python := filepath.Join(filepath.Dir(os.Getenv(samVariable)), "python")
	out, err := exec.CommandContext(t.Context(), python, "-c",
		"from samcli.local.docker.lambda_image import LambdaImage; print(LambdaImage._INVOKE_REPO_PREFIX)").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)) + "/provided:al2023-" + architecture(t)
}

// probe finds out whether containers run here, are reached at a port of this machine, and
// reach this machine: all that the SAM CLI and the test ask of an engine. The container
// that it leaves keeps the network, and this machine's address in it, until the end.
func (e *engine) probe(t *testing.T) {
	t.Helper()
	podman := func(args ...string) string {
		t.Helper()
		cmd := e.command(t.Context(), "podman", args...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("NOT RUN: sam local: this machine runs no container: %v\n%s", err, &said)
		}
		return strings.TrimSpace(string(out))
	}
	kept := podman("run", "--detach", "--publish=127.0.0.1::8080", baseImage(t), "/bin/nc", "-ll", "-p", "8080", "-e", "/bin/echo", "reached")
	address := podman("port", kept, "8080")
	for try := 0; ; try++ {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			said, _ := io.ReadAll(c)
			c.Close()
			if string(said) == "reached\n" {
				break
			}
		}
		if try == maxTries {
			t.Skipf("NOT RUN: sam local: a container is not reached at a port of this machine: %v", err)
		}
		time.Sleep(100 * time.Millisecond) // its program starts
	}

	e.host = podman("network", "inspect", "--format={{(index .Subnets 0).Gateway}}", network)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(e.host, "0"))
	if err != nil {
		t.Skipf("NOT RUN: sam local: this machine has no address in podman's network: %v", err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			io.WriteString(c, "reached")
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if said := podman("run", "--rm", baseImage(t), "/bin/nc", "-w", "20", e.host, port); said != "reached" {
		t.Skipf("NOT RUN: sam local: a container does not reach this machine: it read %q", said)
	}
}

// The containers' network is none that another podman of this machine may have.
const (
	network = "samlocal"
	subnet  = "10.213.77.0/24"
)

// maxTries is how often the probe looks for a container's program that starts.
const maxTries = 100
