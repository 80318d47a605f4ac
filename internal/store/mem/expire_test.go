package mem

import (
	"testing"
	"time"

	"boathook/internal/boathook"
)

func TestExpiredRecordsLeaveNothingBehind(t *testing.T) {
	now := time.Now()
	s := New(Config{Retention: time.Hour, Now: func() time.Time { return now }})
	for range 100 {
		now = now.Add(time.Minute)
		r := boathook.Run{RunHead: boathook.RunHead{ID: boathook.NewID(boathook.RunID), SourceID: boathook.NewID(boathook.AgentID), CreatedAt: now}}
		d := boathook.Delivery{WorkspaceID: "ws_1", WebhookID: boathook.NewID(boathook.OutgoingID)}
		d.ID = boathook.NewDeliveryID(&boathook.Event{Time: now}, d.WebhookID)
		for _, err := range []error{
			s.CreateRun(t.Context(), r),
			s.AppendLog(t.Context(), r.RunHead, 0, []boathook.LogLine{{Text: "line"}}),
			s.RecordAttempt(t.Context(), d, boathook.Attempt{Number: 1}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(s.runs) > 60 || len(s.deliveries) > 60 || len(s.logs) > 60 {
			t.Fatalf("after more than an hour: %d runs, %d deliveries, %d logs", len(s.runs), len(s.deliveries), len(s.logs))
		}
	}
	now = now.Add(time.Hour)
	s.lock()()
	left := len(s.runs) + len(s.runsOf) + len(s.runsIn) + len(s.logs) + len(s.agentLogs) + len(s.deliveries) + len(s.deliveriesOf) + len(s.deliveriesIn) + len(s.runsSent) + len(s.statistics) + len(s.expiring)
	if left != 0 {
		t.Errorf("%d things are left", left)
	}
}
