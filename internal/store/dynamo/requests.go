package dynamo

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// requestItem is a request that started no run.
type requestItem struct {
	record
	ID          string                  `dynamodbav:"i"`
	WorkspaceID string                  `dynamodbav:"ws"`
	WebhookID   string                  `dynamodbav:"w"`
	At          time.Time               `dynamodbav:"c"`
	Outcome     boathook.RequestOutcome `dynamodbav:"s"`
	Status      int                     `dynamodbav:"st"`
	Reason      string                  `dynamodbav:"er,omitempty"`
	RunID       string                  `dynamodbav:"r,omitempty"`
	Sender      *senderItem             `dynamodbav:"f,omitempty"`
}

type senderItem struct {
	IP          string   `dynamodbav:"ip,omitempty"`
	UserAgent   string   `dynamodbav:"ua,omitempty"`
	ContentType string   `dynamodbav:"ct,omitempty"`
	Headers     []string `dynamodbav:"h,omitempty"`
	BodySize    int      `dynamodbav:"n"`
	BodySHA256  []byte   `dynamodbav:"b,omitempty"`
}

func newRequestItem(of record, r boathook.Request) (requestItem, error) {
	it := requestItem{
		record: of, ID: r.ID, WorkspaceID: r.WorkspaceID, WebhookID: r.WebhookID, At: r.At,
		Outcome: r.Outcome, Status: r.Status, Reason: r.Reason, RunID: r.RunID,
	}
	if f := r.Sender; f != nil {
		sum, err := hex.DecodeString(f.BodySHA256)
		if err != nil {
			return it, err
		}
		it.Sender = &senderItem{f.IP, f.UserAgent, f.ContentType, f.Headers, f.BodySize, sum}
	}
	return it, nil
}

func (it requestItem) request() boathook.Request {
	r := boathook.Request{
		ID: it.ID, WorkspaceID: it.WorkspaceID, WebhookID: it.WebhookID, At: it.At,
		Outcome: it.Outcome, Status: it.Status, Reason: it.Reason, RunID: it.RunID,
	}
	if f := it.Sender; f != nil {
		r.Sender = &boathook.Sender{
			IP: f.IP, UserAgent: f.UserAgent, ContentType: f.ContentType, Headers: f.Headers,
			BodySize: f.BodySize, BodySHA256: hex.EncodeToString(f.BodySHA256),
		}
	}
	return r
}

// PutRequest implements [store.Requests].
func (s *Store) PutRequest(ctx context.Context, slot int, r boathook.Request) error {
	it, err := newRequestItem(s.record(requestKey(r.WebhookID, r.Outcome, slot)), r)
	if err == nil {
		_, err = s.putRecord(ctx, it, "", nil)
	}
	if err != nil {
		return fmt.Errorf("put request %s: %w", r.ID, err)
	}
	return nil
}

// Requests implements [store.Requests].
func (s *Store) Requests(ctx context.Context, q store.RequestQuery) (requests []boathook.Request, next string, err error) {
	from, err := parseCursor(q.Cursor, isPosition)
	if err != nil {
		return nil, "", err
	}
	var found, others []placed[boathook.Request]
	edge := ""
	var group errgroup.Group
	if q.Outcome == "" || q.Outcome == boathook.RequestAccepted {
		group.Go(func() (err error) {
			found, edge, err = s.accepted(ctx, q, from)
			return err
		})
	}
	if q.Outcome != boathook.RequestAccepted {
		group.Go(func() (err error) {
			others, err = s.others(ctx, q)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", fmt.Errorf("list requests of %s: %w", q.WebhookID, err)
	}
	for _, r := range others {
		if from == "" || r.position < from {
			found = append(found, r)
		}
	}
	found, next = cut(found, edge, q.Limit)
	return objects(found), next, nil
}

// accepted looks at the source's runs for those that the webhook has started.
func (s *Store) accepted(ctx context.Context, q store.RequestQuery, from string) (found []placed[boathook.Request], edge string, err error) {
	runs, edge, err := lookAll(ctx, s, from, store.Share(q.Page, runShards), func(h headItem) bool {
		return q.Started(h.WebhookID) && h.WorkspaceID == q.WorkspaceID
	}, s.runLists(store.RunQuery{SourceID: q.SourceID}))
	if err != nil {
		return nil, "", err
	}
	for _, r := range runs {
		at, err := timeOf(r.position)
		if err != nil {
			return nil, "", err
		}
		id := r.object.runID()
		found = append(found, placed[boathook.Request]{r.position, boathook.Request{
			ID: id, WorkspaceID: q.WorkspaceID, WebhookID: q.WebhookID, At: at,
			Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: id,
		}})
	}
	return found, edge, nil
}

// timeOf is the time in a [position].
func timeOf(position string) (time.Time, error) {
	digits, _, _ := strings.Cut(position, "#")
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("position %s: %w", position, err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// others gives all the requests that started no run: so few are kept that they
// are sorted here.
func (s *Store) others(ctx context.Context, q store.RequestQuery) (found []placed[boathook.Request], err error) {
	l := list{table: s.config.RecordsTable, consistent: true, partition: requestsPartition(q.WebhookID)}
	for it, err := range s.items(ctx, l.query("", 2*store.RequestSlots+1)) {
		if err != nil {
			return nil, err
		}
		r, err := decode[requestItem](it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		if r.WorkspaceID == q.WorkspaceID && (q.Outcome == "" || r.Outcome == q.Outcome) {
			found = append(found, placed[boathook.Request]{position(r.At, r.ID), r.request()})
		}
	}
	return found, nil
}
