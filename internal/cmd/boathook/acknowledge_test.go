package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"boathook/internal/queue"
)

// deleting is a queue that tells what is deleted, and waits to be told what comes of it.
type deleting struct {
	queue.Queue
	begun  chan []string
	result chan error
}

func (d deleting) Delete(_ context.Context, receipts ...string) error {
	d.begun <- receipts
	return <-d.result
}

func TestWhatIsHandledMeanwhileIsAcknowledgedTogether(t *testing.T) {
	d := deleting{begun: make(chan []string), result: make(chan error)}
	var log strings.Builder
	also := 0
	a := &acknowledgements{queue: d, also: func(context.Context) { also++ }, log: slog.New(slog.NewTextHandler(&log, nil))}
	over := make(chan struct{})
	go func() {
		defer close(over)
		a.add(t.Context(), "first")
	}()
	if got := <-d.begun; !slices.Equal(got, []string{"first"}) {
		t.Errorf("deleted %v first", got)
	}
	var want []string
	for i := range 20 {
		want = append(want, strconv.Itoa(i))
		a.add(t.Context(), want[i]) // returns, though nothing is deleted
	}
	d.result <- errors.New("the disk is full")
	if got := <-d.begun; !slices.Equal(got, want) {
		t.Errorf("deleted %v then, want %v", got, want)
	}
	d.result <- nil
	<-over
	if !strings.Contains(log.String(), "the disk is full") || also != 2 {
		t.Errorf("logged %q, and stored besides %d times", log.String(), also)
	}
}
