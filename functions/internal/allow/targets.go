package allow

import (
	"slices"

	"boathook/internal/boathook"
)

// Targets is the part of a configuration that says how runs may be executed.
type Targets struct {
	AllowedTargets      []boathook.TargetType `env:"BOATHOOK_ALLOWED_TARGETS,required"`
	AllowedFunctionARNs []string              `env:"BOATHOOK_ALLOWED_FUNCTION_ARNS,required"`
	AllowedRuntimeARNs  []string              `env:"BOATHOOK_ALLOWED_RUNTIME_ARNS,required"`
}

// Check refuses a target that is not allowed, with a [boathook.Invalid] error
// about the field at fault. Command targets never are: they would hand out the
// function's own credentials.
func (c Targets) Check(t boathook.Target) error {
	switch {
	case t.Type == boathook.TargetCommand:
		return boathook.InvalidField("type", "command targets run on one machine only")
	case !slices.Contains(c.AllowedTargets, t.Type):
		return boathook.InvalidField("type", "not among the types that the stack's parameter AllowedTargets names")
	case t.Type == boathook.TargetLambda && !boathook.AllowsARN(c.AllowedFunctionARNs, t.FunctionARN):
		return boathook.InvalidField("function_arn", "not among the functions that the stack's parameter AllowedFunctionArns names")
	case t.Type == boathook.TargetAgentCore && !boathook.AllowsARN(c.AllowedRuntimeARNs, t.RuntimeARN):
		return boathook.InvalidField("runtime_arn", "not among the agent runtimes that the stack's parameter AllowedRuntimeArns names")
	}
	return nil
}
