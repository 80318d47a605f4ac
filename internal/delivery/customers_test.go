package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

// newCustomer stores a customer and webhooks of it that want every type.
func (p *place) newCustomer(t *testing.T, webhooks int) boathook.Source {
	t.Helper()
	customer := boathook.Source{
		ID: boathook.NewID(boathook.CustomerID), WorkspaceID: p.Source.WorkspaceID, Kind: boathook.Customer, Name: "Acme",
		Customer: &boathook.CustomerSettings{ExternalID: "acct_1042"},
	}
	must(t, p.store.PutSource(t.Context(), customer))
	for range webhooks {
		w := p.Outgoing
		w.Revision, w.ID, w.SourceID = 0, boathook.NewID(boathook.OutgoingID), customer.ID
		w.Events, w.Environment, w.Dialect = []boathook.EventType{boathook.AllEvents}, "", dialect.Standard
		w.Secrets.Current = []byte("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=") // as fixture.Unsealed has it
		must(t, p.store.PutOutgoing(t.Context(), w))
	}
	return customer
}

// queued publishes an event of a customer, and gives what is queued for its webhooks.
func (p *place) queued(t *testing.T, customer boathook.Source, name boathook.EventType) (jobs []queue.Delivery) {
	t.Helper()
	must(t, p.Publish(t.Context(), boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: customer.WorkspaceID, SourceID: customer.ID, Type: name, Time: time.Now(), Data: []byte(`{}`),
	}))
	messages, err := p.first.Receive(t.Context(), 10, time.Second)
	must(t, err)
	for _, m := range messages {
		job, err := queue.DecodeDelivery(m.Body)
		must(t, err)
		jobs = append(jobs, job)
	}
	return jobs
}

func TestWhatWaitsForACustomerThatIsDeletedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		customer := p.newCustomer(t, 3)
		jobs := p.queued(t, customer, "invoice.paid")
		if len(jobs) != 3 {
			t.Fatalf("%d deliveries are queued, want 3", len(jobs))
		}
		must(t, p.handle(t, jobs[0])) // which fails, and is to be tried again
		retry := p.next(t, 10*time.Second)
		must(t, p.store.DeleteSource(t.Context(), customer.WorkspaceID, customer.ID))
		sent := p.requests()
		for _, job := range append(jobs[1:], retry) {
			for range 2 { // the queue may give it twice
				must(t, p.handle(t, job))
			}
			if d, _ := p.record(t, job); d.Status != boathook.DeliveryCanceled {
				t.Errorf("attempt %d is %s", job.Attempt, d.Status)
			}
		}
		if p.requests() != sent {
			t.Errorf("%d requests were sent to webhooks that are gone", p.requests()-sent)
		}
		p.noRetry(t)
		if rows := p.scheduled(t); len(rows) != 0 {
			t.Errorf("%d retries are scheduled", len(rows))
		}
		if jobs := p.queued(t, customer, "invoice.paid"); len(jobs) != 0 {
			t.Errorf("%d deliveries more are queued", len(jobs))
		}
	})
}

// Nothing between a publish and an attempt asks for the type: what was published is
// delivered when it is archived.
func TestWhatWaitsOfATypeThatIsArchivedIsDelivered(t *testing.T) {
	p := newPlace(t, status(204))
	d := boathook.TypeDefinition{WorkspaceID: p.Source.WorkspaceID, Name: "invoice.paid", CreatedAt: time.Now()}
	must(t, p.store.PutEventType(t.Context(), d))
	jobs := p.queued(t, p.newCustomer(t, 1), d.Name)
	d.Revision, d.ArchivedAt = 1, time.Now()
	must(t, p.store.PutEventType(t.Context(), d))
	must(t, p.handle(t, jobs[0]))
	if got, _ := p.record(t, jobs[0]); got.Status != boathook.DeliverySucceeded {
		t.Errorf("it is %s", got.Status)
	}
}
