package dynamo_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/store/dynamo"
)

// Where a method writes more than one item, a death between two leaves what can be
// found and repeated, and nothing that opens or starts anything. So each first
// write that fails is the last.
func TestWritesComeInTheOrderInWhichADeathLeavesNothingWrong(t *testing.T) {
	token := boathook.Token{ID: "tok_a", WorkspaceID: "ws_a", Hash: boathook.HashToken("bh_a"), CreatedAt: now}
	for name, c := range map[string]struct {
		call func(ctx context.Context, s *dynamo.Store) error
		want []string // the beginnings of the keys that are written
	}{
		"a workspace is listed before it is there": {
			func(ctx context.Context, s *dynamo.Store) error {
				return s.PutWorkspace(ctx, boathook.Workspace{ID: "ws_a", CreatedAt: now})
			},
			[]string{"workspaces / ws_a", "ws#ws_a / workspace"},
		},
		"a workspace that is deleted is not there before it is not listed": {
			func(ctx context.Context, s *dynamo.Store) error { return s.DeleteWorkspace(ctx, "ws_a") },
			[]string{"ws#ws_a / workspace", "workspaces / ws_a"},
		},
		"a token is listed before it opens anything": {
			func(ctx context.Context, s *dynamo.Store) error { return s.PutToken(ctx, token) },
			[]string{"ws#ws_a / tok#tok_a", "tok#"},
		},
		"a token that is revoked opens nothing before it is out of the list": {
			func(ctx context.Context, s *dynamo.Store) error { return s.DeleteToken(ctx, "ws_a", "tok_a") },
			[]string{"tok#", "ws#ws_a / tok#tok_a"},
		},
		"a source is listed before it is there": {
			func(ctx context.Context, s *dynamo.Store) error {
				return s.PutSource(ctx, boathook.Source{ID: "dep_a", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now})
			},
			[]string{"ws#ws_a / src#dep_a", "src#dep_a / source"},
		},
		"a source that is changed is compared with what was read before it is listed so, and triggers see its limit": {
			func(ctx context.Context, s *dynamo.Store) error {
				return s.PutSource(ctx, boathook.Source{ID: "dep_a", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now, Revision: 1})
			},
			[]string{"src#dep_a / source", "ws#ws_a / src#dep_a", "src#dep_a / live"},
		},
		"a source that is deleted starts nothing, then is not there, then is not listed": {
			func(ctx context.Context, s *dynamo.Store) error { return s.DeleteSource(ctx, "ws_a", "dep_a") },
			[]string{"src#dep_a / live", "src#dep_a / source", "ws#ws_a / src#dep_a"},
		},
		"a webhook goes before its health, which may be another source's": {
			func(ctx context.Context, s *dynamo.Store) error { return s.DeleteOutgoing(ctx, "dep_a", "out_a") },
			[]string{"src#dep_a / out#out_a", "health#out_a / health"},
		},
		"watchers go before their connection": {
			func(ctx context.Context, s *dynamo.Store) error {
				return s.DeleteConnection(ctx, boathook.Connection{ID: "c", WorkspaceID: "ws_a", ConnectedAt: now})
			},
			[]string{"watch#ws_a / c", "watch#ws_a#deliveries / c", "conn#c"},
		},
		"a version is numbered, there, and live": {
			func(ctx context.Context, s *dynamo.Store) error {
				_, err := s.AddVersion(ctx, boathook.Version{ID: "ver_a", SourceID: "dep_a", WorkspaceID: "ws_a", Environment: boathook.Production, CreatedAt: now})
				return err
			},
			[]string{"src#dep_a / live", "src#dep_a / ver#ver_a", "src#dep_a / live"},
		},
		"an attempt is there before its delivery follows": {
			func(ctx context.Context, s *dynamo.Store) error {
				return s.RecordAttempt(ctx, delivery([]byte(`{}`)), attempt(2))
			},
			[]string{"att#", "dlv#"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for dies := 0; dies <= len(c.want); dies++ {
				writes := 0
				var failed bool
				s, w := onWire(func(r request) *reply {
					switch {
					case written(r) == "":
						return ok(`{"Item":{"ID":{"S":"tok_a"},"Hash":{"B":"` + strings.Repeat("A", 42) + `A="}}}`)
					case writes == dies:
						failed = true
						return failure("ValidationException") // which the SDK does not try again
					}
					writes++
					return ok(`{"Attributes":{"pk":{"S":"was there"},"n":{"N":"9"},"Versions":{"N":"5"}}}`)
				})
				err := c.call(t.Context(), s)
				if failed != (err != nil) {
					t.Errorf("of write %d: failed %v, and the error is %v", dies+1, failed, err)
				}
				var keys []string
				for _, r := range w.requests {
					if k := written(r); k != "" {
						keys = append(keys, k)
					}
				}
				want := c.want[:min(dies+1, len(c.want))]
				if !slices.EqualFunc(keys, want, strings.HasPrefix) {
					t.Errorf("where write %d fails, it writes %q, want %q", dies+1, keys, want)
				}
			}
		})
	}
}

// written is the key of the item that a request writes; empty for any other.
func written(r request) string {
	for _, field := range []string{"Item", "Key"} {
		if item, ok := r.input[field].(attributes); ok && r.operation != "GetItem" {
			return item["pk"].(attributes)["S"].(string) + " / " + item["sk"].(attributes)["S"].(string)
		}
	}
	return ""
}
