package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

func TestATokenIsMadeShownOnceAndDeleted(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	p.see(200, "/console/tokens", "No tokens yet")
	p.has(p.send("/console/tokens/new", "/console/tokens", url.Values{"name": {"ci"}, "role": {"king"}}), 400, "a role that is none", `id="role-e"`, `value="ci"`)
	made := p.send("/console/tokens/new", "/console/tokens", url.Values{"name": {"ci"}, "role": {"admin"}})
	token := regexp.MustCompile(`bh_[A-Za-z0-9_-]{43}`).FindString(made.body)
	p.has(made, 200, "the token", "Copy the token now")
	if list := p.see(200, "/console/tokens", "ci", "Admin"); token == "" || strings.Contains(list.body, token) {
		t.Errorf("the token %q is shown again, or never was", token)
	}
	p.signIn(token)
	list := p.see(200, "/console/tokens", "You are signed in with it")
	remove := regexp.MustCompile(`/console/tokens/tok_[a-z0-9]+/delete`).FindString(list.body)
	p.see(200, remove, "you are signed out too")
	gone := p.send(remove, remove, url.Values{})
	if gone.StatusCode != http.StatusSeeOther || gone.Header.Get("Location") != "/console/sign-in" {
		t.Errorf("with one's own token deleted: %d %v", gone.StatusCode, gone.Header)
	}
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {token}}), 401, "a sign-in with it")
	p.as(boathook.Member)
	p.see(403, "/console/tokens")
	p.see(403, "/console/tokens/new")
}

func TestDeadLettersAreRedriven(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	p.see(200, "/console/operations", "No dead letters", "Nobody is told yet")
	dead := p.queues[queue.Runs].DeadLetter()
	if err := dead.Send(t.Context(), queue.Message{Body: "what can't be read"}); err != nil {
		t.Fatal(err)
	}
	p.see(200, "/console/operations", "1 dead letter<", "/console/operations/runs/redrive", "Dead letters of runs", "decode run")
	run, err := queue.EncodeRun(boathook.Run{RunHead: boathook.RunHead{
		ID: "run_aaaaaaaaaaaaaaaaaaaaaaaa", WorkspaceID: "ws_local", SourceID: "dep_aaaaaaaaaaaaaaaaaaaaaaaa", VersionID: "ver_a", CreatedAt: p.now,
	}, Input: boathook.NewBody([]byte(`{"password":"of a payload"}`))})
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Send(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got := p.see(200, "/console/operations", "2 dead letters<", "/console/runs/run_aaaaaaaaaaaaaaaaaaaaaaaa"); strings.Contains(got.body, "password") {
		t.Error("a payload is shown")
	}
	if n := dead.Stats().Ready; n != 2 {
		t.Errorf("after the looks %d are dead", n)
	}
	p.see(404, "/console/operations/walks/redrive")
	p.has(p.send("/console/operations/runs/redrive", "/console/operations/runs/redrive", url.Values{}), 303, "a redrive")
	p.see(200, "/console/operations", "No dead letters", "The last redrive moved 2")
	if n := p.queues[queue.Runs].Stats().Ready; n != 2 {
		t.Errorf("%d are back in the queue", n)
	}
	p.as(boathook.Member)
	p.see(403, "/console/operations")
}
