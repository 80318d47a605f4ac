package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"boathook/internal/testing/browser"
	"boathook/internal/testing/demo"
)

// The sentences of the documents that speak of a console, each clicked as they say.

// clicked fails the test if a person needed more clicks than a document promises.
func clicked(t *testing.T, page *browser.Page, most int) {
	t.Helper()
	if page.Clicks > most {
		t.Errorf("%d clicks, want at most %d", page.Clicks, most)
	}
	page.Clicks = 0
}

// "You can also view the per-agent webhook secret in the UI under the agent's settings."
func TestAnAgentsSecretIsUnderItsSettings(t *testing.T) {
	need(t, "bash", "openssl", "curl")
	p, _ := filled(t)
	page := signedIn(t, p, "/console/", browser.Look{})
	page.Click("Crews and agents")
	page.Click("Back office")
	page.Click("clerk")
	page.Click("Settings")
	page.Unseen("Copy the secret")
	page.Click("Reveal")
	page.Click("Copy the secret")
	secret := page.Copied()
	clicked(t, page, 6)
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(secret) {
		t.Fatalf("copied %q", secret)
	}
	page.Reload() // of the answer to a form: the browser would ask; here it shows the page again
	page.Click("Settings")
	page.Unseen(secret)

	page.Click("Copy Shell")
	run := func(secret string) error {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", page.Copied())
		cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret)
		return cmd.Run()
	}
	if err := run(secret); err != nil {
		t.Errorf("the snippet with the secret: %v", err)
	}
	page.Click("Regenerate secret…")
	page.Click("Regenerate secret")
	page.See("This is the new secret")
	page.Click("Copy Shell")
	if err := run(secret); err == nil {
		t.Error("the secret of before is still accepted")
	}
}

func TestAnAgentIsAddedAndChanged(t *testing.T) {
	p := start(t)
	page := signedIn(t, p, "/console/crews", browser.Look{})
	page.Click("Add crew") // the first of the page's
	page.Fill("Name", "Back office")
	page.Click("Add crew")
	page.See("There are no agents yet")
	page.Click("Add agent")
	page.Fill("Name", "clerk")
	page.Fill("Slug", "Clerk!")
	page.Click("Command")
	page.Fill("Command", "sh\n-c\ncat")
	page.Click("Add agent")
	page.See("Must have 1 to 63 lower-case letters")
	if got := page.Value("Name"); got != "clerk" {
		t.Errorf("the name that was typed became %q", got)
	}
	page.Fill("Slug", "clerk")
	page.Click("Add agent")
	page.See("The agent is there", "Copy the secret")
	page.Fill("Triggers a minute", "0")
	page.Click("Save changes")
	page.See("Must be from 1 to")
	page.Fill("Triggers a minute", "7")
	page.Click("Require a timestamp")
	page.Click("Save changes")
	page.See("The settings are saved")
	if page.Value("Triggers a minute") != "7" || !page.Checked("Require a timestamp") || page.Value("Command") != "sh\n-c\ncat" {
		t.Errorf("the settings are %s, %t, %q", page.Value("Triggers a minute"), page.Checked("Require a timestamp"), page.Value("Command"))
	}
	page.Click("Delete agent…")
	page.Click("Delete agent")
	page.See("The agent is deleted", "There are no agents yet")
}

// "Separate environments": a version goes to staging, and from there to production.
func TestAVersionIsAddedAndPromoted(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("cat")
	page := signedIn(t, p, "/console"+strings.TrimPrefix(path, "/v1")+"/versions", browser.Look{})
	page.Click("Add version")
	page.Click("Staging")
	page.Fill("URL", "http://10.0.0.1/run")
	page.Click("Add version")
	page.See("10.0.0.1 is not a public address")
	if got := page.Value("URL"); got != "http://10.0.0.1/run" {
		t.Errorf("the URL that was typed became %q", got)
	}
	page.Fill("URL", "http://127.0.0.1:9/run")
	page.Click("Add version")
	page.See("Version 2 is live in staging", "v2 HTTP http://127.0.0.1:9/run")
	page.Click("Make live in production: version 2")
	page.See("Version 2 is live in production")
	if !page.Has("Make live in production: version 1") || page.Has("Make live in production: version 2") {
		t.Errorf("version 2 is not the live one:\n%s", page.Text())
	}
}

// "Click Deliveries": status, response code, error and time are in the row; and "Failed
// deliveries can be manually resent from the Console".
func TestAFailedDeliveryIsReadAndResent(t *testing.T) {
	p := start(t)
	path, trigger := p.deployment("echo '{}'")
	answer := http.StatusTeapot
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("short and stout"))
	}))
	defer receiver.Close()
	p.call("POST", path+"/outgoing-webhooks", `{"name":"kettle","url":"`+receiver.URL+`","events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[]}}`, 201)
	page := signedIn(t, p, "/console/", browser.Look{})
	p.call("POST", trigger, `{}`, 202)
	p.finished(path + "/outgoing-webhooks/" + p.call("GET", path+"/outgoing-webhooks", "", 200)["data"].([]any)[0].(map[string]any)["id"].(string))

	page.Click("Deliveries")
	page.See("Failed 418 run.succeeded test → kettle")
	page.Click("run.succeeded")
	clicked(t, page, 2)
	page.See("short and stout")
	answer = http.StatusOK
	page.Click("Resend")
	page.See("It is being sent again")
	page.Go("/console/deliveries?status=succeeded")
	for range 100 { // nothing tells this page
		if strings.Contains(page.Text(), "Succeeded 200 run.succeeded") {
			break
		}
		page.Reload()
	}
	page.See("Succeeded 200 run.succeeded")
}

// An endpoint was down for an hour. Which webhook? Why? Its URL is repaired, what waits is
// counted and recovered, and the bar turns green.
func TestAnOutageIsEnded(t *testing.T) {
	p, w := filled(t)
	page := signedIn(t, p, "/console/", browser.Look{})
	page.Click("Deployments")
	page.Click("invoice-reconciler")
	page.See("Settlement gateway")
	page.Click("Settlement gateway")
	page.See("6 to be retried", "Retrying 503 run.succeeded")
	if n := page.Count(".chart .b-ok"); n > 0 {
		t.Errorf("%d bars are green before", n)
	}
	page.Click("Edit")
	page.Fill("URL", w.Receivers.URL+demo.Healthy+"/settlements")
	page.Click("Save")
	page.Click("Recover failed")
	page.Click("Count them")
	page.See("Send 6 deliveries to Settlement gateway now?")
	page.Click("Recover 6")
	page.See("6 deliveries are queued")
	page.Await(".chart .b-ok")
	page.See("6 succeeded")
	clicked(t, page, 9)
}

// "Go to your deployment → Webhooks → Add Outgoing Webhook", and save its secret; "Regenerate
// Secret"; "Toggle the Enabled switch".
func TestAnOutgoingWebhookIsMadeRotatedAndSwitchedOff(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("echo '{}'")
	page := signedIn(t, p, "/console/", browser.Look{})
	page.Click("Deployments")
	page.Click("test")
	page.Click("Add outgoing webhook")
	page.Fill("Name", "Status page")
	page.Fill("URL", "http://127.0.0.1:9/hook")
	page.Click("run.failed")
	page.Click("Staging")
	page.Click("Create webhook")
	page.See("Copy the signing secret now")
	page.Click("Copy the secret")
	secret := page.Copied()
	clicked(t, page, 7)
	if secret == "" {
		t.Fatal("nothing is copied")
	}
	page.Click("I have stored the secret")
	page.See("Status page")
	page.Unseen(secret)
	webhook := func() map[string]any {
		return p.call("GET", path+"/outgoing-webhooks", "", 200)["data"].([]any)[0].(map[string]any)
	}
	if got := webhook(); got["environment"] != "staging" || got["enabled"] != true {
		t.Errorf("made %v", got)
	}

	page.Clicks = 0
	page.Click("Regenerate secret")
	page.Click("Regenerate secret")
	page.Click("Copy the secret")
	clicked(t, page, 3)
	if next := page.Copied(); next == "" || next == secret {
		t.Errorf("the new secret is %q", next)
	}

	page.Go("/console" + strings.TrimPrefix(path, "/v1"))
	page.Clicks = 0
	page.Click("Enabled: Status page")
	clicked(t, page, 1)
	if page.Checked("Enabled: Status page") || webhook()["enabled"] != false {
		t.Error("the switch has done nothing")
	}
	page.Click("Enabled: Status page")
	if !page.Checked("Enabled: Status page") || webhook()["enabled"] != true {
		t.Error("it is not switched on again")
	}
}

// "Navigate to Settings > Webhooks in your app's sidebar": create, edit, delete with name,
// URL, events and secret. Without JavaScript, too.
func TestAnAppsWebhooksAreMadeEditedAndDeleted(t *testing.T) {
	for name, look := range map[string]browser.Look{"with JavaScript": {}, "without": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			app := p.call("POST", "/v1/apps", `{"name":"Driver"}`, 201)["id"].(string)
			page := signedIn(t, p, "/console/apps", look)
			page.Click("Driver")
			page.Click("Add outgoing webhook")
			page.Fill("Name", "Status page")
			page.Fill("URL", "http://127.0.0.1:9/hook")
			page.Click("Advanced")
			page.Fill("Own signing secret", "the-apps-own-secret-of-24-characters")
			page.Click("Create webhook")
			page.See("Events")
			page.Click("job_finished") // none was chosen
			page.Click("Create webhook")
			page.Click("I have stored the secret")
			page.Go("/console/apps/" + app)
			page.Click("Status page")
			page.Click("Edit")
			page.Fill("Name", "Public status page")
			page.Click("Save")
			page.See("Public status page")
			list := p.call("GET", "/v1/apps/"+app+"/outgoing-webhooks", "", 200)["data"].([]any)
			if len(list) != 1 || list[0].(map[string]any)["name"] != "Public status page" {
				t.Errorf("the webhooks are %v", list)
			}
			page.Click("Delete…")
			page.Click("Delete webhook")
			page.See("Tell other systems")
		})
	}
}

// "Go to your deployment → Webhooks → Add Incoming Webhook → copy the generated URL", in five
// clicks from the first page.
func TestAnIncomingWebhooksURLIsFiveClicksAway(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("echo '{}'")
	page := signedIn(t, p, "/console/", browser.Look{})
	page.Click("Deployments")
	page.Click("test")
	page.Click("Add incoming")
	page.Fill("Name", "Month-end close")
	page.Click("Create webhook")
	page.Click("Copy the URL")
	clicked(t, page, 5)
	run := p.call("POST", page.Copied(), `{"period":"2026-11"}`, 202)["run_id"].(string)
	page.Click("Look at its requests")
	page.See("Month-end close", "202")
	page.Go("/console/runs/" + run)
	page.See("Month-end close", `"period": "2026-11"`)
	if n := len(p.call("GET", path+"/incoming-webhooks", "", 200)["data"].([]any)); n != 2 {
		t.Errorf("there are %d incoming webhooks, want the first and this one", n)
	}
}

func TestASessionThatEndsKeepsWhatWasTyped(t *testing.T) {
	p := start(t)
	page := signedIn(t, p, "/console/crews/new", browser.Look{})
	page.Fill("Name", "Back office")
	page.Forget()
	page.Click("Add crew")
	page.See("What you typed is kept")
	page.Fill("API token", p.token)
	page.Click("Sign in")
	page.Click("Send it")
	page.See("Back office", "There are no agents yet")
}

func TestADoubleClickAndTheBackButton(t *testing.T) {
	p := start(t)
	page := signedIn(t, p, "/console/crews/new", browser.Look{})
	page.Fill("Name", "Back office")
	page.ClickTwice("Add crew")
	page.See("There are no agents yet")
	if n := len(p.call("GET", "/v1/crews", "", 200)["data"].([]any)); n != 1 {
		t.Errorf("a double click made %d crews", n)
	}
	page.Back()
	page.Fill("Name", "Night shift") // the form is there, and can be sent again
	page.Click("Add crew")
	page.See("Night shift")
	if n := len(p.call("GET", "/v1/crews", "", 200)["data"].([]any)); n != 2 {
		t.Errorf("there are %d crews", n)
	}
}

func TestTheKeyboardLeadsToTheSearchAndToWhatIsWrong(t *testing.T) {
	p := start(t)
	page := signedIn(t, p, "/console/crews/new", browser.Look{})
	page.Press("/")
	if got := page.Focused(); got != "Find a name or an id" {
		t.Errorf("the focus is on %q", got)
	}
	page.Fill("Name", "<b>x</b>\u00ad") // an invisible character
	page.Press("Enter")
	page.See("Must not have control characters")
	if got := page.Focused(); got != "Name" {
		t.Errorf("with an error the focus is on %q", got)
	}
}

// Who saves second is told, and keeps what was typed.
func TestTwoPeopleEditOneWebhook(t *testing.T) {
	p := start(t)
	path, _ := p.deployment("cat")
	id := p.call("POST", path+"/outgoing-webhooks", `{"name":"first","url":"http://127.0.0.1:9/","events":["run.failed"],"environment":"production"}`, 201)["id"].(string)
	edit := "/console" + strings.TrimPrefix(path, "/v1") + "/outgoing/" + id + "/edit"
	one, other := signedIn(t, p, edit, browser.Look{}), signedIn(t, p, edit, browser.Look{})
	one.Fill("Name", "of the one")
	one.Click("Save")
	one.See("of the one")
	other.Fill("Name", "of the other")
	other.Click("Save")
	other.See("Somebody has changed this webhook since you opened the form")
	if got := other.Value("Name"); got != "of the other" {
		t.Errorf("what was typed became %q", got)
	}
	if got := p.call("GET", path+"/outgoing-webhooks/"+id, "", 200)["name"]; got != "of the one" {
		t.Errorf("it is called %v", got)
	}
}

// An own type of events is defined, published by hand from its example, found among the
// deliveries by its name and its time, and archived.
func TestATypeOfEventsIsDefinedAndPublished(t *testing.T) {
	for name, look := range map[string]browser.Look{"with JavaScript": {}, "without": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			customer := p.call("POST", "/v1/customers", `{"name":"Halvard","external_id":"acct_1042"}`, 201)["id"].(string)
			webhooks := "/v1/customers/" + customer + "/outgoing-webhooks"
			webhook := p.call("POST", webhooks, `{"name":"ERP","url":"http://127.0.0.1:9/hook","events":["*"],"retry":{"schedule_seconds":[]}}`, 201)["id"].(string)
			page := signedIn(t, p, "/console/", look)
			page.Click("Events")
			page.Click("Types")
			page.See("You have no types of your own yet")
			page.Go("/console/new-event-type")
			page.Fill("Name", "order.shipped")
			page.Fill("What it tells", "An order has left.")
			page.Fill("Schema", `{"type":"object","required":["order"]}`)
			page.Fill("Example", `{"parcels":3}`)
			page.Allow(`400 \(Bad Request\)`)
			page.Click("Define type")
			page.See("order is required")
			page.Fill("Example", `{"order":"KF-118842"}`)
			page.Click("Define type")
			page.Click("Publish one")
			page.See("An order has left.")
			if data := page.Value("Data"); !strings.Contains(data, "KF-118842") {
				t.Errorf("the form begins with %q", data)
			}
			page.Fill("Source", "customer:acct_1042")
			page.Click("Publish order.shipped")
			page.See("goes to 1 webhook")
			p.finished(webhooks + "/" + webhook)
			page.Go("/console/deliveries")
			page.Choose("Event", "order.shipped")
			page.Choose("Time", "Between…")
			if look.NoScript {
				page.Click("Filter")
			}
			page.See("Halvard", "ERP")
			page.Fill("to", "2020-01-02T00:00")
			page.Fill("from", "2020-01-01T00:00")
			page.Click("Show")
			page.See("No delivery is like that")

			page.Go("/console/event-types/order.shipped")
			page.Click("Archive…")
			page.Click("Archive type")
			page.See("Archived")
		})
	}
}
