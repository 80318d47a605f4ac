package dialect

import (
	"regexp"

	"boathook/internal/boathook"
)

// discordMarkup are the characters that Discord's Markdown gives a meaning.
var discordMarkup = regexp.MustCompile("[\\\\*_~`|<>@#:\\[\\]()-]")

func discordEscape(s string) string { return discordMarkup.ReplaceAllString(s, `\$0`) }

// discordColors are those of Discord's own messages.
var discordColors = map[outcome]int{neutral: 0x5865f2, good: 0x57f287, bad: 0xed4245}

type discordEmbed struct {
	Title       string         `json:"title"`
	URL         string         `json:"url,omitempty"`
	Description string         `json:"description,omitempty"`
	Color       int            `json:"color"`
	Fields      []discordField `json:"fields,omitempty"`
	Timestamp   boathook.Time  `json:"timestamp"`
}

type discordField struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline"`
}

// discordMessage is the body of a webhook of Discord: one embed. It mentions
// nobody, whatever it says.
func discordMessage(n note) any {
	embed := discordEmbed{
		Title: discordEscape(n.title), URL: n.link, Description: discordEscape(n.detail),
		Color: discordColors[n.outcome], Timestamp: boathook.Time{Time: n.at},
	}
	for _, f := range n.facts {
		embed.Fields = append(embed.Fields, discordField{f.name, discordEscape(f.value), true})
	}
	type mentions struct {
		Parse []string `json:"parse"`
	}
	return struct {
		Embeds          []discordEmbed `json:"embeds"`
		AllowedMentions mentions       `json:"allowed_mentions"`
	}{[]discordEmbed{embed}, mentions{Parse: []string{}}}
}
