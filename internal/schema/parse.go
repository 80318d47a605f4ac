package schema

import (
	"encoding/json"
	"unicode/utf8"
)

// parser reads JSON that is known to be valid into what [json.Decoder] would, with
// UseNumber. The decoder copies the text, checks it once more and goes through it twice,
// and every published event is read.
type parser struct {
	text string
	at   int // the byte that is read next
}

func (p *parser) value() any {
	p.space()
	switch p.text[p.at] {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return p.string()
	case 't':
		p.at += len("true")
		return true
	case 'f':
		p.at += len("false")
		return false
	case 'n':
		p.at += len("null")
		return nil
	}
	begin := p.at
	for p.at < len(p.text) && isOfNumber(p.text[p.at]) {
		p.at++
	}
	return json.Number(p.text[begin:p.at])
}

func (p *parser) object() map[string]any {
	fields := make(map[string]any)
	for p.another('}') {
		name := p.string()
		p.space()
		p.at++ // the colon
		fields[name] = p.value()
	}
	return fields
}

func (p *parser) array() []any {
	items := []any{}
	for p.another(']') {
		items = append(items, p.value())
	}
	return items
}

// another goes to the next field or item, past the bracket or the comma before it, and
// reports whether there is one.
func (p *parser) another(end byte) bool {
	p.space()
	if p.text[p.at] != end {
		p.at++
		p.space()
	}
	if p.text[p.at] != end {
		return true
	}
	p.at++
	return false
}

func (p *parser) string() string {
	rest, escapes, end := p.text[p.at:], false, 1
	for ; rest[end] != '"'; end++ {
		if rest[end] == '\\' {
			escapes = true
			end++
		}
	}
	p.at += end + 1
	quoted := rest[:end+1]
	if !escapes && utf8.ValidString(quoted) {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // it is valid
	return s
}

func (p *parser) space() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isOfNumber(c byte) bool {
	return '0' <= c && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}
