"Waiting, hanging up, filling up: what one client does takes nothing from the others, and ends."

import ast
import asyncio
import contextlib
import gc
import io
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from panel.io.resources import component_resource_path
from panel_material_ui.base import MaterialComponent
from servers import free_port, served
from starlette.responses import Response
from starlette.testclient import TestClient
from test_api import LEAVE, SEALS, TORQUE, Server, eventually, files, slow
from test_faults import tiny_disk  # noqa: F401  # a fixture

import ragwb.app.server
from ragwb.answering.answer_index import SUFFIX, TOGETHER
from ragwb.answering.conversations import Conversations, conversation_markdown, new_conversation_id
from ragwb.api import gate, probe, routes, service
from ragwb.api.routes import create_api
from ragwb.app.conversation import failure_of
from ragwb.app.documents_page import WindowUploads
from ragwb.app.server import ImpatientProtocol, create_server, run_server
from ragwb.app.uploads import Uploads, ingest_batch
from ragwb.documents.document import DocumentError
from ragwb.documents.parsing import parse
from ragwb.generation.question_words import rarity
from ragwb.guardrails.prompt_attacks import attacks
from ragwb.operations.keys import KeyStore, add_key
from ragwb.operations.limits import Buckets, Meters
from ragwb.settings import Settings
from ragwb.storage.folder import RESERVE, Folder
from ragwb.workbench import Workbench

ROOT = Path(__file__).resolve().parents[1]


def zipped(entries: dict[str, bytes]) -> bytes:
    "An archive."
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(Settings(home=tmp_path / "home", collection="docs", workers=1, model_servers=""), None)
    try:
        started.workbench.ingest_files([("leave.md", LEAVE), ("seals.md", SEALS)])
        yield started
    finally:
        started.stop()


# kept answers


def test_a_deletion_opens_the_last_answers_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench, opened = Workbench(Settings(home=tmp_path, workers=1, model_servers="")), []
    workbench.ingest_files([("seals.md", SEALS), ("leave.md", LEAVE), ("third.md", b"# Third\n\nThe badge is green.")])
    answer = workbench.ask(TORQUE)
    for n in range(TOGETHER + 30):
        workbench.answers.save(type(answer)(**vars(answer) | {"id": f"20261101-101010-{n:024x}"}))
    assert len(list(tmp_path.glob(f"answers/*/*{SUFFIX}"))) == 2  # a file for each day of the two hundred
    fresh, read = Workbench(workbench.settings), Folder.get
    monkeypatch.setattr(Folder, "get", lambda self, key: opened.append(key) or read(self, key))
    assert fresh.delete(["third.md"]) == 1
    assert 25 <= sum(key.endswith(".json") and key.startswith("answers/") for key in opened) <= 35
    opened.clear()
    assert fresh.delete(["leave.md"]) == 1 and not any(key.endswith(".json") and key.startswith("answers/2026") for key in opened)
    assert fresh.delete(["seals.md"]) == 1 and list(fresh.answers.ids()) == []
    assert fresh.delete(["seals.md"]) == 0 and not [path for path in tmp_path.glob("answers/*/*")]


def test_a_lost_or_damaged_index_of_answers_hides_none(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=1, model_servers=""))
    workbench.ingest_files([("seals.md", SEALS), ("leave.md", LEAVE)])
    kept = [workbench.ask(TORQUE).id for _ in range(3)]
    assert sorted(workbench.answers.resting("default", {"seals.md"})) == sorted(kept)
    (index,) = tmp_path.glob(f"answers/*/*{SUFFIX}")
    for damage in (lambda path: path.write_text("{"), Path.unlink):
        damage(index)
        assert sorted(workbench.answers.resting("default", {"seals.md"})) == sorted(kept)
        (index,) = tmp_path.glob(f"answers/*/*{SUFFIX}")
    assert workbench.answers.resting("other", {"seals.md"}) == [] and b"seals" not in index.read_bytes()


def test_old_answers_go_when_files_come_in_and_while_a_server_answers(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=1, model_servers="", answer_days=30))
    workbench.ingest_files([("seals.md", SEALS)])
    answer = workbench.ask(TORQUE)

    def old() -> str:
        workbench.answers.save(type(answer)(**vars(answer) | {"id": (id := "20240101-101010-" + "0" * 24)}))
        workbench.answers.feedback(id, "down", "outdated")
        return id

    assert old() in workbench.answers.ids()
    workbench.ingest_files([("leave.md", LEAVE)])
    assert list(workbench.answers.ids()) == [answer.id] and not list(tmp_path.glob("answers/20240101/*"))
    old()
    create_api(workbench)
    workbench.ask(TORQUE)
    assert eventually(lambda: not list(tmp_path.glob("answers/20240101/*")), 20) and len(list(workbench.answers.ids())) == 2


# uploads


def test_a_failed_upload_makes_no_collection(server: Server) -> None:
    for wrong in (("photo.xyz", b"?"), ("broken.pdf", b"%PDF-1.7 and no more"), ("../../etc/passwd", b"root"), ("empty.txt", b"")):
        reply = server.client.post("/v1/documents", params={"collection": "photos"}, files=files(wrong))
        assert (reply.status_code, reply.json()["files"][0]["status"]) == (422, "failed"), reply.text
    assert server.client.get("/v1/collections").json()["collections"] == ["docs"] and "photos" not in os.listdir(server.workbench.settings.home / "documents")
    mixed = server.client.post("/v1/documents", params={"collection": "photos"}, files=files(("empty.txt", b""), ("seals.md", SEALS))).json()
    assert (mixed["new"], len(mixed["failed"])) == (1, 1) and server.client.get("/v1/collections").json()["collections"] == ["docs", "photos"]


def test_two_first_uploads_at_once_are_both_in(server: Server) -> None:
    with ThreadPoolExecutor(8) as many:
        sent = [many.submit(httpx.post, f"{server.url}/v1/documents?collection=new", files=files((f"{n}.md", b"# Note %d\n\nA word." % n)), timeout=60) for n in range(8)]
        assert [each.result().status_code for each in sent] == [200] * 8
    assert sorted(server.workbench.store.open("new").hashes()) == [f"{n}.md" for n in range(8)]


def test_a_body_that_drips_is_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PIECE_S", 1.0)
    monkeypatch.setattr(gate, "SLOWEST", 10**9)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 15:
                connection.sendall(b" ")
                connection.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    answer = connection.recv(4096)
                    break
        assert b" 408 " in answer.splitlines()[0] and time.monotonic() - begun < 10


@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea"])
def test_a_connection_that_does_not_finish_a_head_is_closed(server: Server, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragwb.app.server, "HEAD_S", 0.5)
    other = uvicorn.Server(uvicorn.Config(server.app, host="127.0.0.1", port=0, log_level="error", http=ImpatientProtocol, timeout_keep_alive=1))
    thread = threading.Thread(target=other.run)
    thread.start()
    while not other.started:
        time.sleep(0.01)
    try:
        with socket.create_connection(other.servers[0].sockets[0].getsockname(), timeout=15) as connection:
            connection.sendall(said)
            while connection.recv(4096):  # until the server closes
                pass
        assert httpx.get(f"http://127.0.0.1:{other.servers[0].sockets[0].getsockname()[1]}/healthz").status_code == 200
    finally:
        other.should_exit = True
        thread.join(10)


@contextlib.contextmanager
def impatient(app: Any) -> Iterator[tuple[uvicorn.Server, tuple[str, int]]]:
    "An app served as `ragwb serve` does, and its address."
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", http=ImpatientProtocol, timeout_keep_alive=60))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield running, running.servers[0].sockets[0].getsockname()
    finally:
        running.should_exit = True
        thread.join(10)


def test_a_connection_beyond_the_limit_is_refused_in_words_and_takes_nothing_from_the_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragwb.app.server, "CONNECTIONS", 5)
    with impatient(server.app) as (running, address), httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", timeout=30) as first:
        assert first.get("/healthz").status_code == 200  # and the connection stays
        with contextlib.ExitStack() as open_ones:
            for _ in range(4):
                open_ones.enter_context(socket.create_connection(address, timeout=30))
            assert eventually(lambda: len(running.server_state.connections) == 5)
            for method, path in (("GET", "/healthz"), ("POST", "/v1/query"), ("POST", "/v1/query/stream")):
                refused = httpx.request(method, f"http://127.0.0.1:{address[1]}{path}", json=None if method == "GET" else {"question": TORQUE}, timeout=30)
                assert (refused.status_code, refused.headers["retry-after"], refused.headers["content-type"]) == (503, "2", "application/problem+json")
                assert refused.json()["type"] == "urn:ragwb:problem:busy" and "5 connections are open already" in refused.json()["detail"]
            with socket.create_connection(address, timeout=30) as window:  # a socket of the app is a connection too
                with contextlib.suppress(OSError):
                    head = "GET /ask/ws HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eHg=", "", ""
                    window.sendall("\r\n".join(head).encode())
                assert window.recv(4096).startswith(b"HTTP/1.1 503 ")
            assert "42 N m" in first.post("/v1/query", json={"question": TORQUE}).text and len(running.server_state.connections) == 5
        assert eventually(lambda: len(running.server_state.connections) == 1)
        assert httpx.get(f"http://127.0.0.1:{address[1]}/healthz", timeout=30).status_code == 200


def test_connections_that_say_nothing_leave_a_server_the_files_that_a_question_needs(tmp_path: Path) -> None:
    "Where a process begins with fewer files than a server takes connections; 1,100 are opened."
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_000:
        pytest.skip("this process may not open so many files")
    settings = Settings(home=tmp_path / "home", port=free_port(), workers=1, model_servers="")
    Workbench(settings).ingest_files([("seals.md", SEALS)])
    resource.setrlimit(resource.RLIMIT_NOFILE, (900, hard))  # the server inherits it
    try:
        with served(settings, tmp_path) as url, httpx.Client(base_url=url, timeout=60) as first, contextlib.ExitStack() as silent:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, 2_000), hard))
            assert first.get("/healthz").status_code == 200
            connections = [silent.enter_context(socket.create_connection(("127.0.0.1", settings.port), timeout=30)) for _ in range(1_100)]
            assert b"503" in connections[-1].recv(4096).splitlines()[0]
            assert "42 N m" in first.post("/v1/query", json={"question": TORQUE}).text
            assert first.get("/readyz").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


# waiting


def test_who_waits_too_long_for_a_lock_or_a_place_is_told_to_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOCK_S", 0.3)
    with server.workbench.store.objects.lock("docs"):
        replies = [server.client.delete("/v1/documents/seals.md"), server.client.post("/v1/documents", files=files(("new.md", b"# New")))]
        assert [(reply.status_code, reply.headers["retry-after"]) for reply in replies] == [(503, "10")] * 2 and "another run is writing to 'docs'" in replies[0].text
    assert set(server.workbench.store.open("docs").hashes()) == {"leave.md", "seals.md"} and not list(server.workbench.settings.home.glob("deletions/*"))
    monkeypatch.setattr(service, "LOCK_S", 30.0)
    monkeypatch.setattr(gate, "QUEUE_S", 0.5)
    with ThreadPoolExecutor(6) as many, server.workbench.store.objects.lock("docs"):
        waiting = [many.submit(server.client.delete, "/v1/documents/seals.md") for _ in range(6)]
        assert eventually(lambda: sum(each.done() for each in waiting) == 4)
        assert {(each.result().status_code, each.result().headers["retry-after"]) for each in waiting if each.done()} == {(503, "10")}
    statuses = [each.result().status_code for each in waiting]
    assert statuses.count(503) == 4 and 200 in statuses and set(statuses) <= {200, 404, 503}


def test_slow_pictures_and_a_slow_disk_leave_questions_and_probes_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, go_on = Settings(home=tmp_path, workers=1, model_servers=""), threading.Event()
    Workbench(settings).ingest_files([("seals.md", SEALS)])
    monkeypatch.setattr(ragwb.app.server, "page_response", lambda *_: go_on.wait(30) and Response("drawn"))
    app = create_server(settings)
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    try:
        with ThreadPoolExecutor(50) as many:
            pictures = [many.submit(httpx.get, f"{url}/pages?collection=default&document=seals.md&page=1", timeout=60) for _ in range(50)]
            assert eventually(lambda: app.state.service.drawing.statistics().tasks_waiting > 40, 20)
            begun = time.monotonic()
            assert [httpx.get(f"{url}{path}", timeout=20).status_code for path in ("/healthz", "/readyz", "/metrics", "/v1/documents")] == [200] * 4
            assert "42 N m" in httpx.post(f"{url}/v1/query", json={"question": TORQUE}, timeout=30).text and time.monotonic() - begun < 20
            go_on.set()
            assert {each.result().status_code for each in pictures} == {200}
        monkeypatch.setattr(service, "PROBE_S", 0.3)
        monkeypatch.setattr("ragwb.api.routes.check_storage", lambda _: time.sleep(2))
        reply = httpx.get(f"{url}/readyz", timeout=20)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5") and "did not answer" in reply.text
    finally:
        go_on.set()
        running.should_exit = True
        thread.join(10)


# hanging up


@pytest.mark.parametrize("path", ["/v1/query", "/v1/chat/completions"])
def test_an_answer_that_nobody_waits_for_is_not_made(server: Server, path: str) -> None:
    body = {"question": TORQUE} if path == "/v1/query" else {"model": "ragwb", "messages": [{"role": "user", "content": TORQUE}]}
    assert server.client.post(path, json=body).status_code == 200  # what is loaded at the first question
    kept = len(list(server.workbench.answers.ids()))
    with server.model(slow(50)) as model:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}{path}", json=body, timeout=httpx.Timeout(20, read=4))
        assert eventually(lambda: model.asked)
        time.sleep(0.3)
        model.allowed.release(50)
        assert eventually(lambda: server.asking == 0, 20), "the place was not given back"
        assert len(model.said) < 10, "the model went on talking to nobody"
    assert len(list(server.workbench.answers.ids())) == kept


def test_an_upload_whose_client_has_gone_stops(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, many = threading.Event(), threading.Event(), files(*((f"{n}.md", b"# Note %d\n\nA word." % n) for n in range(40)))
    present = service.check_present

    def held() -> None:
        began.set()
        go_on.wait(20)
        present()

    monkeypatch.setattr(service, "check_present", held)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/documents", files=many, timeout=httpx.Timeout(20, read=2))
    assert began.wait(20)
    time.sleep(0.3)
    go_on.set()
    assert eventually(lambda: server.app.state.service.ingesting.borrowed_tokens == 0, 20)
    assert len(server.workbench.store.open("docs").hashes()) == 2, "nobody waited for these"
    events = [told["event"] for told in server.workbench.audit.read()]
    assert events[-1] == "upload broken off"
    monkeypatch.undo()
    assert server.client.post("/v1/documents", files=many, timeout=60).json()["new"] == 40


def test_an_upload_that_ends_in_the_middle_is_no_fault_of_the_server(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    began = server.workbench.store.open("docs").hashes()
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /v1/documents HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000\r\n\r\n"
    with caplog.at_level("WARNING"):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f'{head}--b\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n# Half'.encode())
            time.sleep(0.3)
        assert eventually(lambda: server.app.state.service.ingesting.borrowed_tokens == 0, 20)
        time.sleep(0.5)
    assert [record.getMessage() for record in caplog.records] == [] and server.workbench.store.open("docs").hashes() == began


# files


def test_a_deletion_frees_a_disk_that_is_full_to_the_last_byte(tiny_disk: Path) -> None:  # noqa: F811
    home = tiny_disk / "home"
    assert subprocess.run(["mount", "-o", "remount,size=16m", str(tiny_disk)], check=False).returncode == 0
    workbench = Workbench(Settings(home=home, workers=1, model_servers=""))
    workbench.ingest_files([("one.md", b"# One\n\nThe first takes 42 N m.\n" + b"Some padding words here. " * 8000), ("two.md", b"# Two\n\nThe second takes 43 N m.\n")])
    assert (home / RESERVE).is_file()
    with contextlib.suppress(OSError), (tiny_disk / "film.avi").open("wb", buffering=0) as film:
        while film.write(bytes(4096)) == 4096:
            pass
    assert os.statvfs(tiny_disk).f_bavail == 0
    assert workbench.delete(["one.md"]) == 1
    assert set(workbench.store.open("default").hashes()) == {"two.md"} and os.statvfs(tiny_disk).f_bavail * 4096 > 200_000
    assert "43 N m" in workbench.ask("What does the second take?").text and not list(home.glob("deletions/*"))


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_an_answer_that_cannot_be_kept_is_given_all_the_same(tiny_disk: Path, fault: str) -> None:  # noqa: F811
    home = tiny_disk / "home"
    assert subprocess.run(["mount", "-o", "remount,size=16m", str(tiny_disk)], check=False).returncode == 0
    workbench = Workbench(Settings(home=home, workers=1, model_servers=""))
    workbench.ingest_files([("seals.md", SEALS)])
    chat = {"model": "ragwb", "messages": [{"role": "user", "content": TORQUE}]}
    asked = (("/v1/query", {"question": TORQUE}), ("/v1/query/stream", {"question": TORQUE}), ("/v1/chat/completions", chat), ("/v1/chat/completions", chat | {"stream": True}))
    with TestClient(create_api(workbench), base_url="http://127.0.0.1:8321") as client:
        kept = client.post("/v1/query", json={"question": TORQUE}).json()
        if fault == "full":
            with contextlib.suppress(OSError), (tiny_disk / "film.avi").open("wb", buffering=0) as film:
                while film.write(bytes(4096)) == 4096:
                    pass
        else:
            assert subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=False).returncode == 0
        for path, body in asked:
            reply = client.post(path, json=body)
            assert reply.status_code == 200 and "42 N m" in reply.text and "seals.md" in reply.text, reply.text
            assert "This answer is not kept, so it cannot be rated or found again" in reply.text, reply.text
            assert str(home) not in reply.text and "Errno" not in reply.text and "event: error" not in reply.text
        assert workbench.unkept == len(asked)
        subprocess.run(["mount", "-o", "remount,rw", str(tiny_disk)], check=True)
        (tiny_disk / "film.avi").unlink(missing_ok=True)
        assert client.post("/v1/feedback", json={"answer_id": kept["id"], "rating": "up"}).status_code == 200
        assert client.post("/v1/query", json={"question": TORQUE}).json()["id"] in workbench.answers.ids()


def test_a_new_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    homes = {name: tmp_path / name for name in ("ingested", "served", "keys")}
    Workbench(Settings(home=homes["ingested"], workers=1)).ingest_files([("seals.md", SEALS)])
    assert TestClient(create_api(Workbench(Settings(home=homes["served"]))), base_url="http://127.0.0.1").get("/readyz").status_code == 200
    KeyStore(Folder(homes["keys"])).change(lambda ring: add_key(ring, "Ann"))
    assert {name: oct(home.stat().st_mode & 0o777) for name, home in homes.items()} == dict.fromkeys(homes, "0o700")
    (shared := tmp_path / "shared").mkdir(mode=0o750)
    Workbench(Settings(home=shared, workers=1)).ingest_files([("seals.md", SEALS)])
    assert oct(shared.stat().st_mode & 0o777) == "0o750"  # as its owner made it


# words that leave


def test_a_picture_in_a_document_or_a_question_is_loaded_by_no_notebook_and_no_exported_conversation(server: Server) -> None:
    evil = "![x](http://evil.example/x.png) <img src=http://evil.example/y.png>"
    server.client.post("/v1/documents", files=files(("evil.md", f"# Evil {evil}\n\nThe evil seal takes 77 N m {evil}.\n".encode()))).raise_for_status()
    answer = server.client.post("/v1/query", json={"question": f"What does the evil seal take? {evil}"}).json()
    notebook = server.client.get(f"/v1/answers/{answer['id']}/notebook").json()
    conversations = Conversations(server.workbench.store.objects)
    conversations.add("docs", id := new_conversation_id(), [answer["id"]])
    kept = conversations.load("docs", id)
    shown = [*("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"), conversation_markdown(kept, conversations.records(kept))]
    assert sum("evil" in text for text in shown) >= 2
    for text in shown:
        assert not re.search(r"(?<!\\)!\[[^\]]*\](?<!\\)\(|<img", text), text


SOURCES = {  # what each kind of page may load and run; Bokeh builds functions of texts in the app, and nothing else does
    "/ask": {"default-src": "'self'", "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:", "connect-src": "'self' blob: data:", "img-src": "'self' data: blob:",
             "object-src": "'none'", "frame-ancestors": "'none'"},
    "/docs": {"default-src": "'self'", "script-src": "'self' 'unsafe-inline'", "img-src": "'self' data:", "frame-ancestors": "'self'"},
    "/signin": {"default-src": "'none'", "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'", "script-src": None},
    "/v1/collections": {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'", "script-src": None, "style-src": None},
    "/v1/nothing": {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'", "script-src": None, "style-src": None},
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES)
def test_a_page_may_load_and_run_what_its_kind_needs(tmp_path: Path, path: str) -> None:
    token = KeyStore(Folder(tmp_path)).change(lambda ring: add_key(ring, "admin", ["admin"]))[2]
    client = TestClient(create_server(Settings(home=tmp_path, workers=1, model_servers="")), base_url="http://127.0.0.1:8321")
    headers = client.get(path, headers={} if path == "/signin" else {"Authorization": f"Bearer {token}"}).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert {name: policy.get(name) for name in SOURCES[path]} == SOURCES[path]
    assert not re.search(r"https?:|\*", headers["content-security-policy"])
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")


# what is said of what is not there


def test_nothing_that_is_not_there_tells_where_the_data_lies(server: Server) -> None:
    "On a server that asks nobody for a key, too."
    app = create_server(server.workbench.settings)
    paths = ["/pages?collection=nope&document=a.pdf&page=1", "/pages?collection=docs&document=nope.pdf&page=1", "/pages?collection=..%2f..&document=a.pdf&page=1",
             "/pages?collection=docs&document=seals.md&page=9",
             "/originals?collection=nope&document=a.pdf", "/originals?collection=docs&document=nope", "/conversations/nope/AAAAAAAAAAAAAAAAAAAAAA",
             "/conversations/docs/AAAAAAAAAAAAAAAAAAAAAA",
             "/v1/documents?collection=nope", "/v1/documents/nope", "/v1/answers/20261126-101010-" + "0" * 24 + "/notebook", "/v1/answers/nope/notebook", "/v1/models/nope",
             "/components/nope", "/static/nope"]  # fmt: skip
    with TestClient(app, base_url="http://127.0.0.1:8321") as client:
        for path in paths:
            reply = client.get(path)
            assert reply.status_code in (404, 422), (path, reply.status_code)
            assert str(server.workbench.settings.home) not in reply.text and "lancedb" not in reply.text, (path, reply.text)


def test_a_failure_names_no_exception_of_python(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **more: object) -> None:
        raise KeyError("inside")

    damaged = {"a.docx": b"PK\x03\x04 and no more", "b.pdf": b"%PDF-1.7 and no more", "c.xlsx": zipped({"xl/workbook.xml": b"<a/>"}),
               "d.docx": zipped({"word/document.xml": b"<a/>"}),
               "e.epub": zipped({"META-INF/container.xml": b"<a/>"}), "f.pptx": zipped({"ppt/presentation.xml": b"<a/>"}), "g.json": b"{", "h.ipynb": b"[]",
               "i.odt": zipped({"content.xml": b"<a/>"})}  # fmt: skip
    told = server.client.post("/v1/documents", files=files(*damaged.items()), timeout=60).json()
    reasons = [each["reason"] for each in told["files"]]
    with monkeypatch.context() as patch:
        patch.setattr(type(server.workbench), "ingest_files", broken)
        reasons.append(ingest_batch(server.workbench, "docs", {"a.md": SEALS}, lambda step: None)[1])
    reasons.append(failure_of(KeyError("inside"), "Which torque?").reason)
    assert sum(map(bool, reasons)) >= 7 and not [reason for reason in reasons if re.search(r"\w(?:Error|Exception|Warning)\b|Traceback|inside", reason)], reasons


@pytest.mark.parametrize(("method", "path", "body", "told"), [
    ("PUT", "/v1/documents/seals.md", None, (405, "DELETE, GET")), ("DELETE", "/v1/query", None, (405, "POST")), ("POST", "/v1/documents/seals.md", None, (405,
        "DELETE, GET")), ("GET", "/v1/feedback", None, (405, "POST")),
    ("POST", "/v1/chat/completions", {"model": "ragwb", "stream": 0, "messages": [{"role": "user", "content": TORQUE}]}, (422, None)),
    ("POST", "/v1/chat/completions", {"model": "ragwb", "stream": "true", "messages": [{"role": "user", "content": TORQUE}]}, (422, None)),
    ("POST", "/v1/query", {"question": ""}, (422, None)), ("POST", "/v1/query", {"question": "?!"}, (422, None)), ("POST", "/v1/query", {"question": TORQUE, "more": 1}, (422,
        None)),
])  # fmt: skip
def test_what_the_description_rules_out_is_refused(server: Server, method: str, path: str, body: object, told: tuple[int, str | None]) -> None:
    reply = server.client.request(method, path, json=body)
    assert (reply.status_code, reply.headers.get("allow")) == told, reply.text
    paths = server.app.openapi()["paths"]
    asked = server.app.openapi()["components"]["schemas"]["Ask"]["properties"]["question"]
    assert asked["pattern"] == r"[\p{L}\p{N}]", "an empty question would be valid by the schema"
    documented = {kind for operation in paths.get(path, {}).values() for response in operation["responses"].values() for kind in response.get("content", {})}
    assert path not in paths or reply.status_code == 405 or reply.headers["content-type"].partition(";")[0] in documented


# what is kept in memory


def test_nothing_is_remembered_without_an_end_of_what_comes_from_outside() -> None:
    "Each function that remembers without a limit is named here, with the few things that it can be asked for."
    few = {"places": "a limit of the settings", "answer_markdown": "", "breaker": "services", "server_at": "the Redis of the settings",
           "new_client": "services and endpoints of the settings", "reranker": "configs",
           "dictionary": "languages that there are dictionaries of", "projection": "dimensions of a config", "operations": "", "statuses": "", "guardrail": "configs",
           "writer": "", "code_version": "commits",
           "synonym_groups": "", "word_vectors": "", "wordllama_embedder": "", "provider_embedder": "configs", "tokenizer": "", "common_words": "",
           "script": "characters of Unicode", "cache(pattern_of)": "rules of the package", "cache(Stemmer.Stemmer)": "languages"}  # fmt: skip
    endless = set()
    for path in (ROOT / "ragwb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            decorators = getattr(node, "decorator_list", [node.func] if isinstance(node, ast.Call) else [])
            if any(re.fullmatch(r"(functools\.)?(cache|lru_cache\((maxsize=)?None\))", ast.unparse(each)) for each in decorators):
                endless.add(getattr(node, "name", "") or ast.unparse(node))
    assert endless == few.keys()
    for remembering, size in ((rarity, 65_536), (attacks, 10_000)):
        assert remembering.cache_parameters()["maxsize"] <= size
    for n in range(70_000):
        rarity(f"term{n}")
    assert rarity.cache_info().currsize <= 65_536


# what the tables say


def test_the_tables_of_the_threat_model_name_tests_and_pages_that_are_there() -> None:
    root = Path(__file__).parents[1]
    for name in ("14_threat_model.md", "23_asvs.md"):
        text = (root / "nbs/guides" / name).read_text("utf-8")
        assert [test for test in re.findall(r"\btest_\w+", text) if not (root / f"tests/{test}.py").is_file()] == []
        assert [page for page in re.findall(r"\| [^|]*?(\d\d_\w+/\d\d_\w+)", text) if not (root / f"nbs/{page}.ipynb").is_file()] == []
    said = [int(chapter) for chapter in re.findall(r"^\| (\d+)\.\d+\.\d+", text, re.M)]
    assert said == sorted(said) and set(said) == set(range(1, 18))


def test_nothing_of_the_package_runs_or_unpickles_what_it_is_given() -> None:
    root, wrong = Path(__file__).parents[1] / "ragwb", ("eval", "exec", "pickle.loads", "pickle.load", "marshal.loads")
    for path in root.rglob("*.py"):
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)}
        assert called.isdisjoint(wrong), (path, called & set(wrong))


@pytest.mark.parametrize("name", ["a.xml", "a.html", "a.xhtml", "a.svg", "a.fods"])
def test_an_entity_of_a_document_reads_no_file(name: str, tmp_path: Path) -> None:
    (secret := tmp_path / "secret.txt").write_text("zyxwvut")
    data = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a><p>A word or two. &x;</p></a>'.encode()
    with contextlib.suppress(DocumentError):
        assert "zyxwvut" not in parse(data, name).text


@pytest.mark.parametrize("command", [r"\input{%s}", r"\include{%s}", r"\verbatiminput{%s}", r"\lstinputlisting{%s}", r"\immediate\write18{cat %s}"])
def test_a_command_of_latex_reads_no_file(command: str, tmp_path: Path) -> None:
    (secret := tmp_path / "secret.tex").write_text("zyxwvut")
    data = r"\documentclass{article}\begin{document}A word or two. " + command % secret + r" \end{document}"
    for name in (str(secret), str(secret.with_suffix(""))):
        found = parse(data.replace(str(secret), name).encode(), "a.tex").text
        assert "A word or two" in found and "zyxwvut" not in found


# signs of life on a port of their own


def said_by(port: int) -> tuple[int, dict[str, Any]]:
    "What the probe port says, once it answers."
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            found = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=20)
            assert found.headers["content-length"] == str(len(found.content))
            return found.status_code, found.json()
        time.sleep(0.05)
    raise AssertionError("nobody answers probes")


def test_a_probe_is_answered_by_a_process_of_its_own_that_tells_when_the_server_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    "Silence is told from life by the beats alone; a copy of the process is less patient than the one that ships."
    port = free_port()
    impatient = tmp_path / "probe.py"
    impatient.write_text(Path(str(probe.__file__)).read_text("utf-8").replace("SILENT_S = 1.0, 30.0", "SILENT_S = 1.0, 0.5"), "utf-8")
    monkeypatch.setattr(probe, "__file__", str(impatient))
    with probe.probe_port("127.0.0.1", port) as beat:
        said_by(port)
        beat()
        time.sleep(0.1)
        assert said_by(port)[0] == 200
        time.sleep(0.7)
        assert said_by(port)[0] == 503 and said_by(port)[1]["status"] == "hanging"
        beat()
        time.sleep(0.1)
        assert said_by(port)[0] == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2)


def test_a_server_with_a_probe_port_beats_and_takes_the_process_along(tmp_path: Path) -> None:
    port, probes = free_port(), free_port()
    words = [sys.executable, "-c", "from ragwb.cli import main; main()", "serve", "--port", str(port), "--probe-port", str(probes)]
    with subprocess.Popen(words, env={**os.environ, "RAGWB_HOME": str(tmp_path), "RAGWB_MODEL_SERVERS": ""}) as server:
        try:
            for _ in range(600):
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=20).status_code == 200:
                        break
                time.sleep(0.1)
            time.sleep(2.5)
            status, told = said_by(probes)
            assert status == 200 and told["silent_s"] < 2.4, "the loop beats once a second"
            server.kill()  # with no time to say goodbye
            server.wait(20)
            for _ in range(100):
                try:
                    httpx.get(f"http://127.0.0.1:{probes}/healthz", timeout=2)
                except httpx.TransportError:
                    break
                time.sleep(0.1)
            else:
                raise AssertionError("the process that answers probes outlived its server")
        finally:
            server.kill()


# turns


def test_a_server_lets_its_connections_take_their_turn_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "What a turn is worth is measured by benchmarks/load.py: on a machine that does other things a test of times would fail now and then."
    before = sys.getswitchinterval()
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)
    try:
        run_server(Settings(home=tmp_path, port=free_port(), workers=1, model_servers=""))
        assert sys.getswitchinterval() == pytest.approx(service.TURN_S) and before / 5 > service.TURN_S
        assert gc.get_freeze_count() > 50_000  # what is loaded is looked through no more
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()


def test_a_sign_of_life_touches_no_file() -> None:
    "Each touch hands Python's lock to an answer that is being computed."
    touched, looking = list[str](), [False]

    def noted(event: str, given: tuple[object, ...]) -> None:
        if looking[0] and event in ("open", "os.listdir", "os.scandir"):
            touched.append(f"{event} {given[0]}")

    sys.addaudithook(noted)  # there is no way to take it away
    looking[0] = True
    try:
        said = asyncio.run(routes.healthz())
    finally:
        looking[0] = False
    assert said["status"] == "ok" and touched == []


# addresses


@pytest.mark.parametrize("path", ["this/Zen/_bundle/a.js", "../../../etc/passwd", "x", "json/loads/_esm/a.js", "panel.widgets/Button/_stylesheets/../../x", "os/sep/_bundle/x"])
def test_an_address_imports_no_module_and_reads_no_file_that_no_component_lists(tmp_path: Path, path: str) -> None:
    client = TestClient(create_server(Settings(home=tmp_path, workers=1, model_servers="")), base_url="http://127.0.0.1:8321", raise_server_exceptions=False)
    response = client.get(f"/components/{path.replace('..', '%2e%2e').replace('/', '%2f')}")
    assert (response.status_code, "this" in sys.modules) == (404, False)


def test_the_components_of_a_page_are_served(tmp_path: Path) -> None:
    client = TestClient(create_server(Settings(home=tmp_path, workers=1, model_servers="")), base_url="http://127.0.0.1:8321")
    response = client.get(component_resource_path(MaterialComponent, "_bundle_path", MaterialComponent._bundle_path))
    assert response.status_code == 200 and len(response.content) > 100_000


def as_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    "What Uvicorn calls when `ragwb serve` runs, with an API key in the ring."
    KeyStore(Folder(tmp_path)).change(lambda ring: add_key(ring, "admin", ["admin"]))
    run, turn = dict[str, object](), sys.getswitchinterval()
    monkeypatch.setattr(uvicorn, "run", lambda app, **given: run.update(given, app=app))
    try:
        run_server(Settings(home=tmp_path, port=free_port(), workers=1, model_servers=""))
    finally:
        sys.setswitchinterval(turn)
        gc.unfreeze()
    config = uvicorn.Config(**run)  # type: ignore[arg-type]
    config.load()
    return config.loaded_app


def test_no_header_of_a_client_moves_its_wrong_keys_to_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    client = TestClient(as_served(tmp_path, monkeypatch), base_url="http://127.0.0.1:8321", client=("127.0.0.1", 5))  # a proxy on this machine
    told = [client.get("/v1/collections", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": f"10.0.0.{n}"}).status_code for n in range(25)]
    assert told == [401] * 20 + [429] * 5


def test_callers_behind_the_load_balancer_of_an_environment_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "The load balancer adds the address of who calls to what the caller wrote; API Gateway's link stands before it with an address of the same network."
    settings = dict(line.split("=", 1) for line in (ROOT / "k8s/overlays/dev/settings.env").read_text("utf-8").splitlines() if line[:1].isalpha())
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", settings["FORWARDED_ALLOW_IPS"])
    served = as_served(tmp_path, monkeypatch)

    def asked(forwarded: str, peer: str = "10.20.3.7") -> int:
        client = TestClient(served, base_url="http://127.0.0.1:8321", client=(peer, 5))
        return client.get("/v1/collections", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": forwarded}).status_code

    assert [asked(f"192.0.2.{n}, 198.51.100.7") for n in range(25)] == [401] * 20 + [429] * 5  # whatever the caller wrote
    assert asked("198.51.100.8") == 401 and asked("198.51.100.7, 10.20.4.9") == 429  # another caller; the same one by API Gateway
    assert [asked(f"192.0.2.{n}", "203.0.113.5") for n in range(25)] == [401] * 20 + [429] * 5  # past the load balancer


def test_a_window_sends_no_more_than_it_announced_and_touches_no_file_of_another_window(server: Server) -> None:
    uploads, meter = Uploads(server.workbench), Meters(Buckets(lambda: 0.0)).of("1", {"megabytes": 1})
    mine, other = WindowUploads(uploads, meter), WindowUploads(uploads)
    sizes = {"less": -5_000_000, "zero": 0, "big": 2_000_000, "next": 9}
    mine.act({"act": "announce", "files": [{"upload": id, "name": f"{id}.md", "size": size} for id, size in sizes.items()]}, "default")
    assert mine.act({"act": "piece", "upload": "zero", "data": b"x" * 1_000, "last": False}, "default") == {"arrived": "zero", "more": False}
    assert [(each.id, each.stage) for each in uploads.of("default")] == [("less", "failed"), ("zero", "failed"), ("big", "sending"), ("next", "failed")]
    assert "announced" in uploads.items["zero"].reason and "MB uploaded" in uploads.items["next"].reason and not uploads.data.get("zero")
    other.act({"act": "announce", "files": [{"upload": "theirs", "name": "d.md", "size": 10}]}, "others")
    mine.act({"act": "announce", "files": [{"upload": "theirs", "name": "e.md", "size": 900_000}]}, "default")
    mine.act({"act": "piece", "upload": "theirs", "data": b"not yours ", "last": True}, "default")
    assert (uploads.items["theirs"].stage, uploads.items["theirs"].received, uploads.items["theirs"].name) == ("sending", 0, "d.md")
