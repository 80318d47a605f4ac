package main

import (
	"fmt"

	"boathook/internal/capacity"
	"boathook/internal/testing/localaws"
)

// printIdle prints what a stack costs in a month in which nothing happens but
// its sweeps.
func printIdle(c capacity.Counts, prices capacity.Prices) {
	fmt.Printf("\nDollars a month of an idle stack:\n")
	together := 0.0
	for _, line := range capacity.Idle(c, prices) {
		fmt.Printf("  %-20s %.2f\n", line.Name, line.Dollars)
		together += line.Dollars
	}
	fmt.Printf("  %-20s %.2f, and %.2f for the dashboard beyond an account's first three\n", "together", together, c.Standing.Dashboards*prices.Dollars.Dashboard)
}

// standing is what a stack has that costs something whether it is used or not.
func standing(t *localaws.Template) capacity.Standing {
	return capacity.Standing{
		Keys: count(t, "AWS::KMS::Key"), Secrets: count(t, "AWS::SecretsManager::Secret"), AlarmMetrics: alarmMetrics(t),
		Dashboards: count(t, "AWS::CloudWatch::Dashboard"), Mappings: count(t, "AWS::Lambda::EventSourceMapping"),
	}
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
