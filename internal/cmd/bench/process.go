package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is the program under test, as the kernel sees it.
type process struct {
	pid int
	cmd *exec.Cmd // nil: it was not started here

	url   string // that it printed
	ended chan error

	mu   sync.Mutex
	live int      // MB that were live after its last collection; 0: not known
	said []string // its last lines on stderr, but for the collector's
}

// collected is a line of the collector (GODEBUG=gctrace=1): heap at its start, at its end,
// and what is live.
var collected = regexp.MustCompile(`^gc \d+ @.* \d+->\d+->(\d+) MB`)

// start starts a program, and waits for the URL that it prints, as listening matches it.
func start(ctx context.Context, cmd *exec.Cmd, listening *regexp.Regexp) (*process, error) {
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "GODEBUG=gctrace=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, cmd: cmd, ended: make(chan error, 1)}
	found := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stderr) })
	reading.Go(func() {
		defer close(found)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil && p.url == "" {
				p.url = m[1]
				found <- m[1]
			}
		}
	})
	go func() {
		reading.Wait()
		p.ended <- cmd.Wait()
	}()
	select {
	case _, ok := <-found:
		if !ok {
			return nil, errors.Join(fmt.Errorf("%s ended before it listened: %s", cmd.Path, p.lastWords()), <-p.ended)
		}
		return p, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.stop())
	}
}

// read keeps what the process says.
func (p *process) read(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		p.mu.Lock()
		if m := collected.FindStringSubmatch(lines.Text()); m != nil {
			p.live, _ = strconv.Atoi(m[1])
		} else if p.said = append(p.said, lines.Text()); len(p.said) > 10 {
			p.said = p.said[1:]
		}
		p.mu.Unlock()
	}
}

func (p *process) lastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

func (p *process) liveMB() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

// maxEnd is how long a program may take for what is in flight when it is stopped.
const maxEnd = time.Minute

// stop has it finish what is in flight, and waits for its end. One that does not end is
// killed.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%s: %w: %s", p.cmd.Path, err, p.lastWords())
		}
		return nil
	case <-time.After(maxEnd):
		return errors.Join(fmt.Errorf("%s did not end within %v of SIGTERM: %s", p.cmd.Path, maxEnd, p.lastWords()), p.cmd.Process.Kill())
	}
}

// tick is what Linux counts a process's time in, for every program (USER_HZ; proc(5)).
const tick = time.Second / 100

// cpu is the time that it had of all processors: fields 14 and 15 of /proc/PID/stat.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, fmt.Errorf("the process's time: %w", err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // its name may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q is too short", p.pid, text)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", p.pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// settle waits until it has done what follows from the last delivery, and gives the time
// it had until then.
func (p *process) settle() (time.Duration, error) {
	last, err := p.cpu()
	for range 30 {
		if err != nil {
			return 0, err
		}
		time.Sleep(100 * time.Millisecond)
		var now time.Duration
		if now, err = p.cpu(); now-last <= tick {
			return now, err
		}
		last = now
	}
	return last, err
}

// peak is the most memory it has had, in MB: VmHWM of /proc/PID/status.
func (p *process) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, fmt.Errorf("the process's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.pid)
}
