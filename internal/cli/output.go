package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cli/go-gh/v2/pkg/tableprinter"
	"golang.org/x/term"

	"boathook/internal/boathook"
)

// noTerminalWidth is how wide a table may be that is not shown on a terminal: as wide as
// it is.
const noTerminalWidth = 1 << 20

// terminal is the width of the terminal that a writer shows on; false if it shows on none.
func terminal(w io.Writer) (width int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return noTerminalWidth, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// progress shows on a terminal how far something is that takes many calls.
type progress struct {
	out   io.Writer
	shown bool
}

func (s *session) progress() progress {
	_, shown := terminal(s.env.Stderr)
	return progress{s.env.Stderr, shown}
}

func (p progress) at(n int) {
	if p.shown {
		fmt.Fprintf(p.out, "\r%d so far ", n)
	}
}

// end takes away what was shown.
func (p progress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r             \r")
	}
}

// say tells what was done. With --output json standard output is for objects only.
func (s *session) say(format string, args ...any) {
	w := s.env.Stdout
	if s.output == outputJSON {
		w = s.env.Stderr
	}
	fmt.Fprintf(w, format+"\n", args...)
}

// note tells what is not the answer: it goes to standard error.
func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.env.Stderr, format+"\n", args...)
}

// The colours of words, by what they mean.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
)

var colours = map[string]string{
	"ok": green, "succeeded": green, "accepted": green, "yes": green, "right": green,
	"running": yellow, "pending": yellow, "retrying": yellow, "warning": yellow, "canceled": yellow,
	"failed": red, "fault": red, "rejected": red, "no": red, "wrong": red,
}

// paint gives a word the colour of its meaning, on a terminal and unless NO_COLOR is set
// (https://no-color.org).
func (s *session) paint(word string) string {
	code, ok := colours[word]
	if _, shown := terminal(s.env.Stdout); !ok || !shown || s.env.Getenv("NO_COLOR") != "" || s.env.Getenv("TERM") == "dumb" {
		return word
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

// line writes an object as JSON, in one line.
func (s *session) line(object any) error {
	body, err := boathook.EncodeJSON(object)
	if err != nil {
		return err
	}
	_, err = s.env.Stdout.Write(append(body, '\n'))
	return err
}

// column is one of a table.
type column[T any] struct {
	head  string
	value func(T) string
}

// list shows the first objects of a list, at most limit; 0 is all of them. JSON is written
// as it comes.
func list[T any](s *session, objects iter.Seq2[T, error], limit int, columns []column[T]) error {
	var rows []T
	n := 0
	for o, err := range objects {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			s.note("There are more than %d: --limit 0 shows all.", limit)
			break
		}
		if s.output != outputJSON {
			rows = append(rows, o)
		} else if err := s.line(o); err != nil {
			return err
		}
	}
	if s.output == outputJSON {
		return nil
	}
	return printTable(s, rows, columns)
}

// printTable prints a table that fits the terminal. On none it has no heads, and a tab
// between its columns.
func printTable[T any](s *session, rows []T, columns []column[T]) error {
	width, shown := terminal(s.env.Stdout)
	if len(rows) == 0 {
		if shown {
			s.note("There are none.")
		}
		return nil
	}
	t := tableprinter.New(s.env.Stdout, shown, width)
	var heads []string
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	t.AddHeader(heads)
	for _, r := range rows {
		for i, c := range columns {
			if i == 0 { // an id or a name is there to be copied
				t.AddField(oneLine(c.value(r)), tableprinter.WithTruncate(nil))
			} else {
				t.AddField(oneLine(c.value(r)), tableprinter.WithColor(s.paintField))
			}
		}
		t.EndRow()
	}
	return t.Render()
}

// paintField paints a field, which has been padded.
func (s *session) paintField(field string) string {
	word := strings.TrimRight(field, " ")
	return s.paint(word) + field[len(word):]
}

// oneLine is text without what would break a table or move a terminal's cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// show prints one object: its fields in the API's order and words, a line each.
func (s *session) show(object any) error {
	if s.output == outputJSON {
		return s.line(object)
	}
	body, err := boathook.EncodeJSON(object)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(body)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.env.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintf(w, "%s\t%s\n", f.name, s.paint(f.value))
	}
	return w.Flush()
}

// shown prints what a call has answered.
func (s *session) shown(object any, err error) error {
	if err != nil {
		return err
	}
	return s.show(object)
}

type field struct{ name, value string }

// fieldsOf are an object's fields in their order, those of objects in it as "outer.inner".
// What is null or empty is left out.
func fieldsOf(object json.RawMessage) ([]field, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil { // {
		return nil, err
	}
	var fields []field
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		more, err := flatten(fmt.Sprint(name), value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, more...)
	}
	return fields, nil
}

func flatten(name string, value json.RawMessage) ([]field, error) {
	switch {
	case slices.Contains([]string{"null", `""`, "[]", "{}"}, string(value)):
		return nil, nil
	case value[0] == '"':
		var text string
		err := json.Unmarshal(value, &text)
		return []field{{name, oneLine(text)}}, err
	case value[0] == '{' && name != "input" && name != "output": // which are the user's own
		inner, err := fieldsOf(value)
		for i := range inner {
			inner[i].name = name + "." + inner[i].name
		}
		return inner, err
	case value[0] == '[':
		return []field{{name, joined(value)}}, nil
	default:
		return []field{{name, string(value)}}, nil
	}
}

// joined is a list of texts with commas between them, or another list as it is.
func joined(list json.RawMessage) string {
	var texts []string
	if json.Unmarshal(list, &texts) != nil {
		return string(list)
	}
	return oneLine(strings.Join(texts, ", "))
}

// moment is a time for a table: to the second, in UTC; empty if there is none.
func moment(t boathook.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// yesNo is a boolean for a table.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orEmpty is what a pointer points to; its zero value if it is nil.
func orEmpty[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
