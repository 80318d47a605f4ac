package localaws

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newRoles is a stack of a table, a queue and a role, of which nothing is made
// on an emulator.
func newRoles(t *testing.T, statements string) *Cloud {
	t.Helper()
	var template Template
	if err := json.Unmarshal([]byte(`{"Resources": {
		"Function": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}}},
		"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"Statement": [`+statements+`]}}]}},
		"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
			"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
			"GlobalSecondaryIndexes": [{"IndexName": "by-parent", "KeySchema": [{"AttributeName": "parent", "KeyType": "HASH"}]}]}}
	}}`), &template); err != nil {
		t.Fatal(err)
	}
	r, err := newResolver(&template, "s", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.made = map[string]resource{
		"Table":  {"s-Table", map[string]string{"Arn": "arn:aws:dynamodb:here:1:table/s-Table"}},
		"Queue":  {"http://here/1/s-Queue", map[string]string{"Arn": "arn:aws:sqs:here:1:s-Queue"}},
		"Key":    {"1234", map[string]string{"Arn": "arn:aws:kms:here:1:key/1234"}},
		"Secret": {"arn:aws:secretsmanager:here:1:secret:s", nil},
	}
	d := &Cloud{config: Config{Template: &template}, resolver: r}
	if err := d.readPartitions(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatACallNeeds(t *testing.T) {
	d := newRoles(t, "")
	const table = "arn:aws:dynamodb:here:1:table/s-Table"
	for name, test := range map[string]struct {
		call Call
		want Access
	}{
		"an item that is read": {
			Call{Service: "DynamoDB", Action: "GetItem", Request: []byte(`{"TableName":"s-Table","Key":{"pk":{"S":"a#1"},"sk":{"S":"x"}}}`)},
			Access{Action: "dynamodb:GetItem", Resource: table, LeadingKeys: []string{"a#1"}}},
		"an item that is written": {
			Call{Service: "DynamoDB", Action: "PutItem", Request: []byte(`{"TableName":"s-Table","Item":{"pk":{"S":"a#1"},"n":{"N":"1"},"b":{"B":"AA=="}}}`)},
			Access{Action: "dynamodb:PutItem", Resource: table, LeadingKeys: []string{"a#1"}}},
		"an item that is changed": {
			Call{Service: "DynamoDB", Action: "UpdateItem", Request: []byte(`{"TableName":"s-Table","Key":{"pk":{"S":"a#1"},"sk":{"S":"x"}},"ReturnValues":"ALL_NEW",` +
				`"UpdateExpression":"SET n = if_not_exists(n, :one), f.#id = :b REMOVE #r","ConditionExpression":"attribute_exists(pk) AND (x > :now OR size(f) < :n)",` +
				`"ExpressionAttributeNames":{"#id":"inner","#r":"removed"}}`)},
			Access{Action: "dynamodb:UpdateItem", Resource: table, LeadingKeys: []string{"a#1"}, Attributes: []string{"f", "n", "pk", "removed", "sk", "x"}, Returns: []string{"ALL_NEW"}}},
		"a query": {
			Call{Service: "DynamoDB", Action: "Query", Request: []byte(
				`{"TableName":"s-Table","KeyConditionExpression":"pk = :pk AND sk BETWEEN :a AND :b","ExpressionAttributeValues":{":pk":{"S":"a#1"},":a":{"S":"x"},":b":{"S":"y"}}}`)},
			Access{Action: "dynamodb:Query", Resource: table, LeadingKeys: []string{"a#1"}}},
		"a query of an index": {
			Call{Service: "DynamoDB", Action: "Query", Request: []byte(
				`{"TableName":"s-Table","IndexName":"by-parent","KeyConditionExpression":"parent = :p","ExpressionAttributeValues":{":p":{"S":"a#1"}}}`)},
			Access{Action: "dynamodb:Query", Resource: table + "/index/by-parent", LeadingKeys: []string{"a#1"}}},
		"a batch of reads": {
			Call{Service: "DynamoDB", Action: "BatchGetItem", Request: []byte(`{"RequestItems":{"s-Table":{"Keys":[{"pk":{"S":"a#1"}},{"pk":{"S":"b#1"}}]}}}`)},
			Access{Action: "dynamodb:BatchGetItem", Resource: table, LeadingKeys: []string{"a#1", "b#1"}}},
		"a batch of writes": {
			Call{Service: "DynamoDB", Action: "BatchWriteItem", Request: []byte(
				`{"RequestItems":{"s-Table":[{"PutRequest":{"Item":{"pk":{"S":"a#1"}}}},{"DeleteRequest":{"Key":{"pk":{"S":"b#1"}}}}]}}`)},
			Access{Action: "dynamodb:BatchWriteItem", Resource: table, LeadingKeys: []string{"a#1", "b#1"}}},
		"messages that are sent": {
			Call{Service: "AmazonSQS", Action: "SendMessageBatch", Request: []byte(`{"QueueUrl":"http://here/1/s-Queue"}`)},
			Access{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:here:1:s-Queue"}},
		"messages that are moved": {
			Call{Service: "AmazonSQS", Action: "StartMessageMoveTask", Request: []byte(`{"SourceArn":"arn:aws:sqs:here:1:s-Queue"}`)},
			Access{Action: "sqs:StartMessageMoveTask", Resource: "arn:aws:sqs:here:1:s-Queue"}},
		"a key that is used": {
			Call{Service: "TrentService", Action: "Decrypt", Request: []byte(`{"KeyId":"1234"}`)},
			Access{Action: "kms:Decrypt", Resource: "arn:aws:kms:here:1:key/1234"}},
		"a secret that is read": {
			Call{Service: "secretsmanager", Action: "GetSecretValue", Request: []byte(`{"SecretId":"arn:aws:secretsmanager:here:1:secret:s"}`)},
			Access{Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:here:1:secret:s"}},
		"a frame that is posted": {
			Call{Service: "execute-api", Action: "PostToConnection", Method: "POST", Path: "/s-Api/live/@connections/a%2Fb%3D", Request: []byte("text")},
			Access{Action: "execute-api:ManageConnections", Resource: "arn:aws:execute-api:eu-west-1:123456789012:s-Api/live/POST/@connections/a%2Fb%3D"}},
	} {
		got, err := d.Accesses(test.call)
		if diff := cmp.Diff([]Access{test.want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	for name, call := range map[string]Call{
		"another stack's table": {Service: "DynamoDB", Action: "GetItem", Request: []byte(`{"TableName":"t-Table","Key":{"pk":{"S":"a"}}}`)},
		"another index":         {Service: "DynamoDB", Action: "Query", Request: []byte(`{"TableName":"s-Table","IndexName":"by-place"}`)},
		"a whole table":         {Service: "DynamoDB", Action: "Scan", Request: []byte(`{"TableName":"s-Table"}`)},
		"another queue":         {Service: "AmazonSQS", Action: "SendMessage", Request: []byte(`{"QueueUrl":"http://here/1/t-Queue"}`)},
		"nothing":               {Service: "AmazonSQS", Action: "ListQueues", Request: []byte(`{}`)},
		"no JSON":               {Service: "AmazonSQS", Action: "SendMessage", Request: []byte(`Action=SendMessage`)},
	} {
		if got, err := d.Accesses(call); err == nil {
			t.Errorf("%s needs %v, want an error", name, got)
		}
	}
}

func TestWhatAStatementAllows(t *testing.T) {
	d := newRoles(t, `
		{"Sid": "Any", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": ["arn:queue", "arn:other"]},
		{"Sid": "Some", "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem"], "Resource": "arn:table/a",
			"Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["conn#*", "b?"]}}},
		{"Sid": "Part", "Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "arn:table/a", "Condition": {
			"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "on"]}, "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"}}},
		{"Sid": "Post", "Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "arn:api/live/POST/@connections/*"}`)
	statements, err := d.Statements("Function")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		access Access
		want   string
	}{
		{Access{Action: "sqs:SendMessage", Resource: "arn:other"}, "Any"},
		{Access{Action: "sqs:SendMessage", Resource: "arn:other-one"}, ""},
		{Access{Action: "sqs:SendMessage", Resource: "an-arn:other"}, ""},
		{Access{Action: "sqs:ReceiveMessage", Resource: "arn:other"}, ""},
		{Access{Action: "dynamodb:GetItem", Resource: "arn:table/a", LeadingKeys: []string{"conn#1"}}, "Some"},
		{Access{Action: "dynamodb:GetItem", Resource: "arn:table/a", LeadingKeys: []string{"b1"}}, "Some"},
		{Access{Action: "dynamodb:GetItem", Resource: "arn:table/a", LeadingKeys: []string{"b12"}}, ""},
		{Access{Action: "dynamodb:GetItem", Resource: "arn:table/a", LeadingKeys: []string{"run#1"}}, ""},
		{Access{Action: "dynamodb:BatchGetItem", Resource: "arn:table/a", LeadingKeys: []string{"conn#1", "b1"}}, "Some"},
		{Access{Action: "dynamodb:BatchGetItem", Resource: "arn:table/a", LeadingKeys: []string{"conn#1", "run#1"}}, ""},
		{Access{Action: "dynamodb:UpdateItem", Resource: "arn:table/a", Attributes: []string{"on", "pk"}}, "Part"},
		{Access{Action: "dynamodb:UpdateItem", Resource: "arn:table/a", Attributes: []string{"on", "pk"}, Returns: []string{"NONE"}}, "Part"},
		{Access{Action: "dynamodb:UpdateItem", Resource: "arn:table/a", Attributes: []string{"on", "pk", "url"}}, ""},
		{Access{Action: "dynamodb:UpdateItem", Resource: "arn:table/a", Attributes: []string{"on"}, Returns: []string{"ALL_NEW"}}, ""},
		{Access{Action: "dynamodb:GetItem", Resource: "arn:table/ab", LeadingKeys: []string{"conn#1"}}, ""},
		{Access{Action: "execute-api:ManageConnections", Resource: "arn:api/live/POST/@connections/a/b"}, "Post"},
		{Access{Action: "execute-api:ManageConnections", Resource: "arn:api/live/DELETE/@connections/a"}, ""},
	} {
		got := ""
		for _, s := range statements {
			if s.Allows(test.access) {
				got += s.Sid
			}
		}
		if got != test.want {
			t.Errorf("%v is allowed by %q, want %q", test.access, got, test.want)
		}
	}
}

func TestWhatIsNotKnownOfARoleIsNotIgnored(t *testing.T) {
	for _, statement := range []string{
		`{"Effect": "Allow", "Action": "a", "Resource": "*", "Condition": {"StringEquals": {"dynamodb:LeadingKeys": "a"}}}`,
		`{"Effect": "Allow", "Action": "a", "Resource": "*", "Condition": {"ForAllValues:StringLike": {"dynamodb:Attributes": "a"}}}`,
		`{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*", "Condition": {"ForAllValues:StringEquals": {"dynamodb:Attributes": "a"}}}`,
		`{"Effect": "Deny", "Action": "a", "Resource": "*"}`,
		`{"Action": "a", "Resource": "*"}`,
		`{"Effect": "Allow", "NotAction": "a", "Resource": "*"}`,
		`{"Effect": "Allow", "Action": "a", "NotResource": "*"}`,
	} {
		if statements, err := newRoles(t, statement).Statements("Function"); err == nil {
			t.Errorf("%s: %v, want an error", statement, statements)
		}
	}
	d := newRoles(t, `{"Effect": "Allow", "Action": "a", "Resource": "*"}`)
	if statements, err := d.Statements("Function"); len(statements) != 1 || err != nil {
		t.Errorf("a role is %v, %v", statements, err)
	}
	d.resolver.existing["Role"].Properties["ManagedPolicyArns"] = []any{map[string]any{"Ref": "AWS::NoValue"}}
	if statements, err := d.Statements("Function"); len(statements) != 1 || err != nil {
		t.Errorf("a role whose managed policies are an option is %v, %v", statements, err)
	}
	d.resolver.existing["Role"].Properties["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/AdministratorAccess"}
	if statements, err := d.Statements("Function"); err == nil {
		t.Errorf("a role with a managed policy is %v, want an error", statements)
	}
	d.resolver.existing["Function"].Properties["Role"] = "arn:aws:iam::123456789012:role/another"
	if statements, err := d.Statements("Function"); err == nil {
		t.Errorf("another's role is %v, want an error", statements)
	}
}
