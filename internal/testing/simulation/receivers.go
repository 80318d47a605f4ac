package simulation

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

// receiver reads requests as the document of a dialect tells its receivers to. It
// knows the headers' names, of which a dialect may lack some.
type receiver struct {
	delivery, event, timestamp, signature string

	// sign is the signature by a secret; several stand in one header, with a
	// separator between them.
	sign      func(secret, id, timestamp, body string) string
	separator string
	// named is the event that a raw body names; empty if it names none.
	named func(body []byte) string
}

var receivers = map[string]receiver{
	dialect.Crewship: {
		delivery: "X-Crewship-Delivery", event: "X-Crewship-Event", timestamp: "X-Crewship-Timestamp", signature: "X-Crewship-Signature",
		sign: func(secret, _, timestamp, body string) string {
			return hex.EncodeToString(mac(sha256.New, secret, timestamp+"."+body))
		},
		separator: ",", named: field("event"),
	},
	dialect.Shipway: {
		delivery: "X-Shipway-Delivery", event: "X-Shipway-Event", signature: "X-Shipway-Signature",
		sign: func(secret, _, _, body string) string {
			return "sha1=" + hex.EncodeToString(mac(sha1.New, secret, body))
		},
	},
	dialect.Capawesome: {
		signature: "X-Signature",
		sign:      func(secret, _, _, body string) string { return hex.EncodeToString(mac(sha256.New, secret, body)) },
		named:     field("event"),
	},
	dialect.Standard: {
		delivery: "Webhook-Id", timestamp: "Webhook-Timestamp", signature: "Webhook-Signature",
		sign:      standardSignature,
		separator: " ", named: field("type"),
	},
}

var dialects = slices.Sorted(maps.Keys(receivers))

func field(name string) func([]byte) string {
	return func(body []byte) (value string) {
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) == nil {
			_ = json.Unmarshal(fields[name], &value)
		}
		return value
	}
}

// common are the headers that requests of each dialect have.
var common = []string{"Content-Type", "User-Agent", boathook.IdempotencyKey}

// check reports what is wrong with a request of a delivery to a webhook as it was
// at some time, signed at another: nil, if it is right for one of its secrets. It is the
// list of what a receiver checks, from the headers to the signature.
func (rc receiver) check(req *http.Request, body []byte, job queue.Delivery, w *boathook.OutgoingWebhook, secrets []string, signed time.Time) error {
	own := []string{rc.delivery, rc.event, rc.timestamp, rc.signature}
	for name, values := range req.Header {
		if len(values) > 0 && !slices.Contains(own, name) && !slices.Contains(common, name) {
			return fmt.Errorf("it has the header %s", name)
		}
	}
	for header, want := range map[string]string{rc.delivery: job.ID.String(), rc.event: string(job.EventType), "Content-Type": "application/json"} {
		if got := req.Header.Get(header); header != "" && got != want {
			return fmt.Errorf("%s is %q, not %q", header, got, want)
		}
	}
	// A timestamp is in whole seconds, by the clock of who signs. For how long the
	// process is frozen before it sends, nobody can promise.
	timestamp := req.Header.Get(rc.timestamp)
	if rc.timestamp != "" {
		at, err := strconv.ParseInt(timestamp, 10, 64)
		if off := signed.Sub(time.Unix(at, 0)); err != nil || off < -maxSkew || off > maxSkew+time.Second {
			return fmt.Errorf("%s is %q", rc.timestamp, timestamp)
		}
	}
	if !json.Valid(body) {
		return fmt.Errorf("its body is not JSON: %s", body)
	}
	if w.Format == boathook.Raw && rc.named != nil && rc.named(body) != string(job.EventType) {
		return fmt.Errorf("its body tells of %s, not %s: %s", rc.named(body), job.EventType, body)
	}
	given := req.Header.Get(rc.signature)
	all := []string{given}
	if rc.separator != "" {
		all = strings.Split(given, rc.separator)
	}
	for _, s := range secrets {
		if s == "" && given == "" || s != "" && slices.Contains(all, rc.sign(s, job.ID.String(), timestamp, string(body))) {
			return nil
		}
	}
	return fmt.Errorf("none of the %d secrets in force has signed it", len(secrets))
}
