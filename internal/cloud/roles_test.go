package cloud_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"boathook/internal/cloud"
)

// roles are what the functions' roles allow, and what was called.
type roles struct {
	mu   sync.Mutex
	used map[string]map[string]bool // a function's actions, such as "sqs:SendMessage"
}

// permission is the IAM action of an SDK's, where that is not its own name.
var permission = map[string]string{"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}

var iamService = map[string]string{
	"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms", "secretsmanager": "secretsmanager",
}

// called holds a call of a function against its role: one that AWS would
// refuse fails the test.
func (r *roles) called(t *testing.T, s *cloud.Cloud, call cloud.Call) {
	action := call.Action
	if other, ok := permission[action]; ok {
		action = other
	}
	action = iamService[call.Service] + ":" + action
	r.mu.Lock()
	if r.used == nil {
		r.used = make(map[string]map[string]bool)
	}
	if r.used[call.From] == nil {
		r.used[call.From] = make(map[string]bool)
	}
	r.used[call.From][action] = true
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
		if !slices.ContainsFunc(statements, func(statement cloud.Statement) bool {
			return slices.Contains(statement.Actions, action) && slices.ContainsFunc(statement.Resources, func(arn string) bool {
				return strings.HasSuffix(arn, resource)
			})
		}) {
			t.Errorf("%s is not allowed to call %s on %s", call.From, action, resource)
		}
	}
}

// resources are what a call is on, as the ends of their ARNs.
func resources(call cloud.Call) (found []string) {
	var input struct {
		TableName, IndexName string
		RequestItems         map[string]json.RawMessage
		QueueURL             string `json:"QueueUrl"`
		KeyID, SecretID      string
	}
	_ = json.Unmarshal(call.Request, &input) // what it does not name is on nothing
	switch {
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

// checkRoles logs what the tests' calls did not need: an action of a rare road,
// or one that no code calls.
func (s *suite) checkRoles(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	for _, function := range slices.Sorted(maps.Keys(s.roles.used)) {
		t.Log(function, fmt.Sprint(slices.Sorted(maps.Keys(s.roles.used[function]))))
	}
}
