package boathook

import "time"

// LogLine is one line that a run printed.
type LogLine struct {
	Time   time.Time
	Stream string // "stdout" or "stderr"
	Text   string // at most [MaxLogLine] bytes of UTF-8
}

// Size is how much a line counts in limits, in bytes: an empty one takes room
// too.
func (l LogLine) Size() int { return len(l.Text) + 64 }

// Level is how grave the line is: what a program prints to stderr is an error.
func (l LogLine) Level() string {
	if l.Stream == "stderr" {
		return "error"
	}
	return "info"
}

// AgentLine is a line of an agent's log.
type AgentLine struct {
	LogLine
	RunID string
}

// LogEvent is what the live log and the log of an agent call a line.
const LogEvent = "output"

// RunCounts are of runs, whatever their status.
type RunCounts struct {
	ByStatus map[RunStatus]int // a running one counts as pending
	Since    int               // created at a time or later
}
