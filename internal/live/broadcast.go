package live

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/cache"
)

const (
	// lookUpEvery is how often a run asks who watches it, if it prints anything
	// at all.
	lookUpEvery = 2 * time.Second
	// agentLifetime is how long an agent's old name is still shown.
	agentLifetime = time.Minute
	// maxCached is how many runs' audiences and agents' names are remembered at
	// once.
	maxCached = 1000

	postsAtOnce = 32
	// postTimeout is how long one watcher may take for the frames of one call.
	postTimeout = 2 * time.Second
)

// BroadcastStore is the part of the store that a [Broadcast] needs.
type BroadcastStore interface {
	Source(ctx context.Context, workspaceID, id string) (boathook.Source, error)
	WatcherStore
}

// WatcherStore is the part of the store that tells who watches.
type WatcherStore interface {
	Watchers(ctx context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error)
	DeleteConnection(ctx context.Context, c boathook.Connection) error
}

// Broadcast shows the lines of agents' runs to those who watch their
// workspaces. Make it with [NewBroadcast].
type Broadcast struct {
	store   BroadcastStore
	sockets Sockets
	log     *slog.Logger

	audiences cache.Cache[*audience] // by run: who watches before it starts sees its first line
	slugs     cache.Cache[string]    // by agent
}

// NewBroadcast makes a Broadcast.
func NewBroadcast(s BroadcastStore, sockets Sockets, now func() time.Time, log *slog.Logger) *Broadcast {
	return &Broadcast{
		store: s, sockets: sockets, log: log,
		audiences: cache.Cache[*audience]{TTL: lookUpEvery, Size: maxCached, Now: now},
		slugs:     cache.Cache[string]{TTL: agentLifetime, Size: maxCached, Now: now},
	}
}

// audience is who watched a run when it last asked, without those to whom
// nothing could be sent since.
type audience struct {
	mu       sync.Mutex
	watchers []boathook.Connection
}

func (a *audience) list() []boathook.Connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.watchers)
}

func (a *audience) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers = slices.DeleteFunc(a.watchers, func(c boathook.Connection) bool { return c.ID == id })
}

// Lines sends the next lines of an agent's run to its workspace's watchers, and
// returns when each has them or has had its chance. Without watchers it costs a
// look-up every two seconds. A watcher that fails misses lines until the next
// look-up, and one that is gone is removed; neither is an error of the run's.
func (b *Broadcast) Lines(ctx context.Context, run boathook.RunHead, lines []boathook.LogLine) {
	a, err := b.audiences.Get(ctx, run.ID, func(ctx context.Context) (*audience, error) {
		watchers, err := b.store.Watchers(ctx, run.WorkspaceID, boathook.LogChannel)
		return &audience{watchers: watchers}, err
	})
	if err != nil {
		b.log.WarnContext(ctx, "lines not shown", "run_id", run.ID, "error", err)
		return
	}
	watchers := a.list()
	if len(watchers) == 0 {
		return
	}
	frames, err := b.frames(ctx, run, lines)
	if err != nil {
		b.log.WarnContext(ctx, "lines not shown", "run_id", run.ID, "error", err)
		return
	}
	var posts errgroup.Group
	posts.SetLimit(postsAtOnce)
	for _, w := range watchers {
		posts.Go(func() error {
			taken, err := post(ctx, b.store, b.sockets, w, frames...)
			if !taken {
				a.remove(w.ID)
			}
			if err != nil {
				b.log.WarnContext(ctx, "watcher left out", "run_id", run.ID, "connection_id", w.ID, "error", err)
			}
			return nil
		})
	}
	_ = posts.Wait() // a watcher's failure is its own
}

// frames are the lines under their agent's name; an agent that was deleted
// while it runs has none.
func (b *Broadcast) frames(ctx context.Context, run boathook.RunHead, lines []boathook.LogLine) ([][]byte, error) {
	slug, err := b.slugs.Get(ctx, run.SourceID, func(ctx context.Context) (string, error) {
		s, err := b.store.Source(ctx, run.WorkspaceID, run.SourceID)
		if boathook.IsKind(err, boathook.NotFound) || err == nil && s.Agent == nil {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return s.Agent.Slug, nil
	})
	if err != nil {
		return nil, err
	}
	return logFrames(slug, run, lines)
}

// post sends frames to one watcher, in their order. A watcher that went without a
// word is forgotten: that is no error, but it has not taken them.
func post(ctx context.Context, s WatcherStore, sockets Sockets, w boathook.Connection, frames ...[]byte) (taken bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	for _, f := range frames {
		err := sockets.Post(bounded, w.ID, f)
		if boathook.IsKind(err, boathook.NotFound) {
			return false, s.DeleteConnection(ctx, w)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
