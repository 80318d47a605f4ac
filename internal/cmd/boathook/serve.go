package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"boathook/internal/compress"
)

// garbage is how much memory may be used up before the collector runs, in percent of what
// was in use after its last run. That is little, so more memory costs less than more runs.
// A database in memory takes far more, so that there is no reason to be sparing beside it.
func (c config) garbage() int {
	if c.inMemory() {
		return 500
	}
	return 250
}

// plainBelow is how long a body must be to be compressed, in bytes.
const plainBelow = 16 << 10

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
func serve(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	if c.cert != "" {
		if _, err := tls.LoadX509KeyPair(c.cert, c.key); err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
	}
	listener, err := c.openListener(ctx)
	if err != nil {
		return err
	}
	if c.publicURL == "" {
		scheme := "http://"
		if c.cert != "" {
			scheme = "https://"
		}
		c.publicURL = scheme + listener.Addr().String()
	}
	d, err := openData(c)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, d.db.Close()) }()

	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.logLevel}))
	t, err := newTelemetry(ctx, c.signals, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, t.end()) }()
	stopMetrics, err := c.serveMetrics(ctx, t, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopMetrics()
	s, err := newSystem(ctx, c, d, t, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// net/http's lines, those of its clients too, are debug: strangers have it
	// write as many as they like.
	slog.SetDefault(logger)
	slog.SetLogLoggerLevel(slog.LevelDebug)
	compress.PlainBelow(plainBelow)
	if os.Getenv("GOGC") == "" { // the operator's own measure wins
		debug.SetGCPercent(c.garbage())
	}
	server := newServer(s)
	serving := make(chan error, 1)
	go func() {
		if c.cert != "" {
			serving <- server.ServeTLS(listener, c.cert, c.key)
		} else {
			serving <- server.Serve(listener)
		}
	}()
	s.start()
	if err := welcome(stdout, c, d, s.console.Visit(d.adminToken)); err != nil {
		s.drain()
		return errors.Join(err, server.Close())
	}

	select {
	case err := <-serving: // it can't serve, as without certificates
		s.drain()
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "\nFinishing what is in flight (interrupt again to end at once) …")
	switch n := s.drain(); {
	case n > 0 && c.inMemory():
		fmt.Fprintf(stdout, "%d that wait for their time are lost with the memory: retries, and what a rate limit holds back.\n", n)
	case n > 0:
		fmt.Fprintf(stdout, "%d that wait are kept: they go on at the next start.\n", n)
	}
	err = server.Shutdown(context.Background())
	s.sockets.Shutdown()
	return err
}

// serveMetrics serves the page that Prometheus reads, at an address of its own: who
// reaches it needs no token.
func (c config) serveMetrics(ctx context.Context, t *telemetry, log *slog.Logger) (stop func(), err error) {
	if t.page == nil {
		return func() {}, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.metrics)
	if err != nil {
		return nil, fmt.Errorf("--metrics-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.page)
	server := newServer(mux)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served", "error", err)
		}
	}()
	log.Info("metrics are served", "address", listener.Addr())
	return func() { server.Close() }, nil
}

// openListener listens at the address.
func (c config) openListener(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(c.listen)
		return nil, fmt.Errorf("%s: %s is in use; choose another, as in: PORT=18080 make run", c.listenBy, port)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.listenBy, err)
	}
	return listener, nil
}
