package cloud_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"boathook/internal/cloud"
)

// roles are what the functions' roles allow, and what of it their calls need.
type roles struct {
	mu      sync.Mutex
	granted map[grant]string // with the ARN in one of the stacks
	needed  map[grant]bool

	operations map[string]bool // that were called, by the SDK's names
}

// grant is one action on one resource that a statement of a function's role
// allows.
type grant struct {
	function, sid, action string
	resource              int // its place in the statement: each stack has its own ARNs
}

func (g grant) String() string { return g.function + "'s statement " + g.sid + ": " + g.action }

// permission is the IAM action of an SDK's, where that is not its own name.
var permission = map[string]string{
	"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage", "Invoke": "InvokeFunction",
}

var iamService = map[string]string{
	"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms", "secretsmanager": "secretsmanager",
	"lambda": "lambda", "bedrock-agentcore": "bedrock-agentcore",
}

// grant notes what the roles of a stack allow.
func (r *roles) grant(t *testing.T, s *cloud.Cloud, functions []string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.granted == nil {
		r.granted, r.needed, r.operations = make(map[grant]string), make(map[grant]bool), make(map[string]bool)
	}
	for _, function := range functions {
		statements, err := s.Statements(function)
		if err != nil {
			t.Fatalf("the role of %s: %v", function, err)
		}
		for _, statement := range statements {
			for _, action := range statement.Actions {
				for i, arn := range statement.Resources {
					r.granted[grant{function, statement.Sid, action, i}] = arn
				}
			}
		}
	}
}

// called holds a call of a function, or in its name, against its role: one that
// AWS would refuse fails the test. A grant is needed by a call that no other
// grant allows.
func (r *roles) called(t *testing.T, s *cloud.Cloud, call cloud.Call) {
	action := call.Action
	if other, ok := permission[action]; ok {
		action = other
	}
	action = iamService[call.Service] + ":" + action
	r.mu.Lock()
	r.operations[sdkServices[call.Service]+"."+call.Action] = true
	r.mu.Unlock()
	statements, err := s.Statements(call.From)
	if err != nil {
		t.Errorf("the role of %s: %v", call.From, err)
		return
	}
	for _, resource := range resources(call) {
		if resource == "" {
			t.Errorf("%s calls %s on nothing that is known: %s", call.From, action, call.Request)
		}
		var allowing []grant
		for _, statement := range statements {
			for i, arn := range statement.Resources {
				if slices.Contains(statement.Actions, action) && strings.HasSuffix(arn, resource) {
					allowing = append(allowing, grant{call.From, statement.Sid, action, i})
				}
			}
		}
		switch len(allowing) {
		case 0:
			t.Errorf("%s is not allowed to call %s on %s", call.From, action, resource)
		case 1:
			r.mu.Lock()
			r.needed[allowing[0]] = true
			r.mu.Unlock()
		}
	}
}

// resources are what a call is on, as the ends of their ARNs.
func resources(call cloud.Call) (found []string) {
	var input struct {
		TableName, IndexName string
		RequestItems         map[string]json.RawMessage
		QueueURL             string `json:"QueueUrl"`
		SourceARN            string `json:"SourceArn"`
		KeyID, SecretID      string
	}
	_ = json.Unmarshal(call.Request, &input) // what it does not name is on nothing
	switch {
	case strings.HasSuffix(call.Path, "/invocations"):
		path := strings.Split(call.Path, "/")
		arn, _ := url.PathUnescape(path[len(path)-2])
		if call.Service == "bedrock-agentcore" { // the call needs both
			found = append(found, arn+"/runtime-endpoint/DEFAULT")
		}
		return append(found, arn)
	case input.SourceARN != "":
		return []string{input.SourceARN}
	case input.IndexName != "":
		return []string{"table/" + input.TableName + "/index/" + input.IndexName}
	case input.TableName != "":
		return []string{"table/" + input.TableName}
	case input.RequestItems != nil:
		for table := range input.RequestItems {
			found = append(found, "table/"+table)
		}
		return found
	case input.QueueURL != "":
		return []string{":" + input.QueueURL[strings.LastIndexByte(input.QueueURL, '/')+1:]}
	}
	return []string{input.KeyID + input.SecretID}
}

// checkRoles fails for each grant that no call of the tests has needed: code
// calls it no longer, or another grant allows the same, or the tests lack a road
// that a user may take.
func (s *suite) checkRoles(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	var idle []string
	for g, arn := range s.roles.granted {
		if !s.roles.needed[g] && !strings.HasPrefix(g.action, "logs:") { // which Lambda's runtime calls
			idle = append(idle, fmt.Sprintf("%s on %s", g, arn))
		}
	}
	slices.Sort(idle)
	if len(idle) > 0 {
		t.Errorf("no call needs\n%s", strings.Join(idle, "\n"))
	}
}
