package native

import (
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// alertsPath is that of a workspace's alerts, of which it has one.
const alertsPath = "/v1/alerts"

// sourceInPath is the source that the path names, by a wildcard that is called as its
// kind. An agent's path names its crew too, and that of the workspace's alerts nothing.
// There may be none.
func sourceInPath(c httpjson.Call) service.SourceRef {
	for kind := range boathook.EventTypes {
		if id := c.PathValue(string(kind)); id != "" {
			return service.SourceRef{Kind: kind, ID: id, Crew: c.PathValue(string(boathook.Crew))}
		}
	}
	if strings.HasPrefix(c.URL.Path, alertsPath+"/") {
		return service.Alerts(c.Caller.Workspace)
	}
	return service.SourceRef{}
}

// sourceRef names the source that something belongs to, by its kind.
type sourceRef struct {
	DeploymentID string `json:"deployment_id,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	RepositoryID string `json:"repository_id,omitempty"`
	AppID        string `json:"app_id,omitempty"`
	CustomerID   string `json:"customer_id,omitempty"`
	AlertsID     string `json:"alerts_id,omitempty"`
}

func refTo(sourceID string) sourceRef {
	switch boathook.KindOf(sourceID) {
	case boathook.Agent:
		return sourceRef{AgentID: sourceID}
	case boathook.Repository:
		return sourceRef{RepositoryID: sourceID}
	case boathook.App:
		return sourceRef{AppID: sourceID}
	case boathook.Customer:
		return sourceRef{CustomerID: sourceID}
	case boathook.Alerts:
		return sourceRef{AlertsID: sourceID}
	}
	return sourceRef{DeploymentID: sourceID}
}
