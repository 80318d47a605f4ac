package api_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// hostile are what a client may send in an id's place, beside an id that there is.
// A segment ".." is none that an id could be in: clients and the mux take it for
// the folder above.
func hostile(id string) map[string]string {
	return map[string]string{
		"a webhook's health": id + "#health",
		"the separator":      "#",
		"two ids":            id + "#" + id,
		"another folder":     id + "/x",
		"a NUL":              id + "\x00",
		"a line break":       id + "\n",
		"a space":            id + " ",
		"another alphabet":   id + "é",
		"what is not UTF-8":  id + "\xff",
		"much":               strings.Repeat("a", 3<<10),
		"an id and much":     id + strings.Repeat("a", 3<<10),
	}
}

var wildcards = regexp.MustCompile(`\{[a-z-]+\}`)

func TestWhatIsNoIDIsNotFoundAndTouchesNothing(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	read := func() string {
		var all strings.Builder
		for _, pattern := range a.handler.Patterns() {
			if method, path := fill(pattern, objects); method == "GET" {
				all.WriteString(a.request(stackToken, method, path, "").Body.String())
			}
		}
		return all.String()
	}
	before := read()
	for _, pattern := range a.handler.Patterns() {
		for _, wildcard := range wildcards.FindAllString(pattern, -1) {
			for _, id := range hostile(objects[wildcard]) {
				one := maps.Clone(objects)
				maps.DeleteFunc(one, func(name, _ string) bool { return strings.Contains(name, wildcard) }) // several at once
				one[wildcard] = url.PathEscape(id)
				if wildcard == "{outgoing}" {
					one["{agent-outgoing}"] = one[wildcard]
				}
				method, path := fill(pattern, one)
				w := a.request(stackToken, method, path, bodyOf(pattern))
				want := 404
				if pattern == definition {
					want = 400 // that which is to be made has no such name
				}
				if w.Code != want || w.Header().Get("Content-Type") != "application/json" || w.Body.Len() > 400 {
					t.Errorf("%s with %.40q: %d %.200s", pattern, id, w.Code, w.Body)
				}
			}
		}
	}
	for _, id := range hostile(objects["{deployment}"]) {
		encoded, _ := json.Marshal(id) // a string always marshals
		text := string(encoded)
		a.ask(404, "POST", "/v1/runs", `{"deployment_id":`+text+`}`)
		a.ask(404, "GET", "/v1/runs?deployment_id="+url.QueryEscape(id), "")
		a.ask(404, "GET", "/api/v1/runs?agent_id="+url.QueryEscape(id), "")
		a.refused(404, "source", "POST", "/v1/events", `{"source":`+text+`,"type":"job_finished","data":{}}`)
		a.ask(404, "GET", "/api/v1/internal/agents/"+url.PathEscape(id)+"/webhook-secret", "", "X-Internal-Token", internalToken)
	}
	if after := read(); after != before {
		t.Errorf("they have changed\n%s\nto\n%s", before, after)
	}
	for line := range strings.Lines(a.log.String()) {
		if !strings.Contains(line, "webhook secret shown") && !strings.Contains(line, "webhook URL shown") { // to read
			t.Errorf("logged: %.500s", line)
		}
	}
}
