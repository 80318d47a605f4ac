package main

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// runUntilCleanup runs a program and all that it starts until the test ends. The
// channel is closed when it has ended before.
func runUntilCleanup(t *testing.T, cmd *exec.Cmd) (ended <-chan struct{}) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		_ = cmd.Wait() // killed: its error says only that
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-end
	})
	return end
}

// awaitListener waits until somebody listens at an address, or the program that
// is to do so has ended. It may have to be compiled first.
func awaitListener(t *testing.T, address string, ended <-chan struct{}) {
	t.Helper()
	var dialer net.Dialer
	for ctx := patience(t); ctx.Err() == nil; {
		if c, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("the program has ended, and nobody listens at %s", address)
		case <-time.After(20 * time.Millisecond): // another process: there is nothing to wait on
		}
	}
	t.Fatalf("nobody listens at %s", address)
}
