package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	cryptorand "crypto/rand"

	"boathook/internal/boathook"
	"boathook/internal/client"
	"boathook/internal/dialect"
)

// system is what is put under load, ready for it.
type system struct {
	url     string
	token   string
	source  string   // that events are published of
	secrets []string // by which it signs for each receiver, in their order
	process *process // nil: it is not on this machine
	data    string   // folder that is to be removed when all is well; empty for none
	end     func() error
}

// starter makes a system ready that delivers to the receivers at some URLs. Each call
// starts anew, where it is started at all.
type starter func(ctx context.Context, p plan, urls []string) (system, error)

// running is a Boathook that somebody else runs. What is made in it stays there: a
// customer for each run.
func running(url, token string, pid int) starter {
	return func(ctx context.Context, p plan, urls []string) (system, error) {
		s := system{url: strings.TrimRight(url, "/"), token: token, end: func() error { return nil }}
		if pid != 0 {
			s.process = &process{pid: pid}
			if _, err := s.process.cpu(); err != nil {
				return s, fmt.Errorf("-pid: %w", err)
			}
		}
		return s, s.setUp(ctx, p.Source, urls)
	}
}

var boathookListens = regexp.MustCompile(`^Boathook is at (http://127\.0\.0\.1:\d+)`)

// served starts `boathook serve` with new data below a folder, or in memory. The folder
// is the caller's to remove, or to look into.
func served(program, folder string, arguments ...string) starter {
	return func(ctx context.Context, p plan, urls []string) (s system, err error) {
		data := folder
		if folder != memory {
			if data, err = os.MkdirTemp(folder, "bench-*"); err != nil {
				return s, err
			}
			if data, err = filepath.Abs(data); err != nil {
				return s, err
			}
			s.data = data
		}
		token := cryptorand.Text()
		cmd := exec.CommandContext(ctx, program, append([]string{"serve", "--dev", "--data", data, "--listen", "127.0.0.1:0"}, arguments...)...)
		cmd.Env = append(os.Environ(), "BOATHOOK_ADMIN_TOKEN="+token)
		process, err := start(ctx, cmd, boathookListens)
		if err != nil {
			return s, errors.Join(err, s.remove())
		}
		s.url, s.token, s.process, s.end = process.url, token, process, process.stop
		if err := s.setUp(ctx, p.Source, urls); err != nil {
			return s, errors.Join(err, s.end(), s.remove())
		}
		return s, nil
	}
}

// remove removes its folder, if it has one.
func (s *system) remove() error {
	if s.data == "" {
		return nil
	}
	return os.RemoveAll(s.data)
}

// memory stands for a folder where data are kept in memory.
const memory = ":memory:"

// setUp makes a source with a webhook for each receiver.
func (s *system) setUp(ctx context.Context, kind string, urls []string) error {
	c, err := client.New(s.url, s.token)
	if err != nil {
		return err
	}
	name := "bench"
	var source client.Source
	eventType := boathook.EventType(jobFinished)
	if kind == ofApp {
		app, err := c.Apps().Create(ctx, client.NamedInput{Name: name})
		if err != nil {
			return fmt.Errorf("its app: %w", err)
		}
		source = client.AppSource(app.ID)
	} else {
		eventType = orderPlaced
		in := client.EventTypeInput{Description: "What bench publishes.", Schema: json.RawMessage(schema)}
		if _, err := c.PutEventType(ctx, eventType, in); err != nil {
			return fmt.Errorf("its type of events: %w", err)
		}
		customer, err := c.Customers().Create(ctx, client.CustomerInput{Name: &name})
		if err != nil {
			return fmt.Errorf("its customer: %w", err)
		}
		source = client.CustomerSource(customer.ID)
	}
	s.source = source.ID()
	standard := dialect.Standard
	for i, url := range urls {
		name := fmt.Sprintf("receiver %d", i)
		w, err := c.OutgoingWebhooks(source).Create(ctx, client.OutgoingWebhookInput{
			Name: &name, URL: &url, Events: []boathook.EventType{eventType}, Dialect: &standard,
		})
		if err != nil {
			return fmt.Errorf("webhook %d: %w", i, err)
		}
		s.secrets = append(s.secrets, w.SigningSecret)
	}
	return nil
}

var floorListens = regexp.MustCompile(`^The floor is at (http://127\.0\.0\.1:\d+)`)

// bare starts the floor: this program, as another process.
func bare(ctx context.Context, _ plan, urls []string) (s system, err error) {
	c := floorConfig{URLs: urls}
	for range urls {
		key := make([]byte, 32)
		for i := range key {
			key[i] = byte(rand.Uint32())
		}
		c.Secrets = append(c.Secrets, boathook.SigningSecretPrefix+base64.StdEncoding.EncodeToString(key))
	}
	told, err := json.Marshal(c)
	if err != nil {
		return s, err
	}
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	cmd := exec.CommandContext(ctx, self, floorCommand)
	cmd.Stdin = strings.NewReader(string(told))
	p, err := start(ctx, cmd, floorListens)
	if err != nil {
		return s, err
	}
	return system{url: p.url, token: "none", source: "none", secrets: c.Secrets, process: p, end: p.stop}, nil
}
