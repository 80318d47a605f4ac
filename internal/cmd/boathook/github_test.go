package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v89/github"
)

func accepting(t *testing.T) (url string) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(receiver.Close) // after the program, which may still send
	return receiver.URL
}

func TestOctokitManagesHooks(t *testing.T) {
	rules := filepath.Dir(nodeClients(t))
	receiver := accepting(t)
	p := start(t)
	p.call("POST", "/v1/repositories", `{"owner":"acme","name":"site"}`, 201)
	must(t, "", "node", filepath.Join(rules, "octokit", "hooks.mjs"), p.url, adminToken, receiver)
}

func TestGoGithubManagesHooks(t *testing.T) {
	receiver := accepting(t)
	p := start(t)
	p.call("POST", "/v1/repositories", `{"owner":"acme","name":"site"}`, 201)
	plain := p.url + "/"
	basic := &github.BasicAuthTransport{Username: "somebody", Password: adminToken}
	for name, options := range map[string][]github.ClientOptionsFunc{
		"plain":      {github.WithAuthToken(adminToken), github.WithURLs(&plain, &plain)},
		"enterprise": {github.WithAuthToken(adminToken), github.WithEnterpriseURLs(p.url, p.url)},
		"basic":      {github.WithHTTPClient(basic.Client()), github.WithURLs(&plain, &plain)},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := github.NewClient(options...)
			if err != nil {
				t.Fatal(err)
			}
			(&hooksOf{t, client.Repositories}).walk(receiver)
		})
	}
}

// hooksOf are the hooks of acme/site, by go-github.
type hooksOf struct {
	t *testing.T
	*github.RepositoriesService
}

func (s *hooksOf) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *hooksOf) equal(got, want any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Error(diff)
	}
}

func (s *hooksOf) walk(receiver string) {
	ctx := s.t.Context()
	const owner, repo = "acme", "site"
	repository, _, err := s.Get(ctx, owner, repo)
	s.must(err)
	s.equal(repository.GetFullName(), "acme/site")

	wanted := &github.HookConfig{URL: &receiver, ContentType: new("json"), InsecureSSL: new("0"), Secret: new("s3cret")}
	hook, _, err := s.CreateHook(ctx, owner, repo, &github.Hook{Config: wanted, Events: []string{"build_finish"}, Active: new(true)})
	s.must(err)
	id := hook.GetID()
	shown := &github.HookConfig{URL: &receiver, ContentType: new("json"), InsecureSSL: new("0"), Secret: new("********")}
	s.equal(hook.Config, shown)
	s.equal(hook.GetURL(), fmt.Sprintf("%s/hooks/%d", repository.GetURL(), id))
	s.equal(hook.GetPingURL(), hook.GetURL()+"/pings")
	s.equal(hook.LastResponse, map[string]any{"code": nil, "status": "unused", "message": nil})

	listed, _, err := s.ListHooks(ctx, owner, repo, nil)
	s.must(err)
	s.equal(len(listed), 1)
	s.equal(listed[0].GetID(), id)
	hook, _, err = s.EditHook(ctx, owner, repo, id, &github.Hook{Events: []string{"*"}, Active: new(true)})
	s.must(err)
	s.equal(hook.Events, []string{"*"})
	config, _, err := s.GetHookConfiguration(ctx, owner, repo, id)
	s.must(err)
	s.equal(config, shown)
	shown.URL = new(receiver + "/moved")
	config, _, err = s.UpdateHookConfiguration(ctx, owner, repo, id, github.HookConfig{URL: shown.URL})
	s.must(err)
	s.equal(config, shown)

	_, err = s.PingHook(ctx, owner, repo, id)
	s.must(err)
	_, err = s.TestHook(ctx, owner, repo, id)
	s.must(err)
	var ping *github.HookDelivery
	s.eventually("both deliveries are in the log", func() bool {
		var events []string
		for d, err := range s.ListHookDeliveriesIter(ctx, owner, repo, id, &github.ListCursorOptions{PerPage: 1}) {
			s.must(err)
			events = append(events, d.GetEvent())
			if d.GetEvent() == "ping" {
				ping = d
			}
		}
		slices.Sort(events)
		return slices.Equal(events, []string{"build_finish", "ping"})
	})
	s.equal(ping.GetStatusCode(), 204)
	s.equal(ping.GetRepositoryID(), repository.GetID())
	whole, _, err := s.GetHookDelivery(ctx, owner, repo, id, ping.GetID())
	s.must(err)
	var payload struct {
		HookID int64 `json:"hook_id"`
	}
	s.must(json.Unmarshal(*whole.Request.RawPayload, &payload))
	s.equal(payload.HookID, id)
	_, _, err = s.RedeliverHookDelivery(ctx, owner, repo, id, ping.GetID())
	if accepted := (*github.AcceptedError)(nil); !errors.As(err, &accepted) {
		s.t.Fatal(err)
	}
	s.eventually("the redelivery is in the log", func() bool {
		again, _, err := s.GetHookDelivery(ctx, owner, repo, id, ping.GetID())
		s.must(err)
		return again.GetRedelivery()
	})

	_, _, err = s.CreateHook(ctx, owner, repo, &github.Hook{Config: &github.HookConfig{URL: shown.URL}})
	refused := (*github.ErrorResponse)(nil)
	if !errors.As(err, &refused) || refused.Response.StatusCode != 422 || refused.DocumentationURL == "" || len(refused.Errors) != 1 ||
		refused.Errors[0].Message != "Hook already exists on this repository" {
		s.t.Errorf("a second hook: %v", err)
	}
	_, err = s.DeleteHook(ctx, owner, repo, id)
	s.must(err)
	if _, response, err := s.GetHook(ctx, owner, repo, id); err == nil || response.StatusCode != 404 {
		s.t.Errorf("after its end: %v", err)
	}
}

// eventually looks until it is so: the program has no way to tell.
func (s *hooksOf) eventually(what string, look func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !look(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("never: " + what)
		}
	}
}
