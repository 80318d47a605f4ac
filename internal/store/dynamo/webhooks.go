package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// incomingItem is an incoming webhook.
type incomingItem struct {
	Revision     int                  `dynamodbav:"Revision"`
	ID           string               `dynamodbav:"ID"`
	WorkspaceID  string               `dynamodbav:"WorkspaceID"`
	SourceID     string               `dynamodbav:"SourceID"`
	Name         string               `dynamodbav:"Name"`
	Environment  boathook.Environment `dynamodbav:"Environment"`
	Enabled      bool                 `dynamodbav:"Enabled"`
	TokenHash    [sha256.Size]byte    `dynamodbav:"TokenHash"`
	SealedToken  []byte               `dynamodbav:"SealedToken,omitempty"`
	WaitForStart time.Duration        `dynamodbav:"WaitForStart"`
	Verification verificationItem     `dynamodbav:"Verification"`
	Filter       filterItem           `dynamodbav:"Filter"`
	RerunFailed  *bool                `dynamodbav:"RerunFailed"`
	Coalesce     *coalesceItem        `dynamodbav:"Coalesce,omitempty"` // nil: each trigger starts a run
	CreatedAt    time.Time            `dynamodbav:"CreatedAt"`
	UpdatedAt    time.Time            `dynamodbav:"UpdatedAt"`
}

// coalesceItem says which triggers become one run, and when.
type coalesceItem struct {
	Key     string        `dynamodbav:"Key"`
	Quiet   time.Duration `dynamodbav:"Quiet"`
	MaxWait time.Duration `dynamodbav:"MaxWait"`
}

func newCoalesceItem(c boathook.Coalescing) *coalesceItem {
	if c.IsZero() {
		return nil
	}
	it := coalesceItem(c)
	return &it
}

func (it *coalesceItem) coalescing() boathook.Coalescing {
	if it == nil {
		return boathook.Coalescing{}
	}
	return boathook.Coalescing(*it)
}

// verificationItem is of an incoming webhook or of an agent.
type verificationItem struct {
	Preset          string `dynamodbav:"Preset"`
	SealedSecret    []byte `dynamodbav:"SealedSecret"`
	Header          string `dynamodbav:"Header"`
	Algorithm       string `dynamodbav:"Algorithm"`
	Encoding        string `dynamodbav:"Encoding"`
	Prefix          string `dynamodbav:"Prefix"`
	Separator       string `dynamodbav:"Separator"`
	TimestampHeader string `dynamodbav:"TimestampHeader"`
	DeliveryHeader  string `dynamodbav:"DeliveryHeader"`
	EventHeader     string `dynamodbav:"EventHeader"`
	EventPointer    string `dynamodbav:"EventPointer"`
	TopicARN        string `dynamodbav:"TopicARN"`
}

type filterItem struct {
	Events  []string        `dynamodbav:"Events"`
	Pointer string          `dynamodbav:"Pointer"`
	Equals  json.RawMessage `dynamodbav:"Equals"`
	JQ      string          `dynamodbav:"JQ,omitempty"`
}

func newIncomingItem(w boathook.IncomingWebhook) incomingItem {
	return incomingItem{
		Revision: w.Revision, ID: w.ID, WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, Name: w.Name,
		Environment: w.Environment, Enabled: w.Enabled, TokenHash: w.TokenHash, SealedToken: w.SealedToken, WaitForStart: w.WaitForStart,
		Verification: verificationItem(w.Verification), Filter: filterItem(w.Filter), RerunFailed: w.RerunFailed, Coalesce: newCoalesceItem(w.Coalesce),
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

func (it incomingItem) incoming() boathook.IncomingWebhook {
	return boathook.IncomingWebhook{
		Revision: it.Revision, ID: it.ID, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, Name: it.Name,
		Environment: it.Environment, Enabled: it.Enabled, TokenHash: it.TokenHash, SealedToken: it.SealedToken, WaitForStart: it.WaitForStart,
		Verification: boathook.Verification(it.Verification), Filter: boathook.Filter(it.Filter), RerunFailed: it.RerunFailed, Coalesce: it.Coalesce.coalescing(),
		CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
	}
}

// outgoingItem is an outgoing webhook, without its health.
type outgoingItem struct {
	Revision      int                  `dynamodbav:"Revision"`
	ID            string               `dynamodbav:"ID"`
	WorkspaceID   string               `dynamodbav:"WorkspaceID"`
	SourceID      string               `dynamodbav:"SourceID"`
	Name          string               `dynamodbav:"Name"`
	URL           string               `dynamodbav:"URL"`
	Events        []boathook.EventType `dynamodbav:"Events"`
	Environment   boathook.Environment `dynamodbav:"Environment"`
	Dialect       string               `dynamodbav:"Dialect"`
	Format        boathook.Format      `dynamodbav:"Format"`
	Timeout       time.Duration        `dynamodbav:"Timeout"`
	Retry         []time.Duration      `dynamodbav:"Retry"`
	RateLimit     int                  `dynamodbav:"RateLimit"`
	Enabled       bool                 `dynamodbav:"Enabled"`
	Secrets       secretsItem          `dynamodbav:"Secrets"`
	CreatedAt     time.Time            `dynamodbav:"CreatedAt"`
	UpdatedAt     time.Time            `dynamodbav:"UpdatedAt"`
	SealedHeaders []byte               `dynamodbav:"SealedHeaders"`
	HeaderNames   []string             `dynamodbav:"HeaderNames"`
	Disabled      disablingItem        `dynamodbav:"Disabled"`
	Destination   *destinationItem     `dynamodbav:"Destination,omitempty"` // nil: it has a URL
	Channels      []string             `dynamodbav:"Channels,omitempty"`
	Metadata      map[string]string    `dynamodbav:"Metadata,omitempty"`
	Filter        string               `dynamodbav:"Filter,omitempty"`
	Transform     string               `dynamodbav:"Transform,omitempty"`
	AlertFailures int                  `dynamodbav:"AlertFailures,omitempty"` // absent, with the next: the default
	AlertOver     time.Duration        `dynamodbav:"AlertOver,omitempty"`
}

type destinationItem struct {
	Type     boathook.DestinationType `dynamodbav:"Type"`
	QueueARN string                   `dynamodbav:"QueueARN"`
}

func newDestinationItem(d boathook.Destination) *destinationItem {
	if d.IsZero() {
		return nil
	}
	return new(destinationItem(d))
}

func (it *destinationItem) destination() boathook.Destination {
	if it == nil {
		return boathook.Destination{}
	}
	return boathook.Destination(*it)
}

type secretsItem struct {
	Current       []byte    `dynamodbav:"Current"`
	Previous      []byte    `dynamodbav:"Previous"`
	PreviousUntil time.Time `dynamodbav:"PreviousUntil"`
}

type disablingItem struct {
	At     time.Time `dynamodbav:"At"`
	Reason string    `dynamodbav:"Reason"`
}

func newOutgoingItem(w boathook.OutgoingWebhook) outgoingItem {
	return outgoingItem{
		Revision: w.Revision, ID: w.ID, WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, Name: w.Name, URL: w.URL,
		Events: w.Events, Environment: w.Environment, Dialect: w.Dialect, Format: w.Format, Timeout: w.Timeout, Retry: w.Retry,
		RateLimit: w.RateLimit, Enabled: w.Enabled, Secrets: secretsItem(w.Secrets), CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		SealedHeaders: w.SealedHeaders, HeaderNames: w.HeaderNames, Disabled: disablingItem(w.Disabled),
		Destination: newDestinationItem(w.Destination), Channels: w.Channels, Metadata: w.Metadata, Filter: w.Filter, Transform: w.Transform,
		AlertFailures: w.AlertAfter.Failures, AlertOver: w.AlertAfter.Over,
	}
}

func (it outgoingItem) outgoing() boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{
		Revision: it.Revision, ID: it.ID, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, Name: it.Name, URL: it.URL,
		Events: it.Events, Environment: it.Environment, Dialect: it.Dialect, Format: it.Format, Timeout: it.Timeout, Retry: it.Retry,
		RateLimit: it.RateLimit, Enabled: it.Enabled, Secrets: boathook.SealedSecrets(it.Secrets), CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
		SealedHeaders: it.SealedHeaders, HeaderNames: it.HeaderNames, Disabled: boathook.Disabling(it.Disabled),
		Destination: it.Destination.destination(), Channels: it.Channels, Metadata: it.Metadata, Filter: it.Filter, Transform: it.Transform,
		AlertAfter: boathook.AlertThreshold{Failures: it.AlertFailures, Over: it.AlertOver},
	}
}

// PutIncoming implements [store.Webhooks].
func (s *Store) PutIncoming(ctx context.Context, w boathook.IncomingWebhook) error {
	read := w.Revision
	w.Revision++
	it, err := encodeAt(incomingKey(w.SourceID, w.ID), newIncomingItem(w))
	if err == nil {
		err = s.putRevision(ctx, it, read)
	}
	if err != nil {
		return fmt.Errorf("put incoming webhook %s: %w", w.ID, err)
	}
	return nil
}

// putRevision replaces an object of the revision that was read, or creates one
// if that is 0.
func (s *Store) putRevision(ctx context.Context, it item, read int) error {
	in := &dynamodb.PutItemInput{TableName: &s.config.ConfigTable, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if read > 0 {
		in.ConditionExpression = aws.String("Revision = :read")
		in.ExpressionAttributeValues = item{":read": num(int64(read))}
	}
	_, err := s.client.PutItem(ctx, in)
	if _, changed := errors.AsType[*types.ConditionalCheckFailedException](err); changed {
		return boathook.Errorf(boathook.Conflict, "it was changed or deleted meanwhile, look again")
	}
	return err
}

// Incoming implements [store.Webhooks].
func (s *Store) Incoming(ctx context.Context, sourceID, id string) (boathook.IncomingWebhook, error) {
	it, err := fetch[incomingItem](ctx, s, "incoming webhook "+id, incomingKey(sourceID, id), true)
	return it.incoming(), err
}

// AllIncoming implements [store.Webhooks].
func (s *Store) AllIncoming(ctx context.Context, sourceID string) ([]boathook.IncomingWebhook, error) {
	items, err := below[incomingItem](ctx, s, sourceID, incomingWebhooks)
	if err != nil && !errors.Is(err, store.ErrIncomplete) {
		return nil, fmt.Errorf("list incoming webhooks of %s: %w", sourceID, err)
	}
	slices.SortStableFunc(items, func(a, b incomingItem) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return each(items, incomingItem.incoming), nil
}

// DeleteIncoming implements [store.Webhooks].
func (s *Store) DeleteIncoming(ctx context.Context, sourceID, id string) error {
	return s.deleteWebhook(ctx, "incoming webhook "+id, incomingKey(sourceID, id))
}

// PutOutgoing implements [store.Webhooks].
func (s *Store) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	read := w.Revision
	w.Revision++
	it, err := encodeAt(outgoingKey(w.SourceID, w.ID), newOutgoingItem(w))
	if err == nil {
		err = s.putRevision(ctx, it, read)
	}
	if err != nil {
		return fmt.Errorf("put outgoing webhook %s: %w", w.ID, err)
	}
	return nil
}

// DisableOutgoing implements [store.Webhooks]. It names each attribute that it
// writes, and is given back none but those: deliver's role allows no others.
func (s *Store) DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error {
	values, err := encode(map[string]any{":no": false, ":one": 1, ":disabled": disablingItem(d)})
	if err != nil {
		return err
	}
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.ConfigTable, Key: outgoingKey(sourceID, id).item(),
		UpdateExpression: aws.String("SET Enabled = :no, Disabled = :disabled ADD Revision :one"), ConditionExpression: aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: values, ReturnValues: types.ReturnValueNone,
	})
	if _, absent := errors.AsType[*types.ConditionalCheckFailedException](err); absent {
		return notFound("outgoing webhook " + id)
	}
	if err != nil {
		return fmt.Errorf("disable outgoing webhook %s: %w", id, err)
	}
	return nil
}

// Outgoing implements [store.Webhooks].
func (s *Store) Outgoing(ctx context.Context, sourceID, id string) (w boathook.OutgoingWebhook, err error) {
	k, health := outgoingKey(sourceID, id), healthKey(id)
	found, err := s.readBatch(ctx, s.configKey(k), s.recordKey(health))
	if err != nil {
		return w, fmt.Errorf("get outgoing webhook %s: %w", id, err)
	}
	if found[k] == nil {
		return w, notFound("outgoing webhook " + id)
	}
	it, err := decode[outgoingItem](found[k])
	if err != nil {
		return w, err
	}
	h, err := decode[healthItem](found[health])
	w = it.outgoing()
	w.Health = h.health()
	return w, err
}

// AllOutgoing implements [store.Webhooks].
func (s *Store) AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	items, err := below[outgoingItem](ctx, s, sourceID, outgoingWebhooks)
	if err != nil {
		err = fmt.Errorf("list outgoing webhooks of %s: %w", sourceID, err)
	}
	slices.SortStableFunc(items, func(a, b outgoingItem) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return each(items, outgoingItem.outgoing), err
}

// DeleteOutgoing implements [store.Webhooks]. The webhook goes first: a health's key
// does not name the source, and another source's must not be deleted. Where the
// health is left behind, or an attempt that ends meanwhile brings it back, it
// expires.
func (s *Store) DeleteOutgoing(ctx context.Context, sourceID, id string) error {
	if err := s.deleteWebhook(ctx, "outgoing webhook "+id, outgoingKey(sourceID, id)); err != nil {
		return err
	}
	if err := s.deleteRecord(ctx, healthKey(id)); err != nil {
		return fmt.Errorf("delete the health of outgoing webhook %s: %w", id, err)
	}
	return nil
}

// below reads all of a source's webhooks whose sort keys have a prefix. The error is
// [store.ErrIncomplete], beside the others, if one of them can't be read.
func below[I any](ctx context.Context, s *Store, sourceID, prefix string) (webhooks []I, err error) {
	l := list{table: s.config.ConfigTable, consistent: true, partition: sourceKey(sourceID).PK, prefix: prefix}
	return whole[I](ctx, s, l, boathook.MaxWebhooks)
}

// whole reads all of a list of so many at most. The error is [store.ErrIncomplete],
// beside the others, if one of them can't be read.
func whole[I any](ctx context.Context, s *Store, l list, most int) (objects []I, err error) {
	var incomplete error
	for found, err := range s.items(ctx, l.query("", most+1)) { // one more, to see the end
		if err != nil {
			return nil, err
		}
		it, err := decode[I](found)
		if err != nil {
			s.unreadable(ctx, err)
			incomplete = store.ErrIncomplete
			continue
		}
		objects = append(objects, it)
	}
	return objects, incomplete
}

func (s *Store) deleteWebhook(ctx context.Context, what string, k key) error {
	existed, err := s.remove(ctx, k)
	if err != nil {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	if !existed {
		return notFound(what)
	}
	return nil
}
