package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// feedWait is how long a request of a follower waits for an event, in seconds.
const feedWait = 20

func feedCommand(s *session) *cobra.Command {
	var since, cursor, kind string
	var follow bool
	c := &cobra.Command{
		Use: "feed SOURCE", Short: "Read a source's events in their order", Args: exactly("the source: a name or an id"),
		Long: `Reads the feed of a source: each of its events once, oldest first. The source is an
id, OWNER/NAME of a repository, customer:EXTERNAL-ID, alerts, or the name of an app or
a deployment. Customers' events are kept; for others ` + "`boathook feed keep`" + ` sets for how
long. In the end it says with which --cursor to go on, on standard error.`,
		Example: `  boathook feed demo --since 24h
  boathook feed demo --follow --type job_finished --output json`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			src, err := feedOf(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			q := client.FeedQuery{Cursor: cursor, Type: boathook.EventType(kind)}
			if since != "" {
				if q.Since, err = instant("--since", since, time.Now()); err != nil {
					return err
				}
			}
			if follow {
				q.WaitSeconds = feedWait
			}
			return s.readFeed(cmd.Context(), c, src, q)
		}),
	}
	c.Flags().StringVar(&since, "since", "", "from when on: a time such as 2026-11-01T08:00:00Z, or how long ago, such as 2h (default: all that is kept)")
	c.Flags().StringVar(&cursor, "cursor", "", "where to go on, as an earlier call has said")
	c.Flags().StringVar(&kind, "type", "", "only events of this type")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl+C")
	c.MarkFlagsMutuallyExclusive("since", "cursor")
	c.AddCommand(keepCommand(s))
	return c
}

func keepCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "keep SOURCE", Short: "Set for how long a source's events are kept", Args: exactly("the source: a name or an id"),
		Example: "  boathook feed keep demo --days 30",
	}
	days := c.Flags().Int("days", 0, "for how many days; 0 keeps none")
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("days") {
			return wrong("--days is missing: for how many days to keep events")
		}
		src, err := feedOf(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		return s.shown(c.SetRetention(cmd.Context(), src, *days))
	})
	return c
}

// feedOf is the source that has a name, or an id, whatever its kind.
func feedOf(ctx context.Context, c *client.Client, name string) (client.Source, error) {
	if name == "alerts" || isID(boathook.AlertsID, name) {
		return client.AlertsSource(), nil
	}
	if external, ok := strings.CutPrefix(name, "customer:"); ok {
		id, err := findCustomer(ctx, c, external)
		return client.CustomerSource(id), err
	}
	id, err := findSource(ctx, c, name)
	if err != nil {
		return client.Source{}, err
	}
	switch {
	case isID(boathook.AgentID, id):
		crew, agent, err := findAgent(ctx, c, id)
		return client.AgentSource(crew, agent), err
	case isID(boathook.RepositoryID, id):
		return client.RepositorySource(id), nil
	case isID(boathook.AppID, id):
		return client.AppSource(id), nil
	case isID(boathook.CustomerID, id):
		return client.CustomerSource(id), nil
	}
	return client.DeploymentSource(id), nil
}

// readFeed prints a feed to its end, or what happens until the user ends it.
func (s *session) readFeed(ctx context.Context, c *client.Client, src client.Source, q client.FeedQuery) error {
	for {
		part, err := c.Feed(ctx, src, q)
		if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusGone && q.WaitSeconds > 0 && e.OldestCursor != "" {
			fmt.Fprintln(s.env.Stderr, "Some events have expired before they were read. What is left follows.")
			q.Cursor = e.OldestCursor
			continue
		}
		if ctx.Err() != nil && q.WaitSeconds > 0 {
			return s.goOn(q) // Ctrl+C is how it ends
		}
		if err != nil {
			return err
		}
		if part.RetentionDays == 0 {
			return errors.New("the source keeps no events: `boathook feed keep` sets for how many days it does")
		}
		for _, e := range part.Data {
			if err := s.printEvent(e); err != nil {
				return err
			}
		}
		if q.Cursor, q.Since = part.NextCursor, ""; !part.HasMore && q.WaitSeconds == 0 {
			return s.goOn(q)
		}
	}
}

// goOn says with which cursor to go on.
func (s *session) goOn(q client.FeedQuery) error {
	if q.Cursor == "" {
		return nil
	}
	_, err := fmt.Fprintf(s.env.Stderr, "Go on with --cursor %s\n", q.Cursor)
	return err
}

// printEvent prints an event in one line.
func (s *session) printEvent(e client.FeedEvent) error {
	if s.output == outputJSON {
		return s.line(e)
	}
	_, err := fmt.Fprintf(s.env.Stdout, "%s  %s  %s  %s\n", moment(e.PublishedAt), e.ID, e.Type, boathook.Shorten(oneLine(string(e.Data)), 100))
	return err
}
