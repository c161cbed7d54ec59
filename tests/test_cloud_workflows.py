"The workflows of GitHub Actions: no finding of zizmor and actionlint, least permissions, and nothing in them that cannot be done at a desk."

import re
from typing import Any

import pytest
import yaml
from cloud import ROOT, run, tool

FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
LATER = {"pause", "resume", "cloud-check"}  # of infra/'s own targets


def workflow(path: Any) -> dict[str, Any]:
    "A workflow; `on` is read as YAML 1.1 reads it."
    told: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return {("on" if key is True else key): value for key, value in told.items()}


every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_zizmor():
    run(tool("zizmor"), "--offline", "--persona=auditor", "--no-progress", FOLDER)


def test_actionlint():
    run(tool("actionlint"), *FILES)


@every_file
def test_permissions_are_granted_by_job(path):
    told = workflow(path)
    assert told["permissions"] == {}
    for name, job in told["jobs"].items():
        assert job["timeout-minutes"] and isinstance(job["permissions"], dict), name
        if job["permissions"].get("id-token") == "write" and name != "publish":
            assert job.get("environment"), f"{name} assumes a role without an environment that names it"
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), f"{name}: a value in a script is code; give it by env"
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), f"{name}: {step['uses']} is not pinned"
                assert not step["uses"].startswith("actions/checkout") or step["with"]["persist-credentials"] is False, name


def test_the_scanner_has_no_token():
    for path in FILES:
        for name, job in workflow(path)["jobs"].items():
            if any("trivy" in step.get("uses", "") for step in job["steps"]):
                assert job["permissions"] == {"contents": "read"} and "secrets." not in str(job), name


def test_workflows_call_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)) | LATER
    for path in FILES:
        for job in workflow(path)["jobs"].values():
            for step in job["steps"]:
                for called in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                    assert called in targets, f"{path.name}: make {called}"
