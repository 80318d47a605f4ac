package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestTheDocumentsWatcher has the page's script of trigger.md watch an agent.
func TestTheDocumentsWatcher(t *testing.T) {
	need(t, "node")
	watcher := block(t, "trigger.md", "javascript")
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
	go func() {
		defer close(printed.over)
		_ = cmd.Wait() // killed: its error says only that
	}()
	printed.await(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z clock tick\n`)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-printed.over
}

// TestTheDocumentsAgent triggers an agent as trigger.md does, twice with one key.
func TestTheDocumentsAgent(t *testing.T) {
	need(t, "sh", "curl", "openssl")
	p := start(t)
	crew := p.call("POST", "/v1/crews", `{"name":"test"}`, 201)["id"].(string)
	agent := p.call("POST", "/v1/crews/"+crew+"/agents", `{"name":"Echo","slug":"echo","target":{"type":"command","argv":["cat"]}}`, 201)
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", block(t, "trigger.md", "shell"))
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

func TestADeletedTokensWebSocketsAreClosed(t *testing.T) {
	p := start(t)
	token := p.call("POST", "/v1/tokens", `{"name":"v","role":"viewer"}`, 201)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/api/v1/ws-token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token["token"].(string))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var opens struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&opens); err != nil {
		t.Fatal(err)
	}
	socket := strings.Replace(p.url, "http", "ws", 1) + "/ws?token="
	watch := func(token string) *websocket.Conn {
		t.Helper()
		conn, _, err := websocket.Dial(t.Context(), socket+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		for _, frame := range []string{`{"type":"subscribe","channel":"workspace:` + firstWorkspace + `"}`, `{"type":"ping"}`} {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := conn.Read(t.Context()); err != nil { // the pong: it watches
			t.Fatal(err)
		}
		return conn
	}
	revoked, staying := watch(opens.Token), watch(p.call("GET", "/api/v1/ws-token", "", 200)["token"].(string))

	p.call("DELETE", "/v1/tokens/"+token["id"].(string), "", 204)
	if _, text, err := revoked.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("it got %s, %v", text, err)
	}
	if _, res, err := websocket.Dial(t.Context(), socket+opens.Token, nil); err == nil || res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another with its token: %v, %v", res, err)
	}
	if err := staying.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
		t.Error(err)
	}
	if _, _, err := staying.Read(t.Context()); err != nil {
		t.Errorf("another token's WebSocket: %v", err)
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
