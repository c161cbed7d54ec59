"Several processes behind one port: what no page can show, with real processes that are killed."

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ragwb.api.gate import ClientGone
from ragwb.api.processes import PATIENT_S, VISITOR_HEADER, AllMetrics, Crew, Place, Spread, TrustingGate, told, whole_body
from ragwb.operations.limits import Meters
from ragwb.operations.permission import EVERYONE, VISITOR, Visitor


class One:
    "A crew of one process, whatever that is."

    def __init__(self, app: Callable[[Scope, Receive, Send], object]):
        self.here, self.other = Place(1, ""), Place(2, "", ready=True, clients=[httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://process")])  # type: ignore[arg-type]
        self.places = [self.other]

    def least_busy(self) -> Place:
        return self.other


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("asked the first process")


def asked(
    app: Callable[[Scope, Receive, Send], object], visitor: Visitor, here: Callable[[Scope, Receive, Send], object] = never, path: str = "/v1/query", **headers: str
) -> httpx.Response:
    "What a visitor gets who was let in."
    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        VISITOR.set(visitor)
        await Spread(here, One(app))(scope, receive, send)  # type: ignore[arg-type]

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(let_in), base_url="http://127.0.0.1") as client:
            return await client.post(path, content=b"How much torque?", headers=headers)

    return asyncio.run(ask())


def test_tokens_that_another_process_used_count_against_the_key() -> None:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        VISITOR.get().meter.spend("tokens", 40)
        await Response(await whole_body(receive))(scope, receive, send)

    meters = Meters()
    staff = Visitor("k1", "staff", frozenset({"ask"}), None, meter=meters.of("k1", {"tokens": 100}))
    found = asked(TrustingGate(answering), staff)
    assert found.text == "How much torque?" and 59 <= meters.buckets.left("k1", "tokens", 100) <= 61
    asked(TrustingGate(answering), staff)
    asked(TrustingGate(answering), staff)
    refused = asked(TrustingGate(answering), staff)
    assert refused.status_code == 429 and "tokens" in refused.json()["detail"]


def test_a_request_cannot_say_who_asks() -> None:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(VISITOR.get().name)(scope, receive, send)

    staff = Visitor("k1", "staff", frozenset({"ask"}), ())
    assert asked(TrustingGate(answering), staff, **{VISITOR_HEADER: told(EVERYONE)}).text == "staff"


def test_a_process_that_ends_before_its_answer_leaves_the_question_to_the_first_and_in_a_stream_says_so() -> None:
    async def dies(scope: Scope, receive: Receive, send: Send) -> None:
        raise httpx.RemoteProtocolError("gone")

    async def here(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"here: " + await whole_body(receive))(scope, receive, send)

    assert asked(dies, EVERYONE, here).text == "here: How much torque?"

    sent: list[Message] = []

    class Breaks(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            yield b"event: text\ndata: The seal\n\n"
            raise httpx.ReadError("gone")

    async def streamed() -> None:
        crew = One(never)
        crew.other.clients = [httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=Breaks())), base_url="http://process")]
        body = iter([{"type": "http.request", "body": b"?", "more_body": False}])

        async def receive() -> Message:
            return next(body)

        async def send(message: Message) -> None:
            sent.append(message)

        VISITOR.set(EVERYONE)
        scope = {"type": "http", "method": "POST", "path": "/v1/query/stream", "headers": [], "query_string": b""}
        await Spread(never, crew)(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(streamed())
    assert b"event: error" in sent[-1]["body"] and b"ask again" in sent[-1]["body"] and not sent[-1].get("more_body")


async def echoing(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(scope["path"].encode() + b"?" + scope["query_string"])(scope, receive, send)


def test_only_questions_are_handed_on_and_whole() -> None:
    assert asked(TrustingGate(echoing), EVERYONE, path="/v1/query?stream=1").text == "/v1/query?stream=1"
    assert asked(TrustingGate(never), EVERYONE, echoing, path="/v1/documents").text == "/v1/documents?"  # type: ignore[arg-type]


def test_what_was_used_is_told_once_and_not_kept() -> None:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        VISITOR.get().meter.spend("tokens", 40)
        await Response(b"42")(scope, receive, send)

    gate, ended = TrustingGate(answering), list[str]()  # type: ignore[arg-type]
    staff = Visitor("k1", "staff", frozenset({"ask"}), None, meter=Meters().of("k1", {"tokens": 100}))
    assert asked(gate, staff).text == "42" and gate.used == {}

    async def ends(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/used":
            ended.append("/used")
            raise httpx.ConnectError("gone")
        await answering(scope, receive, send)

    assert asked(ends, staff).text == "42" and ended == ["/used"], "an answer that is whole stays one, if the process ends then"


def test_a_client_that_leaves_is_no_question() -> None:
    async def left() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        asyncio.run(whole_body(left))


def test_the_least_busy_process_answers_that_is_ready() -> None:
    crew = Crew(3, lambda *_: None)
    crew.folder.rmdir()
    second, third = crew.places
    assert crew.least_busy() is crew.here, "the others are still starting"
    second.ready = third.ready = True
    assert crew.least_busy() is second, "of equals one beside the first"
    with second.working():
        assert crew.least_busy() is third
        with third.working():
            assert crew.least_busy() is crew.here
    third.ready = False
    with second.working(), crew.here.working(), crew.here.working():
        assert crew.least_busy() is second


def test_a_process_that_dies_again_and_again_is_started_later_each_time() -> None:
    place = Place(2, "", ready=True)
    pauses = []
    for _ in range(7):
        place.begun = time.monotonic()
        place.lost()
        pauses.append(round(place.begun - time.monotonic()))
    assert pauses == [1, 3, 7, 15, 30, 30, 30] and not place.ready
    place.begun = time.monotonic() - PATIENT_S - 1
    place.lost()
    assert place.begun <= time.monotonic(), "one that lived for a while is started at once"


def test_metrics_of_all_processes_are_one_page() -> None:
    def metrics(number: int) -> Callable[[Scope, Receive, Send], object]:
        async def given(scope: Scope, receive: Receive, send: Send) -> None:
            await Response(f"# HELP seals Seals.\n# TYPE seals gauge\nseals {number}\n".encode())(scope, receive, send)

        return given

    async def ask() -> str:
        app = AllMetrics(metrics(1), One(TrustingGate(metrics(2))))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:  # type: ignore[arg-type]
            return (await client.get("/metrics")).text

    VISITOR.set(EVERYONE)
    assert set(re.findall(r'seals\{process="(\d)"\} (\d)', asyncio.run(ask()))) == {("1", "1"), ("2", "2")}


COMMAND = [sys.executable, "-c", "from ragwb.cli import main\nif __name__ == '__main__': main()"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client, dict[str, str]]]:
    "`ragwb serve --processes 2` over one document, a client, and its environment."
    (tmp_path / "seal.md").write_text("# Seal\n\nThe seal cover takes 12 Nm.\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = dict(os.environ) | {"RAGWB_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    subprocess.run([*COMMAND, "ingest", tmp_path / "seal.md"], env=environment, check=True, capture_output=True)
    made = subprocess.run([*COMMAND, "keys", "create", "staff", "--scope", "ask,metrics", "--json"], env=environment, check=True, capture_output=True)
    key = next(value for value in json.loads(made.stdout).values() if isinstance(value, str) and value.count("_") + value.count("-") and len(value) > 30)
    process = subprocess.Popen([*COMMAND, "serve", "--port", str(port), "--processes", "2"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}, timeout=60)
    try:
        until(lambda: bool(answers(client)) and "2" in answers(client), client)
        yield process, client, environment
    finally:
        process.kill()
        process.wait()


def answers(client: httpx.Client) -> set[str]:
    "The processes whose metrics are there."
    with_label = client.get("/metrics").text
    return set(re.findall(r'ragwb_build_info\{process="(\d)"', with_label))


def until(holds: Callable[[], bool], client: httpx.Client, seconds: float = 120) -> None:
    "Waits until something holds."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError("it did not come to hold in time")


def ask(client: httpx.Client, number: int) -> int:
    "The status of a question's answer."
    return client.post("/v1/query", json={"question": f"How much torque has the seal cover, try {number}?"}).status_code


@pytest.mark.slow
def test_processes_share_the_questions_are_started_again_and_end_with_the_first(server: tuple[subprocess.Popen[bytes], httpx.Client, dict[str, str]]) -> None:
    process, client, environment = server
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda number: ask(client, number), range(24))) == {200}
    counted = dict(re.findall(r'ragwb_answer_seconds_count\{process="(\d)",stage="total"\} (\d+)', client.get("/metrics").text)) or dict(
        re.findall(r'ragwb_answers_total\{outcome="\w+",process="(\d)"\} (\d+)', client.get("/metrics").text))
    assert set(counted) == {"1", "2"}

    def others() -> list[psutil.Process]:
        return [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]

    killed = others()[0].pid
    os.kill(killed, signal.SIGKILL)
    assert {ask(client, number) for number in range(5)} == {200}  # nobody notices
    until(lambda: any(each.pid != killed for each in others()) and "2" in answers(client), client)

    subprocess.run([*COMMAND, "keys", "revoke", "staff"], env=environment, check=True, capture_output=True, input=b"y\n")
    time.sleep(2.5)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda number: ask(client, number), range(8))) == {401}

    left = others()
    process.send_signal(signal.SIGINT)
    process.wait(30)
    psutil.wait_procs(left, 10)
    assert not [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not list(Path(environment["TMPDIR"]).glob("ragwb-*"))
