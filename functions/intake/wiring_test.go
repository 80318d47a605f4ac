package main

import (
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/testing/stack"
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

// A trigger that waits as long as it may is answered.
func TestTheLongestWaitEndsBeforeItsFunction(t *testing.T) {
	if left := stack.Timeout(t, "IntakeFunction") - boathook.MaxWaitForStart; left < 3*time.Second {
		t.Errorf("%s are left to answer", left)
	}
}
