package boot

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
)

// written is what the process logs at a level, until the test ends.
func written(t *testing.T, level slog.Level) *bytes.Buffer {
	t.Helper()
	logger, flags, out := slog.Default(), log.Flags(), log.Writer()
	bridged := slog.SetLogLoggerLevel(slog.LevelInfo)
	t.Cleanup(func() {
		slog.SetLogLoggerLevel(bridged)
		slog.SetDefault(logger)
		log.SetFlags(flags)
		log.SetOutput(out)
	})
	var text bytes.Buffer
	setLogger(&text, level)
	return &text
}

func TestWhatNetHTTPLogsIsDebug(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelDebug: 2, slog.LevelInfo: 1, slog.LevelError: 0} {
		text := written(t, level)
		log.Print("Unsolicited response received on idle HTTP channel") // as net/http does
		slog.Info("a line of ours")
		if lines := strings.Count(text.String(), "\n"); lines != want {
			t.Errorf("%s: %d lines, want %d:\n%s", level, lines, want, text)
		}
	}
}

func TestAFailedInvocationIsLogged(t *testing.T) {
	text := written(t, slog.LevelError)
	down := errors.New("down")
	if _, err := (logged{lambda.NewHandler(func(context.Context) error { return down })}).Invoke(t.Context(), nil); !errors.Is(err, down) {
		t.Errorf("it returns %v", err)
	}
	if line := text.String(); !strings.Contains(line, `"msg":"invocation failed","error":"down"`) {
		t.Errorf("logged %s", line)
	}
}

func TestAPanicIsLoggedAndGoesOn(t *testing.T) {
	text := written(t, slog.LevelError)
	defer func() {
		if p := recover(); p != "oops" {
			t.Errorf("it panics with %v", p)
		}
		if line := text.String(); !strings.Contains(line, `"panic":"oops"`) || !strings.Contains(line, "boot_test.go") {
			t.Errorf("logged %s", line)
		}
	}()
	_, _ = logged{lambda.NewHandler(func(context.Context) error { panic("oops") })}.Invoke(t.Context(), []byte("{}"))
}
