"""What is kept: tables, keys and secrets. That the tables have the keys and
indexes of the code is a test of internal/store/dynamo."""

import json
import unittest

from deployed import DeployedTest, translate
from view import View


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
                # DynamoDB's own key encrypts it, and costs nothing.
                self.assertNotIn("SSESpecification", self.view.resources[name]["Properties"])

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

    def test_a_key_of_ones_own_encrypts_all_that_is_kept(self):
        key = "arn:aws:kms:eu-central-1:123456789012:key/0b5e0f3c-2f0e-4b43-9d8e-5d0c2f1f6c11"
        where = {
            "AWS::DynamoDB::Table": lambda p: p.get("SSESpecification", {}).get("KMSMasterKeyId"),
            "AWS::SQS::Queue": lambda p: None if p["SqsManagedSseEnabled"] else p.get("KmsMasterKeyId"),
            "AWS::SecretsManager::Secret": lambda p: p.get("KmsKeyId"),
            "AWS::Logs::LogGroup": lambda p: p.get("KmsKeyId"),
            "AWS::SNS::Topic": lambda p: p.get("KmsMasterKeyId"),
            "AWS::Lambda::Function": lambda p: p.get("KmsKeyArn"),
        }
        for parameters in {}, {"EncryptionKeyArn": key, "WebSocketAccessLog": "true"}:
            view = View(translate(parameters=parameters), parameters)
            wanted = parameters.get("EncryptionKeyArn")
            self.assertNotIn("NoValue", json.dumps(view.resources))
            seen = set()
            for name, resource in view.resources.items():
                if resource["Type"] in where:
                    seen.add(resource["Type"])
                    self.assertEqual(where[resource["Type"]](resource["Properties"]), wanted, name)
                if resource["Type"] == "AWS::IAM::Role":
                    self.assertEqual(resource["Properties"]["ManagedPolicyArns"], ["${KeyUsePolicy}"] if wanted else [], name)
            self.assertEqual(seen, set(where))
            if wanted:
                (statement,) = view.resources["KeyUsePolicy"]["Properties"]["PolicyDocument"]["Statement"]
                self.assertEqual((statement["Effect"], statement["Resource"]), ("Allow", key))
                self.assertEqual(statement["Condition"], {"StringEquals": {"kms:ViaService": [
                    f"{service}.eu-central-1.amazonaws.com" for service in ("dynamodb", "sqs", "secretsmanager")
                ]}})
                self.assertNotIn("*", json.dumps(statement["Action"]))
            else:
                self.assertNotIn("KeyUsePolicy", view.resources)

    def test_websockets_have_an_access_log_where_that_is_asked_for(self):
        for parameters in {}, {"WebSocketAccessLog": "true"}:
            view = View(translate(parameters=parameters), parameters)
            settings = view.resources["StreamStage"]["Properties"].get("AccessLogSettings")
            self.assertEqual("StreamAccessLogs" in view.resources, bool(parameters))
            self.assertEqual(settings and settings["DestinationArn"], "${StreamAccessLogs.Arn}" if parameters else None)
            if parameters:
                fields = json.loads(settings["Format"].replace("\n", ""))
                self.assertFalse([v for v in fields.values() if "query" in v.lower() or "path" in v.lower()])  # they hold tokens

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
