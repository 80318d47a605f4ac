package provider_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/provider"
)

func TestAVerificationNamesTheFieldAtFault(t *testing.T) {
	own := boathook.Verification{Preset: provider.HMAC, Header: "X-Sig", Algorithm: "sha256", Encoding: "hex"}
	for name, tc := range map[string]struct {
		change func(*boathook.Verification)
		field  string // empty: it is well
	}{
		"all that it needs":    {func(*boathook.Verification) {}, ""},
		"with all there is":    {func(v *boathook.Verification) { v.Prefix, v.DeliveryHeader = "v1=", "X-Id" }, ""},
		"another preset":       {func(v *boathook.Verification) { v.Preset = "bitbucket" }, "verification.header"},
		"an unknown preset":    {func(v *boathook.Verification) { *v = boathook.Verification{Preset: "GitHub"} }, "verification.preset"},
		"no header":            {func(v *boathook.Verification) { v.Header = "" }, "verification.header"},
		"no algorithm":         {func(v *boathook.Verification) { v.Algorithm = "" }, "verification.algorithm"},
		"a broken algorithm":   {func(v *boathook.Verification) { v.Algorithm = "md5" }, "verification.algorithm"},
		"an unknown encoding":  {func(v *boathook.Verification) { v.Encoding = "base32" }, "verification.encoding"},
		"a timestamp":          {func(v *boathook.Verification) { v.TimestampHeader = "X-At" }, "verification.timestamp_header"},
		"settings of GitHub's": {func(v *boathook.Verification) { *v = boathook.Verification{Preset: provider.GitHub, Prefix: "x"} }, "verification.prefix"},
		"settings of none":     {func(v *boathook.Verification) { *v = boathook.Verification{DeliveryHeader: "X"} }, "verification.delivery_header"},
		"Grafana's own headers": {func(v *boathook.Verification) {
			*v = boathook.Verification{Preset: provider.Grafana, Header: "X", TimestampHeader: "Y"}
		}, ""},
	} {
		v := own
		tc.change(&v)
		_, err := provider.New(v)
		var e *boathook.Error
		if tc.field == "" && err == nil || errors.As(err, &e) && e.Kind == boathook.Invalid && e.Field == tc.field {
			continue
		}
		t.Errorf("%s: %v, want an error about %q", name, err, tc.field)
	}
}

func TestEveryPresetButNoneVerifies(t *testing.T) {
	for _, preset := range append(provider.Presets, "") {
		v := boathook.Verification{Preset: preset}
		if preset == provider.HMAC {
			v.Header, v.Algorithm, v.Encoding = "X-Sig", "sha256", "hex"
		}
		p, err := provider.New(v)
		if err != nil {
			t.Fatal(err)
		}
		none := preset == provider.None || preset == ""
		if err := p.Verify(http.Header{}, []byte(`{}`), "secret", time.Now()); p.Verifies() == none || (err == nil) != none {
			t.Errorf("%q: verifies is %v, and a bare request gives %v", preset, p.Verifies(), err)
		}
	}
}

func TestASecretOfStandardWebhooksIsBase64(t *testing.T) {
	for preset, secrets := range map[string]map[string]bool{
		provider.Standard: {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true, "whsec_?": false},
		provider.GitHub:   {"It's a Secret to Everybody": true},
	} {
		p, err := provider.New(boathook.Verification{Preset: preset})
		if err != nil {
			t.Fatal(err)
		}
		for secret, good := range secrets {
			if err := p.CheckSecret(secret); (err == nil) != good {
				t.Errorf("%s: %q gives %v", preset, secret, err)
			}
		}
	}
}
