package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/dialect"
	"boathook/internal/probe"
)

type probeFlags struct {
	secret, oldSecret, dialect string
	headers, only              []string
	timeout                    time.Duration
}

func probeCommand(s *session) *cobra.Command {
	var f probeFlags
	c := &cobra.Command{
		Use: "probe URL", Short: "Examine a receiver of webhooks", Args: exactly("the receiver's URL"),
		Long: `Examines a receiver of webhooks: sends it deliveries that are right, and some that
are forged, stale, repeated, large or odd, and judges its answers. Each finding says
what was sent, what a correct receiver answers, what this one did and how to mend it.

Probe your own receiver, on this machine or elsewhere, or one that you may test. The
deliveries that are right are right: a receiver that acts on them will act. They tell
of the examples of Boathook's documents. About thirty are sent, one after another.

The first is always sent. If the receiver does not accept it, the probe finds out why,
as well as it can, and stops.

Cases:
` + columns(probe.Names()) + `
It exits with 0 if there is no fault, and with 1 if there is one.`,
		Example: `  boathook probe http://127.0.0.1:8000/ --secret "$WEBHOOK_SECRET"
  boathook probe http://127.0.0.1:8000/ --secret @secret.txt --only stale,future`,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := f.config(s, args[0])
			if err != nil {
				return err
			}
			return s.probe(cmd.Context(), config)
		},
	}
	c.Flags().StringVar(&f.secret, "secret", "", "the `secret` that the receiver verifies with, or @FILE; else "+secretVariable)
	c.Flags().StringVar(&f.oldSecret, "old-secret", "", "a `secret` that it must no longer accept, or @FILE")
	c.Flags().StringVar(&f.dialect, "dialect", dialect.Crewship, "how deliveries are signed: "+strings.Join(dialect.Names(), ", "))
	c.Flags().StringArrayVar(&f.headers, "header", nil, "one more header of each delivery, `'Name: value'`")
	c.Flags().StringSliceVar(&f.only, "only", nil, "the `names` of cases, separated by commas (default: all)")
	c.Flags().DurationVar(&f.timeout, "timeout", probe.DefaultTimeout, "how long a delivery may take")
	return c
}

// columns lays names out for a help text.
func columns(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if end := i%3 == 2 || i == len(names)-1; end {
			fmt.Fprintf(&b, "  %s\n", name)
		} else {
			fmt.Fprintf(&b, "  %-22s", name)
		}
	}
	return b.String()
}

func (f probeFlags) config(s *session, url string) (c probe.Config, err error) {
	c = probe.Config{URL: url, Dialect: f.dialect, Only: f.only, Timeout: f.timeout}
	if c.Secret, err = s.requiredSecret(f.secret); err != nil {
		return c, err
	}
	if c.OldSecret, err = givenSecret("old-secret", f.oldSecret); err != nil {
		return c, err
	}
	if c.Header, err = givenHeaders("header", f.headers); err != nil {
		return c, err
	}
	if f.timeout <= 0 {
		return c, wrong("--timeout: expected a duration such as 10s")
	}
	return c, nil
}

func (s *session) probe(ctx context.Context, config probe.Config) error {
	tell, conclude := mendedOnce(s.tellFinding), s.concludeProbe
	if s.output == outputJSON {
		tell, conclude = s.findingJSON, s.summaryJSON
	}
	var printing error
	summary, err := probe.Receiver(ctx, config, func(f probe.Finding) {
		if printing == nil {
			printing = tell(f)
		}
	})
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: the other cases were not sent")
	case err != nil:
		return wrong("%w", err)
	case printing != nil:
		return printing
	}
	if err := conclude(summary); err != nil {
		return err
	}
	if summary.Faults > 0 {
		return &Error{Code: Failed} // all is said
	}
	return nil
}

// mendedOnce says how to mend a fault only if it is not mended as the one before it: a
// receiver that verifies nothing has a dozen that are mended in one way.
func mendedOnce(tell func(probe.Finding) error) func(probe.Finding) error {
	before := ""
	return func(f probe.Finding) error {
		switch f.Mend {
		case "":
		case before:
			f.Mend = "Mend it as the one above."
		default:
			before = f.Mend
		}
		return tell(f)
	}
}

// The columns of a finding: what it says more begins below its name, and what came
// after what was expected.
const (
	nameColumn = 9
	gotColumn  = 42
)

func (s *session) tellFinding(f probe.Finding) error {
	w := s.env.Stdout
	word := s.paintField(fmt.Sprintf("%-*s", nameColumn, f.Verdict))
	if err := printFolded(w, fmt.Sprintf("%s%-20s  %-9s  ", word, f.Name, f.Expected), gotColumn, f.Got); err != nil || f.Verdict == probe.OK {
		return err
	}
	more := []string{"Sent: " + f.Sent + ". A correct receiver answers " + f.Expected + "."}
	if f.Said != "" {
		more = append(more, fmt.Sprintf("It said: %q", f.Said))
	}
	for _, text := range append(more, f.Mend) {
		if err := printFolded(w, "", nameColumn, text); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) concludeProbe(of probe.Summary) error {
	if of.Stopped {
		_, err := fmt.Fprintln(s.env.Stdout, "The receiver does not accept a right delivery, so the other cases were not sent.")
		return err
	}
	_, err := fmt.Fprintf(s.env.Stdout, "%s, %s, %d ok.\n", count(of.Faults, "fault", "faults"), count(of.Warnings, "warning", "warnings"), of.OK)
	return err
}

func (s *session) findingJSON(f probe.Finding) error {
	return s.line(struct {
		probe.Finding
		ElapsedMS int64 `json:"elapsed_ms"`
	}{f, f.Elapsed.Milliseconds()})
}

func (s *session) summaryJSON(of probe.Summary) error {
	return s.line(struct {
		Summary probe.Summary `json:"summary"`
	}{of})
}
