// Package native is the JSON face of Boathook's own API, below /v1.
package native

import (
	"net/http"

	"boathook/internal/api/httpjson"
)

// Operations are what the face calls, by noun. Package service has them all.
type Operations struct {
	Workspaces   Workspaces
	Tokens       Tokens
	Deployments  Deployments
	Crews        Crews
	Repositories Repositories
	Queues       Queues
}

type face struct{ Operations }

// New makes the face.
func New(o Operations) httpjson.Face {
	f := face{o}
	return httpjson.Face{Style: Style, Routes: f.routes()}
}

func (f face) routes() []httpjson.Route {
	const (
		deployment = "/v1/deployments/{deployment}"
		crew       = "/v1/crews/{crew}"
		repository = "/v1/repositories/{repository}"
	)
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	on := httpjson.On
	return []httpjson.Route{
		on("GET /v1/me", "Workspaces.Mine", httpjson.Serve(ok, f.me)),
		on("POST /v1/workspaces", "Workspaces.Create", httpjson.Serve(created, f.createWorkspace)),
		on("GET /v1/workspaces", "Workspaces.List", httpjson.Serve(ok, f.listWorkspaces)),
		on("GET /v1/workspaces/{workspace}", "Workspaces.Get", httpjson.Serve(ok, f.getWorkspace)),
		on("DELETE /v1/workspaces/{workspace}", "Workspaces.Delete", httpjson.Serve(gone, f.deleteWorkspace)),
		on("POST /v1/workspaces/{workspace}/tokens", "Workspaces.CreateToken", httpjson.Serve(created, f.createTokenOf)),
		on("POST /v1/tokens", "Tokens.Create", httpjson.Serve(created, f.createToken)),
		on("GET /v1/tokens", "Tokens.List", httpjson.Serve(ok, f.listTokens)),
		on("GET /v1/tokens/{token}", "Tokens.Get", httpjson.Serve(ok, f.getToken)),
		on("DELETE /v1/tokens/{token}", "Tokens.Delete", httpjson.Serve(gone, f.deleteToken)),
		on("POST /v1/deployments", "Deployments.Create", httpjson.Serve(created, f.createDeployment)),
		on("GET /v1/deployments", "Deployments.List", httpjson.Serve(ok, f.listDeployments)),
		on("GET "+deployment, "Deployments.Get", httpjson.Serve(ok, f.getDeployment)),
		on("PATCH "+deployment, "Deployments.Rename", httpjson.Serve(ok, f.changeDeployment)),
		on("DELETE "+deployment, "Deployments.Delete", httpjson.Serve(gone, f.deleteDeployment)),
		on("POST /v1/crews", "Crews.Create", httpjson.Serve(created, f.createCrew)),
		on("GET /v1/crews", "Crews.List", httpjson.Serve(ok, f.listCrews)),
		on("GET "+crew, "Crews.Get", httpjson.Serve(ok, f.getCrew)),
		on("PATCH "+crew, "Crews.Rename", httpjson.Serve(ok, f.changeCrew)),
		on("DELETE "+crew, "Crews.Delete", httpjson.Serve(gone, f.deleteCrew)),
		on("POST /v1/repositories", "Repositories.Create", httpjson.Serve(created, f.createRepository)),
		on("GET /v1/repositories", "Repositories.List", httpjson.Serve(ok, f.listRepositories)),
		on("GET "+repository, "Repositories.Get", httpjson.Serve(ok, f.getRepository)),
		on("DELETE "+repository, "Repositories.Delete", httpjson.Serve(gone, f.deleteRepository)),
		on("GET /v1/admin/redrive", "Queues.List", httpjson.Serve(ok, f.listQueues)),
		on("POST /v1/admin/redrive", "Queues.Redrive", httpjson.Serve(accepted, f.redrive)),
	}
}
