package service_test

import (
	"reflect"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// operations gives each method of each noun of a service by its name, as in
// "Tokens.Create". Callers has none: it finds out who asks.
func operations(s *service.Service) map[service.Operation]reflect.Value {
	found := map[service.Operation]reflect.Value{}
	for field, noun := range reflect.ValueOf(*s).Fields() {
		if field.Name == "Callers" {
			continue
		}
		for method, call := range noun.Methods() {
			found[service.Operation(field.Name+"."+method.Name)] = call
		}
	}
	return found
}

// Nothing is behind the service: whoever may call no operation makes none touch it.
func TestEachOperationIsInTheTableAndAsksIt(t *testing.T) {
	all := operations(service.New(service.Config{}))
	if len(all) == 0 {
		t.Fatal("there are no operations")
	}
	for op, call := range all {
		if service.LeastRole(op) == "" {
			t.Errorf("%s is not in the table", op)
		}
		in := make([]reflect.Value, call.Type().NumIn())
		for i := range in {
			in[i] = reflect.Zero(call.Type().In(i))
		}
		out := call.Call(in)
		err, _ := reflect.TypeAssert[error](out[len(out)-1])
		if !boathook.IsKind(err, boathook.Forbidden) || !strings.Contains(err.Error(), "token") {
			t.Errorf("%s by nobody in particular: %v", op, err)
		}
	}
	for _, op := range service.AllOperations() {
		if _, ok := all[op]; !ok {
			t.Errorf("the table has %s, which is no operation", op)
		}
	}
}

// The stack's internal token opens one operation, which no user's does.
func TestTheInternalTokensCallerMayDoOneThing(t *testing.T) {
	const internal = "Agents.InternalSecret"
	s := service.New(service.Config{InternalToken: textOf("of the stack")})
	if _, err := s.Callers.FindInternal(t.Context(), "of the Stack"); !boathook.IsKind(err, boathook.Unauthorized) {
		t.Errorf("another text is taken: %v", err)
	}
	stack, err := s.Callers.FindInternal(t.Context(), "of the stack")
	if err != nil {
		t.Fatal(err)
	}
	admin := service.Caller{Workspace: "ws_a", Role: boathook.Admin, Stack: true}
	for op := range operations(s) {
		if may := stack.May(op) == nil; may != (op == internal) {
			t.Errorf("the internal token's caller may call %s: %t", op, may)
		}
		if may := admin.May(op) == nil; may == (op == internal) {
			t.Errorf("the stack's admin may call %s: %t", op, may)
		}
	}
	if _, err := service.New(service.Config{InternalToken: textOf("")}).Callers.FindInternal(t.Context(), ""); !boathook.IsKind(err, boathook.Unauthorized) {
		t.Errorf("without a token set, an empty one is taken: %v", err)
	}
}
