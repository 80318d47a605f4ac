package dialect

import (
	"strings"
	"unicode/utf8"
)

// slackEscapes are all that Slack's mrkdwn asks for. Without a bare < there is
// no mention, no link and no <!channel>.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type   string      `json:"type"`
	Text   *slackText  `json:"text,omitempty"`
	Fields []slackText `json:"fields,omitempty"`
}

// The longest texts that Slack takes, in characters, after they are escaped.
const maxSlackSection = 3000

// slackMessage is the body of an incoming webhook of Slack: blocks, and the
// text that notifications show in their place. A section has at most 10 fields.
func slackMessage(n note) any {
	mrkdwn := func(text string) slackText { return slackText{"mrkdwn", text} }
	title := slackEscapes.Replace(n.title)
	head := func(heading string) string { return n.outcome.mark() + " *" + heading + "*" }
	text := mrkdwn(head(title))
	if n.link != "" {
		link := "<" + slackEscapes.Replace(strings.ReplaceAll(n.link, "|", "%7C")) + "|" + strings.ReplaceAll(title, "|", "¦") + ">"
		// Half of the section is left to the detail. A part of a link is none.
		if linked := head(link); utf8.RuneCountInString(linked) <= maxSlackSection/2 {
			text.Text = linked
		}
	}
	if detail := slackDetail(n.detail, maxSlackSection-1-utf8.RuneCountInString(text.Text)); detail != "" {
		text.Text += "\n" + detail
	}
	section := slackBlock{Type: "section", Text: &text}
	for _, f := range n.facts {
		section.Fields = append(section.Fields, mrkdwn("*"+f.name+"*\n"+slackEscapes.Replace(f.value)))
	}
	return struct {
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{n.outcome.mark() + " " + title, []slackBlock{section}}
}

// slackDetail is a text, escaped, of at most so many characters: no escape is cut.
func slackDetail(text string, most int) string {
	escaped := slackEscapes.Replace(text)
	if utf8.RuneCountInString(escaped) <= most {
		return escaped
	}
	var b strings.Builder
	for _, r := range text {
		next := slackEscapes.Replace(string(r))
		if most -= utf8.RuneCountInString(next); most < 1 {
			break
		}
		b.WriteString(next)
	}
	return b.String() + "…"
}
