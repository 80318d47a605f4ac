package storetest

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// testExpiry lets records reach their end. A store may delete them late, and
// with a resolution of seconds: what counts is that nothing sees them. Each subtest
// stands for itself; together they count as one function.
func (s *suite) testExpiry(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	token := boathook.Token{
		ID: boathook.NewID(boathook.TokenID), WorkspaceID: source.WorkspaceID, Role: boathook.Viewer,
		Hash: boathook.HashToken("bh_expiry"), CreatedAt: s.clock.Now(),
	}
	in := s.newIncoming(source)
	must(t, s.PutSource(t.Context(), source))
	source.Revision = 1
	must(t, s.PutToken(t.Context(), token))
	must(t, s.PutIncoming(t.Context(), in))
	in.Revision++
	version := read(s.AddVersion(t.Context(), s.newVersion(source)))(t)

	pending, over := s.pending(t), s.over(t)
	running, claim := s.running(t)
	removed := s.pending(t)
	must(t, s.RemovePending(t.Context(), removed.ID))
	line := boathook.LogLine{Time: s.clock.Now(), Stream: "stdout", Text: "before"}
	must(t, s.AppendLog(t.Context(), over.RunHead, 0, []boathook.LogLine{line, line}))
	ofAgent := s.newRun().RunHead
	ofAgent.SourceID = boathook.NewID(boathook.AgentID)
	must(t, s.AppendLog(t.Context(), ofAgent, 0, []boathook.LogLine{line}))
	wantAgentLog := func(lines int) {
		t.Helper()
		log := read(s.AgentLog(t.Context(), store.AgentLogQuery{AgentID: ofAgent.SourceID, Limit: 10, MaxBytes: boathook.MaxRunLog}))(t)
		wantSame(t, "lines in the agent's log", len(log), lines)
	}

	must(t, s.PutRequest(t.Context(), 0, s.newRequest(in, boathook.RequestRejected)))
	must(t, s.PutRequest(t.Context(), 1, s.newRequest(in, boathook.RequestRejected)))

	webhookID := boathook.NewID(boathook.OutgoingID)
	newDelivery := func() boathook.Delivery {
		d := s.newDelivery(webhookID, s.clock.Now())
		d.WorkspaceID = source.WorkspaceID
		return d
	}
	webhook := newDelivery()
	retried := s.record(t, s.record(t, newDelivery(), 1, boathook.DeliveryRetrying), 2, boathook.DeliveryFailed)
	retrying := s.record(t, newDelivery(), 1, boathook.DeliveryRetrying)
	canceled := newDelivery()
	must(t, s.CancelDelivery(t.Context(), canceled))
	canceled = s.after(canceled, 0, boathook.DeliveryCanceled)

	pin := s.newPin()
	read(s.PinEvent(t.Context(), pin))(t)
	must(t, s.MarkEventPublished(t.Context(), pin.WorkspaceID, pin.ID, []int{3}))

	pinnedID := boathook.NewID(boathook.RunID)
	read(s.PinRun(t.Context(), pinnedID, over.ID))(t)

	count := func(status boathook.DeliveryStatus) int {
		t.Helper()
		return len(s.deliveriesOf(webhook, status, "").all(t, boathook.Page{Limit: 10}))
	}

	s.clock.Advance(retention - time.Minute)
	t.Run("records are there for the retention", func(t *testing.T) {
		for _, r := range []boathook.Run{pending, running, over} {
			s.wantRun(t, r)
			wantSame(t, "the source's", s.runsOf(r).all(t, boathook.Page{Limit: 10}), []boathook.Run{r})
		}
		wantAgentLog(1)
		if !read(s.AnyActive(t.Context(), running.SourceID))(t) {
			t.Error("the source of a running run is not active")
		}
		_, lines, err := s.Log(t.Context(), over.ID, 0, boathook.MaxRunLog)
		must(t, err)
		wantSame(t, "log", lines, []boathook.LogLine{line, line})
		wantSame(t, "the pinned run", read(s.PinRun(t.Context(), pinnedID, running.ID))(t), over.ID)
		wantSame(t, "a retried delivery", read(s.Delivery(t.Context(), retried.WorkspaceID, retried.ID))(t), retried)
		wantSame(t, "a canceled delivery", read(s.Delivery(t.Context(), canceled.WorkspaceID, canceled.ID))(t), canceled)
		if all, failed := count(""), count(boathook.DeliveryFailed); all != 3 || failed != 1 {
			t.Errorf("the webhook has %d deliveries, %d failed; want 3, 1", all, failed)
		}
	})

	later := s.newRequest(in, boathook.RequestRejected)
	must(t, s.PutRequest(t.Context(), 1, later))
	removed.CreatedAt = s.clock.Now()
	must(t, s.CreateRun(t.Context(), removed))
	s.clock.Advance(2 * time.Minute)
	t.Run("a run in place of one that was removed has a retention of its own", func(t *testing.T) {
		s.wantRun(t, removed)
	})
	t.Run("a request that took another's slot has a retention of its own", func(t *testing.T) {
		wantSame(t, "the webhook's", s.requestsOf(in, "").all(t, boathook.Page{Limit: 10}), []boathook.Request{later})
	})
	t.Run("what users set up stays", func(t *testing.T) {
		wantSame(t, "source", read(s.Source(t.Context(), source.WorkspaceID, source.ID))(t), source)
		wantSame(t, "token", read(s.TokenByHash(t.Context(), token.Hash))(t), token)
		wantSame(t, "version", read(s.Version(t.Context(), source.ID, version.ID))(t), version)
		wantSame(t, "trigger, of an expired run", read(s.LookUpTrigger(t.Context(), source.ID, in.ID, pending.ID))(t), store.TriggerView{
			Webhook: &in, Live: map[boathook.Environment]boathook.LiveVersion{boathook.Production: {ID: version.ID, Number: 1}},
		})
	})
	t.Run("runs and their logs are not seen", func(t *testing.T) {
		for _, r := range []boathook.Run{pending, running, over} {
			s.wantNoRun(t, r)
			_, lines, err := s.Log(t.Context(), r.ID, 0, boathook.MaxRunLog)
			must(t, err)
			wantSame(t, "log", lines, []boathook.LogLine(nil))
		}
		wantAgentLog(0)
	})
	t.Run("no step finds a run", func(t *testing.T) {
		_, err := s.ClaimRun(t.Context(), pending.ID, claim, s.clock.Now())
		wantKind(t, "ClaimRun", err, boathook.NotFound)
		_, err = s.RenewLease(t.Context(), running.ID, claim)
		wantKind(t, "RenewLease", err, boathook.NotFound)
		_, err = s.FinishRun(t.Context(), running.ID, claim, s.succeeded())
		wantKind(t, "FinishRun", err, boathook.NotFound)
		wantKind(t, "MarkPublished", s.MarkPublished(t.Context(), over.ID), boathook.NotFound)
		for _, r := range []boathook.Run{pending, running, over} {
			_, err = s.RequestCancel(t.Context(), r.ID, s.clock.Now())
			wantKind(t, "RequestCancel", err, boathook.NotFound)
		}
		must(t, s.RemovePending(t.Context(), pending.ID))
		for _, r := range []boathook.Run{pending, running, over} {
			s.wantNoRun(t, r)
		}
	})
	t.Run("deliveries are not seen", func(t *testing.T) {
		for _, d := range []boathook.Delivery{retried, retrying, canceled} {
			s.wantNoDelivery(t, d.WorkspaceID, d.ID)
		}
		for _, status := range []boathook.DeliveryStatus{
			"", boathook.DeliveryFailed, boathook.DeliveryRetrying, boathook.DeliveryCanceled,
		} {
			if n := count(status); n != 0 {
				t.Errorf("the webhook has %d deliveries of status %q", n, status)
			}
		}
	})
	t.Run("an event's id is free", func(t *testing.T) {
		again := pin
		again.Hash[0]++
		again.Time = s.clock.Now()
		wantKind(t, "MarkEventPublished", s.MarkEventPublished(t.Context(), pin.WorkspaceID, pin.ID, []int{3}), boathook.NotFound)
		wantSame(t, "the pin", read(s.PinEvent(t.Context(), again))(t), again)
	})
	t.Run("an id that stood for a run is free", func(t *testing.T) {
		if view := read(s.LookUpAgent(t.Context(), boathook.NewID(boathook.AgentID), pinnedID))(t); len(view.Pinned) > 0 {
			t.Errorf("it still stands for %v", view.Pinned)
		}
		wantSame(t, "the pinned run", read(s.PinRun(t.Context(), pinnedID, running.ID))(t), running.ID)
	})
	t.Run("a run's id is free, and the new run has nothing of the old", func(t *testing.T) {
		for _, r := range []boathook.Run{pending, running, over} {
			again := s.newRun()
			again.ID, again.WorkspaceID, again.SourceID = r.ID, r.WorkspaceID, r.SourceID
			again = withInput(again, `{"second":true}`)
			must(t, s.CreateRun(t.Context(), again))
			s.wantRun(t, again)
			wantSame(t, "the source's", s.runsOf(again).all(t, boathook.Page{Limit: 10}), []boathook.Run{again})

			after := boathook.LogLine{Time: s.clock.Now(), Stream: "stderr", Text: "after"}
			must(t, s.AppendLog(t.Context(), r.RunHead, 0, []boathook.LogLine{after}))
			_, lines, err := s.Log(t.Context(), r.ID, 0, boathook.MaxRunLog)
			must(t, err)
			wantSame(t, "log", lines, []boathook.LogLine{after})

			claim, outcome := s.newClaim(), s.succeeded()
			outcome.Output = json.RawMessage(`{"second":true}`)
			read(s.ClaimRun(t.Context(), again.ID, claim, s.clock.Now()))(t)
			again.RunHead, again.Output = read(s.FinishRun(t.Context(), again.ID, claim, outcome))(t), outcome.Output
			s.wantRun(t, again)
		}
	})
	t.Run("a delivery's attempts count anew", func(t *testing.T) {
		s.wantDelivery(t, s.record(t, retried, 1, boathook.DeliverySucceeded), s.newAttempt(1, http.StatusOK))
		again := s.record(t, retried, 2, boathook.DeliverySucceeded)
		s.wantDelivery(t, again, s.newAttempt(1, http.StatusOK), s.newAttempt(2, http.StatusOK))
		s.wantDelivery(t, s.record(t, canceled, 2, boathook.DeliverySucceeded), s.newAttempt(2, http.StatusOK))

		must(t, s.CancelDelivery(t.Context(), retrying))
		if got := read(s.Delivery(t.Context(), retrying.WorkspaceID, retrying.ID))(t); got.Status != boathook.DeliveryCanceled {
			t.Errorf("a delivery that is canceled anew is %s", got.Status)
		}
		if all, failed := count(""), count(boathook.DeliveryFailed); all != 3 || failed != 0 {
			t.Errorf("the webhook has %d deliveries, %d failed; want 3, 0", all, failed)
		}
	})
}

// testUnfinished has deliveries whose next attempt is far away, and the health of a
// webhook, be there when the retention of their first writes is over.
func (s *suite) testUnfinished(t *testing.T) {
	webhookID := boathook.NewID(boathook.OutgoingID)
	small, large := s.newDelivery(webhookID, s.clock.Now()), s.newDelivery(webhookID, s.clock.Now().Add(time.Millisecond))
	large.Body = boathook.NewBody(printable(512 << 10))
	read(s.MarkFailure(t.Context(), webhookID, s.clock.Now()))(t)
	deliveries := []boathook.Delivery{small, large}
	first := make([]boathook.Attempt, len(deliveries))
	const day = 24 * time.Hour

	t.Run("a delivery that is retried for longer than the retention is not lost", func(t *testing.T) {
		for i, d := range deliveries {
			first[i] = s.newAttempt(1, http.StatusServiceUnavailable)
			deliveries[i] = s.retried(t, d, 1, 2*day)
		}
		for n := 2; n <= 12; n++ {
			s.clock.Advance(2 * day)
			for i := range deliveries {
				d := s.delivery(t, deliveries[i])
				wantSame(t, "delivery", d, deliveries[i])
				deliveries[i] = s.retried(t, d, n, 2*day)
			}
		}
		for i, d := range deliveries {
			_, attempts, err := s.Attempts(t.Context(), d.WorkspaceID, d.ID)
			must(t, err)
			if len(attempts) == 0 || attempts[0].Number != 1 || attempts[len(attempts)-1].Number != 12 {
				t.Errorf("%d attempts of 12 are left", len(attempts))
			} else {
				wantSame(t, "the first attempt", attempts[0], first[i])
			}
		}
	})
	t.Run("a health lives on with its changes", func(t *testing.T) {
		if all := read(s.Health(t.Context(), webhookID))(t); len(all) != 0 {
			t.Errorf("what was not changed for 22 days is %+v", all)
		}
		at := s.clock.Now()
		read(s.MarkFailure(t.Context(), webhookID, at))(t) // one that has expired is none
		s.clock.Advance(10 * day)
		if !read(s.MarkSlow(t.Context(), webhookID, at))(t) {
			t.Error("it was slow before")
		}
		s.clock.Advance(10 * day)
		wantSame(t, "health", read(s.Health(t.Context(), webhookID))(t)[webhookID], boathook.Health{
			FailingSince: at, Failures: 1, FailingHours: []int64{boathook.Hour(at)}, SlowSince: at,
		})
		s.clock.Advance(6 * day)
		if !read(s.MoveProbe(t.Context(), webhookID, boathook.Probe{}, boathook.Probe{At: at, Wait: time.Minute}))(t) {
			t.Error("it has a probe, of a health that has expired")
		}
		wantSame(t, "health", read(s.Health(t.Context(), webhookID))(t)[webhookID], boathook.Health{Probe: boathook.Probe{At: at, Wait: time.Minute}})
	})
	t.Run("one that waits is there when its time comes", func(t *testing.T) {
		for _, d := range []boathook.Delivery{s.newDelivery(webhookID, s.clock.Now()), s.newDelivery(webhookID, s.clock.Now().Add(time.Millisecond))} {
			d.Body = deliveries[1].Body
			at := s.clock.Now().Add(20 * day)
			must(t, s.PostponeDelivery(t.Context(), d, at))
			d.Status, d.NextAttemptAt = boathook.DeliveryRetrying, at
			s.clock.Advance(20 * day)
			wantSame(t, "delivery", s.delivery(t, d), d)

			d = s.record(t, d, 1, boathook.DeliveryFailed)
			s.clock.Advance(4 * day)
			must(t, s.ReopenDelivery(t.Context(), d, s.clock.Now()))
			s.clock.Advance(14*day - time.Minute)
			d.Status, d.NextAttemptAt, d.Resend = boathook.DeliveryRetrying, s.clock.Now().Add(time.Minute-14*day), 2
			wantSame(t, "delivery that was reopened", s.delivery(t, d), d)
		}
	})
}

// retried records a delivery's nth attempt, which failed, and gives the delivery as
// it is then: the next attempt is a while away.
func (s *suite) retried(t *testing.T, d boathook.Delivery, n int, wait time.Duration) boathook.Delivery {
	t.Helper()
	d.Status, d.Attempts, d.NextAttemptAt = boathook.DeliveryRetrying, n, s.clock.Now().Add(wait)
	a := s.newAttempt(n, http.StatusServiceUnavailable)
	must(t, s.RecordAttempt(t.Context(), d, a))
	d.Last = a.Summary()
	return d
}
