package compress_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/compress"
)

func TestWhatIsCompressedComesBack(t *testing.T) {
	noise := make([]byte, 100_000)
	rand.Read(noise)
	for name, text := range map[string][]byte{
		"nothing":    {},
		"one byte":   []byte("x"),
		"noise":      noise,
		"much alike": []byte(strings.Repeat(`{"a":1}`, 50_000)),
		"a body":     []byte(`{"event":"run.succeeded","run_id":"run_abc","deployment_id":"dep_x","input":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			packed := compress.Compress(text)
			if len(packed) > len(text)+1 {
				t.Errorf("grew from %d to %d bytes", len(text), len(packed))
			}
			got, err := compress.Decompress(packed, len(text))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("got %d bytes back, %v; want the %d that went in", len(got), err, len(text))
			}
		})
	}
}

func TestHostilePackedBytesAreAnError(t *testing.T) {
	bomb := compress.Compress(make([]byte, 10<<20))
	for name, packed := range map[string][]byte{
		"empty":          {},
		"unknown format": {9, 1, 2},
		"truncated":      compress.Compress([]byte(strings.Repeat("truncated ", 100)))[:20],
		"garbage":        {1, 0xff, 0xff, 0xff},
		"a bomb":         bomb,
	} {
		if _, err := compress.Decompress(packed, 1<<20); !errors.Is(err, compress.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

func TestABodyKeepsTheBytesItCameIn(t *testing.T) {
	text := []byte(`{"event":"run.succeeded","run_id":"run_abc"}`)
	packed := compress.Pack(boathook.NewBody(text))
	opened, err := compress.Open(packed, len(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]boathook.Body{"opened": opened, "not opened yet": compress.Unopened(packed, len(text))} {
		before, _ := compress.Counts()
		if again := compress.Pack(b); !bytes.Equal(again, packed) || b.String() != string(text) {
			t.Errorf("%s: %q is packed as %x, want %x", name, b, again, packed)
		}
		if after, _ := compress.Counts(); after != before {
			t.Errorf("%s: it was compressed again", name)
		}
	}
}

// The store knows from a text's length how much room its compressed form may take.
func TestABodyThatCameInTooManyBytesIsPackedAnew(t *testing.T) {
	text := []byte(`{"event":"run.succeeded"}`)
	padded := append(compress.Compress(text), make([]byte, 1000)...)
	b, err := compress.Open(padded, len(text))
	if err != nil || b.String() != string(text) {
		t.Fatalf("%q, %v", b, err)
	}
	if got := compress.Pack(b); !bytes.Equal(got, compress.Compress(text)) {
		t.Errorf("it is passed on in %d bytes", len(got))
	}
}

func TestABodyThatIsCorruptIsRefusedOrLost(t *testing.T) {
	packed := []byte{1, 0xff, 0xff, 0xff}
	if b, err := compress.Open(packed, 1<<20); !errors.Is(err, compress.ErrCorrupt) || !b.Lost() {
		t.Errorf("opened as %q, %v", b, err)
	}
	b := compress.Unopened(packed, 1<<20)
	if got := compress.Pack(b); !b.Lost() || !bytes.Equal(got, compress.Compress(nil)) {
		t.Errorf("it is passed on as %x", got)
	}
}

func TestShortTextsStayPlainWhereTheyAreTo(t *testing.T) {
	compress.PlainBelow(1000)
	defer compress.PlainBelow(0)
	for length, plain := range map[int]bool{0: true, 999: true, 1000: false} {
		text := []byte(strings.Repeat("a", length))
		packed := compress.Compress(text)
		if is := len(packed) == length+1; is != plain {
			t.Errorf("%d bytes became %d", length, len(packed))
		}
		if got, err := compress.Decompress(packed, length); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes came back as %d, %v", length, len(got), err)
		}
	}
}
