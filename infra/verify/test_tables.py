"""That infra/tables.py deploys what CloudFormation needs to have a stack use another table.

moto imports nothing and changes no table, so CloudFormation is one that keeps what it is told.
"""

import contextlib
import io
import json
import sys
import unittest
from unittest import mock

import boto3
import moto

from deployed import translate
from view import View

import tables

RESTORED = "boathook-config-restored"


class Told:
    """CloudFormation, as far as it is asked here."""

    def __init__(self, template):
        self.template, self.changes, self.executed, self.waited = template, [], [], []

    def get_template(self, **_):
        return {"TemplateBody": self.template}

    def describe_stacks(self, **_):
        return {"Stacks": [{"Parameters": [{"ParameterKey": "LogLevel", "ParameterValue": "warn"}]}]}

    def create_change_set(self, **change):
        self.changes.append(change)

    def execute_change_set(self, ChangeSetName, **_):
        self.executed.append(ChangeSetName)

    def get_waiter(self, name):
        self.waited.append(name)
        return mock.Mock()


class TablesTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        aws = moto.mock_aws()
        aws.start()
        self.addCleanup(aws.stop)
        boto3.client("s3").create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.arn = boto3.client("dynamodb").create_table(
            TableName=RESTORED, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )["TableDescription"]["TableArn"]

    def run_command(self, told, *arguments):
        """What a command puts into the bucket, in its order."""
        s3, client, put = boto3.client("s3"), boto3.client, []
        real = s3.put_object
        s3.put_object = lambda **k: (put.append(json.loads(k["Body"])), real(**k))
        clients = {"cloudformation": told, "s3": s3}
        with mock.patch.object(sys, "argv", ["tables.py", *arguments]), contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()), mock.patch.object(tables.boto3, "client", lambda name: clients.get(name) or client(name)):
            tables.main()
        return put

    def test_a_stack_uses_a_restored_table_first_and_owns_it_then(self):
        template = translate()
        del template["Resources"]["Monitoring"]["Metadata"]  # the nested stack's template, which only the tests have there
        told = Told(template)
        using, owning = self.run_command(told, "switch", "boathook", "ConfigTable", RESTORED, "--bucket", "templates")

        # First the functions use it, and all else is as it was.
        self.assertNotIn("ConfigTable", using["Resources"])
        self.assertNotIn("${ConfigTable", json.dumps(using))
        before, after = View(template), View(using)
        self.assertEqual(after.references - set(after.resources), set())
        expected = json.loads(json.dumps(before.resources).replace("${ConfigTable.Arn}", self.arn).replace("${ConfigTable}", RESTORED))
        del expected["ConfigTable"]
        self.assertEqual(after.resources, expected)
        self.assertEqual(after.outputs["ConfigTableName"]["Value"], RESTORED)

        # Then it is imported, and nothing else is changed, which an import may not.
        self.assertEqual(owning["Resources"].pop("ConfigTable"), template["Resources"]["ConfigTable"])
        self.assertEqual(owning, using)
        update, imported = told.changes
        self.assertEqual((update["ChangeSetType"], imported["ChangeSetType"]), ("UPDATE", "IMPORT"))
        self.assertEqual(imported["ResourcesToImport"], [
            {"ResourceType": "AWS::DynamoDB::Table", "LogicalResourceId": "ConfigTable", "ResourceIdentifier": {"TableName": RESTORED}},
        ])
        for change in told.changes:
            self.assertEqual(change["Parameters"], [{"ParameterKey": "LogLevel", "UsePreviousValue": True}])
            self.assertRegex(change["TemplateURL"], r"^https://s3\.eu-central-1\.amazonaws\.com/templates/boathook/.+\.json$")
        self.assertEqual(told.executed, [c["ChangeSetName"] for c in told.changes])
        self.assertEqual(told.waited, ["change_set_create_complete", "stack_update_complete", "change_set_create_complete", "stack_import_complete"])
        # An import asks this of each resource; and it is why the old table stays.
        self.assertEqual(template["Resources"]["ConfigTable"]["DeletionPolicy"], "RetainExceptOnCreate")

    def test_a_new_stack_takes_what_an_old_one_left_and_nothing_else(self):
        told = Told(None)
        (template,) = self.run_command(told, "adopt", "boathook", "--bucket", "templates", "ConfigTable=c", "RecordsTable=r", "Key=k")
        self.assertEqual(set(template["Resources"]), {"ConfigTable", "RecordsTable", "Key"})
        self.assertNotIn("Transform", template)
        self.assertNotIn("Outputs", template)
        whole, view = View(translate()), View(template)
        self.assertEqual(view.references, set())
        self.assertEqual(view.resources, {name: whole.resources[name] for name in view.resources})
        (change,) = told.changes
        self.assertEqual({r["LogicalResourceId"]: r["ResourceIdentifier"] for r in change["ResourcesToImport"]},
                         {"ConfigTable": {"TableName": "c"}, "RecordsTable": {"TableName": "r"}, "Key": {"KeyId": "k"}})
        for resource in template["Resources"].values():
            self.assertIn("DeletionPolicy", resource)

    def test_what_can_not_be_is_refused(self):
        for arguments in (["adopt", "boathook", "--bucket", "b", "RunsQueue=q"], ["adopt", "boathook", "--bucket", "b", "Key="],
                          ["switch", "boathook", "Key", "k", "--bucket", "b"], ["switch", "boathook", "ConfigTable", "t"]):
            with self.assertRaises(SystemExit) as failed:
                self.run_command(Told(None), *arguments)
            self.assertEqual(failed.exception.code, 2, arguments)
        with self.assertRaises(SystemExit) as failed:
            self.run_command(Told(translate()), "switch", "boathook", "ConfigTable", "missing", "--bucket", "templates")
        self.assertRegex(str(failed.exception.code), "tables: boathook: .*not found")


if __name__ == "__main__":
    unittest.main()
