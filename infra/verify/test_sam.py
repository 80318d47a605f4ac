"""What `sam deploy` would send, by the SAM CLI itself."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from deployed import ROOT, translate

MACHINE_ARM64 = 183  # of an ELF file, at offset 18
MAX_BINARY = 12_000_000  # bytes


class SamTest(unittest.TestCase):
    def sam(self, *arguments):
        command = [str(pathlib.Path(sys.executable).parent / "sam"), *arguments]
        environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "MAKEFLAGS": ""}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_template_is_valid(self):
        self.sam("validate", "--lint")

    def test_functions_are_built_for_arm64_and_are_small(self):
        with tempfile.TemporaryDirectory() as folder:
            self.sam("build", "--build-dir", folder)
            functions = [n for n, r in translate()["Resources"].items() if r["Type"] == "AWS::Lambda::Function"]
            self.assertEqual(len(functions), 6)
            for name in functions:
                binary = (pathlib.Path(folder) / name / "bootstrap").read_bytes()
                self.assertEqual(binary[:4], b"\x7fELF", name)
                self.assertEqual(int.from_bytes(binary[18:20], "little"), MACHINE_ARM64, name)
                self.assertLessEqual(len(binary), MAX_BINARY, name)
            self.assertTrue((pathlib.Path(folder) / "Monitoring" / "template.yaml").exists())


if __name__ == "__main__":
    unittest.main()
