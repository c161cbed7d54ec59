"Who comes in, and what each visitor sees: every route with every kind of wrong key, two tenants with the same documents, streams and sockets of revoked keys."

import json
import logging
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from bokeh.protocol.exceptions import ProtocolError
from click.testing import CliRunner
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import ragwb.cli  # noqa: F401  # all commands
from ragwb.answering.answer_store import AnswerError
from ragwb.answering.conversations import Conversations, new_conversation_id
from ragwb.api.access import RULES, SESSION_COOKIE, AccessGate, check_start
from ragwb.api.routes import create_api
from ragwb.app.server import create_server
from ragwb.commands.common import main
from ragwb.indexing.schema import CollectionError
from ragwb.operations.ab_serving import start_test
from ragwb.operations.keys import AccessError, Keys, KeyStore, add_key, end_session, hashed, new_session, revoke_key, session_id
from ragwb.operations.permission import VISITOR, Visitor, seen_by
from ragwb.operations.prompt_registry import Prompts
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

SEALS = b"# Seal data sheet\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n"
TORQUE = "What torque does the seal A1-990 need?"
HERE, SOCKET = "http://127.0.0.1:8321", "ws://127.0.0.1:8321"  # a test client makes a path of a socket an address of testserver, which no server answers to
WAYS = ("no key", "wrong key", "another scheme", "expired", "revoked", "wrong scope")


class Tenants:
    "A server with the collections anton and berta, which hold the same document, an answer and a conversation each, and a key of each kind."

    def __init__(self, home: Path):
        self.settings = Settings(home=home, workers=1, model_servers="")
        self.workbench, self.answers, self.talks = Workbench(self.settings), {}, {}
        for name in ("anton", "berta"):
            self.workbench.ingest_files([("seals.md", SEALS), ("delete.md", b"# Old\n\nAn old note.")], name)
            self.answers[name], self.talks[name] = self.workbench.ask(TORQUE, name).id, new_conversation_id()
            Conversations(self.workbench.store.objects).add(name, self.talks[name], [self.answers[name]])
        self.store, now = KeyStore(Folder(home)), datetime.now(UTC)
        self.anton, self.berta = self.make("anton", ["ask", "ingest"], ["anton"]), self.make("berta", ["ask", "ingest"], ["berta"])
        Prompts(self.workbench.store.objects).add("answer", "Answer in one sentence.", "{passages}\n\n{question}")
        start_test(self.workbench, "quiet", "anton", [("control", "now"), ("brief", "prompt:answer:2")])
        self.admin, self.metrics, self.ask = self.make("admin", ["admin"]), self.make("watcher", ["metrics"]), self.make("reader", ["ask"])
        self.revoked, self.expired = self.make("gone", ["admin"]), self.make("old", ["admin"], [], timedelta(days=1), now - timedelta(days=2))
        self.store.change(lambda ring: revoke_key(ring, "gone"))
        self.app = create_server(self.settings)
        self.client = TestClient(self.app, base_url=HERE, follow_redirects=False)

    def make(self, name, scopes=("ask",), collections=(), lifetime=None, now=None):
        return self.store.change(lambda ring: add_key(ring, name, scopes, collections, lifetime, now))[2]

    def send(self, key, method, path, **more):
        return self.client.request(method, path, headers={"Authorization": f"Bearer {key}"} if key else {}, **more)

    def shown(self, way: str, scope: str) -> dict[str, str]:
        "The headers of a way in which nobody comes in."
        wrong = self.anton[:-4] + ("0000" if self.anton[-4:] != "0000" else "1111")
        other = self.metrics if scope != "metrics" else self.ask
        given = {"no key": "", "wrong key": f"Bearer {wrong}", "another scheme": f"Basic {self.admin}",
                 "expired": f"Bearer {self.expired}", "revoked": f"Bearer {self.revoked}", "wrong scope": f"Bearer {other}"}  # fmt: skip
        return {"Authorization": given[way]} if given[way] else {}

    def requests(self, of: str) -> dict[tuple[str, str], dict]:
        "A request for each route that the OpenAPI document lists, about the things of a tenant; `ROUTE` is what a new route is missing from."
        answer = self.answers[of] if of in self.answers else "20261126-101010-" + "0" * 24
        question = {"question": TORQUE, "collection": of}
        chat = {"model": f"ragwb/{of}", "messages": [{"role": "user", "content": TORQUE}]}
        return {
            ("POST", "/v1/query"): {"json": question}, ("POST", "/v1/query/stream"): {"json": question},
            ("POST", "/v1/documents"): {"params": {"collection": of}, "files": [("files", ("new.md", b"# New\n\nA new note."))]},
            ("GET", "/v1/documents"): {"params": {"collection": of}}, ("GET", "/v1/documents/{id}"): {"path": "/v1/documents/seals.md", "params": {"collection": of}},
            ("DELETE", "/v1/documents/{id}"): {"path": "/v1/documents/delete.md", "params": {"collection": of}},
            ("GET", "/v1/collections"): {}, ("POST", "/v1/feedback"): {"json": {"answer_id": answer, "rating": "up"}},
            ("GET", "/v1/answers/{id}/notebook"): {"path": f"/v1/answers/{answer}/notebook"},
            ("GET", "/v1/models"): {}, ("GET", "/v1/models/{id}"): {"path": f"/v1/models/ragwb/{of}"}, ("POST", "/v1/chat/completions"): {"json": chat},
            ("GET", "/metrics"): {}, ("GET", "/healthz"): {}, ("GET", "/readyz"): {},
            ("GET", "/v1/experiments"): {}, ("POST", "/v1/experiments"): {"json": {"name": f"brief-{of}", "collection": of, "arms": ARMS}},
            ("GET", "/v1/experiments/{name}"): {"path": "/v1/experiments/quiet"}, ("POST", "/v1/experiments/{name}/stop"): {"path": "/v1/experiments/quiet/stop", "json": {}},
        }  # fmt: skip

    def ask_for(self, key_headers, route, of):
        self.app.state.wrong_keys.seen.clear()
        given = dict(self.requests(of)[route])
        return self.client.request(route[0], given.pop("path", route[1]), headers=key_headers, **given)


ARMS = [{"name": "control", "config": "now"}, {"name": "brief", "config": "prompt:answer:2"}]
OF_ADMINS = {(method, f"/v1/experiments{path}") for method, path in (("GET", ""), ("POST", ""), ("GET", "/{name}"), ("POST", "/{name}/stop"))}
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
OF_ALL = {("GET", "/v1/collections"), ("GET", "/v1/models"), ("GET", "/metrics")}  # about no tenant: lists and totals
SCOPES = {("GET", "/metrics"): "metrics", ("POST", "/v1/documents"): "ingest", ("DELETE", "/v1/documents/{id}"): "ingest"} | dict.fromkeys(OF_ADMINS, "admin")


@pytest.fixture(scope="module")
def tenants(tmp_path_factory):
    return Tenants(tmp_path_factory.mktemp("tenants") / "home")


def listed(tenants) -> list[tuple[str, str]]:
    described = create_api(tenants.workbench).openapi()["paths"]  # the server's own also lists the pages of the app
    return sorted((method.upper(), re.sub(r"\{(\w+):path\}", r"{\1}", path)) for path, methods in described.items() for method in methods)


def test_every_listed_route_refuses_everyone_who_has_no_right(tenants):
    "A table of routes and wrong keys; a route that was added and is not asked for here fails the test."
    assert listed(tenants) == sorted(tenants.requests("anton")), "a route is new: say in Tenants.requests how it is asked for"
    table, before = {}, sorted(tenants.workbench.store.open("berta").hashes())
    for route in listed(tenants):
        scope = SCOPES.get(route, "ask")
        row = {way: tenants.ask_for(tenants.shown(way, scope), route, "berta") for way in WAYS}
        row["another tenant"] = tenants.ask_for({"Authorization": f"Bearer {tenants.anton}"}, route, "berta")
        table[route] = {way: response.status_code for way, response in row.items()}
        if route in OPEN:
            assert set(table[route].values()) == {200}
            continue
        refused = [table[route][way] for way in WAYS]
        assert refused == [401] * 5 + [403], (route, table[route])
        assert all(row[way].headers["www-authenticate"].startswith("Bearer") for way in WAYS)
        bodies = {way: row[way].text for way in ("wrong key", "expired", "revoked")}
        assert len(set(bodies.values())) == 1, "wrong, expired and revoked are told apart"
        if route in OF_ADMINS:
            assert table[route]["another tenant"] == 403
        elif route not in OF_ALL:
            assert table[route]["another tenant"] == 404, (route, row["another tenant"].text)
    assert sorted(tenants.workbench.store.open("berta").hashes()) == before
    rows = [f"| {method} {path} | " + " | ".join(str(status) for status in table[method, path].values()) + " |" for method, path in table]
    print("\n".join(["| route | " + " | ".join((*WAYS, "another tenant")) + " |", "|---" * (len(WAYS) + 2) + "|", *rows]))


def test_a_key_that_is_revoked_while_it_is_answered_gets_nothing(tmp_path, monkeypatch):
    "Of every listed route: the key is good when the request comes in, and revoked before the response begins."
    tenants, whole, rows = Tenants(tmp_path / "home"), AccessGate.watched, []

    async def revoked_meanwhile(gate, scope, receive, send, visitor):
        tenants.store.change(lambda ring: revoke_key(ring, visitor.key))
        gate.keys.read_at = float("-inf")
        await whole(gate, scope, receive, send, visitor)

    monkeypatch.setattr(AccessGate, "watched", revoked_meanwhile)
    for route in set(listed(tenants)) - OPEN:
        key = tenants.make("short", ["admin"] if SCOPES.get(route) in ("metrics", "admin") else ["ask", "ingest"])
        tenants.app.state.keys.read(0)
        response = tenants.ask_for({"Authorization": f"Bearer {key}"}, route, "anton")
        assert response.status_code == 401 and "not valid, or not any more" in response.text and "42 N m" not in response.text, (route, response.text)
        rows.append(f"| {' '.join(route)} | {response.status_code} |")
    print("\n".join(["| route | revoked while it is answered |", "|---|---|", *sorted(rows)]))


def test_the_owner_comes_in_by_every_route(tenants):
    for route in listed(tenants):
        key = tenants.metrics if route == ("GET", "/metrics") else tenants.admin if route in OF_ADMINS else tenants.anton
        response = tenants.ask_for({"Authorization": f"Bearer {key}"}, route, "anton")
        if route == ("POST", "/v1/experiments"):
            assert response.status_code == 422 and "collection anton has the test quiet" in response.text
            continue
        assert response.status_code == 200 or (route[1].endswith("notebook") and response.status_code == 410), (route, response.text)
        assert "berta" not in response.text and tenants.answers["berta"] not in response.text


def test_what_is_hidden_and_what_is_not_there_are_refused_in_the_same_words(tenants):
    for route in set(listed(tenants)) - OPEN - OF_ALL - OF_ADMINS:
        hidden, missing = (tenants.ask_for({"Authorization": f"Bearer {tenants.anton}"}, route, of) for of in ("berta", "nadja"))
        said = hidden.text.replace("berta", "nadja").replace(tenants.answers["berta"], "20261126-101010-" + "0" * 24)
        assert (hidden.status_code, said) == (missing.status_code, missing.text), route
        assert "nadja" not in tenants.workbench.collections()


def test_pages_pictures_originals_and_conversations_need_a_key_too(tenants):
    "Every route of the server that the OpenAPI document does not list."
    there = {"/docs", *(getattr(route, "path", "") for route in tenants.app.routes)}
    there = {re.sub(r"\{(\w+):path\}", r"{\1}", path) for path in there} - {path for _, path in listed(tenants)} - {"/signin", "/signout"}
    assert {"/", "/ask", "/documents", "/settings", "/ask/ws", "/pages", "/originals", "/conversations/{collection}/{conversation}", "/static", "/docs", "/openapi.json"} <= there
    for path in sorted(there - {""}):
        address = path.replace("{collection}", "berta").replace("{conversation}", tenants.talks["berta"]).replace("{path}", "x.js")
        if path.endswith("/ws"):
            for way in WAYS:
                tenants.app.state.wrong_keys.seen.clear()
                with pytest.raises(WebSocketDisconnect) as refused, tenants.client.websocket_connect(f"{SOCKET}{address}", subprotocols=["bokeh", "x"],
                    headers=tenants.shown(way, "ask")):
                    pass
                assert refused.value.code == 1008 and "key" in refused.value.reason, (path, way)
            continue
        for way in WAYS[:-1]:
            for each in (address, f"{address}/x"):
                tenants.app.state.wrong_keys.seen.clear()
                assert tenants.client.get(each, headers=tenants.shown(way, "ask")).status_code == 401, (each, way)
    for address in (f"/conversations/berta/{tenants.talks['berta']}", "/originals?collection=berta&document=seals.md", "/pages?collection=berta&document=seals.md&page=1"):
        hidden, missing = tenants.send(tenants.anton, "GET", address), tenants.send(tenants.anton, "GET", address.replace("berta", "nadja"))
        assert (hidden.status_code, hidden.text) == (missing.status_code, missing.text) == (404, "no such document")
        assert str(tenants.settings.home) not in hidden.text
    assert b"42 N m" in tenants.send(tenants.anton, "GET", "/originals?collection=anton&document=seals.md").content


def test_equal_documents_and_questions_stay_apart(tenants):
    for key, own, other in ((tenants.anton, "anton", "berta"), (tenants.berta, "berta", "anton")):
        answer = tenants.send(key, "POST", "/v1/query", json={"question": TORQUE, "collection": own}).json()
        assert "42 N m" in answer["answer"] and other not in json.dumps(answer) and tenants.answers[other] not in json.dumps(answer)
        assert tenants.send(key, "GET", "/v1/collections").json() == {"collections": [own], "default": own}
        assert tenants.send(key, "POST", "/v1/query", json={"question": TORQUE}).json()["answer"] == answer["answer"]  # its own is the default
        assert {each["id"] for each in tenants.send(key, "GET", "/v1/models").json()["data"]} == {"ragwb", f"ragwb/{own}"}


def test_an_answers_id_cannot_be_guessed(tenants):
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{24}", id) for id in tenants.answers.values())


def test_wrong_keys_are_slowed_down_and_right_ones_are_not(tmp_path):
    store = KeyStore(Folder(tmp_path))
    token = store.change(lambda ring: add_key(ring, "Ann"))[2]
    client = TestClient(create_api(Workbench(Settings(home=tmp_path))), base_url=HERE)
    statuses = [client.get("/v1/collections", headers={"Authorization": "Bearer ragwb_00000000_" + "0" * 40}) for _ in range(25)]
    assert [each.status_code for each in statuses] == [401] * 20 + [429] * 5 and int(statuses[-1].headers["retry-after"]) in range(1, 62)
    assert client.get("/v1/collections", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/v1/collections").status_code == 401  # no key is no attempt


def test_nothing_of_a_key_is_kept_or_logged(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    store = KeyStore(Folder(tmp_path))
    token = store.change(lambda ring: add_key(ring, "Ann", ["admin"]))[2]
    secret = token.rpartition("_")[2]
    with TestClient(create_server(Settings(home=tmp_path, model_servers="")), base_url=HERE, follow_redirects=False) as client:
        assert client.post("/signin", data={"key": token, "next": "/ask"}).status_code == 303
        assert client.post("/signin", data={"key": token + "x"}).status_code == 401
        assert secret not in client.get("/ask").text and client.cookies[SESSION_COOKIE] not in client.get("/ask").text
        client.get("/v1/nothing", headers={"Authorization": f"Bearer {token}"})
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret not in caplog.text and secret.encode() not in kept and hashed(token).encode() in kept
    assert (tmp_path / "access/keys.json").stat().st_mode & 0o777 == 0o600


def test_a_session_is_for_pages_only_and_ends_with_its_key(tenants):
    token = tenants.make("session", ["ask"], ["anton"])
    app = create_server(tenants.settings)
    client = TestClient(app, base_url=HERE, follow_redirects=False)
    assert client.get("/ask?collection=anton", headers={"Accept": "text/html"}).headers["location"] == "/signin?next=/ask%3Fcollection%3Danton"
    told = client.post("/signin", data={"key": token, "next": "//evil.example"})
    assert told.headers["location"] == "/" and {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in told.headers["set-cookie"].split(";")}
    with client:
        assert client.get("/ask").status_code == 200 and client.get("/docs").status_code == 200
        assert [client.get(path).status_code for path in ("/v1/collections", "/metrics")] == [401, 401]
        assert client.post("/v1/query", json={"question": TORQUE}).status_code == 401
        assert client.post("/signout", headers={"Origin": "http://evil.example"}).status_code == 403
        tenants.store.change(lambda ring: revoke_key(ring, "session"))
        app.state.keys.read(0)
        assert client.get("/ask").status_code == 401


@pytest.mark.parametrize("query", ["bokeh_session_id=x", "a=1&bokeh_session_id=", "bokeh%5Fsession%5Fid=x"])
def test_a_session_of_the_app_is_never_named_by_an_address(tmp_path, query):
    with TestClient(create_server(Settings(home=tmp_path, model_servers="")), base_url=HERE) as client:
        assert client.get(f"/ask?{query}").status_code == 400
        page = client.get("/ask")
        token = re.search(r'"token":"([^"]+)"', page.text)
        assert token and "." in token[1], "the token of a session is not signed"
        for wrong in (token[1].partition(".")[0], token[1][:-1] + ("A" if token[1][-1] != "A" else "B")):
            with pytest.raises((ProtocolError, WebSocketDisconnect)), client.websocket_connect(f"{SOCKET}/ask/ws", subprotocols=["bokeh", wrong]) as socket:
                socket.receive_text()
        with client.websocket_connect(f"{SOCKET}/ask/ws", subprotocols=["bokeh", token[1]]) as socket:
            assert "ACK" in socket.receive_text()


def test_a_page_tells_no_script_the_session(tenants):
    "Panel writes cookies and headers of the request into the page, packed."
    from bokeh.util.token import get_token_payload

    with TestClient(create_server(tenants.settings), base_url=HERE, follow_redirects=False) as client:
        client.post("/signin", data={"key": tenants.ask})
        page = client.get("/ask", headers={"Cookie": f"ragwb-theme=dark; {SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}).text
        told = get_token_payload(re.search(r'"token":"([^"]+)"', page)[1])
        assert told["cookies"] == {"ragwb-theme": "dark"} and client.cookies[SESSION_COOKIE] not in json.dumps(told, default=str)
        page = client.get("/ask", headers={"Authorization": f"Bearer {tenants.ask}"}).text
        assert tenants.ask not in json.dumps(get_token_payload(re.search(r'"token":"([^"]+)"', page)[1]), default=str)


@pytest.mark.parametrize("host", ["testserver", "evil.example", "127.0.0.1.evil.example", "localhost:8321.evil.example", "10.1.2.3", "", "127.0.0.1:8321:1"])
@pytest.mark.parametrize("settings", [Settings(), Settings(host="0.0.0.0", hosts="ragwb.example.com"), Settings(host="0.0.0.0", insecure=1)])
def test_a_server_answers_to_its_own_names_only(tmp_path, settings, host):
    client = TestClient(create_api(Workbench(replace(settings, home=tmp_path))), base_url=HERE)
    assert client.get("/healthz", headers={"Host": host}).status_code == 421
    own = ["localhost:8321", "127.0.0.1", *(["RAGWB.example.com"] if settings.hosts else [])]
    assert [client.get("/healthz", headers={"Host": name}).status_code for name in own] == [200] * len(own)
    assert TestClient(client.app, base_url="http://10.0.0.7:8321").get("/healthz").status_code == 200  # as a probe calls it: by the address on which it came


def test_the_first_key_closes_a_server_that_was_open_to_everyone_and_no_loss_opens_it_again(tmp_path):
    app, store = create_api(Workbench(Settings(home=tmp_path))), KeyStore(Folder(tmp_path))
    client = TestClient(app, base_url=HERE)
    statuses = [client.get("/v1/collections").status_code]
    make, revoke = lambda: store.change(lambda ring: add_key(ring, "Ann")), lambda: store.change(lambda ring: revoke_key(ring, "Ann"))  # noqa: E731
    for change in (make, revoke, (tmp_path / "access/keys.json").unlink):
        change()
        app.state.keys.read(0)
        statuses.append(client.get("/v1/collections").status_code)
    assert statuses == [200, 401, 401, 401]
    (tmp_path / "access/keys.json").write_text("[]")
    app.state.keys.read_at = float("-inf")
    assert client.get("/v1/collections").status_code == 503 and client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("more", "keys", "starts"), [
    ({"host": "127.0.0.1"}, 0, True), ({"host": "0.0.0.0"}, 0, False), ({"host": "0.0.0.0"}, 1, False), ({"host": ""}, 0, False),
    ({"host": "0.0.0.0", "hosts": "ragwb.example.com"}, 0, False), ({"host": "0.0.0.0", "hosts": "ragwb.example.com"}, 1, True),
    ({"host": "0.0.0.0", "insecure": 1}, 0, True), ({"hosts": "ragwb.example.com"}, 0, False),
])  # fmt: skip
def test_a_server_that_others_reach_starts_with_a_key_and_its_names_only(tmp_path, more, keys, starts):
    settings = Settings(home=tmp_path, **more)
    if keys:
        KeyStore(Folder(tmp_path)).change(lambda ring: add_key(ring, "Ann"))
    if starts:
        assert ("INSECURE" in check_start(settings)) == bool(settings.insecure)
    else:
        with pytest.raises(AccessError):
            check_start(settings)
    if not keys:  # a server that was made all the same lets nobody in
        open_to_all = TestClient(create_api(Workbench(settings)), base_url=HERE).get("/v1/collections").status_code
        assert open_to_all == (200 if starts else 401)


def test_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("RAGWB_HOME", str(tmp_path))
    run = lambda *line: CliRunner().invoke(main, line)  # noqa: E731
    refused = run("serve", "--host", "0.0.0.0", "--port", "8399")
    assert refused.exit_code == 1 and "ragwb keys create admin --scope admin" in refused.output
    made = run("keys", "create", "ci", "--scope", "ask,ingest", "--collections", "a,b", "--expires", "90d")
    token = made.stdout.strip()
    ring = KeyStore(Folder(tmp_path)).look()[0]
    key = ring.of_token(token, datetime.now(UTC))
    assert (key.name, key.scopes, key.collections) == ("ci", ("ask", "ingest"), ("a", "b"))
    second = run("keys", "rotate", "ci", "--overlap", "1h").stdout.strip()
    now, ring = datetime.now(UTC), KeyStore(Folder(tmp_path)).look()[0]
    at = [bool(ring.of_token(each, when)) for when in (now, now + timedelta(hours=2)) for each in (token, second)]
    assert at == [True, True, False, True]
    shown = json.loads(run("keys", "list", "--json").stdout)
    assert [row["state"] for row in shown] == ["valid", "valid"] and "hash" not in shown[0]
    assert run("keys", "revoke", key.id).exit_code == 0 and run("keys", "revoke", "nobody").exit_code == 1
    assert [row["state"] for row in json.loads(run("keys", "list", "--json").stdout)] == ["revoked", "valid"]


def test_keys_are_shared_by_all_processes_of_a_bucket(s3_settings):
    one, two = KeyStore(objects(s3_settings)), Keys(KeyStore(objects(s3_settings)))
    assert two.read() is None
    tokens = []
    threads = [threading.Thread(target=lambda n=n: tokens.append(one.change(lambda ring: add_key(ring, f"key {n}"))[2])) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(bool(two.read(0).of_token(token, datetime.now(UTC))) for token in tokens) == 5
    one.change(lambda ring: revoke_key(ring, "key 3"))
    assert sum(bool(two.read(0).of_token(token, datetime.now(UTC))) for token in tokens) == 4


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/query/stream", {"question": TORQUE}), ("/v1/chat/completions", {"model": "ragwb", "stream": True, "messages": [{"role": "user", "content": TORQUE}]}),
])  # fmt: skip
def test_a_stream_ends_when_its_key_is_revoked(tmp_path, path, body):
    "On a real socket: the key is revoked by another process's store while statements still come."
    workbench, store = Workbench(Settings(home=tmp_path, workers=1)), KeyStore(Folder(tmp_path))
    workbench.ingest_files([("seals.md", SEALS)], "default")
    token = store.change(lambda ring: add_key(ring, "Ann"))[2]
    said = []

    async def slow(question, collection):
        import asyncio

        for number in range(100):
            said.append(number)
            yield f"statement {number} "
            await asyncio.sleep(0.2)

    workbench.astream = slow
    server = uvicorn.Server(uvicorn.Config(create_api(workbench), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port, heard, revoked = server.servers[0].sockets[0].getsockname()[1], [], 0.0
        with httpx.stream("POST", f"http://127.0.0.1:{port}{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20) as reply:
            for line in reply.iter_lines():
                heard.append(line)
                if len(said) == 3 and not revoked:
                    store.change(lambda ring: revoke_key(ring, "Ann"))
                    revoked = time.monotonic()
        assert time.monotonic() - revoked < 15  # about two seconds on a machine that does nothing else
        assert "event: error" in heard and any('"status": 401' in line or "invalid_api_key" in line for line in heard) and "[DONE]" not in heard[-1]
        time.sleep(1)
        assert len(said) < 25, "the work goes on for nobody"
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_socket_ends_when_its_key_is_revoked_or_its_session_is_signed_out(tmp_path):
    store = KeyStore(Folder(tmp_path))

    async def echo(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{VISITOR.get().name} {message['text']}"})

    for revoked in (True, False):
        ring, key, _ = store.change(lambda ring: add_key(ring, "Ann"))
        session = new_session(ring, key)
        ended = session_id(ring, session)
        client = TestClient(AccessGate(echo, Keys(store), [replace(RULES[3], path="/ask/ws", page=True)], easy=False), base_url=HERE)
        with client.websocket_connect("/ask/ws", headers={"Cookie": f"{SESSION_COOKIE}={session}"}) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "Ann hello"
            begun = time.monotonic()
            store.change(lambda ring: revoke_key(ring, key.id) if revoked else end_session(ring, ended))  # noqa: B023
            with pytest.raises(WebSocketDisconnect):
                socket.receive_text()
            assert time.monotonic() - begun < 15
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ask/ws", headers={"Cookie": f"{SESSION_COOKIE}={session}"}):
            pass


def test_the_view_itself_holds_whatever_a_route_forgets(tenants):
    view = seen_by(tenants.workbench, Visitor("1", "Anton", frozenset({"ask", "ingest"}), ("anton",)))
    tried = (lambda: view.ask(TORQUE, "berta"), lambda: view.ingest_files([("x.md", b"# X")], "berta"), lambda: view.delete(["seals.md"], "berta"), lambda: view.reindex("berta"),
             lambda: view.store.open("berta"), lambda: view.store.create("berta", view.default, 256), lambda: view.answers.load(tenants.answers["berta"]),
             lambda: view.answers.feedback(tenants.answers["berta"], "up"))  # fmt: skip
    for work in tried:
        with pytest.raises((CollectionError, AnswerError)):
            work()
    assert {record["collection"] for record in view.answers.recent(100)} == {"anton"} and view.collections() == ["anton"]
    assert "seals.md" in tenants.workbench.store.open("berta").hashes() and "x.md" not in tenants.workbench.store.open("berta").hashes()
