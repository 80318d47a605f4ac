package expression_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"boathook/internal/expression"
)

// document has an integer and a decimal that a float64 does not hold.
const document = `{"type":"run.failed","environment":"production","source":{"id":"dep_a","kind":"deployment"},
	"data":{"big":123456789012345678901234567890,"exact":0.1000000000000000000001,"name":"<b>","items":[3,1,2],"error":null}}`

func inputOf(text string) *expression.Input {
	return expression.NewInput(func() (any, error) { return expression.Decode([]byte(text)) })
}

func compile(t *testing.T, text string) *expression.Expression {
	t.Helper()
	e, err := expression.Compile(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func TestAFilterGivesOneBoolean(t *testing.T) {
	for text, want := range map[string]bool{
		`.type == "run.failed"`:                                                true,
		`.environment == "staging"`:                                            false,
		`.source == {id: "dep_a", kind: "deployment"}`:                         true,
		`.data.items | any(. > 2)`:                                             true,
		`.data | has("error") and .error == null`:                              true,
		`.data.name | test("^<.>$")`:                                           true,
		`def large: . > 10; .data.items | map(large) | all`:                    false,
		`.data.items | sort | index(2) == 1`:                                   true,
		`reduce .data.items[] as $n (0; . + $n * 2) - 11 == 1`:                 true,
		`[.data.items[] | select(. - 1 > 0)] == [3, 2]`:                        true,
		`.data.missing.deeper[0]?.field | not`:                                 true,
		`try error("x") catch . == "x"`:                                        true,
		`.data.items | (.[1] |= . + 9) | .[1] == 10`:                           true,
		`. as {type: $t, data: {items: [$a]}} | $t + "\($a)" == "run.failed3"`: true,
	} {
		got, err := compile(t, text).Filter(t.Context(), inputOf(document))
		if err != nil || got != want {
			t.Errorf("%s: got %t, %v", text, got, err)
		}
	}
}

func TestWhatIsNoBooleanIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`.data.name`:       "gives a string, not a boolean",
		`.data.items`:      "gives an array, not a boolean",
		`null`:             "gives null, not a boolean",
		`empty`:            "gives nothing",
		`true, true`:       "gives several values",
		`true, error("x")`: "x",
		`.data.name.a`:     `expected an object but got: string ("<b>")`,
		`error("late")`:    "late",
		`error("a" * 500)`: "aaa…",
	} {
		if _, err := compile(t, text).Filter(t.Context(), inputOf(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestATransformGivesTheBody(t *testing.T) {
	const text = "text/plain; charset=utf-8"
	for _, tt := range []struct{ text, want, contentType string }{
		{`{text: "Run of \(.source.id) failed", name: .data.name}`, `{"name":"<b>","text":"Run of dep_a failed"}`, ""},
		{`{a: [.data.big, .data.exact]}`, `{"a":[123456789012345678901234567890,0.1000000000000000000001]}`, ""},
		{`{a: [.data.big + 1, .data.exact * 1]}`, `{"a":[123456789012345678901234567891,0.1]}`, ""},
		{`"plain \(.type)"`, `plain run.failed`, text},
		{`.data.items | map(tostring) | join(", ")`, `3, 1, 2`, text},
		{`.data.name | gsub("[<>]"; "\"") | @json`, `"\"b\""`, text},
		{`.data | del(.big, .exact) | with_entries(.key |= ascii_upcase)`, `{"ERROR":null,"ITEMS":[3,1,2],"NAME":"<b>"}`, ""},
		{`{a: .data.items | (.[0] *= 2) | (.[1] -= 5) | . - [2]}`, `{"a":[6,-4]}`, ""},
		{`0 | todate`, `1970-01-01T00:00:00Z`, text},
		{`{text: "<a>\(.type)</a>", content_type: "application/xml; charset=utf-8"}`, `<a>run.failed</a>`, "application/xml; charset=utf-8"},
		{`{text: "a"}`, `{"text":"a"}`, ""},
		{`{text: "a", content_type: 1}`, `{"content_type":1,"text":"a"}`, ""},
		{`{text: "a", content_type: "text/html", blocks: []}`, `{"blocks":[],"content_type":"text/html","text":"a"}`, ""},
	} {
		body, contentType, err := compile(t, tt.text).Transform(t.Context(), inputOf(document))
		if err != nil || string(body) != tt.want || contentType != tt.contentType {
			t.Errorf("%s: got %s, %s, %v", tt.text, body, contentType, err)
		}
	}
}

func TestWhatIsNoBodyIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`null`:                                   "gives null, not an object or a string",
		`.data.nope`:                             "gives null, not an object or a string",
		`[1]`:                                    "gives an array, not an object or a string",
		`true`:                                   "gives a boolean, not an object or a string",
		`1`:                                      "gives a number, not an object or a string",
		`""`:                                     "gives an empty text",
		`{text: "", content_type: "text/html"}`:  "gives an empty text",
		`{text: "a", content_type: "nonsense/"}`: "gives the content_type",
		`{text: "a", content_type: "text/html\r\nX-A: 1"}`: "gives the content_type",
		`{text: "a", content_type: "text/é"}`:              "gives the content_type",
		`{text: "a", content_type: ("text/" + "x" * 100)}`: "longer than 100 characters",
		`empty`:             "gives nothing",
		`{}, {}`:            "gives several values",
		`{a: (1 / 0)}`:      "cannot divide",
		`{a: .data.name.b}`: "expected an object",
	} {
		if body, _, err := compile(t, text).Transform(t.Context(), inputOf(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: gives %s, %v, want %s", text, body, err, want)
		}
	}
}

func TestWhatDoesNotCompileSaysWhere(t *testing.T) {
	for text, want := range map[string]string{
		`.data ===`:                              "line 1, character 9: unexpected token",
		".a |\n  .b |":                           "line 2, character 7: unexpected EOF",
		`"a`:                                     "unterminated string literal",
		``:                                       "missing query",
		`$nobody`:                                "$nobody",
		`now`:                                    "there is no function now/0",
		`localtime`:                              "there is no function localtime/0",
		`env`:                                    "there is no function env/0",
		`$ENV.HOME`:                              "there is no environment",
		`$__loc__`:                               "no file",
		`input_line_number`:                      "there is no function input_line_number/0",
		`get_search_list`:                        "there is no function get_search_list/0",
		`test("a"; .data.name)`:                  "the flags of test must be a string that is written out",
		`gsub("a"; "b"; "x" * 2)`:                "the flags of gsub must be a string that is written out",
		`input`:                                  "there is no function input/0",
		`[inputs]`:                               "there is no function inputs/0",
		`input_filename`:                         "there is no function input_filename/0",
		`debug`:                                  "there is no function debug/0",
		`halt`:                                   "there is no function halt/0",
		`_multiply(1; 2)`:                        "there is no function _multiply/2",
		`import "a" as a; .`:                     "there are no modules",
		`include "a"; .`:                         "there are no modules",
		`def _made: 1; .`:                        "begins with _",
		`def f(_made): 1; .`:                     "begins with _",
		`def f: now; .`:                          "now/0",
		`def f: 1; f(2)`:                         "there is no function f/1",
		`(def now: 1; .), now`:                   "there is no function now/0",
		`{a: "\(now)"}`:                          "now/0",
		`{(now): 1}`:                             "now/0",
		`. as {(now): $x} | $x`:                  "now/0",
		`if . then 1 elif now then 2 else 3 end`: "now/0",
		`reduce now as $x (0; .)`:                "now/0",
		`foreach .[] as $x (0; now)`:             "now/0",
		`try 1 catch now`:                        "now/0",
		`label $out | now`:                       "now/0",
		`.[now:]`:                                "now/0",
		`-now`:                                   "now/0",
		`@json "\(now)"`:                         "now/0",
		`test(.data.name)`:                       "must be a string that is written out",
		`test("(")`:                              "missing closing )",
		`test("[a-c]{900}|(xyz){300}")`:          "too large",
		strings.Repeat(" ", 4096) + ".":          "at most 4 KiB",
	} {
		if _, err := expression.Compile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// bombs take more time or memory than there is, unless something stops them.
var bombs = []string{
	`[range(1e9)]`, `range(1e9) | select(. < 0)`, `[limit(1e9; repeat(1))]`, `last(range(1e9))`, `def f: f; f`, `def f: 1 + f; f`,
	`def f: f, f; f`, `[.] | until(false; .)`, `[while(true; .)]`, `reduce range(1e9) as $i (0; . + 1)`,
	`"x" * 1e9`, `1e9 * "x"`, `"x" | . *= 1e9`, `reduce range(40) as $i ("xxxx"; . + .)`, `reduce range(40) as $i ("xxxx"; . += .)`,
	`reduce range(40) as $i ([1]; . + .)`, `reduce range(40) as $i ([1]; [., .])`, `reduce range(40) as $i (1; {a: ., b: .}) | tojson`,
	`reduce range(40) as $i ("x"; "\(.)\(.)")`, `reduce range(60) as $i (10; . * .) | tostring`, `reduce range(60) as $i (10; . *= .)`,
	`[range(20000)] | join("x" * 20000)`, `add(range(20000) | "x" * 500000)`, `("x" * 500000) as $x | add(range(20000) | $x)`,
	`("x" * 500000) as $x | [range(20000)] | sort_by($x)`, `("x" * 500000) as $x | "a" * 8000 | gsub("a"; $x)`,
	`("x" * 500000) as $x | "` + strings.Repeat(`\($x)`, 100) + `"`, `.[1e8] = 1`, `null | .[100000000] |= 1`, `null | setpath([1e8]; 1)`,
	`null | getpath([1e8]) = 1`, `null | pick(.[1e8])`, `(null | .[1e8 | floor]) = 1`, `"a" * 1000000 | test("a")`,
	`[range(50000) | 0] | indices([range(20000) | 0])`, `[range(50000) | 0] | .[[range(20000) | 0]]`, `[range(50000)] - [range(30000) | -.]`,
	`[range(50000)] as $a | [range(50000)] | contains($a)`, `[range(50000)] as $a | [range(50000)] | . -= $a`,
	`("a" * 1000000) | indices("a" * 500000)`, `[range(50000)] | [range(50000)] as $b | inside($b)`, `reduce range(100000) as $i (0; [.])`,
	`reduce range(100000) as $i (0; {a: .}) | tojson`, `[range(100000) | tojson] | map(split("")) | map(explode)`, `[.] | walk([., .]) | [.. | walk([., .])] | [.. | walk([., .])] | [.. | walk([.,.,.,.,.,.])]|[..]|[..]|[..]|[..]|[..]`,
	`try repeat(1) catch true`, `[range(1e9)] // 1`, `first(repeat(empty))`, `try ("x" * 1e9) catch repeat(.) | empty`,
	`label $f | range(1e9) | ., break $f | repeat(empty)`,
	`def f: @json | f; "\"" | f`, `def f: @html | f; "<" | f`, `def f: {a: .} | tojson | f; f`, `[range(1e9) | 65] | implode`,
	`("x" * 900000) as $x | range(1e9) | $x | ltrimstr("y") | empty`, `"a" * 8000 | [scan("a.*b|a")]`,
	`("a" * 8000) as $x | range(1e9) | $x | test("(a*)*b") | empty`, `("a" * 8000) as $x | [range(1e9) | $x | match("a?"; "g")]`,
	`("a" * 8000) | gsub("(a|b|ab)*?c|a"; "")`, `("a" * 8000) | [splits("a.*b|a")]`, `reduce range(1e9) as $i (1; . * 10)`,
	`[range(20000)] as $x | range(1e9) | $x | index(-1) | empty`, `[range(900)] as $x | range(1e9) | $x - $x | empty`,
	`last(range(1e12))`, `[recurse([., .])]`, `[paths] | [repeat(.)]`, `def f(x): f(x | x); f(.)`, `"\(range(1e9))" | empty`,
}

func TestABombEndsWithinTheBounds(t *testing.T) {
	for _, text := range bombs {
		e, err := expression.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if body, _, err := e.Transform(t.Context(), inputOf(document)); err == nil {
			t.Errorf("%s: gives %d bytes", text, len(body))
		}
		if steps, made := e.Spent(); steps > expression.MaxSteps+2 || made > expression.MaxMade+expression.MaxBody {
			t.Errorf("%s: takes %d steps and makes %d bytes", text, steps, made)
		}
	}
}

func TestATransformOfTheLargestBodyIsRefusedAbove(t *testing.T) {
	for n, fits := range map[int]bool{expression.MaxBody: true, expression.MaxBody + 1: false} {
		_, _, err := compile(t, fmt.Sprintf(`"x" * %d`, n)).Transform(t.Context(), inputOf(document))
		if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "of at most 768 KiB") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestAnEvaluationEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compile(t, `[range(1000)] | length > 0`).Filter(ctx, inputOf(document)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What one evaluation used up is not held against the next.
func TestEachEvaluationHasItsOwnBudget(t *testing.T) {
	e := compile(t, `[range(20000)] | length == 20000`)
	in := inputOf(document)
	for range 8 {
		if ok, err := e.Filter(t.Context(), in); err != nil || !ok {
			t.Fatalf("got %t, %v", ok, err)
		}
	}
}

// The largest event can be filtered and rearranged.
func TestALargeEventIsWithinTheBounds(t *testing.T) {
	text := `{"data":{"rows":[` + strings.Repeat(`{"id":12345,"name":"a row of some length","tags":["a","b"]},`, 4000) + `{"id":1}]}}`
	if len(text) < 200<<10 {
		t.Fatal("the event is small")
	}
	body, _, err := compile(t, `{rows: [.data.rows[] | select(.id > 5) | {id, label: "\(.name)!"}]}`).Transform(t.Context(), inputOf(text))
	if err != nil || len(body) < 100<<10 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
