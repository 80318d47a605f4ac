package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
)

// slugItem says which agent of a crew has a slug, or is about to. It counts while
// the agent has the slug indeed, and for [slugGrace] after it was taken.
type slugItem struct {
	AgentID string    `dynamodbav:"AgentID"`
	TakenAt time.Time `dynamodbav:"TakenAt"`
}

// slugGrace is longer than the writes take that follow the taking of a slug. After
// it, a slug that a crash has left to an agent which does not have it is free.
const slugGrace = time.Minute

var errSlugTaken = &boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}

// takeSlug makes an agent's slug its own, before the agent has it.
func (s *Store) takeSlug(ctx context.Context, agent boathook.Source) error {
	k := slugKey(agent.WorkspaceID, agent.Agent.CrewID, agent.Agent.Slug)
	it, err := encodeAt(k, slugItem{agent.ID, s.config.Now()})
	if err != nil {
		return err
	}
	when, values := "attribute_not_exists(pk) OR AgentID = :agent", item{":agent": str(agent.ID)}
	for {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.config.ConfigTable, Item: it, ConditionExpression: &when, ExpressionAttributeValues: values,
		})
		if _, taken := errors.AsType[*types.ConditionalCheckFailedException](err); !taken {
			return err
		}
		holder, has, err := s.slugHolder(ctx, k, agent.Agent.CrewID, agent.Agent.Slug)
		if err != nil {
			return err
		}
		if holder.AgentID == "" {
			continue // it was given up meanwhile
		}
		if has || s.config.Now().Before(holder.TakenAt.Add(slugGrace)) {
			return errSlugTaken
		}
		when = "attribute_not_exists(pk) OR AgentID = :agent AND TakenAt = :at"
		values = item{":agent": str(holder.AgentID), ":at": num(holder.TakenAt.UnixMilli())}
	}
}

// slugHolder is who took a slug, and whether that agent has it. It is the zero one
// if nobody did.
func (s *Store) slugHolder(ctx context.Context, k key, crewID, slug string) (holder slugItem, has bool, err error) {
	it, err := s.read(ctx, s.config.ConfigTable, k, true)
	if err != nil || it == nil {
		return holder, false, err
	}
	if holder, err = decode[slugItem](it); err != nil {
		return holder, false, err
	}
	agent, err := s.source(ctx, holder.AgentID)
	if boathook.IsKind(err, boathook.NotFound) {
		return holder, false, nil
	}
	return holder, err == nil && agent.Agent != nil && agent.Agent.CrewID == crewID && agent.Agent.Slug == slug, err
}

// freeSlug gives up a slug that an agent has no longer.
func (s *Store) freeSlug(ctx context.Context, agent boathook.Source) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.ConfigTable, Key: slugKey(agent.WorkspaceID, agent.Agent.CrewID, agent.Agent.Slug).item(),
		ConditionExpression: aws.String("AgentID = :agent"), ExpressionAttributeValues: item{":agent": str(agent.ID)},
	})
	if _, others := errors.AsType[*types.ConditionalCheckFailedException](err); others {
		return nil
	}
	return err
}

// AgentBySlug implements [store.Sources].
func (s *Store) AgentBySlug(ctx context.Context, workspaceID, crewID, slug string) (string, error) {
	holder, has, err := s.slugHolder(ctx, slugKey(workspaceID, crewID, slug), crewID, slug)
	if err != nil {
		return "", fmt.Errorf("look for an agent %q of %s: %w", slug, crewID, err)
	}
	if !has {
		return "", notFound("agent")
	}
	return holder.AgentID, nil
}
