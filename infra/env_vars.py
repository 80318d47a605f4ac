"""Prints a deployed stack's environment variables by function, for `sam local invoke --env-vars`.

SAM CLI gives a function the variables that the template declares, but it knows no deployed table, queue or key: what
refers to one gets its logical id, or nothing. The file that is printed has the names of the stack's own.

Usage: python infra/env_vars.py stack    (modules: infra/emulators/requirements.txt; credentials: as the AWS CLI's)
"""

import argparse
import json
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def env_vars(stack):
    """The environment variables of a stack's functions, by the functions' logical ids."""
    functions = boto3.client("lambda")
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        resource["LogicalResourceId"]: functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def main():
    parser = argparse.ArgumentParser(usage="make env-vars STACK=name > env.json")
    parser.add_argument("stack")
    stack = parser.parse_args().stack
    try:
        json.dump(env_vars(stack), sys.stdout, indent=2)
        print()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"env_vars: {stack}: {error}")


if __name__ == "__main__":
    main()
