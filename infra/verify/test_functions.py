"""What functions are told, what invokes them, and how they are built."""

import unittest

import boto3

from deployed import FUNCTION, QUEUE, ROOT, RUNTIME, DeployedTest
from samtranslator.yaml_helper import yaml_parse


class FunctionsTest(DeployedTest):
    parameters = {"AllowedFunctionArns": FUNCTION, "AllowedRuntimeArns": RUNTIME, "AllowedQueueArns": QUEUE}

    def test_the_stack_is_created_whole(self):
        self.assertEqual(self.stack.status, "CREATE_COMPLETE")
        self.assertEqual(self.functions, ["Console", "Deliver", "Execute", "Intake", "Manage", "Stream", "Sweep"])

    # That they are those that the code reads is a test of each function's, in Go.
    def test_variables_have_the_values_of_what_was_made(self):
        outputs = self.stack.outputs
        values = {
            "CONFIG_TABLE": self.stack.ids["ConfigTable"],
            "RECORDS_TABLE": self.stack.ids["RecordsTable"],
            "RETENTION_DAYS": "30",
            "LOG_LEVEL": "info",
            "DELIVERY_CONCURRENCY": "20",
            "METRICS_NAMESPACE": "Boathook/boathook",
            "RUNS_QUEUE_URL": outputs["RunsQueueUrl"],
            "DELIVERIES_QUEUE_URL": outputs["DeliveriesQueueUrl"],
            "RETRIES_QUEUE_URL": outputs["RetriesQueueUrl"],
            "RUNS_DEAD_LETTER_QUEUE_URL": outputs["RunsDeadLetterQueueUrl"],
            "DELIVERIES_DEAD_LETTER_QUEUE_URL": outputs["DeliveriesDeadLetterQueueUrl"],
            "RETRIES_DEAD_LETTER_QUEUE_URL": outputs["RetriesDeadLetterQueueUrl"],
            "KEY_ID": self.stack.ids["Key"],
            "AGENT_EXECUTION": "true",
            "ALLOWED_TARGETS": "http,lambda,agentcore",
            "ALLOWED_FUNCTION_ARNS": FUNCTION,
            "ALLOWED_RUNTIME_ARNS": RUNTIME,
            "ALLOWED_QUEUE_ARNS": QUEUE,
            "PUBLIC_URL": "",
            "ALLOWED_EGRESS": "",
            "ALLOW_HTTP": "false",
        }
        # moto leaves secrets out, and with them their variables; it does not know the WebSocket API's id.
        written = {
            "ADMIN_SECRET_ID": {"Ref": "AdminSecret"},
            "INTERNAL_SECRET_ID": {"Ref": "InternalSecret"},
            "STREAM_SECRET_ID": {"Ref": "StreamSecret"},
            "WEBSOCKET_ENDPOINT": {"Fn::Sub": "https://${StreamApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"},
        }
        for function in self.functions:
            with self.subTest(function):
                given = self.properties(function + "Function")["Environment"]["Variables"]
                made = boto3.client("lambda").get_function_configuration(FunctionName=self.stack.ids[function + "Function"])
                for name, value in given.items():
                    if not name.startswith("BOATHOOK_"):
                        self.assertNotIn(name, made["Environment"]["Variables"])  # where traces go: nowhere
                        continue
                    name = name.removeprefix("BOATHOOK_")
                    if name in written:
                        self.assertEqual(value, written[name])
                    else:
                        self.assertEqual(str(made["Environment"]["Variables"]["BOATHOOK_" + name]), values[name], name)

    def test_they_run_without_a_language_runtime_on_arm64_unless_asked(self):
        self.assertEqual(self.template["Parameters"]["Architecture"]["Default"], "arm64")
        for function in self.functions:
            properties = self.properties(function + "Function")
            self.assertEqual((properties["Runtime"], properties["Architectures"]), ("provided.al2023", [{"Ref": "Architecture"}]))

    def test_they_are_built_by_the_makefile(self):
        source = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
        for function in self.functions:
            self.assertEqual(source[function + "Function"]["Metadata"], {"BuildMethod": "makefile"})

    def test_queues_are_polled_as_their_functions_need(self):
        defaults = {name: int(p["Default"]) for name, p in self.template["Parameters"].items() if p["Type"] == "Number"}
        want = {
            "Runs": ("Execute", 1, 0, defaults["RunConcurrency"]),
            "Deliveries": ("Deliver", 10, 1, defaults["DeliveryConcurrency"]),
            "Retries": ("Deliver", 10, 1, defaults["RetryConcurrency"]),
        }
        ids = {v.rpartition("/")[2]: name for name, v in self.stack.ids.items()}
        got = {}
        for mapping in boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            queue, function = (ids[mapping[k].split(":")[-1]] for k in ("EventSourceArn", "FunctionArn"))
            got[queue.removesuffix("Queue")] = (
                function.removesuffix("Function"),
                int(mapping["BatchSize"]),
                int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
                int(mapping["ScalingConfig"]["MaximumConcurrency"]),
            )
        self.assertEqual(got, want)

    def test_sweep_runs_each_minute_and_the_next_one_is_its_retry(self):
        (rule,) = self.of_type("AWS::Events::Rule").values()
        self.assertEqual(rule["Properties"]["ScheduleExpression"], "rate(1 minute)")
        self.assertLess(self.properties("SweepFunction")["Timeout"], 60)
        (invoke,) = self.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual((invoke["Properties"]["MaximumRetryAttempts"], invoke["Properties"]["MaximumEventAgeInSeconds"]), (0, 60))

    def test_logs_expire(self):
        groups = {g["logGroupName"]: g.get("retentionInDays") for g in boto3.client("logs").describe_log_groups()["logGroups"]}
        self.assertEqual(set(groups.values()), {30})
        self.assertIn(self.stack.ids["ApiLogs"], groups)
        for function in self.functions:
            self.assertEqual(self.properties(function + "Function")["LoggingConfig"], {"LogGroup": {"Ref": function + "Logs"}})
            self.assertIn(self.stack.ids[function + "Logs"], groups)


if __name__ == "__main__":
    unittest.main()
