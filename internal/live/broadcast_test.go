package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/live"
	"boathook/internal/store/mem"
)

// counting is the embedded store, which counts look-ups of watchers.
type counting struct {
	*mem.Store
	lookUps atomic.Int64
	fail    error
}

func (c *counting) Watchers(ctx context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error) {
	c.lookUps.Add(1)
	if c.fail != nil {
		return nil, c.fail
	}
	return c.Store.Watchers(ctx, workspaceID, ch)
}

// theatre is a broadcast of an agent's run with watchers.
type theatre struct {
	*live.Broadcast
	*sockets
	t     *testing.T
	store *counting
	log   bytes.Buffer
	run   boathook.RunHead
}

func newTheatre(t *testing.T, watchers ...string) *theatre {
	th := &theatre{
		t: t, sockets: newSockets(), store: &counting{Store: mem.New(mem.Config{Retention: time.Hour})},
		run: boathook.RunHead{ID: "run_a", WorkspaceID: "ws_a", SourceID: "agent_a"},
	}
	must(t, th.store.PutSource(t.Context(), boathook.Source{
		ID: "agent_a", WorkspaceID: "ws_a", Kind: boathook.Agent, Name: "Code review", Agent: &boathook.AgentSettings{Slug: "code-review"},
	}))
	for _, id := range watchers {
		th.watch(id)
	}
	th.Broadcast = live.NewBroadcast(th.store, th.sockets, time.Now, slog.New(slog.NewTextHandler(&th.log, nil)))
	return th
}

func (th *theatre) watch(id string) {
	th.t.Helper()
	must(th.t, th.store.Watch(th.t.Context(), boathook.Connection{ID: id, WorkspaceID: "ws_a", ConnectedAt: time.Now()}, boathook.LogChannel))
}

func (th *theatre) show(lines ...boathook.LogLine) {
	th.t.Helper()
	th.Lines(th.t.Context(), th.run, lines)
}

var at = time.Date(2026, 11, 21, 18, 0, 0, 123e6, time.UTC)

func stdout(text string) boathook.LogLine {
	return boathook.LogLine{Time: at, Stream: "stdout", Text: text}
}
func stderr(text string) boathook.LogLine {
	return boathook.LogLine{Time: at, Stream: "stderr", Text: text}
}

// shown is what a client reads of a frame.
type shown struct {
	Type, Channel string
	Payload       struct{ TS, Level, Agent, Content string }
}

// seen reads what a watcher got, which must be whole frames of an allowed size.
func (th *theatre) seen(id string) (frames []shown) {
	th.t.Helper()
	for _, text := range th.posts[id] {
		if len(text) >= 32<<10 {
			th.t.Errorf("a frame has %d bytes", len(text))
		}
		var s shown
		if err := json.Unmarshal([]byte(text), &s); err != nil || !utf8.ValidString(text) {
			th.t.Errorf("a frame is no JSON (%v): %q", err, text)
		}
		frames = append(frames, s)
	}
	return frames
}

func TestTheFrameIsTheDocuments(t *testing.T) {
	th := newTheatre(t, "a")
	th.show(stdout("working <on it>"))
	want := []string{`{"type":"agent.log","channel":"workspace:ws_a","payload":{"ts":"2026-11-21T18:00:00.123Z","level":"info",` +
		`"agent":"code-review","agent_id":"agent_a","event":"output","content":"working <on it>","metadata":{"run_id":"run_a"}}}`}
	if diff := cmp.Diff(want, th.posts["a"]); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

func TestLinesOfOneLevelAreOneFrame(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	for name, tt := range map[string]struct {
		lines []boathook.LogLine
		want  []string // level and content
	}{
		"one line":      {[]boathook.LogLine{stdout("a")}, []string{"info a"}},
		"three lines":   {[]boathook.LogLine{stdout("a"), stdout(""), stdout("c")}, []string{"info a\n\nc"}},
		"an empty line": {[]boathook.LogLine{stdout("")}, []string{"info "}},
		"both levels, in order": {
			[]boathook.LogLine{stdout("a"), stdout("b"), stderr("c"), stdout("d")}, []string{"info a\nb", "error c", "info d"},
		},
		"more than fits a frame": {
			slices.Repeat([]boathook.LogLine{stdout(long)}, 7),
			[]string{"info " + long + "\n" + long + "\n" + long, "info " + long + "\n" + long + "\n" + long, "info " + long},
		},
		"escapes and binary": {
			[]boathook.LogLine{stdout("\x1b[31mred\x1b[0m \"q\" \\ \x00\x07\x7f"), stdout("na\u2028ïve \uFFFD 🚢")},
			[]string{"info \x1b[31mred\x1b[0m \"q\" \\ \x00\x07\x7f\nna\u2028ïve \uFFFD 🚢"},
		},
		"bytes that are no text": {[]boathook.LogLine{stdout("a\xff\xfeb")}, []string{"info a\uFFFD\uFFFDb"}},
	} {
		t.Run(name, func(t *testing.T) {
			th := newTheatre(t, "a")
			th.show(tt.lines...)
			var got []string
			for _, f := range th.seen("a") {
				got = append(got, f.Payload.Level+" "+f.Payload.Content)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALineThatHasNoRoomInAFrameIsSeveral(t *testing.T) {
	th := newTheatre(t, "a")
	control := strings.Repeat("\x00", 8<<10) // six bytes of JSON each
	th.show(stdout("before"), stdout(control), stdout("after"))
	whole := ""
	for _, f := range th.seen("a") {
		whole += f.Payload.Content
	}
	if n := len(th.posts["a"]); n != 3 || whole != "before"+control+"\nafter" {
		t.Errorf("%d frames, with %q", n, whole)
	}
}

func TestAFramesSizeHoldsForEveryCharacter(t *testing.T) {
	for _, char := range []string{"x", "\"", "\\", "/", "<", "\x00", "\b", "\f", "\r", "\t", "\x1b", "\x7f", "\u0085", "é", "\u2028", "\u2029", "\uFFFD", "🚢"} {
		line := stdout(strings.Repeat(char, 8<<10/len(char)))
		th := newTheatre(t, "a")
		th.show(line, line, line, line, line)
		whole := ""
		for _, f := range th.seen("a") {
			whole += f.Payload.Content
		}
		if n := strings.Count(whole, char); n != 5*len(line.Text)/len(char) {
			t.Errorf("%q was printed %d times and seen %d", char, 5*len(line.Text)/len(char), n)
		}
	}
}

func TestNothingIsLostOrMovedInAHundredThousandLines(t *testing.T) {
	th := newTheatre(t, "a")
	var want, got []string
	for from := 0; from < 100_000; from += 1000 {
		var lines []boathook.LogLine
		for i := from; i < from+1000; i++ {
			line := stdout(fmt.Sprintf("line %d %s", i, strings.Repeat("\x1b", i%50)))
			if i%7 == 0 {
				line.Stream = "stderr"
			}
			lines, want = append(lines, line), append(want, line.Text)
		}
		th.show(lines...)
	}
	for _, f := range th.seen("a") {
		got = append(got, strings.Split(f.Payload.Content, "\n")...)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%d lines were printed, %d seen, or in another order", len(want), len(got))
	}
}

func TestOnlyTheWorkspacesWatchersSeeIt(t *testing.T) {
	th := newTheatre(t, "a", "b")
	must(t, th.store.Watch(t.Context(), boathook.Connection{ID: "stranger", WorkspaceID: "ws_b", ConnectedAt: time.Now()}, boathook.LogChannel))
	th.show(stdout("x"))
	if len(th.posts["a"]) != 1 || len(th.posts["b"]) != 1 || len(th.posts) != 2 {
		t.Errorf("posted %v", th.posts)
	}
}

func TestWatchersAreLookedUpEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t)
		for range 20 { // two seconds
			th.show(stdout("before"))
			time.Sleep(100 * time.Millisecond)
			th.watch("late")
		}
		if n := th.store.lookUps.Load(); n != 1 || len(th.posts) != 0 {
			t.Errorf("%d look-ups, posted %v", n, th.posts)
		}
		th.show(stdout("after"))
		if n := th.store.lookUps.Load(); n != 2 || len(th.posts["late"]) != 1 {
			t.Errorf("%d look-ups, posted %v", n, th.posts)
		}
	})
}

func TestARunsFirstLineIsSeenByWhoWatchedBeforeIt(t *testing.T) {
	th := newTheatre(t)
	th.show(stdout("another run's"))
	th.watch("a")
	th.run.ID = "run_b"
	th.show(stdout("first"))
	if got := th.seen("a"); len(got) != 1 || got[0].Payload.Content != "first" {
		t.Errorf("it saw %v", got)
	}
}

func TestAWatcherThatIsGoneIsRemoved(t *testing.T) {
	th := newTheatre(t, "gone", "here")
	posts := 0
	th.fail = func(_ context.Context, id string) error {
		if id != "gone" {
			return nil
		}
		posts++
		return boathook.Errorf(boathook.NotFound, "gone")
	}
	for range 3 {
		th.show(stdout("x"), stderr("y"))
	}
	watchers, err := th.store.Watchers(t.Context(), "ws_a", boathook.LogChannel)
	must(t, err)
	if posts != 1 || len(watchers) != 1 || len(th.posts["here"]) != 6 || th.log.Len() > 0 {
		t.Errorf("%d posts to it, watchers %v, posted %v, log %s", posts, watchers, th.posts, &th.log)
	}
}

func TestAWatcherThatHangsIsLeftOutForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, "hangs", "well")
		hanging := true
		th.fail = func(ctx context.Context, id string) error {
			if id == "well" || !hanging {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		th.show(stdout("1"))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it held the others up for %s", took)
		}
		hanging = false
		th.show(stdout("2")) // the time for the next look-up has come
		if len(th.posts["well"]) != 2 || len(th.posts["hangs"]) != 1 || !strings.Contains(th.log.String(), "hangs") {
			t.Errorf("posted %v, log %s", th.posts, &th.log)
		}
	})
}

func TestAWatcherThatFailsMissesLinesUntilTheNextLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, "a")
		th.fail = func(context.Context, string) error { return errors.New("too many requests") }
		th.show(stdout("1"))
		th.fail = nil
		th.show(stdout("2"))
		if len(th.posts) != 0 {
			t.Errorf("posted %v", th.posts)
		}
		time.Sleep(2 * time.Second)
		th.show(stdout("3"))
		if got := th.seen("a"); len(got) != 1 || got[0].Payload.Content != "3" {
			t.Errorf("it saw %v", got)
		}
	})
}

func TestAThousandWatchersSeeTheSame(t *testing.T) {
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("c%d", i))
	}
	th := newTheatre(t, ids...)
	th.show(stdout("1"), stderr("2"))
	th.show(stdout("3"))
	for _, id := range ids {
		var got []string
		for _, f := range th.seen(id) {
			got = append(got, f.Payload.Content)
		}
		if !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Fatalf("%s saw %v", id, got)
		}
	}
}

func TestARunsLogIsItsOwnWhenTheStoreFails(t *testing.T) {
	th := newTheatre(t, "a")
	th.store.fail = errors.New("down")
	th.show(stdout("a secret"))
	if len(th.posts) != 0 || !strings.Contains(th.log.String(), "down") || strings.Contains(th.log.String(), "a secret") {
		t.Errorf("posted %v, log %s", th.posts, &th.log)
	}
}

func TestADeletedAgentsRunIsShownWithoutAName(t *testing.T) {
	th := newTheatre(t, "a")
	th.run.SourceID = "agent_deleted"
	th.show(stdout("still here"))
	if got := th.seen("a"); len(got) != 1 || got[0].Payload.Agent != "" || got[0].Payload.Content != "still here" {
		t.Errorf("it saw %v", got)
	}
}
