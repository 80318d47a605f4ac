package delivery_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
)

// hangs answers no request before its time-out.
func hangs(r *http.Request, _ []byte) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// after answers 204 after a time.
func after(wait time.Duration) answers {
	return func(r *http.Request, body []byte) (*http.Response, error) {
		select {
		case <-time.After(wait):
			return response(204, ""), nil
		case <-r.Context().Done():
			return hangs(r, body)
		}
	}
}

// burst handles first attempts at once, each in a process of its own, and tells how
// long each took.
func (p *place) burst(t *testing.T, leases, n int, job func(i int) queue.Delivery) (took []time.Duration) {
	t.Helper()
	took = make([]time.Duration, n)
	var all sync.WaitGroup
	for i := range n {
		m, err := queue.EncodeDelivery(job(i))
		must(t, err)
		process := p.process(leases)
		all.Go(func() {
			begun := time.Now()
			if err := process.Handle(t.Context(), m.Body); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(begun)
		})
	}
	all.Wait()
	return took
}

// held counts those that took longer than a batch may be held.
func held(took []time.Duration) (n int) {
	for _, d := range took {
		if d > 3*time.Second {
			n++
		}
	}
	return n
}

func TestALoneSlowEndpointIsNeverAskedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, after(5*time.Second))
		first := p.job()
		must(t, p.handle(t, first))
		d, attempts := p.record(t, first)
		if d.Status != boathook.DeliverySucceeded || p.sent != 1 || attempts[0].Duration != 5*time.Second || !attempts[0].CutAt.IsZero() {
			t.Errorf("sent %d requests, recorded %+v with %+v", p.sent, d, attempts)
		}
		if since := p.webhook(t).Health.SlowSince; since.IsZero() {
			t.Error("it is not marked slow")
		}

		// The next does not wait in the queue of first attempts.
		begun := time.Now()
		second := p.job()
		must(t, p.handle(t, second))
		if p.sent != 1 || time.Since(begun) != 0 {
			t.Errorf("%d requests, after %s", p.sent, time.Since(begun))
		}
		if stats := p.retries.Stats(); stats != (queuemem.Stats{Ready: 1}) {
			t.Fatalf("the retries queue holds %+v", stats)
		}
		p.work(t, 0)
		if d, attempts := p.record(t, second); d.Status != boathook.DeliverySucceeded || attempts[0].Number != 1 || p.sent != 2 {
			t.Errorf("sent %d requests, recorded %+v with %+v", p.sent, d, attempts)
		}

		// No clock makes it fast, but one fast answer does, whatever it says.
		time.Sleep(10 * 24 * time.Hour)
		if p.webhook(t).Health.SlowSince.IsZero() {
			t.Error("it is not slow any more")
		}
		p.receive = status(500)
		must(t, p.handle(t, p.job()))
		p.work(t, 0)
		if !p.webhook(t).Health.SlowSince.IsZero() {
			t.Error("it answers fast, and is slow")
		}
		must(t, p.handle(t, p.job()))
		if p.sent != 4 {
			t.Errorf("sent %d requests", p.sent)
		}
	})
}

func TestABurstToAHangingEndpointHoldsNoBatchForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		var jobs []queue.Delivery
		for range 40 {
			jobs = append(jobs, p.job())
		}
		took := p.burst(t, 8, len(jobs), func(i int) queue.Delivery { return jobs[i] })
		if n := held(took); n != 1 {
			t.Errorf("%d batches were held, want one by the lease: %v", n, took)
		}
		if stats := p.retries.Stats(); stats.Ready != len(jobs)-1 {
			t.Errorf("the retries queue holds %+v", stats)
		}
		p.receive = status(204)
		time.Sleep(time.Minute) // for the probe, since the one with the lease got no answer
		p.sweep(t, 20*time.Minute)
		again := 0
		for _, job := range jobs {
			d, attempts := p.record(t, job)
			if d.Status != boathook.DeliverySucceeded {
				t.Errorf("recorded %+v with %+v", d, attempts)
			}
			if last := attempts[len(attempts)-1]; last.Number == 1 && !last.CutAt.IsZero() {
				again++
			}
		}
		if again != len(jobs)-1 {
			t.Errorf("of %d attempts the log says that they were made again", again)
		}
	})
}

func TestAllEndpointsTogetherHaveAFewLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		webhooks := []boathook.OutgoingWebhook{p.Outgoing}
		for range 4 {
			w := p.Outgoing
			w.ID, w.Revision = boathook.NewID(boathook.OutgoingID), 0
			must(t, p.store.PutOutgoing(t.Context(), w))
			webhooks = append(webhooks, w)
		}
		next := func(i int) queue.Delivery {
			p.Outgoing = webhooks[i%len(webhooks)]
			return p.job()
		}
		if n := held(p.burst(t, 3, 20, next)); n != 3 {
			t.Errorf("%d batches were held by 5 endpoints, want 3", n)
		}
		// They were returned, and each mark is still there: nobody asks for one.
		if n := held(p.burst(t, 3, 20, next)); n != 0 {
			t.Errorf("%d batches were held by endpoints that are known to be slow", n)
		}
		for _, w := range webhooks {
			must(t, p.store.ClearHealth(t.Context(), w.ID, boathook.HealthSlow|boathook.HealthProbe))
		}
		if n := held(p.burst(t, 3, 20, next)); n != 3 {
			t.Errorf("%d batches were held by 5 endpoints, want 3 again", n)
		}
	})
}

func TestWhatIsAnsweredInTimeIsNotMadeAgain(t *testing.T) {
	drip := func(r *http.Request, _ []byte) (*http.Response, error) {
		body, never := io.Pipe()
		go func() {
			<-r.Context().Done()
			never.CloseWithError(r.Context().Err())
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
	}
	for name, tc := range map[string]struct {
		receive answers
		slow    bool
	}{
		"after 0.9 s":            {after(900 * time.Millisecond), false},
		"after 2.9 s":            {after(2900 * time.Millisecond), true},
		"a body that never ends": {drip, true},
		"refused after 2 s": {func(*http.Request, []byte) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return nil, io.ErrUnexpectedEOF
		}, true},
		"500 after a second": {func(*http.Request, []byte) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(500, ""), nil
		}, true},
		"a time-out of a second":  {nil, true},
		"a time-out of two, late": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, tc.receive)
				if tc.receive == nil {
					p.receive = hangs
					p.change(t, func(w *boathook.OutgoingWebhook) {
						w.Timeout = time.Second
						if name != "a time-out of a second" {
							w.Timeout = 2 * time.Second
						}
					})
				}
				job := p.job()
				if n := held(p.burst(t, 0, 1, func(int) queue.Delivery { return job })); n != 0 {
					t.Error("it held its batch")
				}
				if _, attempts := p.record(t, job); len(attempts) != 1 || !attempts[0].CutAt.IsZero() {
					t.Errorf("recorded %+v", attempts)
				}
				if slow := !p.webhook(t).Health.SlowSince.IsZero(); slow != tc.slow {
					t.Errorf("slow: %v", slow)
				}
			})
		})
	}
}

func TestWhatCanNotBeNotedOfASlowEndpointIsNotTheAttemptsFault(t *testing.T) {
	for _, call := range []string{"MarkSlow", "TakeLease", "MoveProbe"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, after(5*time.Second))
			p.store.fail = func(c string) error {
				if c == call || call == "MoveProbe" && c == "TakeLease" { // with a lease it isn't given up
					return errDown
				}
				return nil
			}
			job := p.job()
			begun := time.Now()
			must(t, p.handle(t, job))
			if took := time.Since(begun); took != 3*time.Second {
				t.Errorf("%s: it took %s", call, took)
			}
			p.store.fail = nil
			p.sweep(t, 2*time.Minute)
			if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || attempts[0].CutAt.IsZero() {
				t.Errorf("%s: recorded %+v with %+v", call, d, attempts)
			}
		})
	}
}

func TestARequestThatIsGivenUpAndCanNotBeHandedOnComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		ctx, cancel := context.WithCancel(t.Context())
		process := p.process(0)
		job := p.job()
		m, err := queue.EncodeDelivery(job)
		must(t, err)
		time.AfterFunc(2*time.Second, cancel) // the queue takes nothing from an invocation that is over
		if err := process.Handle(ctx, m.Body); err == nil {
			t.Error("it was acknowledged")
		}
	})
}

// slowly has a webhook be known as slow, and gives first attempts of it as they
// are in the retries queue.
func (p *place) slowly(t *testing.T, n int) (jobs []queue.Delivery) {
	t.Helper()
	_, err := p.store.Store.MarkSlow(t.Context(), p.Outgoing.ID, time.Now())
	must(t, err)
	for range n {
		jobs = append(jobs, p.job())
		must(t, p.handle(t, jobs[len(jobs)-1]))
	}
	return jobs
}

// batches handles what the retries queue holds in batches that all begin at once,
// each in a process of its own.
func (p *place) batches(t *testing.T) (took []time.Duration) {
	t.Helper()
	var jobs []queue.Delivery
	for {
		messages, err := p.retries.Receive(t.Context(), 10, 0)
		must(t, err)
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			job, err := queue.DecodeDelivery(m.Body)
			must(t, err)
			must(t, p.retries.Delete(t.Context(), m.Receipt))
			jobs = append(jobs, job)
		}
	}
	return p.burst(t, 0, len(jobs), func(i int) queue.Delivery { return jobs[i] })
}

func TestAmongTheRetriesAnAttemptHasItsFullTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, after(29*time.Second))
		jobs := p.slowly(t, 5)
		p.batches(t)
		for _, job := range jobs {
			if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || attempts[0].Duration != 29*time.Second {
				t.Errorf("recorded %+v with %+v", d, attempts)
			}
		}
		if probe := p.webhook(t).Health.Probe; probe != (boathook.Probe{}) {
			t.Errorf("it is probed: %+v", probe)
		}
	})
}

func TestOneAttemptAtATimeProbesAnEndpointThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		p.slowly(t, 3)
		p.batches(t) // all three time out at once: nobody knew
		if p.sent != 3 {
			t.Fatalf("sent %d requests", p.sent)
		}
		known := time.Now()

		var jobs []queue.Delivery
		var probes []time.Time
		p.receive = func(r *http.Request, body []byte) (*http.Response, error) {
			probes = append(probes, time.Now())
			return hangs(r, body)
		}
		for range 50 {
			jobs = append(jobs, p.job())
			must(t, p.handle(t, jobs[len(jobs)-1]))
		}
		p.batches(t)
		p.sweep(t, 10*time.Minute)
		for _, job := range jobs {
			if d, attempts := p.record(t, job); d.Status != boathook.DeliveryRetrying || d.NextAttemptAt.Before(time.Now().Add(-2*time.Minute)) || len(attempts) != d.Attempts {
				t.Errorf("while it waits it is %+v with %+v", d, attempts)
			}
		}
		p.sweep(t, 4*time.Hour)
		for i, least := 1, 5*time.Second; i < len(probes); i++ {
			if gap := probes[i].Sub(probes[i-1]); gap < least {
				t.Errorf("probe %d came after %s, want %s at least", i, gap, least)
			}
			least = min(2*least, 900*time.Second)
		}
		if n := len(probes); n < 10 || n > 25 || probes[0].Sub(known) > 3*time.Minute {
			t.Errorf("%d probes in four hours, the first after %s", n, probes[0].Sub(known))
		}

		// One answer, and they are all sent.
		p.receive = after(5 * time.Second)
		p.sweep(t, 30*time.Minute)
		late := 0
		for _, job := range jobs {
			if d, _ := p.record(t, job); d.Status != boathook.DeliverySucceeded {
				late++ // it probed, and waits for its own next attempt
			}
		}
		if late > len(probes) {
			t.Errorf("%d wait still, of which at most %d have probed", late, len(probes))
		}
		if h := p.webhook(t).Health; h.SlowSince.IsZero() || h.Probe != (boathook.Probe{}) {
			t.Errorf("it answers, slowly, and its health is %+v", h)
		}
	})
}

// Whatever an endpoint does, a delivery does not wait for longer than its webhook's
// schedule would have taken, and is attempted at least once.
func TestWaitingForAnEndpointEndsWithTheSchedule(t *testing.T) {
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		retry []time.Duration
		most  time.Duration
	}{
		"no retries":  {nil, time.Hour},
		"a few":       {[]time.Duration{5 * time.Second, time.Minute}, time.Hour},
		"the default": {boathook.DefaultRetry, 4 * day},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, hangs)
				p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = tc.retry })
				jobs := p.slowly(t, 1)
				p.batches(t)
				for range 20 {
					jobs = append(jobs, p.job())
					must(t, p.handle(t, jobs[len(jobs)-1]))
				}
				p.batches(t)
				p.sweep(t, tc.most)
				for _, job := range jobs {
					if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || len(attempts) == 0 || len(attempts) > 1+len(tc.retry) {
						t.Errorf("it is %+v after %d attempts", d, len(attempts))
					}
				}
			})
		})
	}
}

func TestTheScheduleGoesOnWhileAnAttemptWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.Retry = []time.Duration{5 * time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour}
		})
		job := p.job()
		job.NotBefore, job.Since = time.Now(), time.Now().Add(-10*time.Minute)
		must(t, p.handle(t, job))
		// Of the schedule, the first two waits have passed.
		if d, _ := p.record(t, job); d.Attempts != 1 || time.Until(d.NextAttemptAt).Round(time.Second) != 20*time.Minute {
			t.Errorf("the next attempt is in %s", time.Until(d.NextAttemptAt))
		}
		p.sweep(t, 25*time.Minute)
		if d, _ := p.record(t, job); d.Attempts != 2 || time.Until(d.NextAttemptAt) < time.Hour {
			t.Errorf("after the next it is %+v", d)
		}
		p.sweep(t, 3*time.Hour)
		if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || len(attempts) != 3 {
			t.Errorf("in the end it is %+v with %d attempts", d, len(attempts))
		}
	})
}

func TestOthersWaitWhileTheFirstThatIsSlowHasNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		first := make(chan struct{})
		go func() {
			defer close(first)
			if err := p.handle(t, p.job()); err != nil { // with a lease: for 30 s
				t.Error(err)
			}
		}()
		time.Sleep(4 * time.Second)
		sent := p.requests()
		for range 50 {
			must(t, p.handle(t, p.job()))
		}
		p.work(t, 0)
		if p.requests() != sent {
			t.Errorf("%d more requests went to an endpoint that has not answered", p.requests()-sent)
		}

		// It answers, though slowly: then they are all made, with no more delay than that.
		p.mu.Lock()
		p.receive = after(5 * time.Second)
		p.mu.Unlock()
		began := time.Now()
		p.batches(t)
		for p.requests() < sent+50 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
			p.batches(t)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("they took %s: %d of %d, %+v", took, p.requests()-sent, 50, p.retries.Stats())
		}
		<-first
	})
}

func TestTwoProcessesDoNotProbeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		p.slowly(t, 1)
		p.batches(t)
		var jobs []queue.Delivery
		for range 10 {
			job := p.job()
			job.NotBefore = time.Now()
			jobs = append(jobs, job)
		}
		time.Sleep(time.Minute)
		sent := p.sent
		p.burst(t, 0, len(jobs), func(i int) queue.Delivery { return jobs[i] })
		if p.sent != sent+1 {
			t.Errorf("%d probed", p.sent-sent)
		}
	})
}

func TestAWaitThatCanNotBeStoredIsNotAcknowledged(t *testing.T) {
	for _, call := range []string{"MoveProbe", "PutDue", "PostponeDelivery"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, hangs)
			p.slowly(t, 1)
			p.batches(t)
			grown := boathook.Probe{At: time.Now().Add(10 * time.Minute), Wait: 10 * time.Minute}
			_, err := p.store.Store.MoveProbe(t.Context(), p.Outgoing.ID, p.webhook(t).Health.Probe, grown)
			must(t, err)
			if call == "MoveProbe" {
				time.Sleep(10 * time.Minute)
			}
			p.store.fail = func(c string) error {
				if c == call {
					return errDown
				}
				return nil
			}
			job := p.job()
			job.NotBefore = time.Now()
			if err := p.handle(t, job); !errors.Is(err, errDown) {
				t.Errorf("%s: %v", call, err)
			}
		})
	}
}
