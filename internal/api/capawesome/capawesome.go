// Package capawesome is the face that clients of Capawesome Cloud see: apps and their
// webhooks, which are outgoing webhooks, in its own shapes (wire formats, section 4),
// as its SDKs for Python and Node read and write them.
package capawesome

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Operations are what the face calls.
type Operations struct {
	Apps     Apps
	Webhooks Webhooks
	Tokens   Tokens
}

// Apps are described with [service.Apps].
type Apps interface {
	Create(ctx context.Context, c service.Caller, in service.AppChange) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, only service.AppFilter, skip, limit int) ([]boathook.Source, error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Change(ctx context.Context, c service.Caller, id string, in service.AppChange) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

// Webhooks are described with [service.AppWebhooks].
type Webhooks interface {
	Create(ctx context.Context, c service.Caller, appID string, in service.AppWebhookChange) (boathook.OutgoingWebhook, error)
	List(ctx context.Context, c service.Caller, appID, query string, skip, limit int) ([]boathook.OutgoingWebhook, error)
	Get(ctx context.Context, c service.Caller, appID, id string) (boathook.OutgoingWebhook, error)
	Change(ctx context.Context, c service.Caller, appID, id string, in service.AppWebhookChange) (boathook.OutgoingWebhook, error)
	Delete(ctx context.Context, c service.Caller, appID, id string) error
	Test(ctx context.Context, c service.Caller, appID, id string) (boathook.DeliveryID, error)
	Deliveries(ctx context.Context, c service.Caller, appID, id string, skip, limit int) ([]service.Attempted, error)
	Resend(ctx context.Context, c service.Caller, appID, id string, delivery boathook.DeliveryID, attempt int) error
}

// Tokens are described with [service.Tokens].
type Tokens interface {
	Mine(ctx context.Context, c service.Caller) (boathook.Token, error)
}

// New makes the face.
func New(ops Operations, now func() time.Time) httpjson.Face {
	f := face{ops, now}
	const (
		app     = "/v1/apps/{app}"
		webhook = "/v1/apps/{app}/webhooks/{webhook}"
	)
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	on := func(pattern string, op service.Operation, handle httpjson.Handler) httpjson.Route {
		return httpjson.On(pattern, op, inWords(handle))
	}
	return httpjson.Face{
		Style: httpjson.Style{
			StrictQuery: true, WriteError: writeError, WriteIssues: writeIssues, Below: []string{"/v1/apps/", "/v1/users/"},
		},
		Routes: []httpjson.Route{
			on("GET /v1/users/me", "Tokens.Mine", httpjson.Serve(ok, f.me)),

			on("POST /v1/apps", "Apps.Create", httpjson.Serve(created, f.createApp)),
			on("GET /v1/apps", "Apps.List", httpjson.Serve(ok, f.listApps)),
			on("GET "+app, "Apps.Get", httpjson.Serve(ok, f.getApp)),
			on("PATCH "+app, "Apps.Change", httpjson.Serve(ok, f.changeApp)),
			on("DELETE "+app, "Apps.Delete", httpjson.Serve(gone, f.deleteApp)),

			on("GET "+app+"/webhooks", "AppWebhooks.List", httpjson.Serve(ok, f.listWebhooks)),
			on("POST "+app+"/webhooks", "AppWebhooks.Create", httpjson.Serve(created, f.createWebhook)),
			on("GET "+webhook, "AppWebhooks.Get", httpjson.Serve(ok, f.getWebhook)),
			on("PATCH "+webhook, "AppWebhooks.Change", httpjson.Serve(ok, f.changeWebhook)),
			on("DELETE "+webhook, "AppWebhooks.Delete", httpjson.Serve(gone, f.deleteWebhook)),
			on("POST "+webhook+"/test", "AppWebhooks.Test", httpjson.Serve(accepted, f.testWebhook)),
			on("GET "+webhook+"/deliveries", "AppWebhooks.Deliveries", httpjson.Serve(ok, f.listDeliveries)),
			on("POST "+webhook+"/deliveries/{delivery}/resend", "AppWebhooks.Resend", httpjson.Serve(accepted, f.resend)),
		},
	}
}

// face has a handler for each route.
type face struct {
	Operations
	now func() time.Time
}

// The sizes of a page of Capawesome Cloud's lists, and how far one goes.
const (
	defaultLimit = 10
	maxLimit     = 100
	maxOffset    = 10_000
)

// window is the part of a list that limit and offset ask for.
func window(c httpjson.Call) (offset, limit int, err error) {
	limit = defaultLimit
	var all boathook.Issues
	for _, p := range []struct {
		name        string
		value       *int
		least, most int
	}{
		{"limit", &limit, 1, maxLimit}, {"offset", &offset, 0, maxOffset},
	} {
		text := c.URL.Query().Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < p.least || n > p.most {
			all.Add(fmt.Sprintf("must be a whole number from %d to %d", p.least, p.most), p.name)
			continue
		}
		*p.value = n
	}
	return offset, limit, all.Or()
}
