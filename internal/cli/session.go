package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// The variables that win over a profile.
const (
	urlVariable     = "BOATHOOK_URL"
	tokenVariable   = "BOATHOOK_TOKEN"
	profileVariable = "BOATHOOK_PROFILE"
)

// SecretVariables are those that hold secrets. A server that is started beside them must
// not hand them to what it starts.
func SecretVariables() []string { return []string{tokenVariable, secretVariable} }

// session is one call of the program: what is around it, and the flags that all commands
// have.
type session struct {
	env     Environment
	profile string
	output  string
}

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func (s *session) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.profile, "profile", "", "profile of boathook login to use ("+profileVariable+")")
	flags.StringVarP(&s.output, "output", "o", outputTable, "table, or json: one object, or one a line for a list")
}

// client speaks with the Boathook that the variables or the profile name.
func (s *session) client() (*client.Client, error) {
	p, err := s.access()
	if err != nil {
		return nil, err
	}
	return s.clientOf(p)
}

// clientOf speaks with the Boathook of a profile.
func (s *session) clientOf(p profile) (*client.Client, error) {
	var options []client.Option
	if s.env.Transport != nil {
		options = append(options, client.WithTransport(s.env.Transport))
	}
	c, err := client.New(p.URL, p.Token, options...)
	if err != nil {
		return nil, &Error{Usage, err}
	}
	return c, nil
}

// access is the URL and the token to use. A variable wins over the profile. A token is
// sent only to the URL that it belongs to: the profile's goes to no other.
func (s *session) access() (profile, error) {
	url, token := s.env.Getenv(urlVariable), s.env.Getenv(tokenVariable)
	if url != "" && token != "" {
		return profile{url, token}, nil
	}
	kept, err := s.keptProfile()
	if err != nil {
		return profile{}, err
	}
	if url == "" {
		url = kept.URL
	}
	if token == "" && strings.TrimRight(url, "/") == strings.TrimRight(kept.URL, "/") {
		token = kept.Token
	}
	switch {
	case url == "":
		return profile{}, &Error{Denied, fmt.Errorf("it is not known which Boathook to talk to: run `boathook login`, or set %s and %s", urlVariable, tokenVariable)}
	case token == "":
		return profile{}, &Error{Denied, fmt.Errorf("there is no token for %s: run `boathook login`, or set %s", url, tokenVariable)}
	}
	return profile{url, token}, nil
}

// runner makes a cobra command's function of one that uses the session's client.
func (s *session) runner(f func(c *client.Client, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if s.output != outputTable && s.output != outputJSON {
			return wrong("--output: %q is neither table nor json", s.output)
		}
		c, err := s.client()
		if err != nil {
			return err
		}
		return advise(f(c, cmd, args))
	}
}

// advise adds the next step to an error that has one.
func advise(err error) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	switch statusCode(e.Status) {
	case Denied:
		if e.Status == 401 {
			return fmt.Errorf("the token is not taken: run `boathook login` again, or look at %s: %w", tokenVariable, err)
		}
		return fmt.Errorf("%w; `boathook whoami` shows the token's role", err)
	default:
		return err
	}
}

// exactly takes n arguments, and says what they are.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fmt.Errorf("%s is missing; see `%s --help`", names[len(args)], cmd.CommandPath())
		}
		if len(args) > len(names) {
			return fmt.Errorf("%q is too much; see `%s --help`", args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}

// content reads what a flag or an argument names: @FILE is a file, - standard input, and
// anything else itself.
func (s *session) content(what, text string) ([]byte, error) {
	switch {
	case text == "-":
		return io.ReadAll(s.env.Stdin)
	case strings.HasPrefix(text, "@"):
		body, err := os.ReadFile(text[1:])
		if err != nil {
			return nil, wrong("%s: %w", what, err)
		}
		return body, nil
	default:
		return []byte(text), nil
	}
}

// text, number and boolean are flags' values; nil for a flag that was not given.
func text(flags *pflag.FlagSet, name string) *string {
	if !flags.Changed(name) {
		return nil
	}
	v, _ := flags.GetString(name)
	return &v
}

func number(flags *pflag.FlagSet, name string) *int {
	if !flags.Changed(name) {
		return nil
	}
	v, _ := flags.GetInt(name)
	return &v
}

func boolean(flags *pflag.FlagSet, name string) *bool {
	if !flags.Changed(name) {
		return nil
	}
	v, _ := flags.GetBool(name)
	return &v
}

// environment is the flag of that name; nil if it was not given.
func environment(flags *pflag.FlagSet) *boathook.Environment {
	return (*boathook.Environment)(text(flags, "environment"))
}

// eventTypes are the flag "events"; nil if it was not given.
func eventTypes(flags *pflag.FlagSet) (types []boathook.EventType) {
	names, _ := flags.GetStringSlice("events")
	for _, name := range names {
		types = append(types, boathook.EventType(name))
	}
	return types
}

// textOr is a flag's value, or another if it is empty or not there.
func textOr(flags *pflag.FlagSet, name, other string) string {
	v, _ := flags.GetString(name)
	return cmp.Or(v, other)
}
