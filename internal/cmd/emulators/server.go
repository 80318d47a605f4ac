package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// startTimeout is for an emulator that neither ends nor answers: a busy machine
// takes a minute to start one.
const startTimeout = 10 * time.Minute

// server is an emulator that is ready.
type server struct {
	url    string
	log    string // a file
	cmd    *exec.Cmd
	exited <-chan struct{}
}

// start runs an emulator that listens on a port of the system's choice, which
// nothing can take before it, and then prints its URL.
func start(ctx context.Context, name string, argv ...string) (*server, error) {
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return nil, err
	}
	// A log of its own: several may run side by side, and it tells the URL.
	log, err := os.CreateTemp(tools, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// In a group of its own, so that what it starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state tells
		close(exited)
	}()
	s := &server{log: log.Name(), cmd: cmd, exited: exited}
	if s.url, err = s.wait(ctx); err != nil {
		s.end()
		return nil, fmt.Errorf("%w; see %s", err, s.log)
	}
	return s, nil
}

var address = regexp.MustCompile(`(http://127\.0\.0\.1:\d+)\s`)

// wait returns the URL as soon as it is in the log.
func (s *server) wait(ctx context.Context) (url string, err error) {
	timeout := time.After(startTimeout)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		text, err := os.ReadFile(s.log)
		if err != nil {
			return "", err
		}
		if m := address.FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
		select {
		case <-s.exited:
			return "", fmt.Errorf("it ended at once: %s", s.cmd.ProcessState)
		case <-timeout:
			return "", fmt.Errorf("it was not ready within %s", startTimeout)
		case <-ctx.Done():
			return "", ctx.Err()
		case <-again.C:
		}
	}
}

// stop ends an emulator that was ready, and removes its log.
func (s *server) stop() {
	s.end()
	_ = os.Remove(s.log) // a leftover harms nobody
}

// end ends the emulator and what it has started. It holds nothing to save.
func (s *server) end() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may be gone
	<-s.exited
}
