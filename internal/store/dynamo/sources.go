package dynamo

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// PutSource implements [store.Sources]. A new source is listed first, so that
// whatever exists can be found and deleted. Of one that is changed the entry in
// the list follows, also when the call is repeated that a death has broken off.
func (s *Store) PutSource(ctx context.Context, src boathook.Source) error {
	read := src.Revision
	src.Revision++
	it, err := encodeAt(sourceKey(src.ID), src)
	if err != nil {
		return fmt.Errorf("put source %s: %w", src.ID, err)
	}
	steps := []func() error{
		func() error {
			return s.put(ctx, listedSourceKey(src.WorkspaceID, src.ID), sourcePlace(src), src)
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
	if src.Agent != nil {
		if steps, err = s.withSlug(ctx, src, steps); err != nil {
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

// withSlug adds to the steps that put an agent: first it takes its slug, and last
// it gives up the one before.
func (s *Store) withSlug(ctx context.Context, agent boathook.Source, steps []func() error) ([]func() error, error) {
	before, err := fetch[boathook.Source](ctx, s, "source "+agent.ID, sourceKey(agent.ID), true)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return nil, err
	}
	steps = slices.Insert(steps, 0, func() error { return s.takeSlug(ctx, agent) })
	if before.Agent != nil && before.Agent.Slug != agent.Agent.Slug {
		steps = append(steps, func() error { return s.freeSlug(ctx, before) })
	}
	return steps, nil
}

// Source implements [store.Sources].
func (s *Store) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	src, err := fetch[boathook.Source](ctx, s, "source "+id, sourceKey(id), true)
	if err == nil && src.WorkspaceID != workspaceID {
		return boathook.Source{}, notFound("source " + id)
	}
	return src, err
}

// Sources implements [store.Sources].
func (s *Store) Sources(ctx context.Context, workspaceID string, kind boathook.SourceKind, p store.Page) ([]boathook.Source, string, error) {
	sources, next, err := page[boathook.Source](ctx, s, p, isPosition, nil, []list{{
		table: s.config.ConfigTable, consistent: true, index: byPlace, partition: workspaceKey(workspaceID).PK, prefix: sourcePlaces(kind),
	}})
	if err != nil {
		return nil, "", fmt.Errorf("list sources of %s: %w", workspaceID, err)
	}
	return sources, next, nil
}

// CrewAgents implements [store.Sources].
func (s *Store) CrewAgents(ctx context.Context, workspaceID, crewID string, p store.Page) ([]boathook.Source, string, error) {
	if !boathook.IsID(crewID) {
		return nil, "", nil // a place may begin in many ways
	}
	agents, next, err := page[boathook.Source](ctx, s, p, isPosition, nil, []list{{
		table: s.config.ConfigTable, consistent: true, index: byPlace, partition: workspaceKey(workspaceID).PK, prefix: agentPlaces(crewID),
	}})
	if err != nil {
		return nil, "", fmt.Errorf("list agents of %s: %w", crewID, err)
	}
	return agents, next, nil
}

// Agents implements [store.Sources].
func (s *Store) Agents(ctx context.Context, workspaceID string, limit int) ([]boathook.Source, error) {
	agents, _, err := page[boathook.Source](ctx, s, store.Page{Limit: limit}, isPosition, nil, []list{{
		table: s.config.ConfigTable, consistent: true, index: byPlace, partition: workspaceKey(workspaceID).PK, prefix: sourcePlaces(boathook.Agent),
	}})
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
		// A crash before this leaves the slug to nobody, and so free.
		source, err := decode[boathook.Source](deleted)
		if err == nil && source.Agent != nil {
			err = s.freeSlug(ctx, source)
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
// is there from the first version on.
type liveItem struct {
	WorkspaceID string
	Versions    int
	Production  *boathook.LiveVersion
	Staging     *boathook.LiveVersion
}

// liveAttributes are the liveItem's attributes by environment.
var liveAttributes = map[boathook.Environment]string{
	boathook.Production: "Production",
	boathook.Staging:    "Staging",
}

func (l liveItem) live() map[boathook.Environment]boathook.LiveVersion {
	live := make(map[boathook.Environment]boathook.LiveVersion)
	if l.Production != nil {
		live[boathook.Production] = *l.Production
	}
	if l.Staging != nil {
		live[boathook.Staging] = *l.Staging
	}
	return live
}

// AddVersion implements [store.Sources].
func (s *Store) AddVersion(ctx context.Context, v boathook.Version) (boathook.Version, error) {
	counted, err := s.updateLive(ctx, v, "SET WorkspaceID = :ws ADD Versions :one", map[string]any{":one": 1})
	if err == nil {
		v.Number = counted.Versions
		err = s.put(ctx, versionKey(v.SourceID, v.ID), versionPlaces+numbered(int64(v.Number), v.ID), v)
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
		":live": boathook.LiveVersion{ID: v.ID, Number: v.Number},
	})
	if err != nil {
		return fmt.Errorf("activate version %s: %w", v.ID, err)
	}
	return nil
}

func (s *Store) updateLive(ctx context.Context, v boathook.Version, change string, values map[string]any) (live liveItem, err error) {
	if versionKey(v.SourceID, v.ID).isNone() {
		return live, errNoID
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
	return fetch[boathook.Version](ctx, s, "version "+id, versionKey(sourceID, id), true)
}

// Versions implements [store.Sources].
func (s *Store) Versions(ctx context.Context, sourceID string, p store.Page) ([]boathook.Version, string, error) {
	versions, next, err := page[boathook.Version](ctx, s, p, isPosition, nil, []list{{
		table: s.config.ConfigTable, consistent: true, index: byPlace, partition: sourceKey(sourceID).PK, prefix: versionPlaces,
	}})
	if err != nil {
		return nil, "", fmt.Errorf("list versions of %s: %w", sourceID, err)
	}
	return versions, next, nil
}
