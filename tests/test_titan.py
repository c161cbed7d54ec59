"Titan and the reranker against the Bedrock emulator and a server that counts how many calls are under way."

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragwb.documents.language import count_tokens
from ragwb.emulator.faults import Faults
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.indexing.chunking import Chunk
from ragwb.indexing.embedding import CachedEmbedder, Metered, embedder, provider_embedder
from ragwb.indexing.titan import TITAN, EmbeddingError, titan
from ragwb.network import aws, resilience
from ragwb.network.resilience import Deadline
from ragwb.retrieval.hybrid import Hit
from ragwb.retrieval.rerank import RERANKER, Reranking, reranker
from ragwb.settings import Settings

WORDS = "pump seal torque leave invoice refund battery valve filter warranty".split()
TEXTS = [f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} number {n}" for n in range(300)]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    "No client, breaker or embedder is left over from another test."
    for kept in (aws.new_client, resilience.breaker, provider_embedder, reranker):
        kept.cache_clear()
    yield


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[EmulatedBedrock, Settings]]:
    "An emulator without faults, and settings that reach it."
    with emulated_bedrock() as emulator:
        for name, value in emulator.credentials.items():
            monkeypatch.setenv(name, value)
        yield emulator, replace(Settings(home=tmp_path, concurrency=16), **emulator.settings)


def test_order_tokens_and_meaning(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    model = titan(f"{TITAN}/512", settings)
    vectors, tokens = model.embed_counted(TEXTS)
    assert vectors.shape == (300, 512) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert tokens == sum(count_tokens(TEXTS)) == sum(call["usage"]["inputTokens"] for call in emulator.calls)
    for at in (0, 57, 299):
        assert np.allclose(model.embed([TEXTS[at]])[0], vectors[at], atol=1e-6)
    near, far = model.embed(["The pump leaks oil", "Oil drips from the pump", "Annual leave is 30 days"])[1:] @ model.embed(["oil leak at a pump"])[0]
    assert near > far + 0.2


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_dimensions(size: int, emulated: tuple[EmulatedBedrock, Settings]) -> None:
    assert titan(f"{TITAN}/{size}", emulated[1]).embed(["a pump"]).shape == (1, size)


def test_a_third_throttled_and_some_broken_loses_nothing(emulated: tuple[EmulatedBedrock, Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    emulator, settings = emulated
    calm = titan(TITAN, settings).embed(TEXTS)
    emulator.account.set_faults(Faults(throttle=0.25, unavailable=0.05, malformed=0.03, seed=5))
    emulator.account.bill.calls.clear()
    model = titan(TITAN, settings)
    model.one.sleep = lambda seconds: time.sleep(seconds / 20)
    vectors, tokens = model.embed_counted(TEXTS)
    assert np.allclose(vectors, calm, atol=1e-6)
    assert tokens == sum(call["usage"]["inputTokens"] for call in emulator.calls) > sum(count_tokens(TEXTS)), "broken answers are billed, and counted"
    assert emulator.account.bill.errors["ThrottlingException"] > 50


def test_no_access_ends_a_batch_early_and_says_what_to_do(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    emulator.account.set_faults(Faults(denied=("titan",)))
    with pytest.raises(EmbeddingError, match="have an administrator enable it") as caught:
        titan(TITAN, settings).embed(TEXTS)
    assert len(caught.value.failed) == 300 and not caught.value.passes
    assert sum(emulator.account.bill.errors.values()) <= settings.concurrency


def test_a_dead_provider_costs_a_question_its_deadline_at_most_and_no_thread_stays(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    emulator.account.set_faults(Faults(failing="ServiceUnavailableException"))
    model = embedder(TITAN, settings)

    def ask(n: int) -> float:
        begun = time.monotonic()
        with pytest.raises(EmbeddingError) as caught:
            Metered(model, Deadline.after(2)).embed([f"question {n}"])
        assert caught.value.passes
        return time.monotonic() - begun

    before = threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        took = sorted(pool.map(ask, range(200)))
    assert took[-1] < 4 and took[100] < 0.2, "the first find out, the others are told at once"
    assert sum(emulator.account.bill.errors.values()) <= 5 + 8 + 2 and threading.active_count() <= before + 1
    emulator.account.set_faults(Faults())
    resilience.breaker(f"amazon.titan-embed-text-v2:0 at {settings.bedrock_endpoint}").closed_at = 0
    assert Metered(model, Deadline.after(5)).embed(["a question"]).any()


def test_what_was_embedded_is_kept_when_others_fail(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    model = embedder(f"{TITAN}/256", settings)
    assert isinstance(model, CachedEmbedder)
    plain = model.inner.one.embed  # type: ignore[attr-defined]

    def picky(text: str, deadline: Deadline | None, lost: list[int]) -> tuple[np.ndarray, int]:
        if "number 7" in text:
            raise aws.AwsError("validation", "AWS refuses the request", "look")
        found: tuple[np.ndarray, int] = plain(text, deadline, lost)
        return found

    model.inner.one.embed = picky  # type: ignore[attr-defined]
    meter = Metered(model)
    with pytest.raises(EmbeddingError) as caught:
        meter.embed(TEXTS[:100])
    assert set(caught.value.failed) == {at for at, text in enumerate(TEXTS[:100]) if "number 7" in text} and len(caught.value.failed) == 11
    assert meter.tokens == caught.value.tokens == sum(count_tokens([TEXTS[at]])[0] for at in range(100) if at not in caught.value.failed)
    model.inner.one.embed = plain  # type: ignore[attr-defined]
    asked = len(emulator.calls)
    again = Metered(model)
    again.embed(TEXTS[:100])
    assert len(emulator.calls) - asked == 11, "only what had failed is asked for again"
    known = Metered(CachedEmbedder(model.inner, settings.home / "embeddings.sqlite"))
    known.embed(TEXTS[:100])
    assert known.tokens == 0


def test_a_document_of_100_000_tokens(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    text = " ".join("pump seal torque" for _ in range(34_000))
    vector, tokens = titan(TITAN, settings).embed_counted([text])
    assert tokens == sum(call["usage"]["inputTokens"] for call in emulator.calls) and abs(tokens - count_tokens([text])[0]) < 100 and tokens >= 100_000
    assert abs(float(np.linalg.norm(vector[0])) - 1) < 1e-5 and vector[0] @ titan(TITAN, settings).embed(["pump seal torque"])[0] > 0.95


class Counting:
    "A plain HTTP server that speaks Titan, takes its time, and knows how many calls were under way at most."

    def __init__(self, latency_s: float):
        self.latency_s, self.now, self.most = latency_s, 0, 0
        self.answer = json.dumps({"embedding": [1.0] + [0.0] * 255, "inputTextTokenCount": 3}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        "One connection."
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(length)
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(self.latency_s)
            self.now -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(self.answer), self.answer))


@contextmanager
def counting(latency_s: float) -> Iterator[tuple[Counting, str]]:
    "The server on a free port, in a thread."
    server, loop, ready = Counting(latency_s), asyncio.new_event_loop(), threading.Event()
    place: list[int] = []

    async def main() -> None:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            place.append(listening.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    loop.set_exception_handler(lambda *_: None)  # connections that the client closes
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server, f"http://127.0.0.1:{place[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_calls_under_way_are_bounded_whoever_asks(concurrency: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with counting(0.02) as (server, endpoint):
        model = titan(f"{TITAN}/256", Settings(concurrency=concurrency, bedrock_endpoint=endpoint))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda part: model.embed(part), [[f"{part} {n}" for n in range(40)] for part in "abc"]))
        assert server.most <= concurrency and server.most >= min(concurrency, 8)


# The reranker


def hits_of(*texts: str) -> list[Hit]:
    "Hits in this order."
    return [Hit(Chunk("a.md", 0, len(text), text, "", 0, len(text), 1), 1 - n / 10, {"bm25": n + 1}, {"bm25": 5.0}) for n, text in enumerate(texts)]


def test_rerank_through_the_wire(emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    amazon = reranker(RERANKER, settings)
    assert amazon is not None
    asked = Reranking(amazon, Deadline.after(10))
    ranked = asked("How many days of annual leave?", hits_of("The pump leaks.", "x" * 40_000, "Annual leave is 25 days."))
    assert ranked[0].chunk.text == "Annual leave is 25 days." and ranked[0].ranks == {"bm25": 3, "rerank": 1} and (asked.queries, asked.problem) == (1, "")
    many = Reranking(amazon)
    assert len(many("leave", hits_of(*[f"text {n}" for n in range(101)]))) == 101 and many.queries == 2


@pytest.mark.parametrize("faults", [Faults(failing="ThrottlingException"), Faults(malformed=1.0), Faults(empty=1.0), Faults(denied=("rerank",))])
def test_without_the_reranker_the_fused_order_stands(faults: Faults, emulated: tuple[EmulatedBedrock, Settings]) -> None:
    emulator, settings = emulated
    emulator.account.set_faults(faults)
    amazon = reranker(RERANKER, settings)
    assert amazon is not None
    asked, found = Reranking(amazon, Deadline.after(5)), hits_of("The pump leaks.", "Annual leave is 25 days.")
    assert asked("annual leave", found) == found and asked.queries == 0 and asked.problem.startswith("not reranked: model amazon.rerank-v1:0")
