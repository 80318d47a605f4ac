package simulation

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// signer is a system such as GitHub, which proves itself, names each of its
// deliveries, and repeats one that was not answered well.
type signer struct {
	preset string
	secret string
}

// signers are the presets that users' senders have. What intake does with a request is
// the same for all others, whose signatures package preset's tests make.
var signers = []string{
	preset.HMAC, preset.GitHub, preset.GitLab, preset.Stripe, preset.Slack, preset.Shopify, preset.Standard, preset.Grafana,
}

func newSigner(r *rand.Rand) *signer {
	return &signer{pick(r, signers), boathook.NewSigningSecret()}
}

func (s *signer) verification() boathook.Verification {
	v := boathook.Verification{Preset: s.preset, SealedSecret: []byte(s.secret)}
	if s.preset == preset.HMAC {
		v.Header, v.Algorithm, v.Encoding, v.DeliveryHeader = "X-Sum", "sha1", "hex", "X-Delivery"
	}
	return v
}

// names reports whether the sender names its deliveries.
func (s *signer) names() bool { return s.preset != preset.Grafana }

// signsNames reports whether its signature covers the names.
func (s *signer) signsNames() bool {
	return s.preset == preset.Stripe || s.preset == preset.Slack || s.preset == preset.Standard
}

// body is that of a delivery.
func (s *signer) body(id string, n int) string {
	return fmt.Sprintf(`{"id":%q,"event_id":%q,"type":"push","status":"firing","n":%d}`, id, id, n)
}

// header signs a delivery as it is sent now.
func (s *signer) header(id, body string) http.Header {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	named := func(headers ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return h
	}
	hexOf := func(text string) string { return hex.EncodeToString(mac(sha256.New, s.secret, text)) }
	switch s.preset {
	case preset.GitHub:
		return named("X-GitHub-Event", "push", "X-GitHub-Delivery", id, "X-Hub-Signature-256", "sha256="+hexOf(body))
	case preset.GitLab:
		return named("X-Gitlab-Event", "Push Hook", "X-Gitlab-Event-UUID", id, "X-Gitlab-Token", s.secret)
	case preset.Stripe:
		return named("Stripe-Signature", "t="+at+",v1="+hexOf(at+"."+body))
	case preset.Slack:
		return named("X-Slack-Request-Timestamp", at, "X-Slack-Signature", "v0="+hexOf("v0:"+at+":"+body))
	case preset.Shopify:
		sum := base64.StdEncoding.EncodeToString(mac(sha256.New, s.secret, body))
		return named("X-Shopify-Topic", "orders/create", "X-Shopify-Webhook-Id", id, "X-Shopify-Hmac-Sha256", sum)
	case preset.Standard:
		return named("Webhook-Id", id, "Webhook-Timestamp", at, "Webhook-Signature", standardSignature(s.secret, id, at, body))
	case preset.Grafana:
		return named("X-Grafana-Alerting-Signature", hexOf(body))
	case preset.HMAC:
		return named("X-Delivery", id, "X-Sum", hex.EncodeToString(mac(sha1.New, s.secret, body)))
	}
	panic("no sender " + s.preset)
}

func mac(h func() hash.Hash, key, text string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

// standardSignature is that of Standard Webhooks, version 1.0.0.
func standardSignature(secret, id, at, body string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, boathook.SigningSecretPrefix))
	must(err)
	return "v1," + base64.StdEncoding.EncodeToString(mac(sha256.New, string(key), id+"."+at+"."+body))
}

// send has one of the senders tell of something, and repeat it.
func (u *users) send(r *rand.Rand) {
	var triggers []trigger
	for _, s := range u.w.of(boathook.Deployment) {
		for _, t := range s.triggers {
			if t.signer != nil {
				triggers = append(triggers, t)
			}
		}
	}
	if len(triggers) == 0 {
		return
	}
	t, id := pick(r, triggers), fmt.Sprintf("delivery-%d", r.Uint64())
	k := keyed{path: t.path, body: t.signer.body(id, r.IntN(1000)), sign: func(body string) http.Header { return t.signer.header(id, body) }}
	if t.signer.names() {
		k.scopes = []string{t.path + " delivery " + id}
	}
	switch r.IntN(8) {
	case 0: // somebody who does not know the secret
		forger := signer{t.signer.preset, boathook.NewSigningSecret()}
		k.sign = func(body string) http.Header { return forger.header(id, body) }
		if a := u.fire(k); a.status == http.StatusAccepted {
			u.w.violated(ruleProven, t.path, "a forged request of %s was accepted", t.signer.preset)
		}
		return
	case 1: // somebody who has captured the request, and gives it a key
		u.fire(k)
		if t.signer.signsNames() {
			header := k.sign(k.body)
			k.key, k.sign = fmt.Sprintf("key-%d", r.Uint32()), func(string) http.Header { return header }
			u.fire(k)
		}
		return
	case 2: // the same delivery, with details that have changed
		u.fire(k)
		if t.signer.names() {
			k.body = t.signer.body(id, 1000)
			u.fire(k)
		}
		return
	}
	if t.signer.names() {
		u.mu.Lock()
		u.keys = append(u.keys, k)
		u.mu.Unlock()
	}
	u.fire(k)
	if r.IntN(2) == 0 && t.signer.names() {
		u.fire(k)
	}
}
