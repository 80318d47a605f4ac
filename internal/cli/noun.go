package cli

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
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
	c := group(&cobra.Command{Use: n.name, Aliases: n.aliases, Short: "Work with " + n.words(), Long: n.long}, n.listCommand(s))
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

// group makes a command of one that only has others. By itself it shows its help.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	c.AddCommand(commands...)
	return c
}

// byName makes what needs no more than a name.
func byName[T any](collection func(*client.Client) client.Collection[T, client.NamedInput]) *creation[T, client.NamedInput] {
	return &creation[T, client.NamedInput]{
		arguments: "NAME", args: exactly("the name"),
		make: func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) (T, error) {
			return collection(c).Create(ctx, client.NamedInput{Name: args[0]})
		},
	}
}

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
		return s.shown(in.Get(cmd.Context(), id))
	})
	return c
}

func (n noun[T, In]) createCommand(s *session) *cobra.Command {
	c := n.verb(strings.TrimSpace("create "+n.create.arguments), "Make "+article(n.one), n.create.args)
	if n.create.flags != nil {
		n.create.flags(c)
	}
	c.RunE = s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
		return s.shown(n.create.make(cmd.Context(), c, cmd, args))
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
		return s.shown(in.Change(cmd.Context(), id, change))
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

// named gives the id of the one object that has a name or an id of a kind. An id needs no
// request.
func named[T any](objects iter.Seq2[T, error], one, name, kind string, id func(T) string, names ...func(T) string) (string, error) {
	if isID(kind, name) {
		return name, nil
	}
	found, err := match(objects, one, name, id, names...)
	if err != nil {
		return "", err
	}
	return id(found), nil
}

// match gives the one object that has a name.
func match[T any](objects iter.Seq2[T, error], one, name string, id func(T) string, names ...func(T) string) (found T, err error) {
	var ids []string
	for o, err := range objects {
		if err != nil {
			return found, err
		}
		if slices.ContainsFunc(names, func(of func(T) string) bool { return of(o) == name }) {
			found, ids = o, append(ids, id(o))
		}
	}
	switch len(ids) {
	case 1:
		return found, nil
	case 0:
		return found, &Error{Absent, fmt.Errorf("no %s is named %q: the command `list` shows them", one, name)}
	default:
		return found, wrong("%d %s are named %q; say which by its id: %s", len(ids), plural(one), name, strings.Join(ids, ", "))
	}
}

// plural is more than one of a word.
func plural(word string) string {
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return stem + "ies"
	}
	return word + "s"
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

// changed is the input of an update, which must change something.
func changed[In any](in In, err error) (In, error) {
	if err == nil && reflect.ValueOf(in).IsZero() {
		err = errNothingToChange
	}
	return in, err
}

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
