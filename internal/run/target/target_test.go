package target_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
)

// record is a log that remembers.
type record struct {
	lines []string // "stream: text"
}

// Line is without a lock on purpose: a target logs one line at a time, and the
// race detector sees when it does not.
func (r *record) Line(stream, text string) { r.lines = append(r.lines, stream+": "+text) }

func (r *record) text() string { return strings.Join(r.lines, "\n") }

type stub string

func (s stub) Run(context.Context, target.Job, target.Log) target.Result {
	return target.Result{Output: []byte(s)}
}

func TestASetRunsAJobByItsTargetsType(t *testing.T) {
	set := target.Set{boathook.TargetHTTP: stub(`"http"`), boathook.TargetLambda: stub(`"lambda"`)}
	for kind, want := range map[boathook.TargetType]target.Result{
		boathook.TargetHTTP:    {Output: []byte(`"http"`)},
		boathook.TargetLambda:  {Output: []byte(`"lambda"`)},
		boathook.TargetCommand: {Err: `targets of type "command" are not available here`},
		"":                     {Err: `targets of type "" are not available here`},
	} {
		got := set.Run(t.Context(), target.Job{Target: boathook.Target{Type: kind}}, &record{})
		if string(got.Output) != string(want.Output) || got.Err != want.Err {
			t.Errorf("%q: got %+v, want %+v", kind, got, want)
		}
	}
}

func TestThePayloadKeepsTheInputsText(t *testing.T) {
	job := target.Job{RunID: "run_1", Input: []byte(`{"z":1,"a":123456789012345678901234567890,"z":"<&>"}`)}
	for _, tt := range []struct {
		message, session, title, want string
	}{
		{"", "", "", `{"run_id":"run_1","input":{"z":1,"a":123456789012345678901234567890,"z":"<&>"}}`},
		{"hello", "webhook-1", "Webhook: push", `{"run_id":"run_1","input":{"z":1,"a":123456789012345678901234567890,"z":"<&>"},"message":"hello",` +
			`"session_id":"webhook-1","session_title":"Webhook: push"}`},
	} {
		job.Message, job.SessionID, job.SessionTitle = tt.message, tt.session, tt.title
		if got, err := job.Payload(); err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v; want %s", got, err, tt.want)
		}
	}
	job.Message, job.SessionID, job.SessionTitle = "", "", ""
	job.Details = boathook.TriggerDetails{Event: "push", DeliveryID: "72d3162e"}
	if got, err := job.Payload(); err != nil || !strings.HasSuffix(string(got), `,"trigger_details":{"event":"push","delivery_id":"72d3162e","content_type":null,"query":{}}}`) {
		t.Errorf("with details: got %s, %v", got, err)
	}
	job.Input = []byte(`{`)
	if got, err := job.Payload(); err == nil {
		t.Errorf("got %s for an input that is no JSON", got)
	}
}

func TestLinesAreSplitWhereverTheyAreWritten(t *testing.T) {
	const text = "one\ntwo\r\n\n  four\nlast"
	want := []string{"stdout: one", "stdout: two", "stdout: ", "stdout:   four", "stdout: last"}
	for size := 1; size <= len(text); size++ {
		var log record
		lines := target.NewLines(&log, target.Stdout)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if wrote, err := io.WriteString(lines, rest[:n]); wrote != n || err != nil {
				t.Fatalf("wrote %d, %v; want %d", wrote, err, n)
			}
			rest = rest[n:]
		}
		lines.Flush()
		lines.Flush() // a second one has nothing left
		if fmt.Sprint(log.lines) != fmt.Sprint(want) {
			t.Errorf("in pieces of %d: got %q, want %q", size, log.lines, want)
		}
	}
}

func TestALineIsCutAtTheLimitAndSaysSo(t *testing.T) {
	const limit = boathook.MaxLogLine
	for _, tt := range []struct {
		name, line string
		cut        bool
	}{
		{"the limit", strings.Repeat("x", limit), false},
		{"the limit in wide characters", strings.Repeat("€", limit/3), false},
		{"one byte more", strings.Repeat("x", limit+1), true},
		{"wide characters across the limit", "x" + strings.Repeat("€", limit), true},
		{"more after all is replaced", strings.Repeat("a\xff", limit/2), true},
		{"more than an output", strings.Repeat("x", boathook.MaxRunOutput+1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log record
			lines := target.NewLines(&log, target.Stderr)
			io.WriteString(lines, tt.line+"\nnext\n")
			if len(log.lines) != 2 || log.lines[1] != "stderr: next" {
				t.Fatalf("got %d lines, want 2", len(log.lines))
			}
			got := strings.TrimPrefix(log.lines[0], "stderr: ")
			if !tt.cut {
				if got != tt.line {
					t.Errorf("got %d bytes, want the line's %d", len(got), len(tt.line))
				}
				return
			}
			mark := fmt.Sprintf(" … [cut: the line has %d bytes]", len(tt.line))
			if !strings.HasSuffix(got, mark) || len(got) > limit || len(got) < limit-3 || !utf8.ValidString(got) {
				t.Errorf("got %d bytes ending in %q, valid %v; want %d ending in %q", len(got), got[len(got)-60:], utf8.ValidString(got), limit, mark)
			}
			if !strings.HasPrefix(strings.ToValidUTF8(tt.line, "\uFFFD"), strings.TrimSuffix(got, mark)) {
				t.Error("what is kept is not the line's beginning")
			}
		})
	}
}

func TestBytesThatAreNotUTF8AreReplaced(t *testing.T) {
	var log record
	lines := target.NewLines(&log, target.Stdout)
	io.WriteString(lines, "a\xff\xfeb\x00c\n\xe2\x82")
	lines.Flush()
	if want := "stdout: a\uFFFDb\x00c\nstdout: \uFFFD"; log.text() != want {
		t.Errorf("got %q, want %q", log.text(), want)
	}
}

// A run of such bytes is replaced by one character, so of a long line little is
// left to cut.
func TestALongLineThatIsNoTextIsCutToo(t *testing.T) {
	var log record
	lines := target.NewLines(&log, target.Stdout)
	io.WriteString(lines, "a"+strings.Repeat("\xff", 100_000)+"\n")
	if want := "stdout: a\uFFFD … [cut: the line has 100001 bytes]"; log.text() != want {
		t.Errorf("got %.200q, want %q", log.text(), want)
	}
}

func TestAGigabyteWithoutALineEndTakesLittleMemory(t *testing.T) {
	var log record
	lines := target.NewLines(&log, target.Stdout)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = 'x'
	}
	for range 1 << 10 {
		lines.Write(chunk)
	}
	lines.Flush()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("allocated %d bytes", grown)
	}
	if !strings.HasSuffix(log.text(), "[cut: the line has 1073741824 bytes]") {
		t.Errorf("got a line that ends in %q", log.text()[len(log.text())-60:])
	}
}
