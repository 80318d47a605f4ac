package boathook_test

import (
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func TestOnlyARNsThatAPatternNamesAreAllowed(t *testing.T) {
	const account = "arn:aws:lambda:eu-west-1:123456789012:"
	for _, tt := range []struct {
		pattern, arn string
		want         bool
	}{
		{account + "function:agent", account + "function:agent", true},
		{account + "function:agent-*", account + "function:agent-a", true},
		{account + "function:agent-*", account + "function:agent-a:PROD", true},
		{account + "function:agent-?", account + "function:agent-a", true},
		{"arn:aws:lambda:*:*:function:*", account + "function:any", true},
		{"arn:*:lambda:eu-*-1:123456789012:function:*", account + "function:any", true},
		{"arn:aws:bedrock-agentcore:*:123456789012:runtime/*", "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/r-1", true},

		{account + "function:agent", account + "function:agent2", false},
		{account + "function:agent", account + "function:agent:PROD", false},
		{account + "function:agent-*", account + "function:other", false},
		{account + "function:agent-?", account + "function:agent-ab", false},
		{account + "function:*", "arn:aws:lambda:eu-west-1:999999999999:function:any", false},
		{account + "function:*", "arn:aws:lambda:us-east-1:123456789012:function:any", false},
		{account + "function:*", "arn:aws:sqs:eu-west-1:123456789012:function:any", false},
		{account + "function:*", account + "layer:any", false},
		{account + "function:*", "agent", false},
		{account + "function:*", "", false},
		{account + "function:*", strings.ToUpper(account) + "function:any", false},
		{account + "function:*", " " + account + "function:any", false},
		{"arn:aws:lambda:*:123456789012:function:a", "arn:aws:lambda:x:999999999999:function:y:123456789012:function:a", false},
		{"arn:aws:lambda:*:*:function:*", "arn:aws:lambda:::function:any", false},
		{"*", account + "function:any", false},
		{"", account + "function:any", false},
		{"", "", false},
		{"*:*:*:*:*:*", "x:aws:lambda:eu-west-1:123456789012:function:any", false},
		{account + "function:[", account + "function:[", false},
	} {
		if got := boathook.AllowsARN([]string{"arn:aws:lambda:x:1:function:other", tt.pattern}, tt.arn); got != tt.want {
			t.Errorf("%q names %q: got %v", tt.pattern, tt.arn, got)
		}
	}
	if boathook.AllowsARN(nil, account+"function:any") {
		t.Error("no pattern allows something")
	}
}
