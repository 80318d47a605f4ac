package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
)

const (
	liveAge   = 200 * time.Millisecond // lines are shown when the first is so old,
	liveBytes = 16 << 10               // or when they hold so much text

	// maxUnshown is how much text waits for slow watchers. What comes beyond it
	// is not shown, and the watchers are told how much they missed.
	maxUnshown = 256 << 10
	// lastShow is how long a run that is over waits for its watchers.
	lastShow = 2 * time.Second
)

// liveLog hands a run's lines to a [Stream], and never makes the run wait.
type liveLog struct {
	stream Stream
	run    boathook.RunHead

	mu     sync.Mutex
	lines  []boathook.LogLine
	size   int // bytes of text in lines
	missed int // lines that did not fit

	cancel context.CancelFunc // gives up on watchers

	begun chan struct{} // holds a token while there is something to show
	full  chan struct{} // holds a token while there is enough to show at once
	over  chan struct{}
	done  chan struct{}
}

func newLiveLog(ctx context.Context, stream Stream, run boathook.RunHead) *liveLog {
	l := &liveLog{
		stream: stream, run: run,
		begun: make(chan struct{}, 1), full: make(chan struct{}, 1),
		over: make(chan struct{}), done: make(chan struct{}),
	}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(l.done)
		l.show(ctx)
	}()
	return l
}

// take never waits.
func (l *liveLog) take(line boathook.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+len(line.Text) > maxUnshown {
		l.missed++
		return
	}
	l.lines = append(l.lines, line)
	l.size += len(line.Text)
	signal(l.begun)
	if l.size >= liveBytes {
		signal(l.full)
	}
}

// signal leaves a token in a channel of one place, unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// show passes on what was taken until the run is over and all is shown.
func (l *liveLog) show(ctx context.Context) {
	age := time.NewTimer(liveAge)
	defer age.Stop()
	for {
		select {
		case <-l.begun:
		case <-l.over:
			l.flush(ctx)
			return
		}
		age.Reset(liveAge)
		select {
		case <-age.C:
		case <-l.full:
		case <-l.over:
		}
		l.flush(ctx)
	}
}

func (l *liveLog) flush(ctx context.Context) {
	l.mu.Lock()
	lines, missed := l.lines, l.missed
	l.lines, l.size, l.missed = nil, 0, 0
	for _, c := range []chan struct{}{l.begun, l.full} {
		select {
		case <-c:
		default:
		}
	}
	l.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	if missed > 0 {
		lines = append(lines, boathook.LogLine{
			Time: lines[len(lines)-1].Time, Stream: target.Stderr,
			Text: fmt.Sprintf("[boathook: %d lines came too fast to be shown, the log has them]", missed),
		})
	}
	l.stream.Lines(ctx, l.run, lines)
}

// close shows what is left, within [lastShow]. No line may follow.
func (l *liveLog) close() {
	close(l.over)
	defer time.AfterFunc(lastShow, l.cancel).Stop()
	<-l.done
	l.cancel()
}
