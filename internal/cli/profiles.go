package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"boathook/internal/client"
)

// profile is how a Boathook is reached, and as whom.
type profile struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// profiles is the file that `boathook login` keeps, readable by its owner only.
type profiles struct {
	Current  string             `json:"current"`
	Profiles map[string]profile `json:"profiles"`

	// ListenSecrets are the signing secrets that `boathook listen` gave to its webhooks,
	// by URL and source, so that a receiver's setting stays good.
	ListenSecrets map[string]string `json:"listen_secrets,omitempty"`
}

const defaultProfile = "default"

// profilesPath is where they are kept.
func (s *session) profilesPath() (string, error) {
	if s.env.ConfigDir == "" {
		return "", fmt.Errorf("this user has no folder for settings (HOME and XDG_CONFIG_HOME are not set): set %s and %s", urlVariable, tokenVariable)
	}
	return filepath.Join(s.env.ConfigDir, "boathook", "profiles.json"), nil
}

// readProfiles reads them; there may be none.
func (s *session) readProfiles() (profiles, error) {
	none := profiles{Profiles: map[string]profile{}}
	path, err := s.profilesPath()
	if err != nil {
		return none, err
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	p := none
	if err := json.Unmarshal(body, &p); err != nil {
		return none, fmt.Errorf("%s is damaged (%w): remove it, and log in again", path, err)
	}
	return p, nil
}

// writeProfiles keeps them. The file is replaced as a whole, so that it is never half
// written.
func (s *session) writeProfiles(p profiles) error {
	path, err := s.profilesPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "profiles-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(body, '\n'))
	if err := cmp.Or(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// profileName is the profile that was asked for; empty for the current one.
func (s *session) profileName() string {
	return cmp.Or(s.profile, s.env.Getenv(profileVariable))
}

// keptProfile is the profile to use; empty if there is none and none was asked for.
func (s *session) keptProfile() (profile, error) {
	name := s.profileName()
	if s.env.ConfigDir == "" && name == "" {
		return profile{}, nil
	}
	kept, err := s.readProfiles()
	if err != nil {
		return profile{}, err
	}
	p, ok := kept.Profiles[cmp.Or(name, kept.Current, defaultProfile)]
	if !ok && name != "" {
		return profile{}, &Error{Absent, fmt.Errorf("there is no profile %q: run `boathook login --profile %s`", name, name)}
	}
	return p, nil
}

func loginCommand(s *session) *cobra.Command {
	var tokenFile string
	c := &cobra.Command{
		Use: "login URL", Short: "Keep the URL and the token of a Boathook in a profile", Args: exactly("the URL"),
		Long: `Keeps the URL and the token of a Boathook in a profile, which the other commands then
use. The token is asked for, or read from a file or from standard input, so that it is
in no history of a shell. It is tried before it is kept, in a file that only you can
read.`,
		Example: `  boathook login http://127.0.0.1:8080 --token-file .data/admin-token
  boathook login https://hooks.example.com --profile work`,
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := s.askToken(tokenFile)
			if err != nil {
				return err
			}
			c, err := s.clientOf(profile{args[0], token})
			if err != nil {
				return err
			}
			me, err := c.Me(cmd.Context())
			if err != nil {
				return err
			}
			kept, err := s.readProfiles()
			if err != nil {
				return err
			}
			name := cmp.Or(s.profileName(), defaultProfile)
			kept.Current, kept.Profiles[name] = name, profile{c.URL(), token}
			if err := s.writeProfiles(kept); err != nil {
				return err
			}
			s.say("Logged in to %s as %s of the workspace %q (profile %s).", c.URL(), me.Role, me.Workspace.Name, name)
			return nil
		},
	}
	c.Flags().StringVar(&tokenFile, "token-file", "", "file with the token; - is standard input")
	return c
}

// askToken reads a token from where it is, or asks for it.
func (s *session) askToken(file string) (string, error) {
	var text []byte
	var err error
	stdin, isFile := s.env.Stdin.(*os.File)
	switch {
	case file != "":
		if file != "-" {
			file = "@" + file
		}
		text, err = s.content("--token-file", file)
	case isFile && term.IsTerminal(int(stdin.Fd())):
		text, err = s.askTerminal(stdin)
	default:
		text, err = s.content("standard input", "-")
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", wrong("the token is empty")
	}
	return token, nil
}

// askTerminal asks for a token on a terminal. It shows nothing that is typed from before
// the question on, so that a token which is pasted at once is not shown either.
func (s *session) askTerminal(stdin *os.File) ([]byte, error) {
	before, err := term.MakeRaw(int(stdin.Fd()))
	if err != nil {
		return nil, err
	}
	defer term.Restore(int(stdin.Fd()), before) //nolint:errcheck // the program ends
	token, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{stdin, s.env.Stderr}, "").ReadPassword("Token: ")
	if errors.Is(err, io.EOF) { // Ctrl+C or Ctrl+D
		return nil, context.Canceled
	}
	return []byte(token), err
}

func logoutCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget a profile and its token", Args: exactly(),
		Long:    "Forgets a profile and its token. The token itself stays good: `boathook tokens delete`\nends it.",
		Example: "  boathook logout --profile work",
		RunE: func(*cobra.Command, []string) error {
			kept, err := s.readProfiles()
			if err != nil {
				return err
			}
			name := cmp.Or(s.profileName(), kept.Current, defaultProfile)
			if _, ok := kept.Profiles[name]; !ok {
				return &Error{Absent, fmt.Errorf("there is no profile %q", name)}
			}
			delete(kept.Profiles, name)
			if kept.Current == name {
				kept.Current = ""
			}
			if err := s.writeProfiles(kept); err != nil {
				return err
			}
			s.say("The profile %s is forgotten.", name)
			return nil
		},
	}
}

func whoamiCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show the workspace and the role of the token", Args: exactly(), Example: "  boathook whoami",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			me, err := c.Me(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(struct {
				URL       string           `json:"url"`
				Workspace client.Workspace `json:"workspace"`
				Role      any              `json:"role"`
			}{c.URL(), me.Workspace, me.Role})
		}),
	}
}

func statusCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the server is, and what waits", Args: exactly(),
		Long: `Shows how the server is and, to an admin of its first workspace, how many messages its
queues hold.`,
		Example: "  boathook status",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			health, err := c.Health(cmd.Context())
			if err != nil {
				return err
			}
			queues, err := c.Queues(cmd.Context())
			if err != nil && !client.IsStatus(err, 403) {
				return err
			}
			if s.output == outputJSON {
				return s.show(struct {
					URL string `json:"url"`
					client.Health
					Queues []client.Queue `json:"queues,omitempty"`
				}{c.URL(), health, queues})
			}
			fmt.Fprintf(s.env.Stdout, "%s is %s (%s)\n", c.URL(), s.paint(health.Status), health.Version)
			return printTable(s, queues, queueColumns)
		}),
	}
}
