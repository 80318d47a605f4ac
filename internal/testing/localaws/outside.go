package localaws

import (
	"net/http"
	"net/url"
	"strings"
)

// invokes are the actions of the services that invoke something by its ARN.
var invokes = map[string]string{"lambda": "Invoke", "bedrock-agentcore": "InvokeAgentRuntime"}

// outside serves the calls that invoke what is not the stack's: a Lambda
// function or an AgentCore runtime.
func (d *Cloud) outside(w http.ResponseWriter, _ *http.Request, c Call) {
	arn := invokedARN(c)
	if d.config.Outside == nil {
		exception(w, http.StatusNotFound, "ResourceNotFoundException", arn+" is not found")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(d.config.Outside(arn, c.Request))
}

// invokedARN is what a call invokes, whose path ends with /{arn}/invocations.
func invokedARN(c Call) string {
	path := strings.Split(c.Path, "/")
	arn, _ := url.PathUnescape(path[max(0, len(path)-2)]) // the SDK has escaped it
	return arn
}
