package target

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// Lines is a writer that splits what it takes into lines for a log, within
// bounded memory however long a line is. One that is longer than
// [boathook.MaxLogLine] is cut and says so, and what is not UTF-8 is replaced.
type Lines struct {
	log    Log
	stream string
	ended  func(excerpt) // sees each line before it is cut; may be nil
	line   excerpt
}

// NewLines makes a writer for one stream of a log.
func NewLines(log Log, stream string) *Lines { return &Lines{log: log, stream: stream} }

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	size := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			_, _ = l.line.Write(p)
			return size, nil
		}
		_, _ = l.line.Write(p[:i])
		l.end()
		p = p[i+1:]
	}
}

// Flush logs a last line that has no end.
func (l *Lines) Flush() {
	if l.line.size > 0 {
		l.end()
	}
}

func (l *Lines) end() {
	l.log.Line(l.stream, l.line.text())
	if l.ended != nil {
		l.ended(l.line)
	}
	l.line = excerpt{kept: l.line.kept[:0]}
}

// excerpt is a writer that keeps the first [boathook.MaxRunOutput] bytes, as
// many as an output may have, and counts all.
type excerpt struct {
	kept []byte
	size int
}

func (e *excerpt) Write(p []byte) (int, error) {
	free := boathook.MaxRunOutput - len(e.kept)
	e.kept = append(e.kept, p[:min(free, len(p))]...)
	e.size += len(p)
	return len(p), nil
}

func (e *excerpt) whole() bool { return e.size == len(e.kept) }

// opens reports whether the text begins, after white space, with one of chars.
func (e *excerpt) opens(chars string) bool {
	text := bytes.TrimLeft(e.kept, " \t\r\n")
	return len(text) > 0 && strings.IndexByte(chars, text[0]) >= 0
}

// json is the text as one JSON value, or nil if it is none or was too long.
func (e *excerpt) json() []byte {
	if !e.whole() || boathook.CheckJSON(e.kept) != nil {
		return nil
	}
	return bytes.Clone(bytes.TrimSpace(e.kept))
}

// text is the line for a log.
func (e *excerpt) text() string {
	const limit = boathook.MaxLogLine
	// The bytes past the limit let a character that straddles it be whole.
	text := strings.ToValidUTF8(string(e.kept[:min(len(e.kept), limit+utf8.UTFMax)]), "\uFFFD")
	if e.size <= limit {
		text = strings.TrimSuffix(text, "\r")
		if len(text) <= limit {
			return text
		}
	}
	mark := fmt.Sprintf(" … [cut: the line has %d bytes]", e.size)
	end := min(limit-len(mark), len(text)) // bytes that are no UTF-8 are replaced run by run, so text may be short
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
