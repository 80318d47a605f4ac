// Package expression evaluates what users write in jq: whether a webhook wants an event
// (its filter), and what it is sent (its transform).
//
// An expression is a stranger's program, run in the process that publishes for all. So
// it reaches nothing but its input: no environment, clock, file or module. What it may
// cost is bounded. A step of gojq's machine looks at its context, and [budget] is the
// one that it looks at: it counts steps. What a step makes is measured, and counts too;
// functions whose single step could take long or make much are checked before they are
// called, or refused when the expression is compiled. guard.go puts the checks into a
// parsed expression, and functions.go lists what it may call.
//
// The same expression on the same input always gives the same result, but for the one
// limit that is a time: the caller's context.
package expression

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"boathook/internal/boathook"
)

// The bounds of an expression.
const (
	MaxText  = 4 << 10                                         // bytes of an expression
	MaxBody  = boathook.MaxTriggerBody + boathook.MaxRunOutput // bytes of what a transform gives
	maxSteps = 400_000                                         // of one evaluation
	maxMade  = 8 << 20                                         // bytes, about, of all that one evaluation makes
	maxWords = 1 << 20                                         // bytes of a string that an evaluation makes
	maxError = 300                                             // bytes of an error that an expression words
)

// Expression is one that compiles. It may be used by several goroutines, which take
// turns.
type Expression struct {
	mu     sync.Mutex // of the budget, which the compiled code holds
	code   *gojq.Code
	budget *budget
}

// Compile reads an expression. The error is in words for its author, and says where
// the fault is if that is a place.
func Compile(text string) (*Expression, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("must have at most %d KiB", MaxText>>10)
	}
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, misread(text, err)
	}
	if err := guard(query); err != nil {
		return nil, err
	}
	e := &Expression{budget: &budget{}}
	if e.code, err = gojq.Compile(query, e.budget.functions()...); err != nil {
		return nil, err
	}
	return e, nil
}

// misread says where an expression can't be read.
func misread(text string, err error) error {
	fault, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return err
	}
	before := text[:min(max(0, fault.Offset-len(fault.Token)), len(text))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return fmt.Errorf("line %d, character %d: %w", line, column, err)
}

// Input is what expressions read. It is made once, when the first of them reads it.
type Input struct {
	build func() (any, error)
	value any
	err   error
}

// NewInput makes the input of expressions, for one goroutine. What build gives is of the
// types that [Decode] gives.
func NewInput(build func() (any, error)) *Input { return &Input{build: build} }

// Decode reads a JSON text. Numbers are as they are written, until an expression
// calculates with them.
func Decode(text []byte) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

func (in *Input) read() (any, error) {
	if in.build != nil {
		in.value, in.err = in.build()
		in.build = nil
	}
	return in.value, in.err
}

// Filter tells what an expression says of an event: it must give one boolean. The error
// is in words for the expression's author, unless ctx is over.
func (e *Expression) Filter(ctx context.Context, in *Input) (bool, error) {
	wanted := false
	err := e.evaluate(ctx, in, func(v any) error {
		is, ok := v.(bool)
		if !ok {
			return fmt.Errorf("gives %s, not a boolean", named(v))
		}
		wanted = is
		return nil
	})
	return wanted, err
}

// Value gives the one value that an expression makes of an event, as JSON whose objects'
// names are sorted: equal values have equal texts. The error is in words for the
// expression's author, unless ctx is over.
func (e *Expression) Value(ctx context.Context, in *Input) (text []byte, err error) {
	err = e.evaluate(ctx, in, func(v any) (err error) {
		text, err = gojq.Marshal(v)
		return err
	})
	return text, err
}

// Transform gives the body that an expression makes of an event: it must give one value.
// An object is sent as JSON, which has no content type of its own here. A string is sent
// as it is, and so is the text of an object that has text and content_type, and nothing
// else. The error is in words for the expression's author, unless ctx is over.
func (e *Expression) Transform(ctx context.Context, in *Input) (body []byte, contentType string, err error) {
	err = e.evaluate(ctx, in, func(v any) (err error) {
		body, contentType, err = bodyOf(v)
		switch {
		case err != nil:
			return err
		case len(body) == 0:
			return errors.New("gives an empty text, which can't be sent")
		case len(body) > MaxBody:
			return fmt.Errorf("gives %d bytes, of at most %d KiB", len(body), MaxBody>>10)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return body, contentType, nil
}

// plainText is the content type of a string.
const plainText = "text/plain; charset=utf-8"

// maxContentType is how long a content type may be, in bytes.
const maxContentType = 100

func bodyOf(v any) (body []byte, contentType string, err error) {
	if text, ok := v.(string); ok {
		return validText(text), plainText, nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, "", fmt.Errorf("gives %s, not an object or a string", named(v))
	}
	text, isText := object["text"].(string)
	contentType, isTyped := object["content_type"].(string)
	if !isText || !isTyped || len(object) > 2 {
		body, err = gojq.Marshal(v)
		return body, "", err
	}
	if _, _, err := mime.ParseMediaType(contentType); err != nil || len(contentType) > maxContentType || !printable(contentType) {
		return nil, "", fmt.Errorf("gives the content_type %s, which is none, or longer than %d characters", strconv.Quote(contentType), maxContentType)
	}
	return validText(text), contentType, nil
}

func validText(text string) []byte { return []byte(strings.ToValidUTF8(text, "\uFFFD")) }

// printable reports whether a text can be a header's value.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// evaluate runs the expression, which must give one value, and has it taken.
func (e *Expression) evaluate(ctx context.Context, in *Input, take func(v any) error) (err error) {
	input, err := in.read()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.budget.begin(ctx)
	defer e.budget.end()
	defer func() {
		if fault := recover(); fault != nil { // of the interpreter: who publishes for all must live on
			err = fmt.Errorf("can't be evaluated: %v", fault)
		}
	}()
	run := e.code.RunWithContext(e.budget, input)
	v, ok := run.Next()
	if !ok {
		return errors.New("gives nothing, not one value")
	}
	if err, ok := v.(error); ok {
		return brief(err)
	}
	if err := e.budget.charge(v); err != nil {
		return err
	}
	if err := take(v); err != nil {
		return err
	}
	switch v, more := run.Next(); v := v.(type) {
	case error:
		return brief(v)
	default:
		if more {
			return errors.New("gives several values, not one")
		}
		return nil
	}
}

// brief keeps an error short that may tell a whole value.
func brief(err error) error {
	text := err.Error()
	if len(text) <= maxError {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:maxError], "") + "…")
}

// named is a value's type with its article.
func named(v any) string {
	switch name := gojq.TypeOf(v); name {
	case "null":
		return name
	case "array", "object":
		return "an " + name
	default:
		return "a " + name
	}
}
