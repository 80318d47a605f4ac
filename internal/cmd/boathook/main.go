// Command boathook is the whole of Boathook on one machine: the same services as on
// AWS, on the embedded store and queues. What it has accepted is in its data folder, and
// survives it.
//
// `boathook help` lists the commands, `boathook serve --help` the settings of the
// server. It exits with 0 after SIGINT or SIGTERM, once what was in flight is finished,
// and with 1, after one line that says why, if it can't do what it is told.
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
	"boathook/internal/database"
)

func main() {
	getenv, err := hideTokens()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second signal ends the program at once
		err = execute(ctx, getenv, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "boathook:", err)
		os.Exit(1)
	}
}

// execute is the program but for its process.
func execute(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
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
	root.AddCommand(serveCommand(getenv, stdout, stderr), backupCommand(getenv, stdout), versionCommand(stdout))
	return root.ExecuteContext(ctx)
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
