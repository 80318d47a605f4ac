package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// signIn opens a session with an API token.
func (p *portals) signIn(token string) {
	p.t.Helper()
	p.has(p.do("POST", "/console/sign-in", url.Values{"token": {token}}), http.StatusSeeOther, "the sign-in")
}

// as makes a token of a role, and signs in with it.
func (p *portals) as(role boathook.Role) {
	p.t.Helper()
	_, token, err := p.service.Tokens.Create(p.t.Context(), p.admin, string(role), role)
	if err != nil {
		p.t.Fatal(err)
	}
	p.signIn(token)
}

// deployment makes a deployment, and gives the path of its page.
func (p *portals) deployment() string {
	p.t.Helper()
	s, err := p.service.Deployments.Create(p.t.Context(), p.admin, service.DeploymentChange{Name: new("nightly")})
	if err != nil {
		p.t.Fatal(err)
	}
	return "/console/deployments/" + s.ID
}

var triggerURL = regexp.MustCompile(`https://hooks\.example\.com/webhooks/runs/[A-Za-z0-9_-]+`)

func TestAnIncomingWebhookIsMadeAndItsURLIsShown(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	path := p.deployment()
	made := p.send(path+"/incoming/new", path+"/incoming", url.Values{"name": {"cron <job>"}, "environment": {"staging"}, "verification.preset": {"none"}})
	p.has(made, 200, "what was made", "cron &lt;job&gt;", "Staging", "curl -sS -X POST", "secrets.BOATHOOK_URL", "crontab")
	shown := triggerURL.FindString(made.body)
	if shown == "" {
		t.Fatalf("there is no URL in %s", made.body)
	}
	page := regexp.MustCompile(regexp.QuoteMeta(path) + `/incoming/in_[a-z0-9]+`).FindString(made.body)
	p.has(p.send(page, page+"/url", url.Values{}), 200, "the URL, again", "Shown again", shown)
	rotated := p.send(page+"/rotate", page+"/rotate", url.Values{})
	if again := triggerURL.FindString(rotated.body); rotated.StatusCode != 200 || again == "" || again == shown {
		t.Errorf("rotated, it has the URL %q, and had %q", again, shown)
	}
	p.has(p.send(page, page+"/enabled", url.Values{}), 303, "switched off")
	p.see(200, page, "This webhook is disabled", "Nothing has come yet")
	p.has(p.send(page+"/delete", page+"/delete", url.Values{}), 303, "deleted")
	p.see(404, page)
}

func TestThePresetsFieldsAreAskedForAndErrorsStandBesideThem(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	path := p.deployment()
	p.see(200, path+"/incoming/new?verification.preset=aws-sns", `name="verification.topic_arn"`)
	if got := p.see(200, path+"/incoming/new"); strings.Contains(got.body, `name="verification.secret"`) {
		t.Error("a secret is asked for where none is needed")
	}
	form := url.Values{"name": {"github"}, "environment": {"production"}, "verification.preset": {"github"}, "filter.jq": {".body.ref =="}}
	refused := p.send(path+"/incoming/new", path+"/incoming", form)
	p.has(refused, 400, "a filter that is none", `id="filter.jq-e"`, ".body.ref ==", `value="github" selected`, `name="verification.secret"`)
	form.Set("filter.jq", `.body.ref == "refs/heads/main"`)
	p.has(p.send(path+"/incoming/new", path+"/incoming", form), 400, "no secret", `id="verification.secret-e"`)
	form.Set("verification.secret", "a secret of GitHub's")
	made := p.send(path+"/incoming/new", path+"/incoming", form)
	p.has(made, 200, "what was made", "At GitHub", "Payload URL")
	if strings.Contains(made.body, "a secret of GitHub") {
		t.Error("the secret is shown")
	}
	page := regexp.MustCompile(regexp.QuoteMeta(path) + `/incoming/in_[a-z0-9]+`).FindString(made.body)
	edit := p.see(200, page+"/edit", "the one that is kept stays", "refs/heads/main")
	revision := regexp.MustCompile(`name="revision" value="(\d+)"`).FindStringSubmatch(edit.body)[1]
	change := url.Values{"name": {"renamed"}, "verification.preset": {"github"}, "revision": {revision}}
	p.has(p.send(page+"/edit", page+"/edit", change), 303, "saved")
	p.see(200, page, "renamed", "GitHub")
	p.has(p.send(page+"/edit", page+"/edit", change), 409, "saved from an old form", "Somebody has changed this webhook", "renamed")
}

func TestAnIncomingURLIsForAdmins(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	path := p.deployment()
	made := p.send(path+"/incoming/new", path+"/incoming", url.Values{"name": {"cron"}, "environment": {"production"}})
	page := regexp.MustCompile(regexp.QuoteMeta(path) + `/incoming/in_[a-z0-9]+`).FindString(made.body)
	p.as(boathook.Member)
	if got := p.see(200, page); strings.Contains(got.body, "Show URL") {
		t.Error("a member is offered the URL")
	}
	p.has(p.send(page, page+"/url", url.Values{}), 403, "the URL, for a member")
	p.as(boathook.Viewer)
	p.see(403, path+"/incoming/new")
	if got := p.see(200, page); strings.Contains(got.body, page+"/edit") || strings.Contains(got.body, page+"/delete") {
		t.Error("a viewer is offered changes")
	}
}

func TestASendersFieldsAreShownWithoutJavaScript(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	path := p.deployment()
	p.see(200, path+"/incoming/new", `<button type="submit" hidden></button><button class="btn" type="submit" name="choose"`) // Enter presses the first
	form := url.Values{"name": {"from monitors"}, "environment": {"staging"}, "verification.preset": {"hmac"}, "filter.jq": {".body"}, "choose": {"sender"}}
	chosen := p.send(path+"/incoming/new", path+"/incoming", form)
	p.has(chosen, 200, "the form of the sender", `value="from monitors"`, `value="hmac" selected`, `name="verification.secret"`, `name="verification.header"`, `value="staging" checked`)
	if strings.Contains(chosen.body, `class="err"`) {
		t.Error("what was not sent is called wrong")
	}
	if got := p.see(200, path); strings.Contains(got.body, "from monitors") {
		t.Error("a webhook was made")
	}
}
