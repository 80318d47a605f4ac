package dialect_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/dialect"
)

// example is an event of the catalogue, of a certain time.
func example(t testing.TB, kind boathook.SourceKind, name boathook.EventType) boathook.Event {
	t.Helper()
	typ, ok := catalogue.Lookup(kind, name)
	if !ok {
		t.Fatalf("a %s has no event %s", kind, name)
	}
	return boathook.Event{
		ID: "evt_a", WorkspaceID: "ws_a", SourceID: "source_a", Type: name, Data: typ.Example,
		Time: time.Date(2026, 11, 21, 12, 0, 0, 250_000_000, time.FixedZone("", 3600)),
	}
}

func lookup(t testing.TB, name string) *dialect.Dialect {
	t.Helper()
	d, ok := dialect.Lookup(name)
	if !ok {
		t.Fatalf("there is no dialect %s", name)
	}
	return d
}

func body(t *testing.T, d *dialect.Dialect, f boathook.Format, e boathook.Event) []byte {
	t.Helper()
	b, err := d.Body(f, e)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Fatalf("not JSON: %s", b)
	}
	return b
}

func message(e boathook.Event, body []byte) dialect.Message {
	return dialect.Message{
		DeliveryID: boathook.NewDeliveryID(&e, "out_a"), EventType: e.Type, SentAt: time.Unix(1771143284, 0), Body: body,
	}
}

func TestEachKindOfSourceHasADialect(t *testing.T) {
	for kind := range boathook.EventTypes {
		lookup(t, dialect.DefaultFor(kind))
	}
	if _, ok := dialect.Lookup("shouting"); ok {
		t.Error("there is a dialect that nobody speaks")
	}
}

// The bodies of the documents, field for field and in their order.
func TestBodiesAreThoseOfTheDocuments(t *testing.T) {
	build := example(t, boathook.Repository, boathook.EventBuildFinish)
	job := example(t, boathook.App, boathook.EventJobFinished)
	for name, c := range map[string]struct {
		dialect string
		event   boathook.Event
		want    string
	}{
		"Shipway": {dialect.Shipway, build, `{"build":{"build_num":14,"created_at":"2014-12-18T10:44:22+00:00","dockerfile_dir":"/","exit_code":0,` +
			`"status":"succeeded","finished_at":"2014-12-18T10:47:42+00:00","updated_at":"2014-12-18T10:44:22+00:00"},` +
			`"commit":{"author":{"login":"grosskur","name":"Alan Grosskurth"},"message":"Revert test commit","sha":"88d543e33a67d669e917bb178d63fba838d9cf2e"},` +
			`"image_tags":[{"full_name":"shipway.io/grosskur/docker-hello:latest","id":"4cdd9808a0d64fc04e92be2832895ab2de9bf86dd60cf6d846e886904925186d","name":"latest"}],` +
			`"images":[{"id":"4cdd9808a0d64fc04e92be2832895ab2de9bf86dd60cf6d846e886904925186d","pushed":true},` +
			`{"id":"aab4e5cb6c913c9801d1e0872f930d97b665edeb1344e01dd6e57daa9eefed15","pushed":true},` +
			`{"id":"d76986f1db3e3d98364088b98384d612ba5f8207cdf0575e5512da55d53c4490","pushed":true},` +
			`{"id":"60dbd5ce6f07db5d392da675f6ab1fadcea5c129d9853058dd487d55b3a655d3","pushed":false},` +
			`{"id":"fcf984186c72de37469b8a049f6bb4a3f128e9b60f3b3e279a9abbce689f6274","pushed":false}],` +
			`"repository":{"clone_url":"https://github.com/grosskur/docker-hello.git","id":27844253,"name":"docker-hello","owner":{"id":40483,"login":"grosskur"}}}`},
		"Capawesome Cloud": {dialect.Capawesome, job, `{"event":"job_finished","data":{"id":"16555c02-a320-4bec-a14a-52754d783970",` +
			`"appBuildId":"647d1fe4-9cb7-4f25-afaf-7a0c13a1bb8c","appDeploymentId":null,"appId":"70922e93-0944-48cc-a560-61135ab291ad",` +
			`"canceledAt":1771143284003,"canceledBy":"f624e455-b19c-4f17-8282-e4a7a02597f3","finishedAt":1771143284003,"inProgressAt":1771143275311,` +
			`"inProgressTimeInSeconds":8,"organizationId":"a7249949-a705-4952-a293-a06df84950dc","pendingAt":1771143256381,"pendingTimeInSeconds":18,` +
			`"queuedAt":null,"queueTimeInSeconds":null,"stack":"macos-tahoe","status":"canceled","totalTimeInSeconds":27,"createdAt":1771143256161,` +
			`"createdBy":"f624e455-b19c-4f17-8282-e4a7a02597f3"}}`},
		"Standard Webhooks": {dialect.Standard, boathook.Event{Type: "a.b", Time: job.Time, Data: []byte(`{"z": 1e400,"a":"<&>"}`)},
			`{"type":"a.b","timestamp":"2026-11-21T11:00:00.250Z","data":{"z": 1e400,"a":"<&>"}}`},
		"Crewship, of another's event": {dialect.Crewship, build, `{"event":"build_finish",` + string(build.Data[1:])},
	} {
		if diff := cmp.Diff(c.want, string(body(t, lookup(t, c.dialect), boathook.Raw, c.event))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestShipwaysHeaders(t *testing.T) {
	d, e := lookup(t, dialect.Shipway), example(t, boathook.Repository, boathook.EventBuildFinish)
	m := message(e, body(t, d, boathook.Raw, e))
	mac := hmac.New(sha1.New, []byte("hook secret"))
	mac.Write(m.Body)
	want := http.Header{
		"Content-Type":        {"application/json"},
		"User-Agent":          {"Shipway-Hookshot/0.1"},
		"X-Shipway-Event":     {"build_finish"},
		"X-Shipway-Delivery":  {m.DeliveryID.String()},
		"X-Shipway-Signature": {"sha1=" + hex.EncodeToString(mac.Sum(nil))},
	}
	wantHeader(t, d, m, want, "hook secret")
	wantHeader(t, d, m, want, "hook secret", "the one before") // there is room for one
	want.Del("X-Shipway-Signature")
	wantHeader(t, d, m, want)
}

func TestCapawesomesHeaders(t *testing.T) {
	d, e := lookup(t, dialect.Capawesome), example(t, boathook.App, boathook.EventJobFinished)
	m := message(e, body(t, d, boathook.Raw, e))
	mac := hmac.New(sha256.New, []byte("SIGNING_SECRET"))
	mac.Write(m.Body)
	want := http.Header{
		"Content-Type": {"application/json"},
		"User-Agent":   {boathook.UserAgent()},
		"X-Signature":  {hex.EncodeToString(mac.Sum(nil))},
	}
	wantHeader(t, d, m, want, "SIGNING_SECRET")
	want.Del("X-Signature")
	wantHeader(t, d, m, want)
}

func wantHeader(t *testing.T, d *dialect.Dialect, m dialect.Message, want http.Header, secrets ...string) {
	t.Helper()
	signature, err := d.Sign(m, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.Header(m, signature)); diff != "" {
		t.Errorf("with %d secrets (-want +got):\n%s", len(secrets), diff)
	}
}

// The receiver is the specification's own library.
func TestStandardWebhooksOwnVerifierTakesEachSecretOfAnOverlap(t *testing.T) {
	d, e := lookup(t, dialect.Standard), example(t, boathook.App, boathook.EventJobFinished)
	m := message(e, body(t, d, boathook.Raw, e))
	m.SentAt = time.Now()
	current, previous := boathook.NewSigningSecret(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	signature, err := d.Sign(m, current, previous)
	if err != nil {
		t.Fatal(err)
	}
	header := d.Header(m, signature)
	if got := header.Get("webhook-id"); got != m.DeliveryID.String() {
		t.Errorf("webhook-id is %q", got)
	}
	for _, secret := range []string{current, previous} {
		receiver, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.Verify(m.Body, header); err != nil {
			t.Error(err)
		}
		if receiver.Verify(append(m.Body, ' '), header) == nil {
			t.Error("another body has the same signature")
		}
	}
	stranger, err := standardwebhooks.NewWebhook(boathook.NewSigningSecret())
	if err != nil {
		t.Fatal(err)
	}
	if stranger.Verify(m.Body, header) == nil {
		t.Error("another secret verifies")
	}
}

func TestASecretThatCanNotSignIsRefused(t *testing.T) {
	standard := lookup(t, dialect.Standard)
	for secret, ok := range map[string]bool{
		boathook.NewSigningSecret():              true,
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true, // the libraries' own, of 24 bytes
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":       true,
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS":  false, // cut short
		"whsec_dG9vIHNob3J0":                     false,
		"a secret that is no base64 at all":      false,
		"":                                       false,
	} {
		err := standard.CheckSecret(secret)
		if (err == nil) != ok {
			t.Errorf("%q: got %v", secret, err)
		}
		if _, signErr := standard.Sign(dialect.Message{}, secret); (signErr == nil) != ok {
			t.Errorf("%q: signed with the error %v", secret, signErr)
		}
	}
	for _, name := range []string{dialect.Crewship, dialect.Shipway, dialect.Capawesome} {
		if err := lookup(t, name).CheckSecret("a secret that is no base64 at all"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{dialect.Crewship, dialect.Standard} {
		if _, err := lookup(t, name).Sign(dialect.Message{}); err == nil {
			t.Errorf("%s signs without a secret", name)
		}
	}
}
