package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

var runColumns = []column[client.Run]{
	{"ID", func(r client.Run) string { return r.ID }},
	{"STATUS", func(r client.Run) string { return string(r.Status) }},
	{"ENVIRONMENT", func(r client.Run) string { return string(r.Environment) }},
	{"CREATED", func(r client.Run) string { return moment(r.CreatedAt) }},
	{"TOOK", tookOf},
	{"ERROR", func(r client.Run) string { return orEmpty(r.ErrorMessage) }},
}

// tookOf is how long a run took; empty until it is over.
func tookOf(r client.Run) string {
	if r.StartedAt.IsZero() || r.CompletedAt.IsZero() {
		return ""
	}
	return r.CompletedAt.Sub(r.StartedAt.Time).Round(time.Millisecond).String()
}

func runsCommand(s *session) *cobra.Command {
	return group(&cobra.Command{Use: "runs", Aliases: []string{"run"}, Short: "Work with runs of deployments"},
		listRunsCommand(s), getRunCommand(s), watchCommand(s), retryCommand(s), cancelCommand(s))
}

func listRunsCommand(s *session) *cobra.Command {
	return noun[client.Run, struct{}]{
		name: "runs", columns: runColumns,
		scope: func(c *cobra.Command) {
			c.Flags().String("deployment", "", "only those of this deployment, by its name or id")
			c.Flags().String("environment", "", "only those of production, or of staging")
			c.Flags().String("delivery-id", "", "only those that a sender's delivery has started, by the sender's own id, such as GitHub's X-GitHub-Delivery")
			c.Flags().String("status", "", "only those that are pending, running, succeeded, failed or canceled")
		},
		list: func(ctx context.Context, c *client.Client, cmd *cobra.Command) (iter.Seq2[client.Run, error], error) {
			runs := c.Runs().Where("status", textOr(cmd.Flags(), "status", "")).Where("environment", textOr(cmd.Flags(), "environment", "")).
				Where("delivery_id", textOr(cmd.Flags(), "delivery-id", ""))
			if name := textOr(cmd.Flags(), "deployment", ""); name != "" {
				id, err := findDeployment(ctx, c, name)
				if err != nil {
					return nil, err
				}
				runs = runs.Where("deployment_id", id)
			}
			return runs.All(ctx), nil
		},
		examples: map[string]string{"list": "  boathook runs list --deployment hello --status failed\n  boathook runs list --delivery-id 72d3162e-cc78-11e3-81ab-4c9367dc0958"},
	}.listCommand(s)
}

func getRunCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show a run with its input and output", Args: exactly("the run's id"),
		Example: "  boathook runs get run_2q5zkx7wmt3vnh6ybd4cfj7r",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			return s.shown(c.Runs().Get(cmd.Context(), args[0]))
		}),
	}
}

func watchCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "watch ID", Short: "Show a run's log until it is over, and exit with its code", Args: exactly("the run's id"),
		Long: `Shows a run's log as it is written: what it prints on standard output and standard
error goes to the same. At the end it exits with 0 if the run succeeded, with the
run's own exit code if it has one, else with 1. A run that is watched after it is over
shows its whole log.`,
		Example: "  boathook runs watch run_2q5zkx7wmt3vnh6ybd4cfj7r",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			return s.watch(cmd.Context(), c, args[0])
		}),
	}
}

func cancelCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Ask a run to stop", Args: exactly("the run's id"),
		Example: "  boathook runs cancel run_2q5zkx7wmt3vnh6ybd4cfj7r",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			return s.shown(c.Cancel(cmd.Context(), args[0]))
		}),
	}
}

func retryCommand(s *session) *cobra.Command {
	var in client.RunRetry
	var key string
	var watch bool
	c := &cobra.Command{
		Use: "retry ID", Short: "Start a run with the input of one that is over", Args: exactly("the run's id"),
		Long: `Starts a run with the input, environment and trigger details of one that is over. The
version that is live now executes it, or that of the old run with --version same.
With the same --idempotency-key a second call starts nothing, and answers with the run
that the first has started.`,
		Example: "  boathook runs retry run_2q5zkx7wmt3vnh6ybd4cfj7r --version same --watch",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			run, err := c.Retry(cmd.Context(), args[0], in, key)
			if err != nil {
				return err
			}
			return s.started(cmd.Context(), c, watch, run.RunID, run)
		}),
	}
	c.Flags().StringVar(&in.Version, "version", "", "version that executes it: live (the default), or same for that of the old run")
	c.Flags().StringVar(&key, "idempotency-key", "", "key under which a repeat starts nothing")
	c.Flags().BoolVar(&watch, "watch", false, "show the new run's log until it is over")
	return c
}

// askAgain is how long a watcher waits when a run has nothing new to tell.
const askAgain = time.Second

// runEvent is one of a run's events.
type runEvent struct {
	Type string
	Data json.RawMessage
}

// started shows the answer to what has started a run or, if that is wanted, the run's log.
func (s *session) started(ctx context.Context, c *client.Client, watch bool, run string, answer any) error {
	if watch {
		return s.watch(ctx, c, run)
	}
	return s.show(answer)
}

// watch shows a run's log until it is over, and fails with its exit code.
func (s *session) watch(ctx context.Context, c *client.Client, run string) error {
	last, over := "", false
	for {
		var failure error
		next, err := c.RunEvents(ctx, run, last, func(data string) {
			var e runEvent
			failure = errors.Join(failure, json.Unmarshal([]byte(data), &e))
			over = over || e.Type == "complete"
			failure = errors.Join(failure, s.tell(e))
		})
		if err := errors.Join(err, failure); err != nil {
			return err
		}
		if over {
			break
		}
		if next == last {
			if err := sleep(ctx, askAgain); err != nil {
				return err
			}
		}
		last = next
	}
	r, err := c.Runs().Get(ctx, run)
	if err != nil {
		return err
	}
	return s.ending(r)
}

// tell shows one event of a run.
func (s *session) tell(e runEvent) error {
	if e.Type != "log" {
		return nil
	}
	if s.output == outputJSON {
		return s.line(e.Data)
	}
	var l struct{ Stream, Text string }
	if err := json.Unmarshal(e.Data, &l); err != nil {
		return err
	}
	w := s.env.Stdout
	if l.Stream == "stderr" {
		w = s.env.Stderr
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(l.Text, "\r\n"))
	return err
}

// ending says how a run ended, as an exit code.
func (s *session) ending(r client.Run) error {
	if s.output == outputJSON {
		if err := s.line(r); err != nil {
			return err
		}
	}
	if r.Status == boathook.RunSucceeded {
		s.note("The run %s succeeded after %s.", r.ID, tookOf(r))
		return nil
	}
	err := fmt.Errorf("the run %s is %s: %s", r.ID, r.Status, orEmpty(r.ErrorMessage))
	return &Error{exitCodeOf(r), err}
}

// exitCodeOf is the code that a run's command exited with, which its error tells; else
// [Failed].
func exitCodeOf(r client.Run) int {
	var code int
	if _, err := fmt.Sscanf(orEmpty(r.ErrorMessage), "exit code %d", &code); err != nil || code <= 0 || code > 255 {
		return Failed
	}
	return code
}

// sleep waits, unless the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func triggerCommand(s *session) *cobra.Command {
	var data, key string
	var watch bool
	c := &cobra.Command{
		Use: "trigger NAME", Short: "Start a run of a deployment", Args: exactly("the deployment's name or id"),
		Long: `Starts a run of a deployment. With the same --idempotency-key a second call starts
nothing, and answers with the run that the first has started.`,
		Example: `  boathook trigger hello -d '{"hello":"world"}' --watch
  echo '{"day":"monday"}' | boathook trigger report -d - --environment staging`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			input, err := s.content("--data", data)
			if err != nil {
				return err
			}
			if len(input) > 0 && !json.Valid(input) {
				return wrong("--data is not JSON; a text is given with its quotes: -d '\"text\"'")
			}
			id, err := findDeployment(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			run, err := c.Start(cmd.Context(), client.RunInput{DeploymentID: id, Input: input, Environment: environmentOf(cmd)}, key)
			if err != nil {
				return err
			}
			return s.started(cmd.Context(), c, watch, run.RunID, run)
		}),
	}
	c.Flags().StringVarP(&data, "data", "d", "", "the run's input in JSON, @FILE, or - for standard input (default {})")
	c.Flags().StringVar(&key, "idempotency-key", "", "key under which a repeat starts nothing")
	c.Flags().BoolVar(&watch, "watch", false, "show the run's log until it is over")
	addEnvironmentFlag(c)
	return c
}
