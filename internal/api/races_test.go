package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// interrupted does something between what a change reads and what it writes.
type interrupted struct {
	service.Store
	between func()
}

func (s *interrupted) once() {
	if between := s.between; between != nil {
		s.between = nil
		between()
	}
}

func (s *interrupted) PutSource(ctx context.Context, src boathook.Source) error {
	s.once()
	return s.Store.PutSource(ctx, src)
}

func (s *interrupted) PutIncoming(ctx context.Context, w boathook.IncomingWebhook) error {
	s.once()
	return s.Store.PutIncoming(ctx, w)
}

func (s *interrupted) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	s.once()
	return s.Store.PutOutgoing(ctx, w)
}

func (s *interrupted) PutEventType(ctx context.Context, t boathook.TypeDefinition) error {
	s.once()
	return s.Store.PutEventType(ctx, t)
}

// Of two who define a type at once, the later one does not undo the other's archiving,
// nor the other way round.
func TestATypeThatTwoChangeAtOnceIsChangedByOne(t *testing.T) {
	store := &interrupted{}
	a := newAPI(t, func(c *config) { store.Store, c.Store = c.Store, store })
	const path = "/v1/event-types/invoice.paid"
	bodies := map[string]string{"PUT": `{"description":"x"}`}
	for _, c := range []struct{ method, between string }{{"PUT", "PUT"}, {"PUT", "DELETE"}, {"PUT", "PUT"}, {"DELETE", "PUT"}} {
		store.between = func() { a.request(stackToken, c.between, path, bodies[c.between]) }
		if got := a.request(stackToken, c.method, path, bodies[c.method]).Code; got != http.StatusConflict || store.between != nil {
			t.Errorf("%s while another does %s: answered %d", c.method, c.between, got)
		}
	}
}

// A leaked URL or secret that was rotated must not come back, nor a webhook that
// was deleted, by a change that began before.
func TestAChangeThatBeganBeforeAnotherIsRefused(t *testing.T) {
	store := &interrupted{}
	a := newAPI(t, func(c *config) { store.Store, c.Store = c.Store, store })
	deployment, agent := a.deployment(), a.agent()
	hooks, repository := a.repository("docker-hello")
	webhooks, app := a.app()
	create := func(path, body string) string { return path + "/" + a.ask(201, "POST", path, body).text("id") }
	incoming := create(deployment+"/incoming-webhooks", `{"name":"x","environment":"production"}`)
	outgoing := create("/v1/repositories/"+repository+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":["build_finish"]}`)

	for _, c := range []struct{ path, rotate, change string }{
		{incoming, "/rotate", `{"name":"late"}`},
		{deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id"), "/rotate-secret", `{"name":"late"}`},
		{agent + "/outgoing-webhooks/" + a.outgoing(agent).text("id"), "/rotate-secret", `{"name":"late"}`},
		{outgoing, "/rotate-secret", `{"name":"late"}`},
		{create("/v1/apps/"+app+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":["job_created"]}`), "/rotate-secret", `{"name":"late"}`},
		{create(a.customer("x")+"/outgoing-webhooks", customersWebhook), "/rotate-secret", `{"name":"late"}`},
		{create(alertsPath+"/outgoing-webhooks", alertsWebhook), "/rotate-secret", `{"name":"late"}`},
		{a.hook(hooks), "", `{"active":true}`},
		{a.appWebhook(webhooks), "", `{"name":"late"}`},
	} {
		first := func() { a.ask(200, "PATCH", c.path, strings.Replace(c.change, "late", "first", 1)) }
		store.between = first
		a.ask(409, "PATCH", c.path, c.change)
		if c.rotate != "" {
			store.between = func() { a.ask(200, "POST", c.path+c.rotate, "") }
			a.ask(409, "PATCH", c.path, c.change)
			store.between = first
			a.ask(409, "POST", c.path+c.rotate, "")
			if got := a.ask(200, "GET", c.path, "").text("name"); got != "first" {
				t.Errorf("%s: the name is %q", c.path, got)
			}
		}
	}
	for _, path := range []string{deployment, agent, agent[:strings.Index(agent, "/agents")], "/v1/apps/" + app} {
		store.between = func() { a.ask(200, "PATCH", path, `{"name":"first"}`) }
		a.ask(409, "PATCH", path, `{"name":"late"}`)
		if got := a.ask(200, "GET", path, "").text("name"); got != "first" {
			t.Errorf("%s: the name is %q", path, got)
		}
	}
	rotate := "/api/v1/agents/" + idOf(agent) + "/webhook-secret/rotate"
	store.between = func() { a.ask(200, "POST", rotate, "") }
	a.refused(409, "", "PATCH", agent, `{"name":"late","target":{"type":"command","argv":["late"]}}`)
	if got := a.ask(200, "GET", agent, "")["version_number"]; got != 1.0 {
		t.Errorf("the target changed all the same, to version %v", got)
	}
	store.between = func() { a.ask(200, "PATCH", agent, `{"name":"first"}`) }
	a.ask(409, "POST", rotate, "")
	if got := a.ask(200, "GET", agent, "").text("name"); got != "first" {
		t.Errorf("the agent's name is %q", got)
	}
	store.between = func() { a.ask(204, "DELETE", incoming, "") }
	a.ask(409, "PATCH", incoming, `{"enabled":true}`)
	a.refused(404, "", "GET", incoming, "")
}
