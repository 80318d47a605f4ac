// Package agentcore executes runs by agents that Amazon Bedrock AgentCore
// hosts. AgentCore keeps a container for each runtime session: it starts one on
// the first call, and later calls of the session reach the same.
package agentcore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"

	"boathook/internal/boathook"
	"boathook/internal/egress"
	"boathook/internal/run/target"
	"boathook/internal/run/target/once"
)

// Target invokes a job's agent runtime with {run_id, input, message, session_id, session_title}
// as its payload. The lines that it streams are the run's log, and its output is
// found as [target.ReadAnswer] says.
type Target struct {
	Client  Invoker
	Allowed []string // patterns of [boathook.AllowsARN]
}

// Invoker is the part of the SDK's client that is used: see [NewClient].
type Invoker interface {
	InvokeAgentRuntime(context.Context, *bedrockagentcore.InvokeAgentRuntimeInput, ...func(*bedrockagentcore.Options)) (*bedrockagentcore.InvokeAgentRuntimeOutput, error)
}

// NewClient makes a client that invokes at most once for each call.
func NewClient(cfg aws.Config) *bedrockagentcore.Client {
	return bedrockagentcore.NewFromConfig(once.Config(cfg))
}

// Run implements [target.Target]. A canceled run's agent may go on: AgentCore
// ends it with its session.
func (t Target) Run(ctx context.Context, job target.Job, log target.Log) target.Result {
	arn := job.Target.RuntimeARN
	if !boathook.AllowsARN(t.Allowed, arn) {
		return target.Failed("agent runtime %s is not among those that this stack allows", arn)
	}
	payload, err := job.Payload()
	if err != nil {
		return target.Failed("%s", err)
	}
	in := &bedrockagentcore.InvokeAgentRuntimeInput{
		AgentRuntimeArn:  &arn,
		RuntimeSessionId: aws.String(sessionID(job)),
		ContentType:      aws.String("application/json"),
		Accept:           aws.String("text/event-stream, application/json"),
		Payload:          payload,
	}
	if !job.Trace.IsZero() {
		in.TraceParent = &job.Trace.Parent
	}
	if job.Trace.State != "" {
		in.TraceState = &job.Trace.State
	}
	start := time.Now()
	out, err := t.Client.InvokeAgentRuntime(ctx, in)
	if err != nil {
		return target.Broken(ctx, "AgentCore: %s", once.Explain(err, time.Since(start)))
	}
	defer out.Response.Close()
	result, err := target.ReadAnswer(ctx, out.Response, aws.ToString(out.ContentType), log)
	if err != nil {
		return target.Broken(ctx, "AgentCore: %s", egress.Explain(err, time.Since(start)))
	}
	if status := aws.ToInt32(out.StatusCode); status > 299 {
		return target.Failed("the agent answered %d", status)
	}
	return result
}

// The length of a runtime session's id, in AgentCore's contract.
const (
	minSessionID = 33
	maxSessionID = 256
)

// sessionID is the job's session, or the run itself where it has none, as
// AgentCore takes it. One that is too short or too long is told apart by its
// hash.
func sessionID(job target.Job) string {
	id := job.SessionID
	if id == "" {
		id = job.RunID
	}
	if len(id) >= minSessionID && len(id) <= maxSessionID {
		return id
	}
	hash := sha256.Sum256([]byte(id))
	return id[:min(len(id), maxSessionID-1-2*len(hash))] + "-" + hex.EncodeToString(hash[:])
}
