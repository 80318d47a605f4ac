package localaws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// moves are SQS's message move tasks, which no emulator has. A task receives,
// sends and deletes in the name of the function that has started it. Of each
// dead-letter queue the last one is remembered.
type moves struct {
	cloud *Cloud

	mu    sync.Mutex
	tasks map[string]*moveTask // by their source
}

// moveTask is a task as ListMessageMoveTasks tells of it.
type moveTask struct {
	Status                            string
	SourceArn                         string
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	StartedTimestamp                  int64
	FailureReason                     string `json:",omitempty"`
}

const (
	taskRunning   = "RUNNING"
	taskCompleted = "COMPLETED"
	taskFailed    = "FAILED"
)

// start serves StartMessageMoveTask.
func (m *moves) start(w http.ResponseWriter, r *http.Request, c Call) {
	source := sourceOf(c)
	dead, live, err := m.queues(source)
	if err != nil {
		exception(w, http.StatusBadRequest, "com.amazonaws.sqs#ResourceNotFoundException", err.Error())
		return
	}
	waiting, _, err := m.cloud.depth(r.Context(), dead)
	if err != nil {
		exception(w, http.StatusInternalServerError, "InternalFailure", err.Error())
		return
	}
	task := &moveTask{
		Status: taskRunning, SourceArn: source, ApproximateNumberOfMessagesToMove: waiting,
		StartedTimestamp: time.Now().UnixMilli(),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.tasks[source]; last != nil && last.Status == taskRunning {
		exception(w, http.StatusBadRequest, "com.amazonaws.sqs#UnsupportedOperation", "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		return
	}
	m.tasks[source] = task
	ctx := context.WithoutCancel(r.Context()) // it ends with the messages, or with the queues
	m.cloud.sources.Go(func() { m.move(ctx, m.cloud.sqsInName(c.From), task, dead, live) })
	answerJSON(w, http.StatusOK, map[string]string{"TaskHandle": source})
}

// list serves ListMessageMoveTasks.
func (m *moves) list(w http.ResponseWriter, _ *http.Request, c Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := []moveTask{}
	if task := m.tasks[sourceOf(c)]; task != nil {
		results = append(results, *task)
	}
	answerJSON(w, http.StatusOK, map[string]any{"Results": results})
}

func sourceOf(c Call) string {
	var in struct{ SourceArn string }
	_ = json.Unmarshal(c.Request, &in) // without one it is no queue's
	return in.SourceArn
}

// queues are the URLs of a dead-letter queue, by its ARN, and of the queue whose
// messages end in it.
func (m *moves) queues(arn string) (dead, live string, err error) {
	for _, id := range m.cloud.resolver.resources("AWS::SQS::Queue") {
		var p struct {
			RedrivePolicy struct {
				DeadLetterTargetArn string `json:"deadLetterTargetArn"`
			}
		}
		if err := m.cloud.resolver.properties(id, &p); err != nil {
			return "", "", err
		}
		if p.RedrivePolicy.DeadLetterTargetArn == arn {
			_, from, err := m.cloud.named(arn)
			if err != nil {
				return "", "", err
			}
			to, err := m.cloud.resolver.resource(id)
			return from.ref, to.ref, err
		}
	}
	return "", "", fmt.Errorf("%q is no dead-letter queue of the stack's", arn)
}

// move does a task until its source is empty.
func (m *moves) move(ctx context.Context, client *sqs.Client, task *moveTask, dead, live string) {
	for {
		moved, err := moveBatch(ctx, client, dead, live)
		m.mu.Lock()
		task.ApproximateNumberOfMessagesMoved += moved
		switch {
		case err != nil:
			task.Status, task.FailureReason = taskFailed, err.Error()
		case moved == 0:
			task.Status = taskCompleted
		}
		over := task.Status != taskRunning
		m.mu.Unlock()
		if over {
			return
		}
	}
}

func moveBatch(ctx context.Context, client *sqs.Client, from, to string) (moved int, err error) {
	out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &from, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId},
	})
	if err != nil {
		return 0, err
	}
	for i, message := range out.Messages {
		in := &sqs.SendMessageInput{QueueUrl: &to, MessageBody: message.Body}
		if group, ok := message.Attributes["MessageGroupId"]; ok {
			in.MessageGroupId = aws.String(group)
		}
		if _, err := client.SendMessage(ctx, in); err != nil {
			return i, err
		}
		if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &from, ReceiptHandle: message.ReceiptHandle}); err != nil {
			return i, err
		}
	}
	return len(out.Messages), nil
}
