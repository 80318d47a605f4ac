// Package shipway is the face that Shipway's clients see: the hooks of repositories,
// which are outgoing webhooks, in the shapes of GitHub's hooks API v3 (wire formats,
// section 3), so that clients of those work unchanged.
package shipway

import (
	"context"
	"net/http"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Operations are what the face calls.
type Operations struct {
	Repositories Repositories
	Hooks        Hooks
}

// Repositories are described with [service.Repositories].
type Repositories interface {
	Find(ctx context.Context, c service.Caller, of service.Repository) (boathook.Source, error)
}

// Hooks are described with [service.Hooks].
type Hooks interface {
	List(ctx context.Context, c service.Caller, of service.Repository, skip, limit int) (hooks []service.Hook, total int, err error)
	Create(ctx context.Context, c service.Caller, of service.Repository, name string, in service.HookChange) (service.Hook, error)
	Get(ctx context.Context, c service.Caller, of service.Repository, number int32) (service.Hook, error)
	Config(ctx context.Context, c service.Caller, of service.Repository, number int32) (service.Hook, error)
	Change(ctx context.Context, c service.Caller, of service.Repository, number int32, in service.HookChange) (service.Hook, error)
	ChangeConfig(ctx context.Context, c service.Caller, of service.Repository, number int32, in service.HookChange) (service.Hook, error)
	Delete(ctx context.Context, c service.Caller, of service.Repository, number int32) error
	Test(ctx context.Context, c service.Caller, of service.Repository, number int32) error
	Ping(ctx context.Context, c service.Caller, of service.Repository, number int32, data func(service.Hook) ([]byte, error)) error
	Deliveries(ctx context.Context, c service.Caller, of service.Repository, number int32, p boathook.Page) (deliveries []boathook.Delivery, next string, err error)
	Delivery(ctx context.Context, c service.Caller, of service.Repository, number int32, delivery string) (service.Hook, service.DeliveryDetail, error)
	Redeliver(ctx context.Context, c service.Caller, of service.Repository, number int32, delivery string) error
}

// enterprisePrefix begins the paths of clients that take any host for a GitHub
// Enterprise Server. Such a client follows only links that have it too.
const enterprisePrefix = "/api/v3"

// New makes the face.
func New(ops Operations) httpjson.Face {
	f := face{ops}
	const hook = "/repos/{owner}/{repo}/hooks/{hook}"
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	on := func(pattern string, op service.Operation, handle httpjson.Handler) httpjson.Route {
		return httpjson.On(pattern, op, inWords(handle))
	}
	return httpjson.Face{
		Style: httpjson.Style{
			Lenient: true, Basic: true, WriteError: writeError,
			Prefixes: []string{enterprisePrefix},
			Below:    []string{"/repos/", enterprisePrefix + "/"},
		},
		Routes: []httpjson.Route{
			on("GET /repos/{owner}/{repo}", "Repositories.Find", httpjson.Serve(ok, f.getRepository)),
			on("GET /repos/{owner}/{repo}/hooks", "Hooks.List", f.listHooks),
			on("POST /repos/{owner}/{repo}/hooks", "Hooks.Create", httpjson.Serve(created, f.createHook)),
			on("GET "+hook, "Hooks.Get", httpjson.Serve(ok, f.getHook)),
			on("PATCH "+hook, "Hooks.Change", httpjson.Serve(ok, f.changeHook)),
			on("DELETE "+hook, "Hooks.Delete", httpjson.Serve(gone, f.deleteHook)),
			on("GET "+hook+"/config", "Hooks.Config", httpjson.Serve(ok, f.getConfig)),
			on("PATCH "+hook+"/config", "Hooks.ChangeConfig", httpjson.Serve(ok, f.changeConfig)),
			on("POST "+hook+"/pings", "Hooks.Ping", httpjson.Serve(gone, f.pingHook)),
			on("POST "+hook+"/tests", "Hooks.Test", httpjson.Serve(gone, f.testHook)),
			on("GET "+hook+"/deliveries", "Hooks.Deliveries", f.listDeliveries),
			on("GET "+hook+"/deliveries/{delivery}", "Hooks.Delivery", httpjson.Serve(ok, f.getDelivery)),
			on("POST "+hook+"/deliveries/{delivery}/attempts", "Hooks.Redeliver", httpjson.Serve(accepted, f.redeliver)),
		},
	}
}

// face has a handler for each route.
type face struct{ Operations }

// formatTime is without milliseconds, which some clients of GitHub's can't read.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
