"""Alarms, the topic that they tell, and the dashboard."""

import json
import re
import unittest

import boto3

from deployed import ROOT, TOPIC, DeployedTest
from view import View

QUEUES = "Runs", "Deliveries", "Retries"

# The metrics of AWS that are used, with their dimensions. An alarm on one that does not exist never rings.
METRICS = {
    ("AWS/SQS", "QueueName"): {
        "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateAgeOfOldestMessage"},
    ("AWS/Lambda", "FunctionName"): {
        "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "RecursiveInvocationsDropped"},
    ("AWS/ApiGateway", "ApiId"): {"Count", "4xx", "5xx", "Latency"},  # an HTTP API's
    ("AWS/DynamoDB", "TableName"): {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
}


class MonitoringTest(DeployedTest):
    parameters = {"AlarmEmail": "on-call@example.com"}

    def nested(self, **parameters):
        """The nested stack, as the stack makes it."""
        root = View(self.template, self.parameters | parameters)
        monitoring = root.resources["Monitoring"]["Properties"]
        return View(self.resources["Monitoring"]["Metadata"]["Template"], monitoring["Parameters"], "nested")

    def alarms(self, **parameters):
        resources = self.nested(**parameters).resources
        return {n: r["Properties"] for n, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}

    def test_the_address_is_subscribed_to_the_stacks_topic(self):
        (topic,) = boto3.client("sns").list_topics()["Topics"]
        self.assertEqual(self.stack.outputs["AlarmTopicArn"], topic["TopicArn"])
        self.assertEqual(
            self.view.resources["AlarmSubscription"]["Properties"],
            {"TopicArn": "${AlarmTopic}", "Protocol": "email", "Endpoint": "on-call@example.com"},
        )
        self.assertNotIn("AlarmSubscription", View(self.template).resources)

    def test_alarms_tell_the_topic_when_they_begin_and_when_they_end(self):
        for topic, parameters in ("${AlarmTopic}", {}), (TOPIC, {"AlarmTopicArn": TOPIC, "AlarmEmail": ""}):
            for name, alarm in self.alarms(**parameters).items():
                self.assertEqual((alarm["AlarmActions"], alarm["OKActions"]), ([topic], [topic]), name)
            self.assertEqual(View(self.template, parameters).outputs["AlarmTopicArn"]["Value"], topic)

    def test_each_queue_is_watched(self):
        alarms = self.alarms()
        for queue in QUEUES:
            dead, age = alarms[queue + "DeadLetterAlarm"], alarms[queue + "AgeAlarm"]
            self.assertEqual(dead["Dimensions"], [{"Name": "QueueName", "Value": "${%sDeadLetterQueue.QueueName}" % queue}])
            self.assertEqual((dead["MetricName"], dead["Threshold"]), ("ApproximateNumberOfMessagesVisible", 0))
            self.assertEqual(age["Dimensions"], [{"Name": "QueueName", "Value": "${%sQueue.QueueName}" % queue}])
            self.assertEqual(age["MetricName"], "ApproximateAgeOfOldestMessage")
            self.assertGreater(age["Threshold"], self.properties(queue + "Queue")["VisibilityTimeout"])
        watched = {m["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for m in alarms["InFlightAlarm"]["Metrics"] if "MetricStat" in m}
        self.assertEqual(watched, {"${%sQueue.QueueName}" % queue for queue in QUEUES})
        self.assertLess(alarms["InFlightAlarm"]["Threshold"], 120_000)

    def test_only_the_silence_of_the_sweep_is_alarming(self):
        missing = {name: alarm["TreatMissingData"] for name, alarm in self.alarms().items()}
        self.assertEqual(missing.pop("SweepAlarm"), "breaching")
        self.assertEqual(set(missing.values()), {"notBreaching"})

    def test_the_sweep_is_silent_when_none_of_ten_minutes_succeeded(self):
        alarm = self.alarms()["SweepAlarm"]
        result, *metrics = alarm["Metrics"]
        self.assertEqual(result["Expression"], "FILL(invocations, 0) - FILL(errors, 0)")
        self.assertEqual({m["Id"]: m["MetricStat"]["Metric"]["MetricName"] for m in metrics}, {"invocations": "Invocations", "errors": "Errors"})
        for m in metrics:
            self.assertEqual(m["MetricStat"]["Metric"]["Dimensions"][0]["Value"], "${SweepFunction}")
            self.assertEqual(m["MetricStat"]["Period"] * alarm["EvaluationPeriods"], 600)
        self.assertEqual((alarm["ComparisonOperator"], alarm["Threshold"]), ("LessThanThreshold", 1))

    def test_errors_are_those_of_the_api_and_of_the_stream(self):
        for name, want in ("ServerErrorsAlarm", ("5xx", "${Api}")), ("StreamErrorsAlarm", ("Errors", "${StreamFunction}")):
            alarm = self.alarms()[name]
            self.assertEqual((alarm["MetricName"], alarm["Dimensions"][0]["Value"]), want)

    def test_a_function_that_sends_to_a_queue_of_its_own_may_and_is_watched(self):
        own = set()
        for function in self.functions:
            consumed = {
                json.dumps(m["Properties"]["EventSourceArn"]) for m in self.resources.values()
                if m["Type"] == "AWS::Lambda::EventSourceMapping" and m["Properties"]["FunctionName"] == {"Ref": function + "Function"}
            }
            sends = [s["Resource"] for s in self.statements(function).values() if "sqs:SendMessage" in json.dumps(s["Action"])]
            if consumed & {json.dumps(r) for resource in sends for r in (resource if isinstance(resource, list) else [resource])}:
                own.add(function)
        self.assertEqual(own, {"Deliver", "Execute"})
        self.assertEqual({self.properties(function + "Function")["RecursiveLoop"] for function in own}, {"Allow"})
        watched = self.alarms()["RecursionAlarm"]
        metrics = [m["MetricStat"]["Metric"] for m in watched["Metrics"] if "MetricStat" in m]
        self.assertEqual({m["MetricName"] for m in metrics}, {"RecursiveInvocationsDropped"})
        self.assertEqual({m["Dimensions"][0]["Value"] for m in metrics}, {"${%sFunction}" % function for function in own})
        self.assertEqual((watched["Metrics"][0]["Expression"], watched["Threshold"]), ("SUM([deliver, execute])", 0))

    def test_metrics_of_aws_are_such_as_aws_has(self):
        used = [(m[0], m[2], m[1]) for m in self.shown() if m[0].startswith("AWS/")]
        for alarm in self.alarms().values():
            for m in [alarm] if "MetricName" in alarm else [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]:
                if m["Namespace"].startswith("AWS/"):
                    (dimension,) = m["Dimensions"]
                    used.append((m["Namespace"], dimension["Name"], m["MetricName"]))
        for namespace, dimension, metric in used:
            self.assertIn(metric, METRICS[namespace, dimension])

    def test_metrics_are_those_that_are_written(self):
        names = set(re.findall(r'Metric = "(\w+)"', (ROOT / "internal/metrics/metrics.go").read_text()))
        self.assertTrue(names)
        namespace = self.properties("DeliverFunction")["Environment"]["Variables"]["BOATHOOK_METRICS_NAMESPACE"]["Fn::Sub"]
        namespace = namespace.replace("${AWS::StackName}", "boathook")
        own = [m["MetricStat"]["Metric"] for m in self.alarms()["FailureRateAlarm"]["Metrics"] if "MetricStat" in m]
        self.assertEqual({m["Namespace"] for m in own}, {namespace})
        self.assertLessEqual({m["MetricName"] for m in own}, names)
        self.assertEqual({m[1] for m in self.shown() if m[0] == namespace}, names)  # the dashboard shows all

    def test_the_runbook_tells_of_each_alarm(self):
        runbook = (ROOT / "infra/docs/runbook.md").read_text()
        for alarm in self.alarms().values():
            self.assertIn("`%s`" % alarm["AlarmName"].removeprefix("boathook"), runbook)

    def test_the_dashboard_shows_every_function_queue_table_and_alarm(self):
        body = json.dumps(self.dashboard())
        for kind, attribute in [
            ("AWS::Lambda::Function", ""), ("AWS::DynamoDB::Table", ""), ("AWS::SQS::Queue", ".QueueName"),
        ]:
            for name in self.of_type(kind):
                self.assertIn('"${%s%s}"' % (name, attribute), body)
        for name in self.alarms():
            self.assertIn("${%s.Arn}" % name, body)
        for metric in self.shown():
            dimensions = [e for e in metric[2:] if isinstance(e, str)]
            self.assertEqual(len(dimensions) % 2, 0, metric)

    def test_the_widgets_of_the_dashboard_do_not_overlap(self):
        taken = set()
        for w in self.dashboard()["widgets"]:
            self.assertLessEqual(w["x"] + w["width"], 24)
            cells = {(x, y) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])}
            self.assertFalse(cells & taken, w)
            taken |= cells

    def test_there_need_not_be_a_dashboard(self):
        self.assertNotIn("BoathookDashboard", self.nested(Dashboard="false").resources)

    def dashboard(self):
        return json.loads(self.nested().resources["BoathookDashboard"]["Properties"]["DashboardBody"])

    def shown(self):
        return [m for w in self.dashboard()["widgets"] if w["type"] == "metric" for m in w["properties"]["metrics"]]


if __name__ == "__main__":
    unittest.main()
