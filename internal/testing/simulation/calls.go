package simulation

import (
	"context"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/store"
)

// calls is the store as a process reaches it. Methods that are not here, such
// as those for what users set up, always succeed.
type calls struct {
	store.Store
	p *process
}

// with fits a look-up by a workspace and an id, or by a source and an id.
func with[T any](ctx context.Context, c calls, name, subject string, f func(context.Context, string, string) (T, error), a, b string) (T, error) {
	return do(ctx, c.p, name, subject, func() (T, error) { return f(ctx, a, b) })
}

func (c calls) Version(ctx context.Context, sourceID, id string) (boathook.Version, error) {
	return with(ctx, c, "Version", id, c.Store.Version, sourceID, id)
}

func (c calls) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	return with(ctx, c, "Outgoing", id, c.Store.Outgoing, sourceID, id)
}

func (c calls) AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	return do(ctx, c.p, "AllOutgoing", sourceID, func() ([]boathook.OutgoingWebhook, error) { return c.Store.AllOutgoing(ctx, sourceID) })
}

func (c calls) Audience(ctx context.Context, sourceID string) (store.Audience, error) {
	return do(ctx, c.p, "Audience", sourceID, func() (store.Audience, error) { return c.Store.Audience(ctx, sourceID) })
}

func (c calls) AppendEvents(ctx context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	return tell(ctx, c.p, "AppendEvents", events[0].ID, func() error { return c.Store.AppendEvents(ctx, sourceID, keep, events...) })
}

func (c calls) EnterDeliveries(ctx context.Context, deliveries ...boathook.Delivery) error {
	return tell(ctx, c.p, "EnterDeliveries", deliveries[0].ID.String(), func() error { return c.Store.EnterDeliveries(ctx, deliveries...) })
}

func (c calls) CountAttempts(ctx context.Context, webhookID string, counts boathook.AttemptCounts) error {
	return tell(ctx, c.p, "CountAttempts", webhookID, func() error { return c.Store.CountAttempts(ctx, webhookID, counts) })
}

// FeedEvents gives few events at once, and may take its time, so that a replay takes
// several requests.
func (c calls) FeedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	q.Limit = min(q.Limit, 3)
	if r := c.p.world.chance("time of FeedEvents", q.SourceID+q.Cursor); !c.p.world.isCalm() && r.IntN(3) == 0 {
		if err := c.p.pass(ctx, between(r, 4*time.Second, 11*time.Second)); err != nil {
			return store.FeedPage{}, err
		}
	}
	return do(ctx, c.p, "FeedEvents", q.SourceID+q.Cursor, func() (store.FeedPage, error) { return c.Store.FeedEvents(ctx, q) })
}

func (c calls) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	return tell(ctx, c.p, "PutOutgoing", w.ID, func() error { return c.Store.PutOutgoing(ctx, w) })
}

func (c calls) DeleteOutgoing(ctx context.Context, sourceID, id string) error {
	return tell(ctx, c.p, "DeleteOutgoing", id, func() error { return c.Store.DeleteOutgoing(ctx, sourceID, id) })
}

func (c calls) DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error {
	return tell(ctx, c.p, "DisableOutgoing", id, func() error { return c.Store.DisableOutgoing(ctx, sourceID, id, d) })
}

func (c calls) MarkFailure(ctx context.Context, webhookID string, at time.Time) (boathook.Health, error) {
	return do(ctx, c.p, "MarkFailure", webhookID, func() (boathook.Health, error) { return c.Store.MarkFailure(ctx, webhookID, at) })
}

func (c calls) MarkSlow(ctx context.Context, webhookID string, at time.Time) (first bool, err error) {
	return do(ctx, c.p, "MarkSlow", webhookID, func() (bool, error) { return c.Store.MarkSlow(ctx, webhookID, at) })
}

func (c calls) MoveProbe(ctx context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error) {
	return do(ctx, c.p, "MoveProbe", webhookID, func() (bool, error) { return c.Store.MoveProbe(ctx, webhookID, from, to) })
}

func (c calls) MoveAlert(ctx context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error) {
	return do(ctx, c.p, "MoveAlert", webhookID, func() (bool, error) { return c.Store.MoveAlert(ctx, webhookID, from, to) })
}

func (c calls) MarkDisabling(ctx context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error) {
	return do(ctx, c.p, "MarkDisabling", webhookID, func() (boathook.Disabling, error) { return c.Store.MarkDisabling(ctx, webhookID, d) })
}

func (c calls) ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error {
	return tell(ctx, c.p, "ClearHealth", webhookID, func() error { return c.Store.ClearHealth(ctx, webhookID, parts) })
}

func (c calls) TakeLease(ctx context.Context, name string, places int, now, until time.Time) (l store.Lease, taken bool, err error) {
	l, err = do(ctx, c.p, "TakeLease", name, func() (store.Lease, error) {
		l, held, err := c.Store.TakeLease(ctx, name, places, now, until)
		taken = held
		return l, err
	})
	return l, taken && err == nil, err
}

func (c calls) ReturnLease(ctx context.Context, l store.Lease) error {
	return tell(ctx, c.p, "ReturnLease", l.Name, func() error { return c.Store.ReturnLease(ctx, l) })
}

func (c calls) ReserveSlot(ctx context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error) {
	return do(ctx, c.p, "ReserveSlot", webhookID, func() (time.Time, error) { return c.Store.ReserveSlot(ctx, webhookID, interval, now) })
}

func (c calls) LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error) {
	return do(ctx, c.p, "LookUpTrigger", sourceID+runID, func() (store.TriggerView, error) {
		return c.Store.LookUpTrigger(ctx, sourceID, webhookID, runID)
	})
}

func (c calls) LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (store.AgentView, error) {
	return do(ctx, c.p, "LookUpAgent", agentID, func() (store.AgentView, error) { return c.Store.LookUpAgent(ctx, agentID, runIDs...) })
}

func (c calls) PinRun(ctx context.Context, id, runID string) (pinned string, err error) {
	return do(ctx, c.p, "PinRun", id, func() (string, error) { return c.Store.PinRun(ctx, id, runID) })
}

func (c calls) Admit(ctx context.Context, agentID, runID string, limit store.Limit, known store.Load, now time.Time) (made time.Time, err error) {
	err = tell(ctx, c.p, "Admit", runID, func() (err error) {
		made, err = c.Store.Admit(ctx, agentID, runID, limit, known, now)
		return err
	})
	return made, err
}

func (c calls) Release(ctx context.Context, agentID, runID string, made time.Time) error {
	return tell(ctx, c.p, "Release", runID, func() error { return c.Store.Release(ctx, agentID, runID, made) })
}

func (c calls) PinEvent(ctx context.Context, p store.EventPin) (store.EventPin, error) {
	return do(ctx, c.p, "PinEvent", p.ID, func() (store.EventPin, error) { return c.Store.PinEvent(ctx, p) })
}

func (c calls) MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error {
	return tell(ctx, c.p, "MarkEventPublished", id, func() error { return c.Store.MarkEventPublished(ctx, workspaceID, id, deliveries) })
}

func (c calls) LookUpStart(ctx context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error) {
	run, err = do(ctx, c.p, "LookUpStart", runID, func() (head *boathook.RunHead, err error) {
		head, backlog, err = c.Store.LookUpStart(ctx, sourceID, runID)
		return head, err
	})
	if err != nil {
		backlog = time.Time{}
	}
	return run, backlog, err
}

func (c calls) MoveBacklog(ctx context.Context, sourceID string, from, to time.Time) (moved bool, err error) {
	return do(ctx, c.p, "MoveBacklog", sourceID, func() (bool, error) { return c.Store.MoveBacklog(ctx, sourceID, from, to) })
}

func (c calls) CreateRun(ctx context.Context, r boathook.Run) error {
	return tell(ctx, c.p, "CreateRun", r.ID, func() error { return c.Store.CreateRun(ctx, r) })
}

func (c calls) RemovePending(ctx context.Context, id string) error {
	return tell(ctx, c.p, "RemovePending", id, func() error { return c.Store.RemovePending(ctx, id) })
}

func (c calls) RunHead(ctx context.Context, id string) (boathook.RunHead, error) {
	return do(ctx, c.p, "RunHead", id, func() (boathook.RunHead, error) { return c.Store.RunHead(ctx, id) })
}

func (c calls) Run(ctx context.Context, workspaceID, id string) (boathook.Run, error) {
	return with(ctx, c, "Run", id, c.Store.Run, workspaceID, id)
}

// ClaimRun and RequestCancel give the head beside a conflict.

func (c calls) ClaimRun(ctx context.Context, id string, claim boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	return do(ctx, c.p, "ClaimRun", id, func() (boathook.RunHead, error) { return c.Store.ClaimRun(ctx, id, claim, startedAt) })
}

func (c calls) RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error) {
	return do(ctx, c.p, "RequestCancel", id, func() (boathook.RunHead, error) { return c.Store.RequestCancel(ctx, id, now) })
}

func (c calls) RenewLease(ctx context.Context, id string, claim boathook.Claim) (cancel bool, err error) {
	return do(ctx, c.p, "RenewLease", id, func() (bool, error) { return c.Store.RenewLease(ctx, id, claim) })
}

func (c calls) FinishRun(ctx context.Context, id string, claim boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	return do(ctx, c.p, "FinishRun", id, func() (boathook.RunHead, error) { return c.Store.FinishRun(ctx, id, claim, o) })
}

func (c calls) MarkPublished(ctx context.Context, id string) error {
	return tell(ctx, c.p, "MarkPublished", id, func() error { return c.Store.MarkPublished(ctx, id) })
}

func (c calls) MarkRetried(ctx context.Context, id string, by boathook.Retry) error {
	return tell(ctx, c.p, "MarkRetried", id, func() error { return c.Store.MarkRetried(ctx, id, by) })
}

func (c calls) MoveVersion(ctx context.Context, id string, v boathook.LiveVersion) error {
	return tell(ctx, c.p, "MoveVersion", id, func() error { return c.Store.MoveVersion(ctx, id, v) })
}

func (c calls) MarkWaiting(ctx context.Context, id string, since time.Time) (boathook.RunHead, error) {
	return do(ctx, c.p, "MarkWaiting", id, func() (boathook.RunHead, error) { return c.Store.MarkWaiting(ctx, id, since) })
}

func (c calls) Turns(ctx context.Context, sourceID string, limit int) (store.TurnsView, error) {
	return do(ctx, c.p, "Turns", sourceID, func() (store.TurnsView, error) { return c.Store.Turns(ctx, sourceID, limit) })
}

func (c calls) MoveTurns(ctx context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	return do(ctx, c.p, "MoveTurns", sourceID, func() (bool, error) { return c.Store.MoveTurns(ctx, sourceID, known, taken) })
}

func (c calls) EndTurn(ctx context.Context, sourceID, runID string) error {
	return tell(ctx, c.p, "EndTurn", runID, func() error { return c.Store.EndTurn(ctx, sourceID, runID) })
}

func (c calls) StandInLine(ctx context.Context, sourceID string, w store.Waiting) error {
	return tell(ctx, c.p, "StandInLine", w.RunID, func() error { return c.Store.StandInLine(ctx, sourceID, w) })
}

func (c calls) LeaveLine(ctx context.Context, sourceID string, w store.Waiting) error {
	return tell(ctx, c.p, "LeaveLine", w.RunID, func() error { return c.Store.LeaveLine(ctx, sourceID, w) })
}

func (c calls) LookUpBurst(ctx context.Context, webhookID, key, id string) (b store.Burst, pinned string, err error) {
	b, err = do(ctx, c.p, "LookUpBurst", webhookID, func() (b store.Burst, err error) {
		b, pinned, err = c.Store.LookUpBurst(ctx, webhookID, key, id)
		return b, err
	})
	if err != nil {
		pinned = ""
	}
	return b, pinned, err
}

func (c calls) MoveBurst(ctx context.Context, webhookID, key, fromRunID string, to store.Burst) (moved bool, err error) {
	return do(ctx, c.p, "MoveBurst", to.RunID, func() (bool, error) { return c.Store.MoveBurst(ctx, webhookID, key, fromRunID, to) })
}

func (c calls) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	return do(ctx, c.p, "JoinRun", r.ID, func() (boathook.RunHead, error) { return c.Store.JoinRun(ctx, r, j) })
}

func (c calls) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	return with(ctx, c, "Source", id, c.Store.Source, workspaceID, id)
}

func (c calls) Live(ctx context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error) {
	return do(ctx, c.p, "Live", sourceID, func() (map[boathook.Environment]boathook.LiveVersion, error) { return c.Store.Live(ctx, sourceID) })
}

func (c calls) AppendLog(ctx context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error {
	return tell(ctx, c.p, "AppendLog", run.ID, func() error { return c.Store.AppendLog(ctx, run, first, lines) })
}

func (c calls) LogLines(ctx context.Context, runID string) (int, error) {
	return do(ctx, c.p, "LogLines", runID, func() (int, error) { return c.Store.LogLines(ctx, runID) })
}

func (c calls) CancelDelivery(ctx context.Context, d boathook.Delivery) error {
	return tell(ctx, c.p, "CancelDelivery", d.ID.String(), func() error { return c.Store.CancelDelivery(ctx, d) })
}

func (c calls) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	return do(ctx, c.p, "Delivery", id.String(), func() (boathook.Delivery, error) { return c.Store.Delivery(ctx, workspaceID, id) })
}

func (c calls) PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	return tell(ctx, c.p, "PostponeDelivery", d.ID.String(), func() error { return c.Store.PostponeDelivery(ctx, d, at) })
}

func (c calls) ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	return tell(ctx, c.p, "ReopenDelivery", d.ID.String(), func() error { return c.Store.ReopenDelivery(ctx, d, at) })
}

func (c calls) PutDue(ctx context.Context, d store.Due) error {
	return tell(ctx, c.p, "PutDue", d.ID, func() error { return c.Store.PutDue(ctx, d) })
}

// Due goes wrong only where there is something to be missed: most shards are
// empty.
func (c calls) Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error) {
	if rows, err := c.Store.Due(ctx, shard, after, until, limit); len(rows) == 0 {
		return nil, err
	}
	return do(ctx, c.p, "Due", strconv.Itoa(shard), func() ([]store.Due, error) { return c.Store.Due(ctx, shard, after, until, limit) })
}

func (c calls) DeleteDue(ctx context.Context, d store.Due) error {
	return tell(ctx, c.p, "DeleteDue", d.ID, func() error { return c.Store.DeleteDue(ctx, d) })
}

// line is a queue with its dead-letter queue.
type line struct {
	name string
	*queuemem.Queue
	dead   *queuemem.Queue
	buried []queue.Message // what was in it
	ids    []string        // the runs or deliveries that they are about
	pairs  []eventAt       // of the deliveries
}

func newLine(name string, visibility time.Duration) *line {
	dead := queuemem.New(queuemem.Config{})
	return &line{name: name, Queue: queuemem.New(queuemem.Config{Visibility: visibility, DeadLetter: dead}), dead: dead}
}

// sender is a queue as a process reaches it. A request of several messages may
// be taken in part; a message that is taken may come late, or twice.
type sender struct {
	line *line
	p    *process
}

func (s sender) Send(ctx context.Context, messages ...queue.Message) error {
	name, subject := "Send to "+s.line.name, messages[0].Body
	taken := messages
	var partly *queue.PartialError
	if r := s.p.world.chance("part of "+name, subject); len(messages) > 1 && !s.p.world.isCalm() && r.Float64() < 2*s.p.world.weather.refuse {
		n := r.IntN(len(messages))
		taken, partly = messages[:n], &queue.PartialError{Err: errRefused}
		for i := n; i < len(messages); i++ {
			partly.Failed = append(partly.Failed, i)
		}
	}
	return tell(ctx, s.p, name, subject, func() error {
		if s.p.kind == manageKind && s.line == s.p.world.retries {
			s.p.world.queued(taken)
		}
		if s.line == s.p.world.runs {
			s.p.world.accepted(taken)
		}
		if err := s.line.take(s.p.world, taken); err != nil {
			return err
		}
		if partly != nil {
			return partly
		}
		return nil
	})
}

// take accepts messages as SQS may.
func (l *line) take(w *world, messages []queue.Message) error {
	var sent []queue.Message
	for _, m := range messages {
		r := w.chance("delivery by "+l.name, m.Body)
		late, twice := r.Float64() < w.weather.delay, r.Float64() < w.weather.duplicate
		if late && !w.isCalm() {
			m.Delay = min(m.Delay+between(r, 0, 2*time.Minute), queue.MaxDelay)
		}
		sent = append(sent, m)
		if twice && !w.isCalm() {
			w.count("duplicate message")
			m.Delay = min(m.Delay+either(r, between(r, 0, time.Second), between(r, 0, 10*time.Minute)), queue.MaxDelay)
			sent = append(sent, m)
		}
	}
	return l.Queue.Send(context.Background(), sent...) // at once: who receives must not see a part
}

// bury takes what is in the dead-letter queue out of it.
func (l *line) bury() {
	ctx := context.Background()
	l.Stats() // brings up what has died since the last look
	for l.dead.Stats().Ready > 0 {
		batch, err := l.dead.Receive(ctx, queue.MaxBatch, 0)
		must(err)
		for _, m := range batch {
			must(l.dead.Delete(ctx, m.Receipt))
			l.buried = append(l.buried, queue.Message{Body: m.Body, Group: m.Group})
			if r, err := queue.DecodeRun(m.Body); err == nil {
				l.ids = append(l.ids, r.ID)
			} else if d, err := queue.DecodeDelivery(m.Body); err == nil {
				l.ids = append(l.ids, d.ID.String())
				l.pairs = append(l.pairs, eventAt{d.EventID, d.WebhookID})
			}
		}
	}
}
