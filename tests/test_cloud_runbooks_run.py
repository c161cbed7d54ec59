"The commands of the runbooks, run: ragwb on a data folder, make and infra/cloud.py against stand-ins of cluster and account, aws s3api against a real S3 server."

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from botocore import xform_name
from click.testing import CliRunner
from cloud import ROOT, rendered, run, tool
from test_cloud_deploy import GOOD, LATER, STAND_IN, Cluster
from test_cloud_runbooks import ALL, PAGES, commands
from test_infra import IMAGE, Kept, Paper, Pods

from infra import cloud
from ragwb.cli import main
from ragwb.config import PipelineConfig
from ragwb.emulator.s3 import S3Server
from ragwb.operations.config_registry import Registry
from ragwb.settings import Settings
from ragwb.workbench import Workbench

pytestmark = pytest.mark.slow
DOCS = ROOT / "experiments/data/sample/docs"
# What no machine without an account and a cluster can run; tests/test_cloud_runbooks.py holds each against the program that it calls.
NEEDS = {
    "kubectl get": "a cluster", "kubectl create ": "a cluster",
    "kubectl describe": "a cluster", "kubectl rollout": "a cluster", "kubectl annotate": "a cluster with External Secrets",
    "aws secretsmanager": "an account", "aws ce": "an account", "aws budgets": "an account",
    "python infra/cloud.py unlock": "a lock that a killed run left: tests/test_cloud_locks.py frees one", "export ": "only the shell of the reader",
    "make cloud-tools": "a package registry: CI runs it", "ray start": "nodes of a cluster: tests/test_ray.py starts two",
    "ragwb ingest s3://my-documents/incoming --engine ray": "such a cluster and a bucket: tests/test_ray.py has both",
}  # fmt: skip
RUN = [each for each in ALL if not str(each.values[0]).startswith(tuple(NEEDS))]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    "A data folder with two collections, a tag, an alias that was moved twice, and a key whose id is ID."
    settings = Settings(home=tmp_path_factory.mktemp("data"), workers=1)
    workbench = Workbench(settings)
    for name in ("default", "handbook"):
        workbench.ingest_files([("leave.md", b"# Leave\n\nFull-time employees get 30 days of annual leave.\n")], name)
    registry = Registry(workbench.store.objects)
    for seen, threshold in enumerate((0.1, 0.2)):
        registry.move("production", registry.add(replace(PipelineConfig(), refusal_threshold=threshold)), seen)
    workbench.ask("How many days of annual leave do I get?")
    yield settings


def ragwb(settings: Settings, words: list[str]) -> str:
    "A command on the data folder."
    done = CliRunner().invoke(main, words, env={"RAGWB_HOME": str(settings.home), "RAGWB_WORKERS": "1"})
    assert done.exit_code == 0, done.output
    return done.output


def in_data_folder(settings: Settings, command: str) -> str:
    "A command of a page, with a real id and a time at which there was something."
    if " ID" in command:
        made = json.loads(ragwb(settings, ["keys", "create", f"of-{command.split()[2]}", "--json"]))
        command = command.replace(" ID", f" {made['id']}")
    if "restore" in command and "--tag" in command:
        ragwb(settings, ["documents", "tag", "reviewed-november"])
    now = datetime.now(UTC).isoformat()
    words = [now if word.startswith("2026-11-24T") else word for word in shlex.split(command)[1:]]
    return ragwb(settings, words)


@pytest.fixture
def at_a_cluster(tmp_path: Path) -> Iterator[Cluster]:
    "A stand-in of a cluster in which an image runs that answers the smoke questions, and a folder in which make runs."
    state = tmp_path / "cluster"
    state.mkdir()
    (state / "kubectl").write_text(STAND_IN.format(python=sys.executable, state=str(state), kubectl=tool("kubectl")))
    (state / "kubectl").chmod(0o755)
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_paths([DOCS])
    made = Cluster(state, workbench)
    shutil.copy(ROOT / "infra/deploy/questions.jsonl", state)
    for name in ("Makefile", "infra", "k8s"):
        (tmp_path / name).symlink_to(ROOT / name)
    yield made
    made.server.shutdown()
    made.server.server_close()


def at_cluster(made: Cluster, command: str, folder: Path) -> str:
    "make deploy or make rollback: the page's own words, but for the address."
    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words if "=" in word)
    (folder / given["DEPLOY_SETTINGS"]).write_text("RAGWB_STORAGE=s3://b/index\nDOCUMENTS=s3://b/documents\nRAGWB_HOSTS=ragwb.example.com\n")
    url = f"URL=http://127.0.0.1:{made.server.server_port}"
    image = f"IMAGE={GOOD}" if "…" in given.get("IMAGE", "") else f"IMAGE={given.get('IMAGE', '')}"
    words = [url if word.startswith("URL=") else image if word.startswith("IMAGE=") else word for word in words if word != "CONFIRM=prod"]
    environment = os.environ | {"PATH": f"{made.state}:{os.environ['PATH']}"} | ({"CONFIRM": "prod"} if "CONFIRM" in given else {})
    done = subprocess.run([*words, f"PYTHON={sys.executable}"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def at_account(command: str) -> str:
    "infra/cloud.py, or what make calls of it, against stacks on paper."
    command = command.replace("sha256:...", IMAGE)
    if command.startswith("make"):
        told = run("make", "--dry-run", "-o", ".venv/.demo", *shlex.split(command)[1:])
        command = next(line for line in told.splitlines() if "infra/cloud.py" in line)
    words = shlex.split(command.partition(" > ")[0])
    asked = cloud.arguments(words[words.index(next(word for word in words if word.endswith("infra/cloud.py"))) + 1:])
    stacks, account, pods = Paper(asked.env), Kept(), Pods()
    account.images.add(asked.image or IMAGE)
    pods.deploy = lambda environment, image, values: pods.told("deploy")  # type: ignore[method-assign]
    with redirect_stdout(said := StringIO()):
        cloud.obey(asked, lambda _: account, lambda *_: stacks, lambda *_: pods)  # type: ignore[arg-type, return-value]
    expected = {"pause": [("compute", "destroy")], "resume": [("compute", "apply")], "plan": [(asked.stack, "plan")], "apply": [(asked.stack, "apply")]}
    assert stacks.done == expected.get(asked.command, []), stacks.done
    return said.getvalue() or "done"


def at_s3(seaweed: S3Server, bucket: str, command: str) -> str:
    "aws s3api as a call of boto3, on a bucket with versions."
    client = seaweed.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"good", b"bad"):
        client.put_object(Bucket=bucket, Key="index/aliases/production/000001.json", Body=body)
    good = client.list_object_versions(Bucket=bucket)["Versions"][-1]["VersionId"]
    words = [word.replace("BUCKET", bucket).replace("ID", good).replace("KEY", "index/aliases/production/000001.json") for word in shlex.split(command)[2:]]
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    members = {f"--{xform_name(name, '-')}": name for name in client.meta.service_model.operation_model(names[words[0]]).input_shape.members}
    told = getattr(client, words[0].replace("-", "_"))(**{members[name]: value for name, value in zip(words[1::2], words[2::2], strict=True)})
    if words[0] == "copy-object":
        assert client.get_object(Bucket=bucket, Key="index/aliases/production/000001.json")["Body"].read() == b"good"
        return "copied"
    return str(len(told["Versions"]))


@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_it_says(command: str, data: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    ways: dict[str, Callable[[], str]] = {
        "ragwb ": lambda: in_data_folder(data, command),
        "python infra/": lambda: at_account(command), "make pause": lambda: at_account(command), "make resume": lambda: at_account(command),
        "aws s3api": lambda: at_s3(request.getfixturevalue("seaweed"), request.getfixturevalue("bucket"), command),
        "kubectl kustomize": lambda: str(len(rendered(command.split()[-1]))),
    }  # fmt: skip
    way = next((way for start, way in ways.items() if command.startswith(start)), None)
    if way is None:
        made: Cluster = request.getfixturevalue("at_a_cluster")
        if "rollback" in command:  # something ran before, and something runs now
            environment = "prod" if "ENV=prod" in command else "dev"
            for image in (GOOD, LATER):
                assert made.run("deploy", environment, "--image", image, CONFIRM="prod").returncode == 0
        assert at_cluster(made, command, tmp_path).strip()
    else:
        assert way().strip(), "it says nothing"


def test_what_is_not_run_has_its_reason() -> None:
    every = [command for page in PAGES for command in commands(page)]
    skipped = [command for command in every if command.startswith(tuple(NEEDS))]
    assert len(RUN) + len(skipped) == len(every) and all(any(command.startswith(start) for command in skipped) for start in NEEDS), "a reason for nothing"
    assert len(RUN) >= 0.6 * len(every), f"{len(RUN)} of {len(every)} are run"
    assert shutil.which("make")
