"""Queues, and where messages end that can't be handled."""

import json
import unittest

import boto3

from deployed import DeployedTest

DAY = 86400

# Each queue with its consumer and visibility timeout in seconds: six times the
# function's, as AWS advises, but for runs, of which a batch is one.
QUEUES = {"Runs": ("Execute", 960), "Deliveries": ("Deliver", 360), "Retries": ("Deliver", 360)}


class QueuesTest(DeployedTest):
    def test_each_queue_has_a_dead_letter_queue(self):
        names = {queue + kind for queue in QUEUES for kind in ("Queue", "DeadLetterQueue")}
        self.assertEqual(set(self.of_type("AWS::SQS::Queue")), names)
        for queue, (consumer, visibility) in QUEUES.items():
            with self.subTest(queue):
                got, dead = (self.attributes(queue + kind) for kind in ("Queue", "DeadLetterQueue"))
                timeout = self.properties(consumer + "Function")["Timeout"]
                self.assertEqual(int(got["VisibilityTimeout"]), visibility)
                self.assertEqual(visibility, 960 if queue == "Runs" else 6 * timeout)
                self.assertGreater(visibility, timeout)
                self.assertEqual(int(got["MessageRetentionPeriod"]), 4 * DAY)
                self.assertEqual(int(dead["MessageRetentionPeriod"]), 14 * DAY)
                self.assertEqual({got["MaximumMessageSize"], dead["MaximumMessageSize"]}, {str(1 << 20)})
                redrive = json.loads(got["RedrivePolicy"])
                self.assertEqual((redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])), (dead["QueueArn"], 5))

    def test_a_dead_letter_queue_takes_only_what_its_own_queue_sends(self):
        for queue in QUEUES:
            allow = self.view.resources[queue + "DeadLetterQueue"]["Properties"]["RedriveAllowPolicy"]
            self.assertEqual(allow["redrivePermission"], "byQueue")
            name = self.view.resources[queue + "Queue"]["Properties"]["QueueName"]
            self.assertEqual(allow["sourceQueueArns"], [f"arn:aws:sqs:eu-central-1:123456789012:{name}"])

    def test_messages_are_encrypted_and_outlive_the_stack(self):
        for name, queue in self.of_type("AWS::SQS::Queue").items():
            self.assertIs(self.view.resources[name]["Properties"]["SqsManagedSseEnabled"], True, name)
            self.assertEqual((queue["DeletionPolicy"], queue["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"), name)

    def test_no_queue_takes_plain_http(self):
        covered = []
        for policy in self.of_type("AWS::SQS::QueuePolicy").values():
            (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
            self.assertEqual((statement["Effect"], statement["Principal"], statement["Action"], statement["Resource"]), ("Deny", "*", "sqs:*", "*"))
            self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}})
            self.assertEqual((policy["DeletionPolicy"], policy["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
            covered += [queue["Ref"] for queue in policy["Properties"]["Queues"]]
        self.assertEqual(sorted(covered), sorted(self.of_type("AWS::SQS::Queue")))

    def test_records_outlive_dead_letters(self):
        self.assertGreater(min(self.template["Parameters"]["RetentionDays"]["AllowedValues"]), 14)

    def attributes(self, name):
        return boto3.client("sqs").get_queue_attributes(QueueUrl=self.stack.outputs[name + "Url"], AttributeNames=["All"])["Attributes"]


if __name__ == "__main__":
    unittest.main()
