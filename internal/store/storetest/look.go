package storetest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// enter enters a delivery and records its first attempt.
func (s *suite) enter(t *testing.T, d boathook.Delivery, status boathook.DeliveryStatus) boathook.Delivery {
	t.Helper()
	must(t, s.EnterDeliveries(t.Context(), d))
	return withoutBody(s.record(t, d, 1, status))
}

// workspaceDeliveries is the list of a workspace's deliveries that a query selects. It
// adds failed ones of type run.failed, each of another webhook.
func (s *suite) workspaceDeliveries(q store.DeliveryQuery) list[boathook.Delivery] {
	return list[boathook.Delivery]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Delivery, string, error) {
			q.Page = p
			return s.WorkspaceDeliveries(ctx, q)
		},
		add: func(t *testing.T, at time.Time) string {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), at)
			d.WorkspaceID, d.EventType = q.WorkspaceID, boathook.EventRunFailed
			if q.SourceID != "" {
				d.SourceID = q.SourceID
			}
			return s.enter(t, d, boathook.DeliveryFailed).ID.String()
		},
		id:   func(d boathook.Delivery) string { return d.ID.String() },
		time: func(d boathook.Delivery) time.Time { return d.ID.Time() },
	}
}

// newestFirst sorts deliveries as lists have them.
func newestFirst(deliveries []boathook.Delivery) []boathook.Delivery {
	slices.SortFunc(deliveries, func(a, b boathook.Delivery) int { return strings.Compare(b.ID.String(), a.ID.String()) })
	return deliveries
}

// testWorkspaceDeliveries is a list of subtests; together they count as one function.
func (s *suite) testWorkspaceDeliveries(t *testing.T) {
	in := func(q store.DeliveryQuery) store.DeliveryQuery {
		q.WorkspaceID = boathook.NewID(boathook.WorkspaceID)
		return q
	}
	failed := []boathook.DeliveryStatus{boathook.DeliveryFailed}
	for name, q := range map[string]store.DeliveryQuery{
		"all":           {},
		"failed ones":   {Statuses: failed},
		"of a source":   {SourceID: boathook.NewID(boathook.DeploymentID)},
		"of a type":     {EventType: boathook.EventRunFailed},
		"of a response": {Response: boathook.StatusRange{Least: 500, Most: 599}},
	} {
		t.Run(name+" are listed newest first, in pages", func(t *testing.T) {
			s.workspaceDeliveries(in(q)).test(t, s.clock.Now())
		})
	}

	t.Run("they can be selected by all that a query has", func(t *testing.T) {
		workspaceID, start := boathook.NewID(boathook.WorkspaceID), s.clock.Now()
		sources := []string{boathook.NewID(boathook.DeploymentID), boathook.NewID(boathook.DeploymentID)}
		types := []boathook.EventType{boathook.EventRunSucceeded, boathook.EventRunFailed}
		statuses := []boathook.DeliveryStatus{boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled}
		var all []boathook.Delivery
		for i := range 16 {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), start.Add(time.Duration(i/3)*time.Millisecond))
			d.WorkspaceID, d.SourceID, d.EventType = workspaceID, sources[i/8], types[i%2]
			must(t, s.EnterDeliveries(t.Context(), d))
			switch status := statuses[i/2%4]; status {
			case boathook.DeliveryCanceled:
				d.Reason = "the webhook is disabled"
				must(t, s.CancelDelivery(t.Context(), d))
				d = s.after(d, 0, status)
			default:
				d = s.record(t, d, 1, status)
			}
			all = append(all, withoutBody(d))
		}
		newestFirst(all)
		responses := []boathook.StatusRange{{}, {Least: 200, Most: 299}, {Least: 503, Most: 503}, {Least: 100, Most: 599}, {Least: 404, Most: 404}, {Least: -1}}
		for _, source := range append(sources, "") {
			for _, eventType := range append(types, "") {
				for _, status := range append(statuses, "") {
					for _, response := range responses {
						q := store.DeliveryQuery{WorkspaceID: workspaceID, SourceID: source, EventType: eventType, Statuses: only(status), Response: response}
						want := slices.DeleteFunc(slices.Clone(all), func(d boathook.Delivery) bool { return !q.Wants(&d) })
						wantSame(t, fmt.Sprintf("%+v", q), s.workspaceDeliveries(q).all(t, boathook.Page{Limit: 200}), want)
					}
				}
			}
		}
		for _, q := range []store.DeliveryQuery{{}, {Statuses: statuses[1:]}, {Statuses: statuses[:2]}, {EventType: types[0]}} {
			q.WorkspaceID = workspaceID
			for since := -1; since <= 6; since++ {
				if q.Since = (time.Time{}); since >= 0 {
					q.Since = start.Add(time.Duration(since) * time.Millisecond)
				}
				for until := -1; until <= 6; until += 2 {
					if q.Until = (time.Time{}); until >= 0 {
						q.Until = start.Add(time.Duration(until) * time.Millisecond)
					}
					want := slices.DeleteFunc(slices.Clone(all), func(d boathook.Delivery) bool {
						at := d.ID.Time()
						return !q.Wants(&d) || at.Before(q.Since) || !q.Until.IsZero() && !at.Before(q.Until)
					})
					wantSame(t, fmt.Sprintf("%+v", q), s.workspaceDeliveries(q).all(t, boathook.Page{Limit: 5}), want)
				}
			}
		}
	})

	t.Run("those that were entered together are listed once, in pages of any size", func(t *testing.T) {
		q := in(store.DeliveryQuery{})
		var entered, want []boathook.Delivery
		for i := range 250 {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now().Add(time.Duration(i/245)*time.Millisecond))
			d.WorkspaceID = q.WorkspaceID
			entered = append(entered, d)
			if i%8 == 0 {
				want = append(want, withoutBody(s.record(t, d, 1, boathook.DeliverySucceeded)))
			}
		}
		must(t, s.EnterDeliveries(t.Context(), entered...))
		must(t, s.EnterDeliveries(t.Context(), entered[20:200]...)) // again
		for _, limit := range []int{1, 7, 200} {
			wantSame(t, fmt.Sprintf("pages of %d", limit), s.workspaceDeliveries(q).all(t, boathook.Page{Limit: limit}), newestFirst(want))
		}
	})

	t.Run("what was entered and never attempted is not listed", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		must(t, s.EnterDeliveries(t.Context(), d))
		for _, q := range []store.DeliveryQuery{{}, {Statuses: failed}} {
			q.WorkspaceID = d.WorkspaceID
			wantSame(t, "deliveries", s.workspaceDeliveries(q).all(t, boathook.Page{Limit: 10}), []boathook.Delivery(nil))
		}
	})

	t.Run("one is among those of its status, whatever happens to it", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		must(t, s.EnterDeliveries(t.Context(), d))
		steps := []func(n int) boathook.DeliveryStatus{
			func(n int) boathook.DeliveryStatus {
				must(t, s.PostponeDelivery(t.Context(), d, s.clock.Now().Add(time.Minute)))
				return boathook.DeliveryRetrying
			},
			func(n int) boathook.DeliveryStatus {
				d = s.record(t, d, 1, boathook.DeliveryRetrying)
				return d.Status
			},
			func(n int) boathook.DeliveryStatus {
				d = s.record(t, d, 2, boathook.DeliveryFailed)
				return d.Status
			},
			func(n int) boathook.DeliveryStatus {
				must(t, s.ReopenDelivery(t.Context(), d, s.clock.Now().Add(time.Minute)))
				return boathook.DeliveryRetrying
			},
			func(n int) boathook.DeliveryStatus {
				must(t, s.CancelDelivery(t.Context(), d))
				return boathook.DeliveryCanceled
			},
			func(n int) boathook.DeliveryStatus {
				d = s.record(t, d, 3, boathook.DeliverySucceeded)
				return d.Status
			},
		}
		for i, happens := range steps {
			status := happens(i)
			for _, asked := range []boathook.DeliveryStatus{"", boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled} {
				var want []string
				if asked == "" || asked == status {
					want = []string{d.ID.String()}
				}
				l := s.workspaceDeliveries(store.DeliveryQuery{WorkspaceID: d.WorkspaceID, Statuses: only(asked)})
				wantSame(t, fmt.Sprintf("those of status %q after step %d", asked, i), l.ids(l.all(t, boathook.Page{Limit: 10})), want)
			}
		}
	})

	t.Run("a webhook's are selected by source and response too", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		listed := withoutBody(s.record(t, d, 1, boathook.DeliveryFailed))
		for _, c := range []struct {
			q    store.DeliveryQuery
			want []boathook.Delivery
		}{
			{store.DeliveryQuery{SourceID: d.SourceID}, []boathook.Delivery{listed}},
			{store.DeliveryQuery{SourceID: boathook.NewID(boathook.DeploymentID)}, nil},
			{store.DeliveryQuery{Response: boathook.StatusRange{Least: http.StatusServiceUnavailable, Most: http.StatusServiceUnavailable}}, []boathook.Delivery{listed}},
			{store.DeliveryQuery{Response: boathook.StatusRange{Least: 200, Most: 299}}, nil},
			{store.DeliveryQuery{Response: boathook.StatusRange{Least: 500, Most: 599}, Statuses: []boathook.DeliveryStatus{boathook.DeliverySucceeded}}, nil},
		} {
			c.q.WorkspaceID, c.q.WebhookID, c.q.Page = d.WorkspaceID, d.WebhookID, boathook.Page{Limit: 10}
			got, _, err := s.Deliveries(t.Context(), c.q)
			must(t, err)
			wantSame(t, fmt.Sprintf("%+v", c.q), got, c.want)
		}
	})

	t.Run("those of another workspace are not listed, and its cursor gives nothing", func(t *testing.T) {
		for _, q := range []store.DeliveryQuery{{}, {Statuses: failed}} {
			one, other := s.workspaceDeliveries(in(q)), s.workspaceDeliveries(in(q))
			one.add(t, s.clock.Now())
			one.add(t, s.clock.Now())
			_, cursor, err := one.page(t.Context(), boathook.Page{Limit: 1})
			must(t, err)
			other.testForeign(t, cursor)
		}
	})

	t.Run("they expire", func(t *testing.T) {
		q := in(store.DeliveryQuery{})
		s.workspaceDeliveries(q).add(t, s.clock.Now())
		s.clock.Advance(retention + time.Minute)
		for _, statuses := range [][]boathook.DeliveryStatus{nil, failed} {
			q.Statuses = statuses
			wantSame(t, "deliveries", s.workspaceDeliveries(q).all(t, boathook.Page{Limit: 10}), []boathook.Delivery(nil))
		}
	})
}

func (s *suite) testRunsOfDelivery(t *testing.T) {
	sent := func(r boathook.Run, id string) boathook.Run {
		r.Details = boathook.TriggerDetails{Event: "push", DeliveryID: id}
		return r
	}
	const id = "72d3162e-cc78-11e3-81ab-4c9367dc0958 #1 é"
	first, other := sent(s.newRun(), id), sent(s.newRun(), "another")
	again, ofAgent, elsewhere, silent := sent(s.newRun(), id), sent(s.newRun(), id), sent(s.newRun(), id), s.newRun()
	for _, r := range []*boathook.Run{&other, &again, &ofAgent, &silent} {
		r.WorkspaceID = first.WorkspaceID
	}
	again.CreatedAt, ofAgent.CreatedAt = first.CreatedAt.Add(time.Second), first.CreatedAt.Add(-time.Second)
	ofAgent.SourceID = boathook.NewID(boathook.AgentID)
	for _, r := range []boathook.Run{first, other, again, ofAgent, elsewhere, silent} {
		must(t, s.CreateRun(t.Context(), r))
	}
	claimed := read(s.ClaimRun(t.Context(), first.ID, s.newClaim(), s.clock.Now()))(t)
	first.RunHead = claimed
	runs := func(q store.RunQuery) []string {
		l := s.runsWhere(q)
		heads := list[boathook.RunHead]{
			page: func(ctx context.Context, p boathook.Page) ([]boathook.RunHead, string, error) {
				q.Page = p
				return s.RunHeads(ctx, q)
			},
			id: func(h boathook.RunHead) string { return h.ID },
		}
		found := l.ids(l.all(t, boathook.Page{Limit: 2}))
		wantSame(t, "the heads", heads.ids(heads.all(t, boathook.Page{Limit: 2})), found)
		return found
	}
	q := store.RunQuery{WorkspaceID: first.WorkspaceID, DeliveryID: id}
	t.Run("they are found whatever their sources are, newest first", func(t *testing.T) {
		wantSame(t, "runs", runs(q), []string{again.ID, first.ID, ofAgent.ID})
	})
	t.Run("with their inputs and outputs", func(t *testing.T) {
		claim := s.newClaim()
		ended := sent(withInput(s.newRun(), `"`+strings.Repeat("x", 400<<10)+`"`), "long")
		must(t, s.CreateRun(t.Context(), ended))
		read(s.ClaimRun(t.Context(), ended.ID, claim, s.clock.Now()))(t)
		outcome := s.succeeded()
		ended.RunHead, ended.Output = read(s.FinishRun(t.Context(), ended.ID, claim, outcome))(t), outcome.Output
		found := s.runsWhere(store.RunQuery{WorkspaceID: ended.WorkspaceID, DeliveryID: "long"}).all(t, boathook.Page{Limit: 10})
		wantSame(t, "runs", found, []boathook.Run{ended})
	})
	t.Run("the rest of a query selects among them", func(t *testing.T) {
		for want, change := range map[string]func(*store.RunQuery){
			ofAgent.ID: func(q *store.RunQuery) { q.SourceID = ofAgent.SourceID },
			first.ID:   func(q *store.RunQuery) { q.Statuses = []boathook.RunStatus{boathook.RunRunning} },
			"":         func(q *store.RunQuery) { q.Environment = boathook.Staging },
		} {
			q := q
			change(&q)
			wantSame(t, fmt.Sprintf("runs of %+v", q), strings.Join(runs(q), " "), want)
		}
	})
	t.Run("an id that nobody has sent finds none", func(t *testing.T) {
		for _, unknown := range []string{"nobody", "72d3162e", strings.Repeat("x", 500)} {
			wantSame(t, "runs", len(runs(store.RunQuery{WorkspaceID: first.WorkspaceID, DeliveryID: unknown})), 0)
		}
	})
	t.Run("they are removed and expire", func(t *testing.T) {
		must(t, s.RemovePending(t.Context(), again.ID))
		wantSame(t, "runs", runs(q), []string{first.ID, ofAgent.ID})
		s.clock.Advance(retention + time.Minute)
		wantSame(t, "runs", len(runs(q)), 0)
	})
}

func (s *suite) testStatistics(t *testing.T) {
	webhookID, other := boathook.NewID(boathook.OutgoingID), boathook.NewID(boathook.OutgoingID)
	start := boathook.StatisticsHour(s.clock.Now())
	counted := make(map[time.Time]boathook.AttemptCounts)
	count := func(hour int, status boathook.DeliveryStatus, durations ...time.Duration) {
		at := start.Add(time.Duration(hour) * time.Hour)
		c := boathook.AttemptCounts{From: at.Add(17 * time.Minute)}
		for _, d := range durations {
			c.Count(status, d)
		}
		must(t, s.CountAttempts(t.Context(), webhookID, c))
		sum := counted[at]
		sum.From = at
		sum.Add(c)
		counted[at] = sum
	}
	count(0, boathook.DeliverySucceeded, 12*time.Millisecond, 13*time.Millisecond, 2*time.Second)
	count(0, boathook.DeliveryRetrying, 30*time.Second)
	count(0, boathook.DeliverySucceeded, 12*time.Millisecond)
	count(-3, boathook.DeliveryFailed, time.Hour)
	count(1, boathook.DeliverySucceeded, 0)
	must(t, s.CountAttempts(t.Context(), other, boathook.AttemptCounts{From: start, Failed: 5}))

	hours := slices.SortedFunc(maps.Values(counted), func(a, b boathook.AttemptCounts) int { return a.From.Compare(b.From) })
	ask := func(since, until time.Time) []boathook.AttemptCounts {
		return read(s.AttemptCounts(t.Context(), webhookID, since, until))(t)
	}
	t.Run("what is counted of an hour adds up", func(t *testing.T) {
		wantSame(t, "hours", ask(start.Add(-day), start.Add(day)), hours)
	})
	t.Run("they are selected by their beginnings", func(t *testing.T) {
		for since := -4; since <= 2; since++ {
			for until := -4; until <= 3; until++ {
				from, to := start.Add(time.Duration(since)*time.Hour), start.Add(time.Duration(until)*time.Hour)
				want := slices.DeleteFunc(slices.Clone(hours), func(c boathook.AttemptCounts) bool { return c.From.Before(from) || !c.From.Before(to) })
				wantSame(t, fmt.Sprintf("hours from %d to %d", since, until), ask(from, to), want)
			}
		}
	})
	t.Run("an hour expires with the retention after its last change", func(t *testing.T) {
		s.clock.Advance(retention - time.Minute)
		count(0, boathook.DeliveryFailed, time.Second)
		s.clock.Advance(2 * time.Minute)
		wantSame(t, "hours", ask(start.Add(-day), start.Add(day)), []boathook.AttemptCounts{counted[start]})
	})
}
