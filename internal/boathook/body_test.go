package boathook_test

import (
	"bytes"
	"sync"
	"testing"

	"boathook/internal/boathook"
)

func TestABodyIsPackedOnceByWhoeverAsksFirst(t *testing.T) {
	packs := 0
	pack := func(plain []byte) []byte {
		packs++
		return append([]byte("packed "), plain...)
	}
	b := boathook.NewBody([]byte("text"))
	other := b
	if got := string(b.Packed(pack)) + ", " + string(other.Packed(pack)); got != "packed text, packed text" || packs != 1 {
		t.Errorf("%s after %d times", got, packs)
	}
	if b.Lost() || b.Len() != 4 || b.String() != "text" || !b.Equal(boathook.NewBody([]byte("text"))) || b.Equal(boathook.NewBody([]byte("Text"))) {
		t.Errorf("%q has %d bytes", b, b.Len())
	}
}

func TestAPackedBodyIsOpenedOnceWhenItsBytesAreAskedFor(t *testing.T) {
	opens := 0
	b := boathook.PackedBody([]byte("packed"), func(packed []byte) []byte {
		opens++
		return bytes.ToUpper(packed)
	})
	if opens != 0 {
		t.Error("it was opened before anybody asked")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if b.String() != "PACKED" {
				t.Errorf("it is %q", b)
			}
		})
	}
	wg.Wait()
	got := b.Packed(func([]byte) []byte { t.Error("it was packed again"); return nil })
	if string(got) != "packed" || opens != 1 {
		t.Errorf("%q, opened %d times", got, opens)
	}
}

func TestABodyThatCanNotBeOpenedIsLost(t *testing.T) {
	bad := func() boathook.Body {
		return boathook.PackedBody([]byte("bad"), func([]byte) []byte { return nil })
	}
	for name, b := range map[string]boathook.Body{"zero": {}, "of nil": boathook.NewBody(nil), "unreadable": bad()} {
		if !b.Lost() || b.Len() != 0 || !b.Equal(boathook.Body{}) {
			t.Errorf("%s: it is %q", name, b)
		}
		if got := b.Packed(func(plain []byte) []byte { return append([]byte("of "), plain...) }); string(got) != "of " {
			t.Errorf("%s: packed, it is %q", name, got)
		}
	}
	if got := bad().Packed(func(plain []byte) []byte { return []byte("empty") }); string(got) != "empty" {
		t.Errorf("what nobody has opened is passed on as %q", got)
	}
	if empty := boathook.NewBody([]byte{}); empty.Lost() || empty.Equal(boathook.Body{}) {
		t.Error("an empty body counts as lost")
	}
}
