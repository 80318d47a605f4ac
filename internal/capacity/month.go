package capacity

const (
	monthMinutes = monthDays * 24 * 60
	// polls of a queue a month: five pollers, each three times a minute.
	polls = firstBatches * 3 * monthMinutes
	// metrics is how many a busy stack writes: internal/metrics.
	metrics = 11
)

// Idle is what a stack costs in a month in which nothing happens but its sweeps.
func Idle(c Counts, p Prices) []Line {
	d := p.Dollars
	return []Line{
		{"key", c.Standing.Keys * d.Key},
		{"secrets", c.Standing.Secrets * d.Secret},
		{"alarms", c.Standing.AlarmMetrics * d.AlarmMetric},
		{"polls of the queues", c.Standing.Mappings * polls / 1e6 * d.SQS},
		{"sweep, each minute", (p.Bill(c.Rows["sweep"]).Total + d.Events) * monthMinutes / 1e6},
	}
}

// month is what a plan costs, without free tiers and discounts for much use.
func (m *model) month(parts []part, p Prices) []Line {
	const seconds = monthDays * daySeconds
	var lines []Line
	for _, part := range parts {
		if part.name != "sweep" {
			lines = append(lines, Line{part.name, p.Bill(part.usage).Total * seconds / 1e6})
		}
	}
	d, l := p.Dollars, m.load
	stored := (m.counts.StoredBytes + m.more()) * l.Rate * l.RetainDays * daySeconds / gb
	sent := (m.counts.RequestBytes + m.more()) * l.Rate * (1 + l.Failing*l.Attempts) * seconds / gb
	lines = append(lines,
		Line{"storage of deliveries", stored * d.Storage},
		Line{"… and their recovery to a point in time", stored * d.Recovery},
		Line{"transfer to receivers on the internet", sent * d.Transfer},
		Line{"WebSockets: messages", l.Watchers * l.Frames * seconds / 1e6 * d.Messages},
		Line{"WebSockets: minutes", l.Watchers * monthMinutes / 1e6 * d.Minutes},
	)
	lines = append(lines, Idle(m.counts, p)...)
	return append(lines,
		Line{"metrics", metrics * d.Metric},
		Line{"dashboard, beyond an account's first three", m.counts.Standing.Dashboards * d.Dashboard},
	)
}
