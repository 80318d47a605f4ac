package dynamo_test

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// death breaks a method off: the process dies after so many of its requests.
type death struct {
	method string
	before func(ctx context.Context, s *dynamo.Store) error // what is there already
	call   func(ctx context.Context, s *dynamo.Store) error
}

const (
	tornWorkspace = "ws_bbbbbbbbbbbbbbbbbbbbbbbb"
	tornSource    = "dep_cccccccccccccccccccccccc"
	tornOutgoing  = "out_gggggggggggggggggggggggg"
	tornIncoming  = "in_eeeeeeeeeeeeeeeeeeeeeeee"
	tornCrew      = "crew_aaaaaaaaaaaaaaaaaaaaaaaa"
	tornAgent     = "agent_aaaaaaaaaaaaaaaaaaaaaaaa"
	tornCustomer  = "cus_aaaaaaaaaaaaaaaaaaaaaaaa"
	tornToken     = "tok_aaaaaaaaaaaaaaaaaaaaaaaa"
	tornVersion   = "ver_dddddddddddddddddddddddd"
	tornSocket    = "connection-a"
)

var (
	tornClaim = boathook.Claim{ID: "claim_a", LeaseUntil: now.Add(time.Minute)}
	tornDue   = store.Due{At: now, ID: "x", Kind: store.DueRun}
)

// deaths are of each method that writes.
func deaths() []death {
	type s = *dynamo.Store
	long := func(r boathook.Run) boathook.Run {
		r.Input = boathook.NewBody(jsonText(700 << 10))
		r.InputHash = boathook.HashInput(r.Input.Bytes())
		return r
	}
	output := jsonText(500 << 10)
	waits := store.Waiting{RunID: run().ID, At: now}
	claimed := func(ctx context.Context, st s) error {
		err := st.CreateRun(ctx, run())
		if err == nil {
			_, err = st.ClaimRun(ctx, run().ID, tornClaim, now)
		}
		return err
	}
	source := boathook.Source{ID: tornSource, WorkspaceID: tornWorkspace, Kind: boathook.Deployment, CreatedAt: now}
	agent := func(slug string) boathook.Source {
		return boathook.Source{ID: tornAgent, WorkspaceID: tornWorkspace, Kind: boathook.Agent, CreatedAt: now,
			Agent: &boathook.AgentSettings{CrewID: tornCrew, Slug: slug}}
	}
	customer := func(externalID string) boathook.Source {
		return boathook.Source{ID: tornCustomer, WorkspaceID: tornWorkspace, Kind: boathook.Customer, CreatedAt: now,
			Customer: &boathook.CustomerSettings{ExternalID: externalID, UpdatedAt: now}}
	}
	eventType := boathook.TypeDefinition{WorkspaceID: tornWorkspace, Name: "invoice.paid", CreatedAt: now, UpdatedAt: now}
	version := boathook.Version{ID: tornVersion, WorkspaceID: tornWorkspace, SourceID: tornSource, Environment: boathook.Production, CreatedAt: now}
	outgoing := boathook.OutgoingWebhook{ID: tornOutgoing, WorkspaceID: tornWorkspace, SourceID: tornSource, CreatedAt: now}
	incoming := boathook.IncomingWebhook{ID: tornIncoming, WorkspaceID: tornWorkspace, SourceID: tornSource, CreatedAt: now}
	token := boathook.Token{ID: tornToken, WorkspaceID: tornWorkspace, CreatedAt: now, Hash: [32]byte{1}}
	socket := boathook.Connection{ID: tornSocket, WorkspaceID: tornWorkspace, TokenID: tornToken, ConnectedAt: now}
	all := func(ctx context.Context, st s) error {
		_, err := st.AddVersion(ctx, version)
		return errors.Join(st.PutSource(ctx, source), err, st.PutIncoming(ctx, incoming), st.PutOutgoing(ctx, outgoing))
	}
	big := delivery(printable(512 << 10))
	big.Status, big.NextAttemptAt = boathook.DeliveryRetrying, now
	exhausted := big
	exhausted.Status, exhausted.NextAttemptAt = boathook.DeliveryFailed, time.Time{}
	second := big
	second.Status, second.Attempts, second.NextAttemptAt = boathook.DeliverySucceeded, 2, time.Time{}
	recorded := func(d boathook.Delivery) func(context.Context, s) error {
		return func(ctx context.Context, st s) error { return st.RecordAttempt(ctx, d, attempt(1)) }
	}
	probe := boathook.Probe{At: now, Wait: time.Minute}
	disabling := boathook.Disabling{At: now, Reason: "gone"}
	lease := store.Lease{Name: "x", Until: now.Add(time.Minute)}
	limit := store.Limit{RatePerMinute: 60, MaxInFlight: 8}
	farAway := now.Add(40 * 24 * time.Hour) // beyond the retention: the body is to be kept for longer

	return []death{
		{"PutWorkspace", nil, func(ctx context.Context, st s) error {
			return st.PutWorkspace(ctx, boathook.Workspace{ID: tornWorkspace, CreatedAt: now})
		}},
		{"DeleteWorkspace", func(ctx context.Context, st s) error {
			return st.PutWorkspace(ctx, boathook.Workspace{ID: tornWorkspace, CreatedAt: now})
		}, func(ctx context.Context, st s) error { return st.DeleteWorkspace(ctx, tornWorkspace) }},
		{"DeleteWorkspace", func(ctx context.Context, st s) error {
			return errors.Join(st.PutWorkspace(ctx, boathook.Workspace{ID: tornWorkspace, CreatedAt: now}), st.PutEventType(ctx, eventType))
		}, func(ctx context.Context, st s) error { return st.DeleteWorkspace(ctx, tornWorkspace) }},
		{"PutPortal", func(ctx context.Context, st s) error {
			return st.PutWorkspace(ctx, boathook.Workspace{ID: tornWorkspace, CreatedAt: now})
		}, func(ctx context.Context, st s) error {
			return st.PutPortal(ctx, tornWorkspace, boathook.PortalSettings{Name: "x"})
		}},
		{"PutEventType", nil, func(ctx context.Context, st s) error { return st.PutEventType(ctx, eventType) }},
		{"PutToken", nil, func(ctx context.Context, st s) error { return st.PutToken(ctx, token) }},
		{"DeleteToken", func(ctx context.Context, st s) error { return st.PutToken(ctx, token) },
			func(ctx context.Context, st s) error { return st.DeleteToken(ctx, tornWorkspace, tornToken) }},
		{"PutSource", nil, func(ctx context.Context, st s) error { return st.PutSource(ctx, source) }},
		{"PutSource", all, func(ctx context.Context, st s) error {
			changed := source
			changed.Revision, changed.Name = 1, "another"
			return st.PutSource(ctx, changed)
		}},
		{"PutSource", nil, func(ctx context.Context, st s) error { return st.PutSource(ctx, agent("old")) }},
		{"PutSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, agent("old")) }, func(ctx context.Context, st s) error {
			changed := agent("new")
			changed.Revision = 1
			return st.PutSource(ctx, changed)
		}},
		{"DeleteSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, agent("old")) },
			func(ctx context.Context, st s) error { return st.DeleteSource(ctx, tornWorkspace, tornAgent) }},
		{"PutSource", nil, func(ctx context.Context, st s) error { return st.PutSource(ctx, customer("old")) }},
		{"PutSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, customer("old")) }, func(ctx context.Context, st s) error {
			changed := customer("new")
			changed.Revision = 1
			return st.PutSource(ctx, changed)
		}},
		{"PutSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, customer("old")) }, func(ctx context.Context, st s) error {
			changed := customer("")
			changed.Revision = 1
			return st.PutSource(ctx, changed)
		}},
		{"DeleteSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, customer("old")) },
			func(ctx context.Context, st s) error { return st.DeleteSource(ctx, tornWorkspace, tornCustomer) }},
		{"DeleteSource", all, func(ctx context.Context, st s) error { return st.DeleteSource(ctx, tornWorkspace, tornSource) }},
		{"AddVersion", nil, func(ctx context.Context, st s) error { _, err := st.AddVersion(ctx, version); return err }},
		{"Activate", all, func(ctx context.Context, st s) error { return st.Activate(ctx, version, boathook.Staging) }},
		{"PutIncoming", nil, func(ctx context.Context, st s) error { return st.PutIncoming(ctx, incoming) }},
		{"DeleteIncoming", all, func(ctx context.Context, st s) error { return st.DeleteIncoming(ctx, tornSource, tornIncoming) }},
		{"PutOutgoing", nil, func(ctx context.Context, st s) error { return st.PutOutgoing(ctx, outgoing) }},
		{"DisableOutgoing", all, func(ctx context.Context, st s) error {
			return st.DisableOutgoing(ctx, tornSource, tornOutgoing, disabling)
		}},
		{"DeleteOutgoing", func(ctx context.Context, st s) error {
			_, err := st.MarkSlow(ctx, tornOutgoing, now)
			return errors.Join(err, all(ctx, st))
		}, func(ctx context.Context, st s) error { return st.DeleteOutgoing(ctx, tornSource, tornOutgoing) }},
		{"AppendEvents", nil, func(ctx context.Context, st s) error {
			return st.AppendEvents(ctx, tornSource, 24*time.Hour, boathook.Event{ID: "a", Time: now, Data: jsonText(700 << 10)}, boathook.Event{ID: "b", Time: now})
		}},
		{"MarkFailure", nil, func(ctx context.Context, st s) error { _, err := st.MarkFailure(ctx, tornOutgoing, now); return err }},
		{"MarkSlow", nil, func(ctx context.Context, st s) error { _, err := st.MarkSlow(ctx, tornOutgoing, now); return err }},
		{"MoveProbe", nil, func(ctx context.Context, st s) error {
			_, err := st.MoveProbe(ctx, tornOutgoing, boathook.Probe{}, probe)
			return err
		}},
		{"MoveAlert", nil, func(ctx context.Context, st s) error {
			_, err := st.MoveAlert(ctx, tornOutgoing, boathook.Alert{}, boathook.Alert{Step: boathook.AlertFailing, At: now, Since: now})
			return err
		}},
		{"MarkDisabling", nil, func(ctx context.Context, st s) error {
			_, err := st.MarkDisabling(ctx, tornOutgoing, disabling)
			return err
		}},
		{"ClearHealth", func(ctx context.Context, st s) error { _, err := st.MarkSlow(ctx, tornOutgoing, now); return err },
			func(ctx context.Context, st s) error { return st.ClearHealth(ctx, tornOutgoing, boathook.HealthSlow) }},
		{"CreateRun", nil, func(ctx context.Context, st s) error { return st.CreateRun(ctx, run()) }},
		{"CreateRun", nil, func(ctx context.Context, st s) error { return st.CreateRun(ctx, long(run())) }},
		{"CreateRun", nil, func(ctx context.Context, st s) error {
			r := long(run())
			r.Status, r.Output = boathook.RunSucceeded, output
			return st.CreateRun(ctx, r)
		}},
		{"MoveBacklog", nil, func(ctx context.Context, st s) error {
			_, err := st.MoveBacklog(ctx, tornSource, time.Time{}, now)
			return err
		}},
		{"MoveBacklog", func(ctx context.Context, st s) error {
			_, err := st.MoveBacklog(ctx, tornSource, time.Time{}, now)
			return err
		}, func(ctx context.Context, st s) error {
			_, err := st.MoveBacklog(ctx, tornSource, now, time.Time{})
			return err
		}},
		{"PinRun", nil, func(ctx context.Context, st s) error { _, err := st.PinRun(ctx, "run_pinned", run().ID); return err }},
		{"RemovePending", func(ctx context.Context, st s) error { return st.CreateRun(ctx, run()) },
			func(ctx context.Context, st s) error { return st.RemovePending(ctx, run().ID) }},
		{"ClaimRun", func(ctx context.Context, st s) error { return st.CreateRun(ctx, run()) },
			func(ctx context.Context, st s) error {
				_, err := st.ClaimRun(ctx, run().ID, tornClaim, now)
				return err
			}},
		{"RenewLease", claimed, func(ctx context.Context, st s) error { _, err := st.RenewLease(ctx, run().ID, tornClaim); return err }},
		{"FinishRun", claimed, func(ctx context.Context, st s) error {
			_, err := st.FinishRun(ctx, run().ID, tornClaim, boathook.Outcome{Status: boathook.RunSucceeded, Output: output, CompletedAt: now})
			return err
		}},
		{"MarkPublished", claimed, func(ctx context.Context, st s) error { return st.MarkPublished(ctx, run().ID) }},
		{"MarkRetried", claimed, func(ctx context.Context, st s) error {
			return st.MarkRetried(ctx, run().ID, boathook.Retry{RunID: "run_retry", At: now})
		}},
		{"MoveVersion", func(ctx context.Context, st s) error { return st.CreateRun(ctx, run()) }, func(ctx context.Context, st s) error {
			return st.MoveVersion(ctx, run().ID, boathook.LiveVersion{ID: "ver_other", Number: 9})
		}},
		{"MarkWaiting", func(ctx context.Context, st s) error { return st.CreateRun(ctx, run()) }, func(ctx context.Context, st s) error {
			_, err := st.MarkWaiting(ctx, run().ID, now)
			return err
		}},
		{"MoveTurns", nil, func(ctx context.Context, st s) error {
			_, err := st.MoveTurns(ctx, tornSource, store.TurnsView{}, map[string]time.Time{run().ID: now})
			return err
		}},
		{"EndTurn", func(ctx context.Context, st s) error {
			_, err := st.MoveTurns(ctx, tornSource, store.TurnsView{}, map[string]time.Time{run().ID: now})
			return err
		}, func(ctx context.Context, st s) error { return st.EndTurn(ctx, tornSource, run().ID) }},
		{"StandInLine", nil, func(ctx context.Context, st s) error { return st.StandInLine(ctx, tornSource, waits) }},
		{"LeaveLine", func(ctx context.Context, st s) error { return st.StandInLine(ctx, tornSource, waits) },
			func(ctx context.Context, st s) error { return st.LeaveLine(ctx, tornSource, waits) }},
		{"PutSource", func(ctx context.Context, st s) error { return st.PutSource(ctx, source) }, func(ctx context.Context, st s) error {
			limited := source
			limited.Revision, limited.Deployment = 1, &boathook.DeploymentSettings{MaxInFlight: 3}
			return st.PutSource(ctx, limited)
		}},
		{"MoveBurst", nil, func(ctx context.Context, st s) error {
			_, err := st.MoveBurst(ctx, tornIncoming, "key", "", store.Burst{RunID: run().ID, At: now})
			return err
		}},
		{"JoinRun", func(ctx context.Context, st s) error {
			r := run()
			r.Burst = &boathook.Burst{Count: 1, Triggers: []boathook.BurstTrigger{{ID: "run_first", At: now}}}
			return st.CreateRun(ctx, r)
		}, func(ctx context.Context, st s) error {
			head, err := st.RunHead(ctx, run().ID)
			if err != nil || head.Burst.Has("run_second") { // who repeats it looks first
				return err
			}
			_, err = st.JoinRun(ctx, head, store.Join{Input: boathook.NewBody(output), Trigger: boathook.BurstTrigger{ID: "run_second", At: now}, StartsAt: now})
			return err
		}},
		{"RequestCancel", claimed, func(ctx context.Context, st s) error { _, err := st.RequestCancel(ctx, run().ID, now); return err }},
		{"PutRequest", nil, func(ctx context.Context, st s) error {
			return st.PutRequest(ctx, 0, rejection(boathook.RequestRejected))
		}},
		{"Admit", nil, func(ctx context.Context, st s) error {
			_, err := st.Admit(ctx, tornAgent, run().ID, limit, store.Load{}, now)
			return err
		}},
		{"Release", func(ctx context.Context, st s) error {
			_, err := st.Admit(ctx, tornAgent, run().ID, limit, store.Load{}, now)
			return err
		},
			func(ctx context.Context, st s) error { return st.Release(ctx, tornAgent, run().ID, time.Time{}) }},
		{"AppendLog", nil, func(ctx context.Context, st s) error {
			head := run().RunHead
			head.SourceID = tornAgent
			return st.AppendLog(ctx, head, 0, []boathook.LogLine{{Time: now, Stream: "stdout", Text: "hello"}})
		}},
		{"AppendLog", claimed, func(ctx context.Context, st s) error {
			return st.AppendLog(ctx, run().RunHead, 0, []boathook.LogLine{{Time: now, Stream: "stdout", Text: string(printable(64 << 10))}})
		}},
		{"PinEvent", nil, func(ctx context.Context, st s) error {
			_, err := st.PinEvent(ctx, store.EventPin{WorkspaceID: tornWorkspace, ID: "order-1", Time: now})
			return err
		}},
		{"MarkEventPublished", func(ctx context.Context, st s) error {
			_, err := st.PinEvent(ctx, store.EventPin{WorkspaceID: tornWorkspace, ID: "order-1", Time: now})
			return err
		}, func(ctx context.Context, st s) error {
			return st.MarkEventPublished(ctx, tornWorkspace, "order-1", []int{1})
		}},
		{"RecordAttempt", nil, recorded(big)},
		{"RecordAttempt", nil, func(ctx context.Context, st s) error { return st.RecordAttempt(ctx, second, attempt(2)) }},
		{"RecordAttempt", recorded(big), func(ctx context.Context, st s) error { return st.RecordAttempt(ctx, second, attempt(2)) }},
		{"RecordAttempt", recorded(big), func(ctx context.Context, st s) error {
			later := big
			later.Attempts, later.NextAttemptAt = 2, farAway
			return st.RecordAttempt(ctx, later, attempt(2))
		}},
		{"CancelDelivery", nil, func(ctx context.Context, st s) error { return st.CancelDelivery(ctx, big) }},
		{"CancelDelivery", recorded(big), func(ctx context.Context, st s) error { return st.CancelDelivery(ctx, big) }},
		{"PostponeDelivery", nil, func(ctx context.Context, st s) error { return st.PostponeDelivery(ctx, big, farAway) }},
		{"PostponeDelivery", recorded(big), func(ctx context.Context, st s) error { return st.PostponeDelivery(ctx, big, farAway) }},
		{"ReopenDelivery", recorded(exhausted), func(ctx context.Context, st s) error { return st.ReopenDelivery(ctx, exhausted, now) }},
		{"EnterDeliveries", recorded(big), func(ctx context.Context, st s) error {
			earlier := big
			earlier.ID = boathook.NewDeliveryID(&boathook.Event{ID: "evt_b", Time: now.Add(-time.Second)}, tornOutgoing)
			return st.EnterDeliveries(ctx, big, earlier)
		}},
		{"CountAttempts", nil, func(ctx context.Context, st s) error {
			return st.CountAttempts(ctx, tornOutgoing, boathook.AttemptCounts{From: now, Failed: 1})
		}},
		{"PutDue", nil, func(ctx context.Context, st s) error { return st.PutDue(ctx, tornDue) }},
		{"DeleteDue", func(ctx context.Context, st s) error { return st.PutDue(ctx, tornDue) },
			func(ctx context.Context, st s) error { return st.DeleteDue(ctx, tornDue) }},
		{"ReserveSlot", nil, func(ctx context.Context, st s) error {
			_, err := st.ReserveSlot(ctx, tornOutgoing, time.Second, now)
			return err
		}},
		{"TakeLease", nil, func(ctx context.Context, st s) error {
			_, _, err := st.TakeLease(ctx, lease.Name, 2, now, lease.Until)
			return err
		}},
		{"ReturnLease", func(ctx context.Context, st s) error {
			_, _, err := st.TakeLease(ctx, lease.Name, 2, now, lease.Until)
			return err
		}, func(ctx context.Context, st s) error { return st.ReturnLease(ctx, lease) }},
		{"PutConnection", nil, func(ctx context.Context, st s) error { return st.PutConnection(ctx, socket) }},
		{"Watch", nil, func(ctx context.Context, st s) error { return st.Watch(ctx, socket, boathook.LogChannel) }},
		{"Unwatch", func(ctx context.Context, st s) error { return st.Watch(ctx, socket, boathook.LogChannel) },
			func(ctx context.Context, st s) error { return st.Unwatch(ctx, socket, boathook.LogChannel) }},
		{"DeleteConnection", func(ctx context.Context, st s) error {
			return errors.Join(st.PutConnection(ctx, socket), st.Watch(ctx, socket, boathook.LogChannel))
		}, func(ctx context.Context, st s) error { return st.DeleteConnection(ctx, socket) }},
	}
}

// readings read all that deaths have written; one that is not there is no error.
// Numbers of versions are left out: a repeat takes the next.
var readings = map[string]func(ctx context.Context, s *dynamo.Store) (any, error){
	"Workspace":   func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Workspace(ctx, tornWorkspace) },
	"Token":       func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Token(ctx, tornWorkspace, tornToken) },
	"TokenByHash": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.TokenByHash(ctx, [32]byte{1}) },
	"Workspaces": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Workspaces(ctx, boathook.Page{Limit: 10}))
	},
	"Tokens": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Tokens(ctx, tornWorkspace, boathook.Page{Limit: 10}))
	},
	"Source": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.Source(ctx, tornWorkspace, tornSource)
	},
	"Sources": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Sources(ctx, tornWorkspace, boathook.Deployment, boathook.Page{Limit: 10}))
	},
	"CrewAgents": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.CrewAgents(ctx, tornWorkspace, tornCrew, boathook.Page{Limit: 10}))
	},
	"Agents": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Agents(ctx, tornWorkspace, 10) },
	"AgentBySlug": func(ctx context.Context, s *dynamo.Store) (any, error) {
		old, err := s.AgentBySlug(ctx, tornWorkspace, tornCrew, "old")
		if boathook.IsKind(err, boathook.NotFound) {
			return s.AgentBySlug(ctx, tornWorkspace, tornCrew, "new")
		}
		return old, err
	},
	"CustomerByExternalID": func(ctx context.Context, s *dynamo.Store) (any, error) {
		old, err := s.CustomerByExternalID(ctx, tornWorkspace, "old")
		if boathook.IsKind(err, boathook.NotFound) {
			return s.CustomerByExternalID(ctx, tornWorkspace, "new")
		}
		return old, err
	},
	"EventType": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.EventType(ctx, tornWorkspace, "invoice.paid")
	},
	"AllEventTypes": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.AllEventTypes(ctx, tornWorkspace) },
	"Live": func(ctx context.Context, s *dynamo.Store) (any, error) {
		live, err := s.Live(ctx, tornSource)
		return live[boathook.Production].ID + " " + live[boathook.Staging].ID, err
	},
	"Version": func(ctx context.Context, s *dynamo.Store) (any, error) {
		v, err := s.Version(ctx, tornSource, tornVersion)
		v.Number = 0
		return v, err
	},
	"Versions": func(ctx context.Context, s *dynamo.Store) (any, error) {
		versions, _, err := s.Versions(ctx, tornSource, boathook.Page{Limit: 10})
		return len(versions), err
	},
	"Incoming": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.Incoming(ctx, tornSource, tornIncoming)
	},
	"AllIncoming": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.AllIncoming(ctx, tornSource) },
	"Outgoing": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.Outgoing(ctx, tornSource, tornOutgoing)
	},
	"AllOutgoing": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.AllOutgoing(ctx, tornSource) },
	"Audience": func(ctx context.Context, s *dynamo.Store) (any, error) {
		a, err := s.Audience(ctx, tornSource)
		return a, err
	},
	// What a death leaves in a feed is a gap, which readers close when its time is over: see
	// feed_test.go. Here it counts that the feed can be read.
	"FeedEvents": func(ctx context.Context, s *dynamo.Store) (any, error) {
		_, err := s.FeedEvents(ctx, store.FeedQuery{SourceID: tornSource, Settings: boathook.FeedSettings{RetentionDays: 1}, Limit: 10})
		return nil, err
	},
	"Health": func(ctx context.Context, s *dynamo.Store) (any, error) {
		if _, err := s.Outgoing(ctx, tornSource, tornOutgoing); err != nil {
			return nil, err // a deleted webhook's may be left behind
		}
		h, err := s.Health(ctx, tornOutgoing)
		return h[tornOutgoing].SlowSince, err // failures are counted, one more where it is repeated
	},
	"LookUpTrigger": func(ctx context.Context, s *dynamo.Store) (any, error) {
		view, err := s.LookUpTrigger(ctx, tornSource, tornIncoming, run().ID)
		return view.Run, err
	},
	"LookUpStart": func(ctx context.Context, s *dynamo.Store) (any, error) {
		_, backlog, err := s.LookUpStart(ctx, tornSource, run().ID)
		return backlog, err
	},
	"LookUpAgent": func(ctx context.Context, s *dynamo.Store) (any, error) {
		view, err := s.LookUpAgent(ctx, tornAgent, run().ID, "run_pinned")
		return []any{view.Load, view.Pinned}, err
	},
	"RunHead": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.RunHead(ctx, run().ID) },
	"Run":     func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Run(ctx, tornWorkspace, run().ID) },
	"Runs": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Runs(ctx, store.RunQuery{WorkspaceID: tornWorkspace, SourceID: tornSource, Page: boathook.Page{Limit: 10}}))
	},
	"RunHeads": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.RunHeads(ctx, store.RunQuery{WorkspaceID: tornWorkspace, SourceID: tornSource, Page: boathook.Page{Limit: 10}}))
	},
	"CountedRuns": func(ctx context.Context, s *dynamo.Store) (any, error) {
		_, counts, err := s.CountedRuns(ctx, store.CountQuery{WorkspaceID: tornWorkspace, SourceID: tornSource})
		return counts, err
	},
	"AnyActive": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.AnyActive(ctx, tornSource) },
	"Requests": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Requests(ctx, store.RequestQuery{WorkspaceID: tornWorkspace, SourceID: tornSource, WebhookID: tornIncoming, Page: boathook.Page{Limit: 10}}))
	},
	"Log": func(ctx context.Context, s *dynamo.Store) (any, error) {
		_, lines, err := s.Log(ctx, run().ID, 0, 1<<20)
		return lines, err
	},
	"LookUpBurst": func(ctx context.Context, s *dynamo.Store) (any, error) {
		b, _, err := s.LookUpBurst(ctx, tornIncoming, "key", "run_none")
		return b, err
	},
	"Turns":    func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Turns(ctx, tornSource, 10) },
	"LogLines": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.LogLines(ctx, run().ID) },
	"AgentLog": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.AgentLog(ctx, store.AgentLogQuery{AgentID: tornAgent, Limit: 10, MaxBytes: 1 << 20})
	},
	"AttemptLog": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.AttemptLog(ctx, store.AttemptQuery{WorkspaceID: tornWorkspace, WebhookID: tornOutgoing, Limit: 10})
	},
	"Delivery": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.Delivery(ctx, tornWorkspace, delivery(nil).ID)
	},
	"Attempts": func(ctx context.Context, s *dynamo.Store) (any, error) {
		_, attempts, err := s.Attempts(ctx, tornWorkspace, delivery(nil).ID)
		return attempts, err
	},
	"Deliveries": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: tornWorkspace, WebhookID: tornOutgoing, Page: boathook.Page{Limit: 10}}))
	},
	"WorkspaceDeliveries": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return listed(s.WorkspaceDeliveries(ctx, store.DeliveryQuery{WorkspaceID: tornWorkspace, Page: boathook.Page{Limit: 10}}))
	},
	"AttemptCounts": func(ctx context.Context, s *dynamo.Store) (any, error) {
		hours, err := s.AttemptCounts(ctx, tornOutgoing, now.Add(-time.Hour), now.Add(time.Hour))
		return len(hours), err // attempts are counted once more where it is repeated
	},
	"Due": func(ctx context.Context, s *dynamo.Store) (any, error) {
		var all []store.Due
		for shard := range store.DueShards {
			rows, err := s.Due(ctx, shard, store.Due{}, now, 10)
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
		}
		return all, nil
	},
	"Connection": func(ctx context.Context, s *dynamo.Store) (any, error) { return s.Connection(ctx, tornSocket) },
	"WatchersBy": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.WatchersBy(ctx, tornWorkspace, tornToken)
	},
	"Watchers": func(ctx context.Context, s *dynamo.Store) (any, error) {
		return s.Watchers(ctx, tornWorkspace, boathook.LogChannel)
	},
}

// jsonText is so much JSON that hardly compresses.
func jsonText(n int) []byte {
	return []byte(`"` + base64.StdEncoding.EncodeToString(printable(n*3/4)) + `"`)
}

func listed[T any](items []T, _ string, err error) (any, error) { return items, err }

// readAll gives all readings as text.
func readAll(t *testing.T, s *dynamo.Store) map[string]string {
	t.Helper()
	all := make(map[string]string, len(readings))
	for name, read := range readings {
		v, err := read(t.Context(), s)
		if boathook.IsKind(err, boathook.NotFound) {
			all[name] = "not found"
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all[name] = marshal(v)
	}
	return all
}

// A process may die between any two requests of a method. Then all can be read,
// and the method that is called again ends as if nothing had happened.
func TestWhatADeathTearsIsReadAndMendedByARepeat(t *testing.T) {
	t.Parallel()
	var covered []string
	for _, d := range deaths() {
		covered = append(covered, d.method)
		t.Run(d.method, func(t *testing.T) {
			var want map[string]string
			for survives := int64(1000); ; survives++ {
				var left atomic.Int64
				left.Store(1000)
				s, mend := breakable(t, dynalite, func(request) bool { return left.Add(-1) < 0 })
				if d.before != nil {
					if err := d.before(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
				left.Store(survives)
				err := d.call(t.Context(), s)
				alive := left.Load() >= 0
				mend()
				torn := readAll(t, s)
				if want == nil { // the first is not broken off
					if err != nil {
						t.Fatal(err)
					}
					want, survives = torn, -1
					continue
				}
				if alive {
					return
				}
				if err == nil {
					t.Errorf("it died after %d requests, and says that all is done", survives)
				}
				err = d.call(t.Context(), s)
				if err != nil && !boathook.IsKind(err, boathook.Conflict) && !boathook.IsKind(err, boathook.NotFound) {
					t.Errorf("the repeat after %d requests: %v", survives, err)
				}
				if diff := cmp.Diff(want, readAll(t, s)); diff != "" {
					t.Errorf("the repeat after %d requests has mended all but (-want +got):\n%s", survives, diff)
				}
			}
		})
	}
	for method := range reflect.TypeFor[store.Store]().Methods() {
		if readings[method.Name] == nil && !slices.Contains(covered, method.Name) {
			t.Errorf("%s is not tried", method.Name)
		}
	}
}
