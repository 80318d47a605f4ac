package storetest

import (
	"context"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// testLeases is about leases. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testLeases(t *testing.T) {
	name := boathook.NewID("lease") // of this test alone
	now := s.clock.Now()
	take := func(t *testing.T, places int, now, until time.Time) (store.Lease, bool) {
		t.Helper()
		l, taken, err := s.TakeLease(t.Context(), name, places, now, until)
		must(t, err)
		if taken && (l.Name != name || l.Place < 0 || l.Place >= places || !l.Until.Equal(until)) {
			t.Errorf("%+v was taken", l)
		}
		return l, taken
	}
	var held []store.Lease

	t.Run("of many that ask at once, no two have one place", func(t *testing.T) {
		leases := make([]store.Lease, 8)
		taken := make([]bool, len(leases))
		atOnce(t, len(leases), func(ctx context.Context, i int) (err error) {
			leases[i], taken[i], err = s.TakeLease(ctx, name, 3, now, now.Add(time.Minute))
			return err
		})
		places := map[int]bool{}
		for i, l := range leases {
			if taken[i] {
				held = append(held, l)
				places[l.Place] = true
			}
		}
		if len(places) != 3 || len(held) != 3 {
			t.Fatalf("%d hold %d places of 3", len(held), len(places))
		}
	})
	t.Run("while all are taken there is none, and another name has its own", func(t *testing.T) {
		if l, taken := take(t, 3, now.Add(time.Minute-time.Millisecond), now.Add(time.Hour)); taken {
			t.Errorf("%+v was taken", l)
		}
		if _, taken, err := s.TakeLease(t.Context(), boathook.NewID("lease"), 1, now, now.Add(time.Minute)); !taken || err != nil {
			t.Errorf("another name has no place: %v", err)
		}
		if _, taken := take(t, 0, now, now.Add(time.Minute)); taken {
			t.Error("a place of none was taken")
		}
	})
	t.Run("one that is returned can be taken", func(t *testing.T) {
		must(t, s.ReturnLease(t.Context(), held[0]))
		again, taken := take(t, 3, now, now.Add(2*time.Minute))
		if !taken || again.Place != held[0].Place {
			t.Errorf("%+v, %v", again, taken)
		}
		must(t, s.ReturnLease(t.Context(), held[0])) // it is another's by now
		if l, taken := take(t, 3, now, now.Add(time.Hour)); taken {
			t.Errorf("%+v was taken", l)
		}
	})
	t.Run("one whose time is over can be taken", func(t *testing.T) {
		for range 2 {
			if _, taken := take(t, 3, now.Add(time.Minute), now.Add(time.Hour)); !taken {
				t.Error("none was taken")
			}
		}
		if l, taken := take(t, 3, now.Add(time.Minute), now.Add(time.Hour)); taken {
			t.Errorf("%+v was taken", l)
		}
	})
}
