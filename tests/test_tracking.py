"A real MLflow server, named by MLFLOW_TRACKING_URI: an answer, a config, a prompt and a run arrive there."

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from ragwb.cli import main
from ragwb.operations.tracking import log_run, tracker
from ragwb.settings import Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    "The address of an MLflow server."
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.sqlite", "--artifacts-destination", str(folder / "artifacts")]
    quiet, nothing = os.environ | {"MLFLOW_LOGGING_LEVEL": "ERROR"}, subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=quiet, stdout=nothing, stderr=nothing, start_new_session=True) as process:
        try:
            for _ in range(600):
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)


@pytest.mark.slow
def test_everything_arrives(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    home = tmp_path / "home"

    def ragwb(*words: str) -> str:
        run = CliRunner().invoke(main, list(words), env={"RAGWB_HOME": str(home), "RAGWB_WORKERS": "1"})
        assert run.exit_code == 0, run.output
        return run.output

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/seals.md").write_text("# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")
    row = {"id": "q1", "question": "Torque of A1-990?", "answer": "42 N m", "evidence": [{"document": "seals.md", "quote": "a torque of 42 N m"}]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(row) + "\n")
    ragwb("ingest", str(tmp_path / "docs"))
    answer = json.loads(ragwb("ask", "What torque does the seal A1-990 need?", "--json"))
    trace = ragwb("track", "answer", answer["id"]).strip().splitlines()[-1]
    ragwb("promote", "local", "--dataset", str(tmp_path))
    (tmp_path / "prompt.txt").write_text(ragwb("prompts", "show", "answer:1").replace("Do not guess.", "Never guess."))
    ragwb("prompts", "register", "guarded", str(tmp_path / "prompt.txt"), "--alias", "careful")
    (tmp_path / "report.html").write_text("<p>Which chunking?</p>")

    mlflow = tracker(Settings(home=home))
    assert mlflow.uri == server
    run = log_run(mlflow, "chunking", {"size": 800}, {"recall": 0.9}, [tmp_path / "report.html"])
    assert [file.path for file in mlflow.client.list_artifacts(run)] == ["report.html"]
    assert mlflow.client.get_trace(trace).info.tags["answer"] == answer["id"]
    served = mlflow.client.get_model_version_by_alias("ragwb", "production")
    assert served.tags["fingerprint"] == answer["config"]
    assert "Never guess." in mlflow.client.load_prompt("prompts:/guarded@careful").template[0]["content"]
    assert mlflow.failures == 0 and not (home / "mlflow.sqlite").exists()
