// Package native is the JSON face of Boathook's own API, below /v1.
package native

import (
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// Operations are what the face calls, by noun. Package service has them all.
type Operations struct {
	Workspaces   Workspaces
	Tokens       Tokens
	Deployments  Deployments
	Versions     Versions
	Incoming     Incoming
	Crews        Named
	Agents       Agents
	Repositories Repositories
	Customers    Customers
	EventTypes   EventTypes
	Events       Events
	Feeds        Feeds

	PortalSettings PortalSettings

	Outgoing   Outgoing
	Deliveries Deliveries
	Queues     Queues
}

type face struct {
	Operations

	webSocketURL string
}

// New makes the face. webSocketURL is where watchers connect; empty: /ws below the public
// URL.
func New(o Operations, webSocketURL string) httpjson.Face {
	f := face{o, webSocketURL}
	return httpjson.Face{Style: Style, Routes: f.routes()}
}

func (f face) routes() []httpjson.Route {
	const (
		deployment = "/v1/deployments/{deployment}"
		version    = deployment + "/versions/{version}"
		incoming   = deployment + "/incoming-webhooks/{incoming}"
		crew       = "/v1/crews/{crew}"
		agent      = crew + "/agents/{agent}"
		repository = "/v1/repositories/{repository}"
		app        = "/v1/apps/{app}"
		customer   = "/v1/customers/{customer}"
		alerts     = alertsPath
	)
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	on := httpjson.On
	routes := []httpjson.Route{
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
		on("PATCH "+deployment, "Deployments.Change", httpjson.Serve(ok, f.changeDeployment)),
		on("DELETE "+deployment, "Deployments.Delete", httpjson.Serve(gone, f.deleteDeployment)),
		on("POST "+deployment+"/versions", "Versions.Create", httpjson.Serve(created, f.createVersion)),
		on("GET "+deployment+"/versions", "Versions.List", httpjson.Serve(ok, f.listVersions)),
		on("POST "+version+"/activate", "Versions.Activate", httpjson.Serve(ok, f.activateVersion)),

		on("POST "+deployment+"/incoming-webhooks", "Incoming.Create", httpjson.Serve(created, f.createIncoming)),
		on("GET "+deployment+"/incoming-webhooks", "Incoming.List", httpjson.Serve(ok, f.listIncoming)),
		on("GET "+incoming, "Incoming.Get", httpjson.Serve(ok, f.getIncoming)),
		on("PATCH "+incoming, "Incoming.Change", httpjson.Serve(ok, f.changeIncoming)),
		on("DELETE "+incoming, "Incoming.Delete", httpjson.Serve(gone, f.deleteIncoming)),
		on("POST "+incoming+"/rotate", "Incoming.Rotate", httpjson.Serve(ok, f.rotateIncoming)),
		on("GET "+incoming+"/url", "Incoming.URL", httpjson.Serve(ok, f.showURL)),
		on("GET "+incoming+"/requests", "Incoming.Requests", httpjson.Serve(ok, f.listRequests)),

		on("POST "+crew+"/agents", "Agents.Create", httpjson.Serve(created, f.createAgent)),
		on("GET "+crew+"/agents", "Agents.List", httpjson.Serve(ok, f.listAgents)),
		on("GET "+agent, "Agents.Get", httpjson.Serve(ok, f.getAgent)),
		on("PATCH "+agent, "Agents.Change", httpjson.Serve(ok, f.changeAgent)),
		on("DELETE "+agent, "Agents.Delete", httpjson.Serve(gone, f.deleteAgent)),
		on("GET "+agent+"/requests", "Agents.Requests", httpjson.Serve(ok, f.listAgentRequests)),
		on("GET "+agent+"/webhook-secret", "Agents.Secret", httpjson.Serve(ok, f.showAgentSecret)),

		on("POST /v1/repositories", "Repositories.Create", httpjson.Serve(created, f.createRepository)),
		on("GET /v1/repositories", "Repositories.List", httpjson.Serve(ok, f.listRepositories)),
		on("GET "+repository, "Repositories.Get", httpjson.Serve(ok, f.getRepository)),
		on("DELETE "+repository, "Repositories.Delete", httpjson.Serve(gone, f.deleteRepository)),

		on("POST /v1/customers", "Customers.Create", httpjson.Serve(created, f.createCustomer)),
		on("GET /v1/customers", "Customers.List", httpjson.Serve(ok, f.listCustomers)),
		on("GET "+customer, "Customers.Get", httpjson.Serve(ok, f.getCustomer)),
		on("PATCH "+customer, "Customers.Change", httpjson.Serve(ok, f.changeCustomer)),
		on("DELETE "+customer, "Customers.Delete", httpjson.Serve(gone, f.deleteCustomer)),
		on("POST "+customer+"/portal", "Customers.Portal", httpjson.Serve(created, f.openPortal)),

		on("GET /v1/portal-settings", "PortalSettings.Get", httpjson.Serve(ok, f.getPortalSettings)),
		on("PATCH /v1/portal-settings", "PortalSettings.Change", httpjson.Serve(ok, f.changePortalSettings)),

		on("POST /v1/events", "Events.Publish", f.publishEvents),
		on("GET /v1/event-types", "EventTypes.List", httpjson.Serve(ok, f.listEventTypes)),
		on("GET /v1/event-types/{type}", "EventTypes.Get", httpjson.Serve(ok, f.getEventType)),
		on("PUT /v1/event-types/{type}", "EventTypes.Put", httpjson.Serve(ok, f.putEventType)),
		on("DELETE /v1/event-types/{type}", "EventTypes.Archive", httpjson.Serve(gone, f.archiveEventType)),

		on("GET /v1/admin/redrive", "Queues.List", httpjson.Serve(ok, f.listQueues)),
		on("POST /v1/admin/redrive", "Queues.Redrive", httpjson.Serve(accepted, f.redrive)),

		on("GET /v1/deliveries", "Deliveries.All", httpjson.Serve(ok, f.searchDeliveries)),
		on("GET /v1/deliveries/{delivery}", "Deliveries.Get", httpjson.Serve(ok, f.getDelivery)),
		on("POST /v1/deliveries/{delivery}/resend", "Deliveries.Resend", httpjson.Serve(accepted, f.resendDelivery)),
	}
	routes = append(routes, named{f.Crews, boathook.Crew}.routes("Crews")...)
	for _, source := range []string{deployment, agent, repository, app, customer, alerts} {
		outgoing := source + "/outgoing-webhooks/{outgoing}"
		routes = append(routes,
			on("GET "+source+"/events", "Feeds.Events", httpjson.Serve(ok, f.listEvents)),
			on("PATCH "+source+"/events", "Feeds.Change", httpjson.Serve(ok, f.changeEvents)),
			on("POST "+source+"/outgoing-webhooks", "Outgoing.Create", httpjson.Serve(created, f.createOutgoing)),
			on("GET "+source+"/outgoing-webhooks", "Outgoing.List", httpjson.Serve(ok, f.listOutgoing)),
			on("GET "+outgoing, "Outgoing.Get", httpjson.Serve(ok, f.getOutgoing)),
			on("PATCH "+outgoing, "Outgoing.Change", httpjson.Serve(ok, f.changeOutgoing)),
			on("DELETE "+outgoing, "Outgoing.Delete", httpjson.Serve(gone, f.deleteOutgoing)),
			on("POST "+outgoing+"/rotate-secret", "Outgoing.RotateSecret", httpjson.Serve(ok, f.rotateSecret)),
			on("POST "+outgoing+"/test", "Outgoing.Test", httpjson.Serve(accepted, f.testOutgoing)),
			on("POST "+outgoing+"/preview", "Outgoing.Preview", httpjson.Serve(ok, f.previewOutgoing)),
			on("POST "+outgoing+"/recover", "Outgoing.Recover", httpjson.Serve(accepted, f.recoverOutgoing)),
			on("POST "+outgoing+"/replay", "Outgoing.Replay", httpjson.Serve(accepted, f.replayOutgoing)),
			on("GET "+outgoing+"/stats", "Outgoing.Stats", httpjson.Serve(ok, f.outgoingStats)),
			on("GET "+outgoing+"/deliveries", "Deliveries.List", httpjson.Serve(ok, f.listDeliveries)),
		)
	}
	return routes
}
