"Terraform without an account: rules of our own over the files, every stack and module through real Terraform, and pause and resume with failures on the way."

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from cloud import rendered
from terraform import ROOT, Terraform, prepared, terraform

from infra import cloud
from infra.cloud import CloudError, Operation, Stacks, arguments, fingerprint, hourly_usd, output, resources
from infra.deploy import release
from ragwb.costs.idle import HOURS, ITEMS, idle

INFRA = ROOT / "infra"
MODULES = sorted(path for path in (INFRA / "modules").iterdir() if path.is_dir())
STACKS = sorted(path for path in (INFRA / "stacks").iterdir() if path.is_dir())
FOLDERS = {path.name: path for path in (*MODULES, *STACKS)}
ACCOUNT, IMAGE = "111122223333", "sha256:" + "a" * 64
TAGS = ("Project", "Environment", "CostCenter", "ManagedBy", "Owner")
PERSISTENT = {"kms", "s3", "ecr", "iam", "secrets", "vpc", "bedrock", "api", "notifications", "cost", "github", "rds"}
EPHEMERAL = {"nat", "eks", "alb", "api_stage", "redis", "monitoring"}
# Of the types that are used, those that AWS cannot tag; test_taggable holds it against the provider's schema.
UNTAGGABLE = set("""
aws_api_gateway_account aws_api_gateway_deployment aws_api_gateway_integration aws_api_gateway_method aws_api_gateway_method_settings aws_api_gateway_resource
aws_api_gateway_usage_plan_key aws_autoscaling_schedule aws_bedrock_guardrail_version aws_ce_cost_allocation_tag aws_cloudwatch_dashboard
aws_ebs_encryption_by_default aws_ecr_lifecycle_policy aws_eks_access_policy_association aws_iam_role_policy aws_iam_role_policy_attachment aws_kms_alias
aws_route aws_route_table_association aws_s3_account_public_access_block aws_s3_bucket_lifecycle_configuration aws_s3_bucket_logging
aws_s3_bucket_ownership_controls aws_s3_bucket_policy aws_s3_bucket_public_access_block aws_s3_bucket_server_side_encryption_configuration
aws_s3_bucket_versioning aws_secretsmanager_secret_version aws_sns_topic_policy aws_sns_topic_subscription aws_wafv2_web_acl_association
""".split())  # fmt: skip


def declared(folder: Path, kind: str = "resource") -> list[tuple[str, str, dict[str, Any]]]:
    "Type, name and body of each block of a kind in a folder."
    found = []
    for path in sorted(folder.glob("*.tf")):
        for block in hcl2.loads(path.read_text("utf-8")).get(kind, []):
            for type_name, named in block.items():
                found += [(type_name.strip('"'), name.strip('"'), body) for name, body in named.items() if isinstance(body, dict)]
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_has_the_same_files(name):
    there = {path.name for path in FOLDERS[name].iterdir() if path.is_file()} - {".terraform.lock.hcl"}
    assert there == {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}
    assert list((FOLDERS[name] / "tests").glob("*.tftest.hcl")), "no terraform test"
    text = (FOLDERS[name] / "variables.tf").read_text("utf-8")
    assert text.count("variable ") == text.count("  type ") == len(re.findall(r"^  description ", text, re.MULTILINE)), "a variable without a type or a description"


@pytest.mark.parametrize("name", FOLDERS)
def test_what_can_be_tagged_is_tagged(name):
    bare = [f"{kind}.{each}" for kind, each, body in declared(FOLDERS[name]) if kind not in UNTAGGABLE and not re.search(r"\b(var|local)\.tags\b", str(body.get("tags", "")))]
    assert not bare, f"without the five tags: {', '.join(bare)}"


def test_the_five_tags_are_given():
    for folder in STACKS:
        text = (folder / "versions.tf").read_text("utf-8")
        assert all(re.search(rf"^    {tag}\s+= ", text, re.MULTILINE) for tag in TAGS), f"{folder.name} lacks one of {', '.join(TAGS)}"


def test_a_star_has_a_reason_beside_it():
    bare = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for path in INFRA.rglob("*.tf") for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            if re.search(r'"(\*|[a-z0-9]+:\*)"', line) and "# why: " not in line]  # fmt: skip
    assert not bare, "a * in a policy without a reason (# why: …):\n" + "\n".join(bare)


def test_the_index_is_under_no_lifecycle_rule():
    text = (INFRA / "stacks/foundation/main.tf").read_text("utf-8")
    ruled = re.findall(r'"([a-z/]+/)" += (?:\{ infrequent|var\.log)', text) + re.findall(r'expire = \{ "([a-z]+/)"', text)
    assert {"documents/", "reports/"} <= set(ruled) and not [prefix for prefix in ruled if "lancedb" in prefix or prefix.startswith("index")]
    whole = [body for kind, _, body in declared(INFRA / "modules/s3") if kind == "aws_s3_bucket_lifecycle_configuration"][0]["rule"]
    assert len(whole) == 1 and "transition" not in whole[0] and "expiration" not in whole[0], "the rule for all of the bucket may end only former versions"


def test_what_lasts_and_what_is_paused_are_apart():
    used = {stack.name: {re.sub(r".*/", "", body["source"].strip('"')) for block in hcl2.loads((stack / "main.tf").read_text("utf-8")).get("module", []) for body in block.values()} for stack in STACKS}  # noqa: E501
    assert used["foundation"] == PERSISTENT and used["compute"] == EPHEMERAL
    assert {module.name for module in MODULES} == PERSISTENT | EPHEMERAL
    guarded = {name for name in FOLDERS if any(re.search(r"prevent_destroy = true", path.read_text("utf-8")) for path in FOLDERS[name].glob("*.tf"))}
    assert {"kms", "s3", "ecr", "secrets", "rds"} <= guarded and not guarded & EPHEMERAL, "prevent_destroy would stop a pause"


def networks() -> dict[str, str]:
    "The network of each environment."
    return {name: re.search(r'vpc_cidr\s+= "(.*)"', (INFRA / "environments" / name / "foundation.tfvars").read_text("utf-8"))[1] for name in cloud.ENVIRONMENTS}


def test_environments_name_the_same_and_apart():
    states, found = set(), networks()
    for name in cloud.ENVIRONMENTS:
        folder = INFRA / "environments" / name
        assert cloud.settings_of(name)["environment"] == name
        for stack in cloud.STACKS:
            text = (folder / f"{stack}.backend.hcl").read_text("utf-8")
            assert "use_lockfile = true" in text and "dynamodb" not in text
            states.add(re.search(r'key\s+= "(.*)"', text)[1])
        assert not re.search(r"\b\d{12}\b", "".join(path.read_text("utf-8") for path in folder.iterdir())), "the number of an account is in the repository"
    assert len(states) == 6 and len(set(found.values())) == 3
    for name in found:
        text = (INFRA / "environments" / name / "foundation.tfvars").read_text("utf-8")
        assert all(found[other] in text for other in found if other != name), f"{name} does not know the networks of the others"


# ---- through Terraform


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    "A copy of infra/ whose states are files."
    folder = tmp_path_factory.mktemp("cloud") / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns(".terraform*", "__pycache__"))
    for stack in ("bootstrap", "foundation", "compute"):
        (folder / "stacks" / stack / "desk_override.tf").write_text(f'terraform {{\n  backend "local" {{\n    path = "{folder / stack}.tfstate"\n  }}\n}}\n')
    return folder


@pytest.fixture(scope="module")
def tool(checkout):
    with terraform(checkout) as running:
        running.environment["TF_CLI_ARGS"] = "-no-color"
        yield running


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
    return done.stdout


@pytest.mark.slow
def test_formatted(tool):
    assert succeeded(tool.run(INFRA, "fmt -recursive -check -list=true")) == ""


@pytest.mark.slow
def test_taggable():
    schema = json.loads((prepared() / "aws.json").read_text())["resource"]
    used = {kind for folder in FOLDERS.values() for kind, *_ in declared(folder)}
    assert {kind for kind in used if "tags" not in schema[kind]} == UNTAGGABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_folder_is_valid_and_passes_its_own_tests(tool, tmp_path, name):
    shutil.copytree(INFRA, tmp_path / "infra", ignore=shutil.ignore_patterns(".terraform*", "__pycache__"))
    folder = tmp_path / "infra" / FOLDERS[name].relative_to(INFRA)
    for command in ("init -backend=false -input=false", "validate"):
        succeeded(tool.run(folder, command))
    said = succeeded(tool.run(folder, "test"))
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", said), said


class Desk(Stacks):
    "Stacks whose states are files, run by the Terraform of the tests."

    tool: Terraform

    def execute(self, stack, arguments, variables, shown):
        done = self.tool.run(self.infra / "stacks" / stack, " ".join(arguments), **variables)
        return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def backend(self, stack):
        return []

    def state(self, stack):
        path = self.infra / f"{stack}.tfstate"
        return path.read_bytes() if path.exists() else b""

    def foundation_state(self):
        return {"backend": "local", "config": {"path": str(self.infra / "foundation.tfstate")}}


class Kept:
    "An account that keeps notes and knows what was left behind."

    def __init__(self, cluster: bool = True):
        self.notes: dict[str, Any] = {}
        self.left: list[str] = []
        self.cluster, self.images = cluster, {IMAGE}
        self.short: list[str] = []

    def number(self):
        return ACCOUNT

    def leftovers(self, environment):
        return list(self.left)

    def has_cluster(self, name):
        return self.cluster

    def short_of(self, asked):
        return self.short if asked["nodes"] else ["no nodes"]

    def has_image(self, repository, digest):
        return digest in self.images

    def note(self, bucket, environment):
        return json.loads(json.dumps(self.notes))

    def write_note(self, bucket, environment, note):
        self.notes = note


class Pods:
    "A cluster that notes what it is told, and fails where it shall."

    def __init__(self):
        self.done: list[str] = []
        self.fails = ""
        self.answer: dict[str, Any] = {"answer": "30 days", "citations": [{"document": "leave.md"}], "refused": False}

    def told(self, what: str) -> None:
        if self.fails == what:
            self.fails = ""
            raise CloudError(f"{what} failed")
        self.done.append(what)

    def detach(self):
        self.told("detach")

    def prepare(self, environment, vpc):
        assert vpc
        self.told("prepare")

    def deploy(self, environment, image, values):
        assert image.endswith(f"@{IMAGE}") and values["RAGWB_STORAGE"].startswith("s3://") and values["RAGWB_HOSTS"]
        assert values["FORWARDED_ALLOW_IPS"] == networks()[environment]
        self.told("deploy")

    def ask(self, question):
        self.told("ask")
        return self.answer


def operation(stacks: Any, account: Any, pods: Any) -> tuple[Operation, list[str]]:
    said: list[str] = []
    return Operation(stacks, account, pods, said.append, iter(range(0, 10**9, 60)).__next__), said


@pytest.mark.slow
@pytest.mark.parametrize("environment", cloud.ENVIRONMENTS)
def test_stacks_apply_and_plan_nothing_more(tool, checkout, environment, capsys):
    desk = Desk(environment, ACCOUNT, checkout)
    desk.tool = tool
    for stack in ("compute", "foundation"):
        (checkout / f"{stack}.tfstate").unlink(missing_ok=True)
    desk.change("foundation", "apply", github_subject_prefix="repo:org@1/ragwb@2", state_key_arn="arn:aws:kms:us-east-1:111122223333:key/k", shared_mlflow="true")
    desk.change("compute", "apply", image_digest=IMAGE)
    for stack, more in (("foundation", {"github_subject_prefix": "repo:org@1/ragwb@2", "state_key_arn": "arn:aws:kms:us-east-1:111122223333:key/k", "shared_mlflow": "true"}),
                        ("compute", {"foundation_state": desk.foundation_state(), "image_digest": IMAGE})):  # fmt: skip
        again = tool.run(checkout / "stacks" / stack, " ".join(["plan -input=false -detailed-exitcode", *desk.files(stack)]), account_id=ACCOUNT, **more)
        assert again.returncode == 0, f"{stack} is not what was applied:\n{again.stdout[-3_000:]}{again.stderr}"
    state = desk.state("foundation")
    check_tags([*resources(state), *resources(desk.state("compute"))], environment)
    check_policies(state)
    refused = tool.run(checkout / "stacks/foundation", " ".join(["destroy -auto-approve -input=false", *desk.files("foundation")]), account_id=ACCOUNT)
    assert refused.returncode and "prevent_destroy" in refused.stderr and resources(desk.state("foundation")) == resources(state)
    prices = json.loads((INFRA / "prices.json").read_text("utf-8"))
    expected = idle(environment)
    running = sum(usd for thing, usd in expected.compute.items() if thing != "ingested logs")
    assert HOURS * sum(hourly_usd(desk.state("compute"), prices).values()) == pytest.approx(running, rel=0.01), "README and `ragwb cost estimate` say another sum than the plan"
    lasts = hourly_usd(state, {"hour_usd": {}, "month_usd": prices["month_usd"]})
    assert HOURS * sum(lasts.values()) == pytest.approx(expected.foundation["key"] + expected.foundation["secret"])
    desk.change("compute", "destroy", image_digest=IMAGE)
    assert not resources(desk.state("compute"))


def check_tags(found: list[tuple[str, dict[str, Any]]], environment: str) -> None:
    bare = [kind for kind, each in found if kind not in UNTAGGABLE and not (all((each["tags"] or {}).get(tag) for tag in TAGS) and each["tags"]["Environment"] == environment)]
    assert len(found) > 90 and not bare, f"without the five tags: {bare}"


def statements(policy: str) -> list[dict[str, Any]]:
    return [each | {"Action": [each["Action"]] if isinstance(each["Action"], str) else each["Action"]} for each in json.loads(policy)["Statement"]]


def check_policies(state: bytes) -> None:
    "What the roles may do, read from what was applied."
    roles = {each["role"]: statements(each["policy"]) for kind, each in resources(state) if kind == "aws_iam_role_policy"}
    assert len(roles) == 12  # the shared MLflow's among them
    by_name = {each["name"]: statements(each["policy"]) for kind, each in resources(state) if kind == "aws_iam_role_policy"}
    for name, said in by_name.items():
        allowed = [action for each in said if each["Effect"] == "Allow" for action in each["Action"]]
        assert not [action for action in allowed if "*" in action], f"{name} is allowed a whole service"
        assert name == "compute" or not [action for action in allowed if re.match(r"(iam|kms:(Schedule|Disable|Put)|s3:DeleteBucket|s3:DeleteObjectVersion|ecr:Delete|secretsmanager:Delete)", action)], name  # noqa: E501
    (denied,) = [each for each in by_name["api"] if each["Effect"] == "Deny"]
    assert "bedrock:InvokeModel" in denied["Action"] and "bedrock:GuardrailIdentifier" in str(denied["Condition"])
    assert all("amazon.nova" in arn or "inference-profile" in arn for arn in denied["Resource"]), "embeddings carry no guardrail: a Deny over them would stop every question"
    writes = [arn for each in by_name["ingest"] if "s3:PutObject" in each["Action"] for arn in each["Resource"]]
    assert any("index/lancedb/" in arn for arn in writes) and not any(arn.endswith(":::*") for arn in writes)
    tracked = [each["Resource"] for each in by_name["mlflow"] if "s3:PutObject" in each["Action"]]
    assert len(tracked) == 1 and tracked[0].endswith("/mlflow/*"), "MLflow writes elsewhere in the bucket"
    kept = next(each for each in by_name["compute"] if each.get("Sid") == "KeepWhatLasts")
    assert {"s3:DeleteBucket", "ecr:DeleteRepository", "secretsmanager:DeleteSecret", "kms:ScheduleKeyDeletion"} <= set(kept["Action"]) and kept["Effect"] == "Deny"
    trusts = [each["assume_role_policy"] for kind, each in resources(state) if kind == "aws_iam_role" and "-github-" in each["name"]]
    assert len(trusts) == 7 and all('"token.actions.githubusercontent.com:sub":["repo:org@1/ragwb@2:' in trust and "StringLike" not in trust for trust in trusts)


@pytest.mark.slow
def test_ten_rounds_of_pause_and_resume_with_failures(tool, checkout):
    desk, account, pods = Desk("dev", ACCOUNT, checkout), Kept(), Pods()
    desk.tool = tool
    for stack in ("compute", "foundation"):
        (checkout / f"{stack}.tfstate").unlink(missing_ok=True)
    desk.change("foundation", "apply")
    before = (checkout / "foundation.tfstate").read_bytes()
    operation(desk, account, pods)[0].resume(IMAGE, ["How many days of leave?"])
    running = sorted(kind for kind, _ in resources(desk.state("compute")))
    assert "aws_eks_cluster" in running
    broken = 0
    for number in range(10):
        for what in ("pause", "resume"):
            asked, said = operation(desk, account, pods)
            tool.fail_after(3 * number) if number % 3 else setattr(pods, "fails", "detach" if what == "pause" else "deploy")
            with pytest.raises(CloudError):
                getattr(asked, what)()
            broken += 1
            assert (checkout / "foundation.tfstate").read_bytes() == before and account.notes["done"] is False
            asked, said = operation(desk, account, pods)
            getattr(asked, what)()
            assert any("begun before" in line for line in said) and any("minutes" in line for line in said)
            assert (checkout / "foundation.tfstate").read_bytes() == before, f"round {number}: {what} changed what lasts"
            assert sorted(kind for kind, _ in resources(desk.state("compute"))) == ([] if what == "pause" else running)
            assert account.notes["done"] and account.notes["image_digest"] == IMAGE
    assert broken == 20


# ---- pause and resume, without Terraform


class Paper:
    "Stacks on paper: what they hold, and what was done to them."

    bucket = "states"

    def __init__(self, environment: str = "dev"):
        self.infra = INFRA
        self.environment, self.settings, self.done = environment, {"project": "ragwb", "region": "us-east-1"}, []
        instance = {"attributes": {"scaling_config": [{"desired_size": 2}], "capacity_type": "ON_DEMAND", "instance_types": ["m7g.large"]}}
        self.full = [{"mode": "managed", "type": "aws_eks_cluster", "instances": [{"attributes": {}}]}, {"mode": "managed", "type": "aws_eks_node_group", "instances": [instance]}]
        self.states = {"foundation": {"outputs": {"vpc_id": {"value": "vpc-1"}, "repositories": {"value": {"serve": "registry/ragwb-dev/serve"}}, "environment": {"value": {"RAGWB_STORAGE": "s3://b/index"}}}, "resources": []},  # noqa: E501
                       "compute": {"outputs": self.outputs(IMAGE), "resources": self.full}}  # fmt: skip

    def outputs(self, image):
        values = {"RAGWB_HOSTS": "ragwb-1.elb.amazonaws.com", "FORWARDED_ALLOW_IPS": networks()[self.environment]}
        return {"image_digest": {"value": image}, "environment": {"value": values}}

    def state(self, stack):
        return json.dumps(self.states[stack]).encode() if self.states[stack] else b""

    def run(self, *words):
        self.done.append(words)

    def change(self, stack, action, **variables):
        self.done.append((stack, action))
        outputs = self.outputs(variables.get("image_digest", "")) if action == "apply" else {}
        self.states[stack] = {"outputs": outputs, "resources": self.full if action == "apply" else []}


def test_pause_and_resume():
    stacks, account, pods = Paper(), Kept(), Pods()
    asked, said = operation(stacks, account, pods)
    asked.pause()
    assert stacks.done == [("compute", "destroy")] and pods.done == ["detach"] and account.notes["image_digest"] == IMAGE and "$0.00 an hour" in said[-1]
    asked.pause()  # twice: nothing to do
    assert len(stacks.done) == 1 and said[-1] == "dev has no compute: nothing to destroy"
    asked.resume(questions=["How many days of leave?"])
    assert stacks.done[1:] == [("compute", "apply")] and pods.done == ["detach", "prepare", "deploy", "ask"] and "30 days" in "".join(said)


def test_a_pause_that_ended_after_the_destruction_is_finished():
    stacks, account, pods = Paper(), Kept(), Pods()
    account.left = ["arn:aws:ec2:us-east-1:111122223333:volume/vol-1"]
    asked, said = operation(stacks, account, pods)
    with pytest.raises(CloudError, match="1 things that may cost are left in dev.*\n.*vol-1"):
        asked.pause()
    assert account.notes["done"] is False
    account.left, account.cluster = [], False
    asked.pause()
    assert account.notes["done"] and any("begun before" in line for line in said) and pods.done == ["detach"], "a cluster that is gone is not asked"


def test_pause_says_what_lasts_has_changed():
    stacks, account, pods = Paper(), Kept(), Pods()
    pods.detach = lambda: stacks.states["foundation"].update(serial=2)
    with pytest.raises(CloudError, match="foundation's state of dev changed meanwhile"):
        operation(stacks, account, pods)[0].pause()


def test_pause_says_what_terraform_left():
    stacks = Paper()
    stacks.change = lambda *_, **__: None
    with pytest.raises(CloudError, match="2 resources are left in compute's state: aws_eks_cluster, aws_eks_node_group"):
        operation(stacks, Kept(), Pods())[0].pause()


def test_prod_is_paused_only_if_it_is_said():
    stacks = Paper("prod")
    for confirm in ("", "yes", "dev"):
        with pytest.raises(CloudError, match="CONFIRM=prod"):
            operation(stacks, Kept(), Pods())[0].pause(confirm)
    assert not stacks.done
    operation(stacks, Kept(), Pods())[0].pause("prod")
    assert stacks.done == [("compute", "destroy")]


def test_resume_refuses_what_cannot_run():
    stacks, account = Paper(), Kept()
    stacks.states["compute"] = {}
    with pytest.raises(CloudError, match="which image runs on dev is not known: name it with --image"):
        operation(stacks, account, Pods())[0].resume()
    with pytest.raises(CloudError, match="there is no image sha256:b{64} in registry/ragwb-dev/serve: nothing was started"):
        operation(stacks, account, Pods())[0].resume("sha256:" + "b" * 64)
    assert not stacks.done
    stacks.states["foundation"] = {}
    with pytest.raises(CloudError, match="dev has no foundation yet"):
        operation(stacks, account, Pods())[0].resume(IMAGE)


def test_a_quota_that_is_too_small_stops_a_resume_before_it_begins():
    stacks, account = Paper(), Kept()
    stacks.states["compute"], account.short = {}, ["18 vCPUs of Spot instances are needed, 8 are allowed and 0 in use (quota L-34B43A08)"]
    with pytest.raises(CloudError, match="quotas are too small for dev, nothing was started: 18 vCPUs.*request-service-quota-increase"):
        operation(stacks, account, Pods())[0].resume(IMAGE)
    assert not stacks.done
    account.short = []
    operation(stacks, account, Pods())[0].resume(IMAGE)
    assert stacks.done == [("compute", "apply")]


def test_what_environments_want_of_the_quotas():
    assert cloud.wanted("dev") == {"type": "t4g.large", "nodes": 3, "spot": True, "addresses": 1}
    assert cloud.wanted("prod") == {"type": "m7g.large", "nodes": 9, "spot": False, "addresses": 3}


def test_a_wrong_region_and_a_missing_value_are_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cloud, "Account", None)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert cloud.main(["pause", "--env", "dev"]) == 1
    assert "dev is in us-east-1, and AWS_REGION says eu-central-1: unset AWS_REGION" in capsys.readouterr().err
    monkeypatch.delenv("AWS_REGION")
    folder = tmp_path / "infra/environments/dev"
    folder.mkdir(parents=True)
    (folder / "common.tfvars").write_text('environment = "dev"\nregion = "us-east-1"\n')
    (folder / "compute.tfvars").write_text('instance_types = ["m7g.large"]\n')
    with pytest.raises(CloudError, match='infra/environments/dev/common.tfvars names no owner, cost_center: add a line such as owner = '):
        cloud.settings_of("dev", tmp_path / "infra")
    with pytest.raises(CloudError, match="compute.tfvars names no nodes"):
        cloud.wanted("dev", tmp_path / "infra")


@pytest.mark.slow
@pytest.mark.parametrize(("given", "says"), [
    ({"owner": ""}, 'No value for required variable.*variable "owner"'), ({"region": '"mars-north-1"'}, "region"), ({"environment": '"qa"'}, "environment"),
    ({"vpc_cidr": '"10.21.0.0/17"'}, "10.21.0.0/17 overlaps with one of"), ({"vpc_cidr": '"10.20.0.0/8"'}, "cidr"),
])  # fmt: skip
def test_wrong_values_of_an_environment_stop_a_plan(tool, checkout, tmp_path, given, says):
    shutil.copytree(checkout, tmp_path / "infra", ignore=shutil.ignore_patterns("*.tfstate*"))
    for name, value in given.items():
        for path in (tmp_path / "infra/environments/dev").glob("*.tfvars"):
            line = f"{name} = {value}" if value else ""
            path.write_text(re.sub(rf"^{name}\s*=.*$", line, path.read_text(), flags=re.MULTILINE))
    desk = Desk("dev", ACCOUNT, checkout)
    desk.tool, desk.infra = tool, tmp_path / "infra"
    with pytest.raises(CloudError, match=re.compile(says, re.DOTALL)):
        desk.change("foundation", "plan")


@pytest.mark.parametrize("answer", [{"refused": True, "citations": []}, {"answer": "30", "citations": [], "refused": False}])
def test_a_resume_without_answers_is_not_done(answer):
    account, pods = Kept(), Pods()
    pods.answer = answer
    with pytest.raises(CloudError, match="got no answer with a source"):
        operation(Paper(), account, pods)[0].resume(IMAGE, ["How many days?"])
    assert account.notes["done"] is False


@pytest.mark.parametrize(("given", "says"), [
    (["pause", "--env", "production"], "environment 'production' is unknown; there are dev, staging, prod"),
    (["resume"], "environment '' is unknown"),
    (["destroy", "foundation", "--env", "dev"], "foundation holds documents, index, keys and secrets and is not destroyed from here"),
    (["destroy", "--env", "dev"], "make pause ENV=dev"),
    (["resume", "--env", "dev", "--image", "v1"], "--image v1: sha256: and 64 hexadecimal digits"),
])  # fmt: skip
def test_wrong_commands_say_what_to_do(given, says, capsys, monkeypatch):
    monkeypatch.setattr(cloud, "Account", None)  # no credentials are looked for
    assert cloud.main(given) == 1
    assert says in capsys.readouterr().err


def test_commands_reach_the_operation(capsys):
    stacks, account, pods = Paper(), Kept(), Pods()
    given = {"account_of": lambda _: account, "stacks_of": lambda *_: stacks, "cluster_of": lambda *_: pods}
    for command in (["pause", "--env", "dev"], ["resume", "--env", "dev"], ["status", "--env", "dev"]):
        cloud.obey(arguments(command), **given)
    assert stacks.done == [("compute", "destroy"), ("compute", "apply")]
    assert "dev: running" in capsys.readouterr().out
    cloud.obey(arguments(["settings", "--env", "dev"]), **given)
    assert capsys.readouterr().out == "FORWARDED_ALLOW_IPS=10.20.0.0/16\nRAGWB_HOSTS=ragwb-1.elb.amazonaws.com\nRAGWB_STORAGE=s3://b/index\n"
    stacks.states["compute"] = {}
    with pytest.raises(CloudError, match="the state of compute names no values"):
        cloud.obey(arguments(["settings", "--env", "dev"]), **given)
    cloud.obey(arguments(["outputs", "foundation", "--env", "dev"]), **given)
    assert json.loads(capsys.readouterr().out)["vpc_id"] == "vpc-1"
    with pytest.raises(CloudError, match="which lock. --lock ID"):
        cloud.obey(arguments(["unlock", "--env", "dev"]), **given)
    cloud.obey(arguments(["unlock", "foundation", "--env", "dev", "--lock", "ID"]), **given)
    assert stacks.done[-1] == ("foundation", "force-unlock", "-force", "ID")


def test_a_deployment_takes_every_value_that_the_stacks_name():
    named = {name for stack in cloud.STACKS for name in re.findall(r"^ +([A-Z][A-Z_]+) += ", (INFRA / "stacks" / stack / "outputs.tf").read_text("utf-8"), re.MULTILINE)}
    assert {"RAGWB_STORAGE", "RAGWB_KMS_KEY", "RAGWB_HOSTS", "FORWARDED_ALLOW_IPS"} <= named and named >= release.NEEDED
    assert not named ^ release.SETTINGS, "make deploy would refuse what infra/cloud.py settings prints"


def test_an_hour_is_added_up():
    prices = json.loads((INFRA / "prices.json").read_text("utf-8"))["hour_usd"]
    hour = hourly_usd(Paper().state("compute"), {"hour_usd": prices, "month_usd": {}})
    assert hour == pytest.approx({"aws_eks_cluster": 0.10, "aws_eks_node_group": 2 * (prices["instances"]["m7g.large"] + 40 * prices["gp3_gb"])})
    assert hourly_usd(b"", {"hour_usd": prices, "month_usd": {}}) == {} and output(b"", "image_digest") is None and fingerprint(b'{"serial": 1}') != fingerprint(b'{"serial": 2}')


def test_both_price_tables_say_the_same_and_that_they_are_to_be_checked():
    prices = json.loads((INFRA / "prices.json").read_text("utf-8"))
    hour, month = prices["hour_usd"], prices["month_usd"]
    same = {"eks": hour["aws_eks_cluster"], "nat": hour["aws_nat_gateway"], "address": hour["aws_eip"], "balancer": hour["aws_lb"],
            "node": hour["instances"]["m7g.large"], "spot node": hour["instances"]["t4g.large"] * hour["spot_share"],
            "alarm": round(730 * hour["alarm"], 2), "key": month["aws_kms_key"], "secret": month["aws_secretsmanager_secret"]}  # fmt: skip
    assert {name: ITEMS[name].usd for name in same} == pytest.approx(same) and "from general knowledge" in prices["source"]
    assert ITEMS["disk"].usd == pytest.approx(HOURS * hour["gp3_gb"], rel=0.01)


def test_terraform_errors_say_what_to_do():
    stacks = Stacks("dev", ACCOUNT)
    stacks.execute = lambda stack, arguments, *_: (1, "Error: no bucket")
    with pytest.raises(CloudError, match="terraform init of compute failed in dev; run the same command again.*\nError: no bucket"):
        stacks.state("compute")
    assert f"-backend-config=bucket=ragwb-state-{ACCOUNT}-us-east-1" in stacks.backend("compute")


def checkov(config: Path, *options: str | Path) -> None:
    "No finding without a reason. Installed beside the project, since it pins what the project needs newer: make cloud-check."
    program = ROOT / ".venv-cloud/bin/checkov"
    if not program.exists():
        pytest.skip("checkov is not installed: make cloud-check")
    done = subprocess.run([program, *options, "--skip-download", "--quiet", "--compact", "-o", "json", "--config-file", config], capture_output=True, text=True)
    told = json.loads(done.stdout)
    found = told if isinstance(told, list) else [told]
    assert sum(each.get("summary", each)["passed"] for each in found) > 20, done.stderr
    failed = [f"{each['check_id']} {each['resource']} {each['check_name']}" for one in found for each in one.get("results", {}).get("failed_checks", [])]
    assert not failed, "\n".join(failed)
    bare = [line for line in config.read_text("utf-8").splitlines() if "CKV" in line and "# " not in line]
    assert not bare, f"a skip without a reason: {bare}"


@pytest.mark.slow
def test_checkov_finds_nothing_in_terraform():
    checkov(INFRA / "checkov.yaml", "-d", INFRA, "--framework", "terraform")


@pytest.mark.slow
def test_checkov_finds_nothing_in_the_overlays(tmp_path):
    for folder in (*(f"overlays/{environment}" for environment in cloud.ENVIRONMENTS), "overlays/local", "monitoring"):
        (tmp_path / f"{folder.replace('/', '-')}.yaml").write_text(yaml.safe_dump_all(rendered(f"k8s/{folder}")))
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s", prefix=".test-") as folder:  # what no overlay has by itself
        components = [f"../components/{name}" for name in ("drift", "mlflow", "ray")]
        Path(folder, "kustomization.yaml").write_text(json.dumps({"kind": "Kustomization", "namespace": "ragwb", "resources": ["../base"], "components": components}))
        (tmp_path / "components.yaml").write_text(yaml.safe_dump_all(rendered(folder)))
    checkov(ROOT / "k8s/checkov.yaml", "-d", tmp_path, "--framework", "kubernetes")


@pytest.mark.slow
def test_checkov_finds_nothing_in_the_image_and_the_workflows():
    checkov(ROOT / "k8s/checkov.yaml", "-f", INFRA / "image/Dockerfile", "--framework", "dockerfile")
    checkov(ROOT / "k8s/checkov.yaml", "-d", ROOT / ".github/workflows", "--framework", "github_actions")
