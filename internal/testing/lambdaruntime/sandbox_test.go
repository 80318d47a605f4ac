package lambdaruntime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"boathook/internal/testing/lambdaruntime"
)

// TestMain lets the test's own binary play a function.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	switch os.Getenv("PLAYS") {
	case "ended":
		os.Exit(3)
	case "hung":
		select {}
	}
	lambda.Start(handle)
}

type answer struct {
	PID       int
	Remaining time.Duration
	RequestID string
	Memory    string
}

func handle(ctx context.Context, what string) (answer, error) {
	switch what {
	case "fail":
		return answer{}, errors.New("as asked")
	case "panic":
		panic("as asked")
	case "exit":
		os.Exit(7)
	case "sleep":
		time.Sleep(time.Hour)
	case "be killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "print":
		fmt.Println("printed")
	case "print and sleep":
		fmt.Println("printed")
		time.Sleep(time.Hour)
	case "meet":
		meet()
	case "work":
		work()
	}
	deadline, _ := ctx.Deadline()
	lc, _ := lambdacontext.FromContext(ctx)
	return answer{
		PID: os.Getpid(), Remaining: time.Until(deadline), RequestID: lc.AwsRequestID,
		Memory: os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
	}, nil
}

// worked is the least processor time that work takes.
const worked = 50 * time.Millisecond

func work() {
	var usage syscall.Rusage
	for time.Duration(usage.Utime.Nano()) < worked {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
	}
}

// meet returns when as many processes as MEET says have come to a folder.
func meet() {
	folder, n := os.Getenv("MEET_IN"), os.Getenv("MEET")
	if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		panic(err)
	}
	for {
		here, err := os.ReadDir(folder)
		if err != nil {
			panic(err)
		}
		if strconv.Itoa(len(here)) == n {
			return
		}
		time.Sleep(10 * time.Millisecond) // other processes: there is nothing to wait on
	}
}

func newFunction(t *testing.T, c lambdaruntime.Config) *lambdaruntime.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Name, c.Binary, c.Memory = "played", self, 256
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	f := lambdaruntime.New(c)
	t.Cleanup(f.Close)
	return f
}

func invoke(t *testing.T, f *lambdaruntime.Function, what string) (answer, error) {
	t.Helper()
	response, err := f.Invoke(t.Context(), []byte(`"`+what+`"`))
	if err != nil {
		return answer{}, err
	}
	return decode(t, response), nil
}

func TestAProcessServesOneInvocationAfterAnother(t *testing.T) {
	f := newFunction(t, lambdaruntime.Config{Timeout: time.Hour})
	first, err := invoke(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := invoke(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	if first.PID != second.PID || first.RequestID == second.RequestID {
		t.Errorf("the invocations were %+v and %+v, want one process and two ids", first, second)
	}
	if first.Memory != "256" || first.Remaining < 50*time.Minute || first.Remaining > time.Hour {
		t.Errorf("the process was told %+v", first)
	}
}

func TestTheProcessorTimeOfAllProcessesIsCounted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the processor time of processes that run is known on Linux only")
	}
	f := newFunction(t, lambdaruntime.Config{})
	if used := f.CPU(); used != 0 {
		t.Errorf("before its first process it has used %s", used)
	}
	before := f.CPU()
	for range 2 {
		if _, err := invoke(t, f, "work"); err != nil {
			t.Fatal(err)
		}
		used := f.CPU()
		if used < before+worked {
			t.Errorf("%s more were used, want %s at least", used-before, worked)
		}
		f.Kill()
		if before = f.CPU(); before < worked {
			t.Errorf("once the process is gone it is %s", before)
		}
	}
}

func TestInvocationsAtOnceHaveAProcessEach(t *testing.T) {
	f := newFunction(t, lambdaruntime.Config{Env: []string{"MEET=3", "MEET_IN=" + t.TempDir()}})
	var mu sync.Mutex
	processes := make(map[int]bool)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			a, err := invoke(t, f, "meet")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			processes[a.PID] = true
		})
	}
	all.Wait()
	if len(processes) != 3 {
		t.Errorf("%d processes served three invocations", len(processes))
	}
}

func TestAnInvocationThatGoesWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		what, says string
		is         error
		sameAfter  bool // the process lives on
		timeout    time.Duration
	}{
		"the handler fails":     {"fail", "errorString: as asked", nil, true, time.Hour},
		"the handler panics":    {"panic", "as asked", nil, false, time.Hour},
		"the process exits":     {"exit", "exit status 7", lambdaruntime.ErrExit, false, time.Hour},
		"the process is killed": {"be killed", "signal: killed", lambdaruntime.ErrExit, false, time.Hour},
		"it takes too long":     {"sleep", "timed out after 3s", lambdaruntime.ErrTimeout, false, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFunction(t, lambdaruntime.Config{Timeout: tc.timeout})
			before, err := invoke(t, f, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = invoke(t, f, tc.what)
			if err == nil || !strings.Contains(err.Error(), tc.says) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("the error is %v, want %q", err, tc.says)
			}
			var reported *lambdaruntime.Error
			if errors.As(err, &reported) == (tc.is != nil) {
				t.Errorf("the error is a %T", err)
			}
			after, err := invoke(t, f, "")
			if err != nil {
				t.Fatalf("the next one: %v", err)
			}
			if (before.PID == after.PID) != tc.sameAfter {
				t.Errorf("process %d before, %d after", before.PID, after.PID)
			}
		})
	}
}

func TestKillEndsWhatIsUnderWay(t *testing.T) {
	underWay := make(chan struct{})
	f := newFunction(t, lambdaruntime.Config{Log: writer(func([]byte) { close(underWay) })})
	done := make(chan error)
	go func() {
		_, err := f.Invoke(t.Context(), []byte(`"print and sleep"`))
		done <- err
	}()
	<-underWay
	f.Kill()
	if err := <-done; !errors.Is(err, lambdaruntime.ErrExit) {
		t.Errorf("the error is %v", err)
	}
}

// writer is a Writer that tells of what is written.
type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestAFunctionThatDoesNotStart(t *testing.T) {
	t.Run("its binary is missing", func(t *testing.T) {
		f := lambdaruntime.New(lambdaruntime.Config{Name: "missing", Binary: "/nonexistent", Timeout: time.Second})
		if _, err := f.Invoke(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("it ends", func(t *testing.T) {
		f := newFunction(t, lambdaruntime.Config{Env: []string{"PLAYS=ended"}})
		if _, err := invoke(t, f, ""); !errors.Is(err, lambdaruntime.ErrExit) || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("nobody waits for it", func(t *testing.T) {
		f := newFunction(t, lambdaruntime.Config{Env: []string{"PLAYS=hung"}})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := f.Invoke(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("it is closed", func(t *testing.T) {
		f := newFunction(t, lambdaruntime.Config{})
		f.Close()
		if _, err := invoke(t, f, ""); !errors.Is(err, lambdaruntime.ErrClosed) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestWhatAProcessPrintsIsInTheLog(t *testing.T) {
	var log bytes.Buffer
	f := newFunction(t, lambdaruntime.Config{Log: &log})
	if _, err := invoke(t, f, "print"); err != nil {
		t.Fatal(err)
	}
	f.Close() // the process's output has been read when it has ended
	if log.String() != "printed\n" {
		t.Errorf("the log is %q", log.String())
	}
}

func decode(t *testing.T, response []byte) (a answer) {
	t.Helper()
	if err := json.Unmarshal(response, &a); err != nil {
		t.Fatalf("%s: %v", response, err)
	}
	return a
}
