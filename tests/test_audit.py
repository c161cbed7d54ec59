"The audit log hears of each sign-in, upload, deletion, promotion and change of a key, by whatever door; it names nobody's words, forgets after a while, and nobody fills it."

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

import ragwb.cli  # noqa: F401  # all commands
from ragwb.answering import deletion
from ragwb.api.access import MOST_WRONG
from ragwb.app.keys_view import KeysPanel
from ragwb.app.server import create_server
from ragwb.commands.common import main
from ragwb.config import ModelConfig, PipelineConfig
from ragwb.generation.discovery import ModelChoice
from ragwb.indexing import maintenance
from ragwb.operations.config_registry import Registry
from ragwb.operations.keys import KeyStore, add_key
from ragwb.operations.permission import visitor_of
from ragwb.settings import Settings
from ragwb.storage import audit
from ragwb.storage.audit import Audit, marks_of
from ragwb.storage.bucket import objects
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

SECRET, NAME = "Quorvexil cabinet", "wumpelknack.md"
TEXT = f"# Keys\n\nThe spare key lies under the {SECRET}, behind the door.\n".encode()
HERE = "http://127.0.0.1:8321"


def heard(settings: Settings) -> list[dict[str, Any]]:
    "What `ragwb audit` shows."
    environment = {"RAGWB_HOME": str(settings.home), "RAGWB_STORAGE": settings.storage, "RAGWB_S3_ENDPOINT": settings.s3_endpoint}
    done = CliRunner().invoke(main, ["audit", "--json"], env=environment, catch_exceptions=False)
    return list(json.loads(done.stdout))


def events(settings: Settings) -> list[tuple[str, str]]:
    return [(told["event"], told["by"]) for told in heard(settings)]


def home_of(path: Path) -> Settings:
    return Settings(home=path, workers=1, model_servers="")


def test_what_comes_by_the_server_is_noted_with_the_key_that_came(tmp_path: Path) -> None:
    settings, store = home_of(tmp_path), KeyStore(Folder(tmp_path))
    _, key, token = store.change(lambda ring: add_key(ring, "Ann", ["ask", "ingest"]))
    with TestClient(create_server(settings), base_url=HERE, follow_redirects=False) as client:
        client.post("/signin", data={"key": token + "x"})
        client.post("/signin", data={"key": token})
        client.post("/signout")
        headers = {"Authorization": f"Bearer {token}"}
        assert client.post("/v1/documents", files=[("files", (NAME, TEXT)), ("files", ("empty.txt", b""))], headers=headers).json()["new"] == 1
        assert SECRET in client.post("/v1/query", json={"question": "Where does the spare key lie?"}, headers=headers).text
        assert client.delete(f"/v1/documents/{NAME}", headers=headers).status_code == 200
        client.post("/v1/documents", files=[("files", ("..", b"x"))], headers=headers)
    assert events(settings) == [("sign-in refused", ""), ("sign-in", key.id), ("sign-out", key.id), ("upload", key.id), ("delete", key.id)]
    refused, came, _, upload, gone = heard(settings)
    assert refused["address"] == came["address"] == "testclient"
    assert (upload["new"], upload["failed"], gone["deleted"], gone["documents"]) == (1, 1, 1, marks_of([NAME])) and marks_of([NAME])[0] in upload["documents"]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "audit").iterdir())
    assert not [word for word in (SECRET, NAME, "wumpelknack", "spare", token, token.rpartition("_")[2]) if word.encode() in kept]


def test_keys_models_and_promotions_are_noted_wherever_they_are_changed(tmp_path: Path) -> None:
    settings, store = home_of(tmp_path), KeyStore(Folder(tmp_path))

    def run(*words: str) -> str:
        done = CliRunner().invoke(main, ["keys", *words], env={"RAGWB_HOME": str(tmp_path)})
        assert done.exit_code == 0, done.output
        return done.stdout

    run("create", "root", "--scope", "admin")
    run("rotate", "root")
    ring = store.look()[0]
    assert ring
    first, root = ring.keys
    run("revoke", first.id)
    panel = KeysPanel(store, visitor_of(root), lambda html: None)
    asyncio.run(panel.act({"act": "key-make", "name": "ci", "scopes": "ask"}))
    made = store.look()[0].named("ci")[0]  # type: ignore[union-attr]
    asyncio.run(panel.act({"act": "key-rotate", "key": made.id}))
    asyncio.run(panel.act({"act": "key-really-revoke", "key": made.id}))
    registry = Registry(Folder(tmp_path))
    one, two = (registry.add(PipelineConfig(max_sentences=n)) for n in (1, 2))
    registry.move("production", one, 0)
    registry.move("production", two, 1)
    registry.rollback("production", "worse")
    ModelChoice(Folder(tmp_path)).choose(ModelConfig(model="openai:qwen3"), root.id)
    assert events(settings) == [
        ("key made", ""), ("key rotated", ""), ("key revoked", ""), ("key made", root.id), ("key rotated", root.id), ("key revoked", root.id),
        ("alias moved", ""), ("alias moved", ""), ("alias moved", ""), ("model chosen", root.id),
    ]  # fmt: skip
    told = heard(settings)
    assert (told[2]["key"], told[3]["key"], told[3]["scopes"], told[6]["config"], told[8]["config"], told[9]["model"]) == (first.id, made.id, ["ask"], one, one, "openai:qwen3")
    assert not [key for key in store.look()[0].keys if key.hash in json.dumps(told)]  # type: ignore[union-attr]


def test_tests_of_configs_are_noted_when_they_start_fall_back_and_stop(tmp_path: Path) -> None:
    settings, store = home_of(tmp_path), KeyStore(Folder(tmp_path))
    _, key, token = store.change(lambda ring: add_key(ring, "Ann", ["admin"]))
    Workbench(settings).ingest_files([(NAME, TEXT)])
    brief = Registry(Folder(tmp_path)).add(PipelineConfig(max_sentences=1))
    arms = [{"name": "control", "config": "now"}, {"name": "brief", "config": brief}]
    with TestClient(create_server(settings), base_url=HERE, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.post("/v1/experiments", json={"name": "one", "arms": arms}).status_code == 200
        Folder(tmp_path).delete([f"configs/{brief}.json"])
        assert client.post("/v1/query", json={"question": "Where does the spare key lie?"}).status_code == 200
        assert client.post("/v1/experiments/one/stop", json={"reason": f"the {SECRET}"}).json()["state"] == "stopped"
    told = [line for line in heard(settings) if "test" in line["event"]]
    assert [(line["event"], line["by"], line["test"], line["collection"]) for line in told] == [
        ("start test", key.id, "one", "default"), ("test falls back", "", "one", "default"), ("stop test", key.id, "one", "default"),
    ]  # fmt: skip
    assert told[0]["arms"][1] == brief and SECRET not in json.dumps(told)


def test_a_stranger_who_tries_keys_does_not_fill_the_log(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model_servers="", oidc_issuer="http://127.0.0.1:9", oidc_client="ragwb", oidc_groups="groups.json")
    client = TestClient(create_server(settings), base_url=HERE, follow_redirects=False)
    statuses = [client.post("/signin", data={"key": "wrong"}).status_code for _ in range(MOST_WRONG + 30)]
    assert statuses == [401] * MOST_WRONG + [429] * 30
    statuses = [client.get("/signin/callback?code=1&state=2").status_code for _ in range(30)]
    assert set(statuses) == {400} and events(settings) == [("sign-in refused", "")] * MOST_WRONG


class Killed(BaseException):
    "As a process ends that is killed."


@pytest.fixture
def known(tmp_path: Path) -> Workbench:
    workbench = Workbench(home_of(tmp_path))
    workbench.ingest_files([(NAME, TEXT), ("other.md", b"# Other\n\nThe badge is green.")])
    return workbench


def test_a_deletion_that_did_not_reach_everything_is_noted(known: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    "A restore leaves out what the log names, and the document is gone from the collection."
    def down(given: deletion.Deletion) -> None:
        raise ConnectionError("no route to MLflow")

    known.ask("Where does the spare key lie?")
    with monkeypatch.context() as patch:
        patch.setattr("ragwb.answering.deletion.forget_passing", down)
        with pytest.raises(deletion.NotEverywhere):
            known.delete([NAME])
    assert [(told["deleted"], told["documents"]) for told in heard(known.settings) if told["event"] == "delete"] == [(1, marks_of([NAME]))]


def test_a_deletion_that_is_killed_is_noted_by_the_process_that_completes_it(known: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = maintenance.delete

    def killed(*given: Any) -> int:
        whole(*given)
        raise Killed

    known.payer = type(known.payer)("1f3a9c2b", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(maintenance, "delete", killed)
        known.delete([NAME, "no such document"])
    assert "delete" not in [event for event, _ in events(known.settings)]
    Workbench(known.settings).ingest_files([("third.md", b"# Third\n\nA third note.")])
    found = [told for told in heard(known.settings) if told["event"] == "delete"]
    assert [(told["by"], told["deleted"], told["documents"]) for told in found] == [("1f3a9c2b", 1, marks_of([NAME, "no such document"]))]


def test_old_days_go_from_a_bucket_too_and_lines_of_several_machines_are_one_log(s3_settings: Settings) -> None:
    storage = objects(s3_settings)
    storage.put("audit/2020-01-01/090000000-00000000.jsonl", b'{"at": "2020-01-01T09:00:00.000+00:00", "event": "sign-in", "by": "00000000"}\n')
    one, other = Audit(storage, days=30), Audit(objects(s3_settings), days=30)
    threads = [threading.Thread(target=lambda log=log, n=n: log.note("upload", str(n))) for n in range(5) for log in (one, other)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told["by"] for told in one.read()) == sorted([str(n) for n in range(5)] * 2)
    assert [told["at"] for told in one.read()] == sorted(told["at"] for told in one.read())


def test_a_slow_disk_holds_up_nobody_and_what_is_too_much_is_in_the_servers_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    log, go_on = Audit(Folder(tmp_path)), threading.Event()
    monkeypatch.setattr(audit, "WAITING", threading.Semaphore(3))
    append: Callable[..., None] = Audit.append
    monkeypatch.setattr(Audit, "append", lambda self, *given: go_on.wait(30) and append(self, *given))
    begun = time.monotonic()
    for n in range(5):
        log.note("upload", collection=f"of-{n}")
    assert time.monotonic() - begun < 5
    assert caplog.text.count("too many lines wait") == 2 and "of-3" in caplog.text and "of-4" in caplog.text
    go_on.set()
    assert [told["collection"] for told in log.read()] == ["of-0", "of-1", "of-2"]
