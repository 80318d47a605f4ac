package dynamo_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// TestEveryFieldIsStored fills each field of what is stored, also one that is new
// since, and reads it again.
func TestEveryFieldIsStored(t *testing.T) {
	check := func(name string, test func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error)) {
		t.Run(name, func(t *testing.T) {
			s := keeping()
			put, got, err := test(t.Context(), s, &filler{t: t})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(put, got); diff != "" {
				t.Errorf("what is read is not what was put (-put +read):\n%s", diff)
			}
		})
	}
	check("workspace", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		w := filled[boathook.Workspace](f)
		if err = s.PutWorkspace(ctx, w); err == nil {
			got, err = s.Workspace(ctx, w.ID)
		}
		return w, got, err
	})
	check("token", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		token := filled[boathook.Token](f)
		if err = s.PutToken(ctx, token); err == nil {
			got, err = s.TokenByHash(ctx, token.Hash)
		}
		return token, got, err
	})
	check("listed token", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		token := filled[boathook.Token](f)
		if err = s.PutToken(ctx, token); err == nil {
			got, _, err = s.Tokens(ctx, token.WorkspaceID, boathook.Page{Limit: 10})
		}
		return []boathook.Token{token}, got, err
	})
	check("source", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		src := filled[boathook.Source](f)
		if err = s.PutSource(ctx, src); err == nil {
			got, err = s.Source(ctx, src.WorkspaceID, src.ID)
		}
		src.Revision++
		return src, got, err
	})
	check("version", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		v := filled[boathook.Version](f)
		v.Environment = boathook.Staging
		if v, err = s.AddVersion(ctx, v); err == nil {
			got, err = s.Version(ctx, v.SourceID, v.ID)
		}
		return v, got, err
	})
	check("incoming webhook", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		w := filled[boathook.IncomingWebhook](f)
		if err = s.PutIncoming(ctx, w); err == nil {
			got, err = s.Incoming(ctx, w.SourceID, w.ID)
		}
		w.Revision++
		return w, got, err
	})
	check("outgoing webhook", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		w := filled[boathook.OutgoingWebhook](f)
		if err = s.PutOutgoing(ctx, w); err == nil {
			got, err = s.Outgoing(ctx, w.SourceID, w.ID)
		}
		w.Revision++
		w.Health = boathook.Health{} // which putting leaves as it is
		return w, got, err
	})
	check("run", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		r := filled[boathook.Run](f)
		r.Status = boathook.RunFailed // since that of one which is not over follows from its claim
		if err = s.CreateRun(ctx, r); err == nil {
			got, err = s.Run(ctx, r.WorkspaceID, r.ID)
		}
		return r, got, err
	})
	check("log line", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		line := filled[boathook.LogLine](f)
		if err = s.AppendLog(ctx, boathook.RunHead{ID: "run_a", SourceID: "dep_a"}, 0, []boathook.LogLine{line}); err == nil {
			_, got, err = s.Log(ctx, "run_a", 0, 1<<20)
		}
		return []boathook.LogLine{line}, got, err
	})
	check("request", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		r := filled[boathook.Request](f)
		hash := sha256.Sum256(nil)
		r.Outcome, r.Sender.BodySHA256 = boathook.RequestRejected, hex.EncodeToString(hash[:])
		if err = s.PutRequest(ctx, 0, r); err == nil {
			got, _, err = s.Requests(ctx, store.RequestQuery{
				WorkspaceID: r.WorkspaceID, WebhookID: r.WebhookID, Outcome: r.Outcome, Page: boathook.Page{Limit: 10},
			})
		}
		return []boathook.Request{r}, got, err
	})
	check("delivery and attempt", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		d, a := filled[boathook.Delivery](f), filled[boathook.Attempt](f)
		d.ID = boathook.NewDeliveryID(&boathook.Event{ID: d.EventID, Time: now}, d.WebhookID)
		a.Number = 1
		var read boathook.Delivery
		var attempts []boathook.Attempt
		if err = s.RecordAttempt(ctx, d, a); err == nil {
			read, attempts, err = s.Attempts(ctx, d.WorkspaceID, d.ID)
		}
		d.Last = a.Summary()
		return []any{d, []boathook.Attempt{a}}, []any{read, attempts}, err
	})
	check("pinned event", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		p := filled[store.EventPin](f)
		p.Published, p.Deliveries = false, nil // as it is pinned
		if _, err = s.PinEvent(ctx, p); err == nil {
			got, err = s.PinEvent(ctx, store.EventPin{WorkspaceID: p.WorkspaceID, ID: p.ID, Hash: p.Hash})
		}
		return p, got, err
	})
	check("load", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		limit := store.Limit{RatePerMinute: 9, MaxInFlight: 9}
		load, err := store.Load{}.Admit("run_a", limit, now)
		f.wantFull(load)
		if err == nil {
			_, err = s.Admit(ctx, "agent_a", "run_a", limit, store.Load{}, now)
		}
		var view store.AgentView
		if err == nil {
			view, err = s.LookUpAgent(ctx, "agent_a")
		}
		return load, view.Load, err
	})
	check("scheduled item", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		d := filled[store.Due](f)
		for shard := range store.DueShards {
			if err := s.PutDue(ctx, d); err != nil {
				return nil, nil, err
			}
			rows, err := s.Due(ctx, shard, store.Due{}, d.At, 10)
			if err != nil || len(rows) > 0 {
				return []store.Due{d}, rows, err
			}
		}
		return d, nil, nil
	})
	check("connection", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		c := filled[boathook.Connection](f)
		if err = s.PutConnection(ctx, c); err == nil {
			got, err = s.Connection(ctx, c.ID)
		}
		return c, got, err
	})
	check("watcher", func(ctx context.Context, s *dynamo.Store, f *filler) (put, got any, err error) {
		c := filled[boathook.Connection](f)
		if err = s.Watch(ctx, c, boathook.LogChannel); err == nil {
			got, err = s.Watchers(ctx, c.WorkspaceID, boathook.LogChannel)
		}
		return []boathook.Connection{c}, got, err
	})
}

// TestEveryFieldOfAHealthIsRead has a health's attributes, which are written one by
// one.
func TestEveryFieldOfAHealthIsRead(t *testing.T) {
	at := fmt.Sprintf(`{"N":"%d"}`, now.UnixMilli())
	s, _ := onWire(func(request) *reply {
		return ok(`{"Responses":{"records":[{"pk":{"S":"health#out_a"},"sk":{"S":"health"},"x":{"N":"9999999999"},
			"fs":` + at + `,"fn":{"N":"1"},"fh":{"NS":["2","1"]},"sl":` + at + `,"pa":` + at + `,"pw":{"N":"3"},"da":` + at + `,"dr":{"S":"gone"},
			"al":{"S":"told"},"aa":` + at + `,"ai":` + at + `}]}}`)
	})
	got, err := s.Health(t.Context(), "out_a")
	if err != nil {
		t.Fatal(err)
	}
	want := boathook.Health{
		FailingSince: now, Failures: 1, FailingHours: []int64{1, 2}, SlowSince: now,
		Probe: boathook.Probe{At: now, Wait: 3 * time.Millisecond}, Disabling: boathook.Disabling{At: now, Reason: "gone"},
		Alert: boathook.Alert{Step: boathook.AlertTold, At: now, Since: now},
	}
	(&filler{t: t}).wantFull(want)
	if diff := cmp.Diff(map[string]boathook.Health{"out_a": want}, got); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
}

// filler gives fields values that are not zero, and differ.
type filler struct {
	t *testing.T
	n int
}

func filled[T any](f *filler) (v T) {
	f.t.Helper()
	f.fill(reflect.ValueOf(&v).Elem())
	f.wantFull(v)
	return v
}

// fill is of texts that may be ids, and of times and durations in whole
// milliseconds, as they are kept.
func (f *filler) fill(v reflect.Value) {
	f.t.Helper()
	f.n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(now.Add(time.Duration(f.n) * time.Millisecond)))
		return
	case time.Duration:
		v.SetInt(int64(f.n) * int64(time.Millisecond))
		return
	case json.RawMessage:
		v.SetBytes([]byte(strconv.Itoa(f.n)))
		return
	case boathook.Body:
		v.Set(reflect.ValueOf(boathook.NewBody([]byte(strconv.Itoa(f.n)))))
		return
	case http.Header:
		v.Set(reflect.ValueOf(http.Header{"X-" + strconv.Itoa(f.n): {strconv.Itoa(f.n)}}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("v" + strconv.Itoa(f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint8:
		v.SetUint(uint64(f.n%255 + 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for _, field := range v.Fields() {
			f.fill(field)
		}
	default:
		f.t.Fatalf("no value is known for a %s", v.Type())
	}
}

// wantFull tells whether no field is zero, however deep.
func (f *filler) wantFull(v any) {
	f.t.Helper()
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.IsZero() {
			f.t.Errorf("%s is not filled", path)
			return
		}
		_, isTime := reflect.TypeAssert[time.Time](v)
		_, isBody := reflect.TypeAssert[boathook.Body](v)
		switch {
		case v.Kind() == reflect.Pointer:
			walk(path, v.Elem())
		case v.Kind() == reflect.Struct && !isTime && !isBody:
			for field, value := range v.Fields() {
				walk(path+"."+field.Name, value)
			}
		}
	}
	walk(reflect.TypeOf(v).String(), reflect.ValueOf(v))
}

// keeping is a store whose requests are answered with what it has put, whatever
// their conditions. What it would change is not there, but for what is live of a
// source.
func keeping() *dynamo.Store {
	var kept []attributes
	keyOf := func(it attributes) string { return fmt.Sprint(it["pk"], it["sk"]) }
	find := func(key attributes) attributes {
		if i := slices.IndexFunc(kept, func(it attributes) bool { return keyOf(it) == keyOf(key) }); i >= 0 {
			return kept[i]
		}
		return nil
	}
	s, _ := onWire(func(r request) *reply {
		answer := attributes{}
		switch r.operation {
		case "PutItem":
			it := r.input["Item"].(attributes)
			if find(it) != nil {
				return failure("ConditionalCheckFailedException")
			}
			kept = append(kept, it)
		case "UpdateItem":
			if r.input["TableName"] != "config" {
				return failure("ConditionalCheckFailedException")
			}
			answer["Attributes"] = attributes{"Versions": attributes{"N": "5"}}
		case "GetItem":
			if it := find(r.input["Key"].(attributes)); it != nil {
				answer["Item"] = it
			}
		case "BatchGetItem":
			responses := attributes{}
			for table, wanted := range r.input["RequestItems"].(attributes) {
				found := []attributes{}
				for _, key := range wanted.(attributes)["Keys"].([]any) {
					if it := find(key.(attributes)); it != nil {
						found = append(found, it)
					}
				}
				responses[table] = found
			}
			answer["Responses"] = responses
		case "Query":
			partition, _, _ := strings.Cut(r.input["KeyConditionExpression"].(string), " ")
			values, found := r.input["ExpressionAttributeValues"].(attributes), []attributes{}
			for _, it := range kept {
				if reflect.DeepEqual(it[partition], values[":p"]) || reflect.DeepEqual(it[partition], values[":pk"]) {
					if _, listed := it["place"]; listed || r.input["IndexName"] == nil {
						found = append(found, it)
					}
				}
			}
			answer["Items"] = found
		}
		body, err := json.Marshal(answer)
		if err != nil {
			panic(err) // it was JSON before
		}
		return ok(string(body))
	})
	return s
}
