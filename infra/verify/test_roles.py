"""What functions may do. That each call is allowed, each permission used, and
each wildcard explained, are tests of internal/cloud, which records the calls of
the real binaries."""

import json
import re
import unittest

from deployed import DeployedTest
from view import View

# Sids of statements that are limited to keys of the records or config table, and to which.
LEADING_KEYS = {
    ("Intake", "ReadDataKeys"): ["ws#*"],
    ("Execute", "CountLogLines"): ["run#*"],
    ("Execute", "FindWatchers"): ["watch#*"],
    ("Stream", "KnowConnections"): ["conn#*"],
    ("Stream", "KeepConnections"): ["conn#*", "watch#*"],
    ("Stream", "HaveThemClosed"): ["due#*"],
    ("Stream", "SeeWhetherAPITokensAreStillThere"): ["ws#*"],
}


class RolesTest(DeployedTest):
    def test_each_function_has_a_role_of_its_own(self):
        self.assertEqual(set(self.of_type("AWS::IAM::Role")), {f + "Role" for f in self.functions})
        for function in self.functions:
            role = self.properties(function + "Role")
            self.assertEqual(self.properties(function + "Function")["Role"], {"Fn::GetAtt": [function + "Role", "Arn"]})
            self.assertNotIn("ManagedPolicyArns", role)
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(statement["Principal"], {"Service": "lambda.amazonaws.com"})

    def test_actions_and_resources_are_named_one_by_one(self):
        for function in self.functions:
            for sid, statement in self.statements(function).items():
                with self.subTest(function, statement=sid):
                    self.assertEqual(statement["Effect"], "Allow")
                    self.assertNotIn("*", json.dumps(statement["Action"]))
                    # The connections of the stack's own API are whoever connects.
                    resource = re.sub(r"\$\{StreamApi\}/live/(POST|DELETE)/@connections/\*", "", json.dumps(statement["Resource"]))
                    self.assertNotIn("*", resource)

    def test_only_manage_redrives(self):
        redrivers = {f for f in self.functions if "MessageMoveTask" in json.dumps(self.statements(f))}
        self.assertEqual(redrivers, {"Manage"})
        dead = [{"Fn::GetAtt": [queue + "DeadLetterQueue", "Arn"]} for queue in ("Runs", "Deliveries", "Retries")]
        self.assertEqual(self.statements("Manage")["Redrive"]["Resource"], dead)

    def test_runs_invoke_only_functions_that_are_allowed(self):
        invokers = {f for f in self.functions if "lambda:" in json.dumps(self.statements(f))}
        self.assertEqual(invokers, {"Execute"})
        statement = self.statements("Execute")["InvokeAllowedFunctions"]
        self.assertEqual(statement["Action"], "lambda:InvokeFunction")
        self.assertEqual(statement["Resource"], {"Fn::Split": [",", {"Ref": "AllowedFunctionArns"}]})
        self.assertEqual(self.template["Parameters"]["AllowedFunctionArns"]["Default"], "")
        self.assertNotIn("InvokeAllowedFunctions", json.dumps(self.view.resources["ExecuteRole"]))

    def test_runs_invoke_only_agent_runtimes_that_are_allowed(self):
        invokers = {f for f in self.functions if "bedrock-agentcore:" in json.dumps(self.statements(f))}
        self.assertEqual(invokers, {"Execute"})
        self.assertEqual(self.template["Parameters"]["AllowedRuntimeArns"]["Default"], "")
        arns = ["arn:aws:bedrock-agentcore:eu-central-1:123456789012:runtime/" + name for name in ("one-a", "two-b")]
        view = View(self.template, {"AllowedRuntimeArns": ",".join(arns)})
        (policy,) = view.resources["ExecuteRole"]["Properties"]["Policies"]
        allowed = {s["Sid"]: s["Resource"] for s in policy["PolicyDocument"]["Statement"] if s["Action"] == "bedrock-agentcore:InvokeAgentRuntime"}
        self.assertEqual(allowed, {
            "InvokeAllowedRuntimes": arns,
            "InvokeTheirDefaultEndpoints": [arn + "/runtime-endpoint/DEFAULT" for arn in arns],
        })

    def test_the_stream_reads_nothing_but_connections_and_tokens(self):
        limited = {
            (function, sid): statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for function in self.functions
            for sid, statement in self.statements(function).items()
            if "Condition" in statement
        }
        self.assertEqual(limited, LEADING_KEYS)
        config = {sid: s["Action"] for sid, s in self.statements("Stream").items() if "ConfigTable" in json.dumps(s)}
        self.assertEqual(config, {"SeeWhetherAPITokensAreStillThere": "dynamodb:GetItem"})
        for sid, statement in self.statements("Stream").items():
            if "dynamodb:" in json.dumps(statement["Action"]):
                self.assertIn(("Stream", sid), LEADING_KEYS)


if __name__ == "__main__":
    unittest.main()
