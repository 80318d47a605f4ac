// Package lambdaruntime runs the binary of a Lambda function on this machine, as the
// Lambda service does: it serves the runtime API that the binary asks for its
// next invocation, one invocation at a time in each process, and as many
// processes as there are invocations at once. A process that ends, whatever
// ended it, fails its invocation, and the next one starts another.
//
// What Lambda does and this does not: limit memory and processor, freeze a
// process between invocations, and retry asynchronous ones.
//
// The protocol is AWS's: "Using the Lambda runtime API for custom runtimes",
// version 2018-06-01.
package lambdaruntime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Config says what is run, and how.
type Config struct {
	Name    string
	Binary  string        // the path of an executable for this machine
	Env     []string      // NAME=value; all that the process gets, besides Lambda's own variables
	Timeout time.Duration // of one invocation
	Memory  int           // in MB, as the process is told
	Log     io.Writer     // what the processes print; nil discards it
}

// Function is a Lambda function. It is safe for concurrent use.
type Function struct {
	config Config

	mu     sync.Mutex
	closed bool
	idle   []*process
	alive  map[*process]bool
	ended  time.Duration // of processor time: what the processes have used that are no more
}

// New makes a function. Its processes start when they are needed.
func New(c Config) *Function {
	if c.Log == nil {
		c.Log = io.Discard
	}
	return &Function{config: c, alive: make(map[*process]bool)}
}

// Error is what the function itself, or its handler, reported.
type Error struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// The ways in which a process ends that nobody asked.
var (
	// ErrTimeout is the error of an invocation that took longer than the
	// function's timeout; its process was killed.
	ErrTimeout = errors.New("timed out")
	// ErrExit is the error of an invocation whose process ended.
	ErrExit = errors.New("the process ended")
	// ErrClosed is the error of an invocation after Close.
	ErrClosed = errors.New("the function is closed")
)

// traceKey is the key of a trace header in a context.
type traceKey struct{}

// WithTrace has invocations carry a trace header, in which Lambda tells a function
// what led to it.
func WithTrace(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, traceKey{}, header)
}

func traceOf(ctx context.Context) string {
	if header, ok := ctx.Value(traceKey{}).(string); ok {
		return header
	}
	return "Root=1-00000000-000000000000000000000000;Sampled=0"
}

// Invoke has a process handle a payload, and gives its response. The error is
// an [*Error], or wraps [ErrTimeout], [ErrExit] or [ErrClosed]. When ctx ends,
// the process is killed.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	for {
		p, err := f.take(ctx)
		if err != nil {
			return nil, fmt.Errorf("invoke %s: %w", f.config.Name, err)
		}
		response, err := p.invoke(ctx, payload)
		_, reported := errors.AsType[*Error](err)
		if err == nil || reported {
			f.give(p)
			return response, err
		}
		p.kill()
		if !errors.Is(err, errUntaken) {
			return nil, fmt.Errorf("invoke %s: %w", f.config.Name, err)
		}
	}
}

// take is a process that waits for an invocation: an idle one, or a new one.
func (f *Function) take(ctx context.Context) (*process, error) {
	f.mu.Lock()
	for len(f.idle) > 0 {
		p := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if p.alive() {
			f.mu.Unlock()
			return p, nil
		}
	}
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	p, err := start(f.config)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.alive[p] = true
	closed = f.closed
	f.mu.Unlock()
	go func() {
		<-p.exited
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.alive, p)
		f.ended += p.cpu()
	}()
	if closed {
		p.kill()
		return nil, ErrClosed
	}
	if err := p.ready(ctx); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

func (f *Function) give(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, p)
}

// Start has a process wait for an invocation, so that the next one finds it
// warm, and reports how long that took: from the process's start to its first
// request for an invocation.
func (f *Function) Start(ctx context.Context) (time.Duration, error) {
	p, err := f.take(ctx)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", f.config.Name, err)
	}
	f.give(p)
	return p.cold, nil
}

// CPU is the processor time, of users and of the system, that the function's processes
// have used until now. Where this is not Linux, it is known of those that have ended.
func (f *Function) CPU() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	used := f.ended
	for p := range f.alive {
		used += p.cpu()
	}
	return used
}

// Kill kills every process with SIGKILL, in whatever it is doing.
func (f *Function) Kill() {
	f.mu.Lock()
	processes := slices.Collect(maps.Keys(f.alive))
	f.mu.Unlock()
	for _, p := range processes {
		p.kill()
	}
}

// Close ends the function and its processes.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Kill()
}

// reported reads what a runtime posts as an error.
func reported(body []byte) *Error {
	var e Error
	if err := json.Unmarshal(body, &e); err != nil {
		return &Error{Type: "Unknown", Message: string(body)}
	}
	return &e
}

// own are the variables that Lambda sets itself.
func (c *Config) own(api string) []string {
	return append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_LAMBDA_FUNCTION_NAME=" + c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		fmt.Sprintf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", c.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"LAMBDA_TASK_ROOT=/var/task",
		"TZ=:UTC",
		"PATH=" + os.Getenv("PATH"),
	}, c.Env...)
}
