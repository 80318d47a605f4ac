package api_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestANameShowsWhatItIs(t *testing.T) {
	a := newAPI(t)
	deployment := "/v1/deployments/" + a.ask(201, "POST", "/v1/deployments", `{"name":"d"}`).text("id")
	crew := "/v1/crews/" + a.ask(201, "POST", "/v1/crews", `{"name":"c"}`).text("id")
	const agentTarget = `"slug":"a","target":{"type":"http","url":"https://e.example"}`
	agent := crew + "/agents/" + a.ask(201, "POST", crew+"/agents", `{"name":"a",`+agentTarget+`}`).text("id")
	incoming := deployment + "/incoming-webhooks/" + a.ask(201, "POST", deployment+"/incoming-webhooks", `{"name":"i","environment":"production"}`).text("id")
	const hook = `"url":"https://e.example","events":["run.failed"],"environment":"production"`
	outgoing := deployment + "/outgoing-webhooks/" + a.ask(201, "POST", deployment+"/outgoing-webhooks", `{"name":"o",`+hook+`}`).text("id")
	appWebhooks, _ := a.app()
	appWebhook := a.appWebhook(appWebhooks)
	const appHook = `"url":"https://e.example","events":["job_finished"]`

	// Every route that takes a name, with what it needs besides.
	routes := []struct{ method, path, more string }{
		{"POST", "/v1/tokens", `"role":"viewer"`},
		{"POST", "/v1/workspaces", ""},
		{"POST", "/v1/deployments", ""}, {"PATCH", deployment, ""},
		{"POST", "/v1/crews", ""}, {"PATCH", crew, ""},
		{"POST", crew + "/agents", agentTarget}, {"PATCH", agent, ""},
		{"POST", "/v1/apps", ""}, {"PATCH", strings.TrimSuffix(appWebhooks, "/webhooks"), ""},
		{"POST", "/v1/repositories", `"owner":"o"`},
		{"POST", "/v1/customers", ""}, {"PATCH", a.customer("x"), ""},
		{"POST", deployment + "/incoming-webhooks", `"environment":"production"`}, {"PATCH", incoming, ""},
		{"POST", deployment + "/outgoing-webhooks", hook}, {"PATCH", outgoing, ""},
		{"POST", appWebhooks, appHook}, {"PATCH", appWebhook, ""},
	}
	send := func(method, path, name, more string) int {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"name":` + string(quoted)
		if more != "" {
			body += "," + more
		}
		return a.request(stackToken, method, path, body+"}").Code
	}

	for what, name := range map[string]string{
		"nothing":                       "",
		"spaces":                        " \u00a0\u3000",
		"a line break":                  "a\nb",
		"a carriage return":             "a\rb",
		"a tab":                         "a\tb",
		"NUL":                           "a\x00b",
		"an escape of a terminal":       "\x1b[31mred",
		"delete":                        "a\x7f",
		"a C1 control":                  "a\u009b31m",
		"a line separator":              "a\u2028b",
		"a paragraph separator":         "a\u2029b",
		"an override to the left":       "exe.\u202egpj",
		"an isolate":                    "a\u2066b",
		"a mark to the right":           "a\u200fb",
		"an Arabic letter mark":         "a\u061cb",
		"a zero-width space":            "ad\u200bmin",
		"a word joiner":                 "ad\u2060min",
		"a byte order mark":             "\ufeffadmin",
		"a soft hyphen":                 "ad\u00admin",
		"a Hangul filler":               "\u3164",
		"a combining grapheme joiner":   "ad\u034fmin",
		"tags that are no flag's":       "admin\U000E0078\U000E0079",
		"tags after another emoji":      "\U0001F600\U000E0067\U000E007F",
		"joiners alone":                 "\u200d\u200c",
		"a variation selector alone":    "\ufe0f",
		"a combining mark alone":        "\u0301",
		"an interlinear annotation":     "a\ufff9b",
		"more characters than may be":   strings.Repeat("é", 101),
		"a hidden one at the very end":  "admin\u202c",
		"a hidden one after a flag":     "\U0001F3F4\u202e",
		"a Mongolian vowel separator":   "a\u180eb",
		"an activated symmetric switch": "a\u206ab",
	} {
		for _, r := range routes {
			if status := send(r.method, r.path, name, r.more); status != 400 {
				t.Errorf("%s: %s %s answers %d", what, r.method, r.path, status)
			}
		}
	}
	for what, name := range map[string]string{
		"ASCII":                        `Nightly <reports> & "more" / \ 100 %`,
		"accents":                      "Café, naïve, e\u0301",
		"Persian with a non-joiner":    "می\u200cخواهم",
		"Hindi with a joiner":          "क्\u200dष",
		"Hebrew":                       "שלום",
		"Arabic with a number sign":    "\u0600١٢٣",
		"Chinese":                      "部署 通知",
		"an emoji with joiners":        "👩\u200d💻 ops",
		"an emoji with a selector":     "❤\ufe0f",
		"a keycap":                     "1\ufe0f\u20e3",
		"a family":                     "👨\u200d👩\u200d👧\u200d👦",
		"Scotland's flag":              "\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F",
		"a pirate's flag":              "\U0001F3F4\u200d☠\ufe0f",
		"Mongolian with its selector":  "ᠠ\u180b",
		"Thai":                         "การแจ้งเตือน",
		"as many characters as may be": strings.Repeat("é", 100),
	} {
		for _, r := range routes {
			if r.path == "/v1/repositories" || strings.HasSuffix(r.path, "/agents") {
				continue // a repository's is part of a path, and an agent's slug is taken
			}
			if status := send(r.method, r.path, name, r.more); status/100 != 2 {
				t.Errorf("%s: %s %s answers %d", what, r.method, r.path, status)
			}
		}
	}
}
