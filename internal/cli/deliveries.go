package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

var deliveryColumns = []column[client.Delivery]{
	{"ID", func(d client.Delivery) string { return d.ID }},
	{"EVENT", func(d client.Delivery) string { return string(d.Event) }},
	{"STATUS", func(d client.Delivery) string { return string(d.Status) }},
	{"CODE", func(d client.Delivery) string { return responseCode(orEmpty(d.LastAttempt).ResponseStatus) }},
	{"ATTEMPTS", func(d client.Delivery) string { return strconv.Itoa(d.AttemptCount) }},
	{"CREATED", func(d client.Delivery) string { return moment(d.CreatedAt) }},
	{"NEXT", func(d client.Delivery) string { return moment(d.NextAttemptAt) }},
	{"ERROR", func(d client.Delivery) string { return orEmpty(orEmpty(d.LastAttempt).Error) }},
}

func responseCode(status *int) string {
	if status == nil {
		return ""
	}
	return strconv.Itoa(*status)
}

func deliveriesCommand(s *session) *cobra.Command {
	return group(&cobra.Command{Use: "deliveries", Aliases: []string{"delivery"}, Short: "Look at deliveries, and send them again"},
		listDeliveriesCommand(s), tailCommand(s), showDeliveryCommand(s), resendCommand(s), recoverCommand(s), replayCommand(s))
}

// addWebhookFlag adds the flags that name one webhook.
func addWebhookFlag(c *cobra.Command) {
	c.Flags().String("webhook", "", "name or id of the outgoing webhook")
	addSourceFlags(c)
}

func addDeliveryFilters(c *cobra.Command) {
	addWebhookFlag(c)
	c.Flags().String("status", "", "only those that are succeeded, retrying, failed or canceled")
	c.Flags().String("event", "", "only those of this event")
}

// filtered are a webhook's deliveries that the flags want.
func filtered(ctx context.Context, c *client.Client, w webhook, f *pflag.FlagSet) iter.Seq2[client.Delivery, error] {
	return c.Deliveries(w.of.Source, w.ID).Where("status", textOr(f, "status", "")).Where("event", textOr(f, "event", "")).All(ctx)
}

func listDeliveriesCommand(s *session) *cobra.Command {
	n := noun[client.Delivery, struct{}]{
		name: "deliveries", columns: deliveryColumns,
		scope: func(c *cobra.Command) {
			addDeliveryFilters(c)
			f := c.Flags()
			f.String("response-status", "", "only those whose last attempt was answered so: a code such as 500, or a class such as 5xx")
			f.String("since", "", "only those of events since a time such as 2026-11-01T08:00:00Z, or for so long, such as 2h")
			f.String("until", "", "only those of events before such a time")
		},
		list: func(ctx context.Context, c *client.Client, cmd *cobra.Command) (iter.Seq2[client.Delivery, error], error) {
			all, err := searched(ctx, c, cmd, c.AllDeliveries())
			return all.All(ctx), err
		},
		examples: map[string]string{"list": `  boathook deliveries list --status failed --since 2h
  boathook deliveries list --response-status 5xx --deployment hello
  boathook deliveries list --webhook 'status page' --event run.failed`},
	}
	return n.listCommand(s)
}

// searched are those of all deliveries that the flags want.
func searched[In any](ctx context.Context, c *client.Client, cmd *cobra.Command, all client.Collection[client.Delivery, In]) (client.Collection[client.Delivery, In], error) {
	f := cmd.Flags()
	for flag, parameter := range map[string]string{"status": "status", "event": "event_type", "response-status": "response_status"} {
		all = all.Where(parameter, textOr(f, flag, ""))
	}
	for _, flag := range []string{"since", "until"} {
		text := textOr(f, flag, "")
		if text == "" {
			continue
		}
		at, err := instant("--"+flag, text, time.Now())
		if err != nil {
			return all, err
		}
		all = all.Where(flag, at)
	}
	if name := textOr(f, "webhook", ""); name != "" {
		w, err := findWebhook(ctx, c, cmd, name)
		return all.Where("webhook_id", w.ID), err
	}
	src, _, err := sourceOf(ctx, c, cmd)
	if src.kind != boathook.Alerts || err != nil {
		return all.Where("source_id", src.ID()), err // empty without a source
	}
	me, err := c.Me(ctx)
	return all.Where("source_id", boathook.NewAlertsID(me.Workspace.ID)), err
}

func showDeliveryCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Aliases: []string{"get"}, Short: "Show what was sent, and what came of each attempt", Args: exactly("the delivery's id"),
		Example: "  boathook deliveries show 019c5f3e-87a8-8a51-8cd9-2b1f0c6d7e8f",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			d, err := c.Delivery(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if s.output == outputJSON {
				return s.line(d)
			}
			s.printDelivery(d)
			return nil
		}),
	}
}

// printDelivery prints a delivery for a person: its request as it went over the wire, then
// the attempts.
func (s *session) printDelivery(d client.Delivery) {
	w := s.env.Stdout
	fmt.Fprintf(w, "%s of %s to webhook %s: %s after %s\n", d.Event, moment(d.CreatedAt), d.WebhookID, s.paint(string(d.Status)), count(d.AttemptCount, "attempt", "attempts"))
	if d.Reason != nil {
		fmt.Fprintf(w, "Canceled: %s\n", *d.Reason)
	}
	if !d.NextAttemptAt.IsZero() {
		fmt.Fprintf(w, "The next attempt is at %s.\n", moment(d.NextAttemptAt))
	}
	if r := d.Request; r != nil {
		fmt.Fprintf(w, "\n%s %s\n", r.Method, receiverOf(client.OutgoingWebhook{URL: r.URL, Destination: r.Destination}))
		printHeaders(w, r.Headers)
		printBody(w, r.Body)
	}
	for _, a := range d.Attempts {
		fmt.Fprintf(w, "\nAttempt %d at %s, %d ms: %s\n", a.Number, moment(a.SentAt), a.DurationMS, s.outcome(a))
		printHeaders(w, a.ResponseHeaders)
		printBody(w, orEmpty(a.ResponseBody))
		if a.ResponseTruncated {
			fmt.Fprintln(w, "  (the rest was not kept)")
		}
	}
}

func (s *session) outcome(a client.Attempt) string {
	if a.Error == nil {
		return s.paint("succeeded") + " " + responseCode(a.ResponseStatus)
	}
	return s.paint("failed") + " " + oneLine(*a.Error)
}

func printHeaders(w io.Writer, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(w, "  %s: %s\n", name, oneLine(headers[name]))
	}
}

// printBody prints a body, JSON with one field a line.
func printBody(w io.Writer, body string) {
	if body == "" {
		return
	}
	var pretty strings.Builder
	if json.Valid([]byte(body)) {
		e := json.NewEncoder(&pretty)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if e.Encode(json.RawMessage(body)) == nil {
			body = strings.TrimSpace(pretty.String())
		}
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(body) {
		fmt.Fprintf(w, "  %s\n", oneLine(strings.TrimRight(line, "\n")))
	}
}

// count is a number of things in words.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func resendCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "resend ID [ID ...]", Short: "Send deliveries again, by their ids", Args: cobra.MinimumNArgs(1),
		Example: "  boathook deliveries resend 019c5f3e-87a8-8a51-8cd9-2b1f0c6d7e8f",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			for _, id := range args {
				queued, err := c.Resend(cmd.Context(), id)
				if err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				if err := s.show(queued); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

const (
	// tailEvery is how often a tail looks for deliveries, and searchEvery for webhooks.
	tailEvery   = 2 * time.Second
	searchEvery = 30 * time.Second
	// tailed is how many deliveries a tail begins with, of each webhook.
	tailed = 10
	// watched is how many of a webhook's newest deliveries are looked at for changes. They
	// come in one page.
	watched = 200
)

func tailCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "tail", Short: "Show deliveries as they happen, until Ctrl+C", Args: exactly(),
		Long: `Shows deliveries as they happen: each when it is first tried, and again when its
status changes, while it is among the 200 newest of its webhook. Without a webhook
those of the source's webhooks are shown, without a source of all.`,
		Example: "  boathook deliveries tail --deployment hello\n  boathook deliveries tail --status failed --output json",
	}
	addDeliveryFilters(c)
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
		t := tail{s: s, seen: map[string]string{}}
		var webhooks []webhook
		var searched time.Time
		for first := true; cmd.Context().Err() == nil; first = false { // Ctrl+C is how it ends
			if time.Since(searched) >= searchEvery {
				var err error
				if webhooks, err = tailedWebhooks(cmd.Context(), c, cmd); err != nil {
					return err
				}
				searched = time.Now()
			}
			for _, w := range webhooks {
				if err := t.look(filtered(cmd.Context(), c, w, cmd.Flags()), first); err != nil {
					return err
				}
			}
			_ = sleep(cmd.Context(), tailEvery)
		}
		return nil
	})
	return c
}

// tailedWebhooks are the one that the flags name, or all of the source that they name.
func tailedWebhooks(ctx context.Context, c *client.Client, cmd *cobra.Command) (all []webhook, err error) {
	if name := textOr(cmd.Flags(), "webhook", ""); name != "" {
		w, err := findWebhook(ctx, c, cmd, name)
		return []webhook{w}, err
	}
	for w, err := range allWebhooks(ctx, c, cmd) {
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// tail follows deliveries.
type tail struct {
	s    *session
	seen map[string]string // the state that was last shown, by delivery
}

// look shows what is new of a webhook, oldest first: of its newest deliveries those whose
// state has changed, and all before them up to one that was seen. The first time it shows
// as many as a tail begins with.
func (t *tail) look(deliveries iter.Seq2[client.Delivery, error], first bool) error {
	var fresh []client.Delivery
	n := 0
	for d, err := range deliveries {
		if err != nil {
			return err
		}
		state := fmt.Sprint(d.Status, d.AttemptCount)
		before, known := t.seen[d.ID]
		if n++; n > watched && (known || first) {
			break
		}
		if before != state {
			t.seen[d.ID] = state
			fresh = append(fresh, d)
		}
	}
	if first {
		fresh = fresh[:min(len(fresh), tailed)]
	}
	for _, d := range slices.Backward(fresh) {
		if err := t.s.printLine(d); err != nil {
			return err
		}
	}
	return nil
}

// printLine prints a delivery in one line.
func (s *session) printLine(d client.Delivery) error {
	if s.output == outputJSON {
		return s.line(d)
	}
	last := orEmpty(d.LastAttempt)
	_, err := fmt.Fprintf(s.env.Stdout, "%s  %s  %s  %s  %s\n", moment(d.CreatedAt), d.ID, d.Event, s.paint(string(d.Status)),
		oneLine(strings.TrimSpace(responseCode(last.ResponseStatus)+" "+orEmpty(last.Error))))
	return err
}

func recoverCommand(s *session) *cobra.Command {
	var statuses []string
	var dry bool
	c := &cobra.Command{
		Use: "recover", Short: "Send again what a webhook has missed since a time", Args: exactly(),
		Long: `Sends again what a webhook has missed since a time: what failed, what was canceled,
and what still waits for its next attempt. --dry-run counts it first.`,
		Example: `  boathook deliveries recover --webhook 'status page' --since 2h --dry-run
  boathook deliveries recover --webhook 'status page' --since 2026-11-01T08:00:00Z --status failed`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			name := textOr(cmd.Flags(), "webhook", "")
			if name == "" {
				return wrong("--webhook is missing: the one to recover")
			}
			since, until, err := period(cmd.Flags(), time.Now())
			if err != nil {
				return err
			}
			r := client.Recovery{Since: since, Until: until, Statuses: statuses, DryRun: dry}
			w, err := findWebhook(cmd.Context(), c, cmd, name)
			if err != nil {
				return err
			}
			return s.recover(cmd.Context(), c, w, r)
		}),
	}
	addWebhookFlag(c)
	addPeriodFlags(c)
	c.Flags().StringSliceVar(&statuses, "status", nil, "failed, retrying, canceled (default: all of them)")
	c.Flags().BoolVar(&dry, "dry-run", false, "count only")
	return c
}

// addPeriodFlags adds the flags that [period] reads.
func addPeriodFlags(c *cobra.Command) {
	c.Flags().String("since", "", "from when on: a time such as 2026-11-01T08:00:00Z, or how long ago, such as 2h")
	c.Flags().String("until", "", "until when (default: now)")
}

// period is the time that the flags name, in the form of the API; until is empty where
// nobody says.
func period(f *pflag.FlagSet, now time.Time) (since, until string, err error) {
	if since, err = instant("--since", textOr(f, "since", ""), now); err != nil {
		return "", "", err
	}
	if text := textOr(f, "until", ""); text != "" {
		until, err = instant("--until", text, now)
	}
	return since, until, err
}

// instant reads a time, or how long ago it was, in the form of the API.
func instant(flag, text string, now time.Time) (string, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC().Format(boathook.TimeLayout), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "", wrong("%s: %q is neither a time such as 2026-11-01T08:00:00Z nor a duration such as 2h", flag, text)
	}
	return at.UTC().Format(boathook.TimeLayout), nil
}

// recover makes calls until all is queued, and says how far it is on a terminal.
func (s *session) recover(ctx context.Context, c *client.Client, w webhook, r client.Recovery) error {
	total := client.Recovered{ByStatus: map[string]int{}, DryRun: r.DryRun}
	shown := s.progress()
	for {
		part, err := c.Recover(ctx, w.of.Source, w.ID, r)
		if err != nil {
			if total.Queued > 0 {
				return fmt.Errorf("%s queued, then: %w", count(total.Queued, "delivery", "deliveries"), err)
			}
			return err
		}
		total.Queued, total.Until = total.Queued+part.Queued, part.Until
		for status, n := range part.ByStatus {
			total.ByStatus[status] += n
		}
		shown.at(total.Queued)
		if part.NextCursor == nil {
			break
		}
		r.Cursor, r.Until = *part.NextCursor, part.Until.UTC().Format(boathook.TimeLayout)
	}
	shown.end()
	return s.show(total)
}
