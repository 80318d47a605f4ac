package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// noun is a kind of objects with the commands that all kinds have. T is an object, In
// what it is made and changed by. A command that a kind does not have is nil here.
type noun[T, In any] struct {
	name    string // "deployments"
	one     string // "deployment"
	aliases []string
	long    string
	columns []column[T]
	id      func(T) string

	list func(ctx context.Context, c *client.Client, cmd *cobra.Command) (iter.Seq2[T, error], error)
	// find gives the collection of the object that has a name or an id, and its id.
	find func(ctx context.Context, c *client.Client, cmd *cobra.Command, name string) (client.Collection[T, In], string, error)

	create *creation[T, In]
	update *change[In]
	delete bool
	scope  func(*cobra.Command) // adds the flags that say below what the objects are

	examples map[string]string // by verb
}

// creation is how an object is made.
type creation[T, In any] struct {
	arguments string // "NAME"
	args      cobra.PositionalArgs
	flags     func(*cobra.Command)
	make      func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (T, error)
}

// change is how an object is changed.
type change[In any] struct {
	flags func(*cobra.Command)
	input func(cmd *cobra.Command) (In, error)
}

// command is the noun with its verbs, and those of its own.
func (n noun[T, In]) command(s *session, others ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: n.name, Aliases: n.aliases, Short: "Work with " + n.words(), Long: n.long, Args: cobra.NoArgs, RunE: help}
	c.AddCommand(n.listCommand(s))
	if n.find != nil {
		c.AddCommand(n.getCommand(s))
	}
	if n.create != nil {
		c.AddCommand(n.createCommand(s))
	}
	if n.update != nil {
		c.AddCommand(n.updateCommand(s))
	}
	if n.delete {
		c.AddCommand(n.deleteCommand(s))
	}
	c.AddCommand(others...)
	return c
}

// help is what a command does that only has others.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func (n noun[T, In]) verb(use, short string, args cobra.PositionalArgs) *cobra.Command {
	verb, _, _ := strings.Cut(use, " ")
	c := &cobra.Command{Use: use, Short: short, Args: args, Example: n.examples[verb]}
	if n.scope != nil {
		n.scope(c)
	}
	return c
}

func (n noun[T, In]) listCommand(s *session) *cobra.Command {
	c := n.verb("list", "List "+n.words(), exactly())
	limit := limitFlag(c)
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
		objects, err := n.list(cmd.Context(), c, cmd)
		if err != nil {
			return err
		}
		return list(s, objects, *limit, n.columns)
	})
	return c
}

// limitFlag adds the flag of how many objects a list shows.
func limitFlag(c *cobra.Command) *int {
	return c.Flags().Int("limit", 50, "how many to show; 0 for all")
}

// article is a word behind its article.
func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an " + word
	}
	return "a " + word
}

func (n noun[T, In]) words() string { return strings.ReplaceAll(n.name, "-", " ") }

func (n noun[T, In]) argument() string { return "the " + n.one + "'s name or id" }

func (n noun[T, In]) getCommand(s *session) *cobra.Command {
	c := n.verb("get NAME", "Show "+article(n.one)+", by its name or id", exactly(n.argument()))
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		in, id, err := n.find(cmd.Context(), c, cmd, args[0])
		if err != nil {
			return err
		}
		object, err := in.Get(cmd.Context(), id)
		if err != nil {
			return err
		}
		return s.show(object)
	})
	return c
}

func (n noun[T, In]) createCommand(s *session) *cobra.Command {
	c := n.verb(strings.TrimSpace("create "+n.create.arguments), "Make "+article(n.one), n.create.args)
	if n.create.flags != nil {
		n.create.flags(c)
	}
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		object, err := n.create.make(cmd.Context(), c, cmd, args)
		if err != nil {
			return err
		}
		return s.show(object)
	})
	return c
}

func (n noun[T, In]) updateCommand(s *session) *cobra.Command {
	c := n.verb("update NAME", "Change "+article(n.one), exactly(n.argument()))
	n.update.flags(c)
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		change, err := n.update.input(cmd)
		if err != nil {
			return err
		}
		in, id, err := n.find(cmd.Context(), c, cmd, args[0])
		if err != nil {
			return err
		}
		object, err := in.Change(cmd.Context(), id, change)
		if err != nil {
			return err
		}
		return s.show(object)
	})
	return c
}

func (n noun[T, In]) deleteCommand(s *session) *cobra.Command {
	c := n.verb("delete NAME", "Delete "+article(n.one), exactly(n.argument()))
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		in, id, err := n.find(cmd.Context(), c, cmd, args[0])
		if err != nil {
			return err
		}
		if err := in.Delete(cmd.Context(), id); err != nil {
			return err
		}
		s.say("Deleted the %s %s.", n.one, id)
		return nil
	})
	return c
}

// idLength is that of an id after its kind and the underscore.
const idLength = 24

// isID reports whether what a user gave is an id of a kind, and no name.
func isID(kind, text string) bool {
	return boathook.HasIDKind(text, kind) && len(text) == len(kind)+1+idLength
}

// named looks for the one object that has a name or an id of a kind. An id needs no
// request.
func named[T any](objects iter.Seq2[T, error], one, name, kind string, id func(T) string, names ...func(T) string) (string, error) {
	if isID(kind, name) {
		return name, nil
	}
	var ids []string
	for o, err := range objects {
		if err != nil {
			return "", err
		}
		for _, n := range names {
			if n(o) == name {
				ids = append(ids, id(o))
				break
			}
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &Error{Absent, fmt.Errorf("no %s is named %q: the command `list` shows them", one, name)}
	default:
		return "", wrong("%d %ss are named %q; say which by its id: %s", len(ids), one, name, strings.Join(ids, ", "))
	}
}

// finding is the find of objects that lie in one collection of the workspace.
func finding[T, In any](
	collection func(*client.Client) client.Collection[T, In], one, kind string, id func(T) string, names ...func(T) string,
) func(context.Context, *client.Client, *cobra.Command, string) (client.Collection[T, In], string, error) {
	return func(ctx context.Context, c *client.Client, _ *cobra.Command, name string) (client.Collection[T, In], string, error) {
		in := collection(c)
		found, err := named(in.All(ctx), one, name, kind, id, names...)
		return in, found, err
	}
}

// listing is the list of objects that lie in one collection of the workspace.
func listing[T, In any](collection func(*client.Client) client.Collection[T, In]) func(context.Context, *client.Client, *cobra.Command) (iter.Seq2[T, error], error) {
	return func(ctx context.Context, c *client.Client, _ *cobra.Command) (iter.Seq2[T, error], error) {
		return collection(c).All(ctx), nil
	}
}

// errNothingToChange: an update without a flag.
var errNothingToChange = wrong("there is nothing to change: give at least one flag; --help lists them")

// sequence is a slice as a list that can't fail.
func sequence[T any](objects []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, o := range objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}
