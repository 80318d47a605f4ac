package service

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Names tell what the ids in a list of deliveries are of. What is deleted is absent.
type Names struct {
	Sources  map[string]boathook.Source
	Webhooks map[string]string // names, by id
}

// Names finds the sources and the webhooks of deliveries. It reads each source once, with
// all its webhooks, and all sources at once: a page of fifty deliveries is mostly of a few.
func (k Deliveries) Names(ctx context.Context, c Caller, deliveries []boathook.Delivery) (Names, error) {
	n := Names{make(map[string]boathook.Source), make(map[string]string)}
	if err := c.May("Deliveries.Names"); err != nil {
		return n, err
	}
	if len(deliveries) == 0 {
		return n, nil
	}
	var mu sync.Mutex // guards n
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelNames)
	asked := make(map[string]bool)
	for _, d := range deliveries {
		if asked[d.SourceID] || !c.reaches(d.SourceID) {
			continue
		}
		asked[d.SourceID] = true
		group.Go(func() error {
			all, err := k.cfg.Store.Audience(ctx, d.SourceID)
			if err != nil && !errors.Is(err, store.ErrIncomplete) {
				return err
			}
			if all.Source == nil || all.Source.WorkspaceID != c.Workspace {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			n.Sources[d.SourceID] = c.withoutNotes(*all.Source)
			for _, w := range all.Outgoing {
				n.Webhooks[w.ID] = w.Name
			}
			return nil
		})
	}
	return n, group.Wait()
}

// parallelNames is how many sources are read at once for their names.
const parallelNames = 25
