package expression

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/itchyny/gojq"
)

var (
	errSteps = fmt.Errorf("takes more than %d steps", maxSteps)
	errMade  = fmt.Errorf("makes more than %d MiB", maxMade>>20)
	errWords = fmt.Errorf("makes a string of more than %d KiB", maxWords>>10)
)

// ended is a channel that is closed.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// budget is what an evaluation may still cost. It is the context of the evaluation: the
// machine asks for Done before each step.
type budget struct {
	caller context.Context
	steps  int
	made   int
	err    error // why the evaluation is over
}

func (b *budget) begin(ctx context.Context) { *b = budget{caller: ctx} }

// end lets go of the caller's context.
func (b *budget) end() { b.caller = nil }

// callerEvery is how many steps apart the caller's context is looked at, which locks. One
// step that looks through much may take milliseconds.
const callerEvery = 16

// Done implements [context.Context].
func (b *budget) Done() <-chan struct{} {
	if b.steps++; b.steps > maxSteps {
		_ = b.stop(errSteps)
	}
	if b.steps%callerEvery == 0 {
		if err := b.caller.Err(); err != nil {
			_ = b.stop(err)
		}
	}
	if b.err != nil {
		return ended
	}
	return nil
}

// spend counts work that is done in one step as so many.
func (b *budget) spend(steps int) error {
	if b.steps = min(b.steps+steps, maxSteps+1); b.steps > maxSteps {
		return b.stop(errSteps)
	}
	return b.err
}

// stop ends the evaluation at its next step: an expression can catch an error, but not
// that.
func (b *budget) stop(err error) error {
	if b.err == nil {
		b.err = err
	}
	return b.err
}

// Err implements [context.Context].
func (b *budget) Err() error { return b.err }

// Deadline implements [context.Context].
func (b *budget) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements [context.Context].
func (b *budget) Value(any) any { return nil }

// charge counts a value that was made. It counts all that is in it, as often as it is in
// it, and not only what is new: what is written out or compared is all of that, however
// much its parts are shared.
func (b *budget) charge(v any) error {
	if b.err != nil {
		return b.err
	}
	if text, ok := v.(string); ok && len(text) > maxWords {
		return b.stop(errWords)
	}
	if b.made += size(v, maxMade-b.made); b.made > maxMade {
		return b.stop(errMade)
	}
	return nil
}

// size is about how many bytes a value takes. It stops counting once it is over limit.
func size(v any, limit int) int {
	const one = 16
	switch v := v.(type) {
	case string:
		return one + len(v)
	case json.Number:
		return one + len(v)
	case *big.Int:
		return one + v.BitLen()/8
	case []any:
		n := 2 * one
		for i := 0; i < len(v) && n <= limit; i++ {
			n += size(v[i], limit-n)
		}
		return n
	case map[string]any:
		n := 3 * one
		for key, member := range v {
			if n > limit {
				break
			}
			n += one + len(key) + size(member, limit-n)
		}
		return n
	}
	return one
}

// functions are those that guard puts into an expression. Each passes its input on, or
// fails.
func (b *budget) functions() []gojq.CompilerOption {
	check := func(name string, fault func(v any) error) gojq.CompilerOption {
		return gojq.WithFunction(name, 0, 0, func(v any, _ []any) any {
			if err := fault(v); err != nil {
				return err
			}
			return v
		})
	}
	return []gojq.CompilerOption{
		check(made, b.charge), check(position, badPosition), check(positions, badPositions),
		check(product, badProduct), check(pairs, b.badPairs), check(joint, badJoint),
		b.matching(matched, func(n int) int { return n }),
		b.matching(matchedAll, func(n int) int { return n + n*n/16 }), // each match may look through all that follows
	}
}

// matching counts what it takes to match a text with a regular expression: as many looks
// as work says for its length, each at all instructions.
func (b *budget) matching(name string, work func(n int) int) gojq.CompilerOption {
	return gojq.WithFunction(name, 1, 1, func(v any, instructions []any) any {
		text, ok := v.(string)
		if !ok {
			return v // which can't be matched
		}
		if len(text) > maxSubject {
			return fmt.Errorf("a regular expression is matched with %d KiB at most", maxSubject>>10)
		}
		size, _ := gojq.ToInt(instructions[0])
		if err := b.spend(work(len(text)) * size / looks); err != nil {
			return err
		}
		return v
	})
}

// The names of these functions. What a user defines can't begin so.
const (
	made      = "_made"      // counts its input
	position  = "_position"  // of an array's element
	positions = "_positions" // of an element within others

	matched    = "_matched"     // by a regular expression of so many instructions, once
	matchedAll = "_matched_all" // the same, as often as it matches
	product    = "_product"     // of [left, right]
	pairs      = "_pairs"       // of what is in [left, right]
	joint      = "_joint"       // of [separator, parts]
)

// The bounds of what one step may do.
const (
	maxPosition = 10_000    // an assignment makes all elements before it
	maxSubject  = 8 << 10   // bytes that a regular expression is matched with
	maxDigits   = 4096      // bits of a factor
	maxPairs    = 1_000_000 // comparisons of each with each
	looks       = 16        // at an instruction of a regular expression, or comparisons, count as one step
)

// badPosition refuses to look far behind an array's end, where an assignment would fill
// what is in between, and to look for an array in an array.
func badPosition(v any) error {
	if _, ok := v.([]any); ok {
		return errors.New("an array is no index: use indices")
	}
	n, ok := gojq.ToInt(v)
	if ok && n > maxPosition {
		return fmt.Errorf("the index %s is over %d", gojq.Preview(v), maxPosition)
	}
	return nil
}

func badPositions(v any) error {
	path, _ := v.([]any) // others are refused by who takes a path
	for _, at := range path {
		if err := badPosition(at); err != nil {
			return err
		}
	}
	return nil
}

// badProduct refuses to multiply to something large.
func badProduct(v any) error {
	both := v.([]any)
	for i, factor := range both {
		switch factor := factor.(type) {
		case string:
			if times, ok := gojq.ToFloat64(both[1-i]); ok && times*float64(len(factor)) > maxWords {
				return errWords
			}
		case *big.Int:
			if factor.BitLen() > maxDigits {
				return fmt.Errorf("a number of more than %d bits is not multiplied", maxDigits)
			}
		case json.Number:
			if len(factor) > maxDigits/4 {
				return fmt.Errorf("a number of more than %d digits is not multiplied", maxDigits/4)
			}
		}
	}
	return nil
}

// badPairs refuses to compare each part of one with each of another, if these are many.
func (b *budget) badPairs(v any) error {
	both := v.([]any)
	const node = 16
	left, right := size(both[0], maxMade)/node, size(both[1], maxMade)/node
	if left*right > maxPairs {
		return fmt.Errorf("compares more than %d pairs", maxPairs)
	}
	return b.spend((left + right + left*right) / looks)
}

// badJoint refuses a separator that makes a long string of many parts.
func badJoint(v any) error {
	both := v.([]any)
	separator, _ := both[0].(string)
	parts, _ := both[1].([]any)
	if len(separator)*len(parts) > maxWords {
		return errWords
	}
	return nil
}
