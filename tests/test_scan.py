"Documents scanned on their way in, from every face: command line, HTTP, app, S3 prefix. A collection remembers its scan."

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.app.uploads import Uploads
from ragwb.cli import main
from ragwb.config import CONFIGS, ConfigError, GuardrailConfig, PipelineConfig, config_from
from ragwb.documents.parsing import DEFAULT_LIMITS
from ragwb.indexing.collection import CollectionError
from ragwb.ingestion.preparation import Prepared, Task
from ragwb.ingestion.processes import Worker
from ragwb.settings import Settings
from ragwb.workbench import Workbench

LETTER = b"Dear Ms Novak,\n\nplease write to anna.novak@example.com about the pump.\n"
PLAIN = b"The pump drips on Mondays.\n"


def bench(home: Path, **guardrail: object) -> Workbench:
    return Workbench(Settings(home=home), config_from({f"guardrail.{name}": value for name, value in guardrail.items()}) if guardrail else None)


def text(home: Path, id: str = "letter.txt") -> str:
    return bench(home).store.open("default").document(id).text


def call(home: Path, *words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, list(map(str, words)), env={"RAGWB_HOME": str(home)})
    return done.exit_code, done.stdout, done.stderr


def test_fingerprints_without_a_scan_are_what_they_were() -> None:
    assert {name: (config.fingerprint, config.index_fingerprint) for name, config in CONFIGS.items()} == {
        "local": ("7a72d76cf578", "f78f40650c75"), "aws": ("cd47ab1a9ecb", "bbb11beb8c50")}
    assert "scan" not in PipelineConfig().to_json()


def test_what_a_fingerprint_of_the_index_holds() -> None:
    def index(**guardrail: object) -> str:
        return str(config_from({f"guardrail.{name}": value for name, value in guardrail.items()}).index_fingerprint)

    assert index(scan="report") == index(pii_mask=["EMAIL"]) == index()
    differ = [index(), index(scan="mask"), index(scan="block"), index(scan="mask", pii_mask=["EMAIL"]),
              index(scan="mask", blocked_words=["pump"]), index(scan="mask", attacks=False)]  # fmt: skip
    assert len(set(differ)) == len(differ)


def test_command_line(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(LETTER)
    code, out, _ = call(tmp_path / "a", "ingest", tmp_path / "letter.txt", "--scan", "mask")
    assert code == 0 and "found    letter.txt: 1 × EMAIL" in out and "anna.novak" not in text(tmp_path / "a")
    (tmp_path / "later.txt").write_bytes(LETTER + PLAIN)
    assert call(tmp_path / "a", "ingest", tmp_path / "later.txt")[0] == 0  # it remembers
    assert "anna.novak" not in text(tmp_path / "a", "later.txt")
    code, _, error = call(tmp_path / "a", "ingest", tmp_path / "later.txt", "--scan", "block")
    assert (code, error.count("\n")) == (1, 1) and "was built with scan mask, and scan block is asked for" in error and "--collection NAME" in error
    code, _, error = call(tmp_path / "b", "ingest", tmp_path / "letter.txt", "--scan", "block")
    assert code == 1 and "is not indexed, it holds: 1 × EMAIL" in error


def test_a_report_may_be_asked_of_what_is_not_scanned(tmp_path: Path) -> None:
    for name, data in (("plain.txt", PLAIN), ("letter.txt", LETTER)):
        (tmp_path / name).write_bytes(data)
    assert call(tmp_path / "a", "ingest", tmp_path / "plain.txt")[0] == 0
    code, out, _ = call(tmp_path / "a", "ingest", tmp_path / "letter.txt", "--scan", "report", "--json")
    assert code == 0 and json.loads(out)["found"] == [{"document": "letter.txt", "found": "1 × EMAIL"}]
    assert "anna.novak" in text(tmp_path / "a")
    assert call(tmp_path / "a", "ingest", tmp_path / "letter.txt", "--scan", "mask")[0] == 1


def test_http(tmp_path: Path) -> None:
    def upload(workbench: Workbench, *files: tuple[str, bytes]) -> tuple[int, dict[str, object]]:
        answered = TestClient(create_api(workbench), base_url="http://127.0.0.1").post("/v1/documents", files=[("files", file) for file in files])
        return answered.status_code, answered.json()

    code, said = upload(bench(tmp_path / "a", scan="mask"), ("letter.txt", LETTER))
    assert code == 200 and said["files"] == [{"document": "letter.txt", "status": "new", "reason": "found: 1 × EMAIL"}]
    assert "anna.novak" not in text(tmp_path / "a")
    blocking = bench(tmp_path / "b", scan="block")
    code, said = upload(blocking, ("letter.txt", LETTER))
    assert code == 422 and "is not indexed, it holds: 1 × EMAIL" in str(said["detail"])
    code, said = upload(blocking, ("letter.txt", LETTER), ("plain.txt", PLAIN))
    assert code == 200 and said["new"] == 1 and "1 × EMAIL" in str(said["failed"])


def test_app(tmp_path: Path) -> None:
    bench(tmp_path, scan="block").ingest_files([("plain.txt", PLAIN)])
    uploads = Uploads(bench(tmp_path))  # no config of its own: the collection remembers
    uploads.begin("1", "default", "letter.txt", len(LETTER))
    uploads.piece("1", LETTER, last=True)
    end = time.monotonic() + 60
    while not uploads.of("default")[0].ended and time.monotonic() < end:
        time.sleep(0.05)
    item = uploads.of("default")[0]
    assert item.stage == "failed" and "is not indexed, it holds: 1 × EMAIL" in item.reason


def test_kinds_and_words_are_those_of_the_config(tmp_path: Path) -> None:
    report = bench(tmp_path / "a", scan="report", pii_mask=["PHONE"], blocked_words=["pump"]).ingest_files([("letter.txt", LETTER)])
    assert report.found == [("letter.txt", "1 × BLOCKED_WORD")]
    with pytest.raises(ConfigError, match="find no NAME"):
        bench(tmp_path / "b", scan="report", pii_mask=["NAME"]).ingest_files([("letter.txt", LETTER)])


def test_a_worker_process_scans() -> None:
    worker = Worker()
    try:
        outcome = worker.run(Task("letter.txt", LETTER, DEFAULT_LIMITS, GuardrailConfig(scan="mask")))
    finally:
        worker.close()
    assert isinstance(outcome, Prepared) and outcome.found == "1 × EMAIL" and "anna.novak" not in outcome.document.text


def test_a_config_with_another_scan_is_refused_and_reindex_keeps_the_scan(tmp_path: Path) -> None:
    bench(tmp_path, scan="mask").ingest_files([("letter.txt", LETTER)])
    for other in (bench(tmp_path, provider="local"), bench(tmp_path, scan="block")):
        for refused in (lambda other=other: other.ingest_files([("plain.txt", PLAIN)]), lambda other=other: other.pipeline(), lambda other=other: other.reindex()):
            with pytest.raises(CollectionError, match="was built with scan mask"):
                refused()
    bench(tmp_path).reindex()
    collection = bench(tmp_path).store.open("default")
    assert collection.built.guardrail.scan == "mask" and "anna.novak" not in collection.document("letter.txt").text
    assert not bench(tmp_path).ask("What drips?").citations
