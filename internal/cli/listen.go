package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

const (
	// lookEvery is how often the log is read for deliveries that were not announced, on
	// top of each time that a connection begins.
	lookEvery = 5 * time.Second
	// lookBack is how much older than the last look a delivery may be that is new to it:
	// an event's first attempt waits for its turn.
	lookBack = 15 * time.Minute
	// freshFor is how long a signature is good at receivers that check its time, less a
	// minute. What is older is sent again, and so signed anew.
	freshFor = 4 * time.Minute
	// recordedWithin is how long a delivery that was announced may take to be in the log.
	recordedWithin = 10 * time.Second
	// forwardedAtOnce is how many deliveries the local server gets at a time.
	forwardedAtOnce = 8
	// keptAnswer is how much of a local answer is read.
	keptAnswer = 16 << 10
)

func listenCommand(s *session) *cobra.Command {
	var to string
	var timeout time.Duration
	c := &cobra.Command{
		Use: "listen", Short: "Have a source's deliveries come to this machine, until Ctrl+C", Args: exactly(),
		Long: `Has a source's deliveries come to this machine as they happen: they are printed and,
with --forward-to, sent to a server with the headers and the signature that a real
endpoint gets. Nothing has to be reachable from outside: they are fetched from the log
of a temporary webhook, which ends with the command. Its signing secret is printed,
and stays the same between starts. While the connection is lost nothing is missed:
what was made meanwhile is fetched when it is back.`,
		Example: `  boathook listen --deployment hello
  boathook listen --deployment hello --forward-to http://localhost:3000/hooks
  boathook listen --customer acct_1042
  boathook listen --app demo --events job_finished --forward-to http://localhost:3000`,
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, _ []string) error {
			if err := checkForward(to); err != nil {
				return err
			}
			src, err := mustSource(cmd.Context(), c, cmd)
			if err != nil {
				return err
			}
			in := client.OutgoingWebhookInput{
				Destination: &client.Destination{Type: string(boathook.DestinationListener)},
				Events:      eventTypes(cmd.Flags()), Environment: environment(cmd.Flags()),
			}
			w, err := s.openListener(cmd.Context(), c, src, in)
			if err != nil {
				return err
			}
			defer s.closeListener(cmd.Context(), c, src, w.ID)
			s.note("Listening to the %s (%s) until Ctrl+C.\nThe signing secret is %s", src.name, joinedTexts(w.Events), w.SigningSecret)
			l := &listener{
				s: s, c: c, webhook: webhook{w, src}, to: to, seen: map[string]bool{}, since: time.Now(),
				local: &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
			}
			l.forwards.SetLimit(forwardedAtOnce)
			return l.run(cmd.Context())
		}),
	}
	c.Flags().StringVar(&to, "forward-to", "", "URL of a server that this machine reaches (default: they are only printed)")
	c.Flags().StringSlice("events", nil, "only these, separated by commas (default: all of its source)")
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long the local server may take")
	addEnvironmentFlag(c)
	addSourceFlags(c)
	return c
}

// checkForward checks a URL that deliveries are to be sent to; empty is none.
func checkForward(to string) error {
	u, err := url.Parse(to)
	if to != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return wrong("--forward-to: %q is not a URL such as http://localhost:3000/hooks", to)
	}
	return nil
}

// openListener makes the temporary webhook, with the secret that it had the last time.
func (s *session) openListener(ctx context.Context, c *client.Client, src source, in client.OutgoingWebhookInput) (client.OutgoingWebhook, error) {
	webhooks := c.OutgoingWebhooks(src.Source)
	host, _ := os.Hostname()
	if err := removeLeftBehind(ctx, webhooks, host); err != nil {
		return client.OutgoingWebhook{}, err
	}
	name := listenerName(host, os.Getpid())
	in.Name = &name
	if err := complete(ctx, c, src.kind, &in); err != nil {
		return client.OutgoingWebhook{}, err
	}
	key := c.URL() + src.Path()
	kept, err := s.readProfiles()
	secret, has := kept.ListenSecrets[key]
	if has {
		in.SigningSecret = &secret
	}
	w, createErr := webhooks.Create(ctx, in)
	if createErr != nil {
		return w, createErr
	}
	if has {
		w.SigningSecret = secret // it is shown when it is made only
	} else if err := cmp.Or(err, s.keepListenSecret(kept, key, w.SigningSecret)); err != nil {
		s.note("The signing secret will be another at the next start: it can't be kept (%v).", err)
	}
	return w, nil
}

// keepListenSecret keeps the secret of a source's temporary webhooks.
func (s *session) keepListenSecret(kept profiles, key, secret string) error {
	if kept.ListenSecrets == nil {
		kept.ListenSecrets = map[string]string{}
	}
	kept.ListenSecrets[key] = secret
	return s.writeProfiles(kept)
}

// removeLeftBehind removes the webhooks of commands on this machine that were killed.
func removeLeftBehind(ctx context.Context, webhooks outgoingWebhooks, host string) error {
	for w, err := range webhooks.All(ctx) {
		if err != nil {
			return err
		}
		if orEmpty(w.Destination).Type != string(boathook.DestinationListener) || !leftBehind(w.Name, host) {
			continue
		}
		if err := webhooks.Delete(ctx, w.ID); err != nil && !client.IsStatus(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}

// listenerName says whose a temporary webhook is.
func listenerName(host string, pid int) string {
	return fmt.Sprintf("boathook listen on %s, process %d", host, pid)
}

// leftBehind reports whether a temporary webhook is of a process of this machine that is
// no more.
func leftBehind(name, host string) bool {
	var pid int
	mine := strings.TrimSuffix(listenerName(host, 0), "0")
	if rest, ok := strings.CutPrefix(name, mine); !ok {
		return false
	} else if _, err := fmt.Sscan(rest, &pid); err != nil || pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid)
	return err != nil || errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// closeListener ends the temporary webhook, also after Ctrl+C.
func (s *session) closeListener(ctx context.Context, c *client.Client, src source, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.OutgoingWebhooks(src.Source).Delete(ctx, id); err != nil && !client.IsStatus(err, http.StatusNotFound) {
		s.note("The temporary webhook %s could not be removed (%v); the next start does.", id, err)
	}
}

// listener forwards the deliveries of a temporary webhook.
type listener struct {
	s       *session
	c       *client.Client
	webhook webhook
	to      string
	local   *http.Client

	forwards errgroup.Group
	since    time.Time // of the last look at the log

	mu   sync.Mutex // of what follows, and for one line at a time
	seen map[string]bool
}

// run forwards until the context ends, or the webhook is no more.
func (l *listener) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	looks := make(chan struct{}, 1)
	var loops errgroup.Group
	loops.Go(func() error {
		for {
			if err := l.look(ctx); client.IsStatus(err, http.StatusNotFound) {
				stop(&Error{Absent, errors.New("the temporary webhook was removed by somebody")})
			} else if err != nil && ctx.Err() == nil {
				l.note("The log can't be read: %v", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-looks:
			case <-time.After(lookEvery):
			}
		}
	})
	loops.Go(func() error {
		l.connect(ctx, looks)
		return nil
	})
	_ = loops.Wait() // it has no error: they end with the context
	_ = l.forwards.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil // Ctrl+C is how it ends
}

// connect has deliveries announced, again and again. A connection that begins has the log
// read for what was made while there was none.
func (l *listener) connect(ctx context.Context, looks chan<- struct{}) {
	waits := backoff.NewExponentialBackOff()
	waits.MaxInterval = 30 * time.Second
	for ctx.Err() == nil {
		err := l.c.Listen(ctx, func() {
			waits.Reset()
			l.note("Connected.")
			select {
			case looks <- struct{}{}:
			default: // one is on its way
			}
		}, func(a client.Announcement) {
			if a.WebhookID == l.webhook.ID && l.isNew(a.DeliveryID, a.Attempt) {
				l.forwards.Go(func() error {
					l.fetch(ctx, a.DeliveryID, a.Attempt)
					return nil
				})
			}
		})
		if ctx.Err() != nil {
			return
		}
		l.note("The connection is lost, and is made again: %v", err)
		_ = sleep(ctx, waits.NextBackOff())
	}
}

// isNew reports whether an attempt was not met before, and remembers it.
func (l *listener) isNew(delivery string, attempt int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := attemptKey(delivery, attempt)
	if l.seen[key] {
		return false
	}
	l.seen[key] = true
	return true
}

// forget has an attempt met anew by the next look at the log: it could not be forwarded.
func (l *listener) forget(delivery string, attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, attemptKey(delivery, attempt))
}

func attemptKey(delivery string, attempt int) string { return fmt.Sprint(delivery, " ", attempt) }

// look forwards what the log has that was not met, oldest first.
func (l *listener) look(ctx context.Context) error {
	since, begun := l.since.Add(-lookBack), time.Now()
	var missed []client.Delivery
	for d, err := range l.c.Deliveries(l.webhook.of.Source, l.webhook.ID).All(ctx) {
		if err != nil {
			return err
		}
		if d.CreatedAt.Before(since) {
			break
		}
		if d.LastAttempt != nil && l.isNew(d.ID, d.LastAttempt.Number) {
			missed = append(missed, d)
		}
	}
	for _, d := range slices.Backward(missed) {
		l.forwards.Go(func() error {
			if time.Since(d.LastAttempt.SentAt.Time) < freshFor {
				l.fetch(ctx, d.ID, d.LastAttempt.Number)
			} else if _, err := l.c.Resend(ctx, d.ID); err != nil {
				l.failed(ctx, d.ID, d.LastAttempt.Number, err)
			}
			return nil
		})
	}
	l.since = begun
	return nil
}

// fetch reads a delivery and forwards it. One that was just announced is in the log a
// moment later.
func (l *listener) fetch(ctx context.Context, id string, attempt int) {
	d, err := backoff.Retry(ctx, func() (client.Delivery, error) {
		d, err := l.c.Delivery(ctx, id)
		switch {
		case client.IsStatus(err, http.StatusNotFound):
			return d, err
		case err != nil:
			return d, backoff.Permanent(err)
		case orEmpty(d.LastAttempt).Number < attempt:
			return d, errors.New("the attempt is not in the log yet")
		default:
			return d, nil
		}
	}, backoff.WithMaxElapsedTime(recordedWithin))
	if err != nil {
		l.failed(ctx, id, attempt, err)
		return
	}
	l.forward(ctx, d)
}

// failed says that a delivery could not be fetched, or sent again. It is tried again.
func (l *listener) failed(ctx context.Context, id string, attempt int, err error) {
	l.forget(id, attempt)
	if ctx.Err() == nil {
		l.note("%s can't be fetched yet: %v", id, err)
	}
}

// forwarded is what --output json tells of a delivery.
type forwarded struct {
	DeliveryID string             `json:"delivery_id"`
	Event      boathook.EventType `json:"event"`
	Attempt    int                `json:"attempt"`
	Headers    map[string]string  `json:"headers"`
	Body       string             `json:"body"`
	Answer     *answer            `json:"answer,omitempty"` // nil: it was not forwarded
}

// answer is what the local server answered.
type answer struct {
	Status     int    `json:"status,omitempty"`
	DurationMS int64  `json:"duration_ms"`
	Body       string `json:"body,omitempty"`
	Error      string `json:"error,omitempty"` // why there was none
}

// forward sends a delivery to the local server, if there is one, and prints it.
func (l *listener) forward(ctx context.Context, d client.Delivery) {
	r := orEmpty(d.Request)
	f := forwarded{DeliveryID: d.ID, Event: d.Event, Attempt: orEmpty(d.LastAttempt).Number, Headers: r.Headers, Body: r.Body}
	if l.to != "" {
		begun := time.Now()
		status, body, err := l.send(ctx, r)
		if err != nil && ctx.Err() != nil {
			return
		}
		f.Answer = &answer{Status: status, DurationMS: time.Since(begun).Milliseconds(), Body: body}
		if err != nil {
			f.Answer.Error = err.Error()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s.output == outputJSON {
		_ = l.s.line(f) // there is nobody to tell that standard output is closed
		return
	}
	w := l.s.env.Stdout
	fmt.Fprintf(w, "%s  %s  %s", time.Now().UTC().Format(time.TimeOnly), f.DeliveryID, f.Event)
	if f.Answer != nil {
		fmt.Fprintf(w, "  %s\n", l.s.result(*f.Answer))
		return
	}
	fmt.Fprintln(w)
	printHeaders(w, f.Headers)
	printBody(w, f.Body)
}

// result says in one line how the local server took a delivery.
func (s *session) result(a answer) string {
	switch {
	case a.Error != "":
		return s.paint("failed") + " " + oneLine(a.Error)
	case a.Status >= 200 && a.Status < 300:
		return s.paint("succeeded") + fmt.Sprintf(" %d in %d ms", a.Status, a.DurationMS)
	default:
		return s.paint("failed") + fmt.Sprintf(" %d in %d ms %s", a.Status, a.DurationMS, oneLine(strings.TrimSpace(a.Body)))
	}
}

// send makes the request that a real endpoint would get.
func (l *listener) send(ctx context.Context, r client.DeliveryRequest) (status int, body string, err error) {
	if r.BodyMissing {
		return 0, "", errors.New("its body is lost")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.to, bytes.NewReader([]byte(r.Body)))
	if err != nil {
		return 0, "", err
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	res, err := l.local.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return 0, "", err
	}
	defer res.Body.Close()
	kept, err := io.ReadAll(io.LimitReader(res.Body, keptAnswer))
	return res.StatusCode, string(kept), err
}

// note tells of the connection, between lines.
func (l *listener) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s.note(format, args...)
}
