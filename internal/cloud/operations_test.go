package cloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// adapters are the packages by which functions call AWS.
var adapters = []string{
	"../../functions/internal/boot", "../queue/sqs", "../seal/kms", "../store/dynamo", "../stream/apigateway", "../target/agentcore", "../target/lambda",
}

// sdkServices are the SDK's packages of the services, as calls name these.
var sdkServices = map[string]string{
	"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms", "secretsmanager": "secretsmanager",
	"lambda": "lambda", "bedrock-agentcore": "bedrockagentcore", "execute-api": "apigatewaymanagementapi",
}

// operations are the SDK's that the adapters' source calls, such as
// "sqs.SendMessageBatch": each has an input of its own, which is written out.
func operations(t *testing.T) []string {
	t.Helper()
	found := make(map[string]bool)
	for _, dir := range adapters {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has the files %v, %v", dir, files, err)
		}
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				inputs(file, found)
			}
		}
	}
	delete(found, "dynamodb.CreateTable") // for set-ups without a template: no function has it
	return slices.Sorted(maps.Keys(found))
}

// inputs finds the operations whose inputs a file writes out.
func inputs(file *ast.File, found map[string]bool) {
	services := make(map[string]bool)
	for _, i := range file.Imports {
		if at, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(at, "github.com/aws/aws-sdk-go-v2/service/") {
			services[path.Base(at)] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, _ := n.(*ast.CompositeLit)
		if literal == nil {
			return true
		}
		if s, ok := literal.Type.(*ast.SelectorExpr); ok {
			service, _ := s.X.(*ast.Ident)
			if operation, isInput := strings.CutSuffix(s.Sel.Name, "Input"); isInput && service != nil && services[service.Name] {
				found[service.Name+"."+operation] = true
			}
		}
		return true
	})
}

// checkOperations fails for each operation that the adapters can call and that
// was not called: whether a role allows it is not proven.
func (s *suite) checkOperations(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	for _, operation := range operations(t) {
		if !s.roles.operations[operation] {
			t.Errorf("nothing has called %s", operation)
		}
	}
}
