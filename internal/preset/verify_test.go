package preset_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// header makes one of names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// sum is an HMAC by the standard library.
func sum(h func() hash.Hash, key, message string) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func hexOf(key, message string) string { return hex.EncodeToString(sum(sha256.New, key, message)) }
func base64Of(key, message string) string {
	return base64.StdEncoding.EncodeToString(sum(sha256.New, key, message))
}

// refusal is why a request is not taken for one of its sender's; nil if it is,
// readable or not.
func refusal(t testing.TB, v boathook.Verification, h http.Header, body []byte, secret string, now time.Time) error {
	t.Helper()
	if secret != "" {
		v.SealedSecret = []byte("sealed")
	}
	p, err := preset.New(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.Read(preset.Request{Header: h, Wire: body, Body: body, Secret: secret, At: now}); boathook.IsKind(err, boathook.Unauthorized) {
		return err
	}
	return nil
}

func verifiedAs(name string) boathook.Verification { return boathook.Verification{Preset: name} }

const (
	mismatch = "signature is over another body or with another secret"
	sentAt   = "1795287600"
	key      = "a secret of one side and the other"
)

var received = time.Unix(1795287600, 0)

// TestVerifiersSayWhatTheSenderMustMend goes through what senders get wrong.
// An empty reason is a request that verifies.
func TestVerifiersSayWhatTheSenderMustMend(t *testing.T) {
	const hook = `{"action":"opened"}`
	type request struct {
		name   string
		header http.Header
		reason string
	}
	github := hexOf(key, hook)
	shopify := base64Of(key, hook)
	slack := func(at string) http.Header {
		return header("X-Slack-Request-Timestamp", at, "X-Slack-Signature", "v0="+hexOf(key, "v0:"+at+":"+hook))
	}
	stripe := func(value string) http.Header { return header("Stripe-Signature", value) }
	v1 := hexOf(key, sentAt+"."+hook)
	grafana := func(at string) http.Header {
		return header("X-Grafana-Alerting-Timestamp", at, "X-Grafana-Alerting-Signature", hexOf(key, at+":"+hook))
	}
	standardSecret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	msg := base64Of(key, "msg_1."+sentAt+"."+hook)
	standard := func(id, at, value string) http.Header {
		return header("webhook-id", id, "webhook-timestamp", at, "webhook-signature", value)
	}
	zeros := strings.Repeat("0", 64)

	for _, tc := range []struct {
		name     string
		verify   boathook.Verification
		secret   string
		requests []request
	}{
		{"GitHub", verifiedAs(preset.GitHub), key, []request{
			{"signed", header("X-Hub-Signature-256", "sha256="+github), ""},
			{"upper-case hex", header("X-Hub-Signature-256", "sha256="+strings.ToUpper(github)), ""},
			{"missing", header(), "X-Hub-Signature-256 is missing"},
			{"only the old SHA-1", header("X-Hub-Signature", "sha1="+github[:40]), "X-Hub-Signature-256 is missing"},
			{"no prefix", header("X-Hub-Signature-256", github), "X-Hub-Signature-256: expected sha256=<64 hex digits>"},
			{"another prefix", header("X-Hub-Signature-256", "sha1="+github), "X-Hub-Signature-256: expected sha256=<64 hex digits>"},
			{"cut short", header("X-Hub-Signature-256", "sha256="+github[:62]), "X-Hub-Signature-256: expected sha256=<64 hex digits>"},
			{"base64", header("X-Hub-Signature-256", "sha256="+shopify), "X-Hub-Signature-256: expected sha256=<64 hex digits>"},
			{"another secret", header("X-Hub-Signature-256", "sha256="+hexOf("another", hook)), mismatch},
			{"another body", header("X-Hub-Signature-256", "sha256="+hexOf(key, hook+" ")), mismatch},
		}},
		{"GitLab", verifiedAs(preset.GitLab), key, []request{
			{"the secret", header("X-Gitlab-Token", key), ""},
			{"missing", header(), "X-Gitlab-Token is missing"},
			{"a part of it", header("X-Gitlab-Token", key[:10]), "X-Gitlab-Token is not the webhook's secret"},
			{"another", header("X-Gitlab-Token", key+"x"), "X-Gitlab-Token is not the webhook's secret"},
		}},
		{"Stripe", verifiedAs(preset.Stripe), key, []request{
			{"signed", stripe("t=" + sentAt + ",v1=" + v1 + ",v0=" + zeros), ""},
			{"with two secrets", stripe("t=" + sentAt + ",v1=" + zeros + ",v1=" + v1), ""},
			{"in another order, with spaces", stripe("v1=" + v1 + ", t=" + sentAt), ""},
			{"missing", header(), "Stripe-Signature is missing"},
			{"no timestamp", stripe("v1=" + v1), "Stripe-Signature: expected t=<Unix seconds>,v1=<64 hex digits>"},
			{"no signature", stripe("t=" + sentAt), "Stripe-Signature: expected t=<Unix seconds>,v1=<64 hex digits>"},
			{"only the test scheme", stripe("t=" + sentAt + ",v0=" + v1), "Stripe-Signature: expected t=<Unix seconds>,v1=<64 hex digits>"},
			{"cut short", stripe("t=" + sentAt + ",v1=" + v1[:10]), "Stripe-Signature: expected t=<Unix seconds>,v1=<64 hex digits>"},
			{"an odd timestamp", stripe("t=now,v1=" + v1), "Stripe-Signature t: expected Unix seconds"},
			{"of another second", stripe("t=1795287601,v1=" + v1), mismatch},
			{"old", stripe("t=1795287188,v1=" + hexOf(key, "1795287188."+hook)), "timestamp is 412 s old, 300 allowed"},
			{"another secret", stripe("t=" + sentAt + ",v1=" + zeros), mismatch},
		}},
		{"Slack", verifiedAs(preset.Slack), key, []request{
			{"signed", slack(sentAt), ""},
			{"as old as is allowed", slack("1795287300"), ""},
			{"a second older", slack("1795287299"), "timestamp is 301 s old, 300 allowed"},
			{"as far ahead as is allowed", slack("1795287900"), ""},
			{"a second further", slack("1795287901"), "timestamp is 301 s ahead, 300 allowed"},
			{"at the end of time", slack("9223372036854775807"), "timestamp is 9223372035059488207 s ahead, 300 allowed"},
			{"beyond it", slack("9223372036854775808"), "X-Slack-Request-Timestamp: expected Unix seconds"},
			{"a signed number", slack("+1795287600"), "X-Slack-Request-Timestamp: expected Unix seconds"},
			{"a fraction", slack("1795287600.5"), "X-Slack-Request-Timestamp: expected Unix seconds"},
			{"missing", header("X-Slack-Request-Timestamp", sentAt), "X-Slack-Signature is missing"},
			{"no timestamp", header("X-Slack-Signature", "v0="+zeros), "X-Slack-Request-Timestamp is missing"},
			{"another version", header("X-Slack-Request-Timestamp", sentAt, "X-Slack-Signature", "v1="+zeros), "X-Slack-Signature: expected v0=<64 hex digits>"},
			{"old and forged", header("X-Slack-Request-Timestamp", "1", "X-Slack-Signature", "v0="+zeros), mismatch},
		}},
		{"Shopify", verifiedAs(preset.Shopify), key, []request{
			{"signed", header("X-Shopify-Hmac-Sha256", shopify), ""},
			{"missing", header(), "X-Shopify-Hmac-Sha256 is missing"},
			{"hex", header("X-Shopify-Hmac-Sha256", github), "X-Shopify-Hmac-Sha256: expected <44 characters of base64>"},
			{"without padding", header("X-Shopify-Hmac-Sha256", strings.TrimRight(shopify, "=")), "X-Shopify-Hmac-Sha256: expected <44 characters of base64>"},
			{"another secret", header("X-Shopify-Hmac-Sha256", base64Of("another", hook)), mismatch},
		}},
		{"Standard Webhooks", verifiedAs(preset.Standard), standardSecret, []request{
			{"signed", standard("msg_1", sentAt, "v1,"+msg), ""},
			{"several versions and keys", standard("msg_1", sentAt, "v1a,abc v1,"+base64Of("old", hook)+" v1,"+msg), ""},
			{"no id", standard("", sentAt, "v1,"+msg), "webhook-id is missing"},
			{"no timestamp", standard("msg_1", "", "v1,"+msg), "webhook-timestamp is missing"},
			{"no signature", standard("msg_1", sentAt, ""), "webhook-signature is missing"},
			{"an odd timestamp", standard("msg_1", "x", "v1,"+msg), "webhook-timestamp: expected Unix seconds"},
			{"only another version", standard("msg_1", sentAt, "v2,"+msg), "webhook-signature: expected v1,<44 characters of base64>"},
			{"separated by a comma", standard("msg_1", sentAt, "v1,"+msg+",v1,"+msg), "webhook-signature: expected v1,<44 characters of base64>"},
			{"another id", standard("msg_2", sentAt, "v1,"+msg), mismatch},
			{"old", standard("msg_1", "1795287000", "v1,"+base64Of(key, "msg_1.1795287000."+hook)), "timestamp is 600 s old, 300 allowed"},
		}},
		{"Standard Webhooks, with a secret that is none", verifiedAs(preset.Standard), "whsec_?", []request{
			{"signed", standard("msg_1", sentAt, "v1,"+msg), "the webhook's secret must be whsec_ and the base64 of 24 to 64 bytes, as Standard Webhooks has it"},
		}},
		{"Grafana", verifiedAs(preset.Grafana), key, []request{
			{"signed", header("X-Grafana-Alerting-Signature", github), ""},
			{"with a timestamp that is not expected", grafana(sentAt), mismatch},
		}},
		{"Grafana with a timestamp", boathook.Verification{Preset: preset.Grafana, TimestampHeader: "X-Grafana-Alerting-Timestamp"}, key, []request{
			{"signed", grafana(sentAt), ""},
			{"old", grafana("1795287000"), "timestamp is 600 s old, 300 allowed"},
			{"without one", header("X-Grafana-Alerting-Signature", github), "X-Grafana-Alerting-Timestamp is missing"},
		}},
		{"an HMAC of SHA-1 in base64", boathook.Verification{Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha1", Encoding: "base64"}, key, []request{
			{"signed", header("x-sig", base64.StdEncoding.EncodeToString(sum(sha1.New, key, hook))), ""},
			{"another algorithm", header("x-sig", shopify), "X-Sig: expected <28 characters of base64>"},
		}},
		{"an HMAC of SHA-512 in hex", boathook.Verification{Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha512", Encoding: "hex", Prefix: "s="}, key, []request{
			{"signed", header("x-sig", "s="+hex.EncodeToString(sum(sha512.New, key, hook))), ""},
			{"another algorithm", header("x-sig", "s="+github), "X-Sig: expected s=<128 hex digits>"},
		}},
		{"a webhook without a secret", verifiedAs(preset.GitHub), "", []request{
			{"signed with nothing", header("X-Hub-Signature-256", "sha256="+hexOf("", hook)), "the webhook has no secret to verify with"},
		}},
		{"GitLab without a secret", verifiedAs(preset.GitLab), "", []request{
			{"any token", header("X-Gitlab-Token", "x"), "the webhook has no secret to verify with"},
		}},
	} {
		for _, r := range tc.requests {
			t.Run(tc.name+", "+r.name, func(t *testing.T) {
				reason := ""
				if err := refusal(t, tc.verify, r.header, []byte(hook), tc.secret, received); err != nil {
					reason = err.Error()
				}
				if reason != r.reason {
					t.Errorf("got  %q\nwant %q", reason, r.reason)
				}
			})
		}
	}
}

// FuzzVerifiers gives every parser of a signature or a timestamp what a
// stranger may send. None may verify, panic, or say what is secret.
func FuzzVerifiers(f *testing.F) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	f.Add("sha256="+strings.Repeat("0", 64), sentAt, "msg_1", []byte(`{}`))
	f.Add("t="+sentAt+",v1="+strings.Repeat("0", 64), "-1", "", []byte(``))
	f.Add("v1,"+strings.Repeat("A", 43)+"= v1,", "9223372036854775807", "x", []byte(`payload=%7B%7D`))
	f.Add("v0=zz,,=,t=,v1=", "1e9", "\x00", []byte("\xff"))
	f.Fuzz(func(t *testing.T, value, at, id string, body []byte) {
		h := http.Header{}
		for _, name := range []string{
			"X-Hub-Signature-256", "X-Gitlab-Token", "Stripe-Signature", "X-Slack-Signature", "X-Shopify-Hmac-Sha256", "webhook-signature", "X-Sig",
		} {
			h.Set(name, value)
		}
		h.Set("X-Slack-Request-Timestamp", at)
		h.Set("webhook-timestamp", at)
		h.Set("webhook-id", id)
		for name, verify := range map[string]boathook.Verification{
			"GitHub": verifiedAs(preset.GitHub), "GitLab": verifiedAs(preset.GitLab), "Stripe": verifiedAs(preset.Stripe),
			"Slack": verifiedAs(preset.Slack), "Shopify": verifiedAs(preset.Shopify), "Standard": verifiedAs(preset.Standard),
			"HMAC": {Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha512", Encoding: "base64", Prefix: "v1,"},
		} {
			err := refusal(t, verify, h, body, secret, received)
			if err == nil {
				t.Fatalf("%s verifies", name)
			}
			if strings.Contains(err.Error(), secret) || len(err.Error()) > 160 {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
