package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/seal"
)

// workspaces holds each workspace's wrapped data key.
type workspaces map[string][]byte

func (w workspaces) Workspace(_ context.Context, id string) (boathook.Workspace, error) {
	key, ok := w[id]
	if !ok {
		return boathook.Workspace{}, boathook.Errorf(boathook.NotFound, "no such workspace")
	}
	return boathook.Workspace{ID: id, DataKey: key}, nil
}

// counted counts the calls of a key service and may fail them.
type counted struct {
	seal.KeyService
	unwraps atomic.Int32
	err     error
	wait    time.Duration
}

func (c *counted) Unwrap(ctx context.Context, workspaceID string, wrapped []byte) ([]byte, error) {
	c.unwraps.Add(1)
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.KeyService.Unwrap(ctx, workspaceID, wrapped)
}

// newSealer gives a sealer with the workspaces ws_1, ws_12 and ws_2.
func newSealer(t *testing.T) (*seal.Sealer, *counted, workspaces) {
	t.Helper()
	keys := &counted{KeyService: seal.NewLocalKey()}
	stored := workspaces{}
	s := seal.New(keys, stored)
	for _, id := range []string{"ws_1", "ws_12", "ws_2"} {
		wrapped, err := s.NewDataKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		stored[id] = wrapped
	}
	return s, keys, stored
}

func TestWhatIsSealedOpensForItsSubject(t *testing.T) {
	s, _, _ := newSealer(t)
	for _, plain := range [][]byte{{}, []byte("whsec_x"), bytes.Repeat([]byte("x"), 100_000)} {
		sealed, err := s.Seal(t.Context(), "ws_1", "out_1", plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 0 && bytes.Contains(sealed, plain) {
			t.Error("the sealed form shows the secret")
		}
		got, err := s.Open(t.Context(), "ws_1", "out_1", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(plain))
		}
		again, err := s.Seal(t.Context(), "ws_1", "out_1", plain)
		if err != nil || bytes.Equal(again, sealed) {
			t.Errorf("the same secret sealed twice reads the same (%v)", err)
		}
	}
}

func TestWhatIsSealedOpensForNobodyElse(t *testing.T) {
	s, _, stored := newSealer(t)
	stored["ws_12"] = stored["ws_1"] // even if a record were copied,
	sealed, err := s.Seal(t.Context(), "ws_1", "2out_1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ workspace, subject string }{
		{"ws_1", "out_2"}, {"ws_1", ""}, {"ws_1", "2out_1 "}, {"ws_2", "2out_1"},
	} {
		if got, err := s.Open(t.Context(), tt.workspace, tt.subject, sealed); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("%s, %s: got %q, %v; want ErrNotAuthentic", tt.workspace, tt.subject, got, err)
		}
	}
	// its key is bound to the first workspace.
	if got, err := s.Open(t.Context(), "ws_12", "out_1", sealed); err == nil {
		t.Errorf("another workspace with a copy of the key opened %q", got)
	}
}

// sameKey gives every workspace one data key, so that only the additional
// data tells them apart.
type sameKey struct{}

func (sameKey) NewDataKey(context.Context, string) (plain, wrapped []byte, err error) {
	return make([]byte, seal.KeySize), []byte("wrapped"), nil
}

func (sameKey) Unwrap(context.Context, string, []byte) ([]byte, error) {
	return make([]byte, seal.KeySize), nil
}

func TestWorkspaceAndSubjectCanNotBeConfused(t *testing.T) {
	s := seal.New(sameKey{}, workspaces{"ws_1": nil, "ws_12": nil})
	sealed, err := s.Seal(t.Context(), "ws_1", "2out", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Open(t.Context(), "ws_12", "out", sealed); !errors.Is(err, seal.ErrNotAuthentic) {
		t.Errorf("got %q, %v; want ErrNotAuthentic", got, err)
	}
}

func TestWhatIsSealedForOneUseOpensForNoOther(t *testing.T) {
	s, _, _ := newSealer(t)
	subjects := []string{
		seal.OutgoingSecret("x"), seal.OutgoingHeaders("x"), seal.IncomingSecret("x"), seal.AgentSecret("x"), seal.TargetHeaders("x"),
	}
	for _, sealedFor := range subjects {
		sealed, err := s.Seal(t.Context(), "ws_1", sealedFor, []byte(`{"Authorization":"Bearer x"}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range append(subjects, "x", seal.OutgoingSecret("y")) {
			if _, err := s.Open(t.Context(), "ws_1", subject, sealed); (err == nil) != (subject == sealedFor) {
				t.Errorf("sealed for %s, opened for %s: %v", sealedFor, subject, err)
			}
		}
	}
}

func TestTheFormatIsAESGCMWithItsPlaceAsAdditionalData(t *testing.T) {
	s := seal.New(sameKey{}, workspaces{"ws_1": nil})
	block, err := aes.NewCipher(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("twelve bytes")
	known := slices.Concat([]byte{1}, nonce, gcm.Seal(nil, nonce, []byte("secret"), []byte("\x01\x00\x00\x00\x04ws_1out_1")))
	if got, err := s.Open(t.Context(), "ws_1", "out_1", known); err != nil || string(got) != "secret" {
		t.Errorf("got %q, %v; want the secret", got, err)
	}
}

func TestWhatWasAlteredDoesNotOpen(t *testing.T) {
	s, _, _ := newSealer(t)
	sealed, err := s.Seal(t.Context(), "ws_1", "out_1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if got, err := s.Open(t.Context(), "ws_1", "out_1", altered); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("byte %d altered: got %q, %v; want ErrNotAuthentic", i, got, err)
		}
		if got, err := s.Open(t.Context(), "ws_1", "out_1", sealed[:i]); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("cut after %d bytes: got %q, %v; want ErrNotAuthentic", i, got, err)
		}
	}
	if _, err := s.Open(t.Context(), "ws_1", "out_1", append(sealed, 0)); !errors.Is(err, seal.ErrNotAuthentic) {
		t.Errorf("one byte more: got %v, want ErrNotAuthentic", err)
	}
}

func TestAnUnknownWorkspaceIsNotFound(t *testing.T) {
	s, _, _ := newSealer(t)
	if _, err := s.Seal(t.Context(), "ws_none", "out_1", nil); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("got %v, want NotFound", err)
	}
}

func TestADataKeyOfAnotherSizeIsAnError(t *testing.T) {
	s := seal.New(shortKey{}, workspaces{"ws_1": nil})
	if _, err := s.Seal(t.Context(), "ws_1", "out_1", nil); err == nil {
		t.Error("sealed with a key of 16 bytes")
	}
}

type shortKey struct{ sameKey }

func (shortKey) Unwrap(context.Context, string, []byte) ([]byte, error) { return make([]byte, 16), nil }

func TestADataKeyIsUnwrappedOnceForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, keys, _ := newSealer(t)
		keys.wait = time.Second // long enough for all to ask meanwhile
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := s.Seal(t.Context(), "ws_1", "out_1", []byte("secret")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := keys.unwraps.Load(); got != 1 {
			t.Errorf("20 seals at once unwrapped %d times", got)
		}
		time.Sleep(59 * time.Minute)
		s.Seal(t.Context(), "ws_1", "out_1", nil)
		if got := keys.unwraps.Load(); got != 1 {
			t.Errorf("unwrapped %d times within an hour", got)
		}
		time.Sleep(time.Minute)
		s.Seal(t.Context(), "ws_1", "out_1", nil)
		if got := keys.unwraps.Load(); got != 2 {
			t.Errorf("unwrapped %d times after an hour, want once more", got)
		}
	})
}

func TestOneCallersEndDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, keys, _ := newSealer(t)
		keys.wait = time.Second
		leaving, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { s.Seal(leaving, "ws_1", "out_1", nil) })
		synctest.Wait()
		group.Go(func() {
			if _, err := s.Seal(t.Context(), "ws_1", "out_1", nil); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		leave()
		group.Wait()
		if got := keys.unwraps.Load(); got != 1 {
			t.Errorf("unwrapped %d times", got)
		}
	})
}

func TestAKeyServiceThatFailedIsAskedAgain(t *testing.T) {
	s, keys, _ := newSealer(t)
	sealed, err := s.Seal(t.Context(), "ws_2", "out_1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	keys.err = errors.New("throttled")
	if _, err := s.Seal(t.Context(), "ws_1", "out_1", nil); !errors.Is(err, keys.err) {
		t.Errorf("got %v, want the key service's error", err)
	}
	if got, err := s.Open(t.Context(), "ws_2", "out_1", sealed); err != nil || string(got) != "secret" {
		t.Errorf("a key that is known: got %q, %v", got, err)
	}
	keys.err = nil
	if _, err := s.Seal(t.Context(), "ws_1", "out_1", nil); err != nil {
		t.Errorf("after it recovered: %v", err)
	}
}

func TestAKeyServiceThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, keys, _ := newSealer(t)
		keys.wait = time.Hour
		start := time.Now()
		if _, err := s.Seal(t.Context(), "ws_1", "out_1", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("waited for %v", took)
		}
	})
}

func TestALocalKeyUnwrapsOnlyWhatItWrapped(t *testing.T) {
	key := seal.NewLocalKey()
	plain, wrapped, err := key.NewDataKey(t.Context(), "ws_1")
	if err != nil || len(plain) != seal.KeySize || bytes.Contains(wrapped, plain) {
		t.Fatalf("got a key of %d bytes, %v", len(plain), err)
	}
	if got, err := key.Unwrap(t.Context(), "ws_1", wrapped); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %d bytes, %v; want the key", len(got), err)
	}
	if _, err := key.Unwrap(t.Context(), "ws_2", wrapped); !errors.Is(err, seal.ErrNotAuthentic) {
		t.Errorf("another workspace: got %v", err)
	}
	if _, err := seal.NewLocalKey().Unwrap(t.Context(), "ws_1", wrapped); !errors.Is(err, seal.ErrNotAuthentic) {
		t.Errorf("another key: got %v", err)
	}
	for i := range wrapped {
		if _, err := key.Unwrap(t.Context(), "ws_1", wrapped[:i]); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("cut after %d bytes: got %v", i, err)
		}
	}
}
