package simulation

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"boathook/internal/queue"
)

// step is one thing that happened.
type step struct {
	at      time.Duration // since the world began
	actor   string
	what    string
	subject string // an id, or the body of a message
	outcome string
}

// trace is all that happened, in order.
type trace []step

// note adds a step to the world's trace.
func (w *world) note(actor, what, subject, outcome string) {
	if w.quiet {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, step{time.Since(w.began), actor, what, subject, outcome})
}

// text is a step without its names made short. The body of a message is
// replaced by what it is about.
func (s step) text() string {
	subject := s.subject
	if r, err := queue.DecodeRun(subject); err == nil {
		subject = r.ID
	} else if d, err := queue.DecodeDelivery(subject); err == nil {
		subject = fmt.Sprintf("%s attempt %d, of %s", d.ID, d.Attempt, d.WebhookID)
	}
	return fmt.Sprintf("%15s  %-11s %-24s %s: %s", s.at.Round(time.Microsecond), s.actor, s.what, subject, s.outcome)
}

var ids = regexp.MustCompile(`\b(run|dep|out|in|ver|evt)_[a-z2-7]{24}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b`)

// write prints the steps that mention one of the subjects, or all if there are
// none. Ids are numbered in the order of their appearance, and how they really
// read is said once.
func (t trace) write(out io.Writer, subjects ...string) {
	short := make(map[string]string)
	kinds := make(map[string]int)
	shorten := func(id string) string {
		name, known := short[id]
		if !known {
			kind, _, _ := strings.Cut(id, "_")
			if strings.Contains(kind, "-") {
				kind = "delivery"
			}
			kinds[kind]++
			name = fmt.Sprintf("%s-%d", kind, kinds[kind])
			short[id] = name
			return name + "=" + id
		}
		return name
	}
	for _, s := range t {
		line := s.text()
		wanted := len(subjects) == 0
		for _, subject := range subjects {
			wanted = wanted || strings.Contains(line, subject)
		}
		if wanted {
			fmt.Fprintln(out, ids.ReplaceAllStringFunc(line, shorten))
		}
	}
}
