// Package capacity says on paper what a stack on AWS uses at a load: how many of a Lambda
// account's concurrent executions, which requests to SQS, which units of DynamoDB and of
// its hottest partition, which limit it meets first, and what it costs a month.
//
// What a delivery, a trigger or a run uses is measured ([Counts]), by the command cost.
// What AWS allows is in quotas.go, each number with the address of AWS's document. All
// else is a part of the load, and an assumption.
//
// The model is of a load that goes on evenly. It has no bursts, no cold starts and no
// throttled requests: what is above a limit waits in its queue, or is refused.
package capacity

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	daySeconds = 24 * 60 * 60
	monthDays  = 30
	gb         = 1e9
)

// Plan is what a load comes to.
type Plan struct {
	Batch, RetryBatch float64 // messages of a batch of first attempts, and of later ones
	Functions         []Function
	Queues            []Queue
	Tables            []Table     // and indexes, those with the most writes first
	Partitions        []Partition // the hottest first
	Limits            []Limit     // what is nearest, or furthest exceeded, first
	Month             []Line
	Total             float64 // dollars a month
	Ramp              float64 // minutes until Lambda has as many batches under way as are needed, from none
}

// AccountLimit is the first limit that is AWS's; false if nothing of it is used.
func (p Plan) AccountLimit() (Limit, bool) {
	for _, l := range p.Limits {
		if l.IsAccount {
			return l, l.Used > 0
		}
	}
	return Limit{}, false
}

// Million is what a million deliveries of the load cost, with all that a month has beside them.
func (p Plan) Million(l Load) float64 { return p.Total / (l.Rate * monthDays * daySeconds / 1e6) }

// Function is a Lambda function's load.
type Function struct {
	Name        string
	Invocations float64 // a second
	Duration    float64 // milliseconds of each
	CPU         float64 // milliseconds of the processor, of each
	Concurrency float64
}

// Queue is the load of one of SQS's queues.
type Queue struct {
	Name                     string
	Messages                 float64 // a second
	Sends, Receives, Deletes float64 // requests a second, as they are billed
	InFlight                 float64 // messages
}

// Table is the load of a table, or of a global index.
type Table struct {
	Name          string
	Writes, Reads float64 // units a second
}

// Partition is the load of the busiest partition of a kind.
type Partition struct {
	Kind          string // see [Spread]
	Per           string // what the kind has so many partitions of
	Each          int    // how many of each
	Writes, Reads float64
}

// share is of what a partition can serve.
func (p Partition) share() float64 { return max(p.Writes/partitionWrites, p.Reads/partitionReads) }

// Limit is one that a load may meet.
type Limit struct {
	Name      string
	Used, Of  float64
	Raise     string // how
	IsAccount bool   // it is AWS's, not a parameter of the stack
}

// Share is how much of it is used. Above 1 it is exceeded.
func (l Limit) Share() float64 { return l.Used / l.Of }

// Line is a part of a month's cost.
type Line struct {
	Name    string
	Dollars float64
}

// part is a flow of work, with what it uses in a second.
type part struct {
	name        string
	function    string // that does it
	queue       string // that it comes from, or ""
	sends       string // the queue that it sends to, or ""
	invocations float64
	messages    float64 // a second, of the queue
	billed      float64 // milliseconds of one invocation
	usage       Usage
}

// Of makes the plan of a load. The error names each field that is out of range, and each
// number that was not measured.
func Of(l Load, s Stack, c Counts, p Prices) (Plan, error) {
	if err := errors.Join(l.check(), s.check()); err != nil {
		return Plan{}, err
	}
	m := model{load: l, counts: c}
	parts := m.parts()
	if m.err != nil {
		return Plan{}, m.err
	}
	var all Usage
	for _, part := range parts {
		all = all.Plus(part.usage)
	}
	plan := Plan{Batch: m.batch, RetryBatch: m.retryBatch, Functions: functions(parts), Queues: m.queues(parts)}
	var err error
	if plan.Partitions, err = m.partitions(all); err != nil {
		return Plan{}, err
	}
	plan.Tables = tables(all)
	plan.Limits = limits(l, s, plan, parts)
	plan.Ramp = ramp(parts)
	plan.Month = m.month(parts, p)
	for _, line := range plan.Month {
		plan.Total += line.Dollars
	}
	return plan, nil
}

// model is what is worked out of a load.
type model struct {
	load   Load
	counts Counts
	err    error

	batch, retryBatch float64
}

// row is what was measured.
func (m *model) row(name string) Usage {
	u, measured := m.counts.Rows[name]
	if !measured {
		m.err = errors.Join(m.err, fmt.Errorf("the counts have no row %q", name))
	}
	return u
}

// slowAfter is how long a receiver takes, in milliseconds, that Boathook treats as slow.
const slowAfter = 1000

// line is what something uses of n: some at all, and some of each. It goes through two
// measurements, of one and of many.
type line struct{ once, each Usage }

func through(one Usage, n float64, many Usage) line {
	each := many.Plus(one.Times(-1)).Times(1 / (n - 1))
	return line{once: one.Plus(each.Times(-1)), each: each}
}

func (l line) of(n float64) Usage { return l.once.Plus(l.each.Times(n)) }

// Rows are measured for one of what a request or a batch has; these are of it all.
func (m *model) publish() line {
	const published = 100
	return through(m.row("event alone"), published, m.row("event").Times(published))
}

func (m *model) delivery() line {
	return through(m.row("delivery 1"), fullBatch, m.row("delivery 10").Times(fullBatch))
}

// parts are all that goes on.
func (m *model) parts() []part {
	l := m.load
	if l.Latency > slowAfter {
		l.Slow, l.SlowLatency = 1, l.Latency
	}
	m.batch = filled(l.Rate, l.Batch)
	again := l.Rate * l.Failing * l.Attempts
	m.retryBatch = filled(again+l.Rate*l.Slow, l.Batch)
	parts := []part{m.published(l), m.delivered(l)}
	if l.Slow > 0 {
		parts = append(parts, m.handedOver(l), m.deliveredSlowly(l))
	}
	if again > 0 {
		parts = append(parts, m.retried(again, l))
	}
	if l.Triggers > 0 {
		parts = append(append(parts, m.triggered(l)...), m.executed(l)...)
	}
	if l.Pages > 0 {
		page := m.row("console")
		parts = append(parts, request("console's pages", "console", "", l.Pages/daySeconds, page))
	}
	sweep := m.row("sweep")
	return append(parts, request("sweep", "sweep", "", 1.0/60, sweep))
}

// filled is how many messages a batch has: those that come to one poller while it
// collects, of which there are as many as Lambda begins with.
func filled(rate, asked float64) float64 {
	if asked > 0 {
		return max(1, asked)
	}
	return min(fullBatch, max(1, rate*window/firstBatches))
}

// distinct is how many of n owners a batch has, if each message is anyone's.
func distinct(n, batch float64) float64 { return n * (1 - math.Pow(1-1/n, batch)) }

func request(name, function, sends string, rate float64, u Usage) part {
	return part{name: name, function: function, sends: sends, invocations: rate, billed: u.Billed, usage: u.Times(rate)}
}

// published are events. What more than one webhook adds is measured, but for what comes in
// steps: a request sends ten messages to SQS, and a delivery's entry in its workspace's list
// takes a share of a unit, as an event's does.
func (m *model) published(l Load) part {
	each := m.publish()
	u := each.of(l.Publish)
	further := through(m.row("event alone"), 10, m.row("event for 10 webhooks").Times(10)).each
	further.Writes, further.Partitions = each.each.Writes, Spread{"records entered": {Writes: each.each.Writes}}
	u = u.Plus(further.Times(l.Publish * (l.Fanout - 1)))
	messages := l.Publish * l.Fanout
	u.SQS = math.Ceil(messages/fullBatch) + m.chunks(messages, fullBatch)
	u.HTTP = max(u.HTTP, math.Ceil(l.Publish*l.Size/(512<<10))) // it bills 512 KiB as one
	return request("published events", "manage", "deliveries", l.Rate/messages, u)
}

// more is how many bytes a body has beyond those that were measured.
func (m *model) more() float64 { return max(0, m.load.Size-m.counts.BodyBytes) }

// chunks are what SQS bills for n messages, sent or received so many at a time, beyond
// those that were measured: one request for each 64 KiB. A message is taken to be no
// smaller than its body, though it is compressed.
// https://aws.amazon.com/sqs/pricing/
func (m *model) chunks(n, batch float64) float64 {
	if m.more() == 0 {
		return 0
	}
	const chunk = 64 << 10
	return n / batch * (math.Ceil(batch*m.load.Size/chunk) - 1)
}

// longer are the writes that a larger body takes: a unit for each KiB.
func (m *model) longer() float64 {
	return math.Ceil((m.counts.StoredBytes+m.more())/1024) - math.Ceil(m.counts.StoredBytes/1024)
}

// apart is above how many bytes a delivery's body is in an item of its own: internal/store.
const apart = 4 << 10

// batchOf is what a batch of n deliveries uses that succeed.
func (m *model) batchOf(n float64) Usage {
	more := n * m.longer()
	kind := "records dlv"
	if m.load.Size > apart {
		kind = "records part"
	}
	return m.delivery().of(n).Plus(m.spread(n)).Plus(Usage{
		Writes: more, SQS: m.chunks(n, n), Partitions: Spread{kind: {Writes: more}},
	})
}

// spread is what a batch of n uses since not all are of one webhook: each more has its own
// look-ups and counts, and each workspace more its counts.
func (m *model) spread(n float64) Usage {
	one := m.row("delivery 10")
	webhook := m.row("delivery 10 of 10 webhooks").Plus(one.Times(-1)).Times(10.0 / 9)
	webhook.Billed, webhook.GBSeconds, webhook.CPU = 0, 0, 0 // side by side
	const ofWorkspace = "records stats workspace"
	counts := one.Partitions[ofWorkspace].Writes * fullBatch
	workspace := Usage{Writes: counts, Partitions: Spread{ofWorkspace: {Writes: counts}}}
	return webhook.Times(distinct(m.load.Webhooks, n) - 1).Plus(workspace.Times(distinct(m.load.Workspaces, n) - 1))
}

// waiting is a usage whose receiver takes another time than the one that was measured.
func waiting(u Usage, measured, milliseconds float64) Usage {
	more := max(milliseconds-measured, -u.Billed)
	return u.Plus(Usage{Billed: more, GBSeconds: more / 1000 * memory})
}

func (m *model) delivered(l Load) part {
	batches := l.Rate * (1 - l.Slow) / m.batch
	u := waiting(m.batchOf(m.batch), m.counts.ReceiverMS, l.Latency)
	return part{
		name: "first attempts", function: "deliver", queue: "deliveries", sends: "retries", invocations: batches, messages: l.Rate * (1 - l.Slow),
		billed: u.Billed, usage: u.Times(batches),
	}
}

// handedOver are deliveries to endpoints that are known to be slow: they go on to the
// retries queue at once, each by a request of its own.
func (m *model) handedOver(l Load) part {
	rate := l.Rate * l.Slow
	u := m.row("slow hand-over").Times(fullBatch)
	u.SQS += m.batch - fullBatch
	looks := m.spread(m.batch)
	u = u.Plus(Usage{Reads: looks.Reads, Partitions: readsOf(looks.Partitions)})
	return part{
		name: "hand-overs of slow endpoints'", function: "deliver", queue: "deliveries", sends: "retries", invocations: rate / m.batch, messages: rate,
		billed: u.Billed, usage: u.Times(rate / m.batch),
	}
}

func readsOf(s Spread) Spread {
	reads := make(Spread, len(s))
	for kind, units := range s {
		reads[kind] = Units{Reads: units.Reads}
	}
	return reads
}

// deliveredSlowly are those deliveries, from the retries queue. They use what others do,
// and what was measured besides.
func (m *model) deliveredSlowly(l Load) part {
	rate := l.Rate * l.Slow
	more := m.row("slow delivery").Plus(m.row("delivery 10").Times(-1))
	more.Billed, more.GBSeconds = 0, 0
	u := waiting(m.batchOf(m.retryBatch).Plus(more.Times(m.retryBatch)), m.counts.ReceiverMS, l.SlowLatency)
	return part{
		name: "slow endpoints' attempts", function: "deliver", queue: "retries", invocations: rate / m.retryBatch, messages: rate,
		billed: u.Billed, usage: u.Times(rate / m.retryBatch),
	}
}

// retried are further attempts. One alone is measured, with what its first attempt took
// more for having failed; in a batch they share what a batch takes at all.
func (m *model) retried(rate float64, l Load) part {
	once := m.delivery().once
	once.Partitions = nil // a batch's counts, whosever they are
	alone := m.row("delivery with a retry 10").Plus(m.row("delivery 10").Times(-1))
	u := alone.Plus(once.Times(-1 + 1/m.retryBatch))
	billed := waiting(m.delivery().of(m.retryBatch), m.counts.ReceiverMS, l.Latency).Billed
	u.Billed, u.GBSeconds = billed/m.retryBatch, billed/m.retryBatch/1000*memory
	u.SQS += m.chunks(1, 1) + m.chunks(1, m.retryBatch)
	return part{
		name: "retries", function: "deliver", queue: "retries", sends: "retries", invocations: rate / m.retryBatch, messages: rate,
		billed: billed, usage: u.Times(rate),
	}
}

// triggered are triggers, and apart what they take for waiting until their runs start.
func (m *model) triggered(l Load) []part {
	u := m.row("trigger")
	milliseconds := l.Start * 1000
	wait := Usage{Billed: milliseconds, GBSeconds: l.Start * memory, Reads: 2 * looks(milliseconds)}
	wait.Partitions = Spread{"records run": {Reads: wait.Reads / 2}, "records backlog": {Reads: wait.Reads / 2}}
	trigger := request("triggers", "intake", "runs", l.Triggers, u)
	trigger.billed += milliseconds
	return []part{trigger, {name: "… while they wait for their runs' start", function: "intake", usage: wait.Times(l.Triggers)}}
}

// looks are how often a trigger looks whether its run has started, as package run does:
// after 25 ms, then after twice as long each time, and after half a second at most.
func looks(wait float64) (n float64) {
	for at, pause := 25.0, 25.0; at <= wait; n++ {
		pause = min(2*pause, 500)
		at += pause
	}
	return n
}

// executed are the runs of triggers, and apart what they take for going on.
func (m *model) executed(l Load) []part {
	u, lease, log := m.row("run"), m.row("run's lease"), m.row("run's second of log")
	const heartbeat = 20 // seconds
	wait := Usage{Billed: l.RunSeconds * 1000, GBSeconds: l.RunSeconds * memory}
	run := part{
		name: "runs", function: "execute", queue: "runs", sends: "deliveries", invocations: l.Triggers, messages: l.Triggers,
		billed: u.Billed + wait.Billed, usage: u.Times(l.Triggers),
	}
	more := func(name string, u Usage, times float64) part {
		return part{name: name, function: "execute", usage: u.Times(l.Triggers * times)}
	}
	return []part{
		run, more("… while their targets work", wait, 1),
		more("… renewals of their leases", lease, math.Floor(l.RunSeconds/heartbeat)),
		more("… chunks of their logs", log, l.RunPrints),
	}
}

func functions(parts []part) []Function {
	byName := make(map[string]Function)
	for _, p := range parts {
		f := byName[p.function]
		f.Name = p.function
		f.Invocations += p.invocations
		f.Concurrency += p.invocations * p.billed / 1000
		f.CPU += p.usage.CPU
		byName[p.function] = f
	}
	all := slices.SortedFunc(maps.Values(byName), func(a, b Function) int { return cmp.Compare(b.Concurrency, a.Concurrency) })
	for i, f := range all {
		all[i].Duration, all[i].CPU = 1000*f.Concurrency/f.Invocations, f.CPU/f.Invocations
	}
	return all
}

// ramp is how many minutes the slowest queue takes to have its batches under way.
func ramp(parts []part) (minutes float64) {
	batches := make(map[string]float64)
	for _, p := range parts {
		if p.queue != "" {
			batches[p.queue] += p.invocations * p.billed / 1000
		}
	}
	for _, n := range batches {
		minutes = max(minutes, (n-firstBatches)/moreBatches)
	}
	return minutes
}

func (m *model) queues(parts []part) []Queue {
	all := []Queue{{Name: "runs"}, {Name: "deliveries"}, {Name: "retries"}}
	at := map[string]*Queue{"runs": &all[0], "deliveries": &all[1], "retries": &all[2]}
	for _, p := range parts {
		sent := p.usage.SQS
		if q := at[p.queue]; q != nil {
			q.Messages += p.messages
			q.Receives += p.invocations
			q.Deletes += p.invocations
			q.InFlight += p.messages * p.billed / 1000
			sent -= 2 * p.invocations
		}
		if q := at[p.sends]; q != nil {
			q.Sends += max(0, sent)
		}
	}
	return all
}

func tables(u Usage) []Table {
	byName := make(map[string]Table)
	for kind, units := range u.Partitions {
		name := tableOf(kind)
		t := byName[name]
		byName[name] = Table{name, t.Writes + units.Writes, t.Reads + units.Reads}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b Table) int { return cmp.Or(cmp.Compare(b.Writes, a.Writes), cmp.Compare(a.Name, b.Name)) })
}
