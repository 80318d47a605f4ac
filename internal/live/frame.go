package live

import (
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// maxFrame is the longest frame that is sent: below 32 KiB, which is what API
// Gateway charges as one message.
const maxFrame = 32<<10 - 1

// frame is what clients get (wire formats, section 2). A pong's payload is null.
type frame struct {
	Type    string `json:"type"`
	Channel string `json:"channel,omitempty"`
	Payload any    `json:"payload"`
}

func (f frame) encode() ([]byte, error) { return boathook.EncodeJSON(f) }

// errorFrame says what is wrong twice: Crewship's clients read "message", its
// document shows "error".
func errorFrame(channel, message string) frame {
	return frame{Type: "error", Channel: channel, Payload: map[string]string{"error": message, "message": message}}
}

// logPayload is the payload of an "agent.log".
type logPayload struct {
	TS       boathook.Time     `json:"ts"` // of the first line
	Level    string            `json:"level"`
	Agent    string            `json:"agent"` // the slug
	AgentID  string            `json:"agent_id"`
	Event    string            `json:"event"`
	Content  string            `json:"content"`
	Metadata map[string]string `json:"metadata"`
}

// logFrames are the frames of an agent's lines, in their order.
func logFrames(agent string, run boathook.RunHead, lines []boathook.LogLine) (frames [][]byte, err error) {
	encode := func(p passage) ([]byte, error) {
		return frame{Type: "agent.log", Channel: boathook.LogChannel.Of(run.WorkspaceID), Payload: logPayload{
			TS: boathook.Time{Time: p.at}, Level: p.level, Agent: agent, AgentID: run.SourceID,
			Event: boathook.LogEvent, Content: p.text, Metadata: map[string]string{"run_id": run.ID},
		}}.encode()
	}
	around, err := encode(passage{at: time.Unix(0, 0), level: boathook.LogLine{Stream: "stderr"}.Level()})
	if err != nil {
		return nil, err
	}
	for p := range passages(lines, maxFrame-len(around)) {
		text, err := encode(p)
		if err != nil {
			return nil, err
		}
		frames = append(frames, text)
	}
	return frames, nil
}

// passage is what one frame shows: lines of one level, joined by newlines.
type passage struct {
	at    time.Time
	level string
	text  string
}

// passages joins lines of one level that follow one another, as many as fit limit
// bytes of JSON. A line that is longer is cut, and each part is a passage: control
// characters take six bytes each there.
func passages(lines []boathook.LogLine, limit int) iter.Seq[passage] {
	return func(yield func(passage) bool) {
		var open passage
		var parts []string
		size := 0
		for _, line := range lines {
			level := line.Level()
			for rest, begins := line.Text, true; begins || rest != ""; begins = false {
				var part string
				var width int
				part, rest, width = cut(rest, limit)
				if begins && len(parts) > 0 && level == open.level && size+len(`\n`)+width <= limit {
					parts = append(parts, part)
					size += len(`\n`) + width
					continue
				}
				if len(parts) > 0 {
					open.text = strings.Join(parts, "\n")
					if !yield(open) {
						return
					}
				}
				open, parts, size = passage{at: line.Time, level: level}, []string{part}, width
			}
		}
		if len(parts) > 0 {
			open.text = strings.Join(parts, "\n")
			yield(open)
		}
	}
}

// cut splits a text where it would be longer than limit in JSON, and tells how
// long the first part is there.
func cut(text string, limit int) (part, rest string, width int) {
	for i := 0; i < len(text); {
		char, size := utf8.DecodeRuneInString(text[i:])
		n := widthInJSON(char, size)
		if width+n > limit {
			return text[:i], text[i:], width
		}
		width += n
		i += size
	}
	return text, "", width
}

// widthInJSON is at least how many bytes a character of size bytes has in a
// string that [boathook.EncodeJSON] writes.
func widthInJSON(char rune, size int) int {
	switch {
	case char == '"' || char == '\\' || char == '\n' || char == '\r' || char == '\t':
		return len(`\n`)
	case char < ' ' || char == '\u2028' || char == '\u2029' || char == utf8.RuneError:
		return len(`\u001b`)
	}
	return size
}
