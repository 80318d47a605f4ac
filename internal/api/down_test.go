package api_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/api/crewship"
	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/service"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// errSecret is what a dependency says while it is down, which is nobody's business.
var errSecret = errors.New("connection to 10.0.0.7 refused")

// down is a store of which every call fails.
func down() store.Store {
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{}, HTTPClient: unreachable{},
	})
	return dynamo.New(client, dynamo.Config{ConfigTable: "config", RecordsTable: "records"})
}

type unreachable struct{}

func (unreachable) Do(*http.Request) (*http.Response, error) { return nil, errSecret }

// knowing is a store that knows its tokens, whatever else is down.
type knowing struct {
	store.Store
	tokens store.Store
}

func (k knowing) TokenByHash(ctx context.Context, hash [sha256.Size]byte) (boathook.Token, error) {
	return k.tokens.TokenByHash(ctx, hash)
}

// unavailable makes a request that is to be answered with a 503, and tells
// nothing else: a 401 or a 404 would have its sender throw away a good token or
// an object that exists.
func (a *tester) unavailable(token, pattern, path, body string, header ...string) {
	a.t.Helper()
	method, _, _ := strings.Cut(pattern, " ")
	w := a.request(token, method, path, body, header...)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("WWW-Authenticate") != "" || strings.Contains(w.Body.String(), "10.0.0.7") {
		a.t.Errorf("%s: answered %d %s with %v", pattern, w.Code, w.Body, w.Header())
	}
}

func TestACallerThatCanNotBeLookedUpIsA503(t *testing.T) {
	for name, change := range map[string]func(*config){
		"tokens can't be read": func(c *config) { c.Store = down() },
		"the stack's token can't be read": func(c *config) {
			c.AdminToken = func(context.Context) (string, error) { return "", errSecret }
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			objects := everything(a)
			change(&a.config)
			a.handler = a.config.serve()
			for _, pattern := range a.handler.Patterns() {
				_, path := fill(pattern, objects)
				a.unavailable("bh_that-nobody-knows", pattern, path, bodies[pattern])
			}
		})
	}
}

// withoutStore are the routes that are answered without it, once the caller is
// known.
var withoutStore = map[string]bool{
	"GET /v1/admin/redrive":  true,
	"POST /v1/admin/redrive": true,
	"GET /api/v1/ws-token":   true,
}

// moreBodies are valid ones of routes that would otherwise be refused for theirs.
var moreBodies = map[string]string{
	"POST /v1/tokens":       `{"name":"x","role":"viewer"}`,
	"POST /v1/deployments":  `{"name":"x"}`,
	"POST /v1/repositories": `{"owner":"x","name":"x"}`,
	"POST /v1/apps":         `{"name":"x"}`,
	"POST /v1/customers":    `{"name":"x"}`,
	"POST /v1/crews":        `{"name":"x"}`,
	"POST /v1/runs":         `{"deployment_id":"dep_x"}`,
	"POST /v1/events":       `{"source":"app_x","type":"job_created","data":{}}`,
}

func TestAStoreThatIsDownIsA503(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	admin := a.tokenFor(stackToken, boathook.Admin)
	a.config.Store = knowing{down(), a.store}
	a.handler = a.config.serve()
	for _, pattern := range a.handler.Patterns() {
		if withoutStore[pattern] || roles[pattern] == "stack" {
			continue
		}
		_, path := fill(pattern, objects)
		body := cmp.Or(bodies[pattern], moreBodies[pattern])
		if body == "" && strings.HasPrefix(pattern, "PATCH ") {
			body = `{}`
		}
		a.unavailable(admin, pattern, path, body)
	}
	// The stack's own token needs its workspace.
	a.unavailable(stackToken, "POST /v1/workspaces", "/v1/workspaces", `{"name":"x"}`)
	a.unavailable(stackToken, "GET /v1/me", "/v1/me", "")
}

func TestTheInternalEndpointsDependenciesThatAreDownAreA503(t *testing.T) {
	for name, change := range map[string]func(*config){
		"the token can't be read": func(c *config) {
			c.InternalToken = func(context.Context) (string, error) { return "", errSecret }
		},
		"the agent can't be read":  func(c *config) { c.Store = down() },
		"its secret can't be open": func(c *config) { c.Seal = sealed{c.Seal} },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			path := "/api/v1/internal/agents/" + idOf(a.agent()) + "/webhook-secret"
			change(&a.config)
			a.handler = a.config.serve()
			a.unavailable("", "GET "+path, path, "", crewship.InternalToken, internalToken)
		})
	}
}

// sealed can't open what it has sealed.
type sealed struct{ service.Sealer }

func (sealed) Open(context.Context, string, string, []byte) ([]byte, error) { return nil, errSecret }

func TestATokenOfTheWebSocketThatCanNotBeMadeIsA503(t *testing.T) {
	a := newAPI(t, func(c *config) {
		c.StreamSecret = func(context.Context) (string, error) { return "", errSecret }
	})
	a.unavailable(stackToken, "GET /api/v1/ws-token", "/api/v1/ws-token", "")
}

// partly is a store of which one method fails.
type partly struct {
	store.Store
	down string // the method
}

func (p *partly) at(method string) error {
	if method == p.down {
		return errSecret
	}
	return nil
}

func (p *partly) Workspace(ctx context.Context, id string) (boathook.Workspace, error) {
	if err := p.at("Workspace"); err != nil {
		return boathook.Workspace{}, err
	}
	return p.Store.Workspace(ctx, id)
}

func (p *partly) PutWorkspace(ctx context.Context, w boathook.Workspace) error {
	if err := p.at("PutWorkspace"); err != nil {
		return err
	}
	return p.Store.PutWorkspace(ctx, w)
}

func (p *partly) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	if err := p.at("Source"); err != nil {
		return boathook.Source{}, err
	}
	return p.Store.Source(ctx, workspaceID, id)
}

func (p *partly) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	if err := p.at("Outgoing"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	return p.Store.Outgoing(ctx, sourceID, id)
}

func (p *partly) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	if err := p.at("Delivery"); err != nil {
		return boathook.Delivery{}, err
	}
	return p.Store.Delivery(ctx, workspaceID, id)
}

func (p *partly) PinEvent(ctx context.Context, e store.EventPin) (store.EventPin, error) {
	if err := p.at("PinEvent"); err != nil {
		return e, err
	}
	return p.Store.PinEvent(ctx, e)
}

// A method that fails is not one that has found nothing.
func TestALookUpThatFailsHasNotFoundNothing(t *testing.T) {
	a := newAPI(t)
	part := &partly{Store: a.store}
	a.config.Store = part
	a.config.Resend = &delivery.Resender{Store: part, Retries: a.retries, Now: a.clock.Now}
	a.handler = a.config.serve()
	deployment := a.deployment()
	a.version(deployment, "production")
	run := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`).text("run_id")
	webhook := a.outgoing(deployment).text("id")
	delivery := "/v1/deliveries/" + a.fail(idOf(deployment), webhook).String()
	app := a.newApp()

	for _, tc := range []struct{ down, method, path, body string }{
		{"Outgoing", "GET", delivery, ""},
		{"Outgoing", "POST", delivery + "/resend", ""},
		{"Delivery", "POST", deployment + "/outgoing-webhooks/" + webhook + "/recover", `{"since":"2026-02-01T00:00:00Z"}`},
		{"PinEvent", "POST", "/v1/events", jobFinished(t, app, `,"id":"once"`)},
		{"Source", "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`},
		{"Source", "DELETE", deployment, ""}, // on which something runs
	} {
		part.down = tc.down
		a.unavailable(stackToken, tc.method+" "+tc.path, tc.path, tc.body)
	}
	part.down = ""
	if len(a.retries.messages) > 0 || len(a.publish.events) > 0 {
		t.Errorf("queued %v, published %v", a.retries.messages, a.publish.events)
	}
	a.ask(404, "GET", "/v1/repositories/"+boathook.NewRepositoryID("ws_local", "acme", "site"), "")
	a.ask(200, "GET", "/v1/runs/"+run, "")
	a.ask(200, "GET", deployment, "")
	if d, err := a.store.Live(t.Context(), idOf(deployment)); err != nil || len(d) == 0 {
		t.Errorf("what is live of the deployment: %v, %v", d, err)
	}
}

func TestAFirstWorkspaceThatCanNotBeMadeIsA503(t *testing.T) {
	for _, method := range []string{"Workspace", "PutWorkspace"} {
		a := newAPI(t)
		part := &partly{a.store, method}
		a.config.Store, a.config.Workspace = part, "ws_fresh"
		a.handler = a.config.serve()
		a.unavailable(stackToken, "GET /v1/deployments", "/v1/deployments", "")
		part.down = ""
		a.ask(200, "GET", "/v1/deployments", "") // and it is tried again
		if _, err := a.store.Workspace(t.Context(), "ws_fresh"); err != nil {
			t.Errorf("%s was down once: %v", method, err)
		}
	}
}
