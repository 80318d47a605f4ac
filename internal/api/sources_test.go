package api_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func TestARepositoryIsMadeListedAndDeleted(t *testing.T) {
	a := newAPI(t)
	const path, body = "/v1/repositories", `{"owner":"Acme","name":"site.js"}`
	made := a.ask(201, "POST", path, body)
	want := object{"id": made["id"], "owner": "Acme", "name": "site.js", "created_at": "2026-03-01T12:00:00.000Z"}
	one := path + "/" + made.text("id")
	for _, got := range []object{made, a.ask(200, "GET", one, ""), a.ask(200, "GET", path, "").list("data")[0]} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	other := a.otherWorkspace()
	a.as(other, 404, "GET", one, "")
	a.as(other, 404, "DELETE", one, "")
	if got := a.as(other, 200, "GET", path, "").list("data"); len(got) != 0 {
		t.Errorf("another workspace lists %v", got)
	}
	a.ask(204, "DELETE", one, "")
	a.ask(404, "GET", one, "")
	a.ask(404, "DELETE", one, "")
	a.ask(201, "POST", path, body)
}

func TestAnAppIsTheWorkspacesUntilItIsDeleted(t *testing.T) {
	a := newAPI(t)
	one := "/v1/apps/" + a.newApp()
	other := a.otherWorkspace()
	for method, body := range map[string]string{"GET": "", "PATCH": `{"name":"x"}`, "DELETE": ""} {
		a.as(other, 404, method, one, body)
	}
	if got := a.request(other, "GET", "/v1/apps", "").Body.String(); got != "[]" {
		t.Errorf("another workspace lists %s", got)
	}
	a.ask(200, "GET", one, "")
	a.ask(204, "DELETE", one, "")
	a.ask(404, "GET", one, "")
	a.ask(404, "PATCH", one, `{}`)
	a.ask(404, "DELETE", one, "")
	if got := a.array("/v1/apps"); len(got) != 0 {
		t.Errorf("deleted, and listed %v", got)
	}
}

func TestASourceIsReachedByItsOwnKindOnly(t *testing.T) {
	a := newAPI(t)
	paths := map[string]string{
		"/v1/deployments/":  idOf(a.deployment()),
		"/v1/repositories/": a.ask(201, "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`).text("id"),
		"/v1/apps/":         a.newApp(),
		"/v1/customers/":    idOf(a.customer("x")),
	}
	for path := range paths {
		for of, id := range paths {
			if of == path {
				continue
			}
			a.ask(404, "GET", path+id, "")
			a.ask(404, "DELETE", path+id, "")
			a.ask(404, "GET", path+id+"/outgoing-webhooks", "")
		}
	}
	for path, id := range paths {
		a.ask(200, "GET", path+id, "")
	}
}

func TestARepositorysNamesAreTakenOnceAndFitAPath(t *testing.T) {
	a := newAPI(t)
	a.ask(201, "POST", "/v1/repositories", `{"owner":"Acme","name":"Site"}`)
	a.refused(409, "", "POST", "/v1/repositories", `{"owner":"acme","name":"SITE"}`)
	a.as(a.otherWorkspace(), 201, "POST", "/v1/repositories", `{"owner":"Acme","name":"Site"}`)
	for _, bad := range []string{``, `.`, `..`, `a/b`, `a b`, `ä`, strings.Repeat("x", 101)} {
		a.refused(400, "owner", "POST", "/v1/repositories", `{"owner":"`+bad+`","name":"x"}`)
		a.refused(400, "name", "POST", "/v1/repositories", `{"owner":"x","name":"`+bad+`"}`)
	}
}

func TestTheWebhookOfAnySourceHasAnyDialectAndFormat(t *testing.T) {
	a := newAPI(t)
	repository := a.ask(201, "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`).text("id")
	app := a.newApp()
	for path, c := range map[string]struct {
		event, ref, dialect string
	}{
		a.deployment():                   {"run.failed", "deployment_id", "crewship"},
		"/v1/repositories/" + repository: {"build_finish", "repository_id", "shipway"},
		"/v1/apps/" + app:                {"job_created", "app_id", "capawesome"},
		a.customer("x"):                  {"webhook.disabled", "customer_id", "standard"},
		alertsPath:                       {"run.lost", "alerts_id", "standard"},
	} {
		body := `{"name":"x","url":"https://e.example","events":["` + c.event + `"],"environment":"staging"`
		made := a.ask(201, "POST", path+"/outgoing-webhooks", body+`}`)
		if made.text(c.ref) != idOf(path) || made.text("dialect") != c.dialect || made.text("format") != "raw" {
			t.Errorf("made %v", made)
		}
		for _, name := range []string{"crewship", "shipway", "capawesome", "standard"} {
			for _, format := range []string{"raw", "slack", "discord", "teams"} {
				got := a.ask(201, "POST", path+"/outgoing-webhooks", body+`,"dialect":"`+name+`","format":"`+format+`"}`)
				if got.text("dialect") != name || got.text("format") != format {
					t.Errorf("made %v", got)
				}
			}
		}
		a.refused(400, "format", "POST", path+"/outgoing-webhooks", body+`,"format":"irc"}`)
		a.ask(202, "POST", path+"/outgoing-webhooks/"+made.text("id")+"/test", "")
	}
	if made := a.ask(201, "POST", "/v1/apps/"+app+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":["job_created"]}`); made["environment"] != nil {
		t.Errorf("an app's webhook without an environment is of %v", made["environment"])
	}
}

func TestTheStandardDialectTakesBase64SecretsOnly(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks"
	body := func(dialect, secret string) string {
		return `{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging","dialect":"` + dialect + `","signing_secret":"` + secret + `"}`
	}
	const plain = "not-base64-but-long-enough!"
	for _, secret := range []string{plain, "whsec_" + plain, "whsec_c2hvcnQgYnV0IHZhbGlk", "whsec_" + strings.Repeat("QUFB", 29)} {
		if message := a.refused(400, "signing_secret", "POST", path, body("standard", secret)); strings.Contains(message, secret) || !strings.Contains(message, "base64 of 24 to 64 bytes") {
			t.Errorf("%q", message)
		}
	}
	a.ask(201, "POST", path, body("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))

	made := a.ask(201, "POST", path, body("crewship", plain))
	one := path + "/" + made.text("id")
	if message := a.refused(400, "dialect", "PATCH", one, `{"dialect":"standard"}`); !strings.Contains(message, "rotate-secret") {
		t.Errorf("%q names no remedy", message)
	}
	a.ask(200, "POST", one+"/rotate-secret", `{"overlap_seconds":3600}`)
	a.ask(200, "PATCH", one, `{"dialect":"standard"}`)
	if got := a.secrets(deployment, made.text("id")); len(got) != 1 {
		t.Errorf("%q are in force after the dialect changed", got)
	}
}

func TestAnOverlapIsAsTheDialectHasIt(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	for dialect, c := range map[string]struct {
		expires any
		status  int // of an overlap of a minute
	}{
		"standard":   {"2026-03-02T12:00:00.000Z", 200},
		"crewship":   {nil, 200},
		"shipway":    {nil, 400},
		"capawesome": {nil, 400},
	} {
		made := a.ask(201, "POST", deployment+"/outgoing-webhooks",
			`{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging","dialect":"`+dialect+`"}`)
		path := deployment + "/outgoing-webhooks/" + made.text("id") + "/rotate-secret"
		if got := a.ask(200, "POST", path, "")["previous_secret_expires_at"]; got != c.expires {
			t.Errorf("%s: without a word, the secret before expires at %v, want %v", dialect, got, c.expires)
		}
		a.ask(200, "POST", path, `{"overlap_seconds":0}`)
		a.ask(c.status, "POST", path, `{"overlap_seconds":60}`)
	}
}

func TestAWebhookWithoutASecretNeedsADialectThatAllowsIt(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	made := a.ask(201, "POST", "/v1/apps/"+app+"/webhooks", `{"name":"x","url":"https://e.example","events":["job_created"]}`)
	one := "/v1/apps/" + app + "/outgoing-webhooks/" + made.text("id")
	for _, dialect := range []string{"crewship", "standard"} {
		if message := a.refused(400, "dialect", "PATCH", one, `{"dialect":"`+dialect+`"}`); !strings.Contains(message, "is required by the dialect "+dialect) {
			t.Errorf("%q", message)
		}
	}
	a.ask(200, "PATCH", one, `{"dialect":"shipway"}`)
	if got := a.ask(200, "POST", one+"/rotate-secret", ""); !strings.HasPrefix(got.text("signing_secret"), "whsec_") || got["previous_secret_expires_at"] != nil {
		t.Errorf("the first secret is %v", got)
	}
	a.ask(200, "PATCH", one, `{"dialect":"standard"}`)
	for body, want := range map[string]int{`{"signingSecret":null}`: 400, `{"signingSecret":"x"}`: 400, `{"signingSecret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`: 200} {
		if w := a.request(stackToken, "PATCH", "/v1/apps/"+app+"/webhooks/"+made.text("id"), body); w.Code != want {
			t.Errorf("%s: got %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
}

func TestHeadersOfADialectAreItsOwn(t *testing.T) {
	a := newAPI(t)
	for _, name := range []string{"X-Shipway-Event", "X-Signature", "Webhook-Id", "X-Crewship-Event"} {
		a.refused(400, "headers", "POST", a.deployment()+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"x","url":"https://e.example","events":[%q],"environment":"staging","headers":{%q:"x"}}`, boathook.EventRunFailed, name))
	}
}

func TestTheWebhookOfAnySourceLivesAsADeploymentsDoes(t *testing.T) {
	a := newAPI(t)
	for source, event := range map[string]string{
		a.deployment(): "run.failed",
		a.agent():      "webhook.disabled",
		"/v1/repositories/" + a.ask(201, "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`).text("id"): "build_finish",
		"/v1/apps/" + a.newApp(): "job_created",
	} {
		path := source + "/outgoing-webhooks"
		made := a.ask(201, "POST", path, `{"name":"x","url":"https://e.example","environment":"production","events":["`+event+`"]}`)
		path += "/" + made.text("id")
		if rotated := a.ask(200, "POST", path+"/rotate-secret", ""); rotated.text("signing_secret") == made.text("signing_secret") {
			t.Errorf("%s: the secret stayed", source)
		}
		a.ask(202, "POST", path+"/test", "")
		if got := string(a.publish.event.Type); got != event {
			t.Errorf("%s: the test is of %s, want %s", source, got, event)
		}
		a.ask(200, "PATCH", path, `{"enabled":false}`)
		a.ask(409, "POST", path+"/test", "")
		a.ask(204, "DELETE", path, "")
		a.ask(404, "GET", path, "")
	}
}
