"The workflows of GitHub Actions: no finding of zizmor and actionlint, least permissions, and nothing in them that cannot be done at a desk."

import re
from typing import Any

import pytest
import yaml
from cloud import ENVIRONMENTS, ROOT, run, tool

FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
GUIDE = ROOT / "nbs/guides/21_first_day_in_an_account.md"
OF_THE_REPOSITORY = {"CLOUD", "IMAGE_ENVIRONMENTS", "DATA_ENVIRONMENT", "DOCUMENTS_FOLDER", "BASE_IMAGE"}  # GitHub knows an environment's own variables only once its job runs


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
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in FILES:
        for job in workflow(path)["jobs"].values():
            for step in job["steps"]:
                for called in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                    assert called in targets, f"{path.name}: make {called}"


def test_a_job_assumes_a_role_that_trusts_its_environment():
    "Terraform makes the roles, and each trusts the tokens of one environment of GitHub: a job of another environment is refused."
    made = set(re.findall(r"^    ([a-z-]+) = {\n      subjects", (ROOT / "infra/modules/github/main.tf").read_text("utf-8"), re.MULTILINE))
    used = set()
    for path in FILES:
        for name, job in workflow(path)["jobs"].items():
            for role in re.findall(r"role-to-assume': '\${{ vars\.(\w+)_ROLE_ARN }}", str(job["steps"])):
                used.add({"IMAGE": "images", "DATA": "data-sync"}.get(role, role.lower()))
                at = job["environment"]
                assert at in ENVIRONMENTS or at.startswith("${{ ") and ("environment" in at or "DATA_ENVIRONMENT" in at), f"{path.stem}/{name}: no role trusts environment {at}"
            told = f"{job.get('if', '')} {job.get('strategy', '')} {job.get('environment', '')}"
            assert set(re.findall(r"vars\.(\w+)", told)) <= OF_THE_REPOSITORY, f"{path.stem}/{name} is decided by a variable that GitHub does not know yet"
    assert used == made, "a role that Terraform does not make, or that nothing assumes"


def test_an_image_is_built_for_the_processors_of_the_nodes():
    told = (ROOT / "infra/modules/eks/variables.tf").read_text("utf-8")
    types = re.findall(r'"([a-z0-9]+)\.\w+"', "".join((ROOT / f"infra/environments/{name}/compute.tfvars").read_text("utf-8") for name in ENVIRONMENTS))
    assert "ARM_64" in re.findall(r'default\s+= "(\w+)"', told[told.index('"ami_type"'):])[0] and types and all(re.fullmatch(r"[a-z]+\dg\w*", each) for each in types)
    assert workflow(FOLDER / "image.yml")["jobs"]["build"]["runs-on"].endswith("-arm")


def test_what_github_must_be_told_is_in_the_guide():
    told = GUIDE.read_text("utf-8")
    every = {name for path in FILES for name in re.findall(r"(?:vars|secrets)\.(\w+)", path.read_text("utf-8"))}
    assert not [name for name in sorted(every) if f"`{name}`" not in told]
