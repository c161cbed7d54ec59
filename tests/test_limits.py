"What one key may take: requests, questions at once, tokens and uploads, over HTTP and in the app; refusals say when another try makes sense."

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient
from test_api import eventually

import ragwb.cli  # noqa: F401  # all commands
from ragwb.api.access import AccessGate
from ragwb.api.routes import create_api
from ragwb.app.documents_page import WindowUploads
from ragwb.app.uploads import Uploads
from ragwb.commands.common import main
from ragwb.costs.usage import Usage
from ragwb.network.redis import RedisServer
from ragwb.operations.keys import KeyStore, add_key
from ragwb.operations.limits import Buckets, Meters, OverLimit, SharedBuckets, buckets_of
from ragwb.operations.permission import Visitor, seen_by
from ragwb.settings import Settings
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

SEALS = b"# Seal data sheet\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n"
TORQUE = {"question": "What torque does the seal A1-990 need?"}
HERE = "http://127.0.0.1:8321"


class Server:
    "A server with one document, and a client for each key."

    def __init__(self, home):
        self.workbench = Workbench(Settings(home=home, workers=1))
        self.workbench.ingest_files([("seals.md", SEALS)])
        self.store, self.app = KeyStore(Folder(home)), create_api(self.workbench)

    def client(self, name, scopes=("ask", "ingest"), **limits):
        token = self.store.change(lambda ring: add_key(ring, name, scopes, limits=limits))[2]
        self.app.state.keys.read(0)
        return TestClient(self.app, base_url=HERE, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


def refused(response, limit):
    "A refusal for a limit: its status, type and headers; returns the seconds to wait."
    assert (response.status_code, response.json()["type"], response.json()["limit"]) == (429, "urn:ragwb:problem:limit", limit), response.text
    assert int(response.headers["retry-after"]) >= 1 and response.headers["content-type"] == "application/problem+json"
    return int(response.headers["retry-after"])


def test_requests_a_minute_are_counted_for_each_key_and_told_to_each_client(server):
    ann, bo = server.client("ann", requests=3), server.client("bo")
    answers = [ann.get("/v1/collections") for _ in range(3)]
    assert [each.status_code for each in answers] == [200] * 3
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60' and re.fullmatch(r'"requests";r=2;t=\d+', answers[0].headers["ratelimit"])
    late = [ann.get("/v1/collections"), ann.post("/v1/query", json=TORQUE), ann.post("/v1/query/stream", json=TORQUE), ann.get("/v1/documents")]
    assert [refused(each, "requests") <= 20 for each in late] == [True] * 4 and late[0].headers["ratelimit"].startswith('"requests";r=0')
    chat = ann.post("/v1/chat/completions", json={"model": "ragwb", "messages": [{"role": "user", "content": "?"}]})
    assert (chat.status_code, chat.json()["error"]["code"]) == (429, "rate_limit_exceeded") and chat.headers["retry-after"]
    assert [bo.get("/v1/collections").status_code for _ in range(9)] == [200] * 9 and "ratelimit" not in bo.get("/v1/collections").headers
    assert ann.get("/healthz").status_code == 200


def test_questions_at_once_are_counted_before_a_thread_is_taken_and_given_back(server):
    one, two, began, go_on = server.client("ann", questions=2), server.client("bo"), threading.Semaphore(0), threading.Event()
    answer, real = server.workbench.ask("What torque does the seal A1-990 need?"), type(server.workbench).stream

    def slow(self, question, collection=""):
        began.release()
        assert go_on.wait(30)
        yield answer

    type(server.workbench).stream = slow
    with TestClient(server.app, base_url=HERE) as client, ThreadPoolExecutor(2) as pool:  # one event loop for all

        def ask(key, path="/v1/query", **more):
            return client.post(path, json=TORQUE | more, headers=dict(key.headers))

        try:
            running = [pool.submit(ask, one) for _ in range(2)]
            assert began.acquire(timeout=30) and began.acquire(timeout=30)
            assert refused(ask(one), "questions") == 1 and refused(ask(one, "/v1/query/stream"), "questions") == 1
            go_on.set()
            assert ask(two).status_code == 200
            assert [each.result().status_code for each in running] == [200, 200]
        finally:
            go_on.set()
            type(server.workbench).stream = real
        assert [ask(one, path).status_code for path in ("/v1/query", "/v1/query/stream") for _ in range(3)] == [200] * 6
        assert [ask(one, question="").status_code for _ in range(3)] == [422] * 3 and ask(one, collection="no").status_code == 404
        assert ask(one).status_code == 200  # a refused question gives its place back


def test_tokens_are_taken_when_an_answer_is_over_and_the_debt_is_waited_for(server):
    ann = server.client("ann", tokens=100)
    answer, real = server.workbench.ask("What torque does the seal A1-990 need?"), type(server.workbench.keeper).keep
    type(server.workbench.keeper).keep = lambda self, kept, collection, key="": kept
    try:
        view = seen_by(server.workbench, Visitor("1", "Ann", frozenset({"ask"}), None, meter=(meters := Meters(Buckets(lambda: 0.0))).of("1", {"tokens": 100})))
        view.keep(replace(answer, usage=Usage(120, 30, 40, 10, 30)), server.workbench.store.open("default"))
    finally:
        type(server.workbench.keeper).keep = real
    assert meters.buckets.left("1", "tokens", 100) == -100  # 120 + 30 + 40 + 10: reasoning is part of what was written
    with pytest.raises(OverLimit, match=r"100 tokens of models an hour: try again in 3,636 s"):
        view.ask("What torque does the seal A1-990 need?")
    assert ann.post("/v1/query", json=TORQUE).status_code == 200  # the local reader takes no tokens
    gate = server.app.middleware_stack
    while not hasattr(gate, "meters"):
        gate = gate.app
    gate.meters.buckets.take(server.store.look()[0].named("ann")[0].id, "tokens", 100, 150)
    assert refused(ann.post("/v1/query", json=TORQUE), "tokens") > 1700 and ann.get("/v1/documents").status_code == 200


def test_files_and_bytes_of_uploads_are_counted(server):
    ann = server.client("ann", documents=2, megabytes=1)
    send = lambda *sizes: ann.post("/v1/documents", files=[("files", (f"{n}.md", b"# Note\n\n" + b"A word. " * (size // 8))) for n, size in enumerate(sizes)])  # noqa: E731
    assert send(800).status_code == 200 and send(900).status_code == 200
    assert refused(send(1000), "documents") > 900
    assert sorted(server.workbench.store.open("default").hashes()) == ["0 (2).md", "0.md", "seals.md"]
    large = server.client("large", megabytes=1)
    assert large.post("/v1/documents", files=[("files", ("big.md", b"# Big\n\n" + b"Some words. " * 90_000))]).status_code == 200
    assert refused(large.post("/v1/documents", files=[("files", ("next.md", b"# Next"))]), "megabytes") > 60
    assert large.delete("/v1/documents/big.md").status_code == 200  # deleting is no upload


def test_the_app_is_held_to_the_same_limits(server):
    meters = Meters(Buckets(lambda: 0.0))
    visitor = Visitor("1", "Ann", frozenset({"ask", "ingest"}), ("default",), "session", meter=meters.of("1", {"questions": 1, "requests": 2, "documents": 1, "megabytes": 1}))
    view = seen_by(server.workbench, visitor)

    async def two_at_once():
        first = view.astream(TORQUE["question"])
        await anext(first)
        with pytest.raises(OverLimit):
            await anext(view.astream(TORQUE["question"]))
        await first.aclose()
        assert "42 N m" in [event async for event in view.astream(TORQUE["question"])][-1].text

    asyncio.run(two_at_once())
    uploads = Uploads(server.workbench)
    window = WindowUploads(uploads, visitor.meter)
    window.act({"act": "announce", "files": [{"upload": str(n), "name": f"{n}.md", "size": 10} for n in range(3)]}, "default")
    stages = [(upload.stage, upload.reason) for upload in uploads.of("default")]
    assert [stage for stage, _ in stages] == ["sending", "failed", "failed"] and "this key may take 1 files uploaded an hour" in stages[1][1]


def test_limits_are_made_and_listed_on_the_command_line(tmp_path):
    run = lambda *line: CliRunner().invoke(main, ["keys", *line], env={"RAGWB_HOME": str(tmp_path)})  # noqa: E731
    assert run("create", "ci", "--limit", "requests=60,questions=2", "--limit", "tokens=100000").exit_code == 0
    assert run("list").stdout.strip().endswith("all collections · 60 requests a minute · 2 questions at once · 100,000 tokens of models an hour · used never")
    assert json.loads(run("list", "--json").stdout)[0]["limits"] == {"requests": 60, "questions": 2, "tokens": 100_000}
    assert json.loads(run("rotate", "ci", "--json").stdout)["limits"]["requests"] == 60
    wrong = run("create", "x", "--limit", "speed=60")
    assert wrong.exit_code == 1 and "NAME=NUMBER is needed" in wrong.output and "requests (requests a minute)" in wrong.output


def test_servers_of_one_redis_count_together_and_go_on_without_it(redis8):
    server = RedisServer(redis8.url, "test:")
    one, other = (Meters(SharedBuckets(server, every_s=0.01)).of("k1", {"requests": 10, "tokens": 1_000}) for _ in range(2))
    for _ in range(8):
        one.take("requests")
    one.spend("tokens", 1_500)  # a debt
    assert eventually(lambda: not one.meters.buckets.taken)  # Redis knows: who asks before that learns less, and asks again with its next request
    other.take("requests")  # asks, and learns
    assert eventually(lambda: other.meters.buckets.left("k1", "requests", 10) < 2)
    other.take("requests")
    with pytest.raises(OverLimit):
        other.take("requests")
    other.spend("tokens", 1)
    assert eventually(lambda: other.meters.buckets.left("k1", "tokens", 1_000) < -490)
    with pytest.raises(OverLimit), other.question():
        pass
    assert all(0 < redis8.client.ttl(key) <= 3_600 * 2 for key in redis8.client.keys("test:limit:k1:*"))
    redis8.process.kill()
    third = Meters(SharedBuckets(server, every_s=0.01)).of("k1", {"requests": 2})
    third.take("requests")
    third.take("requests")
    with pytest.raises(OverLimit):
        third.take("requests")


def test_a_server_with_a_redis_shares_its_buckets(tmp_path):
    for redis, kind in (("redis://127.0.0.1:1", SharedBuckets), ("", Buckets)):
        assert type(buckets_of(Settings(home=tmp_path, redis=redis))) is kind
    gate = next(each for each in create_api(Workbench(Settings(home=tmp_path, redis="redis://127.0.0.1:1", model_servers=""))).user_middleware if each.cls is AccessGate)
    assert isinstance(gate.kwargs["buckets"], SharedBuckets)
