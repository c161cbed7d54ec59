"Kept answers given anew: after further ingestion, after a deletion, as a notebook, over the API, on S3."

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from notebooks import ROOT

from benchmarks.replay import ask_and_ingest, differing, sample
from ragwb.api.routes import create_api
from ragwb.cli import main
from ragwb.config import PipelineConfig
from ragwb.indexing.collection import Collection
from ragwb.indexing.maintenance import maintain, tag
from ragwb.indexing.schema import VersionGone
from ragwb.indexing.table import versions_of
from ragwb.operations.config_registry import open_registry
from ragwb.operations.replay import Replay, notebook_of
from ragwb.settings import Settings
from ragwb.workbench import Workbench

LEAVE = b"# Leave\n\nFull-time employees get 30 days of annual leave.\n"
NEWS = b"# News\n\nFrom May on full-time employees get 31 days of annual leave.\n"
LONG = "How many days of annual leave do full-time employees get?"


def workbench_of(home: Path) -> Workbench:
    "A workbench with one document."
    workbench = Workbench(Settings(home=home, workers=1))
    workbench.ingest_files([("leave.md", LEAVE)])
    return workbench


def test_after_further_ingestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = Workbench(Settings(home=tmp_path))
    ids = ask_and_ingest(workbench, sample(12))
    assert differing(workbench, ids) == {}
    monkeypatch.setattr(Collection, "at", lambda self, version: self)
    assert differing(workbench, ids), "on the index of today some must differ, or this test shows nothing"


def test_another_config_and_prompt(tmp_path: Path) -> None:
    registry = open_registry(Settings(home=tmp_path))
    system, user = registry.prompts.load("answer:1")
    prompt = registry.prompts.add("short", f"{system}\n- Be brief.", user)
    workbench = Workbench(Settings(home=tmp_path, workers=1), PipelineConfig(prompt=prompt, max_sentences=1))
    workbench.ingest_files([("leave.md", LEAVE)])
    given = workbench.ask(LONG)
    script = f"""
from pathlib import Path
from ragwb.operations.replay import Replay
from ragwb.settings import Settings
from ragwb.workbench import Workbench
replay = Replay(Workbench(Settings(home=Path({str(tmp_path)!r}))), {given.id!r})
print(replay.config.prompt, replay.config.max_sentences, replay.again().same)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert told.split() == ["short:1", "1", "True"]  # another process, another default config


def test_deletion(tmp_path: Path) -> None:
    workbench = workbench_of(tmp_path)
    given = workbench.ask(LONG)
    workbench.ingest_files([("news.md", NEWS)])
    later = workbench.ask(LONG)
    assert tag(workbench.store.open("default"), "before") == later.index_version
    workbench.delete(["news.md"])
    assert workbench.store.open("default").tags() == {}
    assert not any(b"31 days" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()), "a tag must not keep what was deleted"
    with pytest.raises(VersionGone, match="deleting a document drops all earlier versions"):
        Replay(workbench, given.id)
    run = CliRunner().invoke(main, ["replay", given.id, "--out", str(tmp_path / "why.ipynb")], env={"RAGWB_HOME": str(tmp_path)})
    assert run.exit_code == 1 and run.output.startswith("Error: index version") and not (tmp_path / "why.ipynb").exists()
    run = CliRunner().invoke(main, ["replay", later.id], env={"RAGWB_HOME": str(tmp_path)})
    assert run.exit_code == 1 and "may have been deleted with a document that it cited" in run.output


def test_versions_outlive_a_year_of_maintenance(tmp_path: Path) -> None:
    "LanceDB would drop versions that are older than seven days whenever it compacts."
    workbench = workbench_of(tmp_path)
    given = workbench.ask(LONG)
    for n in range(35):  # until a compaction is due
        workbench.ingest_files([(f"note-{n}.md", f"# Note {n}\n\nNothing of note on day {n}.\n".encode())])
    collection = workbench.store.open("default")
    named = workbench.answers.replayed_on("default", versions_of(collection.table))
    done = maintain(collection, named, timedelta(days=30), now=datetime.now(UTC) + timedelta(days=365))
    assert done.dropped > 30 and versions_of(collection.table) == [given.index_version, collection.version]
    assert Replay(workbench, given.id).again().same


def test_notebook_runs(tmp_path: Path) -> None:
    workbench = workbench_of(tmp_path / "home")
    given = workbench.ask(LONG)
    workbench.ingest_files([("news.md", NEWS)])
    out = tmp_path / "why.ipynb"
    run = CliRunner().invoke(main, ["replay", given.id, "--out", str(out), "--execute"], env={"RAGWB_HOME": str(tmp_path / "home"), "RAGWB_WORKERS": "1"})
    assert run.exit_code == 0, run.output
    assert run.output.strip().endswith(": the same")
    notebook = nbformat.read(out, as_version=4)
    nbformat.validate(notebook)
    shown = "".join("".join(str(output.get("data", {}).get("text/html", output.get("text", ""))) for output in cell.get("outputs", ())) for cell in notebook.cells)
    assert "<b>the same</b>" in shown and "30 days of annual leave" in shown and "31 days" not in shown


def test_notebook_that_fails(tmp_path: Path) -> None:
    workbench = workbench_of(tmp_path / "home")
    given = workbench.ask(LONG)
    key = workbench.answers.key(given.id)
    record = workbench.answers.load(given.id)
    workbench.store.objects.put(key, json.dumps(record | {"answer": "60 days. [1]"}).encode())
    run = CliRunner().invoke(main, ["replay", given.id, "--out", str(tmp_path / "why.ipynb"), "--execute"], env={"RAGWB_HOME": str(tmp_path / "home")})
    assert run.exit_code == 1 and "different: text" in run.output and f"answer {given.id} does not come out the same" in run.output


def test_a_question_is_data(tmp_path: Path) -> None:
    workbench = workbench_of(tmp_path)
    record = workbench.answers.load(workbench.ask('leave?" + __import__("os").getcwd() + "{id} <script>alert(1)</script>').id)
    notebook = notebook_of(record, profile='x"; import os')
    code = "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert "getcwd" not in code and "profile = 'x\"; import os'" in code
    assert "<script>" not in notebook["cells"][0]["source"]


def test_over_the_api(tmp_path: Path) -> None:
    workbench = workbench_of(tmp_path)
    given = workbench.ask(LONG)
    with TestClient(create_api(workbench), base_url="http://127.0.0.1") as client:
        got = client.get(f"/v1/answers/{given.id}/notebook")
        assert got.status_code == 200 and f'filename="replay-{given.id}.ipynb"' in got.headers["content-disposition"]
        nbformat.validate(nbformat.from_dict(got.json()))
        assert client.get("/v1/answers/20261124-220000-00000000/notebook").status_code == 404
        workbench.ingest_files([("news.md", NEWS)])
        workbench.delete(["news.md"])
        gone = client.get(f"/v1/answers/{given.id}/notebook")
        assert gone.status_code == 410 and "deleting a document drops all earlier versions" in gone.json()["detail"]


def test_on_s3(s3_settings: Settings) -> None:
    workbench = Workbench(s3_settings)
    workbench.ingest_files([("leave.md", LEAVE)])
    given = workbench.ask(LONG)
    workbench.ingest_files([("news.md", NEWS)])
    assert any(place["document"] == "news.md" for place in workbench.ask(LONG).to_dict()["passages"])
    elsewhere = Workbench(s3_settings)
    assert Replay(elsewhere, given.id).again().same
    elsewhere.delete(["news.md"])
    with pytest.raises(VersionGone, match="is gone"):
        Replay(elsewhere, given.id)
