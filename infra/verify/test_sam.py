"""What the SAM CLI and cfn-lint say of the templates, and what `sam deploy` would send, built and packaged into moto's S3."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import boto3
from moto.server import ThreadedMotoServer
from samcli.commands._utils.template import get_template_parameters
from samcli.commands.deploy import guided_context
from samtranslator.yaml_helper import yaml_parse

from deployed import ROOT

MACHINE_ARM64 = 183  # of an ELF file, at offset 18
MAX_BINARY = json.loads(pathlib.Path(__file__).with_name("binaries.json").read_text())["most"]  # bytes
BUCKET = "packages"


class SamTest(unittest.TestCase):
    def run_tool(self, name, *arguments, **environment):
        """Runs a tool that is installed beside Python, and gives what it printed; it must not fail."""
        command = [pathlib.Path(sys.executable).parent / name, *arguments]
        environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "MAKEFLAGS": ""} | environment
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_the_template_is_valid(self):
        self.run_tool("sam", "validate", "--lint")

    def test_the_templates_are_good_in_every_region(self):
        said = self.run_tool("cfn-lint", "--regions", "ALL_REGIONS", "--", "template.yaml", "infra/monitoring.yaml")
        self.assertEqual(said, "")

    def test_the_readme_says_how_much_a_guided_deployment_asks(self):
        asked = {"prompt": [], "confirm": []}

        def answer(kind):
            def ask(text, default=None, **_):
                asked[kind].append(text)
                return True if kind == "confirm" else default
            return ask

        template = str(ROOT / "template.yaml")
        guided = guided_context.GuidedContext(
            template_file=template, stack_name="boathook", s3_bucket=None, image_repository=None, image_repositories=None, s3_prefix=None,
            resolve_s3=True, resolve_image_repos=False,
        )
        with mock.patch.multiple(guided_context, prompt=answer("prompt"), confirm=answer("confirm"), manage_stack=lambda **_: BUCKET,
                                 print_managed_s3_bucket_info=lambda _: None), mock.patch.object(guided_context.click, "echo"), \
                mock.patch.object(guided_context.click, "secho"), mock.patch.object(guided, "prompt_image_repository"):
            guided.guided_prompts(get_template_parameters(template_file=template))
        unauthenticated = sum("has no authentication" in text for text in asked["confirm"])
        said = re.search(r"It asks for (\d+) values, (\d+) of them parameters,[^.]* and (\d+) times for a yes or no, (\d+) of them",
                         " ".join((ROOT / "README.md").read_text().split()))
        self.assertIsNotNone(said)
        parameters = sum("Parameter " in text for text in asked["prompt"])
        self.assertEqual(list(map(int, said.groups())), [len(asked["prompt"]), parameters, len(asked["confirm"]), unauthenticated])

    def test_functions_are_built_for_arm64_are_small_and_are_packaged_with_the_nested_stack(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.run_tool("sam", "build", "--build-dir", folder)
        built = yaml_parse((folder / "template.yaml").read_text())["Resources"]
        functions = [name for name, r in built.items() if r["Type"] == "AWS::Serverless::Function"]
        self.assertEqual(len(functions), 7)
        for name in functions:
            binary = (folder / name / "bootstrap").read_bytes()
            self.assertEqual(binary[:4], b"\x7fELF", name)
            self.assertEqual(int.from_bytes(binary[18:20], "little"), MACHINE_ARM64, name)
            self.assertLessEqual(len(binary), MAX_BINARY.get(name, MAX_BINARY["Others"]), name)

        server = ThreadedMotoServer(port=0, verbose=False)
        server.start()
        self.addCleanup(server.stop)
        endpoint = "http://%s:%d" % server.get_host_and_port()
        s3 = boto3.client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.run_tool("sam", "package", "--template-file", folder / "template.yaml",
                      "--output-template-file", folder / "packaged.yaml", "--s3-bucket", BUCKET, AWS_ENDPOINT_URL=endpoint)
        packaged = yaml_parse((folder / "packaged.yaml").read_text())["Resources"]
        uploaded = {o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
        for name in functions:
            self.assertIn(packaged[name]["Properties"]["CodeUri"].removeprefix(f"s3://{BUCKET}/"), uploaded)
        url = packaged["Monitoring"]["Properties"]["TemplateURL"]
        self.assertIn(url.rpartition("/")[2], uploaded, url)


if __name__ == "__main__":
    unittest.main()
