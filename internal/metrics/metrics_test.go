package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"boathook/internal/metrics"
)

func counters() (*metrics.Counters, *bytes.Buffer) {
	var out bytes.Buffer
	return metrics.New("Boathook/test", &out, func() time.Time { return time.UnixMilli(1_771_143_284_003) }), &out
}

func TestAFlushIsOneLineInTheEmbeddedMetricFormat(t *testing.T) {
	c, out := counters()
	var attempts sync.WaitGroup
	for range 3 {
		attempts.Go(func() { c.Count(metrics.AttemptsSucceeded) })
	}
	attempts.Wait()
	c.Count(metrics.AttemptsFailed)
	c.Flush()
	want := `{"AttemptsFailed":1,"AttemptsSucceeded":3,"_aws":{"Timestamp":1771143284003,"CloudWatchMetrics":[` +
		`{"Namespace":"Boathook/test","Dimensions":[[]],"Metrics":[{"Name":"AttemptsFailed","Unit":"Count"},{"Name":"AttemptsSucceeded","Unit":"Count"}]}]}}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out, want)
	}
	out.Reset()
	c.Flush()
	if out.Len() > 0 {
		t.Errorf("with nothing counted it writes %s", out)
	}
}

func TestAHandlerFlushesWhateverItAnswers(t *testing.T) {
	c, out := counters()
	handler := metrics.Flushed(c, func(context.Context, string) (int, error) {
		c.Count(metrics.TriggersRefused)
		return 7, context.Canceled
	})
	if n, err := handler(t.Context(), ""); n != 7 || !errors.Is(err, context.Canceled) || out.Len() == 0 {
		t.Errorf("got %d, %v, and wrote %q", n, err, out)
	}
}

func TestNilCountersCountNothing(*testing.T) {
	var c *metrics.Counters
	c.Count(metrics.RunsLost)
	c.Flush()
}
