package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// moment shows a time in a zone: HH:MM:SS today, with the day before; the whole of it, in
// UTC, in the title.
func moment(t, now time.Time, zone *time.Location) template.HTML {
	if t.IsZero() {
		return "–"
	}
	shown, today := t.In(zone), now.In(zone)
	layout := "2 Jan 15:04:05"
	switch {
	case shown.YearDay() == today.YearDay() && shown.Year() == today.Year():
		layout = "15:04:05"
	case shown.Year() != today.Year():
		layout = "2 Jan 2006 15:04"
	}
	utc := t.UTC()
	//nolint:gosec // digits, letters and colons only
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`,
		utc.Format("2006-01-02T15:04:05.000Z"), utc.Format("2006-01-02 15:04:05.000 UTC"), shown.Format(layout)))
}

// precise shows a time of day in a zone, to the millisecond.
func precise(t time.Time, zone *time.Location) template.HTML {
	utc := t.UTC()
	//nolint:gosec // digits, letters and colons only
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`,
		utc.Format("2006-01-02T15:04:05.000Z"), utc.Format("2006-01-02 15:04:05.000 UTC"), t.In(zone).Format("15:04:05.000")))
}

// tone is the class of a line of a log, by its own first word: programs print to either
// stream whatever they like.
func tone(line string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(line, "[ "), " ")
	switch strings.ToLower(strings.TrimRight(word, ":]")) {
	case "error", "fatal", "panic":
		return "bad"
	case "warning", "warn":
		return "warn"
	}
	return ""
}

// duration shows how long something took: 182 ms, 1.04 s, 1 min 24 s, 3 h 5 min, 2 d 4 h.
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "–"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Hour:
		return join2(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < 24*time.Hour:
		return join2(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return join2(d/(24*time.Hour), "d", d%(24*time.Hour)/time.Hour, "h")
}

func join2(a time.Duration, unit string, b time.Duration, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unit)
	}
	return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
}

// about is a duration of which the first part is enough.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// size shows a number of bytes: 980 B, 16 KiB, 1.2 MiB.
func size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<10)), ".0") + " KiB"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// number groups the digits of a number: 16,303.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short is an id that is long enough to tell it from others on a page.
func short(id string) string {
	if kind, rest, ok := strings.Cut(id, "_"); ok && len(rest) > 10 {
		return kind + "_" + rest[:4] + "…" + rest[len(rest)-3:]
	}
	if len(id) == 36 && strings.Count(id, "-") == 4 { // a UUID
		return id[:8]
	}
	return id
}

// text prints what a stranger may have written: HTML stays text, and control and
// direction characters are shown instead of applied. Lines and tabs stay.
func text(s string) template.HTML {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	from := 0
	for i, r := range s {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(s[i:])
		}
		if r != utf8.RuneError && !hidden(r) {
			continue
		}
		template.HTMLEscape(&b, []byte(s[from:i]))
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `<span class="ctrl" title="A byte that is no UTF-8">%02X</span>`, s[i])
		} else {
			fmt.Fprintf(&b, `<span class="ctrl" title="%s, shown instead of applied">U+%04X</span>`, characterName(r), r)
		}
		from = i + n
	}
	template.HTMLEscape(&b, []byte(s[from:]))
	return template.HTML(b.String()) //nolint:gosec // escaped above
}

// hidden reports whether a character would not be seen, or would move others.
func hidden(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u200b' || r == '\ufeff' || r == '\u2060' || r == '\u2028' || r == '\u2029' || r >= 0xe0000 && r <= 0xe007f
}

func characterName(r rune) string {
	switch {
	case r == 0x1b:
		return "Escape"
	case r == 0:
		return "NUL"
	case unicode.Is(unicode.Bidi_Control, r):
		return "Direction character"
	}
	return "Control character"
}

// plain is s without what [text] would show in a span, for attributes and titles.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// pretty indents JSON; what is none stays as it is. Numbers, the order and the spelling
// of strings stay as they were sent.
func pretty(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

// code prints indented JSON with the names of its fields marked. It is for what fits on
// a page: what is long is cut before.
func code(s string) template.HTML {
	var b strings.Builder
	for line := range strings.Lines(s) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		name, rest, ok := cutName(line[indent:])
		if !ok {
			b.WriteString(string(text(line)))
			continue
		}
		b.WriteString(line[:indent] + `<span class="k">` + string(text(name)) + `</span>` + string(text(rest)))
	}
	return template.HTML(b.String()) //nolint:gosec // of text
}

// cutName cuts the name of a field, with its quotes, from the beginning of a line.
func cutName(line string) (name, rest string, ok bool) {
	if !strings.HasPrefix(line, `"`) {
		return "", line, false
	}
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return line[:i+1], line[i+1:], strings.HasPrefix(line[i+1:], ":")
		}
	}
	return "", line, false
}
