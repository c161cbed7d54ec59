"Deployment and roll-back as they run for real, against local servers: kubectl is a stand-in that starts the server of the image it is given, a good one or a broken one."

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cloud import ROOT, tool
from fastapi.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.cli import main
from ragwb.config import PipelineConfig
from ragwb.emulator.s3 import S3Server
from ragwb.indexing.schema import describe, schema
from ragwb.settings import Settings
from ragwb.workbench import Workbench

SCRIPT = ROOT / "infra/deploy/release.py"
GOOD, BAD, LATER = (f"ecr/ragwb@sha256:{digit * 64}" for digit in "abc")
# Keeps what is applied in a folder; everything else that is asked of a cluster is answered from there. `kustomize` is the real one.
STAND_IN = """#!{python}
import json, os, subprocess, sys, yaml
from pathlib import Path
state, words = Path({state!r}), sys.argv[1:]
(state / "log").open("a").write(" ".join(words) + "\\n")
if words[0] == "kustomize":
    sys.exit(subprocess.run([{kubectl!r}, *words]).returncode)
if words[0] == "apply":
    for each in yaml.safe_load_all(sys.stdin.read()):
        (state / (each["kind"] + "-" + each["metadata"]["name"])).write_text(json.dumps(each))
elif words[:2] == ["get", "deployment"]:
    path = state / "Deployment-ragwb-api"
    print(json.loads(path.read_text())["spec"]["template"]["spec"]["containers"][0]["image"] if path.exists() else "")
elif words[:2] == ["get", "configmap"]:
    path = state / "ConfigMap-ragwb-release"
    print(path.read_text() if path.exists() else "")
elif words[:2] == ["get", "pods"]:
    print((state / "pods").read_text() if (state / "pods").exists() else "")
elif words[:2] == ["get", "rollout"]:
    print((state / "canary").read_text() if (state / "canary").exists() else "")
elif words[0] == "logs":
    print((state / "logs").read_text())
elif words[0] in ("rollout", "wait") and (state / "stuck").exists():
    image = json.loads((state / "Deployment-ragwb-api").read_text())["spec"]["template"]["spec"]["containers"][0]["image"]
    if (state / "stuck").read_text() == image:
        sys.exit("error: timed out waiting for the condition")
"""


class Cluster:
    "A folder with what was applied, and a server that answers as the image in it would."

    def __init__(self, state: Path, workbench: Workbench):
        self.state, self.client = state, TestClient(create_api(workbench), base_url="http://127.0.0.1")
        self.broken = "/v1/query"  # what the image BAD does not do
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
                reply = cluster.client.request(self.command, self.path, content=body, headers=headers)
                broken = cluster.image == BAD and self.path == cluster.broken
                content = b'{"detail": "the model is gone"}' if broken else reply.content
                self.send_response(503 if broken else reply.status_code)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                "Quiet."

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def image(self) -> str:
        path = self.state / "Deployment-ragwb-api"
        return json.loads(path.read_text())["spec"]["template"]["spec"]["containers"][0]["image"] if path.exists() else ""

    @property
    def release(self) -> dict[str, str]:
        return dict(json.loads((self.state / "ConfigMap-ragwb-release").read_text())["data"])

    def run(self, act: str, environment: str = "dev", *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        questions = self.state / "questions.jsonl"
        if not questions.exists():
            questions.write_text('{"question": "How many days of annual leave do I get?", "expect": "30"}\n')
        command = [sys.executable, str(SCRIPT), act, environment, "--url", f"http://127.0.0.1:{self.server.server_port}", "--questions", str(questions), *more]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.state, env=os.environ | {"PATH": f"{self.state}:{os.environ['PATH']}"} | variables)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    state = tmp_path / "cluster"
    state.mkdir()
    (state / "kubectl").write_text(STAND_IN.format(python=sys.executable, state=str(state), kubectl=tool("kubectl")))
    (state / "kubectl").chmod(0o755)
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_files([("leave.md", b"Full-time employees get 30 days of annual leave.")])
    made = Cluster(state, workbench)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_deployment_by_digest(cluster: Cluster) -> None:
    done = cluster.run("deploy", "dev", "--image", GOOD)
    assert done.returncode == 0, done.stderr
    assert "1 smoke questions answered" in done.stdout and cluster.image == GOOD
    job = json.loads((cluster.state / "CronJob-ragwb-ingest").read_text())
    assert job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == GOOD, "the ingester is of the same image"
    assert cluster.release == {"environment": "dev", "image": GOOD, "previous": "", "state": "deployed"} == json.loads((cluster.state / "release.json").read_text())


def test_what_does_not_answer_is_taken_back(cluster: Cluster) -> None:
    assert cluster.run("deploy", "dev", "--image", GOOD).returncode == 0
    done = cluster.run("deploy", "dev", "--image", BAD)
    assert done.returncode == 1 and "503" in done.stderr and f"rolled back to {GOOD}" in done.stderr
    assert cluster.image == GOOD and cluster.release["state"] == "rolled back"


def test_staging_is_tried_further(cluster: Cluster) -> None:
    "Smoke questions and integration tests; what passes the former alone is taken back."
    done = cluster.run("deploy", "staging", "--image", GOOD)
    assert done.returncode == 0 and "1 smoke questions answered" in done.stdout and "5 integration tests passed" in done.stdout, done.stdout + done.stderr
    cluster.broken = "/v1/query/stream"
    done = cluster.run("deploy", "staging", "--image", BAD)
    assert done.returncode == 1 and "the same answer as a stream: /v1/query/stream said 503" in done.stderr and f"rolled back to {GOOD}" in done.stderr and cluster.image == GOOD


def test_where_there_are_keys_nothing_goes_without_one(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1, host="0.0.0.0"))
    workbench.ingest_files([("leave.md", b"Full-time employees get 30 days of annual leave.")])
    words = ((name, CliRunner().invoke(main, ["keys", "create", name, "--scope", name, "--json"], env={"RAGWB_HOME": str(tmp_path / "home")})) for name in ("admin", "ask"))
    keys = {name: json.loads(done.stdout)["key"] for name, done in words}
    made = Cluster(tmp_path, workbench)
    try:
        done = made.run("integration", "staging", SMOKE_KEY=keys["ask"])
        assert done.returncode == 0 and "8 integration tests passed" in done.stdout, done.stdout + done.stderr
        done = made.run("integration", "staging", SMOKE_KEY=keys["admin"])
        assert done.returncode == 1 and "figures for a key that may only ask: /metrics said 200" in done.stderr
    finally:
        made.server.shutdown()
        made.server.server_close()


def test_pods_that_never_get_ready_are_taken_back(cluster: Cluster) -> None:
    assert cluster.run("deploy", "dev", "--image", GOOD).returncode == 0
    (cluster.state / "stuck").write_text(LATER)
    done = cluster.run("deploy", "dev", "--image", LATER)
    assert done.returncode == 1 and "timed out" in done.stderr and cluster.image == GOOD


def not_ready(cluster: Cluster, state: dict[str, object], logs: str = "") -> None:
    "LATER never gets ready, and its pod is in a state."
    (cluster.state / "stuck").write_text(LATER)
    (cluster.state / "pods").write_text(json.dumps({"items": [{"metadata": {"name": "ragwb-api-1"}, "status": {"containerStatuses": [{"ready": False, **state}]}}]}))
    (cluster.state / "logs").write_text(logs)


def test_a_digest_that_does_not_exist_is_taken_back_and_named(cluster: Cluster) -> None:
    assert cluster.run("deploy", "dev", "--image", GOOD).returncode == 0
    not_ready(cluster, {"state": {"waiting": {"reason": "ImagePullBackOff", "message": f"{LATER}: not found"}}, "restartCount": 0})
    done = cluster.run("deploy", "dev", "--image", LATER)
    assert done.returncode == 1 and f"ImagePullBackOff {LATER}: not found" in done.stderr and f"rolled back to {GOOD}" in done.stderr
    assert cluster.image == GOOD and cluster.release["state"] == "rolled back"


def test_a_failed_migration_is_taken_back_and_its_reason_told(cluster: Cluster, tmp_path: Path) -> None:
    "The index is all that an image can find in another format than its own: it is never ready, and the former image answers again."
    other = Workbench(Settings(home=tmp_path / "other", workers=1))
    other.store.database.connection.create_table("default", schema=schema(3, describe(PipelineConfig()) | {"format": "99"}))
    unready = TestClient(create_api(other), base_url="http://127.0.0.1").get("/readyz")
    assert unready.status_code == 503 and "format 99" in unready.text.replace("is of 99", "format 99")
    assert cluster.run("deploy", "dev", "--image", GOOD).returncode == 0
    not_ready(cluster, {"state": {"running": {}}, "restartCount": 2}, unready.json()["detail"])
    done = cluster.run("deploy", "dev", "--image", LATER)
    assert done.returncode == 1 and f"ragwb-api-1 says: {unready.json()['detail']}" in done.stderr and f"rolled back to {GOOD}" in done.stderr
    assert cluster.image == GOOD


@pytest.mark.parametrize(("status", "says"), [
    ({"phase": "Paused", "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]}, "the canary had no traffic to be judged by"),
    ({"phase": "Degraded", "message": "metric errors assessed Failed"}, "metric errors assessed Failed"),
])
def test_a_canary_that_is_not_healthy_is_taken_back(cluster: Cluster, status: dict[str, object], says: str) -> None:
    assert cluster.run("deploy", "staging", "--image", GOOD).returncode == 0
    (cluster.state / "stuck").write_text(LATER)
    (cluster.state / "canary").write_text(json.dumps({"status": status}))
    done = cluster.run("deploy", "staging", "--image", LATER)
    assert done.returncode == 1 and says in done.stderr and f"rolled back to {GOOD}" in done.stderr and cluster.image == GOOD


def test_a_first_deployment_that_fails_says_so(cluster: Cluster) -> None:
    done = cluster.run("deploy", "dev", "--image", BAD)
    assert done.returncode == 1 and "Nothing ran before" in done.stderr and cluster.release["state"] == "failed"


def test_back_to_the_recorded_digest_by_hand(cluster: Cluster) -> None:
    for image in (GOOD, LATER):
        assert cluster.run("deploy", "dev", "--image", image).returncode == 0
    assert cluster.run("rollback").returncode == 0 and cluster.image == GOOD
    again = cluster.run("rollback")
    assert again.returncode == 1 and "no earlier image is written down" in again.stderr


def test_refusals_change_nothing(cluster: Cluster) -> None:
    wrong = cluster.state / "wrong.env"
    wrong.write_text("RAGWB_STORAGE=s3://b/p\n")
    for arguments, said in (
        (("deploy", "dev", "--image", "ecr/ragwb:latest"), "a tag can be moved"), (("deploy", "qa", "--image", GOOD), "invalid choice"),
        (("deploy", "prod", "--image", GOOD), "CONFIRM=prod"), (("deploy", "dev", "--image", GOOD, "--settings", str(wrong)), "DOCUMENTS, RAGWB_HOSTS is missing"),
    ):  # fmt: skip
        done = cluster.run(*arguments)
        assert done.returncode and said in done.stderr
    assert cluster.image == "" and not [path for path in cluster.state.glob("ConfigMap-*")]


def test_the_accounts_own_values(cluster: Cluster) -> None:
    given = cluster.state / "dev.env"
    given.write_text("# of terraform output\nRAGWB_STORAGE=s3://acme-dev/index\nDOCUMENTS=s3://acme-dev/documents\nRAGWB_HOSTS=ask.acme.example\n")
    assert cluster.run("deploy", "dev", "--image", GOOD, "--settings", str(given)).returncode == 0
    found, = (yaml.safe_load(path.read_text())["data"] for path in cluster.state.glob("ConfigMap-ragwb-*") if path.name != "ConfigMap-ragwb-release")
    assert found["RAGWB_STORAGE"] == "s3://acme-dev/index" and found["RAGWB_PROFILE"] == "aws"


def test_make_says_what_it_lacks_before_it_does_anything() -> None:
    for words, says in (("deploy", "ENV is missing"), ("deploy ENV=dev", "IMAGE is missing"), ("rollback ENV=dev", "URL is missing"), ("data-sync ENV=dev", "FOLDER is missing"),
                        ("data-sync ENV=dev FOLDER=docs", "DOCUMENTS is missing"), ("pause", "ENV is missing"), ("resume", "ENV is missing")):  # fmt: skip
        done = subprocess.run(["make", *words.split()], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2 and says in done.stderr and not done.stdout, done.stdout + done.stderr
    done = subprocess.run([sys.executable, SCRIPT, "smoke", "dev", "--url", "ragwb-dev"], capture_output=True, text=True)
    assert done.returncode == 2 and "an address is needed" in done.stderr


# A job of the ingester is the ingester itself, with the settings of its pod.
INGESTER = """#!{python}
import subprocess, sys
if sys.argv[1:3] == ["create", "job"]:
    sys.exit(subprocess.run([{ragwb!r}, "ingest", {documents!r}, "--delete"]).returncode)
"""


@pytest.mark.slow
def test_data_sync_takes_removed_documents_out_of_the_index(seaweed: S3Server, s3_settings: Settings, tmp_path: Path) -> None:
    "As the workflow runs it: `make data-sync`, a real S3 server, the real ingester; kubectl starts it."
    shutil.copytree(ROOT / "experiments/data/sample/docs", tmp_path / "docs")
    (tmp_path / "docs/secret.md").write_text("# Salary\n\nMs Zyxwvut has a salary of 98765 euros.\n")
    documents, ragwb = f"s3://{s3_settings.storage.split('/')[2]}/documents", str(Path(sys.executable).parent / "ragwb")
    (tmp_path / "kubectl").write_text(INGESTER.format(python=sys.executable, ragwb=ragwb, documents=documents))
    (tmp_path / "kubectl").chmod(0o755)
    for name in ("Makefile", "infra"):
        (tmp_path / name).symlink_to(ROOT / name)
    given = {"RAGWB_STORAGE": s3_settings.storage, "RAGWB_S3_ENDPOINT": s3_settings.s3_endpoint, "RAGWB_HOME": str(tmp_path / "pod"), "RAGWB_WORKERS": "1", "PYTHONPATH": str(ROOT),
             "PATH": f"{tmp_path}:{os.environ['PATH']}"}  # fmt: skip
    workbench = Workbench(s3_settings)
    made = Cluster(tmp_path, workbench)
    venv = Path(sys.prefix)
    words = ["make", "-o", f"{venv}/.demo", "data-sync", f"VENV={venv}", f"PYTHON={sys.executable}", "ENV=dev", f"FOLDER={tmp_path / 'docs'}", f"DOCUMENTS={documents}",
             f"URL=http://127.0.0.1:{made.server.server_port}"]  # fmt: skip

    def data_sync() -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=os.environ | given, capture_output=True, text=True)

    try:
        done = data_sync()
        assert done.returncode == 0 and "2 smoke questions answered" in done.stdout, done.stdout + done.stderr
        assert "98765" in workbench.ask("What salary does Ms Zyxwvut have?").text
        (tmp_path / "docs/secret.md").unlink()
        done = data_sync()
        assert done.returncode == 0 and "secret.md: its file is gone" in done.stdout, done.stdout + done.stderr
        assert workbench.ask("What salary does Ms Zyxwvut have?").refused and "secret.md" not in workbench.store.open("default").hashes()
        keys = [item["Key"] for item in seaweed.client().list_objects_v2(Bucket=documents.split("/")[2])["Contents"]]
        assert not [key for key in keys if b"98765" in seaweed.client().get_object(Bucket=documents.split("/")[2], Key=key)["Body"].read()]
    finally:
        made.server.shutdown()
        made.server.server_close()
