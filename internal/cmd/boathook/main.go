// Command boathook is the whole of Boathook on one machine, and the command line of any.
//
// `boathook serve` has the same services as on AWS, on the embedded store and queues. What
// it has accepted is in its data folder, and survives it. It exits with 0 after SIGINT or
// SIGTERM, once what was in flight is finished, and with 1, after one line that says why,
// if it can't do what it is told.
//
// The other commands speak to a server, here or on AWS; see package cli, which also has
// what they exit with. `boathook help` lists them all.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/cli"
	"boathook/internal/database"
)

func main() {
	getenv, err := hideTokens()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)       // a second signal ends the program at once
		configDir, _ := os.UserConfigDir() // without one there are no profiles
		err = execute(ctx, cli.Environment{
			Getenv: getenv, ConfigDir: configDir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}, os.Args[1:])
	}
	if err != nil {
		switch text := err.Error(); {
		case cli.ExitCode(err) == cli.Interrupted:
			fmt.Fprintln(os.Stderr, "boathook: interrupted")
		case text != "":
			fmt.Fprintln(os.Stderr, "boathook:", text)
		}
		os.Exit(cli.ExitCode(err))
	}
}

// The groups of commands, in the order in which help shows them.
const (
	serving = "serving"
	working = "working"
)

// execute is the program but for its process.
func execute(ctx context.Context, env cli.Environment, args []string) error {
	getenv, stdout, stderr := env.Getenv, env.Stdout, env.Stderr
	root := &cobra.Command{
		Use:           "boathook",
		Short:         "Webhooks that start runs of agents and jobs, and webhooks that tell of them.",
		Version:       boathook.Release,
		SilenceErrors: true, // main tells them
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.SetVersionTemplate("boathook {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: working, Title: "Work with a Boathook, here or on AWS:"}, &cobra.Group{ID: serving, Title: "On one machine:"})
	add(root, serving, serveCommand(getenv, stdout, stderr), backupCommand(getenv, stdout))
	add(root, working, cli.Commands(env)...)
	root.AddCommand(versionCommand(stdout))
	begun := false // once a command runs, what is wrong is no matter of usage
	beforeEach(root, func() { begun = true })
	ran, err := root.ExecuteContextC(ctx)
	if err != nil && !begun && ran.GroupID != serving {
		return &cli.Error{Code: cli.Usage, Err: err}
	}
	return err
}

// beforeEach calls f just before any command does what it does: after its arguments and
// flags are found to be good.
func beforeEach(c *cobra.Command, f func()) {
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			f()
			return run(cmd, args)
		}
	}
	for _, sub := range c.Commands() {
		beforeEach(sub, f)
	}
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
	}
	root.AddCommand(commands...)
}

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(stdout, "boathook", boathook.Release) },
	}
}

func serveCommand(getenv func(string) string, stdout, stderr io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Serve everything on this machine", Args: cobra.NoArgs,
		Long: `Serves everything on this machine: the API, incoming webhooks, runs and deliveries.

What it has accepted is in the data folder before it is answered, and survives a crash.
The folder has the database, the key that secrets are sealed with, and the tokens: keep a
copy of the key apart from the database's.`,
		Example: `  boathook serve --dev                                 # try it
  boathook serve --data /var/lib/boathook --listen :443 \
    --tls-cert cert.pem --tls-key key.pem --public-url https://hooks.example.com`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(settings{getenv, cmd.Flags()})
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, stdout, stderr)
		},
	}
	addServeFlags(c.Flags())
	return c
}

func backupCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use: "backup FILE", Short: "Copy the database to a new file, while it is served or not", Args: cobra.ExactArgs(1),
		Long: `Copies the database to a new file, as it is at one moment. The server may go on.

To restore it, stop the server and put the file in the place of boathook.db in the data
folder, beside the key; remove boathook.db-wal and boathook.db-shm. The key is not in the
file: copy it once, to another place.`,
		Example: "  boathook backup --data /var/lib/boathook /backup/boathook-$(date +%F).db",
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, by := settings{getenv, cmd.Flags()}.of("data", "BOATHOOK_DATA")
			if folder == database.Memory {
				return fmt.Errorf("%s: what is in memory can't be copied", by)
			}
			if err := database.Backup(databasePath(folder), args[0]); err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			fmt.Fprintf(stdout, "The database is copied to %s. The key that its secrets are sealed with is in %s.\n", args[0], keyPath(folder))
			return nil
		},
	}
	addDataFlag(c.Flags())
	return c
}
