package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTheREADMEsWatcher has the page's script of README.md watch an agent.
func TestTheREADMEsWatcher(t *testing.T) {
	need(t, "node")
	watcher := readme(t, "javascript")
	t.Chdir(t.TempDir())
	p := start(t)
	t.Cleanup(func() { // the program, which is stopped next, waits for the run
		if err := os.WriteFile("ended", nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	crew := p.call("POST", "/v1/crews", `{"name":"test"}`, 201)["id"].(string)
	agent := p.call("POST", "/v1/crews/"+crew+"/agents",
		`{"name":"Clock","slug":"clock","target":{"type":"command","argv":["sh","-c","until test -e ended; do echo tick; sleep 0.1; done"]}}`, 201)
	trigger(t, agent["trigger_url"].(string), agent["webhook_secret"].(string), `{}`)

	script := fmt.Sprintf("const url = %q, token = %q, workspaceId = %q;\n",
		strings.Replace(p.url, "http", "ws", 1)+"/ws", p.call("GET", "/api/v1/ws-token", "", 200)["token"], firstWorkspace)
	cmd := exec.CommandContext(t.Context(), "node", "--experimental-websocket", "--eval", script+watcher)
	printed := newOutput()
	cmd.Stdout, cmd.Stderr = printed, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed.await(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z clock tick\n`)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed: its error says only that
}

// TestTheREADMEsAgent triggers an agent as README.md does, twice with one key.
func TestTheREADMEsAgent(t *testing.T) {
	need(t, "sh", "curl", "openssl")
	p := start(t)
	crew := p.call("POST", "/v1/crews", `{"name":"test"}`, 201)["id"].(string)
	agent := p.call("POST", "/v1/crews/"+crew+"/agents", `{"name":"Echo","slug":"echo","target":{"type":"command","argv":["cat"]}}`, 201)
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", readme(t, "shell"))
		cmd.Env = append(os.Environ(), "TRIGGER_URL="+agent["trigger_url"].(string), "WEBHOOK_SECRET="+agent["webhook_secret"].(string),
			"DELIVERY=a", `PAYLOAD={"event":"deployed"}`)
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != `{"status":"accepted"}` {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if total := p.call("GET", "/api/v1/runs", "", 200)["pagination"].(map[string]any)["total"]; total != 1.0 {
		t.Errorf("it ran %v times", total)
	}
}

// trigger starts a run of an agent, as its senders do.
func trigger(t *testing.T, url, secret, body string) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("a trigger is answered %d", res.StatusCode)
	}
}
