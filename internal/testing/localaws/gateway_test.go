package localaws_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"boathook/internal/testing/localaws"
)

func TestAClientThatGoesAwayLeavesTheFunctionToItsWork(t *testing.T) {
	var template localaws.Template
	if err := json.Unmarshal([]byte(`{"Resources": {
		"Played": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 30, "MemorySize": 128, "Environment": {
			"Variables": {"ENDPOINT": {"Fn::Sub": "https://api.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"}}}}},
		"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": {"paths": {"/": {"post": {"x-amazon-apigateway-integration":
			{"uri": {"Fn::Sub": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${Played.Arn}/invocations"}}}}}}}}
	}}`), &template); err != nil {
		t.Fatal(err)
	}
	working, gone := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	deployed, err := localaws.Deploy(t.Context(), localaws.Config{
		Template: &template, StackName: "test", Binaries: played(t),
		Fault: func(localaws.Call) int {
			close(working)
			<-gone
			return 0
		},
		Invoked: func(i localaws.Invocation) { ended <- i.Err },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer deployed.Close()
	client, leave := context.WithCancel(t.Context())
	request := httptest.NewRequestWithContext(client, http.MethodPost, "/", strings.NewReader("wait"))
	request.Header.Set("Content-Type", "text/plain")
	go deployed.ServeHTTP(httptest.NewRecorder(), request)
	<-working
	leave()
	close(gone)
	if err := <-ended; err != nil {
		t.Errorf("the invocation ended with %v", err)
	}
}
