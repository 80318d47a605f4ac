package native_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"boathook/internal/api/httpjson"
	"boathook/internal/api/native"
	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/testing/facetest"
)

// deployments are operations with nothing behind them.
type deployments struct {
	native.Deployments
	renamed *string
	refusal error
}

func (d *deployments) Change(_ context.Context, c service.Caller, id string, in service.DeploymentChange) (boathook.Source, error) {
	d.renamed = in.Name
	return boathook.Source{ID: id, WorkspaceID: c.Workspace, Name: "as it was"}, d.refusal
}

func ask(t *testing.T, d *deployments, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	member := service.Caller{Workspace: "ws_1", Role: boathook.Member}
	return facetest.Ask(t, []httpjson.Face{native.New(native.Operations{Deployments: d}, "")}, member, method, path, body)
}

func TestAFaceNeedsNoStore(t *testing.T) {
	var d deployments
	w := ask(t, &d, "PATCH", "/v1/deployments/dep_1", `{"name":"Bot"}`)
	const want = `{"id":"dep_1","name":"as it was","created_at":null,"retry":null,"max_in_flight":null}`
	if w.Code != 200 || w.Body.String() != want || d.renamed == nil || *d.renamed != "Bot" {
		t.Errorf("answered %d %s, asked for the name %v", w.Code, w.Body, d.renamed)
	}
	// What is not given is not asked for.
	if w := ask(t, &d, "PATCH", "/v1/deployments/dep_1", `{}`); w.Code != 200 || d.renamed != nil {
		t.Errorf("answered %d %s, asked for the name %v", w.Code, w.Body, d.renamed)
	}
}

func TestErrorsAreInTheFacesShape(t *testing.T) {
	d := deployments{refusal: boathook.InvalidField("name", "must have 1 to 100 characters")}
	for path, tc := range map[string]struct {
		method, body string
		status       int
		want         string
	}{
		"/v1/deployments/dep_1":     {"PATCH", `{"name":""}`, 400, `{"error":{"code":"invalid","message":"must have 1 to 100 characters","field":"name","request_id":""}}`},
		"/v1/deployments/dep_2":     {"PATCH", `{"nam":""}`, 400, `{"error":{"code":"invalid","message":"no such field: there are name, retry, max_in_flight","field":"nam","request_id":""}}`},
		"/v1/deployments/dep_3?a=1": {"PATCH", `{}`, 400, `{"error":{"code":"invalid","message":"no such parameter: this path takes none in its query","field":"a","request_id":""}}`},
		// The role counts before anything of the request is read.
		"/v1/tokens": {"POST", `nothing`, 403, `{"error":{"code":"forbidden","message":"this needs a token with the role admin","request_id":""}}`},
	} {
		if w := ask(t, &d, tc.method, path, tc.body); w.Code != tc.status || w.Body.String() != tc.want {
			t.Errorf("%s: answered %d %s, want %d %s", path, w.Code, w.Body, tc.status, tc.want)
		}
	}
}
