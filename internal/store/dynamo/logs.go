package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/store"
)

// AppendLog implements [store.Logs]. A chunk is a text: its lines in JSON. One
// that is there is replaced, since a chunk that was not known to be stored may
// have grown when it comes again.
func (s *Store) AppendLog(ctx context.Context, runID string, first int, lines []store.LogLine) error {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i].Time = lines[i].Time.UTC().Truncate(time.Millisecond)
	}
	text, err := json.Marshal(lines)
	if err != nil {
		return fmt.Errorf("encode the log of run %s: %w", runID, err)
	}
	if err := s.putText(ctx, logKey(runID, first), text); err != nil {
		return fmt.Errorf("append to the log of run %s: %w", runID, err)
	}
	return nil
}

// LogLines implements [store.Logs].
func (s *Store) LogLines(ctx context.Context, runID string) (int, error) {
	last := s.chunks(logKey(runID, 0), key{logKey(runID, 0).PK, logLines + highest})
	last.ScanIndexForward = aws.Bool(false)
	last.Limit = aws.Int32(1)
	for it, err := range s.items(ctx, last) {
		var chunk []store.LogLine
		var first int
		if err == nil {
			first, chunk, err = s.chunk(ctx, it)
		}
		if err != nil {
			return 0, fmt.Errorf("count the log of run %s: %w", runID, err)
		}
		return first + len(chunk), nil
	}
	return 0, nil
}

// chunk decodes a chunk and the number of its first line. One that is lost has no
// lines.
func (s *Store) chunk(ctx context.Context, it item) (first int, lines []store.LogLine, err error) {
	text, err := s.textOf(ctx, it)
	if err != nil {
		return 0, nil, err
	}
	if text != nil {
		if err := json.Unmarshal(text, &lines); err != nil {
			return 0, nil, err
		}
	}
	first, err = strconv.Atoi(strings.TrimPrefix(keyOf(it).SK, logLines))
	return first, lines, err
}

// Log implements [store.Logs].
func (s *Store) Log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []store.LogLine, err error) {
	first, lines, err = s.log(ctx, runID, from, maxBytes)
	if err != nil {
		return 0, nil, fmt.Errorf("get the log of run %s: %w", runID, err)
	}
	return first, lines, nil
}

func (s *Store) log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []store.LogLine, err error) {
	start, err := s.chunkAt(ctx, runID, from)
	if err != nil {
		return 0, nil, err
	}
	size := 0
	chunks := s.chunks(start, key{start.PK, logLines + highest})
	chunks.Limit = aws.Int32(10)
	for it, err := range s.items(ctx, chunks) {
		if err != nil {
			return 0, nil, err
		}
		begin, chunk, err := s.chunk(ctx, it)
		if err != nil {
			return 0, nil, err
		}
		if len(lines) == 0 {
			if first = begin; first+len(chunk) <= from {
				continue
			}
		}
		lines = append(lines, chunk...)
		for _, line := range chunk {
			size += line.Size()
		}
		if size >= maxBytes {
			break
		}
	}
	return first, lines, nil
}

// chunkAt is the key of the last chunk that does not begin after a line: the
// only one that may hold it.
func (s *Store) chunkAt(ctx context.Context, runID string, line int) (key, error) {
	at := logKey(runID, line)
	last := s.chunks(logKey(runID, 0), at)
	last.ScanIndexForward = aws.Bool(false)
	last.ProjectionExpression = aws.String("pk, sk, x")
	last.Limit = aws.Int32(1)
	for it, err := range s.items(ctx, last) {
		return keyOf(it), err
	}
	return at, nil
}

// chunks reads those between two keys, which are included.
func (s *Store) chunks(first, last key) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &s.config.RecordsTable, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{
			":pk": str(first.PK), ":first": str(first.SK), ":last": str(last.SK),
		},
	}
}
