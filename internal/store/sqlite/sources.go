package sqlite

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type sourceItem struct {
	Revision    int                 `json:"revision"`
	ID          string              `json:"id"`
	WorkspaceID string              `json:"workspace_id"`
	Kind        boathook.SourceKind `json:"kind"`
	Owner       string              `json:"owner,omitempty"`
	Name        string              `json:"name"`
	CreatedAt   time.Time           `json:"created_at"`
	Agent       *agentItem          `json:"agent,omitempty"`
	App         *appItem            `json:"app,omitempty"`
	Customer    *customerItem       `json:"customer,omitempty"`
	Feed        *feedItem           `json:"feed,omitempty"`
	Deployment  *deploymentItem     `json:"deployment,omitempty"`
}

// deploymentItem are settings that a deployment may have.
type deploymentItem struct {
	RetryMax     int   `json:"retry_max,omitempty"`
	RetryBackoff int64 `json:"retry_backoff,omitempty"` // in milliseconds
	MaxInFlight  int   `json:"max_in_flight,omitempty"`
}

func newDeploymentItem(d *boathook.DeploymentSettings) *deploymentItem {
	if d == nil {
		return nil
	}
	return &deploymentItem{d.Retry.Max, d.Retry.Backoff.Milliseconds(), d.MaxInFlight}
}

func (it *deploymentItem) settings() *boathook.DeploymentSettings {
	if it == nil {
		return nil
	}
	return &boathook.DeploymentSettings{
		Retry:       boathook.RunRetries{Max: it.RetryMax, Backoff: time.Duration(it.RetryBackoff) * time.Millisecond},
		MaxInFlight: it.MaxInFlight,
	}
}

type agentItem struct {
	CrewID           string           `json:"crew_id"`
	Slug             string           `json:"slug"`
	RequireTimestamp bool             `json:"require_timestamp,omitempty"`
	KeepPlainSecret  bool             `json:"keep_plain_secret,omitempty"`
	RatePerMinute    int              `json:"rate_per_minute"`
	MaxInFlight      int              `json:"max_in_flight"`
	DedupeSeconds    int              `json:"dedupe_seconds,omitempty"`
	FencePayload     bool             `json:"fence_payload,omitempty"`
	Verification     verificationItem `json:"verification"`
	SealedSecret     []byte           `json:"sealed_secret,omitempty"`
}

type appItem struct {
	Type      boathook.AppType `json:"type"`
	UpdatedAt time.Time        `json:"updated_at"`
}

type customerItem struct {
	ExternalID string            `json:"external_id,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	UpdatedAt  time.Time         `json:"updated_at"`
}

func newSourceItem(s boathook.Source) sourceItem {
	it := sourceItem{
		Revision: s.Revision, ID: s.ID, WorkspaceID: s.WorkspaceID, Kind: s.Kind, Owner: s.Owner, Name: s.Name, CreatedAt: stored(s.CreatedAt),
		Deployment: newDeploymentItem(s.Deployment),
	}
	if s.App != nil {
		it.App = &appItem{s.App.Type, stored(s.App.UpdatedAt)}
	}
	if c := s.Customer; c != nil {
		it.Customer = &customerItem{c.ExternalID, c.Metadata, stored(c.UpdatedAt)}
	}
	if s.Feed != nil {
		it.Feed = &feedItem{s.Feed.RetentionDays, stored(s.Feed.Raised)}
	}
	if a := s.Agent; a != nil {
		it.Agent = &agentItem{
			CrewID: a.CrewID, Slug: a.Slug, RequireTimestamp: a.RequireTimestamp, KeepPlainSecret: a.KeepPlainSecret,
			RatePerMinute: a.RatePerMinute, MaxInFlight: a.MaxInFlight, DedupeSeconds: a.DedupeSeconds, FencePayload: a.FencePayload,
			Verification: verificationItem(a.Verification), SealedSecret: a.SealedSecret,
		}
	}
	return it
}

func (it sourceItem) source() boathook.Source {
	s := boathook.Source{
		Revision: it.Revision, ID: it.ID, WorkspaceID: it.WorkspaceID, Kind: it.Kind, Owner: it.Owner, Name: it.Name, CreatedAt: it.CreatedAt,
		App: copied((*boathook.AppSettings)(it.App)), Customer: copied((*boathook.CustomerSettings)(it.Customer)),
		Deployment: it.Deployment.settings(), Feed: copied((*boathook.FeedSettings)(it.Feed)),
	}
	if s.Customer != nil {
		s.Customer.Metadata = maps.Clone(s.Customer.Metadata)
	}
	if a := it.Agent; a != nil {
		s.Agent = &boathook.AgentSettings{
			CrewID: a.CrewID, Slug: a.Slug, RequireTimestamp: a.RequireTimestamp, KeepPlainSecret: a.KeepPlainSecret,
			RatePerMinute: a.RatePerMinute, MaxInFlight: a.MaxInFlight, DedupeSeconds: a.DedupeSeconds, FencePayload: a.FencePayload,
			Verification: boathook.Verification(a.Verification), SealedSecret: slices.Clone(a.SealedSecret),
		}
		s.Agent.Verification.SealedSecret = slices.Clone(a.Verification.SealedSecret)
	}
	return s
}

// PutSource implements [store.Sources].
func (s *Store) PutSource(_ context.Context, src boathook.Source) error {
	if err := store.CheckIDs(src.WorkspaceID, src.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		item := newSourceItem(src)
		if err := checkNames(tx, item); err != nil {
			return err
		}
		agent, customer := cmp.Or(item.Agent, &agentItem{}), cmp.Or(item.Customer, &customerItem{})
		old, _, err := first[sourceItem](tx, "SELECT item FROM sources WHERE id = ?", src.ID)
		if err != nil {
			return err
		}
		if old.Revision != src.Revision {
			return errChanged
		}
		item.Revision++
		return tx.Exec("INSERT OR REPLACE INTO sources (id, workspace_id, kind, crew_id, slug, external_id, created_at, item) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			src.ID, src.WorkspaceID, string(src.Kind), agent.CrewID, agent.Slug, customer.ExternalID, item.CreatedAt, encode(item))
	})
}

// checkNames refuses a source that has the slug or the external id of another.
func checkNames(tx *database.Tx, s sourceItem) error {
	if a := s.Agent; a != nil {
		taken, err := tx.Exists("SELECT 1 FROM sources WHERE workspace_id = ? AND crew_id = ? AND slug = ? AND kind = 'agent' AND id <> ?",
			s.WorkspaceID, a.CrewID, a.Slug, s.ID)
		if err != nil {
			return err
		}
		if taken {
			return &boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}
		}
	}
	if c := s.Customer; c != nil && c.ExternalID != "" {
		if err := store.CheckForeignID(c.ExternalID); err != nil {
			return err
		}
		taken, err := tx.Exists("SELECT 1 FROM sources WHERE workspace_id = ? AND external_id = ? AND kind = 'customer' AND id <> ?",
			s.WorkspaceID, c.ExternalID, s.ID)
		if err != nil {
			return err
		}
		if taken {
			return &boathook.Error{Kind: boathook.Conflict, Field: "external_id", Message: "another customer has it"}
		}
	}
	return nil
}

// Source implements [store.Sources].
func (s *Store) Source(_ context.Context, workspaceID, id string) (boathook.Source, error) {
	return known(s, &s.sources, ofWorkspace{workspaceID, id}, "source", sourceItem.source, "SELECT item FROM sources WHERE id = ? AND workspace_id = ?", id, workspaceID)
}

// Sources implements [store.Sources].
func (s *Store) Sources(_ context.Context, workspaceID string, kind boathook.SourceKind, p boathook.Page) ([]boathook.Source, string, error) {
	return list(s, p, sourceItem.source, `SELECT created_at, id, item FROM sources WHERE workspace_id = ? AND kind = ?
		AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC`, workspaceID, string(kind))
}

// CrewAgents implements [store.Sources].
func (s *Store) CrewAgents(_ context.Context, workspaceID, crewID string, p boathook.Page) ([]boathook.Source, string, error) {
	return list(s, p, sourceItem.source, `SELECT created_at, id, item FROM sources WHERE workspace_id = ? AND crew_id = ? AND kind = 'agent'
		AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC`, workspaceID, crewID)
}

// Agents implements [store.Sources].
func (s *Store) Agents(_ context.Context, workspaceID string, limit int) ([]boathook.Source, error) {
	return read(s, func(tx *database.Tx) ([]boathook.Source, error) {
		items, err := readable(all[sourceItem](s, tx, `SELECT item FROM sources WHERE workspace_id = ? AND kind = 'agent'
			ORDER BY crew_id DESC, created_at DESC, id DESC`, workspaceID))
		return each(items[:min(limit, len(items))], sourceItem.source), err
	})
}

// AgentBySlug implements [store.Sources].
func (s *Store) AgentBySlug(_ context.Context, workspaceID, crewID, slug string) (string, error) {
	return read(s, func(tx *database.Tx) (id string, err error) {
		found, err := tx.First(func(row database.Row) error { id = row.Text(0); return nil },
			"SELECT id FROM sources WHERE workspace_id = ? AND crew_id = ? AND slug = ? AND kind = 'agent'", workspaceID, crewID, slug)
		if err == nil && !found {
			err = notFound("agent")
		}
		return id, err
	})
}

// CustomerByExternalID implements [store.Sources].
func (s *Store) CustomerByExternalID(_ context.Context, workspaceID, externalID string) (boathook.Source, error) {
	return one(s, "customer", sourceItem.source,
		"SELECT item FROM sources WHERE workspace_id = ? AND external_id = ? AND kind = 'customer' AND external_id <> ''", workspaceID, externalID)
}

// DeleteSource implements [store.Sources].
func (s *Store) DeleteSource(_ context.Context, workspaceID, id string) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		anothers, err := tx.Exists("SELECT 1 FROM sources WHERE id = ? AND workspace_id <> ?", id, workspaceID)
		if err != nil {
			return err
		}
		if anothers {
			return notFound("source")
		}
		existed := false
		for _, statement := range []string{
			"DELETE FROM healths WHERE webhook_id IN (SELECT id FROM outgoing WHERE source_id = ?)",
			"DELETE FROM outgoing WHERE source_id = ?",
			"DELETE FROM incoming WHERE source_id = ?",
			"DELETE FROM live WHERE source_id = ?",
			"DELETE FROM versions WHERE source_id = ?",
			"DELETE FROM sources WHERE id = ?",
		} {
			deleted, err := tx.Change(statement, id)
			if err != nil {
				return err
			}
			existed = existed || deleted
		}
		if !existed {
			return notFound("source")
		}
		return nil
	})
}

type versionItem struct {
	ID            string               `json:"id"`
	SourceID      string               `json:"source_id"`
	WorkspaceID   string               `json:"workspace_id"`
	Number        int                  `json:"number"`
	Environment   boathook.Environment `json:"environment"`
	Target        targetItem           `json:"target"`
	CreatedAt     time.Time            `json:"created_at"`
	SealedHeaders []byte               `json:"sealed_headers,omitempty"`
}

type targetItem struct {
	Type           boathook.TargetType `json:"type"`
	URL            string              `json:"url,omitempty"`
	Headers        map[string]string   `json:"headers,omitempty"`
	FunctionARN    string              `json:"function_arn,omitempty"`
	RuntimeARN     string              `json:"runtime_arn,omitempty"`
	Argv           []string            `json:"argv,omitempty"`
	TimeoutSeconds int                 `json:"timeout_seconds,omitempty"`
}

func (it versionItem) version() boathook.Version {
	return boathook.Version{
		ID: it.ID, SourceID: it.SourceID, WorkspaceID: it.WorkspaceID, Number: it.Number, Environment: it.Environment,
		Target: boathook.Target(it.Target), CreatedAt: it.CreatedAt, SealedHeaders: it.SealedHeaders,
	}
}

// AddVersion implements [store.Sources].
func (s *Store) AddVersion(_ context.Context, v boathook.Version) (boathook.Version, error) {
	if err := store.CheckIDs(v.SourceID, v.ID); err != nil {
		return boathook.Version{}, err
	}
	return write(s, func(tx *database.Tx) (boathook.Version, error) {
		if _, err := tx.First(func(row database.Row) error { v.Number = int(row.Int(0)) + 1; return nil },
			"SELECT coalesce(max(number), 0) FROM versions WHERE source_id = ?", v.SourceID); err != nil {
			return v, err
		}
		v.CreatedAt = stored(v.CreatedAt)
		item := versionItem{
			v.ID, v.SourceID, v.WorkspaceID, v.Number, v.Environment, targetItem(v.Target), v.CreatedAt, v.SealedHeaders,
		}
		if err := tx.Exec("INSERT INTO versions (source_id, id, number, item) VALUES (?, ?, ?, ?)", v.SourceID, v.ID, v.Number, encode(item)); err != nil {
			return v, err
		}
		return v, activate(tx, v, v.Environment)
	})
}

// Activate implements [store.Sources].
func (s *Store) Activate(_ context.Context, v boathook.Version, env boathook.Environment) error {
	if err := store.CheckIDs(v.SourceID, v.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error { return activate(tx, v, env) })
}

func activate(tx *database.Tx, v boathook.Version, env boathook.Environment) error {
	return tx.Exec("INSERT OR REPLACE INTO live (source_id, environment, version_id, number) VALUES (?, ?, ?, ?)", v.SourceID, string(env), v.ID, v.Number)
}

// Live implements [store.Sources].
func (s *Store) Live(_ context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error) {
	return read(s, func(tx *database.Tx) (map[boathook.Environment]boathook.LiveVersion, error) {
		return live(tx, sourceID)
	})
}

func live(tx *database.Tx, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error) {
	versions := make(map[boathook.Environment]boathook.LiveVersion)
	for row, err := range tx.Query("SELECT environment, version_id, number FROM live WHERE source_id = ?", sourceID) {
		if err != nil {
			return nil, err
		}
		versions[boathook.Environment(row.Text(0))] = boathook.LiveVersion{ID: row.Text(1), Number: int(row.Int(2))}
	}
	return versions, nil
}

// Version implements [store.Sources].
func (s *Store) Version(_ context.Context, sourceID, id string) (boathook.Version, error) {
	return one(s, "version", versionItem.version, "SELECT item FROM versions WHERE source_id = ? AND id = ?", sourceID, id)
}

// Versions implements [store.Sources].
func (s *Store) Versions(_ context.Context, sourceID string, p boathook.Page) ([]boathook.Version, string, error) {
	return list(s, p, versionItem.version,
		"SELECT number, id, item FROM versions WHERE source_id = ? AND (number, id) < (?, ?) ORDER BY number DESC, id DESC", sourceID)
}
