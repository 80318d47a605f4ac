"""That `make env-vars` prints what `sam local invoke --env-vars` needs of a stack that is deployed."""

import contextlib
import io
import json
import sys
import unittest
from unittest import mock

import boto3
from botocore.exceptions import NoCredentialsError
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

from deployed import ROOT, DeployedTest

import env_vars


def run(*arguments):
    """What the command prints to its output; SystemExit where it fails."""
    with mock.patch.object(sys, "argv", ["env_vars.py", *arguments]), contextlib.redirect_stdout(io.StringIO()) as out:
        env_vars.main()
    return out.getvalue()


class EnvVarsTest(DeployedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.printed = json.loads(run("boathook"))

    def test_each_function_has_the_variables_of_the_deployed_one(self):
        self.assertEqual(set(self.printed), {f + "Function" for f in self.functions})
        for function, variables in self.printed.items():
            deployed = boto3.client("lambda").get_function_configuration(FunctionName=self.stack.ids[function])
            self.assertEqual(variables, deployed["Environment"]["Variables"])
            self.assertEqual(variables["BOATHOOK_RECORDS_TABLE"], self.stack.ids["RecordsTable"])
        self.assertEqual(self.printed["IntakeFunction"]["BOATHOOK_RUNS_QUEUE_URL"], self.stack.outputs["RunsQueueUrl"])

    def test_the_sam_cli_gives_them_to_the_function(self):
        stacks, _ = SamLocalStackProvider.get_stacks(template_file=str(ROOT / "template.yaml"))
        functions = SamFunctionProvider(stacks, use_raw_codeuri=True, ignore_code_extraction_warnings=True)
        runner = LocalLambdaRunner(None, functions, str(ROOT), str(ROOT), env_vars_values=self.printed)
        for name, variables in self.printed.items():
            with self.subTest(name):
                given = runner.get_invoke_config(functions.get(name)).env_vars.resolve()
                want = {k: str(v) for k, v in variables.items()}  # moto has kept a number as it was
                self.assertEqual({k: v for k, v in given.items() if k in variables}, want)

    def test_a_stack_that_does_not_exist_is_a_line(self):
        with self.assertRaises(SystemExit) as failed:
            run("another")
        self.assertRegex(failed.exception.code, r"\Aenv_vars: another: .*does not exist\Z")

    def test_missing_credentials_are_a_line(self):
        with mock.patch.object(env_vars.boto3, "client", side_effect=NoCredentialsError), self.assertRaises(SystemExit) as failed:
            run("boathook")
        self.assertEqual(failed.exception.code, "env_vars: boathook: Unable to locate credentials")


if __name__ == "__main__":
    unittest.main()
