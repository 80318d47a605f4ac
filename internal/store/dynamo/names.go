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

// nameItem says which source has a name that no other may have, or is about to. It
// counts while the source has the name indeed, and for [nameGrace] after it was taken.
type nameItem struct {
	SourceID string    `dynamodbav:"AgentID"` // agents were the first that had such names
	TakenAt  time.Time `dynamodbav:"TakenAt"`
}

// nameGrace is longer than the writes take that follow the taking of a name. After
// it, a name that a crash has left to a source which does not have it is free.
const nameGrace = time.Minute

// nameTaken is the error of a source whose name is another's.
func nameTaken(s boathook.Source) error {
	if s.Customer != nil {
		return &boathook.Error{Kind: boathook.Conflict, Field: "external_id", Message: "another customer has it"}
	}
	return &boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}
}

// takeName makes a name a source's own, before the source has it.
func (s *Store) takeName(ctx context.Context, src boathook.Source, k key) error {
	it, err := encodeAt(k, nameItem{src.ID, s.config.Now()})
	if err != nil {
		return err
	}
	when, values := "attribute_not_exists(pk) OR AgentID = :source", item{":source": str(src.ID)}
	for {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.config.ConfigTable, Item: it, ConditionExpression: &when, ExpressionAttributeValues: values,
		})
		if _, taken := errors.AsType[*types.ConditionalCheckFailedException](err); !taken {
			return err
		}
		name, holder, err := s.nameHolder(ctx, k)
		if err != nil {
			return err
		}
		if name.SourceID == "" {
			continue // it was given up meanwhile
		}
		if holder != nil || s.config.Now().Before(name.TakenAt.Add(nameGrace)) {
			return nameTaken(src)
		}
		when = "attribute_not_exists(pk) OR AgentID = :source AND TakenAt = :at"
		values = item{":source": str(name.SourceID), ":at": num(name.TakenAt.UnixMilli())}
	}
}

// nameHolder is who took a name, and the source that has it; nil if that one has
// not. Both are zero if nobody took it.
func (s *Store) nameHolder(ctx context.Context, k key) (name nameItem, holder *boathook.Source, err error) {
	it, err := s.read(ctx, s.config.ConfigTable, k, true)
	if err != nil || it == nil {
		return name, nil, err
	}
	if name, err = decode[nameItem](it); err != nil {
		return name, nil, err
	}
	src, err := s.source(ctx, name.SourceID)
	if boathook.IsKind(err, boathook.NotFound) {
		return name, nil, nil
	}
	if has, _ := nameKey(src); err != nil || has != k {
		return name, nil, err
	}
	return name, &src, nil
}

// freeName gives up the name that a source has no longer, if it had one.
func (s *Store) freeName(ctx context.Context, src boathook.Source) error {
	k, named := nameKey(src)
	if !named {
		return nil
	}
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.ConfigTable, Key: k.item(),
		ConditionExpression: aws.String("AgentID = :source"), ExpressionAttributeValues: item{":source": str(src.ID)},
	})
	if _, others := errors.AsType[*types.ConditionalCheckFailedException](err); others {
		return nil
	}
	return err
}

// AgentBySlug implements [store.Sources].
func (s *Store) AgentBySlug(ctx context.Context, workspaceID, crewID, slug string) (string, error) {
	_, agent, err := s.nameHolder(ctx, slugKey(workspaceID, crewID, slug))
	if err != nil {
		return "", fmt.Errorf("look for an agent %q of %s: %w", slug, crewID, err)
	}
	if agent == nil {
		return "", notFound("agent")
	}
	return agent.ID, nil
}

// CustomerByExternalID implements [store.Sources].
func (s *Store) CustomerByExternalID(ctx context.Context, workspaceID, externalID string) (boathook.Source, error) {
	_, customer, err := s.nameHolder(ctx, externalKey(workspaceID, externalID))
	if err != nil {
		return boathook.Source{}, fmt.Errorf("look for a customer by its external id: %w", err)
	}
	if customer == nil {
		return boathook.Source{}, notFound("customer")
	}
	return *customer, nil
}
