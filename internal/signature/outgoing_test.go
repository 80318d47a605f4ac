package signature_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/signature"
)

// The second test cases of RFC 2202 and RFC 4231.
func TestHMACsOfTheRFCs(t *testing.T) {
	const key, text = "Jefe", "what do ya want for nothing?"
	if got, want := signature.SHA1(key, []byte(text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"; got != want {
		t.Errorf("SHA-1: got %s, want %s", got, want)
	}
	if got, want := signature.SHA256(key, []byte(text)), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"; got != want {
		t.Errorf("SHA-256: got %s, want %s", got, want)
	}
}

// The vector that the Standard Webhooks libraries share.
func TestTheVectorOfStandardWebhooks(t *testing.T) {
	for _, secret := range []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		key, err := signature.StandardKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		got := signature.Standard(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
		if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhatIsNoStandardKeyIsRefusedWithoutBeingShown(t *testing.T) {
	for _, secret := range []string{
		"", "whsec_", "whsec_!!!not-base64!!!!!!!!!!!!!!!!!!!!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_c2hvcnQ=",
		"whsec_" + strings.Repeat("QUFB", 22), "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	} {
		key, err := signature.StandardKey(secret)
		if err == nil {
			t.Errorf("%q: got a key of %d bytes", secret, len(key))
		} else if len(secret) > 6 && strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}
