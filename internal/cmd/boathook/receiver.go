package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/seal"
	"boathook/internal/signature"
)

// receiverPath is where it is.
const receiverPath = "/receiver"

// receiver is the built-in end of an outgoing webhook: it prints what arrives,
// and whether its signature verifies with the secret that the printed lines
// give the webhook.
type receiver struct {
	secret string

	mu  sync.Mutex // one delivery prints at a time
	out io.Writer
}

// newReceiver's secret follows from a key, so that it is the same after a restart.
func newReceiver(out io.Writer, key seal.LocalKey) *receiver {
	return &receiver{secret: boathook.SigningSecretPrefix + base64.StdEncoding.EncodeToString(derived(key, receiverPath)), out: out}
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, queue.MaxDeliveryBody))
	if err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	verdict := "does not verify"
	if seconds, err := strconv.ParseUint(r.Header.Get(dialect.CrewshipTimestamp), 10, 63); err == nil &&
		signature.VerifyTimestamped(r.Header.Get(dialect.CrewshipSignature), rc.secret, time.Unix(int64(seconds), 0), body) {
		verdict = "verifies"
	}
	text := fmt.Sprintf("%q", body)
	if json.Valid(body) { // then it holds no control characters
		text = string(body)
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	fmt.Fprintf(rc.out, "\nReceived %q, delivery %q; its signature %s:\n%s\n",
		r.Header.Get(dialect.CrewshipEvent), r.Header.Get(dialect.CrewshipDelivery), verdict, text)
	w.WriteHeader(http.StatusNoContent)
}
