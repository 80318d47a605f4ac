package main

import (
	"testing"

	"boathook/functions/internal/stack"
)

func TestWhatIsCountedIsPrinted(t *testing.T) {
	printed := stack.Output(t)
	_, handler := newHandler(t)
	invoke(t, handler, "intake/trigger-accepted")
	if counts := stack.Counts(t, printed()); len(counts) != 0 {
		t.Errorf("of a trigger that was accepted, it counts %v", counts)
	}
	invoke(t, handler, "intake/trigger-bad-token")
	if counts := stack.Counts(t, printed()); counts["TriggersRefused"] != 1 || len(counts) != 1 {
		t.Errorf("counted %v", counts)
	}
}
