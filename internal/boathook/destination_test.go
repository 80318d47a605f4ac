package boathook_test

import (
	"errors"
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func TestAQueuesARNHasItsParts(t *testing.T) {
	for _, tt := range []struct {
		arn  string
		want boathook.QueueARN
		fifo bool
	}{
		{"arn:aws:sqs:eu-west-1:123456789012:orders", boathook.QueueARN{Region: "eu-west-1", Account: "123456789012", Name: "orders"}, false},
		{"arn:aws-cn:sqs:cn-north-1:123456789012:a_B-1.fifo", boathook.QueueARN{Region: "cn-north-1", Account: "123456789012", Name: "a_B-1.fifo"}, true},
	} {
		got, ok := boathook.ParseQueueARN(tt.arn)
		if !ok || got != tt.want || got.FIFO() != tt.fifo {
			t.Errorf("%s: got %+v, %v; FIFO %v", tt.arn, got, ok, got.FIFO())
		}
	}
	if _, ok := boathook.ParseQueueARN("arn:aws:sqs:eu-west-1:123456789012:" + strings.Repeat("q", 80)); !ok {
		t.Error("the longest name is refused")
	}
}

func TestWhatIsNoQueuesARNIsRefused(t *testing.T) {
	const account = "arn:aws:sqs:eu-west-1:123456789012:"
	for _, arn := range []string{
		"", "orders", "arn:aws:sqs:eu-west-1:123456789012", account, account + "a:b", account + "a.b", account + ".fifo", account + "ä",
		account + "a b", account + "a\n", account + strings.Repeat("q", 81), account + strings.Repeat("q", 76) + ".fifo",
		"ARN:aws:sqs:eu-west-1:123456789012:a", "arn:gcp:sqs:eu-west-1:123456789012:a", "arn:aws:sns:eu-west-1:123456789012:a",
		"arn:aws:sqs:EU-WEST-1:123456789012:a", "arn:aws:sqs::123456789012:a", "arn:aws:sqs:x.example/:123456789012:a",
		"arn:aws:sqs:eu-west-1:12345678901:a", "arn:aws:sqs:eu-west-1:12345678901x:a", "arn:aws:sqs:eu-west-1:*:a", account + "*",
	} {
		if got, ok := boathook.ParseQueueARN(arn); ok {
			t.Errorf("%q is taken for %+v", arn, got)
		}
		err := boathook.Destination{Type: boathook.DestinationSQS, QueueARN: arn}.Check()
		if e, ok := errors.AsType[*boathook.Error](err); !ok || e.Field != "destination.queue_arn" || e.Kind != boathook.Invalid {
			t.Errorf("%q: got %v", arn, err)
		}
	}
}
