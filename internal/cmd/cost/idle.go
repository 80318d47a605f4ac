package main

import (
	"fmt"

	"boathook/internal/testing/localaws"
)

const (
	month = 30 * 24 * 60  // in minutes
	polls = 5 * 3 * month // of a queue: five pollers, each three times a minute
)

// printIdle prints what a stack costs in a month in which nothing happens but
// its sweeps.
func printIdle(t *localaws.Template, prices prices, sweep usage) {
	d := prices.Dollars
	key, secrets := count(t, "AWS::KMS::Key")*d.Key, count(t, "AWS::SecretsManager::Secret")*d.Secret
	alarms := alarmMetrics(t) * d.AlarmMetric
	queues := count(t, "AWS::Lambda::EventSourceMapping") * polls / 1e6 * d.SQS
	sweeps := (prices.bill(sweep).Total + d.Events) * month / 1e6
	fmt.Printf("\nDollars a month of an idle stack:\n"+
		"  key                  %.2f\n"+
		"  secrets              %.2f\n"+
		"  alarms               %.2f\n"+
		"  polls of the queues  %.2f\n"+
		"  sweep, each minute   %.2f\n"+
		"  together             %.2f, and %.2f for the dashboard beyond an account's first three\n",
		key, secrets, alarms, queues, sweeps, key+secrets+alarms+queues+sweeps, count(t, "AWS::CloudWatch::Dashboard")*d.Dashboard)
}

// count is how many resources of a type the stack has.
func count(t *localaws.Template, kind string) (n float64) {
	for range t.All(kind) {
		n++
	}
	return n
}

// alarmMetrics is how many metrics the stack's alarms watch: each is billed.
func alarmMetrics(t *localaws.Template) (n float64) {
	for alarm := range t.All("AWS::CloudWatch::Alarm") {
		metrics, several := alarm.Properties["Metrics"].([]any)
		if !several {
			n++
		}
		for _, m := range metrics {
			if m, ok := m.(map[string]any); ok && m["MetricStat"] != nil {
				n++
			}
		}
	}
	return n
}
