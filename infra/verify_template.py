"""Proves, without an AWS account, that template.yaml deploys what it should.

It translates the template with SAM's own library, creates the stack in moto's
CloudFormation, and holds both against what is expected here. moto leaves out
the HTTP API, the WebSocket API, the secrets, the alarms, and some properties (TTL, encryption, what
may use a dead-letter queue): those are read in the translated template, all
others from the resources that moto made.

Usage: python infra/verify_template.py    (modules: infra/emulators/requirements.txt)
"""

import io
import json
import logging
import os
import unittest
import zipfile

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-central-1")
os.environ.pop("AWS_PROFILE", None)
os.environ.pop("AWS_ENDPOINT_URL", None)

import boto3
import moto
from samtranslator.yaml_helper import yaml_parse

from translate import BUCKET, CODE, TEMPLATE, translate

DAY = 86400

# What each function is told, besides its tables, retention and log level.
VARIABLES = {
    "Intake": {"RUNS_QUEUE_URL", "KEY_ID", "AGENT_EXECUTION", "ALLOWED_TARGETS", "INTERNAL_SECRET_ID"},
    "Manage": {"RUNS_QUEUE_URL", "DELIVERIES_QUEUE_URL", "RETRIES_QUEUE_URL", "RUNS_DEAD_LETTER_QUEUE_URL",
               "DELIVERIES_DEAD_LETTER_QUEUE_URL", "RETRIES_DEAD_LETTER_QUEUE_URL", "KEY_ID", "ADMIN_SECRET_ID",
               "INTERNAL_SECRET_ID", "STREAM_SECRET_ID", "ALLOWED_TARGETS", "ALLOWED_FUNCTION_ARNS", "ALLOWED_RUNTIME_ARNS",
               "PUBLIC_URL", "ALLOWED_EGRESS", "ALLOW_HTTP"},
    "Execute": {"DELIVERIES_QUEUE_URL", "WEBSOCKET_ENDPOINT", "KEY_ID", "ALLOWED_TARGETS", "ALLOWED_FUNCTION_ARNS",
                "ALLOWED_RUNTIME_ARNS", "ALLOWED_EGRESS", "ALLOW_HTTP"},
    "Deliver": {"DELIVERIES_QUEUE_URL", "RETRIES_QUEUE_URL", "KEY_ID", "ALLOWED_EGRESS", "ALLOW_HTTP"},
    "Stream": {"WEBSOCKET_ENDPOINT", "STREAM_SECRET_ID"},
    "Sweep": {"DELIVERIES_QUEUE_URL", "RETRIES_QUEUE_URL", "WEBSOCKET_ENDPOINT"},
}
COMMON_VARIABLES = {"CONFIG_TABLE", "RECORDS_TABLE", "RETENTION_DAYS", "LOG_LEVEL", "METRICS_NAMESPACE"}

# Each queue with its consumer and visibility timeout in seconds.
QUEUES = {"Runs": ("Execute", 960), "Deliveries": ("Deliver", 360), "Retries": ("Deliver", 360)}

# The keys in the records table that a statement is limited to. Strangers reach the stream's function.
LEADING_KEYS = {
    ("Intake", "ReadDataKeys"): ["ws#*"],
    ("Execute", "CountLogLines"): ["run#*"],
    ("Execute", "FindWatchers"): ["watch#*"],
    ("Stream", "KeepConnections"): ["conn#*", "watch#*"],
    ("Stream", "HaveThemClosed"): ["due#*"],
}

ROUTES = {
    "POST /webhooks/runs/{token}": "Intake",
    "POST /api/v1/webhooks/{crew}/{agent}/trigger": "Intake",
    "ANY /api/v1/{proxy+}": "Manage",
    "ANY /v1/{proxy+}": "Manage",
    "ANY /repos/{proxy+}": "Manage",
    "GET /openapi.json": "Manage",
    "GET /healthz": "Manage",
}


class Stack:
    """The stack in moto: its outputs, and its resources' ids by their names in the template."""

    def __init__(self, translated, parameters):
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("bootstrap", "")
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket=BUCKET, Key=CODE, Body=code.getvalue())
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName="boathook",
            TemplateBody=json.dumps(translated),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        (stack,) = cloudformation.describe_stacks(StackName="boathook")["Stacks"]
        self.status = stack["StackStatus"]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        resources = cloudformation.list_stack_resources(StackName="boathook")["StackResourceSummaries"]
        self.ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}


class TemplateTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.template = translate()
        cls.resources = cls.template["Resources"]
        mock = moto.mock_aws()
        mock.start()
        cls.addClassCleanup(mock.stop)
        cls.function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:report"
        cls.runtime_arn = "arn:aws:bedrock-agentcore:eu-central-1:123456789012:runtime/reviewer-AbCdEf1234"
        cls.stack = Stack(cls.template, {
            "AllowedTargets": "http,lambda,agentcore",  # the default, which moto would take for a list of letters
            "AllowedFunctionArns": cls.function_arn, "AllowedRuntimeArns": cls.runtime_arn, "LogRetentionDays": "14",
        })

    def properties(self, name):
        return self.resources[name]["Properties"]

    def of_type(self, kind):
        return {name: r for name, r in self.resources.items() if r["Type"] == kind}

    def statements(self, function):
        """The statements of a function's role by their Sid, those under a condition included."""
        (policy,) = self.properties(function + "Role")["Policies"]
        statements = [s["Fn::If"][1] if "Fn::If" in s else s for s in policy["PolicyDocument"]["Statement"]]
        return {s["Sid"]: s for s in statements}

    def test_stack_is_created_whole(self):
        self.assertEqual(self.stack.status, "CREATE_COMPLETE")
        for name, output in self.template["Outputs"].items():
            self.assertTrue(output.get("Description"), name)
        for name, parameter in self.template["Parameters"].items():
            self.assertTrue(parameter.get("Description"), name)

    def test_functions_have_their_variables_and_no_others(self):
        functions = boto3.client("lambda")
        for function, variables in VARIABLES.items():
            with self.subTest(function):
                written = self.properties(function + "Function")["Environment"]["Variables"]
                self.assertEqual(set(written), {"BOATHOOK_" + v for v in variables | COMMON_VARIABLES})
                config = functions.get_function_configuration(FunctionName=f"boathook-{function.lower()}")
                values = {
                    "BOATHOOK_CONFIG_TABLE": self.stack.ids["ConfigTable"],
                    "BOATHOOK_RECORDS_TABLE": self.stack.ids["RecordsTable"],
                    "BOATHOOK_RETENTION_DAYS": "30",
                    "BOATHOOK_LOG_LEVEL": "info",
                    "BOATHOOK_METRICS_NAMESPACE": "Boathook/boathook",
                    "BOATHOOK_RUNS_QUEUE_URL": self.stack.outputs["RunsQueueUrl"],
                    "BOATHOOK_DELIVERIES_QUEUE_URL": self.stack.outputs["DeliveriesQueueUrl"],
                    "BOATHOOK_RETRIES_QUEUE_URL": self.stack.outputs["RetriesQueueUrl"],
                    "BOATHOOK_RUNS_DEAD_LETTER_QUEUE_URL": self.stack.outputs["RunsDeadLetterQueueUrl"],
                    "BOATHOOK_DELIVERIES_DEAD_LETTER_QUEUE_URL": self.stack.outputs["DeliveriesDeadLetterQueueUrl"],
                    "BOATHOOK_RETRIES_DEAD_LETTER_QUEUE_URL": self.stack.outputs["RetriesDeadLetterQueueUrl"],
                    "BOATHOOK_KEY_ID": self.stack.ids["Key"],
                    "BOATHOOK_AGENT_EXECUTION": "true",
                    "BOATHOOK_ALLOWED_TARGETS": "http,lambda,agentcore",
                    "BOATHOOK_ALLOWED_FUNCTION_ARNS": self.function_arn,
                    "BOATHOOK_ALLOWED_RUNTIME_ARNS": self.runtime_arn,
                    "BOATHOOK_PUBLIC_URL": "",
                    "BOATHOOK_ALLOWED_EGRESS": "",
                    "BOATHOOK_ALLOW_HTTP": "false",
                }
                # moto leaves secrets out, and with them their variables; it does not know the WebSocket API's id.
                left_out = {"BOATHOOK_ADMIN_SECRET_ID", "BOATHOOK_INTERNAL_SECRET_ID", "BOATHOOK_STREAM_SECRET_ID",
                            "BOATHOOK_WEBSOCKET_ENDPOINT"}
                want = {name: values[name] for name in set(written) - left_out}
                got = {name: str(value) for name, value in config["Environment"]["Variables"].items() if name not in left_out}
                self.assertEqual(got, want)

    def test_functions_run_on_arm64_without_a_language_runtime(self):
        for function in VARIABLES:
            properties = self.properties(function + "Function")
            self.assertEqual(properties["Runtime"], "provided.al2023")
            self.assertEqual(properties["Architectures"], ["arm64"])

    def test_functions_are_built_by_the_makefile(self):
        source = yaml_parse(TEMPLATE.read_text())["Resources"]
        for function in VARIABLES:
            self.assertEqual(source[function + "Function"]["Metadata"], {"BuildMethod": "makefile"})

    def test_queues_lead_to_their_dead_letter_queues(self):
        sqs = boto3.client("sqs")
        for queue, (consumer, visibility) in QUEUES.items():
            with self.subTest(queue):
                url = self.stack.outputs[queue + "QueueUrl"]
                got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
                dead = sqs.get_queue_attributes(
                    QueueUrl=self.stack.outputs[queue + "DeadLetterQueueUrl"], AttributeNames=["All"]
                )["Attributes"]
                self.assertEqual(int(got["VisibilityTimeout"]), visibility)
                self.assertGreater(visibility, self.properties(consumer + "Function")["Timeout"])
                self.assertEqual(int(got["MessageRetentionPeriod"]), 4 * DAY)
                self.assertEqual(int(dead["MessageRetentionPeriod"]), 14 * DAY)
                self.assertEqual({got["MaximumMessageSize"], dead["MaximumMessageSize"]}, {str(1 << 20)})
                redrive = json.loads(got["RedrivePolicy"])
                self.assertEqual((redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])), (dead["QueueArn"], 5))

                allow = self.properties(queue + "DeadLetterQueue")["RedriveAllowPolicy"]
                self.assertEqual(allow["redrivePermission"], "byQueue")
                (source,) = allow["sourceQueueArns"]
                self.assertTrue(source["Fn::Sub"].endswith(self.properties(queue + "Queue")["QueueName"]["Fn::Sub"]))
                for name in (queue + "Queue", queue + "DeadLetterQueue"):
                    self.assertTrue(self.properties(name)["SqsManagedSseEnabled"])

                alarm = self.properties(queue + "DeadLetterAlarm")
                self.assertEqual(alarm["Dimensions"][0]["Value"], {"Fn::GetAtt": [queue + "DeadLetterQueue", "QueueName"]})
                age = self.properties(queue + "AgeAlarm")
                self.assertEqual(age["MetricName"], "ApproximateAgeOfOldestMessage")
                self.assertEqual(age["Dimensions"][0]["Value"], {"Fn::GetAtt": [queue + "Queue", "QueueName"]})
                self.assertGreater(age["Threshold"], visibility)

    def test_alarms_tell_the_topic(self):
        alarms = self.of_type("AWS::CloudWatch::Alarm")
        self.assertEqual(len(alarms), 2 * len(QUEUES) + 2)
        for name, alarm in alarms.items():
            self.assertEqual(alarm["Properties"]["TreatMissingData"], "notBreaching", name)
            self.assertIn({"Ref": "AlarmTopicArn"}, alarm["Properties"]["AlarmActions"]["Fn::If"][1], name)

    def test_messages_in_flight_are_watched_in_every_queue(self):
        alarm = self.properties("InFlightAlarm")
        watched = {json.dumps(m["MetricStat"]["Metric"]["Dimensions"][0]["Value"]) for m in alarm["Metrics"] if "MetricStat" in m}
        self.assertEqual(watched, {json.dumps({"Fn::GetAtt": [queue + "Queue", "QueueName"]}) for queue in QUEUES})
        self.assertLess(alarm["Threshold"], 120_000)

    def test_failure_rate_is_of_the_metrics_that_are_written(self):
        written = self.properties("DeliverFunction")["Environment"]["Variables"]["BOATHOOK_METRICS_NAMESPACE"]
        metrics = [m["MetricStat"]["Metric"] for m in self.properties("FailureRateAlarm")["Metrics"] if "MetricStat" in m]
        self.assertEqual([m["Namespace"] for m in metrics], [written, written])
        names = (TEMPLATE.parent / "internal/metrics/metrics.go").read_text()
        for metric in metrics:
            self.assertIn('"%s"' % metric["MetricName"], names)

    def test_queues_are_polled_as_their_functions_need(self):
        defaults = {name: int(p["Default"]) for name, p in self.template["Parameters"].items() if p["Type"] == "Number"}
        want = {
            "boathook-runs": ("boathook-execute", 1, 0, defaults["RunConcurrency"]),
            "boathook-deliveries": ("boathook-deliver", 10, 1, defaults["DeliveryConcurrency"]),
            "boathook-retries": ("boathook-deliver", 10, 0, defaults["RetryConcurrency"]),
        }
        got = {}
        for mapping in boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            got[mapping["EventSourceArn"].split(":")[-1]] = (
                mapping["FunctionArn"].split(":")[-1],
                int(mapping["BatchSize"]),
                int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
                int(mapping["ScalingConfig"]["MaximumConcurrency"]),
            )
        self.assertEqual(got, want)

    def test_tables_survive_and_are_protected(self):
        tables = self.of_type("AWS::DynamoDB::Table")
        self.assertEqual(set(tables), {"ConfigTable", "RecordsTable"})
        for name, table in tables.items():
            with self.subTest(name):
                self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("Retain", "Retain"))
                self.assertEqual(table["Properties"]["BillingMode"], "PAY_PER_REQUEST")
                self.assertTrue(table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
                self.assertTrue(table["Properties"]["SSESpecification"]["SSEEnabled"])
        self.assertNotIn("TimeToLiveSpecification", self.properties("ConfigTable"))
        self.assertEqual(self.properties("RecordsTable")["TimeToLiveSpecification"], {"AttributeName": "x", "Enabled": True})
        dynamodb = boto3.client("dynamodb")
        config = dynamodb.describe_table(TableName=self.stack.ids["ConfigTable"])["Table"]
        records = dynamodb.describe_table(TableName=self.stack.ids["RecordsTable"])["Table"]
        self.assertEqual([i["IndexName"] for i in config["LocalSecondaryIndexes"]], ["by-place"])
        self.assertEqual([i["IndexName"] for i in records["GlobalSecondaryIndexes"]], ["by-parent"])

    def test_roles_name_actions_and_resources_one_by_one(self):
        self.assertEqual(set(self.of_type("AWS::IAM::Role")), {f + "Role" for f in VARIABLES})
        for function in VARIABLES:
            self.assertEqual(self.properties(function + "Function")["Role"], {"Fn::GetAtt": [function + "Role", "Arn"]})
            self.assertNotIn("ManagedPolicyArns", self.properties(function + "Role"))
            for sid, statement in self.statements(function).items():
                with self.subTest(function, statement=sid):
                    self.assertEqual(statement["Effect"], "Allow")
                    resource = json.dumps(statement["Resource"])
                    if statement["Action"] == "execute-api:ManageConnections":  # of the stack's own API, whoever connects
                        resource = resource.replace("${StreamApi}/live/POST/@connections/*", "").replace(
                            "${StreamApi}/live/DELETE/@connections/*", "")
                    self.assertNotIn("*", json.dumps(statement["Action"]) + resource)

    def test_only_manage_redrives(self):
        redrivers = {f for f in VARIABLES if "MessageMoveTask" in json.dumps(self.statements(f))}
        self.assertEqual(redrivers, {"Manage"})
        dead = [{"Fn::GetAtt": [queue + "DeadLetterQueue", "Arn"]} for queue in QUEUES]
        self.assertEqual(self.statements("Manage")["Redrive"]["Resource"], dead)

    def test_runs_invoke_only_functions_that_are_allowed(self):
        invokers = {f for f in VARIABLES if "lambda:" in json.dumps(self.statements(f))}
        self.assertEqual(invokers, {"Execute"})
        statement = self.statements("Execute")["InvokeAllowedFunctions"]
        self.assertEqual(statement["Action"], "lambda:InvokeFunction")
        self.assertEqual(statement["Resource"], {"Ref": "AllowedFunctionArns"})
        self.assertEqual(self.template["Parameters"]["AllowedFunctionArns"]["Default"], "")

    def test_runs_invoke_only_agent_runtimes_that_are_allowed(self):
        invokers = {f for f in VARIABLES if "bedrock-agentcore:" in json.dumps(self.statements(f))}
        self.assertEqual(invokers, {"Execute"})
        runtimes, endpoints = (self.statements("Execute")[s] for s in ("InvokeAllowedRuntimes", "InvokeTheirDefaultEndpoints"))
        self.assertEqual({runtimes["Action"], endpoints["Action"]}, {"bedrock-agentcore:InvokeAgentRuntime"})
        self.assertEqual(runtimes["Resource"], {"Ref": "AllowedRuntimeArns"})
        each = {"Fn::Join": ["/runtime-endpoint/DEFAULT,", {"Ref": "AllowedRuntimeArns"}]}
        joined = {"Fn::Join": ["", [each, "/runtime-endpoint/DEFAULT"]]}
        self.assertEqual(endpoints["Resource"], {"Fn::Split": [",", joined]})
        self.assertEqual(self.template["Parameters"]["AllowedRuntimeArns"]["Default"], "")
        self.assertEqual(self.template["Parameters"]["AllowedTargets"]["Default"], "http,lambda,agentcore")

    def test_the_stream_reads_nothing_but_connections(self):
        limited = {
            (function, sid): statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for function in VARIABLES
            for sid, statement in self.statements(function).items()
            if "Condition" in statement
        }
        self.assertEqual(limited, LEADING_KEYS)
        self.assertNotIn("ConfigTable", json.dumps(self.statements("Stream")))
        for sid, statement in self.statements("Stream").items():
            if "dynamodb:" in json.dumps(statement["Action"]):
                self.assertIn(("Stream", sid), LEADING_KEYS)

    def test_web_sockets_lead_to_the_stream(self):
        self.assertEqual(self.properties("StreamApi")["ProtocolType"], "WEBSOCKET")
        routes = {r["Properties"]["RouteKey"]: r["Properties"]["Target"] for r in self.of_type("AWS::ApiGatewayV2::Route").values()}
        target = {"Fn::Sub": "integrations/${StreamIntegration}"}
        self.assertEqual(routes, {"$connect": target, "$disconnect": target, "$default": target})
        self.assertIn("${StreamFunction.Arn}/invocations", self.properties("StreamIntegration")["IntegrationUri"]["Fn::Sub"])
        self.assertIn("${StreamApi}/live/*", self.properties("StreamPermission")["SourceArn"]["Fn::Sub"])
        stage = self.properties("StreamStage")
        self.assertEqual((stage["StageName"], stage["AutoDeploy"]), ("live", True))
        self.assertNotIn("AccessLogSettings", stage)  # the query holds a token
        for function in ("Execute", "Stream", "Sweep"):
            variables = self.properties(function + "Function")["Environment"]["Variables"]
            self.assertEqual(
                variables["BOATHOOK_WEBSOCKET_ENDPOINT"],
                {"Fn::Sub": "https://${StreamApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"},
            )
        self.assertEqual(
            self.template["Outputs"]["WebSocketUrl"]["Value"],
            {"Fn::Sub": "wss://${StreamApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"},
        )

    def test_secrets_are_sealed_and_generated(self):
        self.assertTrue(self.properties("Key")["EnableKeyRotation"])
        self.assertEqual(self.resources["Key"]["DeletionPolicy"], "Retain")
        for name in ("AdminSecret", "InternalSecret"):
            secret = self.properties(name)["GenerateSecretString"]
            self.assertEqual(secret, {"PasswordLength": 48, "ExcludePunctuation": True})
            readers = {f for f in VARIABLES if f'"{name}"' in json.dumps(self.statements(f))}
            self.assertEqual(readers, {"Manage"})
        secret = self.properties("StreamSecret")["GenerateSecretString"]
        self.assertEqual(secret, {"PasswordLength": 64, "ExcludePunctuation": True})
        readers = {f for f in VARIABLES if '"StreamSecret"' in json.dumps(self.statements(f))}
        self.assertEqual(readers, {"Manage", "Stream"})
        variables = self.properties("ManageFunction")["Environment"]["Variables"]
        self.assertEqual(variables["BOATHOOK_ADMIN_SECRET_ID"], {"Ref": "AdminSecret"})
        self.assertIn("${AdminSecret}", self.template["Outputs"]["AdminTokenCommand"]["Value"]["Fn::Sub"])
        self.assertIn("${InternalSecret}", self.template["Outputs"]["InternalTokenCommand"]["Value"]["Fn::Sub"])

    def test_logs_expire(self):
        groups = boto3.client("logs").describe_log_groups()["logGroups"]
        want = {f"/aws/lambda/boathook-{f.lower()}" for f in VARIABLES} | {"/aws/vendedlogs/apis/boathook"}
        self.assertEqual({g["logGroupName"]: g.get("retentionInDays") for g in groups}, dict.fromkeys(want, 14))

    def test_routes_lead_to_their_functions(self):
        routes = {}
        for path, methods in self.properties("Api")["Body"]["paths"].items():
            for method, operation in methods.items():
                verb = {"x-amazon-apigateway-any-method": "ANY"}.get(method, method.upper())
                integration = operation["x-amazon-apigateway-integration"]
                self.assertEqual(integration["payloadFormatVersion"], "2.0")
                (function,) = [f for f in VARIABLES if f + "Function" in json.dumps(integration["uri"])]
                routes[f"{verb} {path}"] = function
        self.assertEqual(routes, ROUTES)

    def test_access_log_holds_no_path_or_query(self):
        stages = {s["Properties"]["StageName"]: s for s in self.of_type("AWS::ApiGatewayV2::Stage").values()}
        self.assertEqual(set(stages), {"$default", "live"})
        stage = stages["$default"]
        line = json.loads(stage["Properties"]["AccessLogSettings"]["Format"])
        self.assertEqual(
            set(line.values()),
            {"$context.requestId", "$context.requestTime", "$context.identity.sourceIp", "$context.routeKey",
             "$context.status", "$context.responseLength", "$context.responseLatency", "$context.integrationStatus"},
        )

    def test_sweep_runs_each_minute_and_never_twice(self):
        (rule,) = self.of_type("AWS::Events::Rule").values()
        self.assertEqual(rule["Properties"]["ScheduleExpression"], "rate(1 minute)")
        self.assertLess(self.properties("SweepFunction")["Timeout"], 60)
        (invoke,) = self.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(invoke["Properties"]["MaximumRetryAttempts"], 0)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # moto tells what it leaves out: see above
    unittest.main(warnings="ignore")
