package queue

import (
	"context"
	"time"
)

// Redriver is a queue as its operator sees it, with its dead-letter queue.
type Redriver interface {
	// Redrive starts to move what is in the dead-letter queue back to the queue,
	// where its receives count anew. A [boathook.Conflict]: a move is under way.
	Redrive(ctx context.Context) error
	// State is how it stands. All numbers may be a minute old, and about.
	State(ctx context.Context) (State, error)
	// DeadLetters looks at messages of the dead-letter queue, up to [MaxBatch] of those
	// that may be received, and takes none. Which these are is the queue's to say. On SQS
	// a look hides them for a second: from another look, and from a move, which waits.
	DeadLetters(ctx context.Context) ([]DeadLetter, error)
}

// DeadLetter is a message that could not be processed.
type DeadLetter struct {
	ID       string
	Body     string
	Receives int // in the dead-letter queue too, where that is counted
}

// State is what a queue and its dead-letter queue hold.
type State struct {
	Depth Depth
	Dead  Depth
	Move  *Move // the last; nil if there was none, or none that is remembered
}

// Depth is how many messages a queue holds.
type Depth struct {
	Ready    int // to be received now
	InFlight int // received, and neither deleted nor shown again
	Delayed  int // sent with a delay that is not over
}

// Move is one from a dead-letter queue back.
type Move struct {
	Status    MoveStatus
	Moved     int
	Total     int // that were there when it began
	StartedAt time.Time
	Failure   string // why it failed
}

// MoveStatus is where a move is in its life.
type MoveStatus string

// A move runs until it is over.
const (
	MoveRunning   MoveStatus = "running"
	MoveCompleted MoveStatus = "completed"
	MoveCanceled  MoveStatus = "canceled"
	MoveFailed    MoveStatus = "failed"
)
