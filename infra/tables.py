"""Has a stack use another table than it does, or a new stack one that an old one left.

    python infra/tables.py switch STACK ConfigTable NAME --bucket BUCKET
    python infra/tables.py adopt STACK --bucket BUCKET ConfigTable=NAME RecordsTable=NAME Key=ID

A template names no table, so CloudFormation knows a stack's table by what it has made or imported. switch deploys the
stack's own template twice: first without the table, with the new one's name in place of each reference to it, so that
the functions use the new table from then on; then with the table again, as which the new one is imported. The old table
stays where it is, outside of the stack. adopt makes a stack of nothing but what it imports; `sam deploy` with the same
name adds all else.

The templates are longer than a call may be, so they go through a bucket, such as that of the SAM CLI.

Modules: infra/emulators/requirements.txt; credentials and region: as the AWS CLI's.
"""

import argparse
import copy
import json
import pathlib
import re
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = pathlib.Path(__file__).parent.parent / "template.yaml"

# What can be imported, and the property that says which one is.
IDENTIFIERS = {"ConfigTable": "TableName", "RecordsTable": "TableName", "Key": "KeyId"}


def without(template, table, name, arn):
    """The template without one of its tables, and with another's name and ARN wherever it referred to that."""
    changed = copy.deepcopy(template)
    del changed["Resources"][table]
    values = {table: name, f"{table}.Arn": arn}

    def replaced(node):
        if isinstance(node, list):
            return [replaced(n) for n in node]
        if not isinstance(node, dict):
            return node
        if set(node) == {"Ref"} and node["Ref"] == table:
            return name
        if set(node) == {"Fn::GetAtt"}:
            attribute = node["Fn::GetAtt"]
            attribute = attribute if isinstance(attribute, str) else ".".join(attribute)
            if attribute in values:
                return values[attribute]
            if attribute.startswith(table + "."):
                raise SystemExit(f"tables: the stack's template uses {attribute}, which this program does not know")
        if set(node) == {"Fn::Sub"} and isinstance(node["Fn::Sub"], str):
            text = re.sub(r"\$\{(%s(?:\.Arn)?)\}" % table, lambda m: values[m[1]], node["Fn::Sub"])
            return {"Fn::Sub": text} if "${" in text else text
        return {k: replaced(v) for k, v in node.items()}

    for section in "Resources", "Outputs":
        changed[section] = replaced(changed.get(section, {}))
    return changed


def with_again(changed, template, table):
    """That template with the table again, to import the other one as it."""
    return changed | {"Resources": changed["Resources"] | {table: template["Resources"][table]}}


def only(template, names):
    """The template with nothing but these resources: an import makes no others beside them."""
    kept = {k: template[k] for k in ("AWSTemplateFormatVersion", "Description", "Parameters", "Rules", "Conditions") if k in template}
    return kept | {"Resources": {name: template["Resources"][name] for name in names}}


def to_import(template, ids):
    """What CloudFormation is told of the resources to import, whose ids are by their names in the template."""
    return [
        {"ResourceType": template["Resources"][name]["Type"], "LogicalResourceId": name, "ResourceIdentifier": {IDENTIFIERS[name]: value}}
        for name, value in ids.items()
    ]


class Stack:
    """Deploys templates as a stack, and waits for it."""

    def __init__(self, name, bucket, parameters=None):
        self.name, self.bucket, self.parameters = name, bucket, parameters or []
        self.cloudformation = boto3.client("cloudformation")
        self.s3 = boto3.client("s3")

    def template(self):
        """The template as it is deployed, after SAM's transform."""
        body = self.cloudformation.get_template(StackName=self.name, TemplateStage="Processed")["TemplateBody"]
        return yaml_parse(body) if isinstance(body, str) else json.loads(json.dumps(body))

    def deploy(self, template, imported=None):
        """Deploys a template, or imports resources with it, and waits until that is done."""
        kind = "IMPORT" if imported else "UPDATE"
        change = f"boathook-tables-{time.time_ns()}"
        key = f"{self.name}/{change}.json"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(template).encode())
        more = {"ResourcesToImport": imported} if imported else {}
        self.cloudformation.create_change_set(
            StackName=self.name, ChangeSetName=change, ChangeSetType=kind, Parameters=self.parameters,
            TemplateURL=f"{self.s3.meta.endpoint_url}/{self.bucket}/{key}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], **more,
        )
        at = {"StackName": self.name, "ChangeSetName": change}
        self.cloudformation.get_waiter("change_set_create_complete").wait(**at)
        self.cloudformation.execute_change_set(**at)
        done = "stack_import_complete" if imported else "stack_update_complete"
        self.cloudformation.get_waiter(done).wait(StackName=self.name)


def switch(arguments):
    table, name = arguments.table, arguments.name
    arn = boto3.client("dynamodb").describe_table(TableName=name)["Table"]["TableArn"]
    stack = Stack(arguments.stack, arguments.bucket)
    (description,) = stack.cloudformation.describe_stacks(StackName=stack.name)["Stacks"]
    stack.parameters = [{"ParameterKey": p["ParameterKey"], "UsePreviousValue": True} for p in description.get("Parameters", [])]
    template = stack.template()
    changed = without(template, table, name, arn)
    stack.deploy(changed)
    print(f"The functions of {stack.name} use {name}.")
    stack.deploy(with_again(changed, template, table), to_import(template, {table: name}))
    print(f"{name} is the {table} of {stack.name}. The next sam deploy changes nothing of it.")


def adopt(arguments):
    ids = dict(pair.split("=", 1) for pair in arguments.resources)
    template = yaml_parse(TEMPLATE.read_text())
    stack = Stack(arguments.stack, arguments.bucket, [{"ParameterKey": "EncryptionKeyArn", "ParameterValue": arguments.encryption_key}])
    stack.deploy(only(template, ids), to_import(template, ids))
    print(f"{arguments.stack} has {', '.join(ids)}: deploy the rest with sam deploy --stack-name {arguments.stack}.")


def resource(text):
    name, _, value = text.partition("=")
    if name not in IDENTIFIERS or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(IDENTIFIERS)}, an equals sign and its name or id")
    return text


def main():
    parser = argparse.ArgumentParser(description="Has a stack use another table, or a new stack what an old one left.")
    commands = parser.add_subparsers(required=True)
    for name, run in ("switch", switch), ("adopt", adopt):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("stack")
        command.add_argument("--bucket", required=True, help="where templates may be put, in the stack's region")
        if run is switch:
            command.add_argument("table", choices=[n for n, i in IDENTIFIERS.items() if i == "TableName"])
            command.add_argument("name", help="of the table that takes its place")
        else:
            command.add_argument("--encryption-key", default="", help="EncryptionKeyArn of the old stack, if it had one")
            command.add_argument("resources", nargs="+", type=resource, help="such as ConfigTable=NAME")
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (BotoCoreError, ClientError, WaiterError) as error:
        sys.exit(f"tables: {arguments.stack}: {error}")


if __name__ == "__main__":
    main()
