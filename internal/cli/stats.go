package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/client"
)

var statsColumns = []column[client.AttemptCounts]{
	{"FROM", func(b client.AttemptCounts) string { return moment(b.From) }},
	{"SUCCEEDED", func(b client.AttemptCounts) string { return strconv.Itoa(b.Succeeded) }},
	{"FAILED", func(b client.AttemptCounts) string { return strconv.Itoa(b.Failed) }},
	{"RETRYING", func(b client.AttemptCounts) string { return strconv.Itoa(b.Retrying) }},
	{"P50", func(b client.AttemptCounts) string { return latency(b.LatencyP50MS) }},
	{"P95", func(b client.AttemptCounts) string { return latency(b.LatencyP95MS) }},
}

// latency is empty for none.
func latency(ms *int64) string {
	if ms == nil {
		return ""
	}
	return (time.Duration(*ms) * time.Millisecond).String()
}

func statsCommand(s *session) *cobra.Command {
	var since, bucket string
	c := &cobra.Command{
		Use: "stats NAME", Short: "Count an outgoing webhook's attempts by the hour or the day", Args: exactly("the webhook's name or id"),
		Long: `Counts an outgoing webhook's attempts: those that were taken, those that failed for
good, and those that failed and are followed by another. P50 and P95 are how long half of
them, and 95 of 100, took at most, rounded up to a step of a fixed scale.`,
		Example: "  boathook webhooks stats 'status page' --since 6h\n  boathook webhooks stats 'status page' --bucket day",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			if since != "" {
				var err error
				if since, err = instant("--since", since, time.Now()); err != nil {
					return err
				}
			}
			w, err := findWebhook(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			stats, err := c.Stats(cmd.Context(), w.of.Source, w.ID, since, bucket)
			if err != nil {
				return err
			}
			if s.output == outputJSON {
				return s.line(stats)
			}
			return printTable(s, stats.Data, statsColumns)
		}),
	}
	addSourceFlags(c)
	c.Flags().StringVar(&since, "since", "", "from when on: a time such as 2026-11-01T08:00:00Z, or how long ago, such as 6h (default: a day ago by the hour, 30 days by the day)")
	c.Flags().StringVar(&bucket, "bucket", "", "hour (the default) or day")
	return c
}
