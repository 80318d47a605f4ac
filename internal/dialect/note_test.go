package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/dialect"
)

// The messages about the document's build, whole.
func TestABuildAsAMessage(t *testing.T) {
	e := example(t, boathook.Repository, boathook.EventBuildFinish)
	e.Environment = boathook.Staging
	const link = "https://github.com/grosskur/docker-hello/commit/88d543e33a67d669e917bb178d63fba838d9cf2e"
	for format, want := range map[boathook.Format]string{
		boathook.Slack: `{"text":"✅ Build 14 of grosskur/docker-hello succeeded","blocks":[{"type":"section",
			"text":{"type":"mrkdwn","text":"✅ *<` + link + `|Build 14 of grosskur/docker-hello succeeded>*\nRevert test commit"},
			"fields":[{"type":"mrkdwn","text":"*Status*\nsucceeded"},{"type":"mrkdwn","text":"*Duration*\n3m 20s"},
			{"type":"mrkdwn","text":"*Commit*\n88d543e"},{"type":"mrkdwn","text":"*Author*\nAlan Grosskurth"},
			{"type":"mrkdwn","text":"*Images*\nshipway.io/grosskur/docker-hello:latest"},{"type":"mrkdwn","text":"*Environment*\nstaging"}]}]}`,
		boathook.Discord: `{"embeds":[{"title":"Build 14 of grosskur/docker\\-hello succeeded","url":"` + link + `",
			"description":"Revert test commit","color":5763719,"fields":[{"name":"Status","value":"succeeded","inline":true},
			{"name":"Duration","value":"3m 20s","inline":true},{"name":"Commit","value":"88d543e","inline":true},
			{"name":"Author","value":"Alan Grosskurth","inline":true},
			{"name":"Images","value":"shipway.io/grosskur/docker\\-hello\\:latest","inline":true},{"name":"Environment","value":"staging","inline":true}],
			"timestamp":"2026-11-21T11:00:00.250Z"}],"allowed_mentions":{"parse":[]}}`,
		boathook.Teams: `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,
			"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","body":[
			{"type":"TextBlock","text":"Build 14 of grosskur/docker-hello succeeded","size":"Medium","weight":"Bolder","color":"Good","wrap":true},
			{"type":"TextBlock","text":"Revert test commit","wrap":true},
			{"type":"FactSet","facts":[{"title":"Status","value":"succeeded"},{"title":"Duration","value":"3m 20s"},{"title":"Commit","value":"88d543e"},
			{"title":"Author","value":"Alan Grosskurth"},{"title":"Images","value":"shipway.io/grosskur/docker-hello:latest"},{"title":"Environment","value":"staging"}]}],
			"actions":[{"type":"Action.OpenUrl","title":"Open","url":"` + link + `"}]}}]}`,
	} {
		for _, name := range []string{dialect.Shipway, dialect.Standard} { // the dialect has no say
			if diff := cmp.Diff(parsed(t, []byte(want)), parsed(t, body(t, lookup(t, name), format, e))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", format, diff)
			}
		}
	}
}

func parsed(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// What the fallback, which notifications show, says of each event.
func TestEachEventHasATitleAndItsOutcome(t *testing.T) {
	for name, want := range map[boathook.EventType]string{
		boathook.EventRunSucceeded:         "✅ Run succeeded",
		boathook.EventRunFailed:            "❌ Run failed",
		boathook.EventBuildFinish:          "✅ Build 14 of grosskur/docker-hello succeeded",
		boathook.EventAppBuildCreated:      "🔵 Build 14 created",
		boathook.EventAppDeploymentCreated: "🔵 Deployment created",
		boathook.EventJobCreated:           "🔵 Job created: queued",
		boathook.EventJobFinished:          "🔵 Job finished: canceled",
	} {
		for _, typ := range catalogue.All() {
			if typ.Name != name {
				continue
			}
			e := example(t, typ.Source, name)
			got := parsed(t, body(t, lookup(t, dialect.Standard), boathook.Slack, e)).(map[string]any)["text"]
			if got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	// An event that a later version adds is told by its name.
	e := boathook.Event{Type: "webhook.later", Data: []byte(`{}`)}
	if got := parsed(t, body(t, lookup(t, dialect.Standard), boathook.Slack, e)).(map[string]any)["text"]; got != "🔵 webhook.later" {
		t.Errorf("got %q", got)
	}
}

func TestTheMessageOfADisabledWebhookSaysWhichAndWhy(t *testing.T) {
	for kind, name := range map[boathook.SourceKind]string{boathook.Deployment: "deployments channel", boathook.Agent: "reviews channel"} {
		got := string(body(t, lookup(t, dialect.Crewship), boathook.Slack, example(t, kind, boathook.EventWebhookDisabled)))
		for _, want := range []string{
			"❌ Webhook disabled: " + name, `*Host*\nhooks.example.com`, `*Webhook*\nout_m5rz7ck2wq4xhd6nbt3yvspa`, "failing since 2026-11-16",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s has no %s", got, want)
			}
		}
	}
}

func TestARunsMessageTellsItsErrorAndDuration(t *testing.T) {
	e := example(t, boathook.Deployment, boathook.EventRunFailed)
	got := string(body(t, lookup(t, dialect.Crewship), boathook.Slack, e))
	for _, want := range []string{"exit status 3", `*Duration*\n1m 7s`, `*Version*\n5`, "*Run*"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %s", got, want)
		}
	}
}

// hostile is text that means something in every chat.
const hostile = "<!channel> <@U123> @everyone @here <@&1> [x](https://evil.example) *b* `c` | & \\ <at>me</at> \u202e\x00\nnew line"

func TestNoTextOfAnEventMentionsAnyoneOrMakesALink(t *testing.T) {
	e := example(t, boathook.Repository, boathook.EventBuildFinish)
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	e.Data = []byte(strings.NewReplacer(`"Revert test commit"`, string(quoted), `"docker-hello"`, string(quoted), `"Alan Grosskurth"`, string(quoted)).Replace(string(e.Data)))
	for format, forbidden := range map[boathook.Format][]string{
		boathook.Slack:   {"<!channel>", "<@U123>", "<@&1>", "<at>"},
		boathook.Discord: {"<@U123>", "<@&1>", " @everyone", "[x](", " *b*", " `c`"},
		boathook.Teams:   {"<at>", "[x](", " *b*", " `c`"},
	} {
		var all strings.Builder
		eachText(parsed(t, body(t, lookup(t, dialect.Shipway), format, e)), func(s string) { all.WriteString(s + "\n") })
		for _, s := range append(forbidden, "\u202e", "\x00") {
			if strings.Contains(all.String(), s) {
				t.Errorf("%s: %q is in\n%s", format, s, all.String())
			}
		}
		if !strings.Contains(all.String(), "new line") {
			t.Errorf("%s: the text is cut: %s", format, all.String())
		}
	}
	if got := string(body(t, lookup(t, dialect.Shipway), boathook.Discord, e)); !strings.HasSuffix(got, `"allowed_mentions":{"parse":[]}}`) {
		t.Errorf("mentions are allowed: %s", got)
	}
}

func TestOnlyLinksForBrowsersAreSent(t *testing.T) {
	for cloneURL, want := range map[string]string{
		"https://github.com/a/b.git":           "https://github.com/a/b/commit/88d543e33a67d669e917bb178d63fba838d9cf2e",
		"https://gitlab.example/a/b.git":       "https://gitlab.example/a/b",
		"http://git.example/a b|c>d?x=1#y":     "http://git.example/a%20b%7Cc%3Ed",
		"javascript:alert(1)":                  "",
		"git@github.com:a/b.git":               "",
		"ssh://git@github.com/a/b.git":         "",
		"https://user:password@git.example/a":  "",
		"https://" + strings.Repeat("x", 2000): "",
		"https://":                             "",
		"%":                                    "",
	} {
		e := example(t, boathook.Repository, boathook.EventBuildFinish)
		e.Data = []byte(strings.Replace(string(e.Data), "https://github.com/grosskur/docker-hello.git", cloneURL, 1))
		embed := parsed(t, body(t, lookup(t, dialect.Shipway), boathook.Discord, e)).(map[string]any)["embeds"].([]any)[0].(map[string]any)
		if got, _ := embed["url"].(string); got != want {
			t.Errorf("%.60q: got %q, want %q", cloneURL, got, want)
		}
	}
}

// The limits that the services document: what is over one is refused whole.
func TestTheLongestTextsFitEachService(t *testing.T) {
	for _, fill := range []string{"*", "🚢", "é", "<", "x"} {
		long := strings.Repeat(fill, 5000)
		for _, typ := range catalogue.All() {
			e := example(t, typ.Source, typ.Name)
			e.Environment = boathook.Production
			data := parsed(t, e.Data)
			e.Data, _ = json.Marshal(stretched(data, long))
			checkDiscord(t, parsed(t, body(t, lookup(t, dialect.Standard), boathook.Discord, e)))
			checkSlack(t, parsed(t, body(t, lookup(t, dialect.Standard), boathook.Slack, e)))
			if n := len(body(t, lookup(t, dialect.Standard), boathook.Teams, e)); n > 28<<10 {
				t.Errorf("%s: %d bytes for Teams", typ.Name, n)
			}
		}
	}
}

// stretched has a long text for each, but for statuses and times.
func stretched(v any, long string) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if name != "status" && !strings.HasSuffix(name, "_at") {
				v[name] = stretched(inner, long)
			}
		}
	case []any:
		for i := range v {
			v[i] = stretched(v[i], long)
		}
	case string, nil:
		return long
	}
	return v
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

func checkDiscord(t *testing.T, message any) {
	t.Helper()
	embed := message.(map[string]any)["embeds"].([]any)[0].(map[string]any)
	total := 0
	check := func(what string, v any, limit int) {
		s, _ := v.(string)
		total += units(s)
		if n := units(s); n > limit {
			t.Errorf("Discord: a %s of %d characters", what, n)
		}
	}
	check("title", embed["title"], 256)
	check("description", embed["description"], 4096)
	fields := embed["fields"].([]any)
	if len(fields) > 25 {
		t.Errorf("Discord: %d fields", len(fields))
	}
	for _, f := range fields {
		check("name", f.(map[string]any)["name"], 256)
		check("value", f.(map[string]any)["value"], 1024)
		if f.(map[string]any)["value"] == "" {
			t.Errorf("Discord: %v is empty", f)
		}
	}
	if total > 6000 {
		t.Errorf("Discord: %d characters in all", total)
	}
}

func checkSlack(t *testing.T, message any) {
	t.Helper()
	block := message.(map[string]any)["blocks"].([]any)[0].(map[string]any)
	if n := units(block["text"].(map[string]any)["text"].(string)); n > 3000 {
		t.Errorf("Slack: a text of %d characters", n)
	}
	fields, _ := block["fields"].([]any)
	if len(fields) > 10 {
		t.Errorf("Slack: %d fields", len(fields))
	}
	for _, f := range fields {
		if n := units(f.(map[string]any)["text"].(string)); n > 2000 {
			t.Errorf("Slack: a field of %d characters", n)
		}
	}
}

func eachText(v any, do func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			eachText(inner, do)
		}
	case []any:
		for _, inner := range v {
			eachText(inner, do)
		}
	case string:
		do(v)
	}
}

func TestAnUnknownFormatIsRefusedAndNoneIsRaw(t *testing.T) {
	d, e := lookup(t, dialect.Shipway), boathook.Event{Data: []byte(`{"a":1}`)}
	if b, err := d.Body("irc", e); err == nil {
		t.Errorf("rendered %s", b)
	}
	if got := body(t, d, "", e); string(got) != `{"a":1}` {
		t.Errorf("rendered %s", got)
	}
}

// Data comes from outside: whatever it is, a message is JSON and mentions nobody.
func FuzzMessagesAreJSON(f *testing.F) {
	for _, typ := range catalogue.All() {
		f.Add(string(typ.Name), []byte(typ.Example))
	}
	f.Add("build_finish", []byte(`{"build":{"exit_code":1e99},"commit":{"sha":"é","message":"<!here>"}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for _, format := range []boathook.Format{boathook.Slack, boathook.Discord, boathook.Teams} {
			d, _ := dialect.Lookup(dialect.Standard)
			b, err := d.Body(format, boathook.Event{Type: boathook.EventType(name), Data: data})
			if err != nil || !json.Valid(b) {
				t.Fatalf("%s: %v: %s", format, err, b)
			}
			if format == boathook.Slack && strings.Contains(string(b), "<!") {
				t.Errorf("a mention: %s", b)
			}
		}
	})
}

// A clone URL of ampersands made a section of 7,576 characters.
func TestASectionOfSlackHasAtMost3000CharactersOnceEscaped(t *testing.T) {
	for name, link := range map[string]string{
		"a long link": "https://git.example/" + strings.Repeat("&", 970), "a short one": "https://git.example/x",
	} {
		e := example(t, boathook.Repository, boathook.EventBuildFinish)
		quoted, err := json.Marshal(strings.Repeat("&<>", 400))
		if err != nil {
			t.Fatal(err)
		}
		e.Data = []byte(strings.NewReplacer(
			`"Revert test commit"`, string(quoted), `"docker-hello"`, string(quoted), `"https://github.com/grosskur/docker-hello.git"`, `"`+link+`"`,
		).Replace(string(e.Data)))
		text := parsed(t, body(t, lookup(t, dialect.Shipway), boathook.Slack, e)).(map[string]any)["blocks"].([]any)[0].(map[string]any)["text"].(map[string]any)["text"].(string)
		if n := len([]rune(text)); n > 3000 || n < 1500 {
			t.Errorf("%s: the section has %d characters", name, n)
		}
		for i, rest := 0, text; i >= 0; { // each & begins an escape that is whole
			if i = strings.IndexByte(rest, '&'); i >= 0 {
				rest = rest[i:]
				if !strings.HasPrefix(rest, "&amp;") && !strings.HasPrefix(rest, "&lt;") && !strings.HasPrefix(rest, "&gt;") {
					t.Fatalf("%s: an escape is cut: %.10s", name, rest)
				}
				rest = rest[1:]
			}
		}
	}
}

func TestARunsMessageNamesItsSourceAndShowsTheStartOfItsOutput(t *testing.T) {
	for output, want := range map[string]string{
		`"Deployed to Europe"`: "Deployed to Europe", `{"answer":42}`: `{"answer":42}`, `null`: "",
		`"` + strings.Repeat("x", 5000) + `"`: strings.Repeat("x", 499) + "…",
	} {
		e := boathook.Event{
			Type: boathook.EventRunSucceeded, SourceName: "Nightly report",
			Data: []byte(`{"run_id":"run_a","deployment_id":"dep_a","status":"succeeded","output":` + output + `,"error_message":null}`),
		}
		got := string(body(t, lookup(t, dialect.Crewship), boathook.Discord, e))
		description, _ := parsed(t, []byte(got)).(map[string]any)["embeds"].([]any)[0].(map[string]any)["description"].(string)
		if strings.ReplaceAll(description, `\`, "") != want || !strings.Contains(got, "Nightly report") || strings.Contains(got, "dep") && strings.Contains(got, `dep\\_a`) {
			t.Errorf("%.40s: the message is %.700s", output, got)
		}
	}
}
