package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// curl is a command that sends a delivery's last request once more, to try it against a
// receiver. Headers that the webhook's owner has set are masked in it, as everywhere.
func curl(d *delivery, body []byte) string {
	last := d.Latest()
	if last == nil || last.URL == "" || len(body) > maxShown {
		return ""
	}
	lines := []string{"curl -sS -X POST " + quoted(last.URL)}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		lines = append(lines, "-H "+quoted(name+": "+d.Headers[name]))
	}
	lines = append(lines, "--data-binary "+quoted(string(body)))
	return strings.Join(lines, " \\\n  ")
}

// quoted is a word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// runOf is the run that a delivery's body tells of; empty if it tells of none.
func runOf(body []byte) string {
	var told struct {
		RunID string `json:"run_id"`
		Data  struct {
			RunID string `json:"run_id"`
		} `json:"data"`
	}
	if len(body) > 1<<20 || json.Unmarshal(body, &told) != nil {
		return ""
	}
	for _, id := range []string{told.RunID, told.Data.RunID} {
		if boathook.HasIDKind(id, boathook.RunID) && boathook.IsID(id) {
			return id
		}
	}
	return ""
}

// kindOf is the kind of a source by its id.
func kindOf(id string) boathook.SourceKind {
	for prefix, kind := range map[string]boathook.SourceKind{
		boathook.DeploymentID: boathook.Deployment, boathook.CrewID: boathook.Crew, boathook.AgentID: boathook.Agent,
		boathook.RepositoryID: boathook.Repository, boathook.AppID: boathook.App, boathook.CustomerID: boathook.Customer, boathook.AlertsID: boathook.Alerts,
	} {
		if boathook.HasIDKind(id, prefix) {
			return kind
		}
	}
	if boathook.IsForeignID(id) {
		return boathook.App // its ids are UUIDs
	}
	return ""
}

// prettyStart indents the beginning of a JSON text, which ends in the middle of it.
func prettyStart(start []byte) string {
	var b strings.Builder
	depth, inString := 0, false
	line := func() { b.WriteByte('\n'); b.WriteString(strings.Repeat("  ", min(depth, 40))) }
	for i := 0; i < len(start); i++ {
		ch := start[i]
		if inString {
			b.WriteByte(ch)
			switch ch {
			case '\\':
				if i++; i < len(start) {
					b.WriteByte(start[i])
				}
			case '"':
				inString = false
			}
			continue
		}
		switch ch {
		case ' ', '\t', '\r', '\n':
		case '"':
			inString = true
			b.WriteByte(ch)
		case '{', '[':
			depth++
			b.WriteByte(ch)
			line()
		case '}', ']':
			depth--
			line()
			b.WriteByte(ch)
		case ',':
			b.WriteByte(ch)
			line()
		case ':':
			b.WriteString(": ")
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// attempt is one request of a delivery on a page.
type attempt struct {
	boathook.Attempt
}

// Outcome is what came of it in a few words: 503 Service Unavailable, or why there was no
// answer.
func (a attempt) Outcome() string {
	if a.Response == nil || a.Response.Status == 0 {
		return sentence(cmp.Or(a.Error, "Sent"))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Response.Status, http.StatusText(a.Response.Status)))
}

// Detail is why an answer is not a success, unless its status says it all.
func (a attempt) Detail() string {
	if a.Response == nil || a.Response.Status == 0 || a.Error == fmt.Sprintf("answered %d", a.Response.Status) {
		return ""
	}
	return a.Error
}

// Header has the answer's headers, each in one line.
func (a attempt) Header() map[string]string { return boathook.JoinedHeaders(a.Response.Headers) }

// newestFirst are the attempts of a delivery as a page lists them.
func newestFirst(attempts []boathook.Attempt) []attempt {
	shown := make([]attempt, 0, len(attempts))
	for _, a := range slices.Backward(attempts) {
		shown = append(shown, attempt{a})
	}
	return shown
}
