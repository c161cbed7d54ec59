"Aliases under load and under faults: two at once, a running server, S3, a full disk, no MLflow; the gate from the command line."

import errno
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from notebooks import ROOT

from ragwb.api.routes import create_api
from ragwb.cli import main
from ragwb.commands.common import read_config
from ragwb.config import PipelineConfig
from ragwb.operations.config_registry import Following, Registry, RegistryError, open_registry
from ragwb.settings import Settings
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

PARTS = {"A1": 42, "B2": 17, "C3": 61, "D4": 25, "E5": 33, "F6": 58, "G7": 12, "H8": 74}
ASKED = "What torque does the seal A1-990 need?"
LOCAL = PipelineConfig()
TIMID = replace(LOCAL, refusal_threshold=1.0)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    "A folder with documents and golden questions."
    (tmp_path / "docs").mkdir()
    rows = []
    for name, torque in PARTS.items():
        (tmp_path / f"docs/{name}.md").write_text(f"# Seal {name}\n\nThe seal {name}-990 is tightened with a torque of {torque} N m.\n")
        evidence = [{"document": f"{name}.md", "quote": f"tightened with a torque of {torque} N m"}]
        rows.append({"id": name, "question": f"What torque does the seal {name}-990 need?", "answer": f"{torque} N m", "evidence": evidence})
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "timid.json").write_text(TIMID.to_json())
    (tmp_path / "coarse.json").write_text('{"chunking.size": 3000}')
    return tmp_path


def ragwb(company: Path, *words: str) -> Result:
    "A command in the folder's own data folder."
    return CliRunner().invoke(main, list(words), env={"RAGWB_HOME": str(company / "home"), "RAGWB_WORKERS": "1", "COLUMNS": "140"})


def attempt(home: Path, number: int) -> str:
    "One of many that promote at the same moment, each having seen the first move."
    registry = open_registry(Settings(home=home))
    try:
        registry.move("production", registry.add(replace(LOCAL, max_sentences=1 + number % 4)), seen=1)
        return "moved"
    except RegistryError as error:
        return str(error)


def test_promotions_at_once_in_processes(tmp_path: Path) -> None:
    registry = open_registry(Settings(home=tmp_path))
    registry.move("production", registry.add(LOCAL), seen=0)
    with ProcessPoolExecutor(4) as pool:
        said = list(pool.map(attempt, [tmp_path] * 16, range(16)))
    assert said.count("moved") == 1 and all("by somebody else" in other for other in said if other != "moved")
    assert [move.number for move in registry.history("production")] == [1, 2]


def test_a_move_between_look_and_write(tmp_path: Path) -> None:
    "The narrowest race: somebody else moves the alias after the history was read and before the new move is written."
    other = open_registry(Settings(home=tmp_path))
    other.move("production", other.add(LOCAL), seen=0)
    other.add(TIMID)

    class Overtaken(Folder):
        def put_if(self, key: str, data: bytes, etag: str) -> str:
            other.move("production", LOCAL.fingerprint, seen=1, reason="faster")
            return super().put_if(key, data, etag)

    with pytest.raises(RegistryError, match="moved by somebody else in the meantime"):
        Registry(Overtaken(tmp_path)).move("production", TIMID.fingerprint, seen=1)
    assert [(move.number, move.reason) for move in other.history("production")] == [(1, ""), (2, "faster")]


def test_promotions_at_once_on_s3(s3_settings: Settings) -> None:
    registry = open_registry(s3_settings)
    registry.move("production", registry.add(LOCAL), seen=0)
    registry.add(TIMID)

    def move(number: int) -> str:
        try:
            return open_registry(s3_settings).move("production", TIMID.fingerprint, seen=1).mark
        except RegistryError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(move, range(8)))
    assert len([mark for mark in said if len(mark) == 8]) == 1
    assert registry.current("production").mark in said and registry.resolve("@production") == TIMID
    system, user = registry.prompts.load("answer:1")
    assert registry.prompts.add("brief", system + " Be brief.", user) == "brief:1"
    assert open_registry(s3_settings).prompts.names() == ["answer:1", "brief:1", "quoted:1", "standalone:1"]


def test_a_running_server_follows(tmp_path: Path) -> None:
    "Under load, while the alias moves forty times: each answer is wholly of one config, and the last move counts at once."
    settings = Settings(home=tmp_path, workers=1)
    registry = open_registry(settings)
    registry.move("production", registry.add(LOCAL), seen=0)
    registry.add(TIMID)
    workbench = Workbench(settings, read_config("@production", settings))
    workbench.ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")])
    moving = threading.Event()
    seen: list[tuple[str, bool]] = []

    def move() -> None:
        for number in range(1, 41):
            answered, patience = len(seen), time.monotonic() + 10
            registry.move("production", (TIMID if number % 2 else LOCAL).fingerprint, seen=number)
            while number % 10 == 1 and len(seen) < answered + 8 and time.monotonic() < patience:  # now and then somebody gets an answer between two moves
                time.sleep(0.005)
        moving.set()

    with TestClient(create_api(workbench), base_url="http://127.0.0.1") as client:
        def load() -> None:
            while not moving.is_set():
                answer = client.post("/v1/query", json={"question": ASKED}).json()
                seen.append((answer["config"], answer["refused"]))

        askers = [threading.Thread(target=load) for _ in range(4)]
        for asker in askers:
            asker.start()
        move()
        for asker in askers:
            asker.join()
        assert set(seen) == {(LOCAL.fingerprint, False), (TIMID.fingerprint, True)}
        assert client.post("/v1/query", json={"question": ASKED}).json()["config"] == LOCAL.fingerprint
        registry.rollback("production")
        assert client.post("/v1/query", json={"question": ASKED}).json()["refused"] is True


def test_a_lost_registry_serves_on(s3_settings: Settings, proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragwb.emulator.s3_faults import S3Fault

    registry = open_registry(s3_settings)
    registry.move("production", registry.add(LOCAL), seen=0)
    through = replace(s3_settings, s3_endpoint=proxy.endpoint)
    following = Following(open_registry(through), "production")
    proxy.fault = lambda request: S3Fault(status=403, code="AccessDenied")
    assert following() == LOCAL and following.failures == 1
    registry.move("production", registry.add(TIMID), seen=1)
    proxy.fault = lambda request: None
    assert following() == TIMID


def test_gate_on_the_command_line(company: Path) -> None:
    first = ragwb(company, "promote", "local", "--dataset", str(company), "--json")
    evidence = json.loads(first.output)
    assert first.exit_code == 0 and evidence["before"] == "" and all(found["can_show"] > 0 for found in evidence["metrics"].values())
    cited = {rung: scores["evidence_cited"] for rung, scores in evidence["ladder"].items()}
    assert cited == {"constant": 0, "closed_book": 0, "bm25": 1, "config": 1, "oracle": cited["oracle"]}
    refused = ragwb(company, "promote", str(company / "timid.json"))
    assert refused.exit_code == 1
    for told in ("right evidence cited", "can", "worse", *(f"broke  {name}: What torque" for name in PARTS), "production stays at", "8 questions broke",
                 "the candidate beside its ladder"):
        assert told in refused.output, told
    registry = open_registry(Settings(home=company / "home"))
    assert registry.resolve("@production") == LOCAL and len(registry.history("production")) == 1
    forced = ragwb(company, "promote", str(company / "timid.json"), "--force", "legal asked for it", "--json")
    assert forced.exit_code == 0
    move = registry.current("production")
    assert (move.how, move.reason, registry.load(move.config)) == ("forced", "legal asked for it", TIMID)
    assert move.evidence and move.evidence["broke"] == list(PARTS) and {"p_worse", "can_show"} <= move.evidence["compared"][0].keys()
    back = ragwb(company, "rollback", "--reason", "nobody answers")
    assert back.exit_code == 0 and f"production is {LOCAL.fingerprint} again, and no longer {TIMID.fingerprint}" in back.output
    assert registry.resolve("@production") == LOCAL


def test_an_index_that_does_not_fit(company: Path) -> None:
    ragwb(company, "ingest", str(company / "docs"))
    ragwb(company, "promote", "local", "--dataset", str(company))
    refused = ragwb(company, "promote", str(company / "coarse.json"))
    assert refused.exit_code == 1
    command = refused.output[refused.output.index("ragwb reindex"):].split()
    assert command == ["ragwb", "reindex", "--collection", "default", "--config", str(company / "coarse.json")]
    assert ragwb(company, *command[1:]).exit_code == 0
    assert ragwb(company, "promote", str(company / "coarse.json")).exit_code == 0
    back = ragwb(company, "rollback")
    assert back.exit_code == 1 and "ragwb reindex --collection default --config" in back.output


@pytest.mark.parametrize(("words", "told"), [
    (["promote", "lokal"], "config lokal cannot be read"),
    (["promote", "@prodution", "--dataset", "."], "no alias 'prodution'; there are: none yet"),
    (["promote", "local", "--to", "Production", "--dataset", "."], "small letters"),
    (["promote", "local"], "--dataset is needed for the first promotion"),
    (["promote", "local", "--dataset", "nowhere"], "there is no such file or folder"),
    (["rollback", "--to", "staging"], "no alias 'staging'"),
    (["configs", "0123456789ab"], "no configs '0123456789ab'"),
    (["prompts", "show", "answer:9"], "no prompt 'answer:9'; there are: answer:1"),
    (["ask", "Why?", "--config", "@production"], "no alias 'production'"),
    (["candidates", "reject", "20261124-220000-00000000"], "no answer 20261124-220000-00000000"),
])  # fmt: skip
def test_misspelt(company: Path, words: list[str], told: str) -> None:
    run = ragwb(company, *words)
    assert run.exit_code in (1, 2) and told in run.output and "Traceback" not in run.output


def test_a_full_disk(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ragwb(company, "promote", "local", "--dataset", str(company))

    def full(self: Folder, key: str, data: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", key)

    monkeypatch.setattr(Folder, "put", full)
    run = ragwb(company, "promote", str(company / "timid.json"), "--force", "a test")
    assert run.exit_code == 1 and "the disk is full" in run.output
    monkeypatch.undo()
    assert open_registry(Settings(home=company / "home")).resolve("@production") == LOCAL


def test_a_config_of_a_newer_ragwb(tmp_path: Path) -> None:
    registry = Registry(Folder(tmp_path))
    registry.move("production", registry.add(LOCAL), seen=0)
    path = tmp_path / f"configs/{LOCAL.fingerprint}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"telepathy": True}))
    with pytest.raises(RegistryError, match="unknown field 'telepathy'.*newer ragwb"):
        registry.resolve("@production")


def test_serving_and_promoting_never_import_mlflow(company: Path) -> None:
    script = """
import sys
from click.testing import CliRunner
from ragwb.cli import main
import ragwb.app.server
from ragwb.commands.common import read_config
from ragwb.settings import load_settings
from ragwb.workbench import Workbench
assert CliRunner().invoke(main, ["promote", "local", "--dataset", sys.argv[1]]).exit_code == 0
settings = load_settings()
bench = Workbench(settings, read_config("@production", settings))
bench.ingest_files([("a.md", b"The seal A1-990 needs 42 N m.")])
assert not bench.ask("What does the seal A1-990 need?").refused
print(sorted({name.partition(".")[0] for name in sys.modules} & {"mlflow", "ragas", "jupyter_core", "papermill", "nbformat", "sklearn"}))
"""
    run = subprocess.run([sys.executable, "-c", script, str(company)], capture_output=True, text=True, cwd=ROOT, check=False,
                         env={"RAGWB_HOME": str(company / "home"), "RAGWB_WORKERS": "1", "HOME": str(company), "PATH": ""})  # fmt: skip
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_mlflow_that_is_down(company: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert ragwb(company, "promote", "local", "--dataset", str(company)).exit_code == 0
    assert "was not logged" in caplog.text and "http://127.0.0.1:9" in caplog.text
    assert open_registry(Settings(home=company / "home")).resolve("@production") == LOCAL
    answer = json.loads(ragwb(company, "ask", "Why?", "--json").output) if ragwb(company, "ingest", str(company / "docs")).exit_code == 0 else {}
    run = ragwb(company, "track", "answer", answer["id"])
    assert run.exit_code == 1 and "MLflow took nothing" in run.output


def test_mlflow_that_is_not_installed(company: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert ragwb(company, "promote", "local", "--dataset", str(company)).exit_code == 0
    assert "MLflow is not installed: pip install" in caplog.text
    run = ragwb(company, "prompts", "pull", "answer:2")
    assert run.exit_code == 1 and "MLflow is not installed" in run.output
