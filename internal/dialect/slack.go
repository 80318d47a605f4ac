package dialect

import "strings"

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

// slackMessage is the body of an incoming webhook of Slack: blocks, and the
// text that notifications show in their place. A section has at most 10 fields.
func slackMessage(n note) any {
	mrkdwn := func(text string) slackText { return slackText{"mrkdwn", text} }
	title := slackEscapes.Replace(n.title)
	heading := "*" + title + "*"
	if n.link != "" {
		heading = "*<" + slackEscapes.Replace(strings.ReplaceAll(n.link, "|", "%7C")) + "|" + strings.ReplaceAll(title, "|", "¦") + ">*"
	}
	text := mrkdwn(n.outcome.mark() + " " + heading)
	if n.detail != "" {
		text.Text += "\n" + slackEscapes.Replace(n.detail)
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
