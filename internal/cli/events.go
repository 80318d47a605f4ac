package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

func typeName(t client.EventType) string { return string(t.Type) }

func eventTypesCommand(s *session) *cobra.Command {
	var data string
	return noun[client.EventType, struct{}]{
		name: "event-types", one: "event type", aliases: []string{"event-type", "events", "event"},
		long: "Work with the types of events that webhooks are told of: the catalogue, and those\nthat you define for your customers. `boathook publish` publishes an event.",
		columns: []column[client.EventType]{
			{"TYPE", typeName},
			{"SOURCE", func(t client.EventType) string { return string(t.Source) }},
			{"CAN BE PUBLISHED", func(t client.EventType) string { return yesNo(t.Publishable) }},
			{"ARCHIVED", func(t client.EventType) string { return moment(t.ArchivedAt) }},
		},
		list: listing((*client.Client).EventTypes),
		find: func(_ context.Context, c *client.Client, _ *cobra.Command, name string) (client.Collection[client.EventType, struct{}], string, error) {
			return c.EventTypes(), name, nil
		},
		create: &creation[client.EventType, struct{}]{
			arguments: "NAME", args: exactly("the type's name"),
			flags: func(c *cobra.Command) {
				c.Flags().StringVarP(&data, "data", "d", "", "its description, schema, example and version in JSON, @FILE, or - for standard input")
			},
			make: func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) (client.EventType, error) {
				in, err := s.typeDefinition(data)
				if err != nil {
					return client.EventType{}, err
				}
				return c.PutEventType(ctx, boathook.EventType(args[0]), in)
			},
		},
		delete: true,
		examples: map[string]string{
			"list":   "  boathook event-types list",
			"get":    "  boathook event-types get build_finish --output json",
			"create": "  boathook event-types create invoice.paid -d @invoice.json\n  boathook event-types create invoice.due -d '{\"description\":\"An invoice is due.\"}'",
			"delete": "  boathook event-types delete invoice.due",
		},
	}.command(s)
}

// typeDefinition is what --data says of a type. Only the fields of one are taken, so that
// a misspelt one is not left out in silence.
func (s *session) typeDefinition(data string) (in client.EventTypeInput, err error) {
	body, err := s.content("--data", data)
	if err != nil {
		return in, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return in, wrong("--data is missing, or is not the JSON of a type: %w", err)
	}
	return in, nil
}

func publishCommand(s *session) *cobra.Command {
	var data, src, id, key, environment string
	var channels []string
	c := &cobra.Command{
		Use: "publish TYPE", Short: "Publish an event of a source to its webhooks", Args: exactly("the event's type"),
		Long: `Publishes an event to the webhooks of its source that want it. The source is an id,
OWNER/NAME of a repository, customer:EXTERNAL-ID, or the name of an app or a
deployment. With the same --id a second call publishes nothing new.`,
		Example: `  boathook publish job_finished --source demo -d @job.json
  boathook publish invoice.paid --source customer:acct_1042 -d '{"invoice":"inv_17"}'
  boathook event-types get build_finish -o json | jq .example | boathook publish build_finish --source acme/site -d -`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			body, err := s.content("--data", data)
			if err != nil {
				return err
			}
			if !json.Valid(body) {
				return wrong("--data is missing, or is not JSON")
			}
			from, err := findSource(cmd.Context(), c, src)
			if err != nil {
				return err
			}
			published, err := c.Publish(cmd.Context(), []client.EventInput{{
				ID: id, Source: from, Type: boathook.EventType(args[0]), Environment: boathook.Environment(environment), Data: body, Channels: channels,
			}}, key)
			if err != nil {
				return err
			}
			return s.show(published[0])
		}),
	}
	c.Flags().StringVar(&src, "source", "", "where it happened: a name or an id")
	c.Flags().StringVarP(&data, "data", "d", "", "the event's data in JSON, @FILE, or - for standard input")
	c.Flags().StringVar(&id, "id", "", "the event's id, of your own choice")
	c.Flags().StringVar(&key, "idempotency-key", "", "key under which a repeat publishes nothing")
	c.Flags().StringVar(&environment, "environment", "", "only webhooks of production, or of staging")
	c.Flags().StringSliceVar(&channels, "channels", nil, "only webhooks that name one of these, or none, separated by commas")
	return c
}

// findSource gives the id of the one source that has a name, whatever its kind.
func findSource(ctx context.Context, c *client.Client, name string) (string, error) {
	if name == "" {
		return "", wrong("--source is missing: where it happened")
	}
	for _, kind := range []string{boathook.DeploymentID, boathook.AgentID, boathook.RepositoryID, boathook.AppID, boathook.CustomerID} {
		if isID(kind, name) {
			return name, nil
		}
	}
	if strings.HasPrefix(name, "customer:") {
		return name, nil // which the server looks up
	}
	if strings.Contains(name, "/") {
		return named(c.Repositories().All(ctx), "repository", name, boathook.RepositoryID, repositoryID, repositoryName)
	}
	type of struct{ id, name string }
	return named(func(yield func(of, error) bool) {
		for a, err := range c.Apps().All(ctx) {
			if !yield(of{a.ID, a.Name}, err) {
				return
			}
		}
		for d, err := range c.Deployments().All(ctx) {
			if !yield(of{d.ID, d.Name}, err) {
				return
			}
		}
	}, "app or deployment", name, "", func(o of) string { return o.id }, func(o of) string { return o.name })
}

var queueColumns = []column[client.Queue]{
	{"QUEUE", func(q client.Queue) string { return q.Queue }},
	{"READY", func(q client.Queue) string { return strconv.Itoa(q.Depth.Ready) }},
	{"IN FLIGHT", func(q client.Queue) string { return strconv.Itoa(q.Depth.InFlight) }},
	{"DELAYED", func(q client.Queue) string { return strconv.Itoa(q.Depth.Delayed) }},
	{"DEAD", func(q client.Queue) string { return strconv.Itoa(q.Dead.Ready) }},
	{"REDRIVE", func(q client.Queue) string { return orEmpty(q.Move).Status }},
}

func queuesCommand(s *session) *cobra.Command {
	return group(&cobra.Command{
		Use: "queues", Aliases: []string{"queue"}, Short: "Look at the server's queues, and redrive what is dead",
		Long: `Looks at the server's queues, as an admin of its first workspace. What could not be
handled is in a queue's dead-letter queue until it is redriven.`,
	}, noun[client.Queue, struct{}]{
		name: "queues", columns: queueColumns,
		list: func(ctx context.Context, c *client.Client, _ *cobra.Command) (iter.Seq2[client.Queue, error], error) {
			queues, err := c.Queues(ctx)
			return sequence(queues), err
		},
		examples: map[string]string{"list": "  boathook queues list"},
	}.listCommand(s), &cobra.Command{
		Use: "redrive QUEUE", Short: "Move what is dead back into its queue", Args: exactly("the queue: runs, deliveries or retries"),
		Example: "  boathook queues redrive deliveries",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			return s.shown(c.Redrive(cmd.Context(), args[0]))
		}),
	})
}
