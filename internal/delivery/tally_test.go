package delivery_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
)

// counted is what is stored of the webhook's attempts, which are all of its workspace's.
func (p *place) counted(t *testing.T) []boathook.AttemptCounts {
	t.Helper()
	of := func(id string) []boathook.AttemptCounts {
		hours, err := p.store.AttemptCounts(t.Context(), id, time.Now().Add(-24*time.Hour), time.Now().Add(time.Hour))
		must(t, err)
		return hours
	}
	hours := of(p.Outgoing.ID)
	if diff := cmp.Diff(hours, of(p.Outgoing.WorkspaceID)); diff != "" {
		t.Errorf("counted of the webhook and of its workspace (-webhook +workspace):\n%s", diff)
	}
	return hours
}

func TestTheAttemptsOfABatchAreCountedInOneWriteOfTheirHourAndWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := newPlace(t, func(*http.Request, []byte) (*http.Response, error) {
			time.Sleep(120 * time.Millisecond)
			if n++; n == 2 {
				return response(503, ""), nil
			}
			return response(200, ""), nil
		})
		first := p.job()
		for range 3 {
			must(t, p.handle(t, first))
			first = p.job()
		}
		if hours := p.counted(t); len(hours) > 0 {
			t.Errorf("before the batch ends, %+v are stored", hours)
		}
		p.StoreCounts(t.Context())
		p.StoreCounts(t.Context()) // there is nothing more
		want := []boathook.AttemptCounts{{
			From: boathook.StatisticsHour(time.Now()), Succeeded: 2, Retrying: 1, Durations: map[time.Duration]int{150 * time.Millisecond: 3},
		}}
		if diff := cmp.Diff(want, p.counted(t)); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
		if calls := p.store.calls["CountAttempts"]; calls != 2 {
			t.Errorf("they were stored by %d writes, want one for the webhook and one for the workspace", calls)
		}

		time.Sleep(time.Hour)
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		p.receive = status(500)
		must(t, p.handle(t, p.job()))
		p.StoreCounts(t.Context())
		want = append(want, boathook.AttemptCounts{From: boathook.StatisticsHour(time.Now()), Failed: 1, Durations: map[time.Duration]int{10 * time.Millisecond: 1}})
		if diff := cmp.Diff(want, p.counted(t)); diff != "" {
			t.Errorf("counted an hour later (-want +got):\n%s", diff)
		}
	})
}

func TestAnAttemptThatIsRecordedAlreadyIsNotCountedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		job := p.job()
		for range 3 {
			must(t, p.handle(t, job))
		}
		p.StoreCounts(t.Context())
		if hours := p.counted(t); len(hours) != 1 || hours[0].Succeeded != 1 {
			t.Errorf("counted %+v", hours)
		}
	})
}

func TestCountsThatCanNotBeStoredAreToldOfAndHarmNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		must(t, p.handle(t, p.job()))
		p.store.fail = func(call string) error {
			if call == "CountAttempts" {
				return errDown
			}
			return nil
		}
		p.StoreCounts(t.Context())
		p.store.fail = nil
		p.StoreCounts(t.Context())
		if hours := p.counted(t); len(hours) > 0 || !strings.Contains(p.log.String(), "attempts are not counted") || !strings.Contains(p.log.String(), p.Outgoing.ID) {
			t.Errorf("counted %+v, and logged %s", hours, p.log)
		}
	})
}
