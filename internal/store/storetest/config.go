package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) testWorkspaces(t *testing.T) {
	w := boathook.Workspace{
		ID: boathook.NewID(boathook.WorkspaceID), Name: "Acme ⚓", DataKey: []byte{0, 1, 0xff}, CreatedAt: s.clock.Now(),
	}

	t.Run("one that was never put is not found", func(t *testing.T) {
		_, err := s.Workspace(t.Context(), w.ID)
		wantKind(t, "Workspace", err, boathook.NotFound)
	})
	t.Run("one reads back as it was put", func(t *testing.T) {
		must(t, s.PutWorkspace(t.Context(), w))
		wantSame(t, "workspace", read(s.Workspace(t.Context(), w.ID))(t), w)
	})
	t.Run("an id is taken once", func(t *testing.T) {
		other := w
		other.Name, other.DataKey = "Other", []byte("other")
		wantKind(t, "PutWorkspace", s.PutWorkspace(t.Context(), other), boathook.Conflict)
		wantSame(t, "workspace", read(s.Workspace(t.Context(), w.ID))(t), w)
	})
	t.Run("of several that take an id at once, one wins", func(t *testing.T) {
		id := boathook.NewID(boathook.WorkspaceID)
		won := atOnce(t, 4, func(ctx context.Context, i int) error {
			return s.PutWorkspace(ctx, boathook.Workspace{ID: id, Name: strconv.Itoa(i), CreatedAt: s.clock.Now()})
		})
		if len(won) != 1 {
			t.Fatalf("%d won", len(won))
		}
		wantSame(t, "name", read(s.Workspace(t.Context(), id))(t).Name, strconv.Itoa(won[0]))
	})
	t.Run("the settings of its portals are replaced, and nothing else of it", func(t *testing.T) {
		for _, p := range []boathook.PortalSettings{
			{Name: "Kestrel ⚓", Accent: "#7a2d63", AccentDark: "#e0a2cd", FrameOrigins: []string{"https://a.example", "https://b.example"}},
			{Accent: "#0c6375"},
			{},
		} {
			must(t, s.PutPortal(t.Context(), w.ID, p))
			want := w
			want.Portal = p
			wantSame(t, "workspace", read(s.Workspace(t.Context(), w.ID))(t), want)
		}
		absent := boathook.NewID(boathook.WorkspaceID)
		wantKind(t, "PutPortal of another", s.PutPortal(t.Context(), absent, boathook.PortalSettings{Name: "x"}), boathook.NotFound)
		_, err := s.Workspace(t.Context(), absent)
		wantKind(t, "Workspace", err, boathook.NotFound)
	})
	t.Run("one that is deleted is not there, and not listed", func(t *testing.T) {
		must(t, s.DeleteWorkspace(t.Context(), w.ID))
		_, err := s.Workspace(t.Context(), w.ID)
		wantKind(t, "Workspace", err, boathook.NotFound)
		listed, _, err := s.Workspaces(t.Context(), boathook.Page{Limit: 100})
		must(t, err)
		if slices.ContainsFunc(listed, func(l boathook.Workspace) bool { return l.ID == w.ID }) {
			t.Error("it is listed")
		}
		wantKind(t, "DeleteWorkspace again", s.DeleteWorkspace(t.Context(), w.ID), boathook.NotFound)
	})
	t.Run("one that is not empty stays", func(t *testing.T) {
		full := boathook.Workspace{ID: boathook.NewID(boathook.WorkspaceID), Name: "Acme", CreatedAt: s.clock.Now()}
		must(t, s.PutWorkspace(t.Context(), full))
		token := boathook.Token{ID: boathook.NewID(boathook.TokenID), WorkspaceID: full.ID, Hash: boathook.HashToken("t"), CreatedAt: s.clock.Now()}
		must(t, s.PutToken(t.Context(), token))
		wantKind(t, "DeleteWorkspace with a token", s.DeleteWorkspace(t.Context(), full.ID), boathook.Conflict)
		must(t, s.DeleteToken(t.Context(), full.ID, token.ID))
		source := s.newSource(full.ID)
		must(t, s.PutSource(t.Context(), source))
		wantKind(t, "DeleteWorkspace with a source", s.DeleteWorkspace(t.Context(), full.ID), boathook.Conflict)
		wantSame(t, "workspace", read(s.Workspace(t.Context(), full.ID))(t), full)
		must(t, s.DeleteSource(t.Context(), full.ID, source.ID))
		must(t, s.DeleteWorkspace(t.Context(), full.ID))
	})
}

func (s *suite) testWorkspaceList(t *testing.T) {
	list[boathook.Workspace]{
		page: s.Workspaces,
		add: func(t *testing.T, at time.Time) string {
			w := boathook.Workspace{ID: boathook.NewID(boathook.WorkspaceID), Name: "Acme", DataKey: []byte{1}, CreatedAt: at}
			must(t, s.PutWorkspace(t.Context(), w))
			return w.ID
		},
		id:   func(w boathook.Workspace) string { return w.ID },
		time: func(w boathook.Workspace) time.Time { return w.CreatedAt },
	}.test(t, s.clock.Now())
}

func (s *suite) testTokens(t *testing.T) {
	newToken := func(workspaceID string) boathook.Token {
		return boathook.Token{
			ID: boathook.NewID(boathook.TokenID), WorkspaceID: workspaceID, Name: "ci", Role: boathook.Member,
			Hash: boathook.HashToken(boathook.NewAPIToken()), CreatedAt: s.clock.Now(),
		}
	}
	tokensOf := func(workspaceID string) list[boathook.Token] {
		return list[boathook.Token]{
			page: func(ctx context.Context, p boathook.Page) ([]boathook.Token, string, error) {
				return s.Tokens(ctx, workspaceID, p)
			},
			add: func(t *testing.T, at time.Time) string {
				token := newToken(workspaceID)
				token.CreatedAt = at
				must(t, s.PutToken(t.Context(), token))
				return token.ID
			},
			id:   func(token boathook.Token) string { return token.ID },
			time: func(token boathook.Token) time.Time { return token.CreatedAt },
		}
	}
	workspaceID, otherID := boathook.NewID(boathook.WorkspaceID), boathook.NewID(boathook.WorkspaceID)

	t.Run("one that was never put is not found", func(t *testing.T) {
		_, err := s.TokenByHash(t.Context(), sha256.Sum256([]byte("nobody's")))
		wantKind(t, "TokenByHash", err, boathook.NotFound)
		wantKind(t, "DeleteToken", s.DeleteToken(t.Context(), workspaceID, boathook.NewID(boathook.TokenID)), boathook.NotFound)
	})
	t.Run("one is found by its hash, and putting it again changes nothing", func(t *testing.T) {
		token := newToken(boathook.NewID(boathook.WorkspaceID))
		for range 2 {
			must(t, s.PutToken(t.Context(), token))
			wantSame(t, "token", read(s.TokenByHash(t.Context(), token.Hash))(t), token)
			wantSame(t, "token by id", read(s.Token(t.Context(), token.WorkspaceID, token.ID))(t), token)
			_, err := s.Token(t.Context(), boathook.NewID(boathook.WorkspaceID), token.ID)
			wantKind(t, "Token of another workspace", err, boathook.NotFound)
			wantSame(t, "the workspace's", tokensOf(token.WorkspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Token{token})
		}
	})
	t.Run("one that is deleted opens nothing and is not listed", func(t *testing.T) {
		kept, token := newToken(workspaceID), newToken(workspaceID)
		must(t, s.PutToken(t.Context(), kept))
		must(t, s.PutToken(t.Context(), token))
		must(t, s.DeleteToken(t.Context(), workspaceID, token.ID))
		_, err := s.TokenByHash(t.Context(), token.Hash)
		wantKind(t, "TokenByHash", err, boathook.NotFound)
		_, err = s.Token(t.Context(), token.WorkspaceID, token.ID)
		wantKind(t, "Token", err, boathook.NotFound)
		wantSame(t, "the workspace's", tokensOf(workspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Token{kept})
		wantKind(t, "DeleteToken again", s.DeleteToken(t.Context(), workspaceID, token.ID), boathook.NotFound)
	})
	t.Run("another workspace's can't be deleted or listed", func(t *testing.T) {
		token := newToken(boathook.NewID(boathook.WorkspaceID))
		must(t, s.PutToken(t.Context(), token))
		wantKind(t, "DeleteToken", s.DeleteToken(t.Context(), workspaceID, token.ID), boathook.NotFound)
		wantSame(t, "token", read(s.TokenByHash(t.Context(), token.Hash))(t), token)
		wantSame(t, "another workspace's", tokensOf(otherID).all(t, boathook.Page{Limit: 10}), []boathook.Token(nil))
	})
	t.Run("a workspace's are listed newest first, in pages", func(t *testing.T) {
		tokensOf(otherID).test(t, s.clock.Now())
	})
}

func (s *suite) newSource(workspaceID string) boathook.Source {
	return boathook.Source{
		ID: boathook.NewID(boathook.DeploymentID), WorkspaceID: workspaceID,
		Kind: boathook.Deployment, Owner: "acme", Name: "reviewer", CreatedAt: s.clock.Now(),
		App: &boathook.AppSettings{Type: boathook.Capacitor, UpdatedAt: s.clock.Now()},
	}
}

func (s *suite) sourcesOf(workspaceID string) list[boathook.Source] {
	return list[boathook.Source]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Source, string, error) {
			return s.Sources(ctx, workspaceID, boathook.Deployment, p)
		},
		add: func(t *testing.T, at time.Time) string {
			source := s.newSource(workspaceID)
			source.CreatedAt = at
			must(t, s.PutSource(t.Context(), source))
			return source.ID
		},
		id:   func(source boathook.Source) string { return source.ID },
		time: func(source boathook.Source) time.Time { return source.CreatedAt },
	}
}

func (s *suite) testSources(t *testing.T) {
	workspaceID, otherID := boathook.NewID(boathook.WorkspaceID), boathook.NewID(boathook.WorkspaceID)
	source := s.newSource(workspaceID)

	t.Run("one that was never put is not found", func(t *testing.T) {
		_, err := s.Source(t.Context(), workspaceID, source.ID)
		wantKind(t, "Source", err, boathook.NotFound)
	})
	t.Run("one reads back as it was put", func(t *testing.T) {
		must(t, s.PutSource(t.Context(), source))
		source.Revision++
		wantSame(t, "source", read(s.Source(t.Context(), workspaceID, source.ID))(t), source)
	})
	t.Run("a change of what was read last replaces it whole, also in lists", func(t *testing.T) {
		source.Name = "renamed"
		source.Deployment = &boathook.DeploymentSettings{Retry: boathook.RunRetries{Max: 3, Backoff: 30 * time.Second}}
		must(t, s.PutSource(t.Context(), source))
		source.Revision++
		wantSame(t, "source", read(s.Source(t.Context(), workspaceID, source.ID))(t), source)
		wantSame(t, "the workspace's", s.sourcesOf(workspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Source{source})
	})
	t.Run("a change of what was read before another change is a conflict", func(t *testing.T) {
		for _, revision := range []int{source.Revision - 1, source.Revision + 1} {
			stale := source
			stale.Name, stale.Revision = "stale", revision
			wantKind(t, "PutSource", s.PutSource(t.Context(), stale), boathook.Conflict)
		}
		wantSame(t, "source", read(s.Source(t.Context(), workspaceID, source.ID))(t), source)
		wantSame(t, "the workspace's", s.sourcesOf(workspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Source{source})
	})
	t.Run("another workspace's is not found or listed", func(t *testing.T) {
		_, err := s.Source(t.Context(), otherID, source.ID)
		wantKind(t, "Source", err, boathook.NotFound)
		wantSame(t, "another workspace's", s.sourcesOf(otherID).all(t, boathook.Page{Limit: 10}), []boathook.Source(nil))
	})
	t.Run("a list is of one kind", func(t *testing.T) {
		other := s.newSource(boathook.NewID(boathook.WorkspaceID))
		other.Kind = "other"
		must(t, s.PutSource(t.Context(), other))
		wantSame(t, "deployments", s.sourcesOf(other.WorkspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Source(nil))
		others, _, err := s.Sources(t.Context(), other.WorkspaceID, other.Kind, boathook.Page{Limit: 10})
		must(t, err)
		other.Revision = 1
		wantSame(t, "of the other kind", others, []boathook.Source{other})
	})
	t.Run("a workspace's are listed newest first, in pages", func(t *testing.T) {
		s.sourcesOf(otherID).test(t, s.clock.Now())
	})
	t.Run("another workspace's cursor gives nothing of it", func(t *testing.T) {
		_, cursor, err := s.Sources(t.Context(), otherID, boathook.Deployment, boathook.Page{Limit: 1})
		must(t, err)
		s.sourcesOf(workspaceID).testForeign(t, cursor)
	})
}

func (s *suite) testDeleteSource(t *testing.T) {
	workspaceID := boathook.NewID(boathook.WorkspaceID)
	source := s.newSource(workspaceID)
	must(t, s.PutSource(t.Context(), source))
	source.Revision = 1
	version := read(s.AddVersion(t.Context(), s.newVersion(source)))(t)
	in, out := s.newIncoming(source), s.newOutgoing(source)
	must(t, s.PutIncoming(t.Context(), in))
	must(t, s.PutOutgoing(t.Context(), out))
	in.Revision, out.Revision = 1, 1

	t.Run("another workspace's stays whole", func(t *testing.T) {
		wantKind(t, "DeleteSource", s.DeleteSource(t.Context(), boathook.NewID(boathook.WorkspaceID), source.ID), boathook.NotFound)
		wantSame(t, "source", read(s.Source(t.Context(), workspaceID, source.ID))(t), source)
		wantSame(t, "version", read(s.Version(t.Context(), source.ID, version.ID))(t), version)
		wantSame(t, "outgoing webhook", read(s.Outgoing(t.Context(), source.ID, out.ID))(t), out)
	})
	t.Run("it takes its versions and webhooks with it, and no other source's", func(t *testing.T) {
		other := s.newSource(workspaceID)
		must(t, s.PutSource(t.Context(), other))
		other.Revision = 1
		otherIn := s.newIncoming(other)
		must(t, s.PutIncoming(t.Context(), otherIn))
		otherIn.Revision = 1

		must(t, s.DeleteSource(t.Context(), workspaceID, source.ID))
		_, err := s.Source(t.Context(), workspaceID, source.ID)
		wantKind(t, "Source", err, boathook.NotFound)
		_, err = s.Version(t.Context(), source.ID, version.ID)
		wantKind(t, "Version", err, boathook.NotFound)
		_, err = s.Incoming(t.Context(), source.ID, in.ID)
		wantKind(t, "Incoming", err, boathook.NotFound)
		_, err = s.Outgoing(t.Context(), source.ID, out.ID)
		wantKind(t, "Outgoing", err, boathook.NotFound)
		versions, _, err := s.Versions(t.Context(), source.ID, boathook.Page{Limit: 10})
		must(t, err)
		wantSame(t, "versions", versions, []boathook.Version{})
		wantSame(t, "live", read(s.Live(t.Context(), source.ID))(t), map[boathook.Environment]boathook.LiveVersion{})
		wantSame(t, "trigger", read(s.LookUpTrigger(t.Context(), source.ID, in.ID, ""))(t), store.TriggerView{})

		wantSame(t, "the workspace's", s.sourcesOf(workspaceID).all(t, boathook.Page{Limit: 10}), []boathook.Source{other})
		wantSame(t, "the other's webhook", read(s.Incoming(t.Context(), other.ID, otherIn.ID))(t), otherIn)
	})
	t.Run("a repeat removes what is left below it", func(t *testing.T) {
		out.Revision = 0
		must(t, s.PutOutgoing(t.Context(), out)) // as a failed call leaves it
		if err := s.DeleteSource(t.Context(), workspaceID, source.ID); !boathook.IsKind(err, boathook.NotFound) {
			must(t, err)
		}
		wantSame(t, "outgoing webhooks", read(s.AllOutgoing(t.Context(), source.ID))(t), []boathook.OutgoingWebhook{})
	})
	t.Run("one of which nothing is left is not found", func(t *testing.T) {
		wantKind(t, "DeleteSource", s.DeleteSource(t.Context(), workspaceID, source.ID), boathook.NotFound)
	})
	t.Run("one with more webhooks than a batch holds goes whole", func(t *testing.T) {
		big := s.newSource(workspaceID)
		must(t, s.PutSource(t.Context(), big))
		for range 30 {
			must(t, s.PutIncoming(t.Context(), s.newIncoming(big)))
		}
		must(t, s.DeleteSource(t.Context(), workspaceID, big.ID))
		wantSame(t, "incoming webhooks", read(s.AllIncoming(t.Context(), big.ID))(t), []boathook.IncomingWebhook{})
	})
}

func (s *suite) newVersion(source boathook.Source) boathook.Version {
	return boathook.Version{
		ID: boathook.NewID(boathook.VersionID), SourceID: source.ID, WorkspaceID: source.WorkspaceID,
		Environment: boathook.Production, CreatedAt: s.clock.Now(),
		Target: boathook.Target{Type: boathook.TargetHTTP, URL: "https://example.com/run?a=b&c=<d>", TimeoutSeconds: 30},
	}
}

func (s *suite) testVersions(t *testing.T) {
	type live = map[boathook.Environment]boathook.LiveVersion
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	must(t, s.PutSource(t.Context(), source))

	t.Run("a source without versions has nothing live", func(t *testing.T) {
		wantSame(t, "live", read(s.Live(t.Context(), source.ID))(t), live{})
		_, err := s.Version(t.Context(), source.ID, boathook.NewID(boathook.VersionID))
		wantKind(t, "Version", err, boathook.NotFound)
	})

	var one, two, three boathook.Version
	t.Run("numbers count across environments, and each new version goes live in its own", func(t *testing.T) {
		staging := s.newVersion(source)
		staging.Environment = boathook.Staging
		one = read(s.AddVersion(t.Context(), s.newVersion(source)))(t)
		two = read(s.AddVersion(t.Context(), staging))(t)
		three = read(s.AddVersion(t.Context(), s.newVersion(source)))(t)
		wantSame(t, "numbers", []int{one.Number, two.Number, three.Number}, []int{1, 2, 3})
		wantSame(t, "live", read(s.Live(t.Context(), source.ID))(t), live{
			boathook.Production: {ID: three.ID, Number: 3}, boathook.Staging: {ID: two.ID, Number: 2},
		})
	})
	t.Run("activating rolls back and promotes, and may be repeated", func(t *testing.T) {
		for range 2 {
			must(t, s.Activate(t.Context(), one, boathook.Production))
			must(t, s.Activate(t.Context(), three, boathook.Staging))
			wantSame(t, "live", read(s.Live(t.Context(), source.ID))(t), live{
				boathook.Production: {ID: one.ID, Number: 1}, boathook.Staging: {ID: three.ID, Number: 3},
			})
		}
		wantSame(t, "next number", read(s.AddVersion(t.Context(), s.newVersion(source)))(t).Number, 4)
	})
	t.Run("one reads back as it was added, with its number", func(t *testing.T) {
		for name, target := range map[string]boathook.Target{
			"http":    {Type: boathook.TargetHTTP, URL: "https://example.com/", Headers: map[string]string{"X-Key": ""}, TimeoutSeconds: 840},
			"lambda":  {Type: boathook.TargetLambda, FunctionARN: "arn:aws:lambda:eu-west-1:123456789012:function:run"},
			"command": {Type: boathook.TargetCommand, Argv: []string{"sh", "-c", "", "echo \"$1\" é"}},
		} {
			t.Run(name, func(t *testing.T) {
				v := s.newVersion(source)
				v.Target, v.SealedHeaders = target, []byte{0, 0xff, '\n'}
				added := read(s.AddVersion(t.Context(), v))(t)
				v.Number = added.Number
				wantSame(t, "as added", added, v)
				wantSame(t, "as read", read(s.Version(t.Context(), source.ID, v.ID))(t), v)
			})
		}
	})
	t.Run("another source's is not found", func(t *testing.T) {
		_, err := s.Version(t.Context(), boathook.NewID(boathook.DeploymentID), one.ID)
		wantKind(t, "Version", err, boathook.NotFound)
	})
	t.Run("of several added at once, each has a number of its own and one is live", func(t *testing.T) {
		other := s.newSource(source.WorkspaceID)
		must(t, s.PutSource(t.Context(), other))
		added := make([]boathook.Version, 5)
		atOnce(t, len(added), func(ctx context.Context, i int) (err error) {
			added[i], err = s.AddVersion(ctx, s.newVersion(other))
			return err
		})
		var numbers []int
		numberOf := map[string]int{}
		for _, v := range added {
			numbers = append(numbers, v.Number)
			numberOf[v.ID] = v.Number
		}
		slices.Sort(numbers)
		wantSame(t, "numbers", numbers, []int{1, 2, 3, 4, 5})
		now := read(s.Live(t.Context(), other.ID))(t)[boathook.Production]
		if numberOf[now.ID] == 0 || numberOf[now.ID] != now.Number {
			t.Errorf("live is %v, which is none of %v", now, numberOf)
		}
		wantSame(t, "the stored number", read(s.Version(t.Context(), other.ID, now.ID))(t).Number, now.Number)
	})
	t.Run("a source's are listed newest first, in pages", func(t *testing.T) {
		other := s.newSource(source.WorkspaceID)
		must(t, s.PutSource(t.Context(), other))
		list[boathook.Version]{
			page: func(ctx context.Context, p boathook.Page) ([]boathook.Version, string, error) {
				return s.Versions(ctx, other.ID, p)
			},
			add: func(t *testing.T, at time.Time) string {
				v := s.newVersion(other)
				v.CreatedAt = at
				return strconv.Itoa(read(s.AddVersion(t.Context(), v))(t).Number)
			},
			id:         func(v boathook.Version) string { return strconv.Itoa(v.Number) },
			time:       func(v boathook.Version) time.Time { return v.CreatedAt },
			growsAtEnd: true,
		}.test(t, s.clock.Now())
	})
}

func (s *suite) newIncoming(source boathook.Source) boathook.IncomingWebhook {
	id := boathook.NewID(boathook.IncomingID)
	return boathook.IncomingWebhook{
		ID: id, WorkspaceID: source.WorkspaceID, SourceID: source.ID, Name: "GitHub", Environment: boathook.Staging,
		Enabled: true, TokenHash: boathook.NewURLToken(source.ID, id).Hash(), SealedToken: []byte{0xff, 0, 1}, WaitForStart: 1500 * time.Millisecond,
		Verification: boathook.Verification{
			Preset: "hmac", SealedSecret: []byte{0, 0xff}, Header: "X-Signature", Algorithm: "sha512", Encoding: "base64",
			Prefix: "v1=", TimestampHeader: "X-At", DeliveryHeader: "X-Delivery",
		},
		Filter:    boathook.Filter{Events: []string{"push"}, Pointer: "/a~1b", Equals: json.RawMessage(`null`), JQ: ".body.a == 1"},
		Coalesce:  boathook.Coalescing{Key: ".body.ref", Quiet: 5 * time.Second, MaxWait: time.Hour},
		CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now(),
	}
}

func (s *suite) newOutgoing(source boathook.Source) boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: source.WorkspaceID, SourceID: source.ID,
		Name: "Slack", URL: "https://example.com/hook", Events: []boathook.EventType{boathook.EventRunFailed, boathook.EventRunSucceeded},
		Environment: boathook.Production, Dialect: "crewship", Format: boathook.Slack,
		Filter: `.data.status == "failed"`, Transform: "{text: .type}", Timeout: 30 * time.Second, AlertAfter: boathook.AlertThreshold{Failures: 5, Over: time.Hour},
		Retry: []time.Duration{5 * time.Second, 500 * time.Millisecond, 24 * time.Hour}, RateLimit: 25, Enabled: true,
		Secrets: boathook.SealedSecrets{
			Current: []byte{0, 1, 2}, Previous: []byte{0xff}, PreviousUntil: s.clock.Now().Add(time.Hour),
		},
		SealedHeaders: []byte{0, 0xff, '\n'}, HeaderNames: []string{"X-A", "X-B"},
		Channels: []string{"orders", "eu"}, Metadata: map[string]string{"plan": "team", "#": ""},
		CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now(),
	}
}

func (s *suite) testIncoming(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	testWebhooks(t, webhooks[boathook.IncomingWebhook]{
		put: s.PutIncoming, get: s.Incoming, all: s.AllIncoming, remove: s.DeleteIncoming,
		make: func(age time.Duration) (string, boathook.IncomingWebhook) {
			w := s.newIncoming(source)
			w.CreatedAt = w.CreatedAt.Add(-age)
			return w.ID, w
		},
		change: func(w *boathook.IncomingWebhook) {
			w.Name, w.Enabled, w.WaitForStart, w.TokenHash = "", false, 0, [sha256.Size]byte{1}
			w.Verification, w.Filter = boathook.Verification{}, boathook.Filter{}
			w.UpdatedAt = w.UpdatedAt.Add(time.Minute)
		},
		time:     func(w boathook.IncomingWebhook) time.Time { return w.CreatedAt },
		revision: func(w *boathook.IncomingWebhook) *int { return &w.Revision },
	}, source.ID)
}

func (s *suite) testOutgoing(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	testWebhooks(t, webhooks[boathook.OutgoingWebhook]{
		put: s.PutOutgoing, get: s.Outgoing, all: s.AllOutgoing, remove: s.DeleteOutgoing,
		make: func(age time.Duration) (string, boathook.OutgoingWebhook) {
			w := s.newOutgoing(source)
			w.CreatedAt = w.CreatedAt.Add(-age)
			return w.ID, w
		},
		change: func(w *boathook.OutgoingWebhook) {
			w.Environment, w.Enabled, w.Retry, w.Events = "", false, nil, w.Events[:1]
			w.Secrets, w.SealedHeaders = boathook.SealedSecrets{}, nil
			w.Channels, w.Metadata = nil, nil
			w.UpdatedAt = w.UpdatedAt.Add(time.Minute)
		},
		time:     func(w boathook.OutgoingWebhook) time.Time { return w.CreatedAt },
		revision: func(w *boathook.OutgoingWebhook) *int { return &w.Revision },
	}, source.ID)

	w := s.newOutgoing(source)
	must(t, s.PutOutgoing(t.Context(), w))
	w.Revision++
	// wantWebhook compares it with how it reads, alone and among all.
	wantWebhook := func(t *testing.T) {
		t.Helper()
		wantSame(t, "webhook", read(s.Outgoing(t.Context(), source.ID, w.ID))(t), w)
		all := read(s.AllOutgoing(t.Context(), source.ID))(t)
		if i := slices.IndexFunc(all, func(o boathook.OutgoingWebhook) bool { return o.ID == w.ID }); i < 0 {
			t.Error("it is not listed")
		} else {
			wantSame(t, "as it is listed", all[i], w)
		}
	}
	t.Run("a webhook may have a queue in place of its URL", func(t *testing.T) {
		url := w.URL
		w.URL, w.Destination = "", boathook.Destination{
			Type: boathook.DestinationSQS, QueueARN: "arn:aws:sqs:eu-west-1:123456789012:orders.fifo",
		}
		must(t, s.PutOutgoing(t.Context(), w))
		w.Revision++
		wantWebhook(t)
		w.URL, w.Destination = url, boathook.Destination{}
		must(t, s.PutOutgoing(t.Context(), w))
		w.Revision++
		wantWebhook(t)
	})
	t.Run("disabling is a change of nothing else, and may be repeated", func(t *testing.T) {
		w.Enabled, w.Disabled = false, boathook.Disabling{At: s.clock.Now(), Reason: "gone"}
		for range 2 {
			must(t, s.DisableOutgoing(t.Context(), source.ID, w.ID, w.Disabled))
			w.Revision++
			wantWebhook(t)
		}
		wantKind(t, "DisableOutgoing", s.DisableOutgoing(t.Context(), source.ID, boathook.NewID(boathook.OutgoingID), w.Disabled), boathook.NotFound)
		wantKind(t, "DisableOutgoing", s.DisableOutgoing(t.Context(), boathook.NewID(boathook.DeploymentID), w.ID, w.Disabled), boathook.NotFound)
	})
	t.Run("putting a webhook leaves its health as it is", func(t *testing.T) {
		_, err := s.MarkSlow(t.Context(), w.ID, s.clock.Now())
		must(t, err)
		put := w
		put.Name, put.Health = "renamed", boathook.Health{FailingSince: s.clock.Now().Add(time.Hour)}
		must(t, s.PutOutgoing(t.Context(), put))
		w.Name, w.Health = "renamed", boathook.Health{SlowSince: s.clock.Now()}
		w.Revision++
		wantSame(t, "webhook", read(s.Outgoing(t.Context(), source.ID, w.ID))(t), w)
	})
	t.Run("it is listed without its health", func(t *testing.T) {
		w.Health = boathook.Health{}
		all := read(s.AllOutgoing(t.Context(), source.ID))(t)
		if i := slices.IndexFunc(all, func(o boathook.OutgoingWebhook) bool { return o.ID == w.ID }); i < 0 {
			t.Error("it is not listed")
		} else {
			wantSame(t, "as it is listed", all[i], w)
		}
	})
	t.Run("a deleted webhook takes its health with it", func(t *testing.T) {
		must(t, s.DeleteOutgoing(t.Context(), source.ID, w.ID))
		w.Revision = 0
		must(t, s.PutOutgoing(t.Context(), w))
		w.Revision++
		wantWebhook(t)
	})
}

// webhooks are those of one direction.
type webhooks[W any] struct {
	put    func(ctx context.Context, w W) error
	get    func(ctx context.Context, sourceID, id string) (W, error)
	all    func(ctx context.Context, sourceID string) ([]W, error)
	remove func(ctx context.Context, sourceID, id string) error
	make   func(age time.Duration) (id string, w W)
	change func(w *W)
	time   func(w W) time.Time

	revision func(w *W) *int
}

func testWebhooks[W any](t *testing.T, ws webhooks[W], sourceID string) {
	id, w := ws.make(0)

	t.Run("one that was never put is not found", func(t *testing.T) {
		_, err := ws.get(t.Context(), sourceID, id)
		wantKind(t, "get", err, boathook.NotFound)
		wantKind(t, "delete", ws.remove(t.Context(), sourceID, id), boathook.NotFound)
		wantSame(t, "all", read(ws.all(t.Context(), sourceID))(t), []W{})
	})
	t.Run("one reads back as it was put", func(t *testing.T) {
		must(t, ws.put(t.Context(), w))
		*ws.revision(&w)++
		wantSame(t, "webhook", read(ws.get(t.Context(), sourceID, id))(t), w)
		wantSame(t, "all", read(ws.all(t.Context(), sourceID))(t), []W{w})
	})
	t.Run("a change of what was read last replaces it whole", func(t *testing.T) {
		ws.change(&w)
		must(t, ws.put(t.Context(), w))
		*ws.revision(&w)++
		wantSame(t, "webhook", read(ws.get(t.Context(), sourceID, id))(t), w)
		wantSame(t, "all", read(ws.all(t.Context(), sourceID))(t), []W{w})
	})
	t.Run("a change of what was read before another change is a conflict", func(t *testing.T) {
		for _, revision := range []int{0, *ws.revision(&w) - 1, *ws.revision(&w) + 1} {
			stale := w
			*ws.revision(&stale) = revision
			wantKind(t, "put", ws.put(t.Context(), stale), boathook.Conflict)
		}
		wantSame(t, "webhook", read(ws.get(t.Context(), sourceID, id))(t), w)
	})
	t.Run("another source's is not found, listed or deleted", func(t *testing.T) {
		other := boathook.NewID(boathook.DeploymentID)
		_, err := ws.get(t.Context(), other, id)
		wantKind(t, "get", err, boathook.NotFound)
		wantSame(t, "all", read(ws.all(t.Context(), other))(t), []W{})
		wantKind(t, "delete", ws.remove(t.Context(), other, id), boathook.NotFound)
		wantSame(t, "webhook", read(ws.get(t.Context(), sourceID, id))(t), w)
	})
	t.Run("all are listed newest first", func(t *testing.T) {
		for _, age := range []time.Duration{4, 1, 4, 2} {
			_, w := ws.make(age * time.Second)
			must(t, ws.put(t.Context(), w))
		}
		all := read(ws.all(t.Context(), sourceID))(t)
		if len(all) != 5 || !slices.IsSortedFunc(all, func(a, b W) int { return ws.time(b).Compare(ws.time(a)) }) {
			t.Errorf("not 5, newest first: %v", all)
		}
	})
	t.Run("one that is deleted is gone", func(t *testing.T) {
		must(t, ws.remove(t.Context(), sourceID, id))
		_, err := ws.get(t.Context(), sourceID, id)
		wantKind(t, "get", err, boathook.NotFound)
		if all := read(ws.all(t.Context(), sourceID))(t); len(all) != 4 {
			t.Errorf("%d are left of 4", len(all))
		}
		wantKind(t, "delete again", ws.remove(t.Context(), sourceID, id), boathook.NotFound)
		wantKind(t, "a change that comes late", ws.put(t.Context(), w), boathook.Conflict)
	})
}
