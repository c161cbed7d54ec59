"What runs on one machine with Docker: the compose file, its settings and its wiring; and the image's file."

import sysconfig
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from cloud import ROOT, run, tool

from ragwb.emulator.server import emulated_bedrock
from ragwb.settings import Settings, load_settings

FILE = ROOT / "infra/local/compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["services"]
ONCE = {"bucket", "documents"}


def test_all_are_there_and_tell_whether_they_are_well():
    assert SERVICES.keys() >= {"ragwb", "redis", "s3", "bedrock", "mlflow", "prometheus", "grafana", "jaeger"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert wait["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy"), f"{name} does not wait for {other}"


def test_nothing_is_reachable_from_other_machines():
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert ":latest" not in service["image"] and ":" in service["image"], f"{name}: name the version"


def test_mounted_files_exist():
    for service in SERVICES.values():
        for source in (volume.partition(":")[0] for volume in service.get("volumes", ())):
            assert not source.startswith(".") or (FILE.parent / source).exists(), source


def test_settings_lead_to_the_other_services():
    given = SERVICES["ragwb"]["environment"]
    later = {"RAGWB_REDIS"} - {f"RAGWB_{field.name.upper()}" for field in fields(Settings)}  # until the setting is there
    settings = load_settings(environment={name: value for name, value in given.items() if name.startswith("RAGWB_") and name not in later}, folder=ROOT)
    with emulated_bedrock() as emulator:
        assert settings.guardrail_id == emulator.settings["guardrail_id"], "the emulator's guardrail has another id"
    assert f"{given['AWS_ACCESS_KEY_ID']}:{given['AWS_SECRET_ACCESS_KEY']}" in SERVICES["bedrock"]["command"]
    known = yaml.safe_load((FILE.parent / "identities.json").read_text())["identities"][0]["credentials"][0]
    assert known == {"accessKey": given["AWS_ACCESS_KEY_ID"], "secretKey": given["AWS_SECRET_ACCESS_KEY"]}
    for address in (settings.s3_endpoint, settings.bedrock_endpoint, given["OTEL_EXPORTER_OTLP_ENDPOINT"], given["RAGWB_REDIS"]):
        assert address.partition("://")[2].partition(":")[0] in SERVICES, address


def test_the_image():
    run(tool("hadolint"), ROOT / "infra/image/Dockerfile")
    told = (ROOT / "infra/image/Dockerfile").read_text("utf-8")
    serving = told[told.index(" AS base"):]
    assert "USER 10001:10001" in serving and "HEALTHCHECK" in serving and "/healthz" in serving and "ARG BASE_IMAGE" in told
    assert "ARG EXTRAS=aws,traces\n" in told and ".[${EXTRAS}]" in told, "the serving image has no jupyter, ragas or papermill"
    assert told.rstrip().splitlines()[-2].startswith("FROM base AS serving"), "serving is what is built without --target"
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = {word for line in told.splitlines() if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]}
    assert all(any(Path(name).parts[0] == Path(entry).parts[0] for entry in allowed) for name in copied), "a file that the image needs is ignored"


def test_what_the_image_leaves_out_is_there_and_is_not_needed(tmp_path):
    "Each line of slim.sh finds something, or a package has moved it; what the server reads remains."
    packages = Path(sysconfig.get_path("purelib"))
    told = (ROOT / "infra/image/slim.sh").read_text("utf-8")
    patterns = [word for line in told.replace("\\\n", " ").splitlines() if line.startswith("rm -rf ") for word in line.partition("#")[0].split()[2:]]
    assert len(patterns) > 10 and not [pattern for pattern in patterns if not any(packages.glob(pattern))]
    names = ("panel/dist/panel.min.js", "botocore/data/bedrock-runtime/x.json.gz", "botocore/data/endpoints.json", "panel/dist/bundled/font-awesome/x.css")
    others = ("panel/dist/panel.js.map", "botocore/data/ec2/x.json.gz", "numpy/tests/test.py", "pyarrow/_flight.so")
    kept, gone = ([tmp_path / name for name in some] for some in (names, others))
    for path in (*kept, *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    run("sh", ROOT / "infra/image/slim.sh", tmp_path)
    assert [path.exists() for path in (*kept, *gone)] == [True] * len(kept) + [False] * len(gone)
    services = {"s3", "sts", "bedrock-runtime", "bedrock-agent-runtime", "bedrock"}
    assert all((packages / "botocore/data" / name).is_dir() for name in services), "botocore has renamed a service"
