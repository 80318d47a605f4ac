package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// manyReplayed is from how many events on a replay is asked about first.
const manyReplayed = 1000

func replayCommand(s *session) *cobra.Command {
	var only string
	var types []string
	var dry, yes bool
	c := &cobra.Command{
		Use: "replay", Short: "Send a webhook events of its source that it has missed", Args: exactly(),
		Long: `Sends a webhook events of its source's feed, oldest first: those of which it has no
delivery, also from before it was made and from while it was disabled. With --only failed
those whose delivery failed or was canceled, with --only all also those that it has taken.
--dry-run counts them first. The feed has what the source keeps: see ` + "`boathook feed keep`" + `.`,
		Example: `  boathook deliveries replay --webhook 'status page' --since 24h --dry-run
  boathook deliveries replay --webhook 'status page' --since 2026-11-01T08:00:00Z --type run.failed --yes`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			name := textOr(cmd.Flags(), "webhook", "")
			if name == "" {
				return wrong("--webhook is missing: the one to send events to")
			}
			now := time.Now()
			since, until, err := period(cmd.Flags(), now)
			if err != nil {
				return err
			}
			r := client.ReplayInput{
				Since: since, Until: cmp.Or(until, now.UTC().Format(boathook.TimeLayout)), // of the count, and of what is sent
				Only: only, DryRun: dry,
			}
			for _, t := range types {
				r.Types = append(r.Types, boathook.EventType(t))
			}
			w, err := findWebhook(cmd.Context(), c, cmd, name)
			if err != nil {
				return err
			}
			if !dry && !yes {
				if err := s.askReplay(cmd.Context(), c, w, r); err != nil {
					return err
				}
			}
			total, err := s.replay(cmd.Context(), c, w, r)
			if err != nil {
				return err
			}
			return s.show(total)
		}),
	}
	addWebhookFlag(c)
	addPeriodFlags(c)
	c.Flags().StringSliceVar(&types, "type", nil, "only events of these types")
	c.Flags().StringVar(&only, "only", "missing", "missing, failed or all")
	c.Flags().BoolVar(&dry, "dry-run", false, "count only")
	c.Flags().BoolVarP(&yes, "yes", "y", false, fmt.Sprintf("do not count and ask, also if there are %d or more", manyReplayed))
	return c
}

// askReplay counts a replay, and has the user agree if it is a large one.
func (s *session) askReplay(ctx context.Context, c *client.Client, w webhook, r client.ReplayInput) error {
	r.DryRun = true
	counted, err := s.replay(ctx, c, w, r)
	if err != nil || counted.Queued < manyReplayed {
		return err
	}
	question := fmt.Sprintf("%d events would be sent to %s", counted.Queued, oneLine(w.Name))
	stdin, isFile := s.env.Stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(stdin.Fd())) {
		return wrong("%s: --yes sends them without a question", question)
	}
	fmt.Fprintf(s.env.Stderr, "%s. Send them? [y/N] ", question)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return errors.New("nothing was sent")
	}
	return nil
}

// replay makes calls until all is queued, and says how far it is on a terminal. What has
// expired meanwhile is passed over, and told of.
func (s *session) replay(ctx context.Context, c *client.Client, w webhook, r client.ReplayInput) (total client.Replayed, err error) {
	total = client.Replayed{ByStatus: map[string]int{}, DryRun: r.DryRun}
	shown := s.progress()
	for {
		part, err := c.Replay(ctx, w.of.Source, w.ID, r)
		if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusGone && e.OldestCursor != "" {
			fmt.Fprintln(s.env.Stderr, "Some events have expired before they were sent. What is left follows.")
			r.Cursor = e.OldestCursor
			continue
		}
		if err != nil {
			if total.Queued > 0 && !r.DryRun {
				return total, fmt.Errorf("%s queued, then: %w", count(total.Queued, "event", "events"), err)
			}
			return total, err
		}
		if r.Cursor == "" {
			total.Since = part.Since
		}
		total.Queued, total.Matched, total.Recent, total.Unknown = total.Queued+part.Queued, total.Matched+part.Matched, total.Recent+part.Recent, total.Unknown+part.Unknown
		total.Until = part.Until
		for status, n := range part.ByStatus {
			total.ByStatus[status] += n
		}
		shown.at(total.Queued)
		if part.NextCursor == nil {
			break
		}
		r.Cursor = *part.NextCursor
	}
	shown.end()
	return total, nil
}
