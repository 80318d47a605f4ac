package dynamo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
)

// workspaceItem is a workspace.
type workspaceItem struct {
	ID        string      `dynamodbav:"ID"`
	Name      string      `dynamodbav:"Name"`
	DataKey   []byte      `dynamodbav:"DataKey"`
	CreatedAt time.Time   `dynamodbav:"CreatedAt"`
	Portal    *portalItem `dynamodbav:"Portal,omitempty"`
}

// portalItem has the settings of a workspace's portals.
type portalItem struct {
	Name         string   `dynamodbav:"n,omitempty"`
	Accent       string   `dynamodbav:"a,omitempty"`
	AccentDark   string   `dynamodbav:"d,omitempty"`
	FrameOrigins []string `dynamodbav:"f,omitempty"`
}

func newWorkspaceItem(w boathook.Workspace) workspaceItem {
	it := workspaceItem{ID: w.ID, Name: w.Name, DataKey: w.DataKey, CreatedAt: w.CreatedAt}
	if !w.Portal.IsZero() {
		it.Portal = (*portalItem)(&w.Portal)
	}
	return it
}

func (it workspaceItem) workspace() boathook.Workspace {
	w := boathook.Workspace{ID: it.ID, Name: it.Name, DataKey: it.DataKey, CreatedAt: it.CreatedAt}
	if it.Portal != nil {
		w.Portal = boathook.PortalSettings(*it.Portal)
	}
	return w
}

// tokenItem is a token, to be listed or to be found.
type tokenItem struct {
	ID          string            `dynamodbav:"ID"`
	WorkspaceID string            `dynamodbav:"WorkspaceID"`
	Name        string            `dynamodbav:"Name"`
	Role        boathook.Role     `dynamodbav:"Role"`
	Hash        [sha256.Size]byte `dynamodbav:"Hash"`
	CreatedAt   time.Time         `dynamodbav:"CreatedAt"`
}

func (it tokenItem) token() boathook.Token { return boathook.Token(it) }

// listedWorkspaceItem says where a workspace stands in the list of all.
type listedWorkspaceItem struct {
	ID string `dynamodbav:"ID"`
}

// PutWorkspace implements [store.Workspaces]. It is listed before it is there, so
// that none is there that can't be found; the list leaves out what is not there.
func (s *Store) PutWorkspace(ctx context.Context, w boathook.Workspace) error {
	it, err := encodeAt(workspaceKey(w.ID), newWorkspaceItem(w))
	if err == nil {
		err = s.put(ctx, listedWorkspaceKey(w.ID), workspacePlaces+position(w.CreatedAt, w.ID), listedWorkspaceItem{w.ID})
	}
	if err != nil {
		return fmt.Errorf("put workspace %s: %w", w.ID, err)
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.config.ConfigTable, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	if _, taken := errors.AsType[*types.ConditionalCheckFailedException](err); taken {
		return boathook.Errorf(boathook.Conflict, "workspace %s exists", w.ID)
	}
	if err != nil {
		return fmt.Errorf("put workspace %s: %w", w.ID, err)
	}
	return nil
}

// Workspace implements [store.Workspaces].
func (s *Store) Workspace(ctx context.Context, id string) (boathook.Workspace, error) {
	it, err := fetch[workspaceItem](ctx, s, "workspace "+id, workspaceKey(id), true)
	return it.workspace(), err
}

// PutPortal implements [store.Workspaces].
func (s *Store) PutPortal(ctx context.Context, workspaceID string, p boathook.PortalSettings) error {
	values, err := encode(map[string]any{":portal": portalItem(p)})
	if err != nil {
		return err
	}
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.ConfigTable, Key: workspaceKey(workspaceID).item(),
		UpdateExpression: aws.String("SET Portal = :portal"), ConditionExpression: aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: values, ReturnValues: types.ReturnValueNone,
	})
	if _, absent := errors.AsType[*types.ConditionalCheckFailedException](err); absent {
		return notFound("workspace " + workspaceID)
	}
	if err != nil {
		return fmt.Errorf("put the portal settings of workspace %s: %w", workspaceID, err)
	}
	return nil
}

// Workspaces implements [store.Workspaces].
func (s *Store) Workspaces(ctx context.Context, p boathook.Page) ([]boathook.Workspace, string, error) {
	keys, next, err := listed(ctx, s, key{PK: workspacesPartition}, workspacePlaces, p, func(it listedWorkspaceItem) tableKey {
		return s.configKey(workspaceKey(it.ID))
	})
	if err != nil {
		return nil, "", fmt.Errorf("list workspaces: %w", err)
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, "", fmt.Errorf("read workspaces: %w", err)
	}
	var workspaces []boathook.Workspace
	for _, k := range keys {
		it, ok := found[k.key]
		if !ok {
			continue
		}
		w, err := decode[workspaceItem](it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		workspaces = append(workspaces, w.workspace())
	}
	return workspaces, next, nil
}

// DeleteWorkspace implements [store.Workspaces]. What is listed in the workspace's
// partition are its sources and tokens: a slug that a deletion has left has no place.
func (s *Store) DeleteWorkspace(ctx context.Context, id string) error {
	contents := list{table: s.config.ConfigTable, consistent: true, index: byPlace, partition: workspaceKey(id).PK}
	for _, err := range s.items(ctx, contents.query("", 1)) {
		if err != nil {
			return fmt.Errorf("look into workspace %s: %w", id, err)
		}
		return boathook.Errorf(boathook.Conflict, "workspace %s is not empty", id)
	}
	existed, err := s.remove(ctx, workspaceKey(id))
	listed := false
	if err == nil {
		err = s.deleteEventTypes(ctx, id)
	}
	if err == nil {
		listed, err = s.remove(ctx, listedWorkspaceKey(id))
	}
	if err != nil {
		return fmt.Errorf("delete workspace %s: %w", id, err)
	}
	if !existed && !listed {
		return notFound("workspace " + id)
	}
	return nil
}

// PutToken implements [store.Tokens]. The token is listed before it opens
// anything, so that none is good that can't be revoked.
func (s *Store) PutToken(ctx context.Context, t boathook.Token) error {
	err := s.put(ctx, listedTokenKey(t.WorkspaceID, t.ID), tokenPlaces+position(t.CreatedAt, t.ID), tokenItem(t))
	if err == nil {
		err = s.put(ctx, tokenKey(t.Hash), "", tokenItem(t))
	}
	if err != nil {
		return fmt.Errorf("put token %s: %w", t.ID, err)
	}
	return nil
}

// TokenByHash implements [store.Tokens].
func (s *Store) TokenByHash(ctx context.Context, hash [sha256.Size]byte) (boathook.Token, error) {
	it, err := fetch[tokenItem](ctx, s, "token", tokenKey(hash), true)
	return it.token(), err
}

// Tokens implements [store.Tokens].
func (s *Store) Tokens(ctx context.Context, workspaceID string, p boathook.Page) ([]boathook.Token, string, error) {
	tokens, next, err := listed(ctx, s, workspaceKey(workspaceID), tokenPlaces, p, tokenItem.token)
	if err != nil {
		return nil, "", fmt.Errorf("list tokens of %s: %w", workspaceID, err)
	}
	return tokens, next, nil
}

// Token implements [store.Tokens].
func (s *Store) Token(ctx context.Context, workspaceID, id string) (boathook.Token, error) {
	it, err := fetch[tokenItem](ctx, s, "token "+id, listedTokenKey(workspaceID, id), true)
	return it.token(), err
}

// DeleteToken implements [store.Tokens].
func (s *Store) DeleteToken(ctx context.Context, workspaceID, id string) error {
	listed := listedTokenKey(workspaceID, id)
	t, err := s.Token(ctx, workspaceID, id)
	if err != nil {
		return err
	}
	if _, err = s.remove(ctx, tokenKey(t.Hash)); err == nil {
		_, err = s.remove(ctx, listed)
	}
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	return nil
}
