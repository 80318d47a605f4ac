package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
)

// roles is the least role of each route; "stack" is the stack's own token.
var roles = map[string]boathook.Role{
	"GET /v1/me":                             boathook.Viewer,
	"POST /v1/workspaces":                    "stack",
	"GET /v1/workspaces":                     boathook.Admin,
	"GET /v1/workspaces/{workspace}":         boathook.Admin,
	"DELETE /v1/workspaces/{workspace}":      boathook.Admin,
	"POST /v1/workspaces/{workspace}/tokens": boathook.Admin,

	"POST /v1/tokens":           boathook.Admin,
	"GET /v1/tokens":            boathook.Admin,
	"GET /v1/tokens/{token}":    boathook.Admin,
	"DELETE /v1/tokens/{token}": boathook.Admin,

	"POST /v1/deployments":                boathook.Member,
	"GET /v1/deployments":                 boathook.Viewer,
	"GET /v1/deployments/{deployment}":    boathook.Viewer,
	"PATCH /v1/deployments/{deployment}":  boathook.Member,
	"DELETE /v1/deployments/{deployment}": boathook.Member,

	"POST /v1/deployments/{deployment}/versions":                    boathook.Admin,
	"GET /v1/deployments/{deployment}/versions":                     boathook.Viewer,
	"POST /v1/deployments/{deployment}/versions/{version}/activate": boathook.Admin,

	"POST /v1/deployments/{deployment}/incoming-webhooks":                    boathook.Member,
	"GET /v1/deployments/{deployment}/incoming-webhooks":                     boathook.Viewer,
	"GET /v1/deployments/{deployment}/incoming-webhooks/{incoming}":          boathook.Viewer,
	"PATCH /v1/deployments/{deployment}/incoming-webhooks/{incoming}":        boathook.Member,
	"DELETE /v1/deployments/{deployment}/incoming-webhooks/{incoming}":       boathook.Member,
	"POST /v1/deployments/{deployment}/incoming-webhooks/{incoming}/rotate":  boathook.Member,
	"GET /v1/deployments/{deployment}/incoming-webhooks/{incoming}/requests": boathook.Viewer,
	"GET /v1/deployments/{deployment}/incoming-webhooks/{incoming}/url":      boathook.Admin,

	"GET /v1/deployments/{deployment}/events":                                      boathook.Viewer,
	"PATCH /v1/deployments/{deployment}/events":                                    boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks":                          boathook.Member,
	"GET /v1/deployments/{deployment}/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"POST /v1/repositories":                boathook.Member,
	"GET /v1/repositories":                 boathook.Viewer,
	"GET /v1/repositories/{repository}":    boathook.Viewer,
	"DELETE /v1/repositories/{repository}": boathook.Member,

	"GET /v1/repositories/{repository}/events":                                      boathook.Viewer,
	"PATCH /v1/repositories/{repository}/events":                                    boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks":                          boathook.Member,
	"GET /v1/repositories/{repository}/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/repositories/{repository}/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/repositories/{repository}/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/repositories/{repository}/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"POST /v1/customers":              boathook.Member,
	"GET /v1/customers":               boathook.Viewer,
	"GET /v1/customers/{customer}":    boathook.Viewer,
	"PATCH /v1/customers/{customer}":  boathook.Member,
	"DELETE /v1/customers/{customer}": boathook.Member,

	"POST /v1/customers/{customer}/portal": boathook.Member,
	"GET /v1/portal-settings":              boathook.Viewer,
	"PATCH /v1/portal-settings":            boathook.Admin,

	"GET /v1/customers/{customer}/events":                                      boathook.Viewer,
	"PATCH /v1/customers/{customer}/events":                                    boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks":                          boathook.Member,
	"GET /v1/customers/{customer}/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/customers/{customer}/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/customers/{customer}/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/customers/{customer}/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/customers/{customer}/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/customers/{customer}/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"GET /v1/alerts/events":                                      boathook.Viewer,
	"PATCH /v1/alerts/events":                                    boathook.Member,
	"POST /v1/alerts/outgoing-webhooks":                          boathook.Member,
	"GET /v1/alerts/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/alerts/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/alerts/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/alerts/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/alerts/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/alerts/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"POST /v1/apps":         boathook.Member,
	"GET /v1/apps":          boathook.Viewer,
	"GET /v1/users/me":      boathook.Viewer,
	"GET /v1/apps/{app}":    boathook.Viewer,
	"PATCH /v1/apps/{app}":  boathook.Member,
	"DELETE /v1/apps/{app}": boathook.Member,

	"GET /v1/apps/{app}/events":                                      boathook.Viewer,
	"PATCH /v1/apps/{app}/events":                                    boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks":                          boathook.Member,
	"GET /v1/apps/{app}/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/apps/{app}/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/apps/{app}/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/apps/{app}/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/apps/{app}/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/apps/{app}/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"POST /v1/events":               boathook.Member,
	"GET /v1/event-types":           boathook.Viewer,
	"GET /v1/event-types/{type}":    boathook.Viewer,
	"PUT /v1/event-types/{type}":    boathook.Member,
	"DELETE /v1/event-types/{type}": boathook.Member,

	"GET /v1/admin/redrive":  boathook.Admin,
	"POST /v1/admin/redrive": boathook.Admin,

	"POST /v1/crews":          boathook.Member,
	"GET /v1/crews":           boathook.Viewer,
	"GET /v1/crews/{crew}":    boathook.Viewer,
	"PATCH /v1/crews/{crew}":  boathook.Member,
	"DELETE /v1/crews/{crew}": boathook.Member,

	"POST /v1/crews/{crew}/agents":           boathook.Admin,
	"GET /v1/crews/{crew}/agents":            boathook.Viewer,
	"GET /v1/crews/{crew}/agents/{agent}":    boathook.Viewer,
	"PATCH /v1/crews/{crew}/agents/{agent}":  boathook.Member,
	"DELETE /v1/crews/{crew}/agents/{agent}": boathook.Member,

	"GET /v1/crews/{crew}/agents/{agent}/events":                                      boathook.Viewer,
	"PATCH /v1/crews/{crew}/agents/{agent}/events":                                    boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks":                          boathook.Member,
	"GET /v1/crews/{crew}/agents/{agent}/outgoing-webhooks":                           boathook.Viewer,
	"GET /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}":                boathook.Viewer,
	"PATCH /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}":              boathook.Member,
	"DELETE /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}":             boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/rotate-secret": boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/test":          boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/recover":       boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/replay":        boathook.Member,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/preview":       boathook.Member,
	"GET /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/deliveries":     boathook.Viewer,
	"GET /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/stats":          boathook.Viewer,

	"GET /v1/crews/{crew}/agents/{agent}/requests":       boathook.Viewer,
	"GET /v1/crews/{crew}/agents/{agent}/webhook-secret": boathook.Admin,

	"GET /api/v1/agents":                                boathook.Viewer,
	"GET /api/v1/agents/{agent}":                        boathook.Viewer,
	"GET /api/v1/runs/{run}":                            boathook.Viewer,
	"GET /api/v1/agents/{agent}/runs":                   boathook.Viewer,
	"GET /api/v1/agents/{agent}/logs":                   boathook.Viewer,
	"POST /api/v1/agents/{agent}/webhook-secret/rotate": boathook.Member,
	"GET /api/v1/runs":                                  boathook.Viewer,
	"GET /api/v1/ws-token":                              boathook.Viewer,

	"POST /v1/runs":              boathook.Member,
	"GET /v1/runs":               boathook.Viewer,
	"GET /v1/runs/{run}":         boathook.Viewer,
	"GET /v1/runs/{run}/events":  boathook.Viewer,
	"POST /v1/runs/{run}/cancel": boathook.Member,
	"POST /v1/runs/{run}/retry":  boathook.Member,

	"GET /v1/deliveries":                    boathook.Viewer,
	"GET /v1/deliveries/{delivery}":         boathook.Viewer,
	"POST /v1/deliveries/{delivery}/resend": boathook.Member,

	"GET /repos/{owner}/{repo}":                                              boathook.Viewer,
	"GET /repos/{owner}/{repo}/hooks/{hook}/config":                          boathook.Viewer,
	"PATCH /repos/{owner}/{repo}/hooks/{hook}/config":                        boathook.Member,
	"POST /repos/{owner}/{repo}/hooks/{hook}/pings":                          boathook.Member,
	"GET /repos/{owner}/{repo}/hooks":                                        boathook.Viewer,
	"POST /repos/{owner}/{repo}/hooks":                                       boathook.Member,
	"GET /repos/{owner}/{repo}/hooks/{hook}":                                 boathook.Viewer,
	"PATCH /repos/{owner}/{repo}/hooks/{hook}":                               boathook.Member,
	"DELETE /repos/{owner}/{repo}/hooks/{hook}":                              boathook.Member,
	"POST /repos/{owner}/{repo}/hooks/{hook}/tests":                          boathook.Member,
	"GET /repos/{owner}/{repo}/hooks/{hook}/deliveries":                      boathook.Viewer,
	"GET /repos/{owner}/{repo}/hooks/{hook}/deliveries/{delivery}":           boathook.Viewer,
	"POST /repos/{owner}/{repo}/hooks/{hook}/deliveries/{delivery}/attempts": boathook.Member,

	"GET /v1/apps/{app}/webhooks":                                         boathook.Viewer,
	"POST /v1/apps/{app}/webhooks":                                        boathook.Member,
	"GET /v1/apps/{app}/webhooks/{webhook}":                               boathook.Viewer,
	"PATCH /v1/apps/{app}/webhooks/{webhook}":                             boathook.Member,
	"DELETE /v1/apps/{app}/webhooks/{webhook}":                            boathook.Member,
	"POST /v1/apps/{app}/webhooks/{webhook}/test":                         boathook.Member,
	"GET /v1/apps/{app}/webhooks/{webhook}/deliveries":                    boathook.Viewer,
	"POST /v1/apps/{app}/webhooks/{webhook}/deliveries/{delivery}/resend": boathook.Member,
}

func TestEachRouteTakesItsRoleAndThoseAbove(t *testing.T) {
	a := newAPI(t)
	tokens := []struct {
		role boathook.Role
		text string
	}{
		{boathook.Viewer, a.tokenFor(stackToken, boathook.Viewer)},
		{boathook.Member, a.tokenFor(stackToken, boathook.Member)},
		{boathook.Admin, a.tokenFor(stackToken, boathook.Admin)},
		{"stack", stackToken},
	}
	rank := func(r boathook.Role) int {
		return slices.Index([]boathook.Role{boathook.Viewer, boathook.Member, boathook.Admin, "stack"}, r)
	}
	patterns := a.handler.Patterns()
	if len(patterns) != len(roles) {
		t.Errorf("there are %d routes, and roles of %d", len(patterns), len(roles))
	}
	for _, pattern := range patterns {
		least, ok := roles[pattern]
		if !ok {
			t.Errorf("no role is expected of %s", pattern)
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{", "", "}", "").Replace(path)
		for _, token := range []string{"", "bh_wrong", stackToken + "x"} {
			w := a.request(token, method, path, "")
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with the token %q: got %d", pattern, token, w.Code)
			}
		}
		for _, token := range tokens {
			w := a.request(token.text, method, path, "")
			if refused := w.Code == 403; refused != (rank(token.role) < rank(least)) || w.Code == 401 {
				t.Errorf("%s as %s: got %d %s", pattern, token.role, w.Code, w.Body)
			}
		}
	}
}

func TestOnlyABearerTokenIsACredential(t *testing.T) {
	a := newAPI(t)
	for header, want := range map[string]int{
		"":                             401,
		"Bearer":                       401,
		"Bearer ":                      401,
		stackToken:                     401,
		"Basic " + stackToken:          401,
		"Bearer  " + stackToken:        401,
		"Bearer " + stackToken + " x":  401,
		"Bearer " + stackToken:         200,
		"bearer " + stackToken:         200,
		"token " + stackToken:          200,
		"token":                        401,
		"Bearer " + stackToken[:10]:    401,
		"Bearer " + "\x00" + "\u2028x": 401,
	} {
		if w := a.request("", "GET", "/v1/me", "", "Authorization", header); w.Code != want {
			t.Errorf("%q: got %d, want %d", header, w.Code, want)
		}
	}
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	a := newAPI(t)
	token := a.ask(201, "POST", "/v1/tokens", `{"name":"ci","role":"member"}`)
	a.as(token.text("token"), 200, "GET", "/v1/me", "")
	a.ask(204, "DELETE", "/v1/tokens/"+token.text("id"), "")
	a.as(token.text("token"), 401, "GET", "/v1/me", "")
	a.ask(404, "DELETE", "/v1/tokens/"+token.text("id"), "")
}

func TestMeTellsWorkspaceAndRole(t *testing.T) {
	a := newAPI(t)
	me := a.as(a.tokenFor(stackToken, boathook.Viewer), 200, "GET", "/v1/me", "")
	if me.text("role") != "viewer" || me.object("workspace").text("id") != "ws_local" {
		t.Errorf("got %v", me)
	}
}

func TestAnAdminTokenThatCanNotBeReadIsA503(t *testing.T) {
	a := newAPI(t)
	config := a.config
	config.AdminToken = func(context.Context) (string, error) { return "", errors.New("secrets are down") }
	a.handler = config.serve()
	if w := a.request("bh_x", "GET", "/v1/me", ""); w.Code != 503 || strings.Contains(w.Body.String(), "secrets") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestTheFirstWorkspaceIsMadeOnFirstUse(t *testing.T) {
	a := newAPI(t)
	config := a.config
	config.Workspace = "ws_fresh"
	a.handler = config.serve()
	if _, err := a.store.Workspace(t.Context(), "ws_fresh"); !boathook.IsKind(err, boathook.NotFound) {
		t.Fatalf("before: %v", err)
	}
	a.ask(201, "POST", "/v1/deployments", `{"name":"bot"}`)
	w, err := a.store.Workspace(t.Context(), "ws_fresh")
	if err != nil || string(w.DataKey) != "key of ws_fresh" {
		t.Errorf("got %v, %v", w, err)
	}
	// Another process finds it made.
	a.handler = config.serve()
	a.ask(200, "GET", "/v1/deployments", "")
	again, err := a.store.Workspace(t.Context(), "ws_fresh")
	if err != nil || !again.CreatedAt.Equal(w.CreatedAt) {
		t.Errorf("got %v, %v", again, err)
	}
}

func TestAWorkspaceComesWithItsFirstAdmin(t *testing.T) {
	a := newAPI(t)
	made := a.ask(201, "POST", "/v1/workspaces", `{"name":"second"}`)
	me := a.as(made.text("token"), 200, "GET", "/v1/me", "")
	if me.text("role") != "admin" || me.object("workspace").text("id") != made.text("id") || made.text("name") != "second" {
		t.Errorf("made %v, me %v", made, me)
	}
	if w, err := a.store.Workspace(t.Context(), made.text("id")); err != nil || string(w.DataKey) != "key of "+w.ID {
		t.Errorf("got %v, %v", w, err)
	}
	a.as(made.text("token"), 403, "POST", "/v1/workspaces", `{"name":"third"}`)
	a.refused(400, "name", "POST", "/v1/workspaces", `{}`)
}

func TestAdminsOfTheFirstWorkspaceLookAfterAllOthers(t *testing.T) {
	a := newAPI(t)
	operator := a.tokenFor(stackToken, boathook.Admin)
	made := a.ask(201, "POST", "/v1/workspaces", `{"name":"second"}`)
	path := "/v1/workspaces/" + made.text("id")

	all := a.as(operator, 200, "GET", "/v1/workspaces", "").list("data")
	if len(all) != 2 || !slices.ContainsFunc(all, func(w object) bool { return w.text("id") == made.text("id") && w["token"] == nil }) {
		t.Errorf("all workspaces are %v", all)
	}
	if got := a.as(operator, 200, "GET", path, ""); got.text("name") != "second" || got["token"] != nil {
		t.Errorf("it is read as %v", got)
	}
	a.refused(400, "role", "POST", path+"/tokens", `{"name":"x"}`)
	back := a.as(operator, 201, "POST", path+"/tokens", `{"name":"way back","role":"admin"}`).text("token")
	if me := a.as(back, 200, "GET", "/v1/me", ""); me.text("role") != "admin" || me.object("workspace").text("id") != made.text("id") {
		t.Errorf("the token for another workspace opens %v", me)
	}

	if own := a.as(back, 200, "GET", path, ""); own.text("id") != made.text("id") {
		t.Errorf("its admin reads it as %v", own)
	}
	a.as(back, 201, "POST", path+"/tokens", `{"name":"x","role":"viewer"}`)
	a.as(back, 403, "GET", "/v1/workspaces", "")
	a.as(back, 403, "DELETE", path, "")
	first := "/v1/workspaces/" + a.ask(200, "GET", "/v1/me", "").object("workspace").text("id")
	a.as(back, 404, "GET", first, "")
	a.as(back, 404, "DELETE", first, "")
	a.as(back, 404, "POST", first+"/tokens", `{"name":"x","role":"admin"}`)
}

func TestAWorkspaceIsDeletedWhenItIsEmpty(t *testing.T) {
	a := newAPI(t)
	made := a.ask(201, "POST", "/v1/workspaces", `{"name":"second"}`)
	path, token := "/v1/workspaces/"+made.text("id"), made.text("token")
	for _, c := range []struct{ path, body string }{
		{"/v1/deployments", `{"name":"bot"}`},
		{"/v1/crews", `{"name":"crew"}`},
		{"/v1/repositories", `{"owner":"octo","name":"repo"}`},
		{"/v1/apps", `{"name":"app"}`},
		{"/v1/customers", `{"name":"customer"}`},
	} {
		id := a.as(token, 201, "POST", c.path, c.body).text("id")
		if got := a.ask(409, "DELETE", path, ""); !strings.Contains(fmt.Sprint(got), id) {
			t.Errorf("with something in %s: %v", c.path, got)
		}
		a.as(token, 204, "DELETE", c.path+"/"+id, "")
	}
	another := a.as(token, 201, "POST", "/v1/tokens", `{"name":"x","role":"viewer"}`)
	a.ask(204, "DELETE", path, "")
	a.as(token, 401, "GET", "/v1/me", "")
	a.as(another.text("token"), 401, "GET", "/v1/me", "")
	if b := (wstoken.Bearer{WorkspaceID: made.text("id"), TokenID: another.text("id")}); !slices.Contains(a.watchers.closed, b) {
		t.Errorf("WebSockets of %v stay open; closed were %v", b, a.watchers.closed)
	}
	a.ask(404, "DELETE", path, "")
	a.ask(404, "GET", path, "")
	if all := a.ask(200, "GET", "/v1/workspaces", "").list("data"); len(all) != 1 {
		t.Errorf("what is left: %v", all)
	}
	first := a.ask(200, "GET", "/v1/me", "").object("workspace").text("id")
	a.ask(409, "DELETE", "/v1/workspaces/"+first, "")
}

func TestTokensNeedANameAndARole(t *testing.T) {
	a := newAPI(t)
	a.refused(400, "name", "POST", "/v1/tokens", `{"role":"viewer"}`)
	a.refused(400, "role", "POST", "/v1/tokens", `{"name":"x"}`)
	a.refused(400, "role", "POST", "/v1/tokens", `{"name":"x","role":"owner"}`)
}

// everything is one object of each kind in the first workspace, by its
// wildcard in the routes.
func everything(a *tester) map[string]string {
	a.t.Helper()
	deployment := a.deployment()
	objects := map[string]string{
		"{deployment}": idOf(deployment),
		"{version}":    a.version(deployment, "production").text("id"),
		"{incoming}":   a.incoming(deployment).text("id"),
		"{outgoing}":   a.outgoing(deployment).text("id"),
		"{run}":        a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`).text("run_id"),
		"{workspace}":  a.ask(201, "POST", "/v1/workspaces", `{"name":"second"}`).text("id"),
		"{token}":      a.ask(201, "POST", "/v1/tokens", `{"name":"x","role":"viewer"}`).text("id"),
	}
	agent := a.agent()
	objects["{agent}"], objects["{crew}"] = idOf(agent), strings.Split(agent, "/")[3]
	objects["{agent-outgoing}"] = a.outgoing(agent).text("id")
	a.agentRun(agent, "run_of_agent", nil)
	objects["/api/v1/runs/{run}"] = "/api/v1/runs/run_of_agent"
	objects["{delivery}"] = a.record(objects["{deployment}"], objects["{outgoing}"], failedAttempt(1)).String()

	hooks, repository := a.repository("docker-hello")
	hook := a.hook(hooks)
	objects["{owner}"], objects["{repo}"], objects["{hook}"] = "grosskur", "docker-hello", idOf(hook)
	objects["{hook}/deliveries/{delivery}"] = idOf(hook) + "/deliveries/" + a.record(repository, a.webhookOf(repository), failedAttempt(1)).String()

	webhooks, app := a.app()
	webhook := a.appWebhook(webhooks)
	objects["{app}"], objects["{webhook}"] = app, idOf(webhook)
	objects["{repository}"], objects["{app}/outgoing-webhooks/{outgoing}"] = repository, app+"/outgoing-webhooks/"+idOf(webhook)
	objects["{repository}/outgoing-webhooks/{outgoing}"] = repository + "/outgoing-webhooks/" + a.webhookOf(repository)
	customer := a.customer("acct_1042")
	objects["{customer}"] = idOf(customer)
	objects["{customer}/outgoing-webhooks/{outgoing}"] = idOf(customer) + "/outgoing-webhooks/" + a.ask(201, "POST", customer+"/outgoing-webhooks", customersWebhook).text("id")
	objects["alerts/outgoing-webhooks/{outgoing}"] = "alerts/outgoing-webhooks/" + a.ask(201, "POST", "/v1/alerts/outgoing-webhooks", alertsWebhook).text("id")
	objects["{type}"] = idOf(a.define("invoice.paid", `{"description":"An invoice was paid."}`))
	objects["{webhook}/deliveries/{delivery}"] = idOf(webhook) + "/deliveries/" + a.record(app, idOf(webhook), failedAttempt(1)).String()
	return objects
}

func fill(pattern string, objects map[string]string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	if strings.Contains(path, "{agent}") {
		path = strings.ReplaceAll(path, "{outgoing}", "{agent-outgoing}")
	}
	// Those of more than one wildcard first: the longest.
	byLength := func(a, b string) int { return len(b) - len(a) }
	for _, wildcard := range slices.SortedFunc(maps.Keys(objects), byLength) {
		path = strings.ReplaceAll(path, wildcard, objects[wildcard])
	}
	return method, path
}

// definition makes what its path names, if the caller's workspace has none.
const definition = "PUT /v1/event-types/{type}"

// bodies are valid ones of the routes that need one.
var bodies = map[string]string{
	definition:                                                                  `{"description":"x"}`,
	"POST /v1/workspaces/{workspace}/tokens":                                    `{"name":"x","role":"admin"}`,
	"POST /v1/deployments/{deployment}/versions":                                `{"environment":"staging","target":{"type":"command","argv":["true"]}}`,
	"POST /v1/deployments/{deployment}/incoming-webhooks":                       `{"name":"x","environment":"staging"}`,
	"POST /v1/deployments/{deployment}/outgoing-webhooks":                       `{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging"}`,
	"POST /v1/repositories/{repository}/outgoing-webhooks":                      `{"name":"x","url":"https://e.example","events":["build_finish"]}`,
	"POST /v1/apps/{app}/outgoing-webhooks":                                     `{"name":"x","url":"https://e.example","events":["job_created"]}`,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/recover":    `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/replay":     `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/preview":    `{"event":{"type":"run.failed"}}`,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/recover": `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/replay":  `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks/{outgoing}/preview": `{"event":{"type":"run.failed"}}`,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/recover":   `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/replay":    `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/repositories/{repository}/outgoing-webhooks/{outgoing}/preview":   `{"event":{"type":"build_finish"}}`,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/recover":                  `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/replay":                   `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/customers/{customer}/outgoing-webhooks":                           customersWebhook,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/recover":        `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/replay":         `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/customers/{customer}/outgoing-webhooks/{outgoing}/preview":        `{"event":{"type":"webhook.disabled"}}`,
	"POST /v1/alerts/outgoing-webhooks":                                         alertsWebhook,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/recover":                      `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/replay":                       `{"since":"2026-02-01T00:00:00Z"}`,
	"POST /v1/alerts/outgoing-webhooks/{outgoing}/preview":                      `{"event":{"type":"webhook.disabled"}}`,
	"POST /v1/apps/{app}/outgoing-webhooks/{outgoing}/preview":                  `{"event":{"type":"job_finished"}}`,
	"POST /v1/crews/{crew}/agents":                                              `{"name":"x","slug":"x","target":{"type":"command","argv":["true"]}}`,
	"POST /v1/crews/{crew}/agents/{agent}/outgoing-webhooks":                    `{"name":"x","url":"https://e.example","events":["run.failed"]}`,
	"POST /repos/{owner}/{repo}/hooks":                                          `{"config":{"url":"https://e.example"}}`,
	"POST /v1/apps/{app}/webhooks":                                              `{"name":"x","url":"https://e.example","events":["job_created"]}`,
}

// bodyOf is a valid body of a route; of a change, one that changes nothing.
func bodyOf(pattern string) string {
	if strings.HasPrefix(pattern, "PATCH ") {
		return `{}`
	}
	return bodies[pattern]
}

func TestAnObjectOfAnotherWorkspaceIsNotFound(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	other := a.otherWorkspace()
	read := func() string {
		var all strings.Builder
		for _, pattern := range a.handler.Patterns() {
			if method, path := fill(pattern, objects); method == "GET" {
				w := a.request(stackToken, method, path, "")
				if w.Code != 200 {
					t.Errorf("%s: got %d %s", path, w.Code, w.Body)
				}
				all.WriteString(w.Body.String())
			}
		}
		return all.String()
	}
	before := read()
	for _, pattern := range a.handler.Patterns() {
		if strings.Contains(pattern, "{") && pattern != definition {
			method, path := fill(pattern, objects)
			a.as(other, 404, method, path, bodyOf(pattern))
		}
	}
	a.as(other, 404, "POST", "/v1/runs", `{"deployment_id":"`+objects["{deployment}"]+`"}`)
	a.as(other, 404, "GET", "/v1/runs?deployment_id="+objects["{deployment}"], "")
	if after := read(); after != before {
		t.Errorf("another workspace's calls have changed\n%s\nto\n%s", before, after)
	}
}

func TestAnObjectOfAnotherSourceIsNotFound(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	objects["{deployment}"] = idOf(a.deployment())
	_, another := a.repository("another")
	webhook := idOf(objects["{repository}/outgoing-webhooks/{outgoing}"])
	objects["{repo}"], objects["{repository}/outgoing-webhooks/{outgoing}"] = "another", another+"/outgoing-webhooks/"+webhook
	_, objects["{app}"] = a.app()
	objects["{app}/outgoing-webhooks/{outgoing}"] = objects["{app}"] + "/outgoing-webhooks/" + objects["{webhook}"]
	webhook = idOf(objects["{customer}/outgoing-webhooks/{outgoing}"])
	objects["{customer}"] = idOf(a.customer("other"))
	objects["{customer}/outgoing-webhooks/{outgoing}"] = objects["{customer}"] + "/outgoing-webhooks/" + webhook
	objects["{crew}"] = a.ask(201, "POST", "/v1/crews", `{"name":"other"}`).text("id")
	for _, pattern := range a.handler.Patterns() {
		if wildcards := strings.Count(pattern, "{"); wildcards == 2 && !strings.HasSuffix(pattern, "{repo}") && !strings.HasSuffix(pattern, "{repo}/hooks") || wildcards > 2 {
			method, path := fill(pattern, objects)
			a.ask(404, method, path, bodyOf(pattern))
		}
	}
}

func TestAbsentObjectsAreNotFound(t *testing.T) {
	a := newAPI(t)
	for _, pattern := range a.handler.Patterns() {
		if strings.Contains(pattern, "{") && pattern != definition {
			method, path := fill(pattern, map[string]string{"{deployment}": "dep_x", "{delivery}": "not-a-uuid"})
			a.ask(404, method, path, bodyOf(pattern))
		}
	}
}

func TestSecretsAreShownOnceAndNeverAgain(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	var secrets []string
	once := func(o object, field string) string {
		t.Helper()
		if o.text(field) == "" {
			t.Fatalf("%s is not shown at all: %v", field, o)
		}
		secrets = append(secrets, o.text(field))
		return o.text("id")
	}
	objects := everything(a)
	objects["{deployment}"] = idOf(deployment)
	objects["{token}"] = once(a.ask(201, "POST", "/v1/tokens", `{"name":"x","role":"viewer"}`), "token")
	objects["{incoming}"] = once(a.incoming(deployment), "url")
	once(a.ask(200, "POST", deployment+"/incoming-webhooks/"+objects["{incoming}"]+"/rotate", ""), "url")
	objects["{outgoing}"] = once(a.outgoing(deployment), "signing_secret")
	once(a.ask(200, "POST", deployment+"/outgoing-webhooks/"+objects["{outgoing}"]+"/rotate-secret", `{"overlap_seconds":60}`), "signing_secret")
	secrets = append(secrets, "header-credential", "target-credential")
	objects["{version}"] = a.ask(201, "POST", deployment+"/versions", `{"environment":"production",
		"target":{"type":"http","url":"https://e.example/run","headers":{"Authorization":"target-credential"}}}`).text("id")
	objects["{run}"] = a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`).text("run_id")
	objects["{delivery}"] = a.record(idOf(deployment), objects["{outgoing}"], failedAttempt(1)).String()
	objects["{agent}"] = once(a.ask(201, "POST", "/v1/crews/"+objects["{crew}"]+"/agents",
		`{"name":"x","slug":"x","target":{"type":"http","url":"https://e.example","headers":{"Authorization":"target-credential"}}}`), "webhook_secret")
	objects["{agent-outgoing}"] = once(a.outgoing("/v1/crews/"+objects["{crew}"]+"/agents/"+objects["{agent}"]), "signing_secret")
	once(a.ask(200, "POST", "/api/v1/agents/"+objects["{agent}"]+"/webhook-secret/rotate", ""), "webhook_secret")

	var answers strings.Builder
	for _, pattern := range a.handler.Patterns() {
		method, path := fill(pattern, objects)
		if method == "POST" || method == "DELETE" || strings.HasSuffix(pattern, "/agents/{agent}/webhook-secret") || strings.HasSuffix(pattern, "/{incoming}/url") { // which are for that
			continue
		}
		w := a.request(stackToken, method, path, bodyOf(pattern))
		if w.Code != 200 {
			t.Errorf("%s: got %d %s", pattern, w.Code, w.Body)
		}
		answers.WriteString(w.Body.String())
	}
	a.ask(200, "PATCH", deployment+"/outgoing-webhooks/"+objects["{outgoing}"], `{"headers":{"X-Key":"header-credential"}}`)
	for _, secret := range secrets {
		token := secret[strings.LastIndex(secret, "/")+1:]
		if strings.HasPrefix(secret, boathook.SigningSecretPrefix) {
			token = secret
		}
		if strings.Contains(answers.String(), token) || strings.Contains(a.log.String(), token) {
			t.Errorf("%q is shown again", secret)
		}
	}
	if n := strings.Count(answers.String(), "********"); n < 4 {
		t.Errorf("only %d header values are masked", n)
	}
}
