package service

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
)

// named are the sources that events name, by what they call them, and the types that the
// workspace defines among those of events for customers. What is not there is absent.
type named struct {
	sources map[string]boathook.Source
	types   map[boathook.EventType]boathook.TypeDefinition
}

// byExternalID begins what names a customer by its external id where the id of a source
// is wanted.
const byExternalID = "customer:"

// lookUpNamed reads each source and each type once, side by side.
func (k *core) lookUpNamed(ctx context.Context, c Caller, events []NewEvent) (named, error) {
	n := named{make(map[string]boathook.Source, 1), make(map[boathook.EventType]boathook.TypeDefinition)}
	var mu sync.Mutex // guards both
	asked := make(map[string]bool)
	var reads []func(context.Context) error
	once := func(what string, read func(context.Context) error) {
		if !asked[what] {
			asked[what] = true
			reads = append(reads, read)
		}
	}
	for _, e := range events {
		once("source "+e.Source, func(ctx context.Context) error {
			s, err := k.sourceNamed(ctx, c, e.Source)
			return found(&mu, n.sources, e.Source, s, err)
		})
		if namesCustomer(e.Source) && !e.Type.InCatalogue() {
			once("type "+string(e.Type), func(ctx context.Context) error {
				d, err := k.cfg.Store.EventType(ctx, c.Workspace, e.Type)
				return found(&mu, n.types, e.Type, d, err)
			})
		}
	}
	if len(reads) == 1 { // as mostly
		return n, reads[0](ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, read := range reads {
		group.Go(func() error { return read(ctx) })
	}
	return n, group.Wait()
}

// found keeps what was read, unless it is not there.
func found[K comparable, V any](mu *sync.Mutex, in map[K]V, key K, v V, err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	mu.Lock()
	defer mu.Unlock()
	in[key] = v
	return err
}

// namesCustomer reports whether a publisher may mean a customer.
func namesCustomer(name string) bool {
	return strings.HasPrefix(name, byExternalID) || boathook.HasIDKind(name, boathook.CustomerID)
}

// sourceNamed is the caller's source that a publisher names: by its id, a repository by
// its owner and name, or a customer by its external id, which may have a slash in it.
func (k *core) sourceNamed(ctx context.Context, c Caller, name string) (boathook.Source, error) {
	if externalID, ok := strings.CutPrefix(name, byExternalID); ok {
		return k.cfg.Store.CustomerByExternalID(ctx, c.Workspace, externalID)
	}
	if owner, repository, ok := strings.Cut(name, "/"); ok {
		name = boathook.NewRepositoryID(c.Workspace, owner, repository)
	}
	return k.cfg.Store.Source(ctx, c.Workspace, name)
}
