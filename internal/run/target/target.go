// Package target executes runs: [HTTP] posts to a URL, [Command] starts a
// local process, package lambda invokes a function, package agentcore an agent
// on Amazon Bedrock AgentCore. Each gives a run its input, passes on what it
// prints line by line, and finds its output.
//
// A job is started at most once for each [Target.Run], whatever goes wrong
// with connections: agents have side effects.
package target

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"boathook/internal/boathook"
)

// Job is one run to execute.
type Job struct {
	RunID        string
	Input        json.RawMessage
	Message      string          // what an agent reads; empty for deployments
	SessionID    string          // the agent's conversation; empty for deployments
	SessionTitle string          // what to call it
	Target       boathook.Target // with its headers, unsealed

	Trace   boathook.TraceContext   // what the run follows from; no part of the payload
	Details boathook.TriggerDetails // what the trigger said beside the input; zero for runs that no webhook has started
}

// Payload is what a remote target receives.
func (j Job) Payload() ([]byte, error) {
	var details *boathook.TriggerDetails
	if !j.Details.IsZero() {
		details = &j.Details
	}
	payload, err := boathook.EncodeJSON(struct {
		RunID        string          `json:"run_id"`
		Input        json.RawMessage `json:"input"`
		Message      string          `json:"message,omitempty"`
		SessionID    string          `json:"session_id,omitempty"`
		SessionTitle string          `json:"session_title,omitempty"`

		Details *boathook.TriggerDetails `json:"trigger_details,omitempty"`
	}{j.RunID, j.Input, j.Message, j.SessionID, j.SessionTitle, details})
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return payload, nil
}

// Result is how a job ended.
type Result struct {
	Output   json.RawMessage // nil if there was none; passes [boathook.CheckJSON]
	ExitCode *int            // of a process that ended; nil for other targets
	Err      string          // why it failed, for the run's record and without secrets; empty if it did not
}

// What [Result.Err] says of a job that its context ended.
const (
	TimeLimit = "time limit exceeded" // context.DeadlineExceeded
	Canceled  = "canceled"            // context.Canceled
)

// OutputTooLong is what [Result.Err] says of an output over the limit.
var OutputTooLong = fmt.Sprintf("output over the limit of %d bytes", boathook.MaxRunOutput)

// Failed is the result of a job that gave nothing but a reason.
func Failed(format string, args ...any) Result {
	return Result{Err: fmt.Sprintf(format, args...)}
}

// Broken is the result of a job that was broken off: for the reason given,
// unless it is that ctx has ended.
func Broken(ctx context.Context, format string, args ...any) Result {
	if why := ended(ctx); why != "" {
		return Result{Err: why}
	}
	return Failed(format, args...)
}

// ended is what [Result.Err] says once ctx has ended, and empty before.
func ended(ctx context.Context) string {
	switch ctx.Err() {
	case nil:
		return ""
	case context.DeadlineExceeded:
		return TimeLimit
	default:
		return Canceled
	}
}

// Log takes what a run prints, one line at a time, while it runs.
type Log interface {
	// Line takes a line without its end: valid UTF-8 of at most
	// [boathook.MaxLogLine] bytes. stream is [Stdout] or [Stderr].
	Line(stream, text string)
}

// The streams of a log. What a remote target prints is stdout.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Target executes jobs.
type Target interface {
	// Run returns when the job is over and its last line is logged. ctx carries
	// its time limit: when ctx ends, the job is stopped as far as it can be.
	Run(ctx context.Context, job Job, log Log) Result
}

// Set is a target that runs each job by the one of its type.
type Set map[boathook.TargetType]Target

// Only is the set with no types but those that are allowed.
func (s Set) Only(allowed []boathook.TargetType) Set {
	only := maps.Clone(s)
	maps.DeleteFunc(only, func(t boathook.TargetType, _ Target) bool { return !slices.Contains(allowed, t) })
	return only
}

// Run implements [Target].
func (s Set) Run(ctx context.Context, job Job, log Log) Result {
	t, ok := s[job.Target.Type]
	if !ok {
		return Failed("targets of type %q are not available here", job.Target.Type)
	}
	return t.Run(ctx, job, log)
}
