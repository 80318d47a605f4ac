"""What is kept: tables, keys and secrets. That the tables have the keys and
indexes of the code is a test of internal/store/dynamo."""

import json
import unittest

from deployed import DeployedTest


class DataTest(DeployedTest):
    def test_tables_survive_and_are_protected(self):
        tables = self.of_type("AWS::DynamoDB::Table")
        self.assertEqual(set(tables), {"ConfigTable", "RecordsTable"})
        for name, table in tables.items():
            with self.subTest(name):
                self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
                self.assertNotIn("TableName", table["Properties"])  # one that is named can't be replaced
                self.assertEqual(table["Properties"]["BillingMode"], "PAY_PER_REQUEST")
                self.assertTrue(table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
                self.assertNotIn("SSESpecification", table["Properties"])  # DynamoDB's own key encrypts it, and costs nothing

    def test_the_key_survives_and_rotates(self):
        key = self.resources["Key"]
        self.assertTrue(key["Properties"]["EnableKeyRotation"])
        self.assertEqual((key["DeletionPolicy"], key["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))

    def test_secrets_are_generated_and_each_is_read_by_who_needs_it(self):
        readers = {"AdminSecret": {"Console", "Manage"}, "InternalSecret": {"Manage"}, "StreamSecret": {"Console", "Manage", "Stream"}}
        self.assertEqual(set(self.of_type("AWS::SecretsManager::Secret")), set(readers))
        for name, want in readers.items():
            secret = self.properties(name)["GenerateSecretString"]
            self.assertGreaterEqual(secret["PasswordLength"], 48)
            self.assertTrue(secret["ExcludePunctuation"])
            self.assertEqual({f for f in self.functions if f'"{name}"' in json.dumps(self.statements(f))}, want, name)
        for output, secret in ("AdminTokenCommand", "AdminSecret"), ("InternalTokenCommand", "InternalSecret"):
            self.assertIn("--secret-id ${%s} " % secret, self.view.outputs[output]["Value"])

    def test_what_costs_money_is_tagged(self):
        kinds = {
            "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::Lambda::Function",
            "AWS::Logs::LogGroup", "AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::Stage", "AWS::CloudFormation::Stack",
            "AWS::SNS::Topic",
        }
        for name, resource in self.resources.items():
            if resource["Type"] in kinds:
                tags = resource["Properties"]["Tags"]
                tags = tags if isinstance(tags, dict) else {t["Key"]: t["Value"] for t in tags}
                self.assertEqual(tags["application"], "boathook", name)


if __name__ == "__main__":
    unittest.main()
