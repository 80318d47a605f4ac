"""Translates template.yaml into plain CloudFormation, as `sam deploy` has it done.

A nested stack's template, translated too, is in the metadata of its resource.

Usage: python infra/translate.py > template.json    (modules: infra/emulators/requirements.txt)
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parent.parent
BUCKET, CODE = "artifacts", "code.zip"  # where the functions' code is said to be


def translate(read=lambda path: (ROOT / path).read_text(), parameters={}):
    """The template as its files are read, by their paths in the checkout, for the values of parameters."""
    template = yaml_parse(read("template.yaml"))
    template["Globals"]["Function"]["CodeUri"] = f"s3://{BUCKET}/{CODE}"
    translated = Translator(get_bundled_managed_policy_map("aws"), Parser()).translate(template, dict(parameters))
    for resource in translated["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            path = resource["Properties"]["TemplateURL"]
            resource["Properties"]["TemplateURL"] = f"https://{BUCKET}.s3.amazonaws.com/{path}"
            resource["Metadata"] = {"Template": yaml_parse(read(path))}
    return translated


if __name__ == "__main__":
    json.dump(translate(), sys.stdout, indent=2)
