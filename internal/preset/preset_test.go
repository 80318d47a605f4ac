package preset_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"boathook/internal/boathook"
	"boathook/internal/lambda/httpapi"
	"boathook/internal/preset"
)

func TestAVerificationNamesTheFieldAtFault(t *testing.T) {
	own := boathook.Verification{Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha256", Encoding: "hex"}
	for name, tc := range map[string]struct {
		change func(*boathook.Verification)
		field  string // empty: it is well
	}{
		"all that it needs": {func(*boathook.Verification) {}, ""},
		"with all there is": {func(v *boathook.Verification) {
			v.Prefix, v.Separator, v.DeliveryHeader, v.EventHeader = "v1=", " ", "X-Id", "X-Event"
		}, ""},
		"another preset":       {func(v *boathook.Verification) { v.Preset = preset.GitLab }, "verification.header"},
		"an unknown preset":    {func(v *boathook.Verification) { *v = boathook.Verification{Preset: "GitHub"} }, "verification.preset"},
		"no header":            {func(v *boathook.Verification) { v.Header = "" }, "verification.header"},
		"no algorithm":         {func(v *boathook.Verification) { v.Algorithm = "" }, "verification.algorithm"},
		"a broken algorithm":   {func(v *boathook.Verification) { v.Algorithm = "md5" }, "verification.algorithm"},
		"an unknown encoding":  {func(v *boathook.Verification) { v.Encoding = "base32" }, "verification.encoding"},
		"a timestamp":          {func(v *boathook.Verification) { v.TimestampHeader = "X-At" }, ""},
		"an event's place":     {func(v *boathook.Verification) { v.EventPointer = "/data/type" }, ""},
		"a place that is none": {func(v *boathook.Verification) { v.EventPointer = "type" }, "verification.event_pointer"},
		"settings of GitHub's": {func(v *boathook.Verification) { *v = boathook.Verification{Preset: preset.GitHub, Prefix: "x"} }, "verification.prefix"},
		"settings of none":     {func(v *boathook.Verification) { *v = boathook.Verification{DeliveryHeader: "X"} }, "verification.delivery_header"},
		"Grafana's own headers": {func(v *boathook.Verification) {
			*v = boathook.Verification{Preset: preset.Grafana, Header: "X", TimestampHeader: "Y"}
		}, ""},
	} {
		v := own
		tc.change(&v)
		_, err := preset.New(v)
		var e *boathook.Error
		if tc.field == "" && err == nil || errors.As(err, &e) && e.Kind == boathook.Invalid && e.Field == tc.field {
			continue
		}
		t.Errorf("%s: %v, want an error about %q", name, err, tc.field)
	}
}

// settings name a header in each of the fields that name one.
func settings(header string) map[string]boathook.Verification {
	return map[string]boathook.Verification{
		"verification.header":           {Preset: preset.HMAC, Header: header, Algorithm: "sha256", Encoding: "hex"},
		"verification.delivery_header":  {Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha256", Encoding: "hex", DeliveryHeader: header},
		"verification.timestamp_header": {Preset: preset.Grafana, TimestampHeader: header},
		"verification.event_header":     {Preset: preset.HMAC, Header: "X-Sig", Algorithm: "sha256", Encoding: "hex", EventHeader: header},
	}
}

func TestAHeaderThatDoesNotArriveAsItWasSentIsRefused(t *testing.T) {
	for _, header := range []string{
		"Host", "host", "HOST", "Content-Length", "Connection", "Transfer-Encoding", "X-Request-Id", "x-request-ID", "Keep-Alive", "TE", "Trailer",
		"Upgrade", "Expect", "Via", "Forwarded", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection",
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "x-forwarded-signature", "X-Amzn-Trace-Id", "X-AMZN-Signature",
	} {
		for field, v := range settings(header) {
			_, err := preset.New(v)
			e, ok := errors.AsType[*boathook.Error](err)
			if !ok || e.Kind != boathook.Invalid || e.Field != field || !strings.Contains(e.Message, header) {
				t.Errorf("%s as %s: %v", header, field, err)
			}
		}
	}
	for _, header := range []string{"X-Sig", "Authorization", "X-Hub-Signature-256", "X-Amz-Sns-Message-Id", "X-Request-Signature", "Hostname", "Content-Type", "Cookie", "Signature"} {
		for field, v := range settings(header) {
			if _, err := preset.New(v); err != nil {
				t.Errorf("%s as %s: %v", header, field, err)
			}
		}
	}
}

// Whatever net/http's server or package httpapi takes away, or sets itself, can hold
// no signature.
func TestWhatTheServerSetsItselfIsRefused(t *testing.T) {
	var arrived atomic.Pointer[http.Header]
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived.Store(&r.Header) })
	server := httptest.NewServer(handler)
	defer server.Close()
	behindAPIGateway := httpapi.Handler(handler)
	for _, header := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Md5", "Content-Type", "Cookie",
		"Date", "Digest", "Expect", "From", "Host", "If-Match", "Keep-Alive", "Origin", "Pragma", "Proxy-Authorization", "Range", "Referer", "Signature", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Hub-Signature-256", "X-Request-Id", "X-Sig",
	} {
		const value = "5891b5b522d5df086d0ff0b110fbd9d2"
		arrived.Store(&http.Header{}) // what is refused arrives without headers
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a.example\r\n%s: %s\r\n\r\n", header, value)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", header, err)
		}
		conn.Close()
		whole := res.StatusCode == http.StatusOK && arrived.Load().Get(header) == value
		if _, err := behindAPIGateway(t.Context(), events.APIGatewayV2HTTPRequest{Headers: map[string]string{header: value}}); err != nil {
			t.Fatal(err)
		}
		if whole && arrived.Load().Get(header) == value {
			continue
		}
		for field, v := range settings(header) {
			if _, err := preset.New(v); err == nil {
				t.Errorf("%s does not arrive, and is taken as %s", header, field)
			}
		}
	}
}

// A bare request proves nothing to a preset with a secret.
func TestEveryPresetWithASecretVerifies(t *testing.T) {
	for _, name := range append(preset.Presets, "") {
		v := verifiedAs(name)
		if name == preset.HMAC {
			v.Header, v.Algorithm, v.Encoding = "X-Sig", "sha256", "hex"
		}
		if name == preset.AWSSNS {
			v.TopicARN = topic
		}
		v.SealedSecret = []byte("sealed")
		p, err := preset.New(v)
		if err != nil {
			t.Fatal(err)
		}
		can, must := p.TakesSecret()
		refused := refusal(t, v, http.Header{}, []byte(`{}`), "secret", time.Now()) != nil
		if p.Verifies() != can || refused != (can || name == preset.AWSSNS) || must && !can {
			t.Errorf("%q: it can have a secret is %v, verifies is %v, a bare request is refused is %v", name, can, p.Verifies(), refused)
		}
	}
}

func TestASecretOfStandardWebhooksIsBase64(t *testing.T) {
	for name, secrets := range map[string]map[string]bool{
		preset.Standard: {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true, "whsec_?": false},
		preset.GitHub:   {"It's a Secret to Everybody": true},
	} {
		p, err := preset.New(boathook.Verification{Preset: name})
		if err != nil {
			t.Fatal(err)
		}
		for secret, good := range secrets {
			if err := p.CheckSecret(secret); (err == nil) != good {
				t.Errorf("%s: %q gives %v", name, secret, err)
			}
		}
	}
}
