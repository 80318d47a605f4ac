package cli

import (
	"context"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

func repositoryID(r client.Repository) string   { return r.ID }
func repositoryName(r client.Repository) string { return r.Owner + "/" + r.Name }

func repositoriesCommand(s *session) *cobra.Command {
	return noun[client.Repository, client.RepositoryInput]{
		name: "repositories", one: "repository", aliases: []string{"repository", "repos", "repo"},
		columns: []column[client.Repository]{
			{"NAME", repositoryName}, {"ID", repositoryID}, {"CREATED", func(r client.Repository) string { return moment(r.CreatedAt) }},
		},
		list: listing((*client.Client).Repositories),
		find: finding((*client.Client).Repositories, "repository", boathook.RepositoryID, repositoryID, repositoryName),
		create: &creation[client.Repository, client.RepositoryInput]{
			arguments: "OWNER/NAME", args: exactly("owner/name"),
			make: func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) (client.Repository, error) {
				owner, name, ok := strings.Cut(args[0], "/")
				if !ok {
					return client.Repository{}, wrong("a repository is named OWNER/NAME")
				}
				return c.Repositories().Create(ctx, client.RepositoryInput{Owner: owner, Name: name})
			},
		},
		delete: true,
		examples: map[string]string{
			"list": "  boathook repositories list", "get": "  boathook repositories get acme/site",
			"create": "  boathook repositories create acme/site", "delete": "  boathook repositories delete acme/site",
		},
	}.command(s)
}

func appID(a client.App) string   { return a.ID }
func appName(a client.App) string { return a.Name }

func appsCommand(s *session) *cobra.Command {
	return noun[client.App, client.NamedInput]{
		name: "apps", one: "app", aliases: []string{"app"},
		columns: []column[client.App]{
			{"NAME", appName}, {"ID", appID}, {"CREATED", func(a client.App) string { return moment(a.CreatedAt) }},
		},
		list:   listing((*client.Client).Apps),
		find:   finding((*client.Client).Apps, "app", boathook.AppID, appID, appName),
		create: byName((*client.Client).Apps), update: renaming, delete: true,
		examples: map[string]string{
			"list": "  boathook apps list", "get": "  boathook apps get demo", "create": "  boathook apps create demo",
			"update": "  boathook apps update demo --name shop", "delete": "  boathook apps delete shop",
		},
	}.command(s)
}

func tokenID(t client.Token) string   { return t.ID }
func tokenName(t client.Token) string { return t.Name }

func tokensCommand(s *session) *cobra.Command {
	return noun[client.Token, client.TokenInput]{
		name: "tokens", one: "token", aliases: []string{"token"},
		long: "Work with API tokens, as an admin. A token is shown once, when it is made.",
		columns: []column[client.Token]{
			{"NAME", tokenName}, {"ID", tokenID}, {"ROLE", func(t client.Token) string { return string(t.Role) }},
			{"CREATED", func(t client.Token) string { return moment(t.CreatedAt) }},
		},
		list: listing((*client.Client).Tokens),
		find: finding((*client.Client).Tokens, "token", boathook.TokenID, tokenID, tokenName),
		create: &creation[client.Token, client.TokenInput]{
			arguments: "NAME", args: exactly("the name"),
			flags: func(c *cobra.Command) { c.Flags().String("role", string(boathook.Member), "viewer, member or admin") },
			make: func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.Token, error) {
				return c.Tokens().Create(ctx, client.TokenInput{Name: args[0], Role: boathook.Role(textOr(cmd.Flags(), "role", ""))})
			},
		},
		delete: true,
		examples: map[string]string{
			"list": "  boathook tokens list", "get": "  boathook tokens get ci",
			"create": "  boathook tokens create ci --role member", "delete": "  boathook tokens delete ci",
		},
	}.command(s)
}

// A source is what outgoing webhooks hang on, with what a user calls it.
type source struct {
	client.Source

	kind boathook.SourceKind
	name string // "deployment hello"
}

// addSourceFlags adds the flags that name a source.
func addSourceFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("deployment", "", "name or id of the deployment that it is about")
	f.String("agent", "", "slug, name or id of the agent")
	f.String("repository", "", "OWNER/NAME or id of the repository")
	f.String("app", "", "name or id of the app")
	f.String("customer", "", "external id, name or id of the customer")
	f.Bool("alerts", false, "the workspace's alerts: what Boathook tells of itself")
	c.MarkFlagsMutuallyExclusive("deployment", "agent", "repository", "app", "customer", "alerts")
}

// sourceOf is the source that the flags name; false if they name none.
func sourceOf(ctx context.Context, c *client.Client, cmd *cobra.Command) (_ source, ok bool, err error) {
	f := cmd.Flags()
	if name := text(f, "deployment"); name != nil {
		id, err := findDeployment(ctx, c, *name)
		return source{client.DeploymentSource(id), boathook.Deployment, "deployment " + *name}, true, err
	}
	if name := text(f, "agent"); name != nil {
		crew, id, err := findAgent(ctx, c, *name)
		return source{client.AgentSource(crew, id), boathook.Agent, "agent " + *name}, true, err
	}
	if name := text(f, "repository"); name != nil {
		id, err := named(c.Repositories().All(ctx), "repository", *name, boathook.RepositoryID, repositoryID, repositoryName)
		return source{client.RepositorySource(id), boathook.Repository, "repository " + *name}, true, err
	}
	if name := text(f, "app"); name != nil {
		id, err := named(c.Apps().All(ctx), "app", *name, boathook.AppID, appID, appName)
		return source{client.AppSource(id), boathook.App, "app " + *name}, true, err
	}
	if name := text(f, "customer"); name != nil {
		id, err := findCustomer(ctx, c, *name)
		return source{client.CustomerSource(id), boathook.Customer, "customer " + *name}, true, err
	}
	if on := boolean(f, "alerts"); on != nil && *on {
		return alertsSource, true, nil
	}
	return source{}, false, nil
}

var alertsSource = source{client.AlertsSource(), boathook.Alerts, "alerts"}

// mustSource is the source that the flags name.
func mustSource(ctx context.Context, c *client.Client, cmd *cobra.Command) (source, error) {
	src, ok, err := sourceOf(ctx, c, cmd)
	if err == nil && !ok {
		err = wrong("say of which source: --deployment, --agent, --repository, --app, --customer or --alerts")
	}
	return src, err
}

// sources are the one that the flags name, or all of the workspace.
func sources(ctx context.Context, c *client.Client, cmd *cobra.Command) iter.Seq2[source, error] {
	return func(yield func(source, error) bool) {
		one, ok, err := sourceOf(ctx, c, cmd)
		if ok || err != nil {
			yield(one, err)
			return
		}
		for _, kind := range []iter.Seq2[source, error]{
			each(c.Deployments().All(ctx), func(d client.Deployment) source {
				return source{client.DeploymentSource(d.ID), boathook.Deployment, "deployment " + d.Name}
			}),
			each(allAgents(ctx, c), func(a client.AgentEntry) source {
				return source{client.AgentSource(a.CrewID, a.ID), boathook.Agent, "agent " + a.Slug}
			}),
			each(c.Repositories().All(ctx), func(r client.Repository) source {
				return source{client.RepositorySource(r.ID), boathook.Repository, "repository " + repositoryName(r)}
			}),
			each(c.Apps().All(ctx), func(a client.App) source {
				return source{client.AppSource(a.ID), boathook.App, "app " + a.Name}
			}),
			each(c.Customers().All(ctx), func(c client.Customer) source {
				return source{client.CustomerSource(c.ID), boathook.Customer, "customer " + c.Name}
			}),
			func(yield func(source, error) bool) { yield(alertsSource, nil) },
		} {
			for src, err := range kind {
				if !yield(src, err) || err != nil {
					return
				}
			}
		}
	}
}

// each is a list of other things, made of those of a list.
func each[A, B any](list iter.Seq2[A, error], f func(A) B) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		for a, err := range list {
			if !yield(f(a), err) {
				return
			}
		}
	}
}
