"The workflows, run by act: their conditions, expressions and scripts are their own. GitHub's actions and AWS's programs are stand-ins; server, S3 and ingester are real."

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud import ROOT, tool
from test_cloud_deploy import BAD, GOOD, INGESTER, LATER, STAND_IN, Cluster
from test_cloud_workflows import FILES, workflow

from ragwb.emulator.s3 import S3Server
from ragwb.settings import Settings
from ragwb.workbench import Workbench

pytestmark = pytest.mark.slow
DOCS = ROOT / "experiments/data/sample/docs"
VARIABLES = {"CLOUD": "1", "AWS_REGION": "us-east-1", "REPOSITORY": "ragwb-dev/serve", **{f"{name}_ROLE_ARN": f"arn:of-{name.lower()}" for name in (
    "PLAN", "COMPUTE", "IMAGE", "DEPLOY", "DATA", "COSTS")}}  # fmt: skip
OUTPUTS = {"aws-actions/amazon-ecr-login": {"registry": "1234.dkr.ecr.us-east-1.amazonaws.com"}}
MISSING, SECOND = (f"ecr/ragwb@sha256:{digit * 64}" for digit in "ed")
# A program that notes how it was called. aws knows all images but MISSING and what a day cost, gh knows who built them, but for LATER, docker knows the digest of what it pushed.
PROGRAM = """#!{python}
import sys
from pathlib import Path
name, words = Path(sys.argv[0]).name, " ".join(sys.argv[1:])
open({log!r}, "a").write(name + " " + words + "\\n")
if name == "aws" and "describe-images" in words and {missing!r} in words:
    sys.exit("An error occurred (ImageNotFoundException)")
if name == "aws" and "get-cost-and-usage" in words:
    print("Amazon Elastic Compute Cloud\\t1.5\\nAmazon Bedrock\\t0.25")
if name == "gh" and "attestation" in words and {foreign!r} in words:
    sys.exit("Error: no attestations found")
if name == "docker" and "inspect" in words:
    print("1234.dkr.ecr.us-east-1.amazonaws.com/ragwb-dev/serve@sha256:" + "d" * 64)
"""
# The environment's Python: infra/cloud.py, which would ask AWS, is noted; all else is run.
PYTHON = """#!/bin/sh
if [ "$1" = infra/cloud.py ]; then echo "$@" >> {log}; echo "Plan: 1 to add"; exit 0; fi
exec {python} "$@"
"""
# These very tests are not run by the workflow that runs them.
MAKE = """#!/bin/sh
[ "$1" = cloud-check ] || exec {make} "$@"
"""


class Act:
    "A checkout, stand-ins for the actions and programs that its workflows use, and act."

    def __init__(self, place: Path):
        self.place, self.log, self.bin, self.checkout = place, place / "log", place / "bin", place / "checkout"
        self.program = tool("act")
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "infra", "k8s", ".github"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.checkout / name if self.checkout.exists() else self.made(self.checkout) / name)
        for words in ("init -q -b main .", "remote add origin https://github.com/org/ragwb", "-c user.name=t -c user.email=t@example.com commit -q --allow-empty -m x"):
            subprocess.run(["git", *words.split()], cwd=self.checkout, check=True)
        self.made(self.bin)
        for name in ("aws", "gh", "docker", "sudo"):
            self.executable(self.bin / name, PROGRAM.format(python=sys.executable, log=str(self.log), missing=MISSING[-64:], foreign=LATER[-64:]))
        self.executable(self.bin / "make", MAKE.format(make=tool("make")))
        self.executable(self.bin / "kubectl", STAND_IN.format(python=sys.executable, state=str(place), kubectl=tool("kubectl")))
        venv = self.made(place / "venv/bin")
        self.executable(venv / "python", PYTHON.format(python=sys.executable, log=self.log))
        self.executable(venv / "ragwb", f"#!{sys.executable}\nfrom ragwb.cli import main\nmain()\n")
        (place / "venv/.demo").touch()
        os.utime(place / "venv/.demo", (4e9, 4e9))  # all is installed
        self.stubs = [word for path in FILES for word in self.stubs_of(path)]

    def made(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def executable(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def stubs_of(self, path: Path) -> Iterator[str]:
        "An action that notes what it is given, in the place of each that a workflow uses."
        for job in workflow(path)["jobs"].values():
            for step in (step for step in job["steps"] if not step.get("uses", "actions/checkout").startswith("actions/checkout")):
                name, _, _ = step["uses"].partition("@")
                given = self.made(self.place / "actions" / name) / "action.yml"
                inputs = (yaml.safe_load(given.read_text())["inputs"] if given.exists() else {}) | {key: {"default": ""} for key in step.get("with", ())}
                note = {"shell": "bash", "env": {"GIVEN": "${{ toJSON(inputs) }}"}, "run": f"printf '%s %s\\n' '{name}' \"$(printf %s \"$GIVEN\" | tr -d '\\n')\" >> {self.log}"}
                outputs = {key: {"value": value} for key, value in OUTPUTS.get(name, {}).items()}
                given.write_text(json.dumps({"name": name, "inputs": inputs, "outputs": outputs, "runs": {"using": "composite", "steps": [note]}}))
                yield f"{step['uses']}={given.parent}"

    def run(self, name: str, event: str = "workflow_dispatch", job: str = "", given: dict[str, Any] | None = None, variables: dict[str, str] | None = None,
            environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:  # fmt: skip
        "A workflow after an event; `given` is the event. What the programs and actions were told is in the log."
        self.log.write_text("")
        (self.place / "event.json").write_text(json.dumps(given or {}))
        words = [self.program, event, "-W", f".github/workflows/{name}.yml", "-e", str(self.place / "event.json"), "--no-cache-server", "--action-offline-mode",
                 "-P", "ubuntu-24.04=-self-hosted", "-P", "ubuntu-24.04-arm=-self-hosted", "-s", "SMOKE_KEY=key", "-s", "GITHUB_TOKEN=token"]  # fmt: skip
        words += [word for key, value in (VARIABLES | (variables or {})).items() for word in ("--var", f"{key}={value}")]
        words += [word for stub in self.stubs for word in ("--local-repository", stub)] + (["-j", job] if job else [])
        home = {"HOME": str(self.made(self.place / "home")), "XDG_CACHE_HOME": str(self.place / "cache"), "XDG_CONFIG_HOME": str(self.place / "config")}
        here = {"PATH": f"{self.bin}:{os.environ['PATH']}", "VENV": str(self.place / "venv"), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(words, cwd=self.checkout, env=os.environ | home | here | (environment or {}), capture_output=True, text=True)

    def told(self) -> str:
        return self.log.read_text()


@pytest.fixture
def act(tmp_path: Path) -> Act:
    return Act(tmp_path / "desk")


@pytest.fixture
def cluster(act: Act, tmp_path: Path) -> Iterator[Cluster]:
    "A server that answers the smoke questions, as the image that runs in the cluster lets it."
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_paths([DOCS])
    made = Cluster(act.place, workbench)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_deploy_and_its_roll_back(act: Act, cluster: Cluster) -> None:
    variables = {"URL": f"http://127.0.0.1:{cluster.server.server_port}", "SETTINGS": "RAGWB_STORAGE=s3://b/index\nDOCUMENTS=s3://b/documents\nRAGWB_HOSTS=x.example.com"}

    def deploy(image: str, how: str = "deploy", fails: str = "") -> None:
        done = act.run("deploy", given={"inputs": {"environment": "dev", "act": how, "image": image}}, variables=variables)
        assert bool(done.returncode) == bool(fails) and fails in done.stdout, done.stdout + done.stderr

    deploy(MISSING, fails="ImageNotFoundException")
    deploy(LATER, fails="no attestations found")
    assert cluster.image == "" and "apply" not in act.told(), "something was changed for an image that is not there or not ours"
    deploy(GOOD)
    assert cluster.image == GOOD and cluster.release["state"] == "deployed" and '"role-to-assume": "arn:of-deploy"' in act.told()
    deploy(BAD, fails=f"rolled back to {GOOD}")
    assert cluster.image == GOOD and cluster.release["state"] == "rolled back"
    deploy(SECOND)
    assert cluster.image == SECOND
    deploy("", "rollback")
    assert cluster.image == GOOD and "attestation" not in act.told()


def test_data_sync_with_a_removed_document(act: Act, seaweed: S3Server, s3_settings: Settings) -> None:
    documents, ragwb = f"s3://{s3_settings.storage.split('/')[2]}/documents", str(Path(sys.executable).parent / "ragwb")
    shutil.copytree(DOCS, act.checkout / "documents")
    secret = act.checkout / "documents/secret.md"
    secret.write_text("# Salary\n\nMs Zyxwvut has a salary of 98765 euros.\n")
    act.executable(act.bin / "kubectl", INGESTER.format(python=sys.executable, ragwb=ragwb, documents=documents))
    workbench = Workbench(s3_settings)
    made = Cluster(act.place, workbench)
    variables = {"DOCUMENTS": documents, "URL": f"http://127.0.0.1:{made.server.server_port}"}
    given = {"RAGWB_STORAGE": s3_settings.storage, "RAGWB_S3_ENDPOINT": s3_settings.s3_endpoint, "RAGWB_HOME": str(act.place / "pod"), "RAGWB_WORKERS": "1"}
    try:
        done = act.run("data-sync", "push", variables=variables, environment=given)
        assert done.returncode == 0 and "2 smoke questions answered" in done.stdout, done.stdout + done.stderr
        assert "98765" in workbench.ask("What salary does Ms Zyxwvut have?").text and '"role-to-assume": "arn:of-data"' in act.told()
        secret.unlink()
        done = act.run("data-sync", "push", variables=variables, environment=given)
        assert done.returncode == 0 and "secret.md: its file is gone" in done.stdout, done.stdout + done.stderr
        assert workbench.ask("What salary does Ms Zyxwvut have?").refused and "secret.md" not in workbench.store.open("default").hashes()
    finally:
        made.server.shutdown()
        made.server.server_close()


@pytest.mark.parametrize(("event", "inputs", "told"), [
    ("schedule", {}, "pause --env dev"), ("workflow_dispatch", {"environment": "staging", "act": "resume"}, "resume --env staging"),
])  # fmt: skip
def test_pause_and_resume(act: Act, event: str, inputs: dict[str, str], told: str) -> None:
    done = act.run("pause", event, given={"inputs": inputs})
    assert done.returncode == 0 and f"infra/cloud.py {told}" in act.told() and '"role-to-assume": "arn:of-compute"' in act.told(), done.stdout + done.stderr


def test_a_plan_is_a_comment_and_a_stranger_gets_none(act: Act) -> None:
    for repository, planned in (("org/ragwb", True), ("stranger/ragwb", False)):
        given = {"pull_request": {"number": 7, "head": {"repo": {"full_name": repository}, "ref": "change"}, "base": {"ref": "main"}}}
        done = act.run("infrastructure", "pull_request", given=given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [f"infra/cloud.py plan {stack} --env dev" in act.told() for stack in ("foundation", "compute")] == [planned] * 2
        assert ("gh pr comment 7 --body-file plan.md" in act.told()) == planned and "cloud.py apply" not in act.told()


def test_compute_is_applied_by_hand(act: Act) -> None:
    done = act.run("infrastructure", given={"inputs": {"environment": "staging"}})
    assert done.returncode == 0 and "infra/cloud.py apply compute --env staging" in act.told() and "plan" not in act.told(), done.stdout + done.stderr


def test_what_is_attested_is_what_was_pushed(act: Act) -> None:
    done = act.run("image", "push", variables={"IMAGE_ENVIRONMENTS": '["dev", "prod"]'})
    assert done.returncode == 0, done.stdout + done.stderr
    pushed = [line for line in act.told().splitlines() if line.startswith("docker push")]
    attested = [line for line in act.told().splitlines() if line.startswith("actions/attest-build-provenance")]
    assert len(pushed) == len(attested) == 2 and all(f'"subject-digest": "sha256:{"d" * 64}"' in line for line in attested), act.told()
    done = act.run("image", "pull_request")
    assert done.returncode == 0 and "docker push" not in act.told() and "aquasecurity/trivy-action" in act.told(), done.stdout + done.stderr


def test_what_a_day_cost(act: Act) -> None:
    done = act.run("nightly", "schedule")
    assert done.returncode == 0 and "aws ce get-cost-and-usage" in act.told() and "kubectl" not in act.told(), done.stdout + done.stderr
    *_, step = workflow(ROOT / ".github/workflows/nightly.yml")["jobs"]["costs"]["steps"]  # act keeps no summaries
    environment = os.environ | {"PATH": f"{act.bin}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(act.place / "summary")}
    subprocess.run(["bash", "-e", "-c", step["run"]], env=environment, check=True)
    assert (act.place / "summary").read_text().splitlines()[2:] == ["| Amazon Elastic Compute Cloud | 1.50 |", "| Amazon Bedrock | 0.25 |", "| all | 1.75 |"]


@pytest.mark.parametrize(("name", "event"), [("pause", "schedule"), ("nightly", "schedule"), ("data-sync", "push"), ("image", "push"), ("infrastructure", "push")])
def test_without_an_account_nothing_asks_for_one(act: Act, name: str, event: str) -> None:
    done = act.run(name, event, variables={"CLOUD": ""})
    assert done.returncode == 0 and "configure-aws-credentials" not in act.told() and "cloud.py" not in act.told(), done.stdout + done.stderr
