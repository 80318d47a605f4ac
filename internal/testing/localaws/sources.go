package localaws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"boathook/internal/testing/lambdaruntime"
)

// Run starts what invokes functions by itself: the event source mappings and
// the schedules. They end with ctx, or at [Cloud.Close].
func (d *Cloud) Run(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(ctx)
	for _, id := range d.resolver.resources("AWS::Lambda::EventSourceMapping") {
		if err := d.mapping(ctx, id); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	for _, id := range d.resolver.resources("AWS::Events::Rule") {
		if err := d.schedule(ctx, id); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

// mapping is an event source mapping: it polls a queue, invokes a function with
// what it receives, and deletes what the function has handled.
type mapping struct {
	cloud    *Cloud
	function string
	sqs      *sqs.Client // in the function's name
	queue    string      // its logical id
	url, arn string      // of the queue
	batch    int
	window   time.Duration
	hidden   time.Duration // what is received comes again after it
	reports  bool          // the function names the messages that failed
	recurs   bool          // the function may meet itself as often as it likes
	slots    chan struct{}
	most     int // of batches at a time
}

// mapping starts an event source mapping, unless it is disabled.
func (d *Cloud) mapping(ctx context.Context, id string) error {
	var p struct {
		Enabled                        bool
		EventSourceArn                 string
		FunctionName                   string
		BatchSize                      int
		MaximumBatchingWindowInSeconds int
		FunctionResponseTypes          []string
		ScalingConfig                  struct{ MaximumConcurrency any }
	}
	p.Enabled = true // unless the template says otherwise
	if err := d.resolver.properties(id, &p); err != nil || !p.Enabled {
		return err
	}
	queueID, queue, err := d.named(p.EventSourceArn)
	if err != nil {
		return err
	}
	concurrency := firstBatches
	if limit := p.ScalingConfig.MaximumConcurrency; limit != nil {
		if concurrency, err = strconv.Atoi(fmt.Sprint(limit)); err != nil {
			return err
		}
	}
	m := &mapping{
		cloud: d, function: d.ids[p.FunctionName], queue: queueID, url: queue.ref, arn: queue.arn(),
		batch: p.BatchSize, window: time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		reports: slices.Contains(p.FunctionResponseTypes, "ReportBatchItemFailures"),
		slots:   make(chan struct{}, concurrency),
		most:    concurrency,
	}
	if m.function == "" || m.batch < 1 || m.batch > 10 {
		return fmt.Errorf("batches of %d for %q are not served here", p.BatchSize, p.FunctionName)
	}
	m.sqs = d.sqsInName(m.function)
	if err := m.check(ctx); err != nil {
		return err
	}
	d.sources.Go(func() { m.poll(ctx) })
	return nil
}

// check refuses what Lambda does: a queue whose messages may be received again
// while the function works on them, by the template's own times. Lambda's
// pollers also read the queue's attributes, in the function's name.
func (m *mapping) check(ctx context.Context) error {
	if _, err := m.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &m.url}); err != nil {
		return err
	}
	var function struct {
		Timeout       int
		RecursiveLoop string
	}
	if err := m.cloud.resolver.properties(m.function, &function); err != nil {
		return err
	}
	m.recurs = function.RecursiveLoop == "Allow"
	queue, err := m.cloud.queueProperties(m.queue)
	if err == nil && queue.VisibilityTimeout < function.Timeout {
		err = fmt.Errorf("the visibility timeout of %s, %d s, is below the function's timeout of %d s", m.queue, queue.VisibilityTimeout, function.Timeout)
	}
	m.hidden = m.cloud.hidden(queue)
	return err
}

// poll receives batches until ctx ends, and has at most as many handled at a
// time as the mapping allows. It then waits for those under way.
func (m *mapping) poll(ctx context.Context) {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	handlers.Go(func() { m.grow(ctx) })
	for {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		batch := m.receive(ctx)
		if len(batch) == 0 {
			<-m.slots
			continue
		}
		handlers.Go(func() {
			defer func() { <-m.slots }()
			m.handle(ctx, batch)
		})
	}
}

// As AWS documents of mappings of standard queues: five batches at first, and five
// a second more while messages wait.
const firstBatches, moreBatches = 5, 5

// grow holds those of the mapping's batches back that do not begin yet. (That
// messages wait is not looked at: then more may begin than are needed.)
func (m *mapping) grow(ctx context.Context) {
	held := max(0, m.most-firstBatches)
	for range held {
		m.slots <- struct{}{}
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for held > 0 {
		select {
		case <-second.C:
		case <-ctx.Done():
			return
		}
		for range min(moreBatches, held) {
			<-m.slots
			held--
		}
	}
}

// receive gathers a batch until it is full or the window is over. Errors are
// not told: an emulator that is gone ends the test by its silence.
func (m *mapping) receive(ctx context.Context) (batch []types.Message) {
	var until time.Time
	for ctx.Err() == nil && len(batch) < m.batch {
		wait := int32(5)
		if len(batch) > 0 {
			left := time.Until(until)
			if left <= 0 {
				break
			}
			wait = int32((left + time.Second - 1) / time.Second)
		}
		out, err := m.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &m.url, MaxNumberOfMessages: int32(m.batch - len(batch)), WaitTimeSeconds: wait,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			break
		}
		if len(batch) == 0 {
			until = time.Now().Add(m.window)
		}
		batch = append(batch, out.Messages...)
	}
	return batch
}

// handle invokes the function with a batch and deletes the messages that it
// handled. The others become visible when their time is over.
func (m *mapping) handle(ctx context.Context, batch []types.Message) {
	met, tooOften := m.cloud.lineages.of(m.function, batch)
	if !m.recurs && len(tooOften) > 0 {
		m.cloud.dropped.Add(int64(len(tooOften)))
		m.remove(ctx, tooOften)
		if batch = slices.DeleteFunc(batch, func(one types.Message) bool {
			return slices.ContainsFunc(tooOften, func(t types.Message) bool { return t.MessageId == one.MessageId })
		}); len(batch) == 0 {
			return
		}
	}
	payload, err := json.Marshal(m.event(batch))
	if err != nil {
		return
	}
	release := m.hold(ctx, batch)
	response, err := m.cloud.Invoke(lambdaruntime.WithTrace(ctx, met.header()), m.function, payload)
	release()
	if err != nil {
		return
	}
	failed := make(map[string]bool)
	if m.reports {
		var report events.SQSEventResponse
		if err := json.Unmarshal(response, &report); err != nil {
			return
		}
		for _, f := range report.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
	}
	var done []types.Message
	for _, message := range batch {
		if !failed[*message.MessageId] {
			done = append(done, message)
		}
		delete(failed, *message.MessageId)
	}
	if len(failed) == 0 { // a name that is none of the batch's fails all of it
		m.remove(ctx, done)
	}
}

// hold keeps a batch out of sight until it is released. On AWS a queue's
// visibility timeout is above its function's timeout, so that no message comes
// again while it is worked on; haste shortens the one and not the other.
func (m *mapping) hold(ctx context.Context, batch []types.Message) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var entries []types.ChangeMessageVisibilityBatchRequestEntry
	for i, message := range batch {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: int32(m.hidden / time.Second),
		})
	}
	var held sync.WaitGroup
	held.Go(func() {
		again := time.NewTicker(m.hidden / 4)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				// One that fails is asked for again before the time is over.
				_, _ = m.cloud.sqs.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &m.url, Entries: entries})
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); held.Wait() }
}

// remove deletes messages. One that stays comes again: that is what a queue
// promises.
func (m *mapping) remove(ctx context.Context, messages []types.Message) {
	var entries []types.DeleteMessageBatchRequestEntry
	for i, message := range messages {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle})
	}
	if len(entries) > 0 {
		_, _ = m.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &m.url, Entries: entries})
	}
}

func (m *mapping) event(batch []types.Message) (e events.SQSEvent) {
	for _, message := range batch {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: *message.MessageId, ReceiptHandle: *message.ReceiptHandle, Body: *message.Body,
			Md5OfBody: aws.ToString(message.MD5OfBody), Attributes: message.Attributes,
			MessageAttributes: map[string]events.SQSMessageAttribute{},
			EventSource:       "aws:sqs", EventSourceARN: m.arn, AWSRegion: region,
		})
	}
	return e
}

// schedule invokes the targets of a rule at its rate, unless it is disabled.
func (d *Cloud) schedule(ctx context.Context, id string) error {
	var p struct {
		State              string
		ScheduleExpression string
		Targets            []struct{ Arn string }
	}
	if err := d.resolver.properties(id, &p); err != nil || p.State == "DISABLED" {
		return err
	}
	every, err := rate(p.ScheduleExpression)
	if err != nil {
		return err
	}
	for _, t := range p.Targets {
		function, ok := d.ids[t.Arn]
		if !ok {
			return fmt.Errorf("%q is no function of the stack's", t.Arn)
		}
		d.sources.Go(func() {
			ticker := time.NewTicker(every / time.Duration(d.config.Haste))
			defer ticker.Stop()
			for {
				select {
				case at := <-ticker.C:
					payload, _ := json.Marshal(events.EventBridgeEvent{ // strings and a time always marshal
						Version: "0", ID: "here", DetailType: "Scheduled Event", Source: "aws.events", AccountID: account,
						Time: at.UTC().Truncate(time.Second), Region: region, Resources: []string{id}, Detail: json.RawMessage("{}"),
					})
					_, _ = d.Invoke(ctx, function, payload) // the next time is the retry
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return nil
}

// rate is the interval of an expression such as "rate(1 minute)".
func rate(expression string) (time.Duration, error) {
	inner, ok := strings.CutPrefix(strings.TrimSuffix(expression, ")"), "rate(")
	count, unit, _ := strings.Cut(inner, " ")
	n, err := strconv.Atoi(count)
	length := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(unit, "s")]
	if !ok || err != nil || n < 1 || length == 0 {
		return 0, fmt.Errorf("the schedule %q is not a rate", expression)
	}
	return time.Duration(n) * length, nil
}
