// Package compress compresses what is stored and queued: small JSON bodies for
// the most part. It is DEFLATE (RFC 1951) with a preset dictionary of the
// words those bodies are made of, so that a body of a few hundred bytes shrinks
// to what is its own, and a delivery's record fits one write unit.
package compress

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"boathook/internal/boathook"
)

// The first byte of what [Compress] returns.
const (
	stored     = 0 // the rest is the text itself
	compressed = 1 // the rest is compressed with dictionary 1
)

// dictionary is part of the format of [compressed]: never change it, add another
// format beside it. What is likeliest stands last, where it is cheapest to
// refer to.
var dictionary = []byte(`{"error":{"message":"invalid"}}{"ok":true}{"message":"ok","id":"status":"ok"` +
	`application/json; charset=utf-8text/html; charset=utf-8text/plainGMTContent-LengthServerDateConnectionkeep-alive` +
	`stdoutstderr{"event":"job_finished","data":{"id":"appBuildId":"appDeploymentId":null,"appId":"canceledAt":null,` +
	`"canceledBy":null,"finishedAt":"inProgressAt":"inProgressTimeInSeconds":"organizationId":"pendingAt":` +
	`"pendingTimeInSeconds":"queuedAt":null,"queueTimeInSeconds":null,"stack":"totalTimeInSeconds":"createdBy":"createdAt":"updatedAt":` +
	`{"build":{"build_num":"dockerfile_dir":"/","exit_code":0,"status":"finished_at":"updated_at":"commit":{"author":{"login":"name":"},` +
	`"message":"sha":"image_tags":[{"full_name":"id":"name":"latest"}],"images":[{"id":"pushed":true},{"pushed":false}],` +
	`"repository":{"clone_url":"https://github.com/.git","id":,"name":"owner":{"id":,"login":"}}}` +
	`{"event":"run.failed","run_id":"run_{"event":"run.succeeded","run_id":"run_","deployment_id":"dep_","version_id":"ver_",` +
	`"version_number":1,"environment":"staging","environment":"production","status":"failed","status":"succeeded",` +
	`"input":{"repository":"branch":"ref":"refs/heads/main"},"output":null,"output":{},"error_message":null,` +
	`"created_at":"2026-11-21T00:00:00.000Z","started_at":"2026-12-01T00:00:00.000Z","completed_at":"2027-01-01T00:00:00.000Z"}`)

var writers = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(nil, flate.DefaultCompression, dictionary)
	if err != nil {
		panic(err) // the level is a valid constant
	}
	return w
}}

var readers = sync.Pool{New: func() any {
	return flate.NewReaderDict(bytes.NewReader(nil), dictionary)
}}

var compressions, decompressions atomic.Int64

// Counts tells how often this process has called [Compress] and [Decompress]: a
// test holds the road of a body to its count.
func Counts() (compressed, decompressed int64) {
	return compressions.Load(), decompressions.Load()
}

// plainBelow is how long a text must be to be compressed.
var plainBelow atomic.Int64

// PlainBelow has this process compress no text that is shorter than so many bytes. On one
// machine a byte on disk costs less than the time to save it, and there is no unit of writing
// or of sending to fit. What others have compressed is opened all the same.
func PlainBelow(bytes int) { plainBelow.Store(int64(bytes)) }

// StaysPlain reports whether this process leaves a text as it is; see [PlainBelow].
func StaysPlain(text []byte) bool { return int64(len(text)) < plainBelow.Load() }

// Compress gives text's compressed form: never more than one byte longer.
func Compress(text []byte) []byte {
	if StaysPlain(text) {
		return append([]byte{stored}, text...)
	}
	compressions.Add(1)
	buf := bytes.NewBuffer(make([]byte, 0, 64+len(text)/2))
	buf.WriteByte(compressed)
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(buf)
	_, _ = w.Write(text) // a bytes.Buffer takes everything
	_ = w.Close()
	if buf.Len() > len(text) {
		return append([]byte{stored}, text...)
	}
	return buf.Bytes()
}

// ErrCorrupt is what [Decompress] wraps when packed is not of its making.
var ErrCorrupt = errors.New("compressed text is corrupt")

// Decompress gives back the text that [Compress] took, and an error where it
// would be longer than limit bytes: what is packed may come from a queue.
func Decompress(packed []byte, limit int) ([]byte, error) {
	decompressions.Add(1)
	if len(packed) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrCorrupt)
	}
	var text []byte
	switch packed[0] {
	case stored:
		text = packed[1:]
	case compressed:
		r := readers.Get().(io.ReadCloser)
		defer readers.Put(r)
		if err := r.(flate.Resetter).Reset(bytes.NewReader(packed[1:]), dictionary); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		var err error
		if text, err = io.ReadAll(io.LimitReader(r, int64(limit)+1)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	default:
		return nil, fmt.Errorf("%w: unknown format %d", ErrCorrupt, packed[0])
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrCorrupt, limit)
	}
	return text, nil
}

// Pack gives a body's compressed form. It is made at most once, and not at all where
// the body comes from [Open] or [Unopened].
func Pack(b boathook.Body) []byte { return b.Packed(Compress) }

// Open makes the body of which packed is the compressed form. The errors are those
// of [Decompress].
func Open(packed []byte, limit int) (boathook.Body, error) {
	text, err := Decompress(packed, limit)
	if err != nil {
		return boathook.Body{}, err
	}
	if len(packed) > len(text)+1 {
		return boathook.NewBody(text), nil // Compress would not have made it, and who stores it counts on that
	}
	return boathook.PackedBody(packed, func([]byte) []byte { return text }), nil
}

// Unopened is [Open] for what [Pack] has made and the store has kept: it is opened
// when somebody asks for its bytes. It is lost if [Decompress] has an error.
func Unopened(packed []byte, limit int) boathook.Body {
	return boathook.PackedBody(packed, func(packed []byte) []byte {
		text, err := Decompress(packed, limit)
		if err != nil {
			return nil
		}
		return text
	})
}
