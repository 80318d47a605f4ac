package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
)

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func (k key) item() item { return item{pkAttr: str(k.PK), skAttr: str(k.SK)} }

// String makes a key readable in errors.
func (k key) String() string { return k.PK + " / " + k.SK }

func keyOf(it item) key { return key{textIn(it, pkAttr), textIn(it, skAttr)} }

func textIn(it item, attr string) string {
	if s, ok := it[attr].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// encode makes attributes of a struct or a map. Times become Unix milliseconds,
// and null when they are zero.
func encode(v any) (item, error) {
	return attributevalue.MarshalMapWithOptions(v, func(o *attributevalue.EncoderOptions) {
		o.OmitEmptyTime = true
		o.EncodeTime = func(t time.Time) (types.AttributeValue, error) {
			if t.IsZero() {
				return &types.AttributeValueMemberNULL{Value: true}, nil
			}
			return num(t.UnixMilli()), nil
		}
	})
}

func decode[T any](it item) (v T, err error) {
	err = attributevalue.UnmarshalMapWithOptions(it, &v, func(o *attributevalue.DecoderOptions) {
		o.DecodeTime.N = func(ms string) (time.Time, error) {
			n, err := strconv.ParseInt(ms, 10, 64)
			return time.UnixMilli(n).UTC(), err
		}
	})
	if err != nil {
		return v, fmt.Errorf("decode item %s: %w", keyOf(it), err)
	}
	return v, nil
}

// encodeAt makes the item of an object of the config table.
func encodeAt(k key, object any) (item, error) {
	it, err := encode(object)
	if err != nil {
		return nil, err
	}
	maps.Copy(it, k.item())
	return it, nil
}

// record is what begins every item of the records table.
type record struct {
	key
	Expires int64 `dynamodbav:"x"` // as [TTLAttribute]
}

// record is of an item that is written now.
func (s *Store) record(k key) record { return record{k, s.expiry()} }

func (s *Store) expired(it item) bool {
	x, ok := it[TTLAttribute].(*types.AttributeValueMemberN)
	if !ok {
		return false
	}
	at, err := strconv.ParseInt(x.Value, 10, 64)
	return err == nil && at <= s.now()
}

// read gets an item; nil if it is absent or expired.
func (s *Store) read(ctx context.Context, table string, k key, consistent bool) (item, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &table, Key: k.item(), ConsistentRead: &consistent,
	})
	if err != nil {
		return nil, err
	}
	if s.expired(out.Item) {
		return nil, nil
	}
	return out.Item, nil
}

// fetch reads an object of the config table. what names it in errors.
func fetch[T any](ctx context.Context, s *Store, what string, k key, consistent bool) (v T, err error) {
	it, err := s.read(ctx, s.config.ConfigTable, k, consistent)
	if err != nil {
		return v, fmt.Errorf("get %s: %w", what, err)
	}
	if it == nil {
		return v, notFound(what)
	}
	return decode[T](it)
}

// maxNamed is how much of what is not there an error repeats, in bytes: an id
// from outside may be long.
const maxNamed = 100

func notFound(what string) error {
	return boathook.Errorf(boathook.NotFound, "%s not found", boathook.Shorten(what, maxNamed))
}

// put writes an object of the config table. place lists it; empty for what is
// not listed in pages.
func (s *Store) put(ctx context.Context, k key, place string, v any) error {
	it, err := encodeAt(k, v)
	if err != nil {
		return err
	}
	if place != "" {
		it[placeAttr] = str(place)
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.config.ConfigTable, Item: it})
	return err
}

// remove deletes an object of the config table and tells whether it was there.
func (s *Store) remove(ctx context.Context, k key) (existed bool, err error) {
	out, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.ConfigTable, Key: k.item(), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return false, err
	}
	return out.Attributes != nil, nil
}

// absent is the condition under which a record may be created.
const absent = "(attribute_not_exists(pk) OR x <= :now)"

// putRecord writes a record if a condition holds, and tells whether it did.
// The condition may use :now.
func (s *Store) putRecord(ctx context.Context, record any, when string, values item) (held bool, err error) {
	it, err := encode(record)
	if err != nil {
		return false, err
	}
	in := &dynamodb.PutItemInput{TableName: &s.config.RecordsTable, Item: it}
	if when != "" {
		in.ConditionExpression = &when
		all := maps.Clone(values)
		if strings.Contains(when, ":now") {
			all = item{":now": num(s.now())}
			maps.Copy(all, values)
		}
		in.ExpressionAttributeValues = all
	}
	_, err = s.client.PutItem(ctx, in)
	if _, failed := errors.AsType[*types.ConditionalCheckFailedException](err); failed {
		return false, nil
	}
	return err == nil, err
}

// deleteRecord deletes a record, if it is there.
func (s *Store) deleteRecord(ctx context.Context, k key) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.config.RecordsTable, Key: k.item()})
	return err
}

// updateRecord changes a record that is there, not expired, and for which the
// condition holds; it returns the record as it is afterwards. If held is false,
// nothing changed and the record is nil where it is absent or expired. Of
// values, those whose names begin with "#" are names of attributes.
func (s *Store) updateRecord(ctx context.Context, k key, change, when string, values map[string]any) (it item, held bool, err error) {
	it, held, err = s.tryUpdate(ctx, k, change, present, when, values)
	return s.asItIs(ctx, k, it, held, err)
}

// changeRecord is updateRecord for who does not ask how the record is: it never
// reads one.
func (s *Store) changeRecord(ctx context.Context, k key, change, when string, values map[string]any) (held bool, err error) {
	_, held, err = s.tryUpdate(ctx, k, change, present, when, values)
	return held, err
}

// upsertRecord is updateRecord for a record that is made if it is absent. One
// that has expired is not: held is false, and the record nil.
func (s *Store) upsertRecord(ctx context.Context, k key, change, when string, values map[string]any) (it item, held bool, err error) {
	it, held, err = s.tryUpdate(ctx, k, change, "(attribute_not_exists(pk) OR x > :now)", when, values)
	return s.asItIs(ctx, k, it, held, err)
}

// present is a condition of a record that is there, and has not expired.
const present = "x > :now"

// asItIs reads the record of an update that did not hold and has not told it: it is
// absent, or an emulator does not tell it.
func (s *Store) asItIs(ctx context.Context, k key, it item, held bool, err error) (item, bool, error) {
	if held || it != nil || err != nil {
		return it, held, err
	}
	it, err = s.read(ctx, s.config.RecordsTable, k, true)
	return it, false, err
}

// tryUpdate is an update whose record, if it did not hold, may not be told.
func (s *Store) tryUpdate(ctx context.Context, k key, change, condition, when string, values map[string]any) (it item, held bool, err error) {
	attrs, err := encode(values)
	if err != nil {
		return nil, false, err
	}
	var names map[string]string
	for name := range values {
		if strings.HasPrefix(name, "#") {
			if names == nil {
				names = make(map[string]string)
			}
			names[name] = textIn(attrs, name)
			delete(attrs, name)
		}
	}
	attrs[":now"] = num(s.now())
	if when != "" {
		condition += " AND " + when
	}
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.RecordsTable, Key: k.item(),
		UpdateExpression: &change, ConditionExpression: &condition, ExpressionAttributeValues: attrs,
		ExpressionAttributeNames:            names,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	switch {
	case !ok && err != nil:
		return nil, false, err
	case !ok:
		return out.Attributes, true, nil
	case failed.Item != nil && s.expired(failed.Item):
		return nil, false, nil
	}
	return failed.Item, false, nil
}
