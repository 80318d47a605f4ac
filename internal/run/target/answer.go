package target

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"strings"
)

// ReadAnswer reads what a remote target answers: its lines are the run's log as
// they come; its output is the whole if that is one JSON value, else its last
// line if that is a JSON object. Of server-sent events ("text/event-stream")
// the lines are those of their data. It closes the answer, at the latest when ctx
// ends. An error is the answer's own, or ctx's.
func ReadAnswer(ctx context.Context, answer io.ReadCloser, contentType string, log Log) (Result, error) {
	r := until(ctx, answer)
	defer r.Close()
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	var body, last excerpt
	lines := NewLines(log, Stdout)
	lines.ended = func(line excerpt) {
		if len(bytes.TrimSpace(line.kept)) > 0 {
			last = excerpt{append(last.kept[:0], line.kept...), line.size}
		}
	}
	w := io.MultiWriter(lines, &body)
	if media == "text/event-stream" {
		err = copyEventData(w, r)
	} else {
		_, err = io.Copy(w, r)
	}
	lines.Flush()
	if err != nil {
		return Result{}, err
	}
	return outputOf(body, last, media == "application/json" || strings.HasSuffix(media, "+json")), nil
}

// until closes body when ctx ends, so that no read outlasts ctx. A read that this breaks
// off fails with what ended ctx. net/http does this for most bodies, but not for that of
// a connection which switched protocols.
func until(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	return ending{ctx, body, context.AfterFunc(ctx, func() { _ = body.Close() })}
}

type ending struct {
	ctx  context.Context
	body io.ReadCloser
	stop func() bool
}

func (e ending) Read(p []byte) (int, error) {
	n, err := e.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && e.ctx.Err() != nil {
		err = e.ctx.Err()
	}
	return n, err
}

func (e ending) Close() error {
	e.stop()
	return e.body.Close()
}

// copyEventData copies the data of server-sent events, each of its lines as
// one line. Comments and other fields are left out.
func copyEventData(w io.Writer, r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, more, err := in.ReadLine() // a long line comes in parts
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		data, found := bytes.CutPrefix(line, []byte("data:"))
		data = bytes.TrimPrefix(data, []byte(" "))
		for {
			if found {
				if _, err := w.Write(data); err != nil {
					return err
				}
			}
			if !more {
				break
			}
			if data, more, err = in.ReadLine(); err != nil {
				return err
			}
		}
		if found {
			if _, err := w.Write([]byte("\n")); err != nil {
				return err
			}
		}
	}
}

// outputOf finds the output in a response of which last is the last line.
// declared tells that the response calls itself JSON: then it fails the run if
// it is too long to be looked at as a whole.
func outputOf(body, last excerpt, declared bool) Result {
	if whole := body.json(); whole != nil {
		return Result{Output: whole}
	}
	if last.opens("{") {
		if !last.whole() {
			return Result{Err: OutputTooLong}
		}
		if object := last.json(); object != nil {
			return Result{Output: object}
		}
	}
	if declared && !body.whole() {
		return Result{Err: OutputTooLong}
	}
	return Result{}
}
