package cli

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// webhook is an outgoing webhook, with its source.
type webhook struct {
	client.OutgoingWebhook

	of source
}

func webhookID(w webhook) string   { return w.ID }
func webhookName(w webhook) string { return w.Name }

var webhookColumns = []column[webhook]{
	{"NAME", webhookName}, {"ID", webhookID},
	{"SOURCE", func(w webhook) string { return w.of.name }},
	{"TO", func(w webhook) string { return receiverOf(w.OutgoingWebhook) }},
	{"EVENTS", func(w webhook) string { return joinedTexts(w.Events) }},
	{"ENABLED", func(w webhook) string { return yesNo(w.Enabled) }},
	{"FAILING SINCE", func(w webhook) string { return moment(w.FailingSince) }},
}

func receiverOf(w client.OutgoingWebhook) string {
	switch {
	case w.URL != nil:
		return *w.URL
	case w.Destination != nil && w.Destination.QueueARN != "":
		return w.Destination.QueueARN
	case w.Destination != nil:
		return w.Destination.Type
	default:
		return ""
	}
}

// allWebhooks are those of the source that the flags name, or of all sources.
func allWebhooks(ctx context.Context, c *client.Client, cmd *cobra.Command) iter.Seq2[webhook, error] {
	return func(yield func(webhook, error) bool) {
		for src, err := range sources(ctx, c, cmd) {
			if err != nil {
				yield(webhook{}, err)
				return
			}
			for w, err := range c.OutgoingWebhooks(src.Source).All(ctx) {
				if !yield(webhook{w, src}, err) || err != nil {
					return
				}
			}
		}
	}
}

// findWebhook looks for the outgoing webhook that has a name or an id, in the source that
// the flags name or in all.
func findWebhook(ctx context.Context, c *client.Client, cmd *cobra.Command, name string) (webhook, error) {
	if src, ok, err := sourceOf(ctx, c, cmd); err != nil || ok && isID(boathook.OutgoingID, name) {
		return webhook{client.OutgoingWebhook{ID: name}, src}, err
	}
	return match(allWebhooks(ctx, c, cmd), "outgoing webhook", name, webhookID, webhookID, webhookName)
}

type outgoingWebhooks = client.Collection[client.OutgoingWebhook, client.OutgoingWebhookInput]

func webhooksCommand(s *session) *cobra.Command {
	n := noun[client.OutgoingWebhook, client.OutgoingWebhookInput]{
		name: "webhooks", one: "webhook", scope: addSourceFlags,
		find: func(ctx context.Context, c *client.Client, cmd *cobra.Command, name string) (outgoingWebhooks, string, error) {
			w, err := findWebhook(ctx, c, cmd, name)
			return c.OutgoingWebhooks(w.of.Source), w.ID, err
		},
		create: &creation[client.OutgoingWebhook, client.OutgoingWebhookInput]{
			arguments: "[NAME]", args: cobra.MaximumNArgs(1), flags: addWebhookFlags, make: s.createWebhook,
		},
		update: &change[client.OutgoingWebhookInput]{
			flags: func(c *cobra.Command) {
				c.Flags().String("name", "", "its new name")
				c.Flags().Bool("enabled", true, "--enabled=false ends its deliveries, --enabled begins them again")
				addWebhookFlags(c)
			},
			input: func(cmd *cobra.Command) (client.OutgoingWebhookInput, error) { return changed(s.webhookInput(cmd)) },
		},
		delete: true,
		examples: map[string]string{
			"get": "  boathook webhooks get 'status page'",
			"create": `  boathook webhooks create --deployment hello --url https://status.example.com/hook
  boathook webhooks create alerts --agent echo --url https://hooks.slack.com/services/T/B/X --format slack
  boathook webhooks create 'on call' --alerts --url https://hooks.slack.com/services/T/B/X --format slack
  boathook webhooks create failures --deployment hello --url https://status.example.com/hook --filter '.data.status == "failed"' --transform '{run: .data.run_id}'`,
			"update": "  boathook webhooks update 'status page' --url https://status.example.com/v2\n  boathook webhooks update 'status page' --enabled=false",
			"delete": "  boathook webhooks delete 'status page' --deployment hello",
		},
	}
	all := noun[webhook, client.OutgoingWebhookInput]{
		name: "webhooks", columns: webhookColumns, scope: addSourceFlags,
		list: func(ctx context.Context, c *client.Client, cmd *cobra.Command) (iter.Seq2[webhook, error], error) {
			return allWebhooks(ctx, c, cmd), nil
		},
		examples: map[string]string{"list": "  boathook webhooks list\n  boathook webhooks list --deployment hello"},
	}
	return group(&cobra.Command{
		Use: "webhooks", Aliases: []string{"webhook", "outgoing-webhooks", "outgoing"}, Short: "Work with outgoing webhooks",
		Long: `Work with outgoing webhooks, which tell another system what happened to a source: a
deployment, an agent, a repository, an app or a customer. Those of the workspace's alerts
are told when webhooks or runs fail. Without a source all are looked through.`,
	}, all.listCommand(s), n.getCommand(s), n.createCommand(s), n.updateCommand(s), n.deleteCommand(s), testWebhookCommand(s), previewCommand(s), statsCommand(s), rotateSecretCommand(s))
}

func addWebhookFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("url", "", "where deliveries are sent")
	f.String("queue-arn", "", "an Amazon SQS queue in place of a URL")
	f.StringSlice("events", nil, "what it is told of, separated by commas (default: all of its source)")
	f.String("dialect", "", "how it is signed: crewship, shipway, capawesome or standard (default: its source's)")
	f.String("format", "", "raw, slack, discord or teams")
	f.String("filter", "", "a jq expression over {type, environment, source, data}: true for what it is told of; empty for none")
	f.String("transform", "", "a jq expression over the same that gives the body; empty for none")
	f.StringArray("header", nil, "header that goes with each delivery, as 'Name: value'")
	f.StringSlice("channels", nil, "of published events only those that name one of these, separated by commas; empty for all")
	f.StringToString("metadata", nil, "notes of your own, as NAME=VALUE, in place of those that it has")
	f.Int("timeout", 0, "seconds that the receiver may take")
	f.String("retry", "", "seconds to wait before each further attempt, separated by commas; none for no retries")
	f.Int("rate-limit", 0, "deliveries a second at most")
	f.IntSlice("alert-after", nil, "when the workspace's alerts tell that it fails: `FAILURES,SECONDS`, so many in a row over so many seconds")
	f.String("secret", "", "the signing `secret`, or @FILE (default: one is made, and shown once)")
	addEnvironmentFlag(c)
}

// webhookInput is what the flags of a webhook say.
func (s *session) webhookInput(cmd *cobra.Command) (in client.OutgoingWebhookInput, err error) {
	f := cmd.Flags()
	in = client.OutgoingWebhookInput{
		Name: text(f, "name"), URL: text(f, "url"), Dialect: text(f, "dialect"), Format: text(f, "format"),
		TimeoutSeconds: number(f, "timeout"), Enabled: boolean(f, "enabled"), Environment: environment(f), Events: eventTypes(f),
		Filter: text(f, "filter"), Transform: text(f, "transform"),
	}
	if f.Changed("channels") {
		in.Channels, _ = f.GetStringSlice("channels")
	}
	if f.Changed("metadata") {
		in.Metadata, _ = f.GetStringToString("metadata")
	}
	if arn := text(f, "queue-arn"); arn != nil {
		in.Destination = &client.Destination{Type: string(boathook.DestinationSQS), QueueARN: *arn}
	}
	if retry := text(f, "retry"); retry != nil {
		if in.Retry, err = scheduleOf(*retry); err != nil {
			return in, err
		}
	}
	if rate := number(f, "rate-limit"); rate != nil {
		in.RateLimit = &client.RateLimit{PerSecond: *rate}
	}
	if f.Changed("alert-after") {
		if in.AlertAfter, err = thresholdOf(f); err != nil {
			return in, err
		}
	}
	lines, _ := f.GetStringArray("header")
	if in.Headers, err = headersOf("header", lines); err != nil {
		return in, err
	}
	if given := textOr(f, "secret", ""); given != "" {
		secret, err := givenSecret("secret", given)
		if err != nil {
			return in, err
		}
		in.SigningSecret = &secret
	}
	return in, nil
}

// thresholdOf reads --alert-after.
func thresholdOf(f *pflag.FlagSet) (*client.AlertThreshold, error) {
	numbers, err := f.GetIntSlice("alert-after")
	if err != nil || len(numbers) != 2 {
		return nil, wrong("--alert-after takes two numbers, such as 3,60: failures in a row, and seconds from the first to the last")
	}
	return &client.AlertThreshold{Failures: numbers[0], Seconds: numbers[1]}, nil
}

// scheduleOf reads the waits of --retry.
func scheduleOf(text string) (*client.Retry, error) {
	r := &client.Retry{ScheduleSeconds: []int{}}
	if text == "none" {
		return r, nil
	}
	for wait := range strings.SplitSeq(text, ",") {
		seconds, err := strconv.Atoi(strings.TrimSpace(wait))
		if err != nil {
			return nil, wrong("--retry: %q is no number of seconds; none is for no retries", wait)
		}
		r.ScheduleSeconds = append(r.ScheduleSeconds, seconds)
	}
	return r, nil
}

// createWebhook makes an outgoing webhook. One without a name has that of its receiver's
// host, and one without events is told of all that its source has.
func (s *session) createWebhook(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.OutgoingWebhook, error) {
	src, err := mustSource(ctx, c, cmd)
	if err != nil {
		return client.OutgoingWebhook{}, err
	}
	in, err := s.webhookInput(cmd)
	if err != nil {
		return client.OutgoingWebhook{}, err
	}
	if in.URL == nil && in.Destination == nil {
		return client.OutgoingWebhook{}, wrong("--url is missing: where deliveries are sent")
	}
	switch {
	case len(args) == 1:
		in.Name = &args[0]
	case in.URL != nil:
		u, err := url.Parse(*in.URL)
		if err != nil {
			return client.OutgoingWebhook{}, wrong("--url is not a URL")
		}
		in.Name = &u.Host
	default:
		in.Name = &in.Destination.QueueARN
	}
	if err := complete(ctx, c, src.kind, &in); err != nil {
		return client.OutgoingWebhook{}, err
	}
	return c.OutgoingWebhooks(src.Source).Create(ctx, in)
}

// complete gives a webhook the events that its source has, unless some are given, and a
// deployment's its environment.
func complete(ctx context.Context, c *client.Client, kind boathook.SourceKind, in *client.OutgoingWebhookInput) error {
	if in.Environment == nil && kind == boathook.Deployment {
		production := boathook.Production
		in.Environment = &production
	}
	if in.Events != nil {
		return nil
	}
	if kind == boathook.Customer { // whose types can be many, and more later
		in.Events = []boathook.EventType{boathook.AllEvents}
		return nil
	}
	for t, err := range c.EventTypes().All(ctx) {
		if err != nil {
			return err
		}
		if t.Source == kind {
			in.Events = append(in.Events, t.Type)
		}
	}
	return nil
}

func testWebhookCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "test NAME", Short: "Send the catalogue's example to a webhook", Args: exactly("the webhook's name or id"),
		Example: "  boathook webhooks test 'status page'",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			w, err := findWebhook(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.Test(cmd.Context(), w.of.Source, w.ID))
		}),
	}
	addSourceFlags(c)
	return c
}

func previewCommand(s *session) *cobra.Command {
	var event, environment, data string
	var channels []string
	c := &cobra.Command{
		Use: "preview NAME", Short: "Show what a webhook would be sent of an event, or why not", Args: exactly("the webhook's name or id"),
		Long: `Shows what a webhook would be sent of an event, by its filter and transform, or why it
would not. Nothing is sent.`,
		Example: "  boathook webhooks preview 'status page' --event run.failed --environment production",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			if event == "" {
				return wrong("--event is missing: its type")
			}
			asked := client.PreviewedEvent{Type: boathook.EventType(event), Environment: boathook.Environment(environment), Channels: channels}
			if data != "" {
				var err error
				if asked.Data, err = s.content("--data", data); err != nil {
					return err
				}
				if !json.Valid(asked.Data) {
					return wrong("--data is not JSON")
				}
			}
			w, err := findWebhook(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.Preview(cmd.Context(), w.of.Source, w.ID, asked))
		}),
	}
	addSourceFlags(c)
	c.Flags().StringVar(&event, "event", "", "the event's type")
	c.Flags().StringVar(&environment, "environment", "", "the event's environment (default: of none in particular)")
	c.Flags().StringVarP(&data, "data", "d", "", "the event's data in JSON, @FILE, or - for standard input (default: the type's example)")
	c.Flags().StringSliceVar(&channels, "channels", nil, "the event's channels, separated by commas")
	return c
}

func rotateSecretCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "rotate-secret NAME", Short: "Give a webhook another signing secret", Args: exactly("the webhook's name or id"),
		Long: `Gives a webhook another signing secret, and shows it once. For the overlap deliveries
are signed with both, so that the receiver can be changed in between.`,
		Example: "  boathook webhooks rotate-secret 'status page' --overlap 86400",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			w, err := findWebhook(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.RotateSecret(cmd.Context(), w.of.Source, w.ID, number(cmd.Flags(), "overlap")))
		}),
	}
	addSourceFlags(c)
	c.Flags().Int("overlap", 0, "seconds for which the old secret signs as well (default: the dialect's)")
	return c
}

var incomingColumns = []column[client.IncomingWebhook]{
	{"NAME", incomingName}, {"ID", incomingID},
	{"ENVIRONMENT", func(w client.IncomingWebhook) string { return string(w.Environment) }},
	{"PROOF", func(w client.IncomingWebhook) string { return w.Verification.Preset }},
	{"ENABLED", func(w client.IncomingWebhook) string { return yesNo(w.Enabled) }},
	{"CREATED", func(w client.IncomingWebhook) string { return moment(w.CreatedAt) }},
}

func incomingID(w client.IncomingWebhook) string   { return w.ID }
func incomingName(w client.IncomingWebhook) string { return w.Name }

// ofDeployment gives the deployment that --deployment names.
func ofDeployment(ctx context.Context, c *client.Client, cmd *cobra.Command) (string, error) {
	name := textOr(cmd.Flags(), "deployment", "")
	if name == "" {
		return "", wrong("--deployment is missing: the one that it starts runs of")
	}
	return findDeployment(ctx, c, name)
}

type incomingWebhooks = client.Collection[client.IncomingWebhook, client.IncomingWebhookInput]

func findIncoming(ctx context.Context, c *client.Client, cmd *cobra.Command, name string) (in incomingWebhooks, deployment, id string, err error) {
	deployment, err = ofDeployment(ctx, c, cmd)
	if err != nil {
		return in, "", "", err
	}
	in = c.IncomingWebhooks(deployment)
	id, err = named(in.All(ctx), "incoming webhook", name, boathook.IncomingID, incomingID, incomingName)
	return in, deployment, id, err
}

func addDeploymentFlag(c *cobra.Command) {
	c.Flags().String("deployment", "", "name or id of the deployment that it starts runs of")
}

func incomingCommand(s *session) *cobra.Command {
	return noun[client.IncomingWebhook, client.IncomingWebhookInput]{
		name: "incoming-webhooks", one: "incoming webhook", aliases: []string{"incoming"}, columns: incomingColumns, scope: addDeploymentFlag,
		long: `Work with incoming webhooks: URLs that start runs of a deployment. A URL is a
credential: it is shown when it is new, and to admins again.`,
		list: func(ctx context.Context, c *client.Client, cmd *cobra.Command) (iter.Seq2[client.IncomingWebhook, error], error) {
			deployment, err := ofDeployment(ctx, c, cmd)
			return c.IncomingWebhooks(deployment).All(ctx), err
		},
		find: func(ctx context.Context, c *client.Client, cmd *cobra.Command, name string) (incomingWebhooks, string, error) {
			in, _, id, err := findIncoming(ctx, c, cmd, name)
			return in, id, err
		},
		create: &creation[client.IncomingWebhook, client.IncomingWebhookInput]{
			arguments: "NAME", args: exactly("the name"),
			flags: func(c *cobra.Command) {
				addIncomingFlags(c)
				addEnvironmentFlag(c)
			},
			make: s.createIncoming,
		},
		update: &change[client.IncomingWebhookInput]{
			flags: func(c *cobra.Command) {
				c.Flags().String("name", "", "its new name")
				c.Flags().Bool("enabled", true, "--enabled=false refuses its triggers, --enabled takes them again")
				addIncomingFlags(c)
			},
			input: func(cmd *cobra.Command) (client.IncomingWebhookInput, error) {
				return changed(s.incomingInput(cmd), nil)
			},
		},
		delete: true,
		examples: map[string]string{
			"list":   "  boathook incoming-webhooks list --deployment hello",
			"get":    "  boathook incoming-webhooks get github --deployment hello",
			"create": "  boathook incoming-webhooks create cron --deployment hello\n  BOATHOOK_SECRET=… boathook incoming-webhooks create github --deployment hello --preset github",
			"update": "  boathook incoming-webhooks update cron --deployment hello --enabled=false\n  boathook incoming-webhooks update github --deployment hello --filter '.body.ref == \"refs/heads/main\"'\n  boathook incoming-webhooks update github --deployment hello --coalesce .body.ref --coalesce-quiet 10",
			"delete": "  boathook incoming-webhooks delete cron --deployment hello",
		},
	}.command(s, rotateURLCommand(s), showURLCommand(s), requestsCommand(s))
}

// coalesceOf is how a webhook is to coalesce; nil where that is not said.
func coalesceOf(f *pflag.FlagSet) *client.Coalesce {
	key := text(f, "coalesce")
	switch {
	case key == nil:
		return nil
	case *key == "":
		return &client.Coalesce{}
	}
	c := &client.Coalesce{Key: *key, QuietSeconds: 5}
	if quiet := number(f, "coalesce-quiet"); quiet != nil {
		c.QuietSeconds = *quiet
	}
	c.MaxWaitSeconds = max(60, c.QuietSeconds)
	if wait := number(f, "coalesce-max-wait"); wait != nil {
		c.MaxWaitSeconds = *wait
	}
	return c
}

func addIncomingFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("preset", "", "how the sender proves itself, such as github, stripe or slack; its secret is in "+secretVariable)
	f.Int("wait-for-start", 0, "milliseconds that a trigger waits for its run to start")
	f.Bool("rerun-failed", false, "a repeat of a failed run's trigger starts another")
	f.String("filter", "", "a jq expression over {event, delivery_id, query, body}: true for what starts a run; empty for no filter")
	f.String("coalesce", "", "a jq expression over the same: triggers in a burst for which it gives the same become one run, on the last one's input; empty ends it")
	f.Int("coalesce-quiet", 0, "seconds after the last trigger of a burst until its run starts (default 5)")
	f.Int("coalesce-max-wait", 0, "seconds after the first one in which it starts in any case (default 60, or the quiet time)")
}

func (s *session) incomingInput(cmd *cobra.Command) client.IncomingWebhookInput {
	f := cmd.Flags()
	in := client.IncomingWebhookInput{
		Name: text(f, "name"), Enabled: boolean(f, "enabled"), WaitForStartMS: number(f, "wait-for-start"), RerunFailed: boolean(f, "rerun-failed"),
	}
	if preset := text(f, "preset"); preset != nil {
		in.Verification = &client.Verification{Preset: *preset, Secret: s.env.Getenv(secretVariable)}
	}
	if filter := text(f, "filter"); filter != nil {
		in.Filter = &client.Filter{JQ: *filter}
	}
	in.Coalesce = coalesceOf(f)
	return in
}

func (s *session) createIncoming(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.IncomingWebhook, error) {
	deployment, err := ofDeployment(ctx, c, cmd)
	if err != nil {
		return client.IncomingWebhook{}, err
	}
	in := s.incomingInput(cmd)
	environment := environmentOf(cmd)
	in.Name, in.Environment = &args[0], &environment
	return c.IncomingWebhooks(deployment).Create(ctx, in)
}

func rotateURLCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "rotate NAME", Short: "Give an incoming webhook another URL, and end the one it had", Args: exactly("the incoming webhook's name or id"),
		Example: "  boathook incoming-webhooks rotate cron --deployment hello",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			_, deployment, id, err := findIncoming(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.RotateURL(cmd.Context(), deployment, id))
		}),
	}
	addDeploymentFlag(c)
	return c
}

func showURLCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "url NAME", Short: "Show an incoming webhook's URL again, as an admin", Args: exactly("the incoming webhook's name or id"),
		Long:    "Show an incoming webhook's URL again, as an admin. Boathook's log keeps who asked.",
		Example: "  boathook incoming-webhooks url cron --deployment hello",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			_, deployment, id, err := findIncoming(cmd.Context(), c, cmd, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.IncomingURL(cmd.Context(), deployment, id))
		}),
	}
	addDeploymentFlag(c)
	return c
}

var requestColumns = []column[client.Request]{
	{"AT", func(r client.Request) string { return moment(r.At) }},
	{"OUTCOME", func(r client.Request) string { return r.Outcome }},
	{"STATUS", func(r client.Request) string { return strconv.Itoa(r.Status) }},
	{"RUN", func(r client.Request) string { return orEmpty(r.RunID) }},
	{"REASON", func(r client.Request) string { return orEmpty(r.Reason) }},
}

func requestsCommand(s *session) *cobra.Command {
	var outcome string
	c := &cobra.Command{
		Use: "requests NAME", Short: "List what arrived at an incoming webhook, and why it was refused", Args: exactly("the incoming webhook's name or id"),
		Example: "  boathook incoming-webhooks requests github --deployment hello --outcome rejected",
	}
	limit := limitFlag(c)
	c.Flags().StringVar(&outcome, "outcome", "", "only those that were accepted or rejected")
	addDeploymentFlag(c)
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		_, deployment, id, err := findIncoming(cmd.Context(), c, cmd, args[0])
		if err != nil {
			return err
		}
		requests := c.Requests(deployment, id).Where("outcome", outcome).All(cmd.Context())
		return list(s, requests, *limit, requestColumns)
	})
	return c
}
