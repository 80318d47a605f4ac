package allow

import "boathook/internal/boathook"

// Queues is the part of a configuration that says which queues webhooks may send to.
type Queues struct {
	AllowedQueueARNs []string `env:"BOATHOOK_ALLOWED_QUEUE_ARNS,required"`
}

// CheckDestination refuses a destination that is not allowed, with a
// [boathook.Invalid] error about the field at fault.
func (q Queues) CheckDestination(d boathook.Destination) error {
	if !boathook.AllowsARN(q.AllowedQueueARNs, d.QueueARN) {
		return boathook.InvalidField("destination.queue_arn", "not among the queues that the stack's parameter AllowedQueueArns names")
	}
	return nil
}
