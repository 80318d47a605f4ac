package native

import (
	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// sourceInPath is the source that the path names, by a wildcard that is called as its
// kind. An agent's path names its crew too. There may be none.
func sourceInPath(c httpjson.Call) service.SourceRef {
	for kind := range boathook.EventTypes {
		if id := c.PathValue(string(kind)); id != "" {
			return service.SourceRef{Kind: kind, ID: id, Crew: c.PathValue(string(boathook.Crew))}
		}
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
}

func refTo(sourceID string) sourceRef {
	switch {
	case boathook.HasIDKind(sourceID, boathook.AgentID):
		return sourceRef{AgentID: sourceID}
	case boathook.HasIDKind(sourceID, boathook.RepositoryID):
		return sourceRef{RepositoryID: sourceID}
	case boathook.HasIDKind(sourceID, boathook.AppID):
		return sourceRef{AppID: sourceID}
	case boathook.HasIDKind(sourceID, boathook.CustomerID):
		return sourceRef{CustomerID: sourceID}
	}
	return sourceRef{DeploymentID: sourceID}
}
