// Package cli is Boathook's command line: every command but those that serve. It talks to
// any Boathook, on AWS or on one machine, through package client.
package cli

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"boathook/internal/client"
)

// Environment is what a command has around it.
type Environment struct {
	Getenv         func(string) string
	ConfigDir      string // of the user, where profiles are kept; empty: there is none
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Transport http.RoundTripper // to the server; nil is the network
}

// What a command exits with, besides 0. `boathook runs watch` exits with the run's own
// code.
const (
	Failed      = 1 // it was understood, and did not succeed
	Usage       = 2 // an argument or a flag is wrong, or the server refuses a value
	Denied      = 3 // there is no token, or it may not do this
	Absent      = 4 // there is no such thing
	Unreachable = 5 // the server can't be reached, is too busy, or fails
	Interrupted = 130
)

// Error is an error that has an exit code of its own.
type Error struct {
	Code int
	Err  error // nil: all is said
}

func (e *Error) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode is what a process exits with after an error of a command; 0 for none.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	if _, ok := errors.AsType[*client.UnreachableError](err); ok {
		return Unreachable
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return statusCode(e.Status)
	}
	return Failed
}

// statusCode is what a process exits with after an answer that is no success.
func statusCode(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Denied
	case http.StatusNotFound:
		return Absent
	case http.StatusConflict:
		return Failed
	case http.StatusTooManyRequests:
		return Unreachable
	}
	if status >= http.StatusInternalServerError {
		return Unreachable
	}
	return Usage
}

// Commands are all commands of this package.
func Commands(env Environment) []*cobra.Command {
	s := &session{env: env}
	commands := []*cobra.Command{
		loginCommand(s), logoutCommand(s), whoamiCommand(s), statusCommand(s),
		deploymentsCommand(s), incomingCommand(s), crewsCommand(s), agentsCommand(s), repositoriesCommand(s), appsCommand(s), customersCommand(s), webhooksCommand(s),
		runsCommand(s), triggerCommand(s), deliveriesCommand(s), eventTypesCommand(s), publishCommand(s), feedCommand(s), listenCommand(s), probeCommand(s), verifyCommand(s),
		tokensCommand(s), queuesCommand(s), smokeCommand(s),
	}
	for _, c := range commands {
		s.addFlags(c.PersistentFlags())
	}
	return commands
}
