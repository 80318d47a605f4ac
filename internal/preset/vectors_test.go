package preset_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// vector is a request that a sender's own documentation or library says is well
// signed, or that one of them has taken.
type vector struct {
	settings boathook.Verification
	secret   string
	header   http.Header
	url      string
	body     string
	at       int64

	event, id string
	notJSON   bool // the sender's example is none
	unsigned  bool // the body is not covered
	noSecret  bool
	fetch     func(string) ([]byte, error)
	input     string // where it is not the body
}

const twilioURL = "https://mycompany.com/myapp.php?foo=1&bar=2"

// vectors are by preset, and then by what they are of.
func vectors(t testing.TB) map[string]map[string]vector {
	t.Helper()
	certificate, signSNS := snsCertificate(t)
	discordKey := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	const interaction = `{"id":"1","type":2,"token":"aW50","data":{"name":"deploy"}}`
	return map[string]map[string]vector{
		preset.None: {"": {body: `{"event":"deployed"}`, event: "deployed", noSecret: true, unsigned: true}},
		preset.HMAC: {
			// Taken by github.com/PagerDuty/go-pagerduty v1.8.0, webhookv3.VerifySignature.
			"two signatures": {
				settings: boathook.Verification{
					Header: "X-PagerDuty-Signature", Algorithm: "sha256", Encoding: "hex", Prefix: "v1=", EventPointer: "/event/event_type", DeliveryHeader: "X-Webhook-Id",
				},
				secret: "pd secret made by hand", body: `{"event":{"id":"01BY","event_type":"incident.triggered","data":{"id":"P1"}}}`,
				header: header("X-PagerDuty-Signature", "v1=d32e7be95a4a648676c1345c431994fb9f2265c6640e49b0975cfc643e506889,v1="+strings.Repeat("0", 64), "X-Webhook-Id", "W1"),
				event:  "incident.triggered", id: "W1",
			},
			// Standard Webhooks' test vector, without its id.
			"a comma in the prefix": {
				settings: boathook.Verification{Header: "X-Sig", Algorithm: "sha256", Encoding: "base64", Prefix: "v1,", Separator: " ", EventHeader: "X-Event"},
				secret:   key, body: `{"a":1}`, header: header("X-Sig", "v1,"+base64Of("old", `{"a":1}`)+" v1,"+base64Of(key, `{"a":1}`), "X-Event", "tested"),
				event: "tested",
			},
		},
		preset.Token: {
			"a header": {
				settings: boathook.Verification{Header: "X-Token", DeliveryHeader: "X-Id"}, secret: key, body: `{"type":"x"}`, unsigned: true,
				header: header("X-Token", key, "X-Id", "7"), event: "x", id: "7",
			},
			"bearer": {secret: key, body: `{}`, unsigned: true, header: header("Authorization", "Bearer "+key)},
			// RFC 7617, section 2.
			"basic":                  {secret: "Aladdin:open sesame", body: `{}`, unsigned: true, header: header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")},
			"basic's password alone": {secret: "open sesame", body: `{}`, unsigned: true, header: header("Authorization", "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")},
		},
		// GitHub Docs, "Validating webhook deliveries".
		preset.GitHub: {"": {
			secret: "It's a Secret to Everybody", body: "Hello, World!", notJSON: true,
			header: header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
		}},
		preset.GitLab: {"": {
			secret: key, body: `{"object_kind":"push"}`, unsigned: true, event: "Push Hook", id: "13792a34",
			header: header("X-Gitlab-Token", key, "X-Gitlab-Event", "Push Hook", "X-Gitlab-Event-UUID", "13792a34"),
		}},
		// Atlassian Support, "Manage webhooks", "Testing the webhook payload validation".
		preset.Bitbucket: {"": {
			secret: "It's a Secret to Everybody", body: "Hello World!", notJSON: true,
			header: header("X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"),
		}},
		// Made by github.com/stripe/stripe-go v82, webhook.GenerateTestSignedPayload.
		preset.Stripe: {"": {
			secret: "whsec_made_by_hand", body: `{"id":"evt_1","object":"event","type":"invoice.paid"}`, at: 1795287600,
			header: header("Stripe-Signature", "t=1795287600,v1=4fc7469a34da57e5db62bde97192871ffb161ddf591959171405f1235803e0ef"),
			event:  "invoice.paid", id: "evt_1",
		}},
		// Slack API, "Verifying requests from Slack": "A recipe for security".
		preset.Slack: {"a command": {
			secret: "8f742231b10e8888abcd99yyyzzz85a5", at: 1531420618,
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
				"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
				"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
				"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			header: header("X-Slack-Request-Timestamp", "1531420618", "Content-Type", "application/x-www-form-urlencoded",
				"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
			event: "/webhook-collect", id: "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			input: `{"channel_id":"G8PSS9T3V","channel_name":"foobar","command":"/webhook-collect",` +
				`"response_url":"https://hooks.slack.com/commands/T1DC2JH3J/397700885554/96rGlfmibIGlgcZRskXaIFfN","team_domain":"testteamnow",` +
				`"team_id":"T1DC2JH3J","text":"","token":"xyzz0WbapA4vBCDEFasx0q6G","trigger_id":"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",` +
				`"user_id":"U2CERLKJA","user_name":"roadrunner"}`,
		}},
		// As "Deliver webhooks through HTTPS" describes it, by the standard library.
		preset.Shopify: {"": {
			secret: "shop made by hand", body: `{"id":1}`, event: "orders/create", id: "b54557e4",
			header: header("X-Shopify-Hmac-Sha256", "Gmwf7I3MSlN9XPdxuiOfyB95o+AcPRkGWWVuwIOA3jQ=", "X-Shopify-Topic", "orders/create", "X-Shopify-Webhook-Id", "b54557e4"),
		}},
		// The test vector of Standard Webhooks' and of Svix's libraries.
		preset.Standard: {
			"webhook-*": {
				secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at: 1614265330, body: `{"test": 2432232314}`, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
				header: header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330",
					"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
			},
			"svix-*": {
				secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at: 1614265330, body: `{"test": 2432232314}`, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
				header: header("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "svix-timestamp", "1614265330",
					"svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
			},
		},
		// As "Configure webhook notifications" describes it, by the standard library.
		preset.Grafana: {
			"": {secret: key, body: `{"status":"firing"}`, header: header("X-Grafana-Alerting-Signature", hexOf(key, `{"status":"firing"}`)), event: "alert.firing"},
			"with a timestamp": {
				settings: boathook.Verification{TimestampHeader: "X-At"}, secret: key, body: `{"status":"resolved"}`, at: 1795287600, event: "alert.resolved",
				header: header("X-At", sentAt, "X-Grafana-Alerting-Signature", hexOf(key, sentAt+`:{"status":"resolved"}`)),
			},
		},
		// Taken by github.com/PagerDuty/go-pagerduty v1.8.0, webhookv3.VerifySignature.
		preset.PagerDuty: {"": {
			secret: "pd secret made by hand", body: `{"event":{"id":"01BY","event_type":"incident.triggered","data":{"id":"P1"}}}`,
			header: header("X-PagerDuty-Signature", "v1="+strings.Repeat("0", 64)+",v1=d32e7be95a4a648676c1345c431994fb9f2265c6640e49b0975cfc643e506889"),
			event:  "incident.triggered", id: "01BY",
		}},
		// Taken by @linear/sdk 98.0.0, LinearWebhookClient.verify.
		preset.Linear: {"": {
			secret: "lin_wh_made_by_hand", at: 1795287600, body: `{"action":"create","type":"Issue","data":{"id":"1"},"webhookTimestamp":1795287600000}`,
			header: header("Linear-Signature", "38ba51ff31965f5ae57675e04dbbcf22edc276a835ad8671b8056b381843d67c", "Linear-Event", "Issue", "Linear-Delivery", "234d1a4e"),
			event:  "Issue.create", id: "234d1a4e",
		}},
		// The tests of github.com/twilio/twilio-go v1.31.0, client/request_validator_test.go.
		preset.Twilio: {
			"a form": {
				secret: "12345", url: twilioURL, event: "", id: "CA1234567890ABCDE",
				body: url.Values{
					"Digits": {"1234"}, "CallSid": {"CA1234567890ABCDE"}, "To": {"+18005551212"}, "Caller": {"+14158675309"}, "From": {"+14158675309"},
					"ReasonConferenceEnded": {"test"}, "Reason": {"Participant"},
				}.Encode(),
				header: header("X-Twilio-Signature", "vOEb5UThFn24KEfnOFLQY2AE5FY=", "Content-Type", "application/x-www-form-urlencoded"),
				input: `{"CallSid":"CA1234567890ABCDE","Caller":"+14158675309","Digits":"1234","From":"+14158675309","Reason":"Participant",` +
					`"ReasonConferenceEnded":"test","To":"+18005551212"}`,
			},
			"JSON": {
				secret: "12345", url: twilioURL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
				body: `{"property": "value", "boolean": true}`, header: header("X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4="),
			},
		},
		// The tests of github.com/sendgrid/sendgrid-go v3.16.1, helpers/eventwebhook.
		preset.SendGrid: {"": {
			secret: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
			body: `[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",` +
				`"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",` +
				`"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]` + "\r\n",
			header: header("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502", "X-Twilio-Email-Event-Webhook-Signature",
				"MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="),
			event: "dropped", id: "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
		}},
		// As github.com/bwmarrin/discordgo v0.29.0, VerifyInteraction, reads it.
		preset.Discord: {"a command": {
			secret: hex.EncodeToString(discordKey.Public().(ed25519.PublicKey)), at: 1795287600, body: interaction, event: "deploy", id: "1",
			header: header("X-Signature-Timestamp", sentAt, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(discordKey, []byte(sentAt+interaction)))),
		}},
		// As @zoom/rivet 0.4.0 computes it.
		preset.Zoom: {"": {
			secret: "zoom made by hand", at: 1795287600, body: `{"event":"meeting.started"}`, event: "meeting.started",
			header: header("x-zm-request-timestamp", sentAt, "x-zm-signature", "v0=30d2553bdfd2f8639bdf4a3d1785d4382b8ca6c400db3bddeb04bfbb5d2e5874"),
		}},
		// Microsoft Learn, "Azure Event Grid event schema", "Set custom headers".
		preset.AzureEventGrid: {
			"without a secret": {
				body: `[{"id":"2d1781af","eventType":"Microsoft.Storage.BlobCreated","data":{}}]`, noSecret: true, unsigned: true,
				header: header("aeg-event-type", "Notification"), event: "Microsoft.Storage.BlobCreated", id: "2d1781af",
			},
			"with a delivery property": {
				settings: boathook.Verification{Header: "X-Key"}, secret: key, body: `[{"id":"1","type":"a"},{"id":"2","type":"a"}]`, unsigned: true,
				header: header("X-Key", key), event: "a",
			},
		},
		// Microsoft Learn, "Receive change notifications through webhooks".
		preset.MSGraph: {"": {
			secret: key, unsigned: true, event: "updated", id: "lsgTZMr9",
			body: `{"value":[{"id":"lsgTZMr9","subscriptionId":"f37536ac","clientState":"` + key + `","changeType":"updated","resource":"users/1"}]}`,
		}},
		// Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages",
		// with a certificate of one's own.
		preset.AWSSNS: {
			"signed by SHA-1":   signSNS(snsText{Type: "Notification", Message: "line\none", SignatureVersion: "1"}, certificate),
			"signed by SHA-256": signSNS(snsText{Type: "Notification", Message: "{}", Subject: "Alarm", SignatureVersion: "2"}, certificate),
		},
		// CloudEvents 1.0.2, "HTTP Protocol Binding", sections 3.1.4 and 3.2.3.
		preset.CloudEvents: {
			"binary": {
				body: `{"n":1}`, noSecret: true, unsigned: true, event: "com.example.someevent", id: "/mycontext#1234-1234",
				header: header("ce-specversion", "1.0", "ce-type", "com.example.someevent", "ce-id", "1234-1234", "ce-source", "/mycontext",
					"ce-subject", "Euro%20%E2%82%AC", "Content-Type", "application/json; charset=utf-8"),
				input: `{"data":{"n":1},"datacontenttype":"application/json; charset=utf-8","id":"1234-1234","source":"/mycontext","specversion":"1.0",` +
					`"subject":"Euro €","type":"com.example.someevent"}`,
			},
			"binary text": {
				body: "<a/>", noSecret: true, unsigned: true, event: "t", id: "s#1",
				header: header("ce-specversion", "1.0", "ce-type", "t", "ce-id", "1", "ce-source", "s", "Content-Type", "application/xml"),
				input:  `{"data":"<a/>","datacontenttype":"application/xml","id":"1","source":"s","specversion":"1.0","type":"t"}`,
			},
			"binary bytes": {
				body: "\xff\xfe", noSecret: true, unsigned: true, event: "t", id: "s#1",
				header: header("ce-specversion", "1.0", "ce-type", "t", "ce-id", "1", "ce-source", "s", "Content-Type", "image/png"),
				input:  `{"data_base64":"//4=","datacontenttype":"image/png","id":"1","source":"s","specversion":"1.0","type":"t"}`,
			},
			"structured, with a token": {
				secret: key, body: `{"specversion":"1.0","type":"t","id":"1","source":"s","data":{}}`, unsigned: true, event: "t", id: "s#1",
				header: header("Content-Type", "application/cloudevents+json", "Authorization", "Bearer "+key),
			},
			"with a token in the URL": {
				secret: key, body: `{"type":"t","id":"1"}`, unsigned: true, event: "t", id: "#1", url: "https://a.example/?access_token=" + url.QueryEscape(key),
			},
		},
	}
}

// read reads a vector's request, whose parts may have been changed.
func (v vector) read(t testing.TB, name, secret, body string) (preset.Reading, error) {
	t.Helper()
	v.settings.Preset = name
	if !v.noSecret {
		v.settings.SealedSecret = []byte("sealed")
	}
	p, err := preset.New(v.settings)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(v.url)
	if err != nil {
		t.Fatal(err)
	}
	if v.header == nil {
		v.header = http.Header{}
	}
	return p.Read(preset.Request{
		URLs: []string{"https://another.example/", v.url}, Header: v.header, Query: u.Query(), Wire: []byte(body), Body: []byte(body),
		Secret: secret, At: time.Unix(v.at, 0), Fetch: v.fetch,
	})
}

func TestEachPresetTakesWhatItsSenderSends(t *testing.T) {
	all := vectors(t)
	for _, name := range preset.Presets {
		if len(all[name]) == 0 {
			t.Errorf("%s has no vector", name)
		}
		for what, v := range all[name] {
			t.Run(name+" "+what, func(t *testing.T) {
				got, err := v.read(t, name, v.secret, v.body)
				switch {
				case v.notJSON && boathook.IsKind(err, boathook.Invalid):
				case err != nil:
					t.Fatal(err)
				default:
					want := v.input
					if want == "" {
						want = v.body
					}
					if diff := cmp.Diff([]string{want, v.event, v.id}, []string{string(got.Input), got.Event, got.DeliveryID}); diff != "" {
						t.Errorf("input, event and id (-want +got):\n%s", diff)
					}
				}
				if !v.unsigned {
					if _, err := v.read(t, name, v.secret, strings.Replace(v.body, v.body[len(v.body)/2:len(v.body)/2+1], "~", 1)); !boathook.IsKind(err, boathook.Unauthorized) {
						t.Errorf("a changed body gives %v", err)
					}
				}
				if v.secret == "" {
					return
				}
				half := len(v.secret) / 2
				letter := "A"
				if v.secret[half] == 'A' {
					letter = "B"
				}
				other := v.secret[:half] + letter + v.secret[half+1:]
				for _, secret := range []string{other, ""} {
					_, err := v.read(t, name, secret, v.body)
					if !boathook.IsKind(err, boathook.Unauthorized) || strings.Contains(err.Error(), v.secret) {
						t.Errorf("another secret, %q, gives %v", secret, err)
					}
				}
			})
		}
	}
}

// A signed request that was captured must not be repeated under another id.
func TestTheKeyIsWhatIsSigned(t *testing.T) {
	all := vectors(t)
	for name, fake := range map[string]http.Header{
		preset.Stripe: header("Idempotency-Key", "x"), preset.Twilio: header("I-Twilio-Idempotency-Token", "another"),
		preset.SendGrid: nil, preset.PagerDuty: nil, preset.Discord: nil, preset.AWSSNS: nil, preset.Zoom: nil,
	} {
		for what, v := range all[name] {
			first, err := v.read(t, name, v.secret, v.body)
			if err != nil {
				t.Fatal(name, err)
			}
			v.header = v.header.Clone()
			if v.header == nil {
				v.header = http.Header{}
			}
			for header := range fake {
				v.header.Set(header, fake.Get(header))
			}
			again, err := v.read(t, name, v.secret, v.body)
			if err != nil || !first.KeySigned || first.Key == "" || again.Key != first.Key {
				t.Errorf("%s %s: the key is %q, signed is %v; then %q, %v", name, what, first.Key, first.KeySigned, again.Key, err)
			}
		}
	}
}

func TestWhatSendersAskIsAnswered(t *testing.T) {
	discordKey := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	discord := func(body string) vector {
		return vector{
			secret: hex.EncodeToString(discordKey.Public().(ed25519.PublicKey)), at: 1795287600, body: body,
			header: header("X-Signature-Timestamp", sentAt, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(discordKey, []byte(sentAt+body)))),
		}
	}
	const validation = `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`
	for name, tc := range map[string]struct {
		presetName string
		vector
		status    int
		body      string
		mediaType string
	}{
		"Bitbucket's test of a connection": {preset.Bitbucket, vector{secret: key, body: `{"test":true}`, header: header("X-Event-Key", "diagnostics:ping")}, 200, `{"status":"pong"}`, "application/json"},
		"Discord's PING":                   {preset.Discord, discord(`{"type":1,"token":"x","id":"1"}`), 200, `{"type":1}`, "application/json"},
		"Discord's PING of webhook events": {preset.Discord, discord(`{"version":1,"application_id":"1","type":0}`), 204, ``, ""},
		"Zoom's validation": {preset.Zoom, vector{
			secret: "zoom made by hand", at: 1795287600, body: validation,
			header: header("x-zm-request-timestamp", sentAt, "x-zm-signature", "v0="+hexOf("zoom made by hand", "v0:"+sentAt+":"+validation)),
		}, 200, `{"encryptedToken":"11e7052e3ca7576ffd26a2290083936671e67af0400bc1f39f9ce6ab02fea43f","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}`, "application/json"},
		"Event Grid's validation": {preset.AzureEventGrid, vector{
			secret: key, body: `[{"id":"1","data":{"validationCode":"512d38b6"},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent"}]`,
			header: header("aeg-event-type", "SubscriptionValidation"),
		}, 200, `{"validationResponse":"512d38b6"}`, "application/json"},
		"Graph's validation": {preset.MSGraph, vector{secret: key, url: "https://a.example/?validationToken=Validation%3a+Testing+%3cb%3e"}, 200, `Validation: Testing <b>`, "text/plain; charset=utf-8"},
	} {
		got, err := tc.read(t, tc.presetName, tc.secret, tc.vector.body)
		if err != nil || got.Handshake == nil {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		a := got.Handshake
		if a.Status != tc.status || string(a.Body) != tc.body || a.ContentType != tc.mediaType {
			t.Errorf("%s: answered %d %s %s", name, a.Status, a.ContentType, a.Body)
		}
	}
}

func TestASenderOfCloudEventsAsksForLeave(t *testing.T) {
	for _, name := range preset.Presets {
		v := boathook.Verification{Preset: name, TopicARN: ""}
		switch name {
		case preset.HMAC:
			v.Header, v.Algorithm, v.Encoding = "X-Sig", "sha256", "hex"
		case preset.AWSSNS:
			v.TopicARN = topic
		}
		p, err := preset.New(v)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Options(header("WebHook-Request-Origin", "eventgrid.azure.net", "WebHook-Request-Rate", "120"))
		var want map[string]string
		if name == preset.CloudEvents || name == preset.AzureEventGrid {
			want = map[string]string{"WebHook-Allowed-Origin": "eventgrid.azure.net", "WebHook-Allowed-Rate": "*"}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLinearsTimeIsAMinuteAtMost(t *testing.T) {
	v := vectors(t)[preset.Linear][""]
	for at, want := range map[int64]string{
		1795287660: "", 1795287661: "timestamp is 61 s old, 60 allowed", 1795287539: "timestamp is 61 s ahead, 60 allowed",
	} {
		v.at = at
		_, err := v.read(t, preset.Linear, v.secret, v.body)
		if got := text(err); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	v.at, v.body = 1795287600, `{"webhookTimestamp":"now"}`
	v.header = header("Linear-Signature", hexOf(v.secret, v.body))
	if _, err := v.read(t, preset.Linear, v.secret, v.body); text(err) != "webhookTimestamp: expected Unix milliseconds" {
		t.Error(err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

const topic = "arn:aws:sns:eu-central-1:123456789012:alarms"

// snsText are the fields of a message of SNS that the tests set.
type snsText struct {
	Type, Message, Subject, SubscribeURL, Token, SignatureVersion string
	topic, certificateURL                                         string
}

// snsCertificate makes a certificate, and what signs messages by it.
func snsCertificate(t testing.TB) (certificate []byte, sign func(snsText, []byte) vector) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certificate, func(s snsText, certificate []byte) vector {
		fields := map[string]string{
			"Type": s.Type, "MessageId": "22b80b92", "TopicArn": topic, "Message": s.Message, "Timestamp": "2026-11-21T12:00:00.000Z",
			"SignatureVersion": s.SignatureVersion, "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem",
		}
		names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
		if s.Type != "Notification" {
			names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
			fields["SubscribeURL"], fields["Token"] = s.SubscribeURL, s.Token
		}
		if s.Subject != "" {
			fields["Subject"] = s.Subject
		}
		if s.topic != "" {
			fields["TopicArn"] = s.topic
		}
		if s.certificateURL != "" {
			fields["SigningCertURL"] = s.certificateURL
		}
		signed := ""
		for _, name := range names {
			if value, ok := fields[name]; ok {
				signed += name + "\n" + value + "\n"
			}
		}
		hash, sum := crypto.SHA256, sha256.Sum256([]byte(signed))
		digest := sum[:]
		if s.SignatureVersion == "1" {
			short := sha1.Sum([]byte(signed))
			hash, digest = crypto.SHA1, short[:]
		}
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
		if err != nil {
			t.Fatal(err)
		}
		fields["Signature"] = base64.StdEncoding.EncodeToString(signature)
		body, err := boathook.EncodeJSON(fields)
		if err != nil {
			t.Fatal(err)
		}
		return vector{
			settings: boathook.Verification{TopicARN: topic}, body: string(body), noSecret: true, event: s.Type, id: "22b80b92",
			fetch: func(string) ([]byte, error) { return certificate, nil },
		}
	}
}

func TestOnlyTheTopicOfTheWebhookIsTaken(t *testing.T) {
	certificate, sign := snsCertificate(t)
	other, _ := snsCertificate(t)
	const subscribe = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
	confirmation := snsText{Type: "SubscriptionConfirmation", Message: "You have chosen", SubscribeURL: subscribe, Token: "1", SignatureVersion: "2"}
	change := func(f func(*snsText)) snsText {
		s := confirmation
		f(&s)
		return s
	}
	for name, tc := range map[string]struct {
		text        snsText
		certificate []byte
		fetchErr    error
		want        string   // the error; empty for none
		fetched     []string // beside the certificate
		status      int
	}{
		"a subscription":                {text: confirmation, certificate: certificate, fetched: []string{subscribe}, status: 200},
		"the end of one":                {text: change(func(s *snsText) { s.Type = "UnsubscribeConfirmation" }), certificate: certificate, status: 200},
		"another topic's":               {text: change(func(s *snsText) { s.topic = topic + "x" }), want: "TopicArn is not the webhook's topic"},
		"another signer's":              {text: confirmation, certificate: other, want: mismatch},
		"to subscribe elsewhere":        {text: change(func(s *snsText) { s.SubscribeURL = "https://sns.eu-central-1.amazonaws.com.evil.example/" }), certificate: certificate, want: "SubscribeURL is not one of SNS"},
		"of a version to come":          {text: change(func(s *snsText) { s.SignatureVersion = "3" }), want: "SignatureVersion: expected 1 or 2"},
		"with what is no certificate":   {text: confirmation, certificate: []byte("x"), want: "SigningCertURL holds no certificate"},
		"a certificate of another host": {text: change(func(s *snsText) { s.certificateURL = "https://evil.example/sns.us-east-1.amazonaws.com.pem" }), want: "SigningCertURL is not one of SNS"},
		"a certificate by http":         {text: change(func(s *snsText) { s.certificateURL = "http://sns.us-east-1.amazonaws.com/a.pem" }), want: "SigningCertURL is not one of SNS"},
		"a certificate behind a user":   {text: change(func(s *snsText) { s.certificateURL = "https://sns.us-east-1.amazonaws.com@evil.example/a.pem" }), want: "SigningCertURL is not one of SNS"},
		"a bucket that looks like it":   {text: change(func(s *snsText) { s.certificateURL = "https://sns.s3.amazonaws.com.evil.pem" }), want: "SigningCertURL is not one of SNS"},
		"while SNS is down":             {text: confirmation, fetchErr: errors.New("timed out"), want: "fetch the certificate of SNS: timed out"},
	} {
		v := sign(tc.text, nil)
		var fetched []string
		v.fetch = func(url string) ([]byte, error) {
			if strings.HasSuffix(url, ".pem") {
				return tc.certificate, tc.fetchErr
			}
			fetched = append(fetched, url)
			return nil, nil
		}
		got, err := v.read(t, preset.AWSSNS, "", v.body)
		if text(err) != tc.want || !slices.Equal(fetched, tc.fetched) {
			t.Errorf("%s: %v, want %q; fetched %q", name, err, tc.want, fetched)
		}
		if tc.status != 0 && (got.Handshake == nil || got.Handshake.Status != tc.status) {
			t.Errorf("%s: %+v", name, got)
		}
		if refused := tc.fetchErr == nil && tc.want != ""; refused != boathook.IsKind(err, boathook.Unauthorized) {
			t.Errorf("%s: the error is %#v", name, err)
		}
	}
	for _, raw := range []string{"Hello", `{}`, `[]`, `{"Type":"Notification","TopicArn":"` + topic + `"}`} {
		_, err := vector{settings: boathook.Verification{TopicARN: topic}, noSecret: true}.read(t, preset.AWSSNS, "", raw)
		if !boathook.IsKind(err, boathook.Unauthorized) || !strings.Contains(err.Error(), "raw message delivery has none") {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for _, arn := range []string{"alarms", "arn:aws:sqs:eu-central-1:123456789012:alarms", topic + ":6b0e71bd"} {
		if _, err := preset.New(boathook.Verification{Preset: preset.AWSSNS, TopicARN: arn}); err == nil || !strings.Contains(err.Error(), "verification.topic_arn") {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

// Whatever a stranger sends, no preset that verifies takes it or panics.
func FuzzRead(f *testing.F) {
	for _, byName := range vectors(f) {
		for _, v := range byName {
			for name := range v.header {
				f.Add([]byte(v.body), name, v.header.Get(name), v.header.Get("Content-Type"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, name, value, contentType string) {
		for _, name := range preset.Presets {
			v := vector{header: header(name, value, "Content-Type", contentType, "X-Sig", value, "Authorization", value), at: 1795287600}
			switch name {
			case preset.None:
				continue
			case preset.HMAC:
				v.settings.Header, v.settings.Algorithm, v.settings.Encoding = "X-Sig", "sha256", "hex"
			case preset.AWSSNS:
				v.settings.TopicARN = topic
			}
			v.fetch = func(string) ([]byte, error) { return body, nil }
			got, err := v.read(t, name, "a secret that nobody knows", string(body))
			if err == nil && got.Handshake == nil {
				t.Errorf("%s takes it: %+v", name, got)
			}
		}
	})
}
