package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sent are the names of the queues that calls have sent messages to, such as
// "retries": one for each message, in the calls' order.
func (s *Stack) Sent(t testing.TB, calls []Call) (queues []string) {
	t.Helper()
	for _, c := range calls {
		if c.Action != "AmazonSQS.SendMessageBatch" && c.Action != "AmazonSQS.SendMessage" {
			continue
		}
		var sent struct {
			QueueURL string `json:"QueueUrl"`
			Entries  []json.RawMessage
		}
		must(t, json.Unmarshal(c.Body, &sent))
		for range max(1, len(sent.Entries)) {
			queues = append(queues, s.Queue(t, sent.QueueURL))
		}
	}
	return queues
}

// Queue is the name of the queue at a URL.
func (s *Stack) Queue(t testing.TB, url string) string {
	t.Helper()
	for variable, value := range s.Env {
		if name, ok := strings.CutSuffix(variable, "_QUEUE_URL"); ok && value == url {
			return strings.ToLower(strings.TrimPrefix(name, "BOATHOOK_"))
		}
	}
	t.Fatalf("%s is no queue of the stack's", url)
	return ""
}

// Output has what is built from now on print to a file, until the test ends. It
// gives what was printed since it was asked before.
func Output(t testing.TB) (printed func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	must(t, err)
	stdout := os.Stdout
	os.Stdout = file
	t.Cleanup(func() {
		os.Stdout = stdout
		must(t, file.Close())
	})
	read := 0
	return func() string {
		t.Helper()
		text, err := os.ReadFile(file.Name())
		must(t, err)
		text = text[read:]
		read += len(text)
		return string(text)
	}
}

// Counts are the metrics in what a function has printed, which must be lines of
// CloudWatch's embedded metric format in the stack's namespace.
func Counts(t testing.TB, printed string) map[string]float64 {
	t.Helper()
	counts := make(map[string]float64)
	for line := range strings.Lines(printed) {
		var metrics map[string]any
		must(t, json.Unmarshal([]byte(line), &metrics))
		if text, _ := json.Marshal(metrics["_aws"]); !strings.Contains(string(text), `"Namespace":"Boathook/test"`) {
			t.Errorf("a line of another namespace: %s", line)
		}
		delete(metrics, "_aws")
		for name, n := range metrics {
			counts[name] += n.(float64)
		}
	}
	return counts
}
