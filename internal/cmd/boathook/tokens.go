package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"boathook/internal/cli"
)

// pipeVariable names the descriptor of the pipe that the tokens come through.
const pipeVariable = "BOATHOOK_TOKENS_PIPE"

// maxPipe is how many bytes a pipe takes before anybody reads (POSIX, PIPE_BUF).
const maxPipe = 4096

// hideTokens gives the environment, and keeps the tokens in it from the processes
// that this one starts. The environment that a process begins with stays readable
// for its children, at /proc/<pid>/environ and by ps, whatever it unsets later. So
// where there are tokens, the program executes itself anew, in the same process,
// with an environment without them, and hands them to itself by a pipe.
func hideTokens() (getenv func(string) string, err error) {
	tokens := make(map[string]string)
	for _, name := range append(cli.SecretVariables(), adminTokenVariable, internalTokenVariable, keyVariable) {
		if token, ok := os.LookupEnv(name); ok {
			tokens[name] = token
		}
	}
	if len(tokens) > 0 {
		return nil, fmt.Errorf("hide the tokens: %w", executeAnew(tokens))
	}
	if pipe, ok := os.LookupEnv(pipeVariable); ok {
		if tokens, err = receive(pipe); err != nil {
			return nil, fmt.Errorf("%s: %w", pipeVariable, err)
		}
	}
	return func(name string) string {
		if token, ok := tokens[name]; ok {
			return token
		}
		return os.Getenv(name)
	}, nil
}

// executeAnew returns only if it fails.
func executeAnew(tokens map[string]string) error {
	text, err := json.Marshal(tokens)
	if err != nil {
		return err
	}
	if len(text) > maxPipe {
		return fmt.Errorf("they must have less than %d bytes together", maxPipe)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	inherited, err := syscall.Dup(int(r.Fd())) // the copy stays open, w and r do not
	if err != nil {
		return err
	}
	for name := range tokens {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	if err := os.Setenv(pipeVariable, strconv.Itoa(inherited)); err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

// receive reads the tokens from the pipe and closes it, before any process is
// started that would inherit it.
func receive(pipe string) (tokens map[string]string, err error) {
	fd, err := strconv.ParseUint(pipe, 10, 31)
	if err != nil {
		return nil, errors.New("not a descriptor: the program sets this itself")
	}
	r := os.NewFile(uintptr(fd), "tokens")
	defer r.Close()
	if info, err := r.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil, errors.New("not a pipe: the program sets this itself")
	}
	text, err := io.ReadAll(io.LimitReader(r, maxPipe))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &tokens); err != nil {
		return nil, err
	}
	return tokens, os.Unsetenv(pipeVariable)
}
