package capacity

import (
	"cmp"
	"fmt"
	"slices"
)

// limits are what a plan meets, or comes near to: what is used most of first.
func limits(l Load, s Stack, plan Plan, parts []part) []Limit {
	of := func(holds func(part) bool) (concurrency, requests float64) {
		for _, p := range parts {
			if holds(p) {
				concurrency += p.invocations * p.billed / 1000
				requests += p.usage.HTTP
			}
		}
		return concurrency, requests
	}
	from := func(queue string) float64 {
		concurrency, _ := of(func(p part) bool { return p.queue == queue })
		return concurrency
	}
	all, requests := of(func(part) bool { return true })
	intake, triggers := of(func(p part) bool { return p.function == "intake" })
	_, publishes := of(func(p part) bool { return p.function == "manage" })

	free := s.Account - s.IntakeConcurrency
	if s.IntakeConcurrency > 0 {
		all -= intake
	}
	found := []Limit{
		{"stack: DeliveryConcurrency", from("deliveries"), s.DeliveryConcurrency, "the parameter, up to 1,000", false},
		{"stack: RetryConcurrency", from("retries"), s.RetryConcurrency, "the parameter, up to 1,000", false},
		{"stack: RunConcurrency", from("runs"), s.RunConcurrency, "the parameter, up to 1,000", false},
		{"stack: RequestRate", max(triggers, publishes), s.RequestRate, "the parameter, or publish more events in a request", false},
		{"Lambda: Concurrent executions (L-B99A9384)", all, free, "Service Quotas", true},
		{"API Gateway: Throttle rate (L-8A5B8E43)", requests + l.Watchers*l.Frames, apiRequests, "Service Quotas, or publish more events in a request", true},
	}
	if s.IntakeConcurrency > 0 {
		found = append(found, Limit{"stack: IntakeConcurrency", intake, s.IntakeConcurrency, "the parameter", false})
	}
	for _, q := range plan.Queues {
		found = append(found,
			Limit{"Lambda: batches of " + q.Name + " at a time", from(q.Name), mappingConcurrency, "several stacks", true},
			Limit{"SQS: messages of " + q.Name + " in flight", q.InFlight, inFlight, "a support case, or several stacks", true},
		)
	}
	for _, t := range plan.Tables {
		found = append(found,
			Limit{"DynamoDB: table-level write throughput, " + t.Name, t.Writes, tableUnits, "Service Quotas", true},
			Limit{"DynamoDB: table-level read throughput, " + t.Name, t.Reads, tableUnits, "Service Quotas", true},
			Limit{"DynamoDB: writes of a new table, " + t.Name, t.Writes, newTableWrites, "let it grow over half an hour, or set its warm throughput", false},
		)
	}
	if len(plan.Partitions) > 0 {
		hot := plan.Partitions[0]
		name := fmt.Sprintf("DynamoDB: a partition, %s: %d for each %s", hot.Kind, hot.Each, hot.Per)
		found = append(found, Limit{name, hot.share() * partitionWrites, partitionWrites, "spread the load over more " + hot.Per + "s, or stacks", true})
	}
	slices.SortStableFunc(found, func(a, b Limit) int { return cmp.Compare(b.Share(), a.Share()) })
	return found
}
