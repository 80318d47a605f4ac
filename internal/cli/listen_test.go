package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A delivery that can't be fetched at first is not given up: the next look at the log
// finds it again.
func TestADeliveryThatCanNotBeFetchedIsTriedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: the next look at the log takes 5 s: run it without -short")
	}
	const id = "019c5f3e-87a8-8a51-8cd9-2b1f0c6d7e8f"
	now := time.Now().UTC().Format(time.RFC3339Nano)
	delivery := fmt.Sprintf(`{"id":%q,"event":"job_finished","created_at":%q,"last_attempt":{"number":1,"sent_at":%q},"request":{"headers":{"X-Signature":"abc"},"body":"{}"}}`, id, now, now)
	var fetched atomic.Int64
	answers := map[string]string{
		"GET /v1/me": `{"workspace":{"id":"ws_a"}}`,
		"GET /v1/apps/app_aaaaaaaaaaaaaaaaaaaaaaaa/outgoing-webhooks":                  `{"data":[],"next_cursor":null}`,
		"POST /v1/apps/app_aaaaaaaaaaaaaaaaaaaaaaaa/outgoing-webhooks":                 `{"id":"out_a","signing_secret":"s3cret"}`,
		"GET /v1/apps/app_aaaaaaaaaaaaaaaaaaaaaaaa/outgoing-webhooks/out_a/deliveries": `{"data":[` + delivery + `],"next_cursor":null}`,
		"DELETE /v1/apps/app_aaaaaaaaaaaaaaaaaaaaaaaa/outgoing-webhooks/out_a":         `{}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.Path]
		switch {
		case r.URL.Path == "/v1/deliveries/"+id && fetched.Add(1) > 1:
			answer = delivery
		case !ok: // also the WebSocket's token: nothing is announced
			w.WriteHeader(http.StatusBadRequest)
		}
		io.WriteString(w, answer)
	}))
	defer server.Close()
	variables := map[string]string{urlVariable: server.URL, tokenVariable: "bh_a"}
	stdout, printed := io.Pipe()
	var told bytes.Buffer
	root := &cobra.Command{Use: "boathook", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(Environment{
		Getenv: func(name string) string { return variables[name] }, ConfigDir: t.TempDir(), Stdin: strings.NewReader(""), Stdout: printed, Stderr: &told,
	})...)
	root.SetArgs([]string{"listen", "--app", "app_aaaaaaaaaaaaaaaaaaaaaaaa", "--events", "job_finished", "--output", "json"})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	var got forwarded
	if err := json.NewDecoder(stdout).Decode(&got); err != nil || got.DeliveryID != id || got.Headers["X-Signature"] != "abc" {
		t.Errorf("printed %+v, %v", got, err)
	}
	stop()
	if err := <-done; err != nil || fetched.Load() != 2 || !strings.Contains(told.String(), "can't be fetched yet") {
		t.Errorf("%v after %d requests; it says\n%s", err, fetched.Load(), &told)
	}
}
