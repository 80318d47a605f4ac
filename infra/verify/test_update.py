"""That an update from the previous version of the template keeps what can't be made again.

moto can't update a table, so this asks CloudFormation's own schemas, which cfn-lint brings,
what a change replaces.
"""

import copy
import subprocess
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from deployed import ROOT, translate

# What can't be made again: its data would be gone, or all that it sealed.
KEPT = "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret"


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


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


class UpdateTest(unittest.TestCase):
    def test_an_update_from_the_previous_version_loses_nothing(self):
        now = translate()
        try:
            for commit in git("log", "--format=%H", "--", "template.yaml").split():
                before = translate(lambda path: git("show", f"{commit}:{path}"))
                if before != now:
                    break
        except (OSError, subprocess.CalledProcessError) as e:
            self.skipTest(f"NOT RUN: it needs the history of template.yaml, as git has it: {e}")
        self.assertEqual(lost(before, now), [])

    def test_changes_that_would_lose_something_are_noticed(self):
        before = translate()
        for name, change in [
            ("ConfigTable", lambda r: r["ConfigTable"]["Properties"].update(TableName="config")),
            ("ConfigTable", lambda r: r["ConfigTable"]["Properties"].pop("LocalSecondaryIndexes")),
            ("RecordsTable", lambda r: r["RecordsTable"]["Properties"]["KeySchema"].pop()),
            ("AdminSecret", lambda r: r["AdminSecret"]["Properties"].update(Name="admin")),
            ("StreamSecret", lambda r: r["StreamSecret"].update(Condition="HasDomain")),
            ("Key", lambda r: r.update(OtherKey=r.pop("Key"))),
        ]:
            after = copy.deepcopy(before)
            change(after["Resources"])
            self.assertEqual(lost(before, after), [name])


if __name__ == "__main__":
    unittest.main()
