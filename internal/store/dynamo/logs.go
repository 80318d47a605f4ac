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

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/store"
)

// chunkItem is a part of a run's log: a text, its lines in JSON. The index
// by-parent has those of agents, with what tells which of them to read.
type chunkItem struct {
	textItem
	Parent string `dynamodbav:"parent,omitempty"`
	Place  string `dynamodbav:"place,omitempty"`
	Lines  int    `dynamodbav:"n,omitempty"`
	Size   int    `dynamodbav:"z,omitempty"` // of the lines
}

// lineItem is a line of a chunk.
type lineItem struct {
	Time   time.Time `json:"t"`
	Stream string    `json:"s"`
	Text   string    `json:"x"`
}

func newLineItem(l boathook.LogLine) lineItem {
	return lineItem{l.Time.UTC().Truncate(time.Millisecond), l.Stream, l.Text}
}

func (it lineItem) line() boathook.LogLine { return boathook.LogLine(it) }

func packLines(lines []boathook.LogLine) ([]byte, error) {
	return json.Marshal(each(lines, newLineItem))
}

func unpackLines(text []byte) ([]boathook.LogLine, error) {
	var items []lineItem
	err := json.Unmarshal(text, &items)
	return each(items, lineItem.line), err
}

// AppendLog implements [store.Logs]. A chunk that is there is replaced, since one
// that was not known to be stored may have grown when it comes again.
func (s *Store) AppendLog(ctx context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error {
	it := chunkItem{textItem: textItem{record: s.record(logKey(run.ID, first))}}
	size := 0
	for _, line := range lines {
		size += line.Size()
	}
	if run.OfAgent() {
		it.Parent, it.Place, it.Lines, it.Size = agentLogParent(run.SourceID), chunkPlace(run, first), len(lines), size
	}
	text, err := packLines(lines)
	if err != nil {
		return fmt.Errorf("encode the log of run %s: %w", run.ID, err)
	}
	if it.content, err = s.split(ctx, it.key, compress.Compress(text), maxPart, it.Expires); err == nil {
		_, err = s.putRecord(ctx, it, "", nil)
	}
	if err != nil {
		return fmt.Errorf("append to the log of run %s: %w", run.ID, err)
	}
	return nil
}

// AgentLog implements [store.Logs]. The index tells how many lines each chunk has,
// so those that are shown are read at once.
func (s *Store) AgentLog(ctx context.Context, q store.AgentLogQuery) (log []boathook.AgentLine, err error) {
	l := list{table: s.config.RecordsTable, index: byParent, partition: agentLogParent(q.AgentID)}
	chunks, _, err := look[chunkItem](ctx, s, l, "", boathook.Page{Limit: min(q.Skip+q.Limit, store.MaxChunks)}, nil)
	if err != nil {
		return nil, fmt.Errorf("list the log of %s: %w", q.AgentID, err)
	}
	var keys []tableKey
	var shown []chunkItem
	skip, lines, size := q.Skip, 0, 0
	for _, c := range objects(chunks) {
		if skip >= c.Lines {
			skip -= c.Lines
			continue
		}
		if lines >= q.Limit || size >= q.MaxBytes {
			break
		}
		c.Lines -= skip // the newest lines of the first
		skip = 0
		shown, lines, size = append(shown, c), lines+c.Lines, size+c.Size
		keys = append(append(keys, s.recordKey(c.key)), s.partKeys(c.key, c.Parts)...)
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("list the log of %s: %w", q.AgentID, err)
	}
	size = 0
	for _, c := range shown {
		some, err := chunkAmong(found, c.key)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		for _, line := range slices.Backward(some[:min(c.Lines, len(some))]) {
			if len(log) == q.Limit || size >= q.MaxBytes {
				return log, nil
			}
			size += line.Size()
			log = append(log, boathook.AgentLine{LogLine: line, RunID: strings.TrimPrefix(c.PK, runPartition)})
		}
	}
	return log, nil
}

// chunkAmong gives the lines of a chunk of what was read; none if it is not there.
func chunkAmong(found map[key]item, k key) (lines []boathook.LogLine, err error) {
	text, err := textAmong(found, k)
	if err == nil && text != nil {
		lines, err = unpackLines(text)
	}
	if err != nil {
		return nil, fmt.Errorf("item %s: %w", k, err)
	}
	return lines, nil
}

// LogLines implements [store.Logs].
func (s *Store) LogLines(ctx context.Context, runID string) (int, error) {
	last := s.chunks(logKey(runID, 0), key{logKey(runID, 0).PK, logLines + highest})
	last.ScanIndexForward = aws.Bool(false)
	last.Limit = aws.Int32(1)
	for it, err := range s.items(ctx, last) {
		var chunk []boathook.LogLine
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
func (s *Store) chunk(ctx context.Context, it item) (first int, lines []boathook.LogLine, err error) {
	text, err := s.textOf(ctx, it)
	if err != nil {
		return 0, nil, err
	}
	if text != nil {
		if lines, err = unpackLines(text); err != nil {
			return 0, nil, err
		}
	}
	first, err = strconv.Atoi(strings.TrimPrefix(keyOf(it).SK, logLines))
	return first, lines, err
}

// Log implements [store.Logs].
func (s *Store) Log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error) {
	first, lines, err = s.log(ctx, runID, from, maxBytes)
	if err != nil {
		return 0, nil, fmt.Errorf("get the log of run %s: %w", runID, err)
	}
	return first, lines, nil
}

func (s *Store) log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error) {
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
