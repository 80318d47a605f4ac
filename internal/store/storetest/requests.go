package storetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) newRequest(w boathook.IncomingWebhook, outcome boathook.RequestOutcome) boathook.Request {
	return boathook.Request{
		ID: boathook.NewID(boathook.RequestID), WorkspaceID: w.WorkspaceID, WebhookID: w.ID, At: s.clock.Now(),
		Outcome: outcome, Status: http.StatusUnauthorized, Reason: "X-Hub-Signature-256 is missing",
		Sender: &boathook.Sender{
			IP: "2001:db8::7", UserAgent: "GitHub-Hookshot/044aadd", ContentType: "application/json",
			Headers: []string{"Content-Type", "X-Github-Event"}, BodySize: 4711, BodySHA256: strings.Repeat("0f", 32),
		},
	}
}

func (s *suite) requestsOf(w boathook.IncomingWebhook, outcome boathook.RequestOutcome) list[boathook.Request] {
	added := 0
	return list[boathook.Request]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Request, string, error) {
			return s.Requests(ctx, store.RequestQuery{
				WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, WebhookID: w.ID, Outcome: outcome, Page: p,
			})
		},
		// add puts requests of every kind in turn.
		add: func(t *testing.T, at time.Time) string {
			added++
			if added%3 == 0 && outcome == "" {
				r := s.newRun()
				r.WorkspaceID, r.SourceID, r.WebhookID, r.CreatedAt = w.WorkspaceID, w.SourceID, w.ID, at
				must(t, s.CreateRun(t.Context(), r))
				return r.ID
			}
			r := s.newRequest(w, boathook.RequestRejected)
			if added%3 == 1 && outcome == "" {
				r.Outcome = boathook.RequestIgnored
			}
			r.At = at
			must(t, s.PutRequest(t.Context(), added, r))
			return r.ID
		},
		id:   func(r boathook.Request) string { return r.ID },
		time: func(r boathook.Request) time.Time { return r.At },
	}
}

func (s *suite) testRequests(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	t.Run("an agent's are its runs and what started none", func(t *testing.T) {
		agent := s.newAgent()
		run := s.newRun()
		run.WorkspaceID, run.SourceID, run.WebhookID, run.CreatedAt = agent.WorkspaceID, agent.ID, "", s.clock.Now()
		must(t, s.CreateRun(t.Context(), run))
		refused := s.newRequest(boathook.IncomingWebhook{ID: agent.ID, WorkspaceID: agent.WorkspaceID}, boathook.RequestRejected)
		refused.At = s.clock.Now().Add(-time.Second)
		must(t, s.PutRequest(t.Context(), 0, refused))
		q := store.RequestQuery{WorkspaceID: agent.WorkspaceID, SourceID: agent.ID, WebhookID: agent.ID, Page: boathook.Page{Limit: 200}}
		accepted := boathook.Request{
			ID: run.ID, WorkspaceID: agent.WorkspaceID, WebhookID: agent.ID, At: run.CreatedAt,
			Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: run.ID,
		}
		wantSame(t, "requests", pageOf(s.Requests(t.Context(), q))(t), []boathook.Request{accepted, refused})
		q.WebhookID = boathook.NewID(boathook.IncomingID)
		if found := pageOf(s.Requests(t.Context(), q))(t); len(found) > 0 {
			t.Errorf("a webhook has the agent's requests: %+v", found)
		}
	})
	whole := boathook.Page{Limit: 200}

	t.Run("one reads back as it was put, in the slot's place", func(t *testing.T) {
		w := s.newIncoming(source)
		first, bare, repeated := s.newRequest(w, boathook.RequestRejected), s.newRequest(w, boathook.RequestIgnored), s.newRequest(w, boathook.RequestRepeated)
		bare.Sender, bare.At = nil, bare.At.Add(time.Second)
		repeated.Reason, repeated.RunID, repeated.At = "", boathook.NewID(boathook.RunID), repeated.At.Add(2*time.Second)
		repeated.Sender = &boathook.Sender{BodySize: 1}
		must(t, s.PutRequest(t.Context(), 0, first))
		must(t, s.PutRequest(t.Context(), 0, bare))
		must(t, s.PutRequest(t.Context(), store.RequestSlots-1, repeated))
		wantSame(t, "the webhook's", s.requestsOf(w, "").all(t, whole), []boathook.Request{repeated, bare, first})

		second := s.newRequest(w, boathook.RequestRejected)
		second.At = second.At.Add(time.Minute)
		must(t, s.PutRequest(t.Context(), 0, second))
		wantSame(t, "the webhook's", s.requestsOf(w, "").all(t, whole), []boathook.Request{second, repeated, bare})
		wantSame(t, "those ignored", s.requestsOf(w, boathook.RequestIgnored).all(t, whole), []boathook.Request{bare})
	})
	t.Run("a flood fills its slots and nothing else", func(t *testing.T) {
		w := s.newIncoming(source)
		ignored := s.newRequest(w, boathook.RequestIgnored)
		must(t, s.PutRequest(t.Context(), 3, ignored))
		for i := range 20 {
			r := s.newRequest(w, boathook.RequestRejected)
			r.At = r.At.Add(time.Duration(i) * time.Second)
			must(t, s.PutRequest(t.Context(), i%5, r))
		}
		if n := len(s.requestsOf(w, boathook.RequestRejected).all(t, whole)); n != 5 {
			t.Errorf("%d are kept in 5 slots", n)
		}
		wantSame(t, "the others", s.requestsOf(w, boathook.RequestIgnored).all(t, whole), []boathook.Request{ignored})
	})
	t.Run("those that were accepted are the webhook's runs", func(t *testing.T) {
		w, other := s.newIncoming(source), s.newIncoming(source)
		var want []boathook.Request
		for i := range 3 {
			for _, webhookID := range []string{w.ID, other.ID, ""} {
				r := s.newRun()
				r.WorkspaceID, r.SourceID, r.WebhookID = source.WorkspaceID, source.ID, webhookID
				r.CreatedAt = s.clock.Now().Add(time.Duration(i) * time.Millisecond)
				must(t, s.CreateRun(t.Context(), r))
				if webhookID == w.ID {
					want = append(want, boathook.Request{
						ID: r.ID, WorkspaceID: r.WorkspaceID, WebhookID: w.ID, At: r.CreatedAt,
						Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: r.ID,
					})
				}
			}
		}
		slices.Reverse(want)
		wantSame(t, "the webhook's", s.requestsOf(w, "").all(t, whole), want)
		wantSame(t, "those accepted, in pages", s.requestsOf(w, boathook.RequestAccepted).all(t, boathook.Page{Limit: 1}), want)
		wantSame(t, "those rejected", s.requestsOf(w, boathook.RequestRejected).all(t, whole), []boathook.Request{})
	})
	t.Run("one among many of other webhooks is found in pages that look at few", func(t *testing.T) {
		source := s.newSource(source.WorkspaceID)
		w, other := s.newIncoming(source), s.newIncoming(source)
		var accepted string
		for i := range manyOthers + 1 {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.WebhookID = source.WorkspaceID, source.ID, other.ID
			r.CreatedAt = r.CreatedAt.Add(time.Duration(i) * time.Second)
			if i == 0 {
				r.WebhookID, accepted = w.ID, r.ID
			}
			must(t, s.CreateRun(t.Context(), r))
		}
		rejected := s.newRequest(w, boathook.RequestRejected)
		rejected.At = rejected.At.Add(-time.Second)
		must(t, s.PutRequest(t.Context(), 0, rejected))
		s.requestsOf(w, boathook.RequestAccepted).testRare(t, accepted)
		all := s.requestsOf(w, "")
		wantSame(t, "all of them", all.ids(all.all(t, boathook.Page{Limit: 2, Look: 5})), []string{accepted, rejected.ID})
	})
	t.Run("another workspace's are not listed", func(t *testing.T) {
		w := s.newIncoming(source)
		l := s.requestsOf(w, "")
		for i := range 3 {
			l.add(t, s.clock.Now().Add(time.Duration(i)*time.Second))
		}
		foreign := w
		foreign.WorkspaceID = boathook.NewID(boathook.WorkspaceID)
		wantSame(t, "another workspace's", s.requestsOf(foreign, "").all(t, whole), []boathook.Request{})
	})
	for _, outcome := range []boathook.RequestOutcome{"", boathook.RequestRejected} {
		t.Run(fmt.Sprintf("a webhook's are listed newest first, in pages, of outcome %q", outcome), func(t *testing.T) {
			s.requestsOf(s.newIncoming(s.newSource(source.WorkspaceID)), outcome).test(t, s.clock.Now())
		})
	}
}
