package dynamo

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// requestItem is a request that started no run.
type requestItem struct {
	key
	Expires     int64                   `dynamodbav:"x"`
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

// PutRequest implements [store.Requests].
func (s *Store) PutRequest(ctx context.Context, slot int, r boathook.Request) error {
	it := requestItem{
		key: requestKey(r.WebhookID, r.Outcome, slot), Expires: s.expiry(),
		ID: r.ID, WorkspaceID: r.WorkspaceID, WebhookID: r.WebhookID, At: r.At,
		Outcome: r.Outcome, Status: r.Status, Reason: r.Reason, RunID: r.RunID,
	}
	if f := r.Sender; f != nil {
		sum, err := hex.DecodeString(f.BodySHA256)
		if err != nil {
			return fmt.Errorf("put request %s: %w", r.ID, err)
		}
		it.Sender = &senderItem{f.IP, f.UserAgent, f.ContentType, f.Headers, f.BodySize, sum}
	}
	if _, err := s.putRecord(ctx, it, "", nil); err != nil {
		return fmt.Errorf("put request %s: %w", r.ID, err)
	}
	return nil
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

// placedRequest is a request and where it stands in its list.
type placedRequest struct {
	position string
	boathook.Request
}

// Requests implements [store.Requests].
func (s *Store) Requests(ctx context.Context, q store.RequestQuery) (requests []boathook.Request, next string, err error) {
	from, err := parseCursor(q.Cursor, isPosition)
	if err != nil {
		return nil, "", err
	}
	var found []placedRequest
	end := "" // what is behind it was not looked at
	if q.Outcome == "" || q.Outcome == boathook.RequestAccepted {
		if found, end, err = s.accepted(ctx, q, from); err != nil {
			return nil, "", fmt.Errorf("list requests of %s: %w", q.WebhookID, err)
		}
	}
	if q.Outcome != boathook.RequestAccepted {
		others, err := s.others(ctx, q)
		if err != nil {
			return nil, "", fmt.Errorf("list requests of %s: %w", q.WebhookID, err)
		}
		for _, r := range others {
			if (from == "" || r.position < from) && r.position >= end {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b placedRequest) int { return cmp.Compare(b.position, a.position) })
	if len(found) > q.Limit {
		found = found[:q.Limit]
		end = found[q.Limit-1].position
	}
	if end != "" {
		next = cursorOf(end)
	}
	for _, r := range found {
		requests = append(requests, r.Request)
	}
	return requests, next, nil
}

// maxLook is how many runs of a source one page of a webhook's requests looks
// at: most may be other webhooks'.
const maxLook = 2000

// accepted gives the requests before a position that started runs, and where
// it stopped looking for more; empty if there are none.
func (s *Store) accepted(ctx context.Context, q store.RequestQuery, from string) (found []placedRequest, end string, err error) {
	looked := 0
	for it, err := range s.items(ctx, s.runsOf(q.SourceID).query(from, q.Limit+2)) {
		if err != nil {
			return nil, "", err
		}
		h, err := decode[headItem](it)
		if err != nil {
			return nil, "", err
		}
		if h.Place == from {
			continue
		}
		if len(found) == q.Limit || looked == maxLook {
			return found, end, nil
		}
		looked++
		end = h.Place
		if h.WebhookID != q.WebhookID || h.WorkspaceID != q.WorkspaceID {
			continue
		}
		at, err := timeOf(h.Place)
		if err != nil {
			return nil, "", err
		}
		found = append(found, placedRequest{h.Place, boathook.Request{
			ID: h.runID(), WorkspaceID: h.WorkspaceID, WebhookID: h.WebhookID, At: at,
			Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: h.runID(),
		}})
	}
	return found, "", nil
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
func (s *Store) others(ctx context.Context, q store.RequestQuery) (found []placedRequest, err error) {
	l := list{table: s.config.RecordsTable, consistent: true, partition: requestsPartition(q.WebhookID)}
	for it, err := range s.items(ctx, l.query("", 2*store.RequestSlots)) {
		if err != nil {
			return nil, err
		}
		r, err := decode[requestItem](it)
		if err != nil {
			return nil, err
		}
		if r.WorkspaceID == q.WorkspaceID && (q.Outcome == "" || r.Outcome == q.Outcome) {
			found = append(found, placedRequest{position(r.At, r.ID), r.request()})
		}
	}
	return found, nil
}
