package dynamo

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// sourceItem is a source, to be listed or by its id.
type sourceItem struct {
	Revision    int                 `dynamodbav:"Revision"`
	ID          string              `dynamodbav:"ID"`
	WorkspaceID string              `dynamodbav:"WorkspaceID"`
	Kind        boathook.SourceKind `dynamodbav:"Kind"`
	Owner       string              `dynamodbav:"Owner"`
	Name        string              `dynamodbav:"Name"`
	CreatedAt   time.Time           `dynamodbav:"CreatedAt"`
	Agent       *agentItem          `dynamodbav:"Agent"`
	App         *appItem            `dynamodbav:"App"`
	Customer    *customerItem       `dynamodbav:"Customer,omitempty"`
	Feed        *settingsItem       `dynamodbav:"Feed,omitempty"`
	Deployment  *deploymentItem     `dynamodbav:"Deployment,omitempty"`
}

// deploymentItem are settings that a deployment may have.
type deploymentItem struct {
	RetryMax     int           `dynamodbav:"RetryMax,omitempty"`
	RetryBackoff time.Duration `dynamodbav:"RetryBackoff,omitempty"`
	MaxInFlight  int           `dynamodbav:"MaxInFlight,omitempty"`
}

func newDeploymentItem(d *boathook.DeploymentSettings) *deploymentItem {
	if d == nil {
		return nil
	}
	return &deploymentItem{d.Retry.Max, d.Retry.Backoff, d.MaxInFlight}
}

func (it *deploymentItem) settings() *boathook.DeploymentSettings {
	if it == nil {
		return nil
	}
	return &boathook.DeploymentSettings{Retry: boathook.RunRetries{Max: it.RetryMax, Backoff: it.RetryBackoff}, MaxInFlight: it.MaxInFlight}
}

type agentItem struct {
	CrewID           string           `dynamodbav:"CrewID"`
	Slug             string           `dynamodbav:"Slug"`
	RequireTimestamp bool             `dynamodbav:"RequireTimestamp"`
	KeepPlainSecret  bool             `dynamodbav:"KeepPlainSecret"`
	RatePerMinute    int              `dynamodbav:"RatePerMinute"`
	MaxInFlight      int              `dynamodbav:"MaxInFlight"`
	DedupeSeconds    int              `dynamodbav:"DedupeSeconds"`
	FencePayload     bool             `dynamodbav:"FencePayload"`
	Verification     verificationItem `dynamodbav:"Verification"`
	SealedSecret     []byte           `dynamodbav:"SealedSecret"`
}

type appItem struct {
	Type      boathook.AppType `dynamodbav:"Type"`
	UpdatedAt time.Time        `dynamodbav:"UpdatedAt"`
}

type customerItem struct {
	ExternalID string            `dynamodbav:"ExternalID"`
	Metadata   map[string]string `dynamodbav:"Metadata"`
	UpdatedAt  time.Time         `dynamodbav:"UpdatedAt"`
}

func newSourceItem(s boathook.Source) sourceItem {
	it := sourceItem{
		Revision: s.Revision, ID: s.ID, WorkspaceID: s.WorkspaceID, Kind: s.Kind, Owner: s.Owner, Name: s.Name, CreatedAt: s.CreatedAt,
		App: (*appItem)(s.App), Customer: (*customerItem)(s.Customer), Deployment: newDeploymentItem(s.Deployment), Feed: (*settingsItem)(s.Feed),
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
		App: (*boathook.AppSettings)(it.App), Customer: (*boathook.CustomerSettings)(it.Customer), Deployment: it.Deployment.settings(), Feed: (*boathook.FeedSettings)(it.Feed),
	}
	if a := it.Agent; a != nil {
		s.Agent = &boathook.AgentSettings{
			CrewID: a.CrewID, Slug: a.Slug, RequireTimestamp: a.RequireTimestamp, KeepPlainSecret: a.KeepPlainSecret,
			RatePerMinute: a.RatePerMinute, MaxInFlight: a.MaxInFlight, DedupeSeconds: a.DedupeSeconds, FencePayload: a.FencePayload,
			Verification: boathook.Verification(a.Verification), SealedSecret: a.SealedSecret,
		}
	}
	return s
}

// PutSource implements [store.Sources]. A new source is listed first, so that
// whatever exists can be found and deleted. Of one that is changed the entry in
// the list follows, also when the call is repeated that a death has broken off.
func (s *Store) PutSource(ctx context.Context, src boathook.Source) error {
	read := src.Revision
	src.Revision++
	object := newSourceItem(src)
	it, err := encodeAt(sourceKey(src.ID), object)
	if err != nil {
		return fmt.Errorf("put source %s: %w", src.ID, err)
	}
	steps := []func() error{
		func() error {
			return s.put(ctx, listedSourceKey(src.WorkspaceID, src.ID), sourcePlace(src), object)
		},
		func() error {
			err := s.putRevision(ctx, it, read)
			if !boathook.IsKind(err, boathook.Conflict) {
				return err
			}
			if stored, readErr := s.read(ctx, s.config.ConfigTable, sourceKey(src.ID), true); readErr != nil || !reflect.DeepEqual(stored, it) {
				return err
			}
			return nil
		},
	}
	if read > 0 {
		slices.Reverse(steps)
	}
	if src.Kind == boathook.Deployment && (read > 0 || src.DeploymentSettings().MaxInFlight > 0) {
		steps = append(steps, func() error { return s.putMaxInFlight(ctx, src) })
	}
	if src.Agent != nil || src.Customer != nil {
		if steps, err = s.withName(ctx, src, steps); err != nil {
			return fmt.Errorf("put source %s: %w", src.ID, err)
		}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("put source %s: %w", src.ID, err)
		}
	}
	return nil
}

// putMaxInFlight keeps a deployment's limit beside what is live, where triggers see it
// without another read. Of two changes that are made at once the later one stays.
func (s *Store) putMaxInFlight(ctx context.Context, src boathook.Source) error {
	limit := src.DeploymentSettings().MaxInFlight
	values := item{":ws": str(src.WorkspaceID), ":revision": num(int64(src.Revision))}
	change := "SET WorkspaceID = :ws, LimitRevision = :revision REMOVE MaxInFlight"
	if limit > 0 {
		change = "SET WorkspaceID = :ws, LimitRevision = :revision, MaxInFlight = :limit"
		values[":limit"] = num(int64(limit))
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.ConfigTable, Key: liveKey(src.ID).item(), UpdateExpression: &change, ExpressionAttributeValues: values,
		ConditionExpression: aws.String("attribute_not_exists(LimitRevision) OR LimitRevision <= :revision"),
	})
	if _, later := errors.AsType[*types.ConditionalCheckFailedException](err); later {
		return nil
	}
	return err
}

// withName adds to the steps that put a source of a kind that has names: first it
// takes its name, and last it gives up the one before.
func (s *Store) withName(ctx context.Context, src boathook.Source, steps []func() error) ([]func() error, error) {
	before, err := s.source(ctx, src.ID)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return nil, err
	}
	name, named := nameKey(src)
	if named {
		steps = slices.Insert(steps, 0, func() error { return s.takeName(ctx, src, name) })
	}
	if old, had := nameKey(before); had && old != name {
		steps = append(steps, func() error { return s.freeName(ctx, before) })
	}
	return steps, nil
}

// Source implements [store.Sources].
func (s *Store) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	src, err := s.source(ctx, id)
	if err == nil && src.WorkspaceID != workspaceID {
		return boathook.Source{}, notFound("source " + id)
	}
	return src, err
}

// source is a source of whichever workspace.
func (s *Store) source(ctx context.Context, id string) (boathook.Source, error) {
	it, err := fetch[sourceItem](ctx, s, "source "+id, sourceKey(id), true)
	return it.source(), err
}

// Sources implements [store.Sources].
func (s *Store) Sources(ctx context.Context, workspaceID string, kind boathook.SourceKind, p boathook.Page) ([]boathook.Source, string, error) {
	sources, next, err := listed(ctx, s, workspaceKey(workspaceID), sourcePlaces(kind), p, sourceItem.source)
	if err != nil {
		return nil, "", fmt.Errorf("list sources of %s: %w", workspaceID, err)
	}
	return sources, next, nil
}

// CrewAgents implements [store.Sources].
func (s *Store) CrewAgents(ctx context.Context, workspaceID, crewID string, p boathook.Page) ([]boathook.Source, string, error) {
	if !boathook.IsID(crewID) {
		return nil, "", nil // a place may begin in many ways
	}
	agents, next, err := listed(ctx, s, workspaceKey(workspaceID), agentPlaces(crewID), p, sourceItem.source)
	if err != nil {
		return nil, "", fmt.Errorf("list agents of %s: %w", crewID, err)
	}
	return agents, next, nil
}

// Agents implements [store.Sources].
func (s *Store) Agents(ctx context.Context, workspaceID string, limit int) ([]boathook.Source, error) {
	agents, _, err := listed(ctx, s, workspaceKey(workspaceID), sourcePlaces(boathook.Agent), boathook.Page{Limit: limit}, sourceItem.source)
	if err != nil {
		return nil, fmt.Errorf("list agents of %s: %w", workspaceID, err)
	}
	return agents, nil
}

// DeleteSource implements [store.Sources].
func (s *Store) DeleteSource(ctx context.Context, workspaceID, id string) error {
	existed, err := s.deleteSource(ctx, workspaceID, id)
	if err != nil {
		return fmt.Errorf("delete source %s: %w", id, err)
	}
	if !existed {
		return notFound("source " + id)
	}
	return nil
}

func (s *Store) deleteSource(ctx context.Context, workspaceID, id string) (existed bool, err error) {
	own := item{":ws": str(workspaceID)}
	var deleted item
	// Triggers look at what is live, not at the source. Absent, a source may be
	// one whose deletion failed half-way; another workspace's, it has nothing
	// below it that is found here.
	for _, first := range []key{liveKey(id), sourceKey(id)} {
		out, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.config.ConfigTable, Key: first.item(), ReturnValues: types.ReturnValueAllOld,
			ConditionExpression: aws.String("WorkspaceID = :ws"), ExpressionAttributeValues: own,
		})
		_, failed := errors.AsType[*types.ConditionalCheckFailedException](err)
		if err != nil && !failed {
			return false, err
		}
		if existed = !failed; existed {
			deleted = out.Attributes
		}
	}
	if existed {
		// A crash before this leaves the name to nobody, and so free.
		it, err := decode[sourceItem](deleted)
		if err == nil {
			err = s.freeName(ctx, it.source())
		}
		if err != nil {
			return existed, err
		}
	}

	var below []types.WriteRequest
	own[":pk"] = str(sourceKey(id).PK)
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.ConfigTable, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), FilterExpression: aws.String("WorkspaceID = :ws"),
		ExpressionAttributeValues: own, ProjectionExpression: aws.String("pk, sk"),
	}) {
		if err != nil {
			return existed, err
		}
		below = append(below, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: it}})
	}
	if err := s.writeBatch(ctx, s.config.ConfigTable, below); err != nil {
		return existed, err
	}
	listed, err := s.remove(ctx, listedSourceKey(workspaceID, id))
	return existed || listed || len(below) > 0, err
}

// liveItem is what is live of a source, and how many versions it has had. It
// is there from the first version on, or from the first change of a deployment.
type liveItem struct {
	WorkspaceID string           `dynamodbav:"WorkspaceID"`
	Versions    int              `dynamodbav:"Versions"`
	Production  *liveVersionItem `dynamodbav:"Production"`
	Staging     *liveVersionItem `dynamodbav:"Staging"`

	MaxInFlight   int `dynamodbav:"MaxInFlight,omitempty"`   // of a deployment that has one
	LimitRevision int `dynamodbav:"LimitRevision,omitempty"` // the deployment's, of this limit
}

type liveVersionItem struct {
	ID     string `dynamodbav:"ID"`
	Number int    `dynamodbav:"Number"`
}

// liveAttributes are the liveItem's attributes by environment.
var liveAttributes = map[boathook.Environment]string{
	boathook.Production: "Production",
	boathook.Staging:    "Staging",
}

func (l liveItem) live() map[boathook.Environment]boathook.LiveVersion {
	live := make(map[boathook.Environment]boathook.LiveVersion)
	if l.Production != nil {
		live[boathook.Production] = boathook.LiveVersion(*l.Production)
	}
	if l.Staging != nil {
		live[boathook.Staging] = boathook.LiveVersion(*l.Staging)
	}
	return live
}

// versionItem is a version.
type versionItem struct {
	ID            string               `dynamodbav:"ID"`
	SourceID      string               `dynamodbav:"SourceID"`
	WorkspaceID   string               `dynamodbav:"WorkspaceID"`
	Number        int                  `dynamodbav:"Number"`
	Environment   boathook.Environment `dynamodbav:"Environment"`
	Target        targetItem           `dynamodbav:"Target"`
	CreatedAt     time.Time            `dynamodbav:"CreatedAt"`
	SealedHeaders []byte               `dynamodbav:"SealedHeaders"`
}

type targetItem struct {
	Type           boathook.TargetType `dynamodbav:"Type"`
	URL            string              `dynamodbav:"URL"`
	Headers        map[string]string   `dynamodbav:"Headers"`
	FunctionARN    string              `dynamodbav:"FunctionARN"`
	RuntimeARN     string              `dynamodbav:"RuntimeARN"`
	Argv           []string            `dynamodbav:"Argv"`
	TimeoutSeconds int                 `dynamodbav:"TimeoutSeconds"`
}

func newVersionItem(v boathook.Version) versionItem {
	return versionItem{
		ID: v.ID, SourceID: v.SourceID, WorkspaceID: v.WorkspaceID, Number: v.Number, Environment: v.Environment,
		Target: targetItem(v.Target), CreatedAt: v.CreatedAt, SealedHeaders: v.SealedHeaders,
	}
}

func (it versionItem) version() boathook.Version {
	return boathook.Version{
		ID: it.ID, SourceID: it.SourceID, WorkspaceID: it.WorkspaceID, Number: it.Number, Environment: it.Environment,
		Target: boathook.Target(it.Target), CreatedAt: it.CreatedAt, SealedHeaders: it.SealedHeaders,
	}
}

// AddVersion implements [store.Sources].
func (s *Store) AddVersion(ctx context.Context, v boathook.Version) (boathook.Version, error) {
	counted, err := s.updateLive(ctx, v, "SET WorkspaceID = :ws ADD Versions :one", map[string]any{":one": 1})
	if err == nil {
		v.Number = counted.Versions
		err = s.put(ctx, versionKey(v.SourceID, v.ID), versionPlaces+numbered(int64(v.Number), v.ID), newVersionItem(v))
	}
	if err == nil {
		err = s.Activate(ctx, v, v.Environment)
	}
	if err != nil {
		return boathook.Version{}, fmt.Errorf("add version %s: %w", v.ID, err)
	}
	return v, nil
}

// Activate implements [store.Sources].
func (s *Store) Activate(ctx context.Context, v boathook.Version, env boathook.Environment) error {
	attribute, ok := liveAttributes[env]
	if !ok {
		return boathook.InvalidField("environment", "not an environment: %q", env)
	}
	_, err := s.updateLive(ctx, v, "SET WorkspaceID = :ws, "+attribute+" = :live", map[string]any{
		":live": liveVersionItem{v.ID, v.Number},
	})
	if err != nil {
		return fmt.Errorf("activate version %s: %w", v.ID, err)
	}
	return nil
}

func (s *Store) updateLive(ctx context.Context, v boathook.Version, change string, values map[string]any) (live liveItem, err error) {
	if versionKey(v.SourceID, v.ID).isNone() {
		return live, store.ErrNoID
	}
	values[":ws"] = v.WorkspaceID
	attrs, err := encode(values)
	if err != nil {
		return live, err
	}
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.ConfigTable, Key: liveKey(v.SourceID).item(),
		UpdateExpression: &change, ExpressionAttributeValues: attrs, ReturnValues: types.ReturnValueAllNew,
	})
	if err != nil {
		return live, err
	}
	return decode[liveItem](out.Attributes)
}

// Live implements [store.Sources].
func (s *Store) Live(ctx context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error) {
	live, err := fetch[liveItem](ctx, s, "what is live of "+sourceID, liveKey(sourceID), true)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return nil, err
	}
	return live.live(), nil
}

// Version implements [store.Sources].
func (s *Store) Version(ctx context.Context, sourceID, id string) (boathook.Version, error) {
	it, err := fetch[versionItem](ctx, s, "version "+id, versionKey(sourceID, id), true)
	return it.version(), err
}

// Versions implements [store.Sources].
func (s *Store) Versions(ctx context.Context, sourceID string, p boathook.Page) ([]boathook.Version, string, error) {
	versions, next, err := listed(ctx, s, sourceKey(sourceID), versionPlaces, p, versionItem.version)
	if err != nil {
		return nil, "", fmt.Errorf("list versions of %s: %w", sourceID, err)
	}
	return versions, next, nil
}
