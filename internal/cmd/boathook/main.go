// Command boathook is the whole of Boathook on one machine: the same services as on
// AWS, on the embedded twins of the store and the queues. Everything is in
// memory and gone when it stops.
//
// It reads PORT (8080), BOATHOOK_ADMIN_TOKEN and BOATHOOK_INTERNAL_TOKEN (made
// if unset), BOATHOOK_LOG_LEVEL (warn) and BOATHOOK_ALLOWED_QUEUE_ARNS (none) from
// the environment; the tokens it keeps from the command targets that it starts.
// Where queues are allowed, it looks for AWS credentials as every program on the AWS
// SDK does. It exits with 0
// after SIGINT or SIGTERM, once what was in flight is finished, and with 1 if it
// can't start.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"boathook/internal/boathook"
)

type config struct {
	port          uint16
	adminToken    string
	internalToken string
	logLevel      slog.Level
	queueARNs     []string // of Amazon SQS, that webhooks may send to
}

func readConfig(getenv func(string) string) (c config, err error) {
	port, err := strconv.ParseUint(cmp.Or(getenv("PORT"), "8080"), 10, 16)
	if err != nil {
		return c, fmt.Errorf("PORT: %q is not a port (0 to 65535)", getenv("PORT"))
	}
	c.port = uint16(port)
	for name, token := range map[string]*string{
		adminTokenVariable: &c.adminToken, internalTokenVariable: &c.internalToken,
	} {
		*token = cmp.Or(getenv(name), boathook.NewAPIToken())
		if len(*token) < 16 || strings.ContainsFunc(*token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return c, fmt.Errorf("%s: at least 16 printable ASCII characters are needed", name)
		}
	}
	if err := c.logLevel.UnmarshalText([]byte(cmp.Or(getenv("BOATHOOK_LOG_LEVEL"), "warn"))); err != nil {
		return c, fmt.Errorf("BOATHOOK_LOG_LEVEL: %q is none of debug, info, warn and error", getenv("BOATHOOK_LOG_LEVEL"))
	}
	if arns := getenv(queueARNsVariable); arns != "" {
		c.queueARNs = strings.Split(arns, ",")
	}
	for _, arn := range c.queueARNs {
		if _, ok := boathook.ParseQueueARN(arn); !ok {
			return c, fmt.Errorf("%s: %q is not the ARN of an SQS queue; several are separated by commas", queueARNsVariable, arn)
		}
	}
	return c, nil
}

// queueARNsVariable names the queues that webhooks may send to, as it does for the
// functions on AWS.
const queueARNsVariable = "BOATHOOK_ALLOWED_QUEUE_ARNS"

const usage = `Usage:
  boathook            serve everything on this machine, from memory
  boathook version    say which build this is
  boathook help       say this
`

func main() {
	switch arguments := strings.Join(os.Args[1:], " "); arguments {
	case "":
	case "version", "--version":
		fmt.Println("boathook", boathook.Release)
		return
	case "help", "-h", "--help":
		fmt.Print(usage)
		return
	default:
		fmt.Fprintf(os.Stderr, "boathook: there is no command %q\n%s", arguments, usage)
		os.Exit(2)
	}
	getenv, err := hideTokens()
	if err != nil {
		fmt.Fprintln(os.Stderr, "boathook:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := serve(ctx, getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "boathook:", err)
		os.Exit(1)
	}
}

// newServer bounds how long a client may take for its request, and for reading the
// answer, as API Gateway does. Neither bound is a handler's, which may wait for a
// run's start, nor a WebSocket's, whose connection the server gives away.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute, // from the request's header on: the handler's time is within it
		IdleTimeout:       time.Minute,
	}
}

// serve runs the whole until ctx ends and what is in flight is finished.
func serve(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) error {
	c, err := readConfig(getenv)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("PORT: %d is in use; choose another, as in: PORT=%d make run", c.port, c.port+1)
	}
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()

	inbox := newReceiver(stdout)
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.logLevel}))
	s, err := newSystem(ctx, c, url, inbox, logger)
	if err != nil {
		return err
	}
	// net/http's lines, those of its clients too, are debug: strangers have it
	// write as many as they like.
	slog.SetDefault(logger)
	slog.SetLogLoggerLevel(slog.LevelDebug)
	server := newServer(s)
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	s.start()
	if err := welcome(stdout, url, c, inbox.secret); err != nil {
		return err
	}

	select {
	case err := <-serving:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "\nFinishing what is in flight (interrupt again to end at once) …")
	if n := s.drain(); n > 0 {
		fmt.Fprintf(stdout, "%d that wait for their time are lost with the memory: retries, and what a rate limit holds back.\n", n)
	}
	err = server.Shutdown(context.Background())
	s.sockets.Shutdown()
	return err
}
