"An MLflow that is shared: its manifests, and the server that they describe, run for real on a PostgreSQL and an S3 server."

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import jsonschema
import pytest
import yaml
from cloud import ROOT, rendered
from servers import free_port

from ragwb.emulator.s3 import S3Server

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="make dev installs it")
CUSTOM = yaml.safe_load((ROOT / "tests/custom_resources.yaml").read_text("utf-8"))
VERSION = "1.37"
ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!cluster-1-x"
POSTGRES = next((Path(path).resolve() for path in (shutil.which("initdb"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)) if path), None)


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], dict[str, Any]]:
    "What an environment with the component deploys."
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s", prefix=".test-") as folder:
        arn = [{"op": "replace", "path": f"/spec/data/{number}/remoteRef/key", "value": ARN} for number in (0, 1)]
        kustomization = {"kind": "Kustomization", "namespace": "ragwb", "resources": ["../overlays/dev"], "components": ["../components/mlflow"],
                         "patches": [{"target": {"kind": "ExternalSecret", "name": "ragwb-mlflow"}, "patch": json.dumps(arn)}],
                         "images": [{"name": "ragwb-workbench", "newName": "registry.example/ragwb-workbench", "digest": f"sha256:{'0' * 64}"}]}  # fmt: skip
        Path(folder, "kustomization.yaml").write_text(json.dumps(kustomization))
        return {(each["kind"], each["metadata"]["name"]): each for each in rendered(folder)}


def test_its_manifests(made):
    deployment, service = made["Deployment", "mlflow"], made["Service", "mlflow"]
    for each in (deployment, service, made["ServiceAccount", "ragwb-mlflow"], made["NetworkPolicy", "mlflow"], made["NetworkPolicy", "tracking"]):
        kubernetes_validate.validate(each, VERSION, strict=True)
    pod, labels = deployment["spec"]["template"]["spec"], deployment["spec"]["template"]["metadata"]["labels"]
    container, = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False and all("emptyDir" in volume for volume in pod["volumes"])
    assert container["resources"]["requests"].keys() == {"cpu", "memory"} and "memory" in container["resources"]["limits"]
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {"/health"}
    assert service["spec"]["selector"].items() <= labels.items() and service["spec"]["ports"][0]["port"] == container["ports"][0]["containerPort"] == 5000
    assert container["image"].startswith("registry.example/ragwb-workbench@sha256:")
    policy = made["NetworkPolicy", "mlflow"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items() and {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {5432, 80, 443}
    assert made["NetworkPolicy", "tracking"]["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert ("PersistentVolumeClaim", "mlflow") not in made


def test_its_secret_role_and_values_are_those_of_terraform(made):
    secret = made["ExternalSecret", "ragwb-mlflow"]["spec"]
    jsonschema.validate(secret, CUSTOM["external-secrets.io/v1/ExternalSecret"] | {"definitions": CUSTOM["definitions"]})
    assert ("SecretStore", secret["secretStoreRef"]["name"]) in made and {each["remoteRef"]["key"] for each in secret["data"]} == {ARN}
    container, = made["Deployment", "mlflow"]["spec"]["template"]["spec"]["containers"]
    read = {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"] if "valueFrom" in each}
    assert read == secret["target"]["template"]["data"].keys()
    files = ("modules/iam/main.tf", "modules/rds/main.tf", "stacks/foundation/outputs.tf", "stacks/foundation/main.tf")
    terraform = {path: (ROOT / "infra" / path).read_text("utf-8") for path in files}
    account = made["Deployment", "mlflow"]["spec"]["template"]["spec"]["serviceAccountName"]
    assert f'service_account = "{account}"' in terraform["modules/iam/main.tf"] and 'database_name                       = "mlflow"' in terraform["modules/rds/main.tf"]
    assert "module.rds[*].secret_arn" in terraform["stacks/foundation/main.tf"], "External Secrets may not read the database's password"
    values = [line.partition("=")[0] for line in (ROOT / "k8s/components/mlflow/settings.env").read_text("utf-8").splitlines()]
    assert all(re.search(rf"^\s+{name}\s+= ", terraform["stacks/foundation/outputs.tf"], re.MULTILINE) for name in values)
    sys.path.insert(0, str(ROOT / "infra/deploy"))
    import release

    assert set(values) <= release.SETTINGS


@contextlib.contextmanager
def postgres(password: str) -> Iterator[int]:
    "The port of a PostgreSQL that takes connections by TLS only, as RDS does."
    assert POSTGRES is not None
    port, user = free_port(), "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="ragwb-postgres-") as name:
        folder = Path(name)
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
        subprocess.run(words, check=True, capture_output=True)
        (folder / "password").write_text(password)
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user, user)
        words = [POSTGRES, "--pgdata", folder / "data", "--username", "mlflow", "--pwfile", folder / "password", "--auth", "scram-sha-256", "--encoding", "UTF8"]
        done = subprocess.run(words, capture_output=True, text=True, user=user, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "data/pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        given = {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
        words = [POSTGRES.with_name("postgres"), "-D", folder / "data", "-p", str(port), *(f"--{name}={value}" for name, value in given.items())]
        running = subprocess.Popen(words, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            make_database(running, port, password)
            yield port
        finally:
            running.terminate()
            running.wait(20)


def make_database(running: "subprocess.Popen[bytes]", port: int, password: str) -> None:
    "Waits for a PostgreSQL, and makes the database that Terraform makes."
    import psycopg

    for _ in range(300):
        assert running.poll() is None, "PostgreSQL has ended"
        with contextlib.suppress(psycopg.OperationalError):
            with psycopg.connect(host="127.0.0.1", port=port, user="mlflow", password=password, dbname="postgres", sslmode="require", autocommit=True) as connection:
                connection.execute("CREATE DATABASE mlflow")
            return
        time.sleep(0.1)
    raise AssertionError("PostgreSQL does not answer")


def variables(made: dict[tuple[str, str], dict[str, Any]], secret: dict[str, str]) -> dict[str, str]:
    "The environment of the container, as the kubelet makes it."
    container, = made["Deployment", "mlflow"]["spec"]["template"]["spec"]["containers"]
    settings, = (each["data"] for (kind, name), each in made.items() if kind == "ConfigMap" and name == container["envFrom"][0]["configMapRef"]["name"])
    known = dict(settings)
    for each in container["env"]:
        known[each["name"]] = secret[each["valueFrom"]["secretKeyRef"]["key"]] if "valueFrom" in each else re.sub(r"\$\((\w+)\)", lambda name: known[name[1]], each["value"])
    return known


@contextlib.contextmanager
def mlflow_server(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[str]:
    "The address of a server that runs as the Deployment says."
    port = free_port()
    words = [sys.executable, "-m", *("127.0.0.1" if word == "0.0.0.0" else str(port) if word == "5000" else word for word in command)]
    with (folder / "mlflow.txt").open("a") as said:
        process = subprocess.Popen(words, env={**os.environ, **environment}, cwd=folder, stdout=said, stderr=said, start_new_session=True)
    try:
        for _ in range(1_800):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health", headers={"Host": "10.20.3.4:5000"}, timeout=5).status_code == 200:  # as the kubelet asks
                    break
            assert process.poll() is None, (folder / "mlflow.txt").read_text()[-3_000:]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself, which was told above
            os.killpg(process.pid, 15)
        process.wait(20)


@pytest.mark.slow
@pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL here: apt-get install postgresql")
def test_what_it_is_told_lies_in_the_database_and_the_bucket(made, seaweed: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    from ragwb.operations.tracking import Tracker, log_run

    password = "p:ss%25$(X)#?&+=w"  # RDS makes none with a space
    container, = made["Deployment", "mlflow"]["spec"]["template"]["spec"]["containers"]
    with postgres(password) as port:
        environment = variables(made, {"user": "mlflow", "password": quote_plus(password)})
        assert environment["MLFLOW_BACKEND_STORE_URI"].endswith("@mlflow.example.com:5432/mlflow?sslmode=require")
        environment |= {"MLFLOW_BACKEND_STORE_URI": environment["MLFLOW_BACKEND_STORE_URI"].replace("mlflow.example.com:5432", f"127.0.0.1:{port}"), "HOME": str(tmp_path),
                        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{bucket}/mlflow", "MLFLOW_S3_ENDPOINT_URL": seaweed.endpoint}  # fmt: skip
        environment["MLFLOW_SERVER_ALLOWED_HOSTS"] += ",127.0.0.1:*"  # the port of this test
        (tmp_path / "report.html").write_text("<p>0.9</p>")
        runs: list[str | None] = []
        for _ in range(2):  # another pod finds what the first was told
            with mlflow_server(container["command"], environment, tmp_path) as server, monkeypatch.context() as desk:
                for name in [name for name in os.environ if name.startswith("AWS_")]:
                    desk.delenv(name)  # files go through the server: people who track need no rights in the bucket
                asked = f"{server}/api/2.0/mlflow/experiments/search"
                assert [httpx.post(asked, json={"max_results": 5}, headers={"Host": host}).status_code for host in ("mlflow:5000", "evil.example")] == [200, 403]
                tracker = Tracker(server)
                runs.append(log_run(tracker, "chunking", {"size": 800}, {"recall": 0.9}, [tmp_path / "report.html"]))
                assert tracker.failures == 0 and [file.path for file in tracker.client.list_artifacts(runs[0])] == ["report.html"]
                assert {run.info.run_id for run in tracker.client.search_runs([tracker.experiment])} == set(runs)
                with psycopg.connect(host="127.0.0.1", port=port, user="mlflow", password=password, dbname="mlflow") as connection:
                    assert connection.execute("SELECT count(*) FROM runs").fetchone() == (len(runs),)
                    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'mlflow' AND pid <> pg_backend_pid()"
                    assert connection.execute(others).fetchone() == (0,), "a connection that is kept keeps the database awake"
    kept = seaweed.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert len(kept) == 2 and all(each["Key"].startswith("mlflow/") and each["Key"].endswith("report.html") for each in kept)
