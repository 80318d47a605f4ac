package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

// bury has two messages of a queue end in its dead-letter queue.
func (a *tester) bury(name string) {
	a.t.Helper()
	q := a.queues[name]
	err := q.Send(a.t.Context(), queue.Message{Body: "a"}, queue.Message{Body: "b"})
	if err == nil {
		_, err = q.Receive(a.t.Context(), 10, 0)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	time.Sleep(time.Hour)
}

func TestRedriveMovesDeadLettersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.bury("deliveries")
		queues := func() string {
			t.Helper()
			var text []string
			for _, q := range a.ask(200, "GET", "/v1/admin/redrive", "").list("data") {
				text = append(text, fmt.Sprint(q["queue"], q.object("depth")["ready"], q.object("dead")["ready"], q["move"] != nil))
			}
			return strings.Join(text, " ")
		}
		if got, want := queues(), "runs0 0 false deliveries0 2 false retries0 0 false"; got != want {
			t.Errorf("the queues are %s, want %s", got, want)
		}
		got := a.ask(202, "POST", "/v1/admin/redrive", `{"queue":"deliveries"}`)
		move := got.object("move")
		if got.text("queue") != "deliveries" || move["status"] != "completed" || move["moved"] != 2.0 || move["total"] != 2.0 ||
			move["started_at"] != time.Now().UTC().Format(boathook.TimeLayout) || move["failure"] != nil {
			t.Errorf("answered %v", got)
		}
		if got, want := queues(), "runs0 0 false deliveries2 0 true retries0 0 false"; got != want {
			t.Errorf("the queues are %s, want %s", got, want)
		}
	})
}

func TestARedriveMustNameAQueue(t *testing.T) {
	a := newAPI(t)
	for _, body := range []string{`{}`, `{"queue":""}`, `{"queue":"dead"}`} {
		a.refused(400, "queue", "POST", "/v1/admin/redrive", body)
	}
}

func TestOnlyTheStacksOwnAdminsRedrive(t *testing.T) {
	a := newAPI(t)
	other := a.otherWorkspace()
	a.as(other, 403, "GET", "/v1/admin/redrive", "")
	a.as(other, 403, "POST", "/v1/admin/redrive", `{"queue":"runs"}`)
	a.as(a.tokenFor(stackToken, boathook.Admin), 202, "POST", "/v1/admin/redrive", `{"queue":"runs"}`)
}

// stuck is a queue that can't be redriven.
type stuck struct {
	queue.Redriver
	err error
}

func (s stuck) Redrive(context.Context) error { return s.err }

func TestARedriveThatDoesNotStartIsTold(t *testing.T) {
	for status, err := range map[int]error{
		409: boathook.Errorf(boathook.Conflict, "a move is under way"),
		503: errors.New("SQS is down"),
	} {
		a := newAPI(t, func(c *config) {
			c.Queues[queue.Retries] = stuck{c.Queues[queue.Retries], err}
		})
		a.refused(status, "", "POST", "/v1/admin/redrive", `{"queue":"retries"}`)
	}
}
