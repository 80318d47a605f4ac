"""Stacks of the template in moto, which is no AWS: it leaves out the HTTP API,
the WebSocket API, the secrets, the dashboard and some properties (TTL,
encryption, what may use a dead-letter queue). Those are read in the translated
template, all others from the resources that moto made.
"""

import copy
import io
import json
import logging
import os
import pathlib
import sys
import unittest
import zipfile

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-central-1")
for name in "AWS_PROFILE", "AWS_ENDPOINT_URL":
    os.environ.pop(name, None)
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
logging.disable(logging.WARNING)  # moto tells what it leaves out

import boto3
import moto

from translate import BUCKET, CODE, ROOT, translate
from view import View


# What users name in parameters.
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:report"
RUNTIME = "arn:aws:bedrock-agentcore:eu-central-1:123456789012:runtime/reviewer-AbCdEf1234"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:orders"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:pager"


class Stack:
    """A stack: its outputs, and its resources' ids by their names in the template."""

    def __init__(self, translated, name="boathook", **parameters):
        _upload(translated)
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(_for_moto(translated)),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        self.status = stack["StackStatus"]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        resources = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
        self.ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}


def _upload(translated):
    """Puts the functions' code and the nested stacks' templates where the template says that they are."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "")
    s3 = boto3.client("s3")
    if BUCKET not in [b["Name"] for b in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=BUCKET, Key=CODE, Body=code.getvalue())
    for resource in translated["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            key = resource["Properties"]["TemplateURL"].partition(".amazonaws.com/")[2]
            s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(_for_moto(resource["Metadata"]["Template"])))


def _for_moto(template):
    """The template without what moto can't read."""
    template = copy.deepcopy(template)
    for name, resource in list(template["Resources"].items()):
        resource.pop("Metadata", None)  # a nested stack's template
        if resource["Type"] == "AWS::KMS::Key":
            resource["Properties"].pop("Tags", None)  # it wants them in another shape than CloudFormation's
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["Parameters"]["Api"] = "api"  # it makes none
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            del template["Resources"][name]  # it names the alarms, of which there are none
    return template


class DeployedTest(unittest.TestCase):
    """A test of the template, translated, and of a stack of it."""

    maxDiff = None
    parameters = {}

    @classmethod
    def setUpClass(cls):
        cls.template = translate()
        cls.resources = cls.template["Resources"]
        cls.view = View(cls.template, cls.parameters)
        mock = moto.mock_aws()
        mock.start()
        cls.addClassCleanup(mock.stop)
        cls.stack = Stack(cls.template, **cls.parameters)

    def properties(self, name):
        return self.resources[name]["Properties"]

    def of_type(self, kind):
        return {name: r for name, r in self.resources.items() if r["Type"] == kind}

    @property
    def functions(self):
        """The names of the functions, such as "Intake"."""
        return sorted(name.removesuffix("Function") for name in self.of_type("AWS::Lambda::Function"))

    def statements(self, function):
        """The statements of a function's role by their Sid, those under a condition included."""
        (policy,) = self.properties(function + "Role")["Policies"]
        statements = [s["Fn::If"][1] if "Fn::If" in s else s for s in policy["PolicyDocument"]["Statement"]]
        return {s["Sid"]: s for s in statements}
