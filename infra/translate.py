"""Translates template.yaml into plain CloudFormation, as `sam deploy` has it done.

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

TEMPLATE = pathlib.Path(__file__).parent.parent / "template.yaml"
BUCKET, CODE = "artifacts", "code.zip"  # where the functions' code is said to be


def translate():
    template = yaml_parse(TEMPLATE.read_text())
    template["Globals"]["Function"]["CodeUri"] = f"s3://{BUCKET}/{CODE}"
    return Translator(get_bundled_managed_policy_map("aws"), Parser()).translate(template, {})


if __name__ == "__main__":
    json.dump(translate(), sys.stdout, indent=2)
