"""That an update from the previous version of the template keeps what can't be made again.

moto can't update a table, so this asks CloudFormation's own schemas, which cfn-lint brings,
what a change replaces.
"""

import copy
import os
import subprocess
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from deployed import ROOT, translate

# What can't be made again: its data would be gone, all that it sealed, or the URLs that senders have.
KEPT = (
    "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::ApiGatewayV2::Api",
)


def lost(before, after):
    """The resources of those types that an update would delete or replace."""
    return [
        name for name, resource in before["Resources"].items()
        if resource["Type"] in KEPT and replaces(resource, after["Resources"].get(name, {}))
    ]


def replaces(before, after):
    if (before["Type"], before.get("Condition")) != (after.get("Type"), after.get("Condition")):
        return True
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", before["Type"]).schema
    paths = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    fixed = {path.split("/")[2] for path in paths} | {"LocalSecondaryIndexes"}  # which the schema leaves out
    return any(before["Properties"].get(key) != after["Properties"].get(key) for key in fixed)


def impossible(before, after):
    """The tables whose update DynamoDB would refuse: it changes no index, and makes or deletes one at a time."""
    found = []
    for name, table in before["Resources"].items():
        if table["Type"] == "AWS::DynamoDB::Table" and name in after["Resources"]:
            old, new = (
                {i["IndexName"]: i for i in t["Properties"].get("GlobalSecondaryIndexes", [])} for t in (table, after["Resources"][name])
            )
            if any(old[i] != new[i] for i in old.keys() & new.keys()) or len(old.keys() ^ new.keys()) > 1:
                found.append(name)
    return found


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


class UpdateTest(unittest.TestCase):
    def test_an_update_from_the_previous_version_loses_nothing(self):
        now = translate()
        try:
            commits = git("log", "--format=%H", "--", "template.yaml").split()
        except (OSError, subprocess.CalledProcessError):
            commits = []
        versions = (translate(lambda path: git("show", f"{commit}:{path}")) for commit in commits)
        before = next((v for v in versions if v != now), None)
        if before is None:
            self.assertNotIn("CI", os.environ, "the checkout has no history of template.yaml")
            self.skipTest("NOT RUN: it needs the history of template.yaml, as git has it")
        self.assertEqual((lost(before, now), impossible(before, now)), ([], []))

    def test_changes_that_would_lose_something_are_noticed(self):
        before = translate()
        for name, change in [
            ("ConfigTable", lambda r: r["ConfigTable"]["Properties"].update(TableName="config")),
            ("ConfigTable", lambda r: r["ConfigTable"]["Properties"].pop("LocalSecondaryIndexes")),
            ("RecordsTable", lambda r: r["RecordsTable"]["Properties"]["KeySchema"].pop()),
            ("AdminSecret", lambda r: r["AdminSecret"]["Properties"].update(Name="admin")),
            ("StreamSecret", lambda r: r["StreamSecret"].update(Condition="HasDomain")),
            ("Key", lambda r: r.update(OtherKey=r.pop("Key"))),
            ("RunsQueue", lambda r: r["RunsQueue"]["Properties"].update(QueueName="runs")),
            ("StreamApi", lambda r: r["StreamApi"]["Properties"].update(ProtocolType="HTTP")),
        ]:
            after = copy.deepcopy(before)
            change(after["Resources"])
            self.assertEqual(lost(before, after), [name])

    def test_changes_that_dynamodb_refuses_are_noticed(self):
        before = translate()
        for change, want in [
            (lambda indexes: indexes[0]["Projection"]["NonKeyAttributes"].append("more"), ["RecordsTable"]),
            (lambda indexes: indexes.append({**indexes[0], "IndexName": "by-time"}), []),
            (lambda indexes: indexes[0].update(IndexName="by-time"), ["RecordsTable"]),
        ]:
            after = copy.deepcopy(before)
            change(after["Resources"]["RecordsTable"]["Properties"]["GlobalSecondaryIndexes"])
            self.assertEqual((lost(before, after), impossible(before, after)), ([], want))


if __name__ == "__main__":
    unittest.main()
