package storetest

import (
	"context"
	"testing"
	"time"

	"boathook/internal/boathook"
)

// testHealth is about a webhook's health. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testHealth(t *testing.T) {
	id, other := boathook.NewID(boathook.OutgoingID), boathook.NewID(boathook.OutgoingID)
	at := s.clock.Now().Truncate(time.Hour).Add(10 * time.Minute) // so that no hour ends between two failures
	var want boathook.Health
	wantHealth := func(t *testing.T) {
		t.Helper()
		all := map[string]boathook.Health{}
		if !want.IsZero() {
			all[id] = want
		}
		wantSame(t, "health", read(s.Health(t.Context(), id, other))(t), all)
	}

	t.Run("a webhook without one is well", func(t *testing.T) {
		wantHealth(t)
		wantSame(t, "health of none", read(s.Health(t.Context()))(t), map[string]boathook.Health{})
	})
	t.Run("failures are counted, with the hours that they fall into", func(t *testing.T) {
		want.FailingSince = at
		for i, later := range []time.Duration{0, time.Second, 2 * time.Hour, 2*time.Hour + time.Second, time.Hour} {
			got := read(s.MarkFailure(t.Context(), id, at.Add(later)))(t)
			want.Failures = i + 1
			hour := boathook.Hour(at)
			switch {
			case i < 2:
				want.FailingHours = []int64{hour}
			case i < 4:
				want.FailingHours = []int64{hour, hour + 2}
			default:
				want.FailingHours = []int64{hour, hour + 1, hour + 2}
			}
			wantSame(t, "health", got, want)
		}
		wantHealth(t)
	})
	t.Run("failures at once are all counted", func(t *testing.T) {
		atOnce(t, 8, func(ctx context.Context, _ int) error {
			_, err := s.MarkFailure(ctx, id, at)
			return err
		})
		want.Failures += 8
		wantHealth(t)
	})
	t.Run("one of many notes that it is slow", func(t *testing.T) {
		first := winners(t, 8, func(ctx context.Context, _ int) (bool, error) { return s.MarkSlow(ctx, id, at.Add(time.Second)) })
		if len(first) != 1 {
			t.Errorf("%d were the first", len(first))
		}
		want.SlowSince = at.Add(time.Second)
		wantHealth(t)
	})
	t.Run("one of many moves a probe that all have seen", func(t *testing.T) {
		for i := range 3 {
			from := want.Probe
			to := func(n int) boathook.Probe {
				return boathook.Probe{At: at.Add(time.Duration(100*i+n+1) * time.Second), Wait: time.Duration(n+1) * time.Minute}
			}
			moved := winners(t, 8, func(ctx context.Context, n int) (bool, error) { return s.MoveProbe(ctx, id, from, to(n)) })
			if len(moved) != 1 {
				t.Fatalf("%d have moved it", len(moved))
			}
			want.Probe = to(moved[0])
			wantHealth(t)
		}
		moved, err := s.MoveProbe(t.Context(), other, want.Probe, want.Probe)
		if moved || err != nil {
			t.Errorf("a probe that there is not was moved: %v, %v", moved, err)
		}
	})
	t.Run("one of many moves an alert that all have seen", func(t *testing.T) {
		steps := []boathook.AlertStep{boathook.AlertFailing, boathook.AlertTold, boathook.AlertRecovering, boathook.AlertNone, boathook.AlertFailing}
		for i, step := range steps {
			from := want.Alert
			to := func(n int) (a boathook.Alert) {
				if step != boathook.AlertNone {
					a = boathook.Alert{Step: step, At: at.Add(time.Duration(100*i+n+1) * time.Second), Since: at.Add(time.Duration(n) * time.Hour)}
				}
				return a
			}
			moved := winners(t, 5, func(ctx context.Context, n int) (bool, error) { return s.MoveAlert(ctx, id, from, to(n)) })
			if len(moved) != 1 {
				t.Fatalf("%d have moved it to %q", len(moved), step)
			}
			want.Alert = to(moved[0])
			wantHealth(t)
		}
		for _, from := range []boathook.Alert{{}, {Step: boathook.AlertTold, At: want.Alert.At}, {Step: want.Alert.Step, At: at}} {
			if moved, err := s.MoveAlert(t.Context(), id, from, boathook.Alert{Step: boathook.AlertTold, At: at, Since: at}); moved || err != nil {
				t.Errorf("it was moved from %+v: %v", from, err)
			}
		}
		if moved, err := s.MoveAlert(t.Context(), other, want.Alert, boathook.Alert{}); moved || err != nil {
			t.Errorf("an alert that there is not was moved: %v, %v", moved, err)
		}
		if moved := read(s.MoveAlert(t.Context(), id, want.Alert, boathook.Alert{}))(t); !moved {
			t.Error("it was not taken away")
		}
		want.Alert = boathook.Alert{}
		wantHealth(t)
	})
	t.Run("what is noted first of a disabling stays", func(t *testing.T) {
		want.Disabling = boathook.Disabling{At: at, Reason: "gone"}
		for i, reason := range []string{"gone", "later"} {
			got := read(s.MarkDisabling(t.Context(), id, boathook.Disabling{At: at.Add(time.Duration(i) * time.Hour), Reason: reason}))(t)
			wantSame(t, "disabling", got, want.Disabling)
		}
		wantHealth(t)
	})
	t.Run("parts are cleared, and may be cleared again", func(t *testing.T) {
		for _, parts := range []boathook.HealthPart{
			boathook.HealthProbe, boathook.HealthSlow | boathook.HealthProbe, boathook.HealthFailures,
			boathook.HealthFailures | boathook.HealthDisabling,
		} {
			want = want.Without(parts)
			for range 2 {
				must(t, s.ClearHealth(t.Context(), id, parts))
				wantHealth(t)
			}
		}
		if !want.IsZero() {
			t.Errorf("%+v is left", want)
		}
		must(t, s.ClearHealth(t.Context(), other, boathook.HealthSlow))
		wantHealth(t)
	})
	t.Run("what was cleared can be noted again", func(t *testing.T) {
		first := read(s.MarkSlow(t.Context(), id, at.Add(time.Hour)))(t)
		moved := read(s.MoveProbe(t.Context(), id, boathook.Probe{}, boathook.Probe{At: at, Wait: time.Second}))(t)
		if !first || !moved {
			t.Errorf("first %v, moved %v", first, moved)
		}
		want = boathook.Health{SlowSince: at.Add(time.Hour), Probe: boathook.Probe{At: at, Wait: time.Second}}
		wantHealth(t)
	})
}
