"""That the runbook's commands do what it says, as far as moto can: the AWS CLI runs them as they are pasted.

moto moves no messages between queues, and makes none of the stack's secrets: what those commands are told is
prepared here. `make` and `sam` are not run: infra/tables.py has tests of its own.
"""

import json
import os
import re
import subprocess
import unittest

import boto3
from moto.server import ThreadedMotoServer

from deployed import ROOT, DeployedTest

AWS = ROOT / ".tools" / "verify" / "bin" / "aws"


def blocks(section):
    """The code blocks of one of the runbook's sections, whose heading begins so."""
    text = (ROOT / "infra" / "docs" / "runbook.md").read_text()
    (body,) = re.findall(r"^#+ %s[^\n]*\n(.*?)(?=^#+ |\Z)" % re.escape(section), text.replace("\n# Disaster", "\n## Disaster"), re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ {3}", "", b, flags=re.MULTILINE) if b.startswith("   ") else b for b in re.findall(r"^ *```\n(.*?)^ *```$", body, re.DOTALL | re.MULTILINE)]


class RunbookTest(DeployedTest):
    @classmethod
    def setUpClass(cls):
        if not AWS.exists():
            assert "CI" not in os.environ, f"there is no {AWS}"
            raise unittest.SkipTest("NOT RUN: it needs the AWS CLI, which make verify-template installs")
        super().setUpClass()
        cls.server = ThreadedMotoServer(port=0, verbose=False)  # it has the stack, as all of this process do
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        (first, *_) = re.findall(r"^```\n(.*?)^```$", (ROOT / "infra" / "docs" / "runbook.md").read_text(), re.DOTALL | re.MULTILINE)
        cls.output = first.splitlines()[0]  # the function that all sections use

    def paste(self, *commands):
        """What commands print that are pasted into one shell; none of them may fail."""
        environment = os.environ | {
            "PATH": f"{AWS.parent}:{os.environ['PATH']}", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        # By the flag, since the CLI sends SQS's calls elsewhere whatever the variable says.
        here = 'aws() { command aws --endpoint-url http://%s:%d "$@"; }' % self.server.get_host_and_port()
        script = "\n".join(["set -euo pipefail", here, self.output, *commands])
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, script + done.stderr)
        return done.stdout

    def test_a_table_is_restored_with_what_a_restored_one_lacks(self):
        dynamodb = boto3.client("dynamodb")
        old = self.stack.outputs["ConfigTableName"]
        dynamodb.put_item(TableName=old, Item={"pk": {"S": "ws#a"}, "sk": {"S": "ws"}})
        restore, expiry, switch = blocks("Data is damaged")
        self.paste(restore, expiry)
        new = old + "-restored"
        kept, made = (dynamodb.describe_table(TableName=name)["Table"] for name in (old, new))
        for same in "KeySchema", "LocalSecondaryIndexes":
            self.assertEqual([{k: v for k, v in i.items() if k in ("IndexName", "KeySchema", "AttributeName", "KeyType")} for i in made[same]],
                             [{k: v for k, v in i.items() if k in ("IndexName", "KeySchema", "AttributeName", "KeyType")} for i in kept[same]])
        self.assertEqual(dynamodb.describe_time_to_live(TableName=new)["TimeToLiveDescription"]["AttributeName"], "x")
        backups = dynamodb.describe_continuous_backups(TableName=new)["ContinuousBackupsDescription"]
        self.assertEqual(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"], "ENABLED")
        self.assertIn({"Key": "application", "Value": "boathook"}, dynamodb.list_tags_of_resource(ResourceArn=made["TableArn"])["Tags"])
        self.assertIn("make switch-table", switch)
        dynamodb.delete_table(TableName=new)

    def test_what_a_deleted_stack_left_is_found(self):
        find, _, move = blocks("The stack was deleted")
        found = self.paste(find).split()
        for table in self.stack.outputs["ConfigTableName"], self.stack.outputs["RecordsTableName"]:
            self.assertIn(boto3.client("dynamodb").describe_table(TableName=table)["Table"]["TableArn"], found)
        # Until the move itself, which moto can't make.
        sqs = boto3.client("sqs")
        old = sqs.get_queue_attributes(QueueUrl=sqs.create_queue(QueueName="boathook-runs-old")["QueueUrl"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        commands = move.splitlines()
        self.assertTrue(all("message-move-task" in c for c in commands[-2:]), commands)
        printed = self.paste(commands[0].replace("arn:aws:sqs:…:boathook-runs-…", old), *commands[1:-2], 'echo "$NEW_ARN"')
        made = sqs.get_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName="boathook-move")["QueueUrl"], AttributeNames=["RedrivePolicy"])
        self.assertIn(old, made["Attributes"]["RedrivePolicy"])
        self.assertIn("boathook-runs-", printed.splitlines()[-1])

    def test_secrets_are_rotated(self):
        manager = boto3.client("secretsmanager")
        before = manager.create_secret(Name="AdminSecret", SecretString="old")["ARN"]
        (rotate,) = blocks("Rotate")
        which, find, put = rotate.splitlines()
        self.assertRegex(which, "^SECRET=AdminSecret ")
        self.assertIn("--logical-resource-id $SECRET", find)
        self.paste(which, f"ID={before}", put)
        after = manager.get_secret_value(SecretId=before)["SecretString"]
        self.assertRegex(after, "^[A-Za-z0-9]{64}$")


class DeletedTest(RunbookTest):
    """The whole of it, in a stack of its own."""

    test_a_table_is_restored_with_what_a_restored_one_lacks = test_what_a_deleted_stack_left_is_found = test_secrets_are_rotated = None

    def test_nothing_is_left(self):
        (delete,) = blocks("Delete all of it")
        self.assertIn("sam delete --stack-name boathook --no-prompts\n", delete)
        key = self.stack.ids["Key"]
        policy = self.view.resources["Key"]["Properties"]["KeyPolicy"]
        boto3.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))  # moto reads its own as a text only
        self.paste(delete.replace("sam delete --stack-name boathook --no-prompts\n", ""))
        self.assertEqual(boto3.client("dynamodb").list_tables()["TableNames"], [])
        self.assertEqual(boto3.client("sqs").list_queues().get("QueueUrls", []), [])
        self.assertEqual(boto3.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "PendingDeletion")


if __name__ == "__main__":
    unittest.main()
