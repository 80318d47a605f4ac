package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

func namedID(n client.Named) string   { return n.ID }
func namedName(n client.Named) string { return n.Name }

var namedColumns = []column[client.Named]{
	{"NAME", namedName}, {"ID", namedID}, {"CREATED", func(n client.Named) string { return moment(n.CreatedAt) }},
}

// renaming changes what has no more than a name.
var renaming = &change[client.NamedInput]{
	flags: func(c *cobra.Command) { c.Flags().String("name", "", "its new name") },
	input: func(cmd *cobra.Command) (client.NamedInput, error) {
		name := text(cmd.Flags(), "name")
		if name == nil {
			return client.NamedInput{}, errNothingToChange
		}
		return client.NamedInput{Name: *name}, nil
	},
}

func deploymentID(d client.Deployment) string   { return d.ID }
func deploymentName(d client.Deployment) string { return d.Name }

var deploymentColumns = []column[client.Deployment]{
	{"NAME", deploymentName}, {"ID", deploymentID}, {"RETRIES", retriesOf}, {"AT A TIME", limitOf}, {"CREATED", func(d client.Deployment) string { return moment(d.CreatedAt) }},
}

func retriesOf(d client.Deployment) string {
	if d.Retry == nil {
		return "none"
	}
	return fmt.Sprintf("%d from %s", d.Retry.Max, time.Duration(d.Retry.BackoffSeconds)*time.Second)
}

func limitOf(d client.Deployment) string {
	if d.MaxInFlight == nil {
		return "any"
	}
	return strconv.Itoa(*d.MaxInFlight)
}

// addDeploymentFlags adds the flags that say how runs follow one another.
func addDeploymentFlags(c *cobra.Command) {
	f := c.Flags()
	f.Int("retry-max", 0, "times that a run which failed is retried without being asked for; 0 ends it")
	f.Int("retry-backoff", 0, "seconds before the first retry; each later one waits twice as long, an hour at most (default 30)")
	f.Int("max-in-flight", 0, "runs that execute at a time, at most 1000; others wait in order; 0 ends it")
}

func deploymentInput(cmd *cobra.Command) (client.DeploymentInput, error) {
	f := cmd.Flags()
	in := client.DeploymentInput{Name: text(f, "name"), MaxInFlight: number(f, "max-in-flight")}
	most, backoff := number(f, "retry-max"), number(f, "retry-backoff")
	if most != nil {
		in.Retry = &client.RunRetries{Max: *most}
	}
	if backoff != nil {
		if most == nil {
			return in, wrong("--retry-backoff needs --retry-max")
		}
		in.Retry.BackoffSeconds = *backoff
	}
	return in, nil
}

// findDeployment gives the id of the deployment that has a name or an id.
func findDeployment(ctx context.Context, c *client.Client, name string) (string, error) {
	return named(c.Deployments().All(ctx), "deployment", name, boathook.DeploymentID, deploymentID, deploymentName)
}

func deploymentsCommand(s *session) *cobra.Command {
	n := noun[client.Deployment, client.DeploymentInput]{
		name: "deployments", one: "deployment", aliases: []string{"deployment", "dep"}, columns: deploymentColumns,
		list: listing((*client.Client).Deployments),
		find: finding((*client.Client).Deployments, "deployment", boathook.DeploymentID, deploymentID, deploymentName),
		create: &creation[client.Deployment, client.DeploymentInput]{
			arguments: "NAME", args: exactly("the name"), make: createDeployment,
			flags: func(c *cobra.Command) { addTargetFlags(c); addDeploymentFlags(c) },
		},
		update: &change[client.DeploymentInput]{
			flags: func(c *cobra.Command) {
				c.Flags().String("name", "", "its new name")
				addDeploymentFlags(c)
			},
			input: func(cmd *cobra.Command) (client.DeploymentInput, error) { return changed(deploymentInput(cmd)) },
		},
		delete: true,
		examples: map[string]string{
			"list":   "  boathook deployments list\n  boathook deployments list --output json --limit 0",
			"get":    "  boathook deployments get hello",
			"create": "  boathook deployments create hello --command 'cat'\n  boathook deployments create report --url https://jobs.example.com/report --timeout 300",
			"update": "  boathook deployments update hello --name greeting\n  boathook deployments update report --retry-max 3 --retry-backoff 30\n  boathook deployments update report --max-in-flight 1",
			"delete": "  boathook deployments delete hello",
		},
	}
	return n.command(s, deployCommand(s), versionsCommand(s), activateCommand(s))
}

// createDeployment makes a deployment and, if a target is given, a version of it. If the
// version is refused the deployment is taken back, so that the command can be repeated.
func createDeployment(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.Deployment, error) {
	target, err := targetOf(cmd)
	if err != nil {
		return client.Deployment{}, err
	}
	in, err := deploymentInput(cmd)
	if err != nil {
		return client.Deployment{}, err
	}
	in.Name = &args[0]
	d, err := c.Deployments().Create(ctx, in)
	if err != nil || target == nil {
		return d, err
	}
	_, err = c.Versions(d.ID).Create(ctx, client.VersionInput{Environment: environmentOf(cmd), Target: *target})
	if err != nil {
		return d, errors.Join(err, c.Deployments().Delete(ctx, d.ID))
	}
	return d, nil
}

// addTargetFlags adds the flags that say how runs are executed.
func addTargetFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("url", "", "run by a POST to this URL; the response's lines are the log")
	f.String("function-arn", "", "run by this Lambda function")
	f.String("runtime-arn", "", "run by this AgentCore runtime")
	f.String("command", "", "run by this line of sh (only where the server allows command targets)")
	f.StringArray("target-header", nil, "header that goes to the URL with each run, as 'Name: value'")
	f.Int("timeout", 0, "seconds that a run may take; 0 is the server's default")
	addEnvironmentFlag(c)
}

func addEnvironmentFlag(c *cobra.Command) {
	c.Flags().String("environment", "", "production (the default) or staging")
}

func environmentOf(cmd *cobra.Command) boathook.Environment {
	return boathook.Environment(textOr(cmd.Flags(), "environment", string(boathook.Production)))
}

// targetOf is what the flags of a target say; nil if they say nothing.
func targetOf(cmd *cobra.Command) (*boathook.Target, error) {
	f := cmd.Flags()
	t := boathook.Target{}
	t.TimeoutSeconds, _ = f.GetInt("timeout")
	given := 0
	for _, kind := range []struct {
		flag string
		set  func(string)
	}{
		{"url", func(v string) { t.Type, t.URL = boathook.TargetHTTP, v }},
		{"function-arn", func(v string) { t.Type, t.FunctionARN = boathook.TargetLambda, v }},
		{"runtime-arn", func(v string) { t.Type, t.RuntimeARN = boathook.TargetAgentCore, v }},
		{"command", func(v string) { t.Type, t.Argv = boathook.TargetCommand, []string{"sh", "-c", v} }},
	} {
		if value := text(f, kind.flag); value != nil {
			given++
			kind.set(*value)
		}
	}
	if given > 1 {
		return nil, wrong("--url, --function-arn, --runtime-arn and --command: give one of them")
	}
	if given == 0 {
		return nil, nil
	}
	headers, _ := f.GetStringArray("target-header")
	var err error
	t.Headers, err = headersOf("target-header", headers)
	return &t, err
}

// headersOf reads headers of a flag; nil if there are none.
func headersOf(flag string, lines []string) (map[string]string, error) {
	given, err := givenHeaders(flag, lines)
	if err != nil || len(given) == 0 {
		return nil, err
	}
	return boathook.JoinedHeaders(given), nil
}

var versionColumns = []column[client.Version]{
	{"NUMBER", func(v client.Version) string { return strconv.Itoa(v.Number) }},
	{"ID", func(v client.Version) string { return v.ID }},
	{"LIVE IN", func(v client.Version) string { return joinedTexts(v.LiveIn) }},
	{"TARGET", func(v client.Version) string { return describeTarget(v.Target) }},
	{"CREATED", func(v client.Version) string { return moment(v.CreatedAt) }},
}

func joinedTexts[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

func describeTarget(t boathook.Target) string {
	return string(t.Type) + " " + t.URL + t.FunctionARN + t.RuntimeARN + strings.Join(t.Argv, " ")
}

func deployCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "deploy NAME", Short: "Make a new version of a deployment, and put it live", Args: exactly("the deployment's name or id"),
		Example: "  boathook deployments deploy hello --command 'tr a-z A-Z'\n  boathook deployments deploy report --url https://jobs.example.com/v2 --environment staging",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			target, err := targetOf(cmd)
			if err != nil {
				return err
			}
			if target == nil {
				return wrong("say how it runs: --url, --function-arn, --runtime-arn or --command")
			}
			id, err := findDeployment(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.Versions(id).Create(cmd.Context(), client.VersionInput{Environment: environmentOf(cmd), Target: *target}))
		}),
	}
	addTargetFlags(c)
	return c
}

func versionsCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "versions NAME", Short: "List the versions of a deployment", Args: exactly("the deployment's name or id"),
		Example: "  boathook deployments versions hello",
	}
	limit := limitFlag(c)
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		id, err := findDeployment(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		return list(s, c.Versions(id).All(cmd.Context()), *limit, versionColumns)
	})
	return c
}

func activateCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "activate NAME VERSION", Short: "Put a version live again, by its number or id (roll back)",
		Args:    exactly("the deployment's name or id", "the version's number or id"),
		Example: "  boathook deployments activate hello 1",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			id, err := findDeployment(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			version, err := named(c.Versions(id).All(cmd.Context()), "version", args[1], boathook.VersionID,
				func(v client.Version) string { return v.ID }, func(v client.Version) string { return strconv.Itoa(v.Number) })
			if err != nil {
				return err
			}
			return s.shown(c.Activate(cmd.Context(), id, version))
		}),
	}
}
