package cli

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

func crewsCommand(s *session) *cobra.Command {
	return noun[client.Named, client.NamedInput]{
		name: "crews", one: "crew", aliases: []string{"crew"}, columns: namedColumns,
		list:   listing((*client.Client).Crews),
		find:   finding((*client.Client).Crews, "crew", boathook.CrewID, namedID, namedName),
		create: byName((*client.Client).Crews), update: renaming, delete: true,
		examples: map[string]string{
			"list": "  boathook crews list", "create": "  boathook crews create reviewers", "get": "  boathook crews get reviewers",
			"update": "  boathook crews update reviewers --name review", "delete": "  boathook crews delete review",
		},
	}.command(s)
}

var agentColumns = []column[client.AgentEntry]{
	{"SLUG", agentSlug}, {"NAME", agentName}, {"ID", agentID},
	{"CREW", func(a client.AgentEntry) string { return orEmpty(a.Crew).Name }},
	{"CREATED", func(a client.AgentEntry) string { return moment(a.CreatedAt) }},
}

func agentID(a client.AgentEntry) string   { return a.ID }
func agentSlug(a client.AgentEntry) string { return a.Slug }
func agentName(a client.AgentEntry) string { return a.Name }

// findAgent gives the crew and the id of the agent that has a slug, a name or an id.
func findAgent(ctx context.Context, c *client.Client, name string) (crew, id string, err error) {
	a, err := match(allAgents(ctx, c), "agent", name, agentID, agentID, agentSlug, agentName)
	return a.CrewID, a.ID, err
}

// allAgents are those of all crews, as a list.
func allAgents(ctx context.Context, c *client.Client) iter.Seq2[client.AgentEntry, error] {
	return func(yield func(client.AgentEntry, error) bool) {
		agents, err := c.AllAgents(ctx)
		if err != nil {
			yield(client.AgentEntry{}, err)
			return
		}
		sequence(agents)(yield)
	}
}

// agents is the noun of an agent. Its list is of all crews, and tells less of each.
func agents() noun[client.Agent, client.AgentInput] {
	return noun[client.Agent, client.AgentInput]{
		name: "agents", one: "agent", aliases: []string{"agent"},
		find: func(ctx context.Context, c *client.Client, _ *cobra.Command, name string) (client.Collection[client.Agent, client.AgentInput], string, error) {
			crew, id, err := findAgent(ctx, c, name)
			return c.Agents(crew), id, err
		},
		create: &creation[client.Agent, client.AgentInput]{
			arguments: "NAME", args: exactly("the name"), make: createAgent,
			flags: func(c *cobra.Command) {
				c.Flags().String("crew", "", "name or id of its crew; it is made if no crew has the name")
				addAgentFlags(c)
			},
		},
		update: &change[client.AgentInput]{
			flags: func(c *cobra.Command) {
				c.Flags().String("name", "", "its new name")
				addAgentFlags(c)
			},
			input: func(cmd *cobra.Command) (client.AgentInput, error) { return changed(agentInput(cmd)) },
		},
		delete: true,
		examples: map[string]string{
			"get":    "  boathook agents get echo",
			"create": "  boathook agents create Echo --crew reviewers --slug echo --command 'echo \"$BOATHOOK_MESSAGE\"'",
			"update": "  boathook agents update echo --rate-per-minute 120",
			"delete": "  boathook agents delete echo",
		},
	}
}

func agentsCommand(s *session) *cobra.Command {
	n := agents()
	all := noun[client.AgentEntry, client.AgentInput]{
		name: "agents", one: "agent", columns: agentColumns,
		list: func(ctx context.Context, c *client.Client, _ *cobra.Command) (iter.Seq2[client.AgentEntry, error], error) {
			return allAgents(ctx, c), nil
		},
		examples: map[string]string{"list": "  boathook agents list"},
	}
	return group(&cobra.Command{Use: n.name, Aliases: n.aliases, Short: "Work with agents, and trigger them"},
		all.listCommand(s), n.getCommand(s), n.createCommand(s), n.updateCommand(s), n.deleteCommand(s), triggerAgentCommand(s))
}

func addAgentFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("slug", "", "its short name, in log lines")
	f.Bool("require-timestamp", false, "take only triggers with a signed X-Timestamp")
	f.Int("rate-per-minute", 0, "triggers that are taken in a minute")
	f.Int("max-in-flight", 0, "runs that are under way at a time")
	f.Int("dedupe-seconds", 0, "how long the same signed body starts no second run; 0 for never")
	f.String("preset", "", "also take triggers of this sender, such as github or grafana")
	addTargetFlags(c)
}

func agentInput(cmd *cobra.Command) (client.AgentInput, error) {
	f := cmd.Flags()
	target, err := targetOf(cmd)
	return client.AgentInput{
		Name: text(f, "name"), Slug: text(f, "slug"), Target: target, RequireTimestamp: boolean(f, "require-timestamp"),
		RatePerMinute: number(f, "rate-per-minute"), MaxInFlight: number(f, "max-in-flight"), DedupeSeconds: number(f, "dedupe-seconds"),
		Preset: text(f, "preset"),
	}, err
}

func createAgent(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.Agent, error) {
	in, err := agentInput(cmd)
	if err != nil {
		return client.Agent{}, err
	}
	in.Name = &args[0]
	name := textOr(cmd.Flags(), "crew", "")
	if name == "" {
		return client.Agent{}, wrong("--crew is missing: each agent is of a crew")
	}
	crew, err := named(c.Crews().All(ctx), "crew", name, boathook.CrewID, namedID, namedName)
	if ExitCode(err) == Absent {
		var made client.Named
		made, err = c.Crews().Create(ctx, client.NamedInput{Name: name})
		crew = made.ID
	}
	if err != nil {
		return client.Agent{}, err
	}
	return c.Agents(crew).Create(ctx, in)
}

func triggerAgentCommand(s *session) *cobra.Command {
	var data, event, source, secret string
	var watch bool
	c := &cobra.Command{
		Use: "trigger NAME", Short: "Start a run of an agent by a signed request", Args: exactly("the agent's slug, name or id"),
		Long: `Starts a run of an agent as a sender would: by a request that is signed with the
agent's secret. The secret is read by the token, which must be an admin's (each
reading is logged), unless it is given by --secret or BOATHOOK_SECRET.`,
		Example: `  boathook agents trigger echo --event pull_request.opened --source github -d '{"pr_number":42}'
  boathook agents trigger echo -d @payload.json --watch`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			payload, err := s.payload(data, event, source)
			if err != nil {
				return err
			}
			crew, id, err := findAgent(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			key, err := s.agentSecret(cmd.Context(), c, crew, id, secret)
			if err != nil {
				return err
			}
			run, err := c.TriggerAgent(cmd.Context(), crew, id, key, time.Now(), payload)
			if err != nil {
				return err
			}
			return s.started(cmd.Context(), c, watch, run, struct {
				RunID string `json:"run_id"`
			}{run})
		}),
	}
	c.Flags().StringVarP(&data, "data", "d", "", "the event's data in JSON, @FILE, or - for standard input; the whole payload without --event and --source")
	c.Flags().StringVar(&event, "event", "", "what happened")
	c.Flags().StringVar(&source, "source", "", "where it happened")
	c.Flags().StringVar(&secret, "secret", "", "the agent's `secret`, or @FILE; else "+secretVariable)
	c.Flags().BoolVar(&watch, "watch", false, "show the run's log until it is over")
	return c
}

// payload is the body of an agent's trigger: the data itself, or the object that the
// document describes.
func (s *session) payload(data, event, source string) ([]byte, error) {
	body, err := s.content("--data", data)
	if err != nil || event == "" && source == "" {
		return body, err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) {
		return nil, wrong("--data is not JSON")
	}
	return boathook.EncodeJSON(struct {
		Event  string          `json:"event,omitempty"`
		Source string          `json:"source,omitempty"`
		Data   json.RawMessage `json:"data"`
	}{event, source, body})
}

// agentSecret is the secret that is given, or that the token may read.
func (s *session) agentSecret(ctx context.Context, c *client.Client, crew, agent, given string) (string, error) {
	if secret, err := s.secret(given); secret != "" || err != nil {
		return secret, err
	}
	return c.AgentSecret(ctx, crew, agent)
}
