"What broke other servers of this kind, tried here: Bokeh, Open WebUI, RAGFlow, LiteLLM, Langflow, Microsoft 365 Copilot. Each as a kind, over all routes where that can be."

import ast
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from langchain_core.language_models import FakeListChatModel
from markdown_it import MarkdownIt
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from test_keys import HERE, SOCKET, Tenants, listed

from ragwb.api.access import MOST_WRONG, SESSION_COOKIE
from ragwb.api.routes import create_api
from ragwb.app.answer_view import with_chips
from ragwb.app.server import create_server
from ragwb.documents.parsing import parse
from ragwb.operations.keys import KeyRing, add_key, new_session, session_id
from ragwb.settings import Settings
from ragwb.workbench import Workbench

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Tenants:
    return Tenants(tmp_path_factory.mktemp("tenants") / "home")


# Bokeh CVE-2026-21883: an origin that only begins like an allowed one opened the socket of somebody who is signed in

ORIGINS = ("http://127.0.0.1:8321.evil.example", "http://evil.example", "http://evil.example/?127.0.0.1:8321", "http://evil.example#127.0.0.1:8321", "null", "", "http://127.0.0.1",
           "http://127.0.0.1:83210", "http://x@127.0.0.1:8321", "http://127.0.0.1:8321@evil.example", "http://localhost:8321", "http://evil-127.0.0.1:8321",
           "127.0.0.1:8321")  # fmt: skip


def test_the_socket_of_the_app_is_open_to_pages_of_this_server_only(tenants: Tenants) -> None:
    with TestClient(create_server(tenants.settings), base_url=HERE, follow_redirects=False) as client:
        client.post("/signin", data={"key": tenants.anton})
        for origin in ("http://127.0.0.1:8321", *ORIGINS):
            token = re.search(r'"token": ?"([^"]+)"', client.get("/ask").text)
            assert token
            try:
                with client.websocket_connect(f"{SOCKET}/ask/ws", subprotocols=["bokeh", token[1]], headers={"Origin": origin}) as socket:
                    opened = "ACK" in socket.receive_text()
            except WebSocketDisconnect as error:
                opened = False
                assert error.code == 1008
            assert opened is (origin == "http://127.0.0.1:8321"), origin


# Open WebUI 2026-45349 and later: ids of others, limits that another header skips, sockets of revoked users are in test_keys, test_tenants and test_doors; redirects

ELSEWHERE = ("https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)",
             "https:evil.example",
             "/%2f/evil.example", "//evil.example/%2e%2e", " //evil.example", "/signin", "/signout")  # fmt: skip


@pytest.mark.parametrize("there", ELSEWHERE)
def test_nobody_is_sent_to_another_server_by_a_sign_in(tenants: Tenants, there: str) -> None:
    client = TestClient(tenants.app, base_url=HERE, follow_redirects=False)
    ways = [client.post("/signin", data={"key": tenants.anton, "next": there}), client.get("/signin", params={"next": there})]  # the second one is signed in already
    easy = TestClient(create_api(Workbench(Settings(home=tenants.settings.home.parent / "easy", model_servers=""))), base_url=HERE, follow_redirects=False)
    for way in (*ways, easy.get("/signin", params={"next": there})):
        assert way.status_code == 303 and re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", way.headers["location"]), way.headers["location"]
        assert client.build_request("GET", client.base_url.join(way.headers["location"])).url.host == "127.0.0.1"


# RAGFlow 2025-69286: keys that could be computed from what everybody knows

def test_no_key_and_no_session_can_be_computed_from_what_is_known() -> None:
    now, rings, tokens = datetime(2026, 11, 23, tzinfo=UTC), [], []
    for _ in range(2):
        random.seed(13)
        ring, key, token = add_key(KeyRing(), "Ann", now=now)
        rings.append(ring)
        tokens.append(token)
    assert tokens[0][-40:] != tokens[1][-40:] and rings[0].secret != rings[1].secret and len(rings[0].secret) == 64
    many = {add_key(KeyRing(), "Ann", now=now)[2][-40:] for _ in range(500)}
    assert len(many) == 500 and all(len({token[at] for token in many}) == 16 for at in range(40)), "a part of the secret is the same in all"
    ring = rings[0]
    (key,) = ring.keys
    for known in ("", key.id, key.name, key.hash, key.created, "ragwb", "ragwb.session"):  # who reads a list of keys signs no session
        assert session_id(ring, new_session(replace(ring, secret=known or "0"), key)) == ""
    assert session_id(ring, new_session(ring, key)).startswith(key.id)


# ... and its pickled indexes

RUNS_WHAT_IT_READS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}


def test_nothing_of_the_package_reads_what_could_run() -> None:
    for path in (ROOT / "ragwb").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        assert names.isdisjoint(RUNS_WHAT_IT_READS), (path, names & RUNS_WHAT_IT_READS)
        given = {(word.arg, ast.unparse(word.value)) for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords}
        assert given.isdisjoint({("allow_pickle", "True"), ("shell", "True"), ("trust_remote_code", "True"), ("allow_dangerous_deserialization", "True"), ("weights_only",
            "False")}), path


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os.mkdir", "!!python/module:os"])
def test_a_head_of_markdown_makes_no_object(tag: str, tmp_path: Path) -> None:
    place = tmp_path / "made"
    text = parse(f"---\ntitle: {tag} ['{place}']\n---\n\n# Seals\n\nThe seal takes 42 N m.\n".encode(), "a.md").text
    assert "42 N m" in text and not place.exists()


# LiteLLM 2026-42208: the key of a request became a part of a query

def test_no_text_in_the_place_of_a_key_is_read_as_anything_else(tenants: Tenants) -> None:
    ring = tenants.store.look()[0]
    key = ring.named("admin")[0]
    real = tenants.admin.rpartition("_")[2]
    wrong = (
        "' OR '1'='1", "x' UNION SELECT hash FROM keys --", f"ragwb_{key.id}_%", f"ragwb_{key.id}_{'_' * 40}", "ragwb_%_%", f"ragwb_{key.id}_{real}'--",
        f"ragwb_{key.id}_{real} ", key.hash, key.id, key.name,
        f"ragwb_{key.id}_{key.hash}", f"ragwb_{key.id}_{key.hash[:40]}", f"ragwb_{key.id}_" + "0" * 40, "{}", '{"$ne": ""}', "[1]", "null", "*", ".*", "(?:)",
        "../access/keys.json", "\x00", "None", "Bearer", "ragwb_" * 5_000,
        f"ragwb_{key.id}_{real.upper()}" if real.upper() != real else "x", f"RAGWB_{key.id}_{real}", f"ragwb_{key.id}_{real}{real}", f"{tenants.admin},{tenants.ask}",
    )  # fmt: skip
    said = set()
    for n, text in enumerate(wrong):
        if n % (MOST_WRONG - 1) == 0:
            tenants.app.state.wrong_keys.seen.clear()
        reply = tenants.client.get("/v1/collections", headers={b"Authorization": b"Bearer " + text.encode("latin-1")})
        if text.strip() == tenants.admin:
            assert reply.status_code == 200  # blanks around a key are no other key
            continue
        assert reply.status_code == 401, text
        said.add(reply.text)
    assert len(said) == 1
    for cookie in (*wrong[:6], key.id, f"{key.id}-{'0' * 32}", f"{key.id}-{'0' * 32}.x.y"):
        assert tenants.client.get("/docs", headers={b"Cookie": f"{SESSION_COOKIE}={cookie}".encode("latin-1")}).status_code == 401, cookie
    assert tenants.store.look()[0].keys[0].hash == ring.keys[0].hash


# Langflow: a way out of the folder was closed in one place, and open in the next

WAYS_OUT = ("../outside.txt", "../../outside.txt", "../../../outside.txt", "..\\..\\outside.txt", "....//....//outside.txt", "%2e%2e%2foutside.txt", "..%2f..%2foutside.txt",
            "{home}/../outside.txt", "{home}/access/keys.json",
            "file://{home}/../outside.txt", "../access/keys.json", "../../access/keys.json", "access/keys.json", "../anton/seals.md", "../../../../../../../../etc/passwd",
            "/etc/passwd", "..", ".", "/", "~/outside.txt", "\x00", "a\x00../outside.txt")  # fmt: skip


def leaves(given: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    "The places of all texts in the JSON of a request."
    if isinstance(given, (dict, list)):
        for name, value in given.items() if isinstance(given, dict) else enumerate(given):
            yield from leaves(value, (*place, name))
    elif isinstance(given, str):
        yield place


def changed(given: Any, place: tuple[Any, ...], text: str) -> Any:
    "The JSON with another text at a place."
    if not place:
        return text
    made = dict(given) if isinstance(given, dict) else list(given)
    made[place[0]] = changed(given[place[0]], place[1:], text)
    return made


def with_way_out(route: tuple[str, str], given: dict[str, Any], described: dict[str, Any], way: str) -> Iterator[tuple[str, dict[str, Any]]]:
    "A request with a way out in each of its texts: in the address, the query, the body, the names of files."
    given = dict(given)
    path = given.pop("path", route[1])
    if "{" in route[1]:
        for written in (quote(way, safe=""), quote(way, safe="/")):
            yield re.sub(r"\{\w+(:path)?\}", lambda _, written=written: written, route[1]), given  # type: ignore[misc]
    for name in {"collection", *(each["name"] for each in described.get("parameters", ()) if each["in"] == "query")}:
        yield path, given | {"params": given.get("params", {}) | {name: way}}
    for place in leaves(given.get("json")):
        yield path, given | {"json": changed(given["json"], place, way)}
    for field, (_, data) in given.get("files", ()):
        yield path, given | {"files": [(field, (way, data))]}


def test_no_text_of_any_request_leads_out_of_what_the_key_may_see(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path / "in" / "home")
    home = tenants.settings.home
    for place in (home.parent, tmp_path):
        (place / "outside.txt").write_text("zyxwvut of another folder")
    before = {path for path in tmp_path.rglob("*") if home not in path.parents}
    paths = create_api(tenants.workbench).openapi()["paths"]
    described = {(method.upper(), re.sub(r"\{(\w+):path\}", r"{\1}", path)): told for path, methods in paths.items() for method, told in methods.items()}
    key = tenants.make("both", ["ask", "ingest"], ["anton"])
    keys, count = (home / "access/keys.json").read_text(), 0
    pages = {("GET", f"/{name}"): {"params": {"collection": "anton", "document": "seals.md", "page": 1}} for name in ("pages", "originals")}
    pages |= {("GET", "/conversations/{id}/{id}"): {}, ("GET", "/components/{path}"): {}, ("GET", "/static/{path}"): {}, ("GET", "/docs/assets/{path}"): {}}
    with TestClient(tenants.app, base_url=HERE, follow_redirects=False, raise_server_exceptions=False) as client:
        tenants.app.state.keys.read(0)
        for route in [*listed(tenants), *pages]:
            given = pages[route] if route in pages else tenants.requests("anton")[route]
            for way in WAYS_OUT:
                for address, more in with_way_out(route, given, described.get(route, {}) | ({"parameters": [{"in": "query", "name": "document"}]} if route in pages else {}),
                                                  way.replace("{home}", str(home))):
                    reply, count = client.request(route[0], address, headers={"Authorization": f"Bearer {key}"}, **more), count + 1
                    assert reply.status_code < 500, (route, address, more, reply.text)
                    assert "zyxwvut" not in reply.text and "root:" not in reply.text and tenants.answers["berta"] not in reply.text, (route, address, more)
                    assert json.loads(keys)["secret"] not in reply.text and '"hash"' not in reply.text, (route, address, more)
    assert count > 500 and {path for path in tmp_path.rglob("*") if home not in path.parents} == before
    assert sorted(tenants.workbench.store.open("berta").hashes()) == ["delete.md", "seals.md"]


# M365 "EchoLeak": a document made the answer load a picture, whose address told what was asked

EVIL = ("![seen](https://evil.example/x.png)", "[here](https://evil.example/x)", "<img src=https://evil.example/y.png>", "![seen][z]\n\n[z]: https://evil.example/z.png\n\n",
        "<https://evil.example/a>",
        "[![seen](https://evil.example/b.png)](https://evil.example)")  # fmt: skip


ACTIVE = r"<(?:img|a|link|iframe|script)\b|<[^>]*\s(?:src|href|style|on\w+)\s*="


def as_a_reader_shows(text: str) -> str:
    "The HTML that a client makes of Markdown which hides nothing."
    return str(MarkdownIt("commonmark", {"html": True}).render(text))


@pytest.mark.parametrize("evil", EVIL)
def test_no_answer_makes_a_reader_load_an_address(evil: str, tmp_path: Path) -> None:
    assert re.search(ACTIVE, as_a_reader_shows(f"The evil seal {evil}")), "the test looks for something else"
    workbench = Workbench(Settings(home=tmp_path, workers=1, model_servers=""))
    workbench.ingest_files([("evil.txt", f"The evil seal takes 77 N m {evil} since spring.\n".encode())])
    workbench.pipeline("default").model = FakeListChatModel(responses=[f"The evil seal takes 77 N m {evil} since spring. [[1|77 N m]]"] * 3)
    client = TestClient(create_api(workbench), base_url=HERE)
    body = {"model": "ragwb", "messages": [{"role": "user", "content": "What does the evil seal take?"}]}
    whole = client.post("/v1/chat/completions", json=body).json()
    pieces = [json.loads(line[6:]) for line in client.post("/v1/chat/completions", json=body | {"stream": True}).text.splitlines() if line.startswith("data: {")]
    streamed = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces if piece["choices"])
    record = client.post("/v1/query", json={"question": body["messages"][0]["content"]}).json()  # type: ignore[index]
    for said in (whole["choices"][0]["message"]["content"], streamed):
        assert "77 N m" in said and "evil.example" in said and not re.search(ACTIVE, as_a_reader_shows(said)), said
    html = with_chips(record["answer"], record["citations"], record["id"])
    assert "77 N m" in html and not re.search(ACTIVE, html), html  # the app drops addresses
