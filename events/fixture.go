package events

import (
	"context"
	"errors"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// OutgoingSecret signs the fixture's outgoing webhook.
const OutgoingSecret = "whsec_dGhlIHN0b3J5J3Mgd2ViaG9vaw=="

// Store is where the fixture is put.
type Store interface {
	store.Workspaces
	store.Tokens
	store.Sources
	store.Webhooks
}

// Servers are the URLs of those that the fixture sends requests to.
type Servers struct {
	Target   string // executes its runs
	Receiver string // is told by its outgoing webhook
}

// Put puts what the events need into a store, as made at a time: its
// workspace, deployment, versions, webhooks, agent, and the API token of those who
// watch.
func Put(ctx context.Context, s Store, sealer *seal.Sealer, at time.Time, servers Servers) error {
	dataKey, err := sealer.NewDataKey(ctx, WorkspaceID)
	if err != nil {
		return err
	}
	if err := s.PutWorkspace(ctx, boathook.Workspace{ID: WorkspaceID, Name: "fixture", DataKey: dataKey, CreatedAt: at}); err != nil {
		return err
	}
	if err := s.PutToken(ctx, boathook.Token{
		ID: TokenID, WorkspaceID: WorkspaceID, Name: "who watches", Role: boathook.Viewer,
		Hash: boathook.HashToken(boathook.NewAPIToken()), CreatedAt: at,
	}); err != nil {
		return err
	}
	outgoing, err := sealer.Seal(ctx, WorkspaceID, seal.OutgoingSecret(OutgoingID), []byte(OutgoingSecret))
	if err != nil {
		return err
	}
	agent, err := sealer.Seal(ctx, WorkspaceID, seal.AgentSecret(AgentID), []byte(AgentSecret))
	if err != nil {
		return err
	}
	token, ok := boathook.ParseURLToken(TriggerToken)
	if !ok {
		return errors.New("the fixture's token is none")
	}

	for _, source := range []boathook.Source{
		{ID: DeploymentID, WorkspaceID: WorkspaceID, Kind: boathook.Deployment, Name: "nightly reports", CreatedAt: at},
		{ID: AgentID, WorkspaceID: WorkspaceID, Kind: boathook.Agent, Name: "Reviewer", CreatedAt: at, Agent: &boathook.AgentSettings{
			CrewID: CrewID, Slug: "reviewer", RatePerMinute: 60, MaxInFlight: 8, SealedSecret: agent,
		}},
	} {
		if err := s.PutSource(ctx, source); err != nil {
			return err
		}
	}
	for _, version := range []boathook.Version{
		{ID: boathook.NewID(boathook.VersionID), SourceID: DeploymentID},
		{ID: VersionID, SourceID: DeploymentID}, // it has the VersionNumber
		{ID: boathook.NewID(boathook.VersionID), SourceID: AgentID},
	} {
		version.WorkspaceID, version.Environment, version.CreatedAt = WorkspaceID, boathook.Production, at
		version.Target = boathook.Target{Type: boathook.TargetHTTP, URL: servers.Target}
		if _, err := s.AddVersion(ctx, version); err != nil {
			return err
		}
	}
	err = s.PutIncoming(ctx, boathook.IncomingWebhook{
		ID: IncomingID, WorkspaceID: WorkspaceID, SourceID: DeploymentID, Name: "GitHub Actions",
		Environment: boathook.Production, Enabled: true, TokenHash: token.Hash(), CreatedAt: at, UpdatedAt: at,
	})
	if err != nil {
		return err
	}
	return s.PutOutgoing(ctx, boathook.OutgoingWebhook{
		ID: OutgoingID, WorkspaceID: WorkspaceID, SourceID: DeploymentID, Name: "report status",
		URL: servers.Receiver, Events: []boathook.EventType{boathook.EventRunSucceeded, boathook.EventRunFailed},
		Environment: boathook.Production, Dialect: dialect.Crewship, Timeout: boathook.DefaultDeliveryTimeout, Retry: boathook.DefaultRetry,
		Enabled: true, Secrets: boathook.SealedSecrets{Current: outgoing}, CreatedAt: at, UpdatedAt: at,
	})
}
