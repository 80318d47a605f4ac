package signature_test

import (
	"fmt"
	"net/http"
	"time"

	"boathook/internal/signature"
)

// A receiver of Crewship's dialect takes the time from its header and checks each
// signature that a rotation sends.
func ExampleVerifyTimestamped() {
	body := []byte(`{"event":"run.succeeded"}`)
	at := time.Unix(1795287600, 0)
	header := signature.Timestamped("whsec_new", at, body) + "," + signature.Timestamped("whsec_old", at, body)

	fmt.Println(signature.VerifyTimestamped(header, "whsec_old", at, body))
	fmt.Println(signature.VerifyTimestamped(header, "whsec_other", at, body))
	// Output:
	// true
	// false
}

// Standard signs as the specification's own example does
// (standard-webhooks.md, "Signature scheme").
func ExampleStandard() {
	key, err := signature.StandardKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(signature.Standard(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}

// The verdict says what a sender has to mend.
func ExampleHMAC_Verify() {
	verifier := signature.HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256=", Algorithm: "sha256", Encoding: signature.Hex}
	err := verifier.Verify(http.Header{}, []byte("{}"), "It's a Secret to Everybody", time.Now())
	fmt.Println(err)
	// Output: X-Hub-Signature-256 is missing
}
