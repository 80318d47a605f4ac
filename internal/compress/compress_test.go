package compress_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

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
