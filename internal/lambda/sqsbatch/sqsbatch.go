// Package sqsbatch serves a function that handles one message behind a
// Lambda event source mapping of SQS, which hands over batches and must have
// ReportBatchItemFailures set.
//
// A message that fails stays in its queue and comes again after the queue's
// visibility timeout; after the queue's limit of receives it goes to the
// dead-letter queue. That holds for a message that can never be handled too:
// the dead-letter queue is where somebody looks for it.
package sqsbatch

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"
)

// reserve is what is left to report in when the messages' context ends.
const reserve = 500 * time.Millisecond

// Options of a [Handler].
type Options struct {
	Concurrency int           // messages handled at a time; 0 means the whole batch
	Margin      time.Duration // a message starts only when at least this is left until Lambda's deadline
}

// Handler makes a Lambda handler of handle, which is given a message's body
// and acknowledges it by returning nil. An error, a panic, or a deadline too
// near to start make the message one of the batch's failures. The context
// that handle is given ends half a second before Lambda's deadline; it must
// heed it, since the batch is reported when its last message has ended.
//
// Each failure is logged with its message id and receive count, and each
// batch as one line; a body never is. The error is always nil.
func Handler(handle func(ctx context.Context, body string) error, o Options) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
		start := time.Now()
		deadline, bounded := ctx.Deadline()
		if bounded {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}

		failed := make([]bool, len(e.Records))
		var notStarted atomic.Int64
		var group errgroup.Group
		if o.Concurrency > 0 {
			group.SetLimit(o.Concurrency)
		}
		for i := range e.Records {
			group.Go(func() error {
				if bounded && time.Until(deadline) < o.Margin {
					notStarted.Add(1)
					failed[i] = true
					return nil
				}
				failed[i] = !succeeds(ctx, handle, &e.Records[i])
				return nil
			})
		}
		_ = group.Wait() // the failures are in failed

		resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
		for i, f := range failed {
			if f {
				resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: e.Records[i].MessageId})
			}
		}
		slog.InfoContext(ctx, "batch", "count", len(e.Records), "failed", len(resp.BatchItemFailures),
			"not_started", notStarted.Load(), "duration_ms", time.Since(start).Milliseconds())
		return resp, nil
	}
}

// succeeds handles one message, and logs why it could not.
func succeeds(ctx context.Context, handle func(context.Context, string) error, m *events.SQSMessage) (ok bool) {
	log := slog.With("message_id", m.MessageId, "receive_count", m.Attributes["ApproximateReceiveCount"])
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "message handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			ok = false
		}
	}()
	if err := handle(ctx, m.Body); err != nil {
		log.ErrorContext(ctx, "message failed", "error", err)
		return false
	}
	return true
}
