package main

import (
	"fmt"
	"io"
	"time"
)

// progress writes a line that it overwrites, to a terminal.
type progress struct {
	terminal io.Writer // nil: there is none
}

// follow shows how far a run is, until it is stopped.
func (p progress) follow(name string, l *ledger) (stop func()) {
	if p.terminal == nil {
		return func() {}
	}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		look := time.NewTicker(200 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-over:
				fmt.Fprint(p.terminal, "\r\x1b[K")
				return
			case <-look.C:
				fmt.Fprintf(p.terminal, "\r\x1b[K%s: %d of %d events accepted, %d of %d deliveries made", name,
					l.acceptedN.Load(), len(l.due), l.deliveries.Load(), len(l.had))
			}
		}
	}()
	return func() {
		close(over)
		<-gone
	}
}
