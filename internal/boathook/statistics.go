package boathook

import (
	"maps"
	"math"
	"slices"
	"time"
)

// DurationSteps are the steps in which the durations of attempts are counted, each by the
// longest that belongs to it. One step is at most 5/3 of the one before. What is longer
// than the last belongs to the last.
var DurationSteps = []time.Duration{
	10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond, 70 * time.Millisecond,
	100 * time.Millisecond, 150 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, 700 * time.Millisecond,
	1000 * time.Millisecond, 1500 * time.Millisecond, 2 * time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second,
	10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second, 60 * time.Second,
}

// AttemptCounts count a webhook's attempts of a time, by what their deliveries were after
// them.
type AttemptCounts struct {
	From      time.Time // the beginning of that time
	Succeeded int
	Retrying  int                   // failed, and another attempt follows
	Failed    int                   // failed, and none follows
	Durations map[time.Duration]int // how many belong to each of [DurationSteps]
}

// StatisticsHour is the beginning of the hour of which a time's attempts are counted.
func StatisticsHour(at time.Time) time.Time { return at.UTC().Truncate(time.Hour) }

// Count adds an attempt.
func (c *AttemptCounts) Count(after DeliveryStatus, duration time.Duration) {
	switch after {
	case DeliverySucceeded:
		c.Succeeded++
	case DeliveryRetrying:
		c.Retrying++
	default:
		c.Failed++
	}
	step := DurationSteps[len(DurationSteps)-1]
	if i, _ := slices.BinarySearch(DurationSteps, duration); i < len(DurationSteps) {
		step = DurationSteps[i]
	}
	c.add(map[time.Duration]int{step: 1})
}

// Add adds the attempts of another time.
func (c *AttemptCounts) Add(other AttemptCounts) {
	c.Succeeded += other.Succeeded
	c.Retrying += other.Retrying
	c.Failed += other.Failed
	c.add(other.Durations)
}

func (c *AttemptCounts) add(durations map[time.Duration]int) {
	if c.Durations == nil {
		c.Durations = make(map[time.Duration]int, len(durations))
	}
	for step, n := range durations {
		c.Durations[step] += n
	}
}

// Percentile is the step of the duration that a part of the attempts, above 0 and at most
// 1, does not exceed; 0 without attempts.
func (c *AttemptCounts) Percentile(part float64) time.Duration {
	total := 0
	for _, n := range c.Durations {
		total += n
	}
	left := int(math.Ceil(part * float64(total)))
	for _, step := range slices.Sorted(maps.Keys(c.Durations)) {
		if left -= c.Durations[step]; left <= 0 && total > 0 {
			return step
		}
	}
	return 0
}
