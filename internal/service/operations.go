package service

import "boathook/internal/boathook"

// Operation names an operation: its noun and its method, as in "Tokens.Create".
type Operation string

// LeastRole is the least role that an operation needs; empty if there is no such.
func LeastRole(op Operation) boathook.Role { return leastRoles[op] }

// internal is no user's role: it is of who holds the stack's internal token, belongs to
// no workspace, and may do what needs this role and nothing else.
const internal boathook.Role = "internal"

// leastRoles says who may do what: each operation needs this role or one above it, in
// the caller's own workspace, which is all that a caller can reach. Some need more, and
// say so.
var leastRoles = map[Operation]boathook.Role{
	"Workspaces.Mine":        boathook.Viewer,
	"Workspaces.Create":      boathook.Admin, // and the stack's own token
	"Workspaces.List":        boathook.Admin, // of the first workspace
	"Workspaces.Get":         boathook.Admin, // of it, or of the first workspace
	"Workspaces.Delete":      boathook.Admin, // of the first workspace
	"Workspaces.CreateToken": boathook.Admin, // of it, or of the first workspace

	"Tokens.Create": boathook.Admin,
	"Tokens.List":   boathook.Admin,
	"Tokens.Get":    boathook.Admin,
	"Tokens.Delete": boathook.Admin,

	"Deployments.Create": boathook.Member,
	"Deployments.List":   boathook.Viewer,
	"Deployments.Get":    boathook.Viewer,
	"Deployments.Change": boathook.Member,
	"Deployments.Delete": boathook.Member,

	"Versions.Create":   boathook.Admin, // it says what is executed
	"Versions.List":     boathook.Viewer,
	"Versions.Activate": boathook.Admin,

	"Incoming.Create":   boathook.Member,
	"Incoming.List":     boathook.Viewer,
	"Incoming.Get":      boathook.Viewer,
	"Incoming.Change":   boathook.Member,
	"Incoming.Delete":   boathook.Member,
	"Incoming.Rotate":   boathook.Member,
	"Incoming.Requests": boathook.Viewer,
	"Incoming.URL":      boathook.Admin,

	"Crews.Create": boathook.Member,
	"Crews.List":   boathook.Viewer,
	"Crews.Get":    boathook.Viewer,
	"Crews.Rename": boathook.Member,
	"Crews.Delete": boathook.Member,

	"Repositories.Create": boathook.Member,
	"Repositories.List":   boathook.Viewer,
	"Repositories.Get":    boathook.Viewer,
	"Repositories.Delete": boathook.Member,

	"Customers.Create": boathook.Member,
	"Customers.List":   boathook.Viewer,
	"Customers.Get":    boathook.Viewer,
	"Customers.Change": boathook.Member,
	"Customers.Delete": boathook.Member,
	"Customers.Portal": boathook.Member,

	"PortalSettings.Get":    boathook.Viewer,
	"PortalSettings.Change": boathook.Admin,

	"EventTypes.List":    boathook.Viewer,
	"EventTypes.Get":     boathook.Viewer,
	"EventTypes.Put":     boathook.Member,
	"EventTypes.Archive": boathook.Member,

	"Queues.List":        boathook.Admin, // of the first workspace
	"Queues.Redrive":     boathook.Admin, // of the first workspace
	"Queues.DeadLetters": boathook.Admin, // of the first workspace

	"Agents.Create":       boathook.Admin,
	"Agents.List":         boathook.Viewer,
	"Agents.Get":          boathook.Viewer,
	"Agents.Change":       boathook.Member, // an admin, to set the target: it says what is executed
	"Agents.Delete":       boathook.Member,
	"Agents.Requests":     boathook.Viewer,
	"Agents.Secret":       boathook.Admin,
	"Agents.All":          boathook.Viewer,
	"Agents.Find":         boathook.Viewer,
	"Agents.Log":          boathook.Viewer,
	"Agents.RotateSecret": boathook.Member,

	"Agents.InternalSecret": internal, // of any workspace's agent

	"Events.Publish": boathook.Member,

	"Feeds.Events": boathook.Viewer,
	"Feeds.Newest": boathook.Viewer,
	"Feeds.Event":  boathook.Viewer,
	"Feeds.Change": boathook.Member,

	"Runs.Start":  boathook.Member,
	"Runs.List":   boathook.Viewer,
	"Runs.Heads":  boathook.Viewer,
	"Runs.Get":    boathook.Viewer,
	"Runs.Events": boathook.Viewer,
	"Runs.Look":   boathook.Viewer,
	"Runs.Cancel": boathook.Member,
	"Runs.Retry":  boathook.Member,

	"Deliveries.Get":    boathook.Viewer,
	"Deliveries.Resend": boathook.Member,
	"Deliveries.List":   boathook.Viewer,
	"Deliveries.All":    boathook.Viewer,
	"Deliveries.Names":  boathook.Viewer,
	"Deliveries.Stats":  boathook.Viewer,

	"Outgoing.Create":       boathook.Member,
	"Outgoing.List":         boathook.Viewer,
	"Outgoing.Get":          boathook.Viewer,
	"Outgoing.Change":       boathook.Member,
	"Outgoing.Delete":       boathook.Member,
	"Outgoing.RotateSecret": boathook.Member,
	"Outgoing.Test":         boathook.Member,
	"Outgoing.Preview":      boathook.Member,
	"Outgoing.Recover":      boathook.Member,
	"Outgoing.Replay":       boathook.Member,
	"Outgoing.Stats":        boathook.Viewer,
	"Outgoing.StatsOfAll":   boathook.Viewer,

	"AgentRuns.OfAgent": boathook.Viewer,
	"AgentRuns.List":    boathook.Viewer,
	"AgentRuns.Get":     boathook.Viewer,

	"Search.Find": boathook.Viewer,

	"Live.Token": boathook.Viewer,

	"Repositories.Find": boathook.Viewer,

	"Hooks.List":         boathook.Viewer,
	"Hooks.Create":       boathook.Member,
	"Hooks.Get":          boathook.Viewer,
	"Hooks.Config":       boathook.Viewer,
	"Hooks.Change":       boathook.Member,
	"Hooks.ChangeConfig": boathook.Member,
	"Hooks.Delete":       boathook.Member,
	"Hooks.Ping":         boathook.Member,
	"Hooks.Test":         boathook.Member,
	"Hooks.Deliveries":   boathook.Viewer,
	"Hooks.Delivery":     boathook.Viewer,
	"Hooks.Redeliver":    boathook.Member,

	"Tokens.Mine": boathook.Viewer,

	"Apps.Create": boathook.Member,
	"Apps.List":   boathook.Viewer,
	"Apps.Get":    boathook.Viewer,
	"Apps.Change": boathook.Member,
	"Apps.Delete": boathook.Member,

	"AppWebhooks.List":       boathook.Viewer,
	"AppWebhooks.Create":     boathook.Member,
	"AppWebhooks.Get":        boathook.Viewer,
	"AppWebhooks.Change":     boathook.Member,
	"AppWebhooks.Delete":     boathook.Member,
	"AppWebhooks.Test":       boathook.Member,
	"AppWebhooks.Deliveries": boathook.Viewer,
	"AppWebhooks.Resend":     boathook.Member,
}
