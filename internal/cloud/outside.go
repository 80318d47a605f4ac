package cloud

import (
	"net/http"
	"net/url"
	"strings"
)

// invokes are the actions of the services that invoke something by its ARN.
var invokes = map[string]string{"lambda": "Invoke", "bedrock-agentcore": "InvokeAgentRuntime"}

// outside serves the calls that invoke what is not the stack's: a Lambda
// function or an AgentCore runtime, whose ARN is in the path,
// …/{arn}/invocations.
func (d *Cloud) outside(w http.ResponseWriter, _ *http.Request, c Call) {
	path := strings.Split(c.Path, "/")
	arn, err := url.PathUnescape(path[max(0, len(path)-2)])
	if err != nil || d.config.Outside == nil {
		exception(w, http.StatusNotFound, "ResourceNotFoundException", arn+" is not found")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(d.config.Outside(arn, c.Request))
}
