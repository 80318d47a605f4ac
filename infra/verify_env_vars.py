"""Proves that `make env-vars` prints what `sam local invoke --env-vars` needs, on a stack in moto's CloudFormation.

Where SAM CLI is installed, it says itself what a function gets by the file.

Usage: python infra/verify_env_vars.py    (modules: infra/emulators/requirements.txt)
"""

import contextlib
import io
import json
import logging
import sys
import unittest
from unittest import mock

from verify_template import VARIABLES, Stack  # first: it sets the credentials that are good for moto only

import boto3
import moto
from botocore.exceptions import NoCredentialsError

import env_vars
from translate import TEMPLATE, translate

try:
    from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
    from samcli.lib.providers.sam_function_provider import SamFunctionProvider
    from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
except ImportError:
    LocalLambdaRunner = None
    print("NOT RUN: what SAM CLI makes of the file: aws-sam-cli is not installed beside moto", file=sys.stderr)


def run(*arguments):
    """What the command prints to its output; SystemExit where it fails."""
    with mock.patch.object(sys, "argv", ["env_vars.py", *arguments]), contextlib.redirect_stdout(io.StringIO()) as out:
        env_vars.main()
    return out.getvalue()


class EnvVarsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        aws = moto.mock_aws()
        aws.start()
        cls.addClassCleanup(aws.stop)
        cls.stack = Stack(translate(), {"AllowedTargets": "http,lambda,agentcore"})
        cls.printed = json.loads(run("boathook"))

    def test_each_function_has_the_deployed_one_s_variables(self):
        self.assertEqual(set(self.printed), {f + "Function" for f in VARIABLES})
        for function, variables in self.printed.items():
            deployed = boto3.client("lambda").get_function_configuration(FunctionName=self.stack.ids[function])
            self.assertEqual(variables, deployed["Environment"]["Variables"])
            self.assertEqual(variables["BOATHOOK_RECORDS_TABLE"], self.stack.ids["RecordsTable"])
        self.assertEqual(self.printed["IntakeFunction"]["BOATHOOK_RUNS_QUEUE_URL"], self.stack.outputs["RunsQueueUrl"])

    def test_a_stack_that_does_not_exist_is_a_line(self):
        with self.assertRaises(SystemExit) as failed:
            run("another")
        self.assertRegex(failed.exception.code, r"\Aenv_vars: another: .*does not exist\Z")

    def test_missing_credentials_are_a_line(self):
        with mock.patch.object(env_vars.boto3, "client", side_effect=NoCredentialsError), self.assertRaises(SystemExit) as failed:
            run("boathook")
        self.assertEqual(failed.exception.code, "env_vars: boathook: Unable to locate credentials")

    @unittest.skipUnless(LocalLambdaRunner, "aws-sam-cli is not installed beside moto")
    def test_sam_cli_gives_each_function_its_variables(self):
        stacks, _ = SamLocalStackProvider.get_stacks(template_file=str(TEMPLATE))
        functions = SamFunctionProvider(stacks, use_raw_codeuri=True, ignore_code_extraction_warnings=True)
        runner = LocalLambdaRunner(None, functions, str(TEMPLATE.parent), str(TEMPLATE.parent), env_vars_values=self.printed)
        for name, variables in self.printed.items():
            with self.subTest(name):
                given = runner.get_invoke_config(functions.get(name)).env_vars.resolve()
                want = {k: str(v) for k, v in variables.items()}  # moto has kept a number as it was
                self.assertEqual({k: v for k, v in given.items() if k in variables}, want)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # moto tells what it leaves out
    unittest.main(warnings="ignore")
