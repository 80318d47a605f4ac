// Package probe examines a receiver of webhooks: it sends deliveries that are right and
// some that are forged, stale, broken or odd, and judges the answers. A receiver that
// answers the right ones may still accept what anybody sends, or refuse what its sender
// will send next month.
//
// Deliveries are made and signed by package dialect, as Boathook's own are. Each goes
// over a connection of its own, by HTTP/1.1, and follows no redirect.
package probe

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/diagnose"
	"boathook/internal/dialect"
)

// DefaultTimeout is how long a delivery may take. It is also what a receiver should stay
// well below: many senders wait no longer.
const DefaultTimeout = 10 * time.Second

// Config is what is probed, and how.
type Config struct {
	URL       string
	Dialect   string
	Secret    string        // that the receiver verifies with
	OldSecret string        // that it must no longer accept; may be empty
	Header    http.Header   // more headers of each delivery, such as a token
	Only      []string      // names of cases; empty: all. The first is always sent
	Timeout   time.Duration // of each delivery; 0: the default

	Now   func() time.Time                           // nil: the clock
	Pause func(ctx context.Context, d time.Duration) // between the pieces of a slow body; nil: it waits
}

// Verdict is a judgement of one case.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // nothing is lost or wrongly accepted, but it should be mended
	Fault   Verdict = "fault"
)

// Finding is what one case has shown.
type Finding struct {
	Name     string        `json:"name"`
	Sent     string        `json:"sent"`
	Expected string        `json:"expected"` // what a correct receiver answers
	Got      string        `json:"got"`
	Said     string        `json:"said,omitempty"` // how the answer's body begins
	Elapsed  time.Duration `json:"-"`
	Verdict  Verdict       `json:"verdict"`
	Mend     string        `json:"mend,omitempty"` // empty when it is OK
}

// Summary counts the findings.
type Summary struct {
	OK       int  `json:"ok"`
	Warnings int  `json:"warnings"`
	Faults   int  `json:"faults"`
	Stopped  bool `json:"stopped"` // the right delivery failed, so the rest would show nothing
}

func (s *Summary) count(v Verdict) {
	switch v {
	case OK:
		s.OK++
	case Warning:
		s.Warnings++
	default:
		s.Faults++
	}
}

// Names lists the cases in the order in which they are sent.
func Names() []string {
	names := make([]string, 0, len(cases)+1)
	for _, c := range cases {
		names = append(names, c.name)
	}
	return append(names, speed)
}

// Receiver sends the deliveries one after another, and reports each finding when it is
// made. It fails only where the configuration is wrong or the context ends.
func Receiver(ctx context.Context, config Config, report func(Finding)) (s Summary, err error) {
	p, err := newProber(config)
	if err != nil {
		return s, err
	}
	defer p.close()
	tell := func(f Finding) {
		s.count(f.Verdict)
		report(f)
	}
	for _, c := range cases {
		if !p.applies(c) {
			continue
		}
		f, err := p.run(ctx, c)
		if err != nil {
			return s, err
		}
		tell(f)
		if c.name == first && f.Verdict == Fault {
			s.Stopped = true
			return s, nil
		}
	}
	if p.wants(speed) {
		tell(p.speed())
	}
	return s, nil
}

// prober is one examination under way.
type prober struct {
	Config
	dialect *dialect.Dialect
	scheme  diagnose.Scheme
	key     []byte
	event   catalogue.Type
	other   string // a secret that the receiver can't know

	plain, slow *http.Client

	slowest answer
	during  string // the case of the slowest
}

// examples are the events that deliveries tell of, by dialect.
var examples = map[string]struct {
	kind boathook.SourceKind
	name boathook.EventType
}{
	dialect.Crewship:   {boathook.Deployment, boathook.EventRunSucceeded},
	dialect.Standard:   {boathook.Deployment, boathook.EventRunSucceeded},
	dialect.Shipway:    {boathook.Repository, boathook.EventBuildFinish},
	dialect.Capawesome: {boathook.App, boathook.EventJobFinished},
}

func newProber(config Config) (*prober, error) {
	p := &prober{Config: config, plain: client(0), slow: client(smallBuffer), other: randomSecret()}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Timeout <= 0 {
		p.Timeout = DefaultTimeout
	}
	if p.Pause == nil {
		p.Pause = pause
	}
	var known bool
	if p.dialect, known = dialect.Lookup(p.Dialect); !known {
		return nil, fmt.Errorf("there is no dialect %q: expected one of %s", p.Dialect, strings.Join(dialect.Names(), ", "))
	}
	p.scheme, _ = diagnose.Lookup(p.Dialect)
	example := examples[p.Dialect]
	p.event, _ = catalogue.Lookup(example.kind, example.name)
	for _, err := range []error{p.checkURL(), p.checkSecrets(), p.checkHeader(), p.checkOnly()} {
		if err != nil {
			return nil, err
		}
	}
	var err error
	p.key, err = p.scheme.Key(p.Secret)
	return p, err
}

func (p *prober) checkURL() error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("the URL must begin with http:// or https:// and have a host") // the parser's error would repeat credentials
	}
	return nil
}

func (p *prober) checkSecrets() error {
	if p.Secret == "" {
		return errors.New("the secret is empty")
	}
	if err := p.dialect.CheckSecret(p.Secret); err != nil {
		return fmt.Errorf("the secret %w", err)
	}
	if p.OldSecret == "" {
		return nil
	}
	if err := p.dialect.CheckSecret(p.OldSecret); err != nil {
		return fmt.Errorf("the old secret %w", err)
	}
	if p.OldSecret == p.Secret {
		return errors.New("the old secret is the secret")
	}
	return nil
}

// checkHeader refuses headers that would take the place of a delivery's own.
func (p *prober) checkHeader() error {
	m := dialect.Message{SentAt: p.Now()}
	own := p.dialect.Header(m, "0")
	for name := range p.Header {
		if slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection"}, name) || own.Get(name) != "" && name != "User-Agent" {
			return fmt.Errorf("the header %s is a delivery's own", name)
		}
	}
	return nil
}

func (p *prober) checkOnly() error {
	for _, name := range p.Only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no case %q: expected some of %s", name, strings.Join(Names(), ", "))
		}
	}
	return nil
}

func (p *prober) close() {
	p.plain.CloseIdleConnections()
	p.slow.CloseIdleConnections()
}

// wants reports whether a case was asked for.
func (p *prober) wants(name string) bool {
	return len(p.Only) == 0 || name == first || slices.Contains(p.Only, name)
}

// applies reports whether a case was asked for and is one of the dialect.
func (p *prober) applies(c trial) bool {
	return p.wants(c.name) && (c.when == nil || c.when(p))
}

// randomSecret is one that each dialect takes.
func randomSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return boathook.SigningSecretPrefix + base64.StdEncoding.EncodeToString(b[:])
}
