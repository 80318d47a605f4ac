package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var kills = flag.Int("kills", 0, "how many times to kill the program under load")

// TestKilledAtAnyInstant kills the program -9 under load, again and again, and starts it
// on the same data. In the end every trigger that was accepted has one run that is over
// and was executed at most once, and the event of each was delivered. Runs that were
// executing when it died end when their lease does, which takes two minutes.
func TestKilledAtAnyInstant(t *testing.T) {
	if *kills == 0 {
		t.Skip("takes minutes: make kill")
	}
	program, folder := binary(t), t.TempDir()
	executed := filepath.Join(t.TempDir(), "executed")
	var mu sync.Mutex
	told := make(map[string]bool) // the runs of which the receiver has heard
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			RunID string `json:"run_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		told[event.RunID] = true
	}))
	defer receiver.Close()

	var (
		p        *killable
		path     string
		trigger  string
		accepted = make(map[string]bool)
	)
	for round := range *kills {
		p = startOn(t, program, folder)
		if round == 0 {
			path, trigger = p.deployment(`echo "$BOATHOOK_RUN_ID" >> ` + executed + `; cat`)
			p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
				`{"name":"r","url":%q,"events":["run.succeeded","run.failed"],"environment":"production","retry":{"schedule_seconds":[1,1,1,1,1]}}`, receiver.URL), 201)
			_, trigger, _ = strings.Cut(trigger, p.url)
		}
		over := make(chan struct{})
		var senders sync.WaitGroup
		for range 16 {
			senders.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					if id := fire(p.url + trigger); id != "" {
						mu.Lock()
						accepted[id] = true
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond) // any instant is as good as another
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		close(over)
		senders.Wait()
	}

	p = startOn(t, program, folder)
	for ctx := patience(t); ; {
		missing := 0
		for id := range accepted {
			mu.Lock()
			heard := told[id]
			mu.Unlock()
			if !heard {
				missing++
			}
		}
		if missing == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("of %d accepted runs %d were never told of", len(accepted), missing)
		}
		time.Sleep(time.Second) // another process: there is nothing to wait on
	}
	times := make(map[string]int)
	text, err := os.ReadFile(executed)
	if err != nil {
		t.Fatal(err)
	}
	for id := range strings.FieldsSeq(string(text)) {
		if times[id]++; times[id] > 1 {
			t.Errorf("run %s was executed %d times", id, times[id])
		}
	}
	byStatus := make(map[string]int)
	for id := range accepted {
		status := p.call("GET", "/v1/runs/"+id, "", 200)["status"].(string)
		byStatus[status]++
		if status != "succeeded" && status != "failed" {
			t.Errorf("run %s is %s", id, status)
		}
	}
	t.Logf("%d kills: %d triggers accepted, %d executed, runs %v", *kills, len(accepted), len(times), byStatus)
}

// killable is the program as a process of its own.
type killable struct {
	*program
	cmd *exec.Cmd
}

// startOn starts a program on a data folder.
func startOn(t *testing.T, binary, folder string, variables ...string) *killable {
	t.Helper()
	cmd := process(t, binary, append([]string{"BOATHOOK_ADMIN_TOKEN=" + adminToken}, variables...)...)
	cmd.Args = []string{binary, "serve", "--dev", "--data", folder}
	p := &killable{running(t, cmd), cmd}
	p.token = adminToken
	return p
}

// fire triggers a run, and gives its id if it was accepted.
func fire(url string) (runID string) {
	res, err := http.Post(url, "application/json", strings.NewReader(`{"a":1}`))
	if err != nil {
		return "" // it is being killed, or was
	}
	defer res.Body.Close()
	var answer struct {
		RunID string `json:"run_id"`
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusAccepted || json.Unmarshal(text, &answer) != nil {
		return ""
	}
	return answer.RunID
}
