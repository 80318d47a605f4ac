package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/seal"
)

// config is what serve was told, by flags and by variables. A flag wins.
type config struct {
	data      string // a folder, or [database.Memory]
	listen    string // host and port
	listenBy  string // the flag or variable that says so
	publicURL string // empty: that of the listener
	cert, key string // files for TLS; both or none
	dev       bool
	egress    []netip.Prefix // that requests may go to, besides public addresses
	logLevel  slog.Level
	retention time.Duration // of runs and deliveries
	queueARNs []string      // of Amazon SQS, that webhooks may send to
	metrics   string        // host and port of the page for Prometheus; empty: there is none
	signals   signals

	adminToken    string         // empty: that of the data folder
	internalToken string         // empty: that of the data folder
	sealingKey    *seal.LocalKey // nil: that of the data folder
}

// The variables that hold secrets.
const (
	adminTokenVariable    = "BOATHOOK_ADMIN_TOKEN"
	internalTokenVariable = "BOATHOOK_INTERNAL_TOKEN"
	keyVariable           = "BOATHOOK_KEY"
)

// queueARNsVariable names the queues that webhooks may send to, as it does for the
// functions on AWS.
const queueARNsVariable = "BOATHOOK_ALLOWED_QUEUE_ARNS"

// settings are a command's, each with its variable.
type settings struct {
	getenv func(string) string
	flags  *pflag.FlagSet
}

// of gives a setting, and what it was set by.
func (s settings) of(flag, variable string) (value, by string) {
	f := s.flags.Lookup(flag)
	if value := s.getenv(variable); value != "" && !f.Changed {
		return value, variable
	}
	return f.Value.String(), "--" + flag
}

// addServeFlags adds the flags of serve.
func addServeFlags(flags *pflag.FlagSet) {
	addDataFlag(flags)
	flags.String("listen", "127.0.0.1:8080", "address to listen at (BOATHOOK_LISTEN; PORT alone is one of 127.0.0.1)")
	flags.String("public-url", "", "URL by which others reach it, if not the one it listens at (BOATHOOK_PUBLIC_URL)")
	flags.String("tls-cert", "", "file with the certificates, for https (BOATHOOK_TLS_CERT)")
	flags.String("tls-key", "", "file with their key (BOATHOOK_TLS_KEY)")
	flags.String("allow-egress", "", "private addresses that requests may go to, in CIDR, separated by commas (BOATHOOK_ALLOWED_EGRESS)")
	flags.String("log-level", "warn", "debug, info, warn or error (BOATHOOK_LOG_LEVEL)")
	flags.String("retention-days", "30", "days that runs and deliveries are kept, 15 to 3653 (BOATHOOK_RETENTION_DAYS)")
	flags.String("metrics-listen", "", "address at which Prometheus reads /metrics, without a token, as in 127.0.0.1:9464 (BOATHOOK_METRICS_LISTEN)")
	flags.Bool("dev", false, "allow command targets, http and loopback addresses, and print lines to try: never where strangers reach it")
}

func addDataFlag(flags *pflag.FlagSet) {
	flags.String("data", ".data", "folder of the database, the sealing key and the tokens; "+database.Memory+" for none (BOATHOOK_DATA)")
}

// readConfig reads what serve was told. An error is one line that names the flag or the
// variable.
func readConfig(s settings) (c config, err error) {
	c.dev, err = s.flags.GetBool("dev")
	if err != nil {
		return c, err
	}
	c.data, _ = s.of("data", "BOATHOOK_DATA")
	c.cert, _ = s.of("tls-cert", "BOATHOOK_TLS_CERT")
	c.key, _ = s.of("tls-key", "BOATHOOK_TLS_KEY")
	if (c.cert == "") != (c.key == "") {
		return c, errors.New("--tls-cert and --tls-key: one needs the other")
	}
	return c, cmp.Or(c.readListen(s), c.readPublicURL(s), c.readEgress(s), c.readLogLevel(s), c.readRetention(s), c.readQueues(s), c.readMetrics(s), c.readSecrets(s))
}

func (c *config) readListen(s settings) error {
	if port := s.getenv("PORT"); port != "" && !s.flags.Changed("listen") && s.getenv("BOATHOOK_LISTEN") == "" {
		c.listen, c.listenBy = "127.0.0.1:"+port, "PORT"
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("PORT: %q is not a port (0 to 65535)", port)
		}
		return nil
	}
	listen, by := s.of("listen", "BOATHOOK_LISTEN")
	c.listen, c.listenBy = listen, by
	return checkListen(listen, by)
}

func checkListen(listen, by string) error {
	_, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not an address and a port, as in 127.0.0.1:8080", by, listen)
	}
	return nil
}

func (c *config) readPublicURL(s settings) error {
	text, by := s.of("public-url", "BOATHOOK_PUBLIC_URL")
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%s: %q is not an http or https URL without a query", by, text)
	}
	c.publicURL = strings.TrimSuffix(text, "/")
	return nil
}

func (c *config) readEgress(s settings) error {
	text, by := s.of("allow-egress", "BOATHOOK_ALLOWED_EGRESS")
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return fmt.Errorf("%s: %q is not a range of addresses, as in 10.0.0.0/8", by, part)
		}
		c.egress = append(c.egress, prefix)
	}
	return nil
}

func (c *config) readLogLevel(s settings) error {
	text, by := s.of("log-level", "BOATHOOK_LOG_LEVEL")
	if err := c.logLevel.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%s: %q is none of debug, info, warn and error", by, text)
	}
	return nil
}

// The days that records may be kept, as on AWS. What a queue keeps for 14 days must find
// its record.
const minRetention, maxRetention = 15, 3653

func (c *config) readRetention(s settings) error {
	text, by := s.of("retention-days", "BOATHOOK_RETENTION_DAYS")
	days, err := strconv.Atoi(text)
	if err != nil || days < minRetention || days > maxRetention {
		return fmt.Errorf("%s: %q is no number of days from %d to %d", by, text, minRetention, maxRetention)
	}
	c.retention = time.Duration(days) * 24 * time.Hour
	return nil
}

func (c *config) readQueues(s settings) error {
	if arns := s.getenv(queueARNsVariable); arns != "" {
		c.queueARNs = strings.Split(arns, ",")
	}
	for _, arn := range c.queueARNs {
		if _, ok := boathook.ParseQueueARN(arn); !ok {
			return fmt.Errorf("%s: %q is not the ARN of an SQS queue; several are separated by commas", queueARNsVariable, arn)
		}
	}
	return nil
}

// readMetrics reads who is told of the program's metrics and traces.
func (c *config) readMetrics(s settings) (err error) {
	if c.signals, err = readSignals(s.getenv); err != nil {
		return err
	}
	listen, by := s.of("metrics-listen", "BOATHOOK_METRICS_LISTEN")
	if listen == "" {
		return nil
	}
	c.metrics, c.signals.page = listen, true
	return checkListen(listen, by)
}

func (c *config) readSecrets(s settings) error {
	c.adminToken, c.internalToken = s.getenv(adminTokenVariable), s.getenv(internalTokenVariable)
	for _, variable := range []string{adminTokenVariable, internalTokenVariable} {
		if token := s.getenv(variable); token != "" && !fitToken(token) {
			return fmt.Errorf("%s: at least 16 printable ASCII characters are needed", variable)
		}
	}
	text := s.getenv(keyVariable)
	if text == "" {
		return nil
	}
	key, err := parseKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", keyVariable, err)
	}
	c.sealingKey = &key
	return nil
}

func fitToken(token string) bool {
	return len(token) >= 16 && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parseKey reads a sealing key.
func parseKey(text string) (key seal.LocalKey, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != len(key) {
		return key, fmt.Errorf("a key is %d bytes in base64, as `openssl rand -base64 %d` makes", len(key), len(key))
	}
	return seal.LocalKey(raw), nil
}
