package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/client"
	"boathook/internal/smoke"
)

const (
	// smokeWithin is how long all checks may take, without cleaning up.
	smokeWithin = 100 * time.Second
	// smokePatience is how long one may wait for what has to happen.
	smokePatience = 30 * time.Second
)

func smokeCommand(s *session) *cobra.Command {
	var receiver string
	within, patience := smokeWithin, smokePatience
	c := &cobra.Command{
		Use: "smoke", Short: "Prove that a Boathook works which was just deployed", Args: exactly(),
		Long: `Proves that a Boathook works which was just deployed, in less than two minutes: a
trigger becomes a run, the run a signed delivery; one that is refused is retried, and
recovered; an agent's log is seen live; dead letters can be moved back; workspaces see
nothing of each other.

It makes two workspaces, and deletes them with all that was in them. The receivers are
webhooks of the stack itself: nothing else has to be deployed. It needs the admin token
of the stack's first workspace.

It exits with 0 if nothing failed, and with 1 if something did.`,
		Example: `  boathook smoke
  boathook smoke --receiver https://status.example.com/hook`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			if within <= 0 || patience <= 0 {
				return wrong("--timeout and --patience: expected a duration such as 30s")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			start := time.Now()
			var printing error
			summary := smoke.Run(ctx, smoke.Config{
				Client: c, HTTP: &http.Client{Transport: s.env.Transport, Timeout: patience}, Receiver: receiver, Patience: patience,
			}, func(f smoke.Finding) {
				if printing == nil {
					printing = s.tellSmoke(f)
				}
			})
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			if printing == nil {
				printing = s.concludeSmoke(summary, time.Since(start))
			}
			if printing == nil && summary.Failed+summary.Skipped > 0 {
				return &Error{Code: Failed} // all is said
			}
			return printing
		}),
	}
	c.Flags().StringVar(&receiver, "receiver", "", "`URL` of a receiver of yours that is to take a delivery, too")
	c.Flags().DurationVar(&within, "timeout", within, "how long all of it may take, without cleaning up")
	c.Flags().DurationVar(&patience, "patience", patience, "how long one check may wait for what has to happen")
	return c
}

// smokeName is how wide the column of the checks' names is.
const smokeName = 13

func (s *session) tellSmoke(f smoke.Finding) error {
	if s.output == outputJSON {
		return s.line(struct {
			smoke.Finding
			ElapsedMS int64 `json:"elapsed_ms"`
		}{f, f.Elapsed.Milliseconds()})
	}
	word := s.paintField(fmt.Sprintf("%-8s", f.Verdict))
	_, err := fmt.Fprintf(s.env.Stdout, "%s  %-*s  %6.1f s  %s\n", word, smokeName, f.Name, f.Elapsed.Seconds(), indented(f.Got))
	if err == nil && f.Mend != "" {
		_, err = fmt.Fprintf(s.env.Stdout, "          %s\n", f.Mend)
	}
	return err
}

// indented has an error of several lines stay below its own check.
func indented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	return strings.Join(lines, "\n          ")
}

func (s *session) concludeSmoke(of smoke.Summary, elapsed time.Duration) error {
	if s.output == outputJSON {
		return s.line(struct {
			Summary   smoke.Summary `json:"summary"`
			ElapsedMS int64         `json:"elapsed_ms"`
		}{of, elapsed.Milliseconds()})
	}
	_, err := fmt.Fprintf(s.env.Stdout, "%d ok, %s, %d failed, %d skipped, in %.0f s.\n",
		of.OK, count(of.Warnings, "warning", "warnings"), of.Failed, of.Skipped, elapsed.Seconds())
	return err
}
