package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

func TestATypeOfEventsIsDefinedEditedAndArchived(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	const list, form, page = "/console/event-types", "/console/new-event-type", "/console/event-types/order.shipped"
	p.see(200, list, "You have no types of your own yet", "run.failed", "/console/event-types/build_finish")
	p.see(200, "/console/event-types/run.failed", "Example", "Schema")
	fields := url.Values{
		"name": {"order.shipped"}, "description": {"<b>left</b>"}, "version": {"2"}, "schema": {`{"type":"object","required":["order"]}`}, "example": {`{"order":1}`},
	}
	for field, wrong := range map[string]string{
		"name": "no spaces", "schema": `{"type":7}`, "example": `{"no":1}`, "description": strings.Repeat("x", 1001),
	} {
		was := fields.Get(field)
		fields.Set(field, wrong)
		p.has(p.send(form, list, fields), 400, "a wrong "+field, `id="`+field+`-e"`)
		fields.Set(field, was)
	}
	fields.Set("name", "run.failed")
	p.has(p.send(form, list, fields), 409, "the name of another", `id="name-e"`, "There is one of this name")
	fields.Set("name", "order.shipped")
	made := p.send(form, list, fields)
	p.has(made, 303, "defined")
	if to := made.Header.Get("Location"); to != page {
		t.Errorf("it leads to %s", to)
	}
	p.has(p.send(form, list, fields), 409, "the same name again", `id="name-e"`)
	p.see(200, list, "order.shipped", "Your customers", "&lt;b&gt;left&lt;/b&gt;")
	p.see(200, "/console/events?type=order.shipped", "&#34;order&#34;: 1")

	edit := p.see(200, page, "&lt;b&gt;left", "/console/events?type=order.shipped", page+"/archive")
	fields.Set("revision", revisionIn(edit))
	fields.Set("description", "An order has left.")
	p.pass(time.Second)
	p.has(p.send(page, page, fields), 303, "saved")
	p.has(p.send(page, page, fields), 409, "saved from an old form", "Somebody has changed this type")

	p.see(200, page+"/archive", "Archive order.shipped?")
	p.has(p.send(page+"/archive", page+"/archive", url.Values{}), 303, "archived")
	p.see(200, list, "Archived")
	archived := p.see(200, page, "Archived", "Save, and use it again")
	p.see(404, page+"/archive")
	fields.Set("revision", revisionIn(archived))
	p.has(p.send(page, page, fields), 303, "in use again")
	if got := p.see(200, page); strings.Contains(got.body, "Archived") {
		t.Error("it is still archived")
	}
	p.see(404, "/console/event-types/run.failed/archive")
	p.see(404, "/console/event-types/"+strings.Repeat("x", 3000))

	p.as(boathook.Viewer)
	got := p.see(200, page, "An order has left.", "&#34;order&#34;")
	if strings.Contains(got.body, "<textarea") || strings.Contains(got.body, "/console/events") {
		t.Error("a viewer is offered changes, or to publish")
	}
	p.see(403, form)
	p.see(403, page+"/archive")
	if got := p.do("POST", list, fields); got.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's definition is answered %d", got.StatusCode)
	}
}

// revisionIn is the revision that a form has.
func revisionIn(p page) string {
	_, rest, _ := strings.Cut(p.body, `name="revision" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
