package lambdaruntime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// initTimeout is how long a process may take to ask for its first invocation.
const initTimeout = 10 * time.Second

// process is one process and the runtime API that it alone is served.
type process struct {
	config Config
	cmd    *exec.Cmd
	cancel context.CancelFunc // kills it, and all that it has started, if it has not ended
	server *http.Server
	began  time.Time
	cold   time.Duration // from its start to its first request for an invocation

	asked   chan time.Time  // it asks for an invocation
	next    chan invocation // what it is given
	results chan result     // what came of it
	failed  chan *Error     // it could not start
	exited  chan struct{}   // it has ended
}

// errUntaken is the error of an invocation that its process did not live to
// take: another one may.
var errUntaken = errors.New("the process ended before")

type invocation struct {
	id       string
	trace    string
	payload  []byte
	deadline time.Time
}

type result struct {
	response []byte
	err      error
}

// start starts a process. It is [process.ready] that waits for it.
func start(c Config) (*process, error) {
	ctx, cancel := context.WithCancel(context.Background()) // a process outlives the invocation that it is started for
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, err
	}
	p := &process{
		config: c, cmd: exec.CommandContext(ctx, c.Binary), cancel: cancel,
		asked: make(chan time.Time, 1), next: make(chan invocation), results: make(chan result),
		failed: make(chan *Error, 1), exited: make(chan struct{}),
	}
	p.server = &http.Server{Handler: p.api(), ReadHeaderTimeout: time.Minute}
	go p.server.Serve(listener) //nolint:errcheck // it ends when it is closed
	p.cmd.Env = c.own(listener.Addr().String())
	p.cmd.Stdout, p.cmd.Stderr = c.Log, c.Log
	// In a group of its own, so that an interrupt from the terminal is not its.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// It is not called once the process has been waited for: another may have its
	// id by then.
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	p.cmd.WaitDelay = time.Second // what it has started, and it did not end, may still hold its output
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		cancel()
		_ = p.server.Close()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // its state tells
		cancel()
		close(p.exited)
		_ = p.server.Close()
	}()
	return p, nil
}

// ready waits until the process asks for an invocation.
func (p *process) ready(ctx context.Context) error {
	timeout := time.NewTimer(initTimeout)
	defer timeout.Stop()
	select {
	case at := <-p.asked:
		p.cold = at.Sub(p.began)
		return nil
	case e := <-p.failed:
		return e
	case <-p.exited:
		return fmt.Errorf("%w before its first invocation: %s", ErrExit, p.cmd.ProcessState)
	case <-timeout.C:
		return fmt.Errorf("%w before its first invocation", ErrTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	if p.alive() {
		return cpuOf(p.cmd.Process.Pid)
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// kill ends the process, and all that it has started, at once.
func (p *process) kill() {
	p.cancel()
	<-p.exited
}

// invoke gives the process an invocation and waits for what comes of it.
func (p *process) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	i := invocation{id: rand.Text(), trace: traceOf(ctx), payload: payload, deadline: time.Now().Add(p.config.Timeout)}
	timeout := time.NewTimer(p.config.Timeout)
	defer timeout.Stop()
	next := p.next
	for {
		select {
		case next <- i:
			next = nil
		case r := <-p.results:
			return r.response, r.err
		case <-p.exited:
			if next != nil {
				return nil, errUntaken
			}
			return nil, fmt.Errorf("%w: %s", ErrExit, p.cmd.ProcessState)
		case <-timeout.C:
			return nil, fmt.Errorf("%w after %s", ErrTimeout, p.config.Timeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// api serves the runtime API.
func (p *process) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.asked <- time.Now():
		default: // only the first is waited for
		}
		select {
		case i := <-p.next:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:"+p.config.Name)
			h.Set("Lambda-Runtime-Trace-Id", i.trace)
			h.Set("Content-Type", "application/json")
			_, _ = w.Write(i.payload) // a process that is gone has ended
		case <-p.exited:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		p.result(w, r, func(body []byte) result { return result{response: body} })
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		p.result(w, r, func(body []byte) result { return result{err: reported(body)} })
	})
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		select {
		case p.failed <- reported(body):
		default:
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// result passes on what came of the invocation under way.
func (p *process) result(w http.ResponseWriter, r *http.Request, read func(body []byte) result) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.WriteHeader(http.StatusAccepted)
	select {
	case p.results <- read(body):
	case <-p.exited:
	}
}
