package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/compress"
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
	record
	content
}

// split makes the content of the item at k of a compressed text. Above limit bytes
// it is written here, in further items, before the item that refers to them.
func (s *Store) split(ctx context.Context, k key, packed []byte, limit int, expires int64) (content, error) {
	if len(packed) <= limit {
		return content{Packed: packed}, nil
	}
	var writes []types.WriteRequest
	for part := range slices.Chunk(packed, maxPart) {
		it, err := encode(textItem{record{partKey(k, len(writes)), expires}, content{Packed: part}})
		if err != nil {
			return content{}, err
		}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	return content{Parts: len(writes)}, s.writeBatch(ctx, s.config.RecordsTable, writes)
}

// errLost is of a text that can't be read any more, whenever it is tried.
var errLost = errors.New("its text is lost")

// joined gives back the compressed text of the item at k. The error is errLost if a part
// of it is missing.
func (s *Store) joined(ctx context.Context, k key, c content) (packed []byte, err error) {
	if c.Parts == 0 {
		return c.Packed, nil
	}
	parts, err := s.readBatch(ctx, s.partKeys(k, c.Parts)...)
	if err != nil {
		return nil, err
	}
	return join(k, c, parts)
}

func (s *Store) partKeys(k key, parts int) []tableKey {
	keys := make([]tableKey, parts)
	for i := range keys {
		keys[i] = s.recordKey(partKey(k, i))
	}
	return keys
}

// join makes the compressed text of the item at k of what it holds itself and its parts.
func join(k key, c content, parts map[key]item) ([]byte, error) {
	packed := c.Packed
	for i := range c.Parts {
		part := partKey(k, i)
		it, ok := parts[part]
		if !ok {
			return nil, fmt.Errorf("item %s: %w: %s is missing", k, errLost, part)
		}
		p, err := decode[textItem](it)
		if err != nil {
			return nil, err
		}
		packed = append(packed, p.Packed...)
	}
	return packed, nil
}

// open decompresses the text of the item at k. The error is errLost if it is not what
// was stored.
func open(k key, packed []byte) ([]byte, error) {
	text, err := compress.Decompress(packed, maxText)
	if err != nil {
		return nil, fmt.Errorf("item %s: %w: %w", k, errLost, err)
	}
	return text, nil
}

// putText stores a compressed text at k. The same text again changes nothing.
func (s *Store) putText(ctx context.Context, k key, packed []byte) error {
	r := s.record(k)
	c, err := s.split(ctx, k, packed, maxPart, r.Expires)
	if err != nil {
		return err
	}
	_, err = s.putRecord(ctx, textItem{r, c}, "", nil)
	return err
}

// textKeys are the keys of a text of so many bytes at k, and of the parts that it
// may have: it is never more than a byte longer when it is compressed.
func (s *Store) textKeys(k key, size int) []tableKey {
	keys := []tableKey{s.recordKey(k)}
	if size < maxPart {
		return keys
	}
	return append(keys, s.partKeys(k, size/maxPart+1)...)
}

// textAmong gives back what [Store.putText] stored at k, of what was read with its
// textKeys; nil if it is not there. The error is errLost if it is lost.
func textAmong(found map[key]item, k key) ([]byte, error) {
	it, ok := found[k]
	if !ok {
		return nil, nil
	}
	t, err := decode[textItem](it)
	if err != nil {
		return nil, err
	}
	return openAmong(found, k, t.content)
}

// openAmong gives back the text of the item at k, of what was read with its parts.
func openAmong(found map[key]item, k key, c content) ([]byte, error) {
	packed, err := join(k, c, found)
	if err != nil {
		return nil, err
	}
	return open(k, packed)
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
	packed, err := s.joined(ctx, t.key, t.content)
	if err == nil {
		packed, err = open(t.key, packed)
	}
	if errors.Is(err, errLost) {
		return nil, nil
	}
	return packed, err
}
