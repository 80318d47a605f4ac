package dynamo_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
	"boathook/internal/store/storetest"
)

// trouble is the SDK's HTTP client on a bad day. For each request lose says what
// happens to it.
type trouble struct {
	next dynamodb.HTTPClient
	lose func(request) fate
}

type fate int

const (
	goesThrough fate = iota
	throttled        // no effect
	unanswered       // it takes effect, and the connection breaks before the answer
)

func (tr *trouble) Do(r *http.Request) (*http.Response, error) {
	sent, err := readSent(r)
	if err != nil {
		return nil, err
	}
	switch tr.lose(sent) {
	case throttled:
		refusal := failure("ProvisionedThroughputExceededException")
		return &http.Response{
			StatusCode: refusal.status, Request: r, Body: io.NopCloser(strings.NewReader(refusal.body)),
			Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		}, nil
	case unanswered:
		resp, err := tr.next.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return nil, io.ErrUnexpectedEOF
	}
	return tr.next.Do(r)
}

// through is a client of an emulator whose requests go through trouble. The SDK
// retries without waiting, more often than in the functions.
func through(t *testing.T, variable string, lose func(request) fate) (troubled, direct *dynamodb.Client) {
	t.Helper()
	direct = emulator(t, variable)
	return dynamodb.New(direct.Options(), func(o *dynamodb.Options) {
		o.HTTPClient = &trouble{direct.Options().HTTPClient, lose}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter = ratelimit.None
			o.MaxAttempts = 10 // of requests side by side, one may meet every fault
		})
	}), direct
}

// repeatable reports whether a request that is made twice has the effect and the
// answer of one that is made once.
func repeatable(r request) bool {
	switch r.operation {
	case "UpdateItem", "CreateTable", "DeleteTable":
		return false
	}
	return r.input["ConditionExpression"] == nil && r.input["ReturnValues"] == nil
}

// The contract holds while requests are throttled and answers are lost, as far
// as the SDK's retries can make up for it.
func TestAStoreInTroubleIsAStore(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	troubled, direct := through(t, dynalite, func(r request) fate {
		switch n := requests.Add(1); {
		case n%5 == 0:
			return throttled
		case n%7 == 0 && repeatable(r):
			return unanswered
		}
		return goesThrough
	})
	storetest.Run(t, func(t *testing.T, now func() time.Time, retention time.Duration) store.Store {
		c := tables(t, direct)
		c.Now, c.Retention = now, retention
		return dynamo.New(troubled, c)
	})
}

// A conditional write whose answer is lost is made again by the SDK, and finds
// its own effect: a Conflict, with everything as if the answer had come. That is
// what the services rely on when they treat one as done.
func TestAConditionalWriteWhoseAnswerIsLostIsAConflictWithItsEffect(t *testing.T) {
	claim := boathook.Claim{ID: "claim_a", LeaseUntil: now.Add(time.Minute)}
	running := func(ctx context.Context, s *dynamo.Store, r boathook.Run) error {
		if err := s.CreateRun(ctx, r); err != nil {
			return err
		}
		_, err := s.ClaimRun(ctx, r.ID, claim, now)
		return err
	}
	retrying := delivery([]byte(`{}`))
	retrying.Status, retrying.NextAttemptAt = boathook.DeliveryRetrying, now
	second := retrying
	second.Status, second.Attempts, second.NextAttemptAt = boathook.DeliverySucceeded, 2, time.Time{}

	for name, c := range map[string]struct {
		before func(ctx context.Context, s *dynamo.Store) error
		call   func(ctx context.Context, s *dynamo.Store) error
		done   func(ctx context.Context, s *dynamo.Store) bool
	}{
		"CreateRun": {
			call: func(ctx context.Context, s *dynamo.Store) error { return s.CreateRun(ctx, run()) },
			done: func(ctx context.Context, s *dynamo.Store) bool {
				r, err := s.Run(ctx, run().WorkspaceID, run().ID)
				return err == nil && r.Status == boathook.RunPending && r.Input.String() == run().Input.String()
			},
		},
		"ClaimRun": {
			before: func(ctx context.Context, s *dynamo.Store) error { return s.CreateRun(ctx, run()) },
			call: func(ctx context.Context, s *dynamo.Store) error {
				_, err := s.ClaimRun(ctx, run().ID, claim, now)
				return err
			},
			done: func(ctx context.Context, s *dynamo.Store) bool {
				head, err := s.RunHead(ctx, run().ID)
				return err == nil && head.Status == boathook.RunRunning && head.Claim.ID == claim.ID
			},
		},
		"FinishRun": {
			before: func(ctx context.Context, s *dynamo.Store) error { return running(ctx, s, run()) },
			call: func(ctx context.Context, s *dynamo.Store) error {
				_, err := s.FinishRun(ctx, run().ID, boathook.Claim{ID: claim.ID}, boathook.Outcome{
					Status: boathook.RunSucceeded, Output: []byte(`{"a":1}`), CompletedAt: now,
				})
				return err
			},
			done: func(ctx context.Context, s *dynamo.Store) bool {
				r, err := s.Run(ctx, run().WorkspaceID, run().ID)
				return err == nil && r.Status == boathook.RunSucceeded && string(r.Output) == `{"a":1}`
			},
		},
		"RecordAttempt, the first": {
			call: func(ctx context.Context, s *dynamo.Store) error { return s.RecordAttempt(ctx, retrying, attempt(1)) },
			done: func(ctx context.Context, s *dynamo.Store) bool {
				d, attempts, err := s.Attempts(ctx, retrying.WorkspaceID, retrying.ID)
				return err == nil && d.Status == boathook.DeliveryRetrying && d.Attempts == 1 && len(attempts) == 1
			},
		},
		"RecordAttempt, a later one": {
			before: func(ctx context.Context, s *dynamo.Store) error { return s.RecordAttempt(ctx, retrying, attempt(1)) },
			call:   func(ctx context.Context, s *dynamo.Store) error { return s.RecordAttempt(ctx, second, attempt(2)) },
			done: func(ctx context.Context, s *dynamo.Store) bool {
				d, attempts, err := s.Attempts(ctx, retrying.WorkspaceID, retrying.ID)
				return err == nil && d.Status == boathook.DeliverySucceeded && d.Attempts == 2 && len(attempts) == 2
			},
		},
	} {
		for _, variable := range []string{moto, dynalite} {
			t.Run(name+" on "+variable, func(t *testing.T) {
				var broken atomic.Bool
				troubled, direct := through(t, variable, func(r request) fate {
					if r.input["ConditionExpression"] != nil && broken.CompareAndSwap(true, false) {
						return unanswered
					}
					return goesThrough
				})
				config := tables(t, direct)
				config.Now = func() time.Time { return now }
				s := dynamo.New(troubled, config)
				if c.before != nil {
					if err := c.before(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
				broken.Store(true)
				if err := c.call(t.Context(), s); !boathook.IsKind(err, boathook.Conflict) {
					t.Errorf("got %v, want a Conflict", err)
				}
				if !c.done(t.Context(), s) {
					t.Error("it has not taken effect")
				}
			})
		}
	}
}

// Steps that are no conditions of their own effect are simply done.
func TestAStepThatTheSDKRepeatsIsDoneOnce(t *testing.T) {
	var broken atomic.Bool
	troubled, direct := through(t, dynalite, func(r request) fate {
		if r.operation == "UpdateItem" && broken.CompareAndSwap(true, false) {
			return unanswered
		}
		return goesThrough
	})
	config := tables(t, direct)
	config.Now = func() time.Time { return now }
	s := dynamo.New(troubled, config)
	ctx := t.Context()
	w := boathook.OutgoingWebhook{ID: "out_a", SourceID: "dep_a", Enabled: true, CreatedAt: now}
	failed := delivery([]byte(`{}`))
	failed.Status = boathook.DeliveryFailed
	for _, err := range []error{s.PutOutgoing(ctx, w), s.RecordAttempt(ctx, failed, attempt(1))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	disabling := boathook.Disabling{At: now, Reason: "gone"}
	broken.Store(true)
	if got, err := s.MarkDisabling(ctx, w.ID, disabling); err != nil || got != disabling {
		t.Errorf("marked %+v, %v", got, err)
	}
	broken.Store(true)
	if _, err := s.MarkSlow(ctx, w.ID, now); err != nil {
		t.Error(err)
	}
	broken.Store(true)
	if _, err := s.MoveProbe(ctx, w.ID, boathook.Probe{}, boathook.Probe{At: now, Wait: time.Second}); err != nil {
		t.Error(err)
	}
	broken.Store(true)
	if err := s.DisableOutgoing(ctx, w.SourceID, w.ID, disabling); err != nil {
		t.Error(err)
	}
	want := boathook.Health{SlowSince: now, Probe: boathook.Probe{At: now, Wait: time.Second}, Disabling: disabling}
	if got, err := s.Outgoing(ctx, w.SourceID, w.ID); err != nil || !cmp.Equal(got.Health, want) || got.Disabled != disabling || got.Enabled {
		t.Errorf("it is %+v, %v", got, err)
	}
	broken.Store(true)
	if err := s.ReopenDelivery(ctx, failed, now); err != nil {
		t.Error(err)
	}
	if d, err := s.Delivery(ctx, failed.WorkspaceID, failed.ID); err != nil || d.Status != boathook.DeliveryRetrying {
		t.Errorf("reopened %+v, %v", d, err)
	}

	// A slot whose answer is lost is lost, and no slot is given twice.
	var slots []time.Time
	for range 4 {
		slot, err := s.ReserveSlot(ctx, w.ID, time.Second, now)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
		broken.Store(true)
	}
	wantSlots := []time.Time{now, now.Add(2 * time.Second), now.Add(4 * time.Second), now.Add(6 * time.Second)}
	if !slices.EqualFunc(slots, wantSlots, time.Time.Equal) {
		t.Errorf("the slots are %v, want %v", slots, wantSlots)
	}
}
