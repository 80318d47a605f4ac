package console

import (
	"embed"
	"slices"
	"strings"

	"boathook/internal/dialect"
)

//go:embed snippets
var snippets embed.FS

// pane is one of several languages.
type pane struct{ Text, Code string }

// verifiers are programs that receive what is sent in a dialect and check it, whole: they
// run as pasted, with WEBHOOK_SECRET and PORT set. Each is a frame of its language around a
// function of its dialect.
func verifiers(name string) []pane {
	if !slices.Contains(dialect.Names(), name) {
		return nil
	}
	var panes []pane
	for _, l := range []struct{ text, file string }{{"Python", "receiver.py"}, {"Node", "receiver.js"}, {"Go", "receiver.go.txt"}} {
		frame, err := snippets.ReadFile("snippets/" + l.file)
		if err != nil {
			return nil
		}
		verify, err := snippets.ReadFile("snippets/" + name + "-" + l.file)
		if err != nil {
			return nil
		}
		imports, function, ok := strings.Cut(string(verify), "\n---\n")
		if !ok { // its frame has the imports
			imports, function = "", string(verify)
		}
		whole := strings.NewReplacer("IMPORTS\n", imports+"\n", "VERIFY\n", function).Replace(string(frame))
		panes = append(panes, pane{l.text, whole})
	}
	return panes
}
