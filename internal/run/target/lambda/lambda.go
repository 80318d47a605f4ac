// Package lambda executes runs by invoking Lambda functions and waiting for
// their answer.
package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
	"boathook/internal/run/target/once"
)

// Target invokes a job's function with {run_id, input, …} as its event. What
// the function returns is the output, where it is JSON other than null. The
// log is what Lambda hands back of it: its last 4 KiB.
type Target struct {
	Client  Invoker
	Allowed []string // patterns of [boathook.AllowsARN]
}

// Invoker is the part of the SDK's client that is used: see [NewClient].
type Invoker interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// NewClient makes a client that invokes at most once for each call.
func NewClient(cfg aws.Config) *lambda.Client { return lambda.NewFromConfig(once.Config(cfg)) }

// Run implements [target.Target]. A canceled run's function goes on: Lambda
// has no way to stop it.
func (t Target) Run(ctx context.Context, job target.Job, log target.Log) target.Result {
	arn := job.Target.FunctionARN
	if !boathook.AllowsARN(t.Allowed, arn) {
		return target.Failed("function %s is not among those that this stack allows", arn)
	}
	payload, err := job.Payload()
	if err != nil {
		return target.Failed("%s", err)
	}
	start := time.Now()
	out, err := t.Client.Invoke(ctx, &lambda.InvokeInput{
		FunctionName:   &arn,
		InvocationType: types.InvocationTypeRequestResponse,
		LogType:        types.LogTypeTail,
		Payload:        payload,
		ClientContext:  clientContext(job.Trace),
	})
	if err != nil {
		return target.Broken(ctx, "Lambda: %s", once.Explain(err, time.Since(start)))
	}

	lines := target.NewLines(log, target.Stdout)
	defer lines.Flush()
	if tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)); err == nil {
		_, _ = lines.Write(tail)
		lines.Flush()
	}
	if out.FunctionError != nil {
		return target.Failed("the function failed: %s", reason(out))
	}
	switch answer := bytes.TrimSpace(out.Payload); {
	case len(answer) > boathook.MaxRunOutput:
		return target.Result{Err: target.OutputTooLong}
	case bytes.Equal(answer, []byte("null")):
		return target.Result{}
	case boathook.CheckJSON(answer) == nil:
		return target.Result{Output: answer}
	default:
		_, _ = lines.Write(answer)
		return target.Result{}
	}
}

// clientContext tells the function of a trace, where OpenTelemetry's instrumentations of
// the SDKs do and a function finds it as "custom" of its context. The event stays as it
// is documented. What a trace has at most is far below Lambda's limit of 3,583 bytes.
func clientContext(trace boathook.TraceContext) *string {
	if trace.IsZero() {
		return nil
	}
	text, _ := json.Marshal(map[string]any{"custom": trace.Headers()}) // texts always marshal
	return aws.String(base64.StdEncoding.EncodeToString(text))
}

// maxReason is how much is kept of what a runtime says of a failure, in bytes:
// it becomes part of the run's head.
const maxReason = 1 << 10

// reason is what a failed function's runtime says of the failure.
func reason(out *lambda.InvokeOutput) string {
	var report struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(out.Payload, &report)
	words := strings.Trim(report.Type+": "+report.Message, ": ")
	if words == "" {
		return *out.FunctionError // "Handled" or "Unhandled"
	}
	return boathook.CutReason(words, maxReason)
}
