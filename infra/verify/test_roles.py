"""What functions may do. That each call is allowed, each permission used, and
each wildcard explained, are tests of internal/testing/localaws, which records the calls of
the real binaries."""

import json
import re
import unittest

from deployed import DeployedTest
from view import View

# The kinds of keys in each table, as internal/store/dynamo/keys.go makes them.
CONFIG_KEYS = {"src#*", "ws#*"}

# Statements of tables that no leading keys limit, and why.
WITHOUT_LEADING_KEYS = {
    ("Manage", "KeepConfig"): "the config table is what the API keeps",
    ("Console", "KeepConfig"): "the config table is what users keep by its pages",
    ("Console", "List"): "as Manage's",
    ("Manage", "List"): "AWS documents the condition for the keys of tables, not of their indexes",
}

class RolesTest(DeployedTest):
    def test_each_function_has_a_role_of_its_own(self):
        self.assertEqual(set(self.of_type("AWS::IAM::Role")), {f + "Role" for f in self.functions})
        for function in self.functions:
            role = self.properties(function + "Role")
            self.assertEqual(self.properties(function + "Function")["Role"], {"Fn::GetAtt": [function + "Role", "Arn"]})
            # But in a VPC, and with a key of one's own.
            self.assertEqual(self.view.resources[function + "Role"]["Properties"]["ManagedPolicyArns"], [])
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(statement["Principal"], {"Service": "lambda.amazonaws.com"})

    def test_actions_and_resources_are_named_one_by_one(self):
        for function in self.functions:
            for sid, statement in self.statements(function).items():
                with self.subTest(function, statement=sid):
                    self.assertEqual(statement["Effect"], "Allow")
                    self.assertNotIn("*", json.dumps(statement["Action"]))
                    if sid == "WriteTraces":  # X-Ray has no resources to name
                        self.assertTrue(all(a.startswith("xray:Put") for a in statement["Action"]))
                        continue
                    # The connections of the stack's own API are whoever connects.
                    resource = re.sub(r"\$\{StreamApi\}/live/(POST|DELETE)/@connections/\*", "", json.dumps(statement["Resource"]))
                    self.assertNotIn("*", resource)

    def test_only_what_its_users_ask_redrives(self):
        redrivers = {f for f in self.functions if "MessageMoveTask" in json.dumps(self.statements(f))}
        self.assertLessEqual(redrivers, {"Console", "Manage"})
        dead = [{"Fn::GetAtt": [queue + "DeadLetterQueue", "Arn"]} for queue in ("Runs", "Deliveries", "Retries")]
        for function in redrivers:
            self.assertEqual(self.statements(function)["Redrive"]["Resource"], dead)

    def test_the_console_may_nothing_that_the_api_may_not(self):
        def grants(function):
            for sid, s in self.statements(function).items():
                if sid == "Log":
                    continue
                keys = s.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [None])
                for action in s["Action"] if isinstance(s["Action"], list) else [s["Action"]]:
                    for resource in s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]]:
                        yield from ((action, json.dumps(resource), key) for key in keys)

        self.assertLessEqual(set(grants("Console")), set(grants("Manage")))

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

    def test_webhooks_send_only_to_queues_that_are_allowed(self):
        self.assertEqual(self.template["Parameters"]["AllowedQueueArns"]["Default"], "")
        self.assertNotIn("SendToAllowedQueues", json.dumps(self.view.resources))
        arns = ["arn:aws:sqs:eu-central-1:123456789012:" + name for name in ("orders", "orders.fifo")]
        view = View(self.template, {"AllowedQueueArns": ",".join(arns)})
        allowed = {
            (role, s["Action"]): s["Resource"]
            for role, resource in view.resources.items() if resource["Type"] == "AWS::IAM::Role"
            for policy in resource["Properties"]["Policies"]
            for s in policy["PolicyDocument"]["Statement"] if s["Sid"] == "SendToAllowedQueues"
        }
        self.assertEqual(allowed, {("DeliverRole", "sqs:SendMessage"): arns})

    def statements_of_tables(self):
        return {
            (function, sid): statement
            for function in self.functions
            for sid, statement in self.statements(function).items()
            if "dynamodb:" in json.dumps(statement["Action"])
        }

    def test_each_statement_of_a_table_is_limited_to_keys(self):
        unlimited = set()
        for name, statement in self.statements_of_tables().items():
            keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
            if keys is None:
                unlimited.add(name)
                continue
            with self.subTest(statement=name):
                self.assertTrue(keys)
                for key in keys:
                    self.assertRegex(key, r"^[a-z]+#\*$")
                self.assertNotIn("/index/", json.dumps(statement["Resource"]))
                config = "ConfigTable" in json.dumps(statement["Resource"])
                self.assertEqual(config, set(keys) <= CONFIG_KEYS)
        self.assertEqual(unlimited, set(WITHOUT_LEADING_KEYS))

    def test_only_what_users_ask_changes_the_config_but_for_what_disables_a_webhook(self):
        changes = {
            name: statement for name, statement in self.statements_of_tables().items()
            if "ConfigTable" in json.dumps(statement["Resource"]) and re.search("Put|Update|Delete|Write", json.dumps(statement["Action"]))
        }
        self.assertEqual(set(changes), {("Console", "KeepConfig"), ("Manage", "KeepConfig"), ("Deliver", "Disable")})
        disable = changes["Deliver", "Disable"]
        self.assertEqual(disable["Action"], "dynamodb:UpdateItem")
        self.assertEqual(disable["Condition"], {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["src#*"]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "Enabled", "Disabled", "Revision"]},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
        })

    def test_the_stream_reads_nothing_but_connections_and_tokens(self):
        keys = {
            sid: statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for (function, sid), statement in self.statements_of_tables().items() if function == "Stream"
        }
        self.assertEqual(keys, {
            "KnowConnections": ["conn#*"],
            "KeepConnections": ["conn#*", "watch#*"],
            "HaveThemClosed": ["due#*"],
            "SeeWhetherAPITokensAreStillThere": ["ws#*"],
        })
        config = {sid: s["Action"] for sid, s in self.statements("Stream").items() if "ConfigTable" in json.dumps(s)}
        self.assertEqual(config, {"SeeWhetherAPITokensAreStillThere": "dynamodb:GetItem"})


if __name__ == "__main__":
    unittest.main()
