package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"boathook/internal/signature"
)

// floorCommand is the first argument of a process that is the floor.
const floorCommand = "as-floor"

// floorConfig is what the floor is told on its standard input.
type floorConfig struct {
	URLs    []string `json:"urls"`    // where each event goes
	Secrets []string `json:"secrets"` // of each
}

// The floor's own bounds. It is a program that one would write for this in an hour, and
// not the fastest there could be.
const (
	floorWorkers = 64
	floorQueue   = 1024
)

// floorPost is one request that the floor has to make.
type floorPost struct {
	to   int
	id   string
	body []byte
}

// serveFloor is a program that takes events, signs them and posts them, without a store,
// a second attempt or anything else: no system that does this can need less. It prints
// its URL, and ends with ctx.
func serveFloor(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var c floorConfig
	if err := json.NewDecoder(stdin).Decode(&c); err != nil {
		return err
	}
	keys := make([][]byte, len(c.Secrets))
	for i, secret := range c.Secrets {
		var err error
		if keys[i], err = signature.StandardKey(secret); err != nil {
			return err
		}
	}
	posts := make(chan floorPost, floorQueue)
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: floorWorkers, DisableCompression: true},
		Timeout:   30 * time.Second,
	}
	for range floorWorkers {
		go func() {
			for p := range posts {
				if err := p.make(client, c.URLs[p.to], keys[p.to]); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		events, err := floorEvents(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		for _, e := range events {
			body := fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"data":%s}`, e.Type, time.Now().UTC().Format(time.RFC3339Nano), e.Data)
			for to := range c.URLs {
				posts <- floorPost{to, uuid.NewString(), body}
			}
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "{}")
	})
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Fprintf(stdout, "The floor is at http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// floorEvent is as much of an event as is posted.
type floorEvent struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// floorEvents reads the body of a request, which has one event or several.
func floorEvents(body []byte) ([]floorEvent, error) {
	var in struct {
		floorEvent
		Events []floorEvent `json:"events"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if in.Events == nil {
		return []floorEvent{in.floorEvent}, nil
	}
	return in.Events, nil
}

// make makes the request, once.
func (p floorPost) make(client *http.Client, url string, key []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", p.id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature.Standard(key, p.id, now, p.body))
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
