package dialect

import "regexp"

// teamsMarkup are the characters that the Markdown of Adaptive Cards gives a
// meaning.
var teamsMarkup = regexp.MustCompile("[\\\\*_~`<>\\[\\]()]")

func teamsEscape(s string) string { return teamsMarkup.ReplaceAllString(s, `\$0`) }

// teamsColors are those of a text block.
var teamsColors = map[outcome]string{neutral: "Default", good: "Good", bad: "Attention"}

// The parts of an Adaptive Card (version 1.4) that a message uses.
type (
	teamsText struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Size   string `json:"size,omitempty"`
		Weight string `json:"weight,omitempty"`
		Color  string `json:"color,omitempty"`
		Wrap   bool   `json:"wrap"`
	}
	teamsFacts struct {
		Type  string      `json:"type"`
		Facts []teamsFact `json:"facts"`
	}
	teamsFact struct {
		Title string `json:"title"`
		Value string `json:"value"`
	}
	teamsAction struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		URL   string `json:"url"`
	}
	teamsCard struct {
		Schema  string        `json:"$schema"`
		Type    string        `json:"type"`
		Version string        `json:"version"`
		Body    []any         `json:"body"`
		Actions []teamsAction `json:"actions,omitempty"`
	}
	teamsAttachment struct {
		ContentType string    `json:"contentType"`
		ContentURL  *string   `json:"contentUrl"`
		Content     teamsCard `json:"content"`
	}
)

// teamsMessage is the body of a workflow webhook of Microsoft Teams ("When a
// Teams webhook request is received"): a message with one Adaptive Card.
func teamsMessage(n note) any {
	body := []any{teamsText{
		Type: "TextBlock", Text: teamsEscape(n.title), Size: "Medium", Weight: "Bolder", Color: teamsColors[n.outcome], Wrap: true,
	}}
	if n.detail != "" {
		body = append(body, teamsText{Type: "TextBlock", Text: teamsEscape(n.detail), Wrap: true})
	}
	if len(n.facts) > 0 {
		facts := teamsFacts{Type: "FactSet"}
		for _, f := range n.facts {
			facts.Facts = append(facts.Facts, teamsFact{f.name, teamsEscape(f.value)})
		}
		body = append(body, facts)
	}
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Body: body,
	}
	if n.link != "" {
		card.Actions = []teamsAction{{"Action.OpenUrl", "Open", n.link}}
	}
	return struct {
		Type        string            `json:"type"`
		Attachments []teamsAttachment `json:"attachments"`
	}{"message", []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}
