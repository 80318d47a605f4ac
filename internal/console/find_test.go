package console_test

import (
	"net/url"
	"testing"

	"boathook/internal/service"
)

func TestFindGoesToTheOneThingAndListsSeveral(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	path := p.deployment()
	found := p.see(303, "/console/find?q=night")
	if to := found.Header.Get("Location"); to != path {
		t.Errorf("it goes to %s, not to %s", to, path)
	}
	if _, err := p.service.Crews.Create(t.Context(), p.admin, "<night> crew"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.service.Apps.Create(t.Context(), p.admin, service.AppChange{Name: new("other")}); err != nil {
		t.Fatal(err)
	}
	p.see(200, "/console/find?q=night", path, "&lt;night&gt; crew", "/console/crews/", "Deployment", "Crew")
	p.see(200, "/console/find?q="+url.QueryEscape("<b>"), "Nothing is called that", "&lt;b&gt;")
	p.see(200, "/console/find", "Find a name or an id")
	p.see(303, "/console/find?q="+path[len("/console/deployments/"):])
}
