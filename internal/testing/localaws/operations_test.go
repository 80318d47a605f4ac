package localaws_test

import (
	"debug/elf"
	"debug/gosym"
	"path/filepath"
	"regexp"
	"testing"
)

// operation is one of the SDK's that a function calls, such as "dynamodb.Query".
type operation struct{ function, name string }

// unreached are the operations that a function's code holds and never calls, and
// why.
var unreached = map[operation]string{}

// sdkServices are the SDK's packages of the services, as calls name these.
var sdkServices = map[string]string{
	"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms", "secretsmanager": "secretsmanager",
	"lambda": "lambda", "bedrock-agentcore": "bedrockagentcore", "execute-api": "apigatewaymanagementapi",
}

// held are the operations that a function's binary can call: the linker leaves
// out the methods that nothing reaches.
func held(t *testing.T, binaries, function string) map[operation]bool {
	t.Helper()
	file, err := elf.Open(filepath.Join(binaries, function, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	code, names := file.Section(".text"), file.Section(".gopclntab")
	if code == nil || names == nil {
		t.Fatalf("the binary of %s tells no names", function)
	}
	lines, err := names.Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, code.Addr))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[operation]bool)
	for _, f := range table.Funcs {
		// Each client of DynamoDB holds DescribeEndpoints, by which endpoints are
		// discovered where that is switched on.
		if m := preparation.FindStringSubmatch(f.Name); m != nil && m[2] != "DescribeEndpoints" {
			found[operation{function, m[1] + "." + m[2]}] = true
		}
	}
	if len(found) == 0 {
		t.Errorf("no operation was found in the binary of %s", function)
	}
	return found
}

// preparation is the name of what the SDK prepares each operation's requests by.
var preparation = regexp.MustCompile(`/aws-sdk-go-v2/service/(\w+)\.\(\*Client\)\.addOperation(\w+)Middlewares$`)

// checkOperations fails for each operation that a function can call and has not
// called: whether its role allows that is not proven.
func (s *suite) checkOperations(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	all := make(map[operation]bool)
	for _, function := range s.config.Template.Functions() {
		if function == "ConsoleFunction" { // templates call methods by their names: no method is left out
			continue
		}
		for o := range held(t, s.config.Binaries, function) {
			all[o] = true
			switch reason, excused := unreached[o]; {
			case s.roles.called[o] && excused:
				t.Errorf("%s has called %s, though %s", o.function, o.name, reason)
			case !s.roles.called[o] && !excused:
				t.Errorf("%s has not called %s", o.function, o.name)
			}
		}
	}
	for o := range unreached {
		if !all[o] {
			t.Errorf("%s can not call %s: it needs no excuse", o.function, o.name)
		}
	}
}
