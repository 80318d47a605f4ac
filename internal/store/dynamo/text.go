package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/deflate"
)

const (
	// maxPart is how much compressed text one item holds: DynamoDB's items end
	// at 400 KB.
	maxPart = 300 << 10

	// maxText is more than the longest text there is, a chunk of a run's log.
	maxText = boathook.MaxRunLog
)

// content is a compressed text, or the number of further items that hold it.
type content struct {
	Packed []byte `dynamodbav:"b,omitempty"`
	Parts  int    `dynamodbav:"k,omitempty"`
}

// textItem is a text on its own.
type textItem struct {
	key
	content
	Expires int64 `dynamodbav:"x"`
}

// pack compresses a text for the item at k. Above limit bytes it is written
// here, in further items, before the item that refers to them.
func (s *Store) pack(ctx context.Context, k key, text []byte, limit int, expires int64) (content, error) {
	packed := deflate.Compress(text)
	if len(packed) <= limit {
		return content{Packed: packed}, nil
	}
	var writes []types.WriteRequest
	for part := range slices.Chunk(packed, maxPart) {
		it, err := encode(textItem{partKey(k, len(writes)), content{Packed: part}, expires})
		if err != nil {
			return content{}, err
		}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	return content{Parts: len(writes)}, s.writeBatch(ctx, s.config.RecordsTable, writes)
}

// errLost is of a text that can't be read any more, whenever it is tried.
var errLost = errors.New("its text is lost")

// unpack gives back the text of the item at k. The error is errLost if a part of
// it is missing, or is not what was stored.
func (s *Store) unpack(ctx context.Context, k key, c content) ([]byte, error) {
	packed := c.Packed
	if c.Parts > 0 {
		keys := make([]tableKey, c.Parts)
		for i := range keys {
			keys[i] = s.recordKey(partKey(k, i))
		}
		parts, err := s.readBatch(ctx, keys...)
		if err != nil {
			return nil, err
		}
		for _, part := range keys {
			it, ok := parts[part.key]
			if !ok {
				return nil, fmt.Errorf("item %s: %w: %s is missing", k, errLost, part.key)
			}
			p, err := decode[textItem](it)
			if err != nil {
				return nil, err
			}
			packed = append(packed, p.Packed...)
		}
	}
	text, err := deflate.Decompress(packed, maxText)
	if err != nil {
		return nil, fmt.Errorf("item %s: %w: %w", k, errLost, err)
	}
	return text, nil
}

// putText stores a text at k. The same text again changes nothing.
func (s *Store) putText(ctx context.Context, k key, text []byte) error {
	expires := s.expiry()
	c, err := s.pack(ctx, k, text, maxPart, expires)
	if err != nil {
		return err
	}
	_, err = s.putRecord(ctx, textItem{k, c, expires}, "", nil)
	return err
}

// textOf gives back what [Store.putText] stored; nil if it is not there, or lost.
func (s *Store) textOf(ctx context.Context, it item) ([]byte, error) {
	if it == nil {
		return nil, nil
	}
	t, err := decode[textItem](it)
	if err != nil {
		return nil, err
	}
	text, err := s.unpack(ctx, t.key, t.content)
	if errors.Is(err, errLost) {
		return nil, nil
	}
	return text, err
}
