package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/internal/boathook"
	"boathook/internal/egress"
	"boathook/internal/run/target"
	"boathook/internal/run/target/agentcore"
	"boathook/internal/run/target/lambda"
)

// targets execute runs, each those of its type: as far as the stack's operator
// allows.
func (c config) targets(sdk aws.Config) target.Set {
	guard := c.Guard()
	guard.NoReuse = true // a run can't be repeated, so its connection must not have died unused
	return target.Set{
		boathook.TargetHTTP:      target.HTTP{Client: egress.New(guard), UserAgent: boathook.UserAgent()},
		boathook.TargetLambda:    lambda.Target{Client: lambda.NewClient(sdk), Allowed: c.AllowedFunctionARNs},
		boathook.TargetAgentCore: agentcore.Target{Client: agentcore.NewClient(sdk), Allowed: c.AllowedRuntimeARNs},
	}.Only(c.AllowedTargets)
}
