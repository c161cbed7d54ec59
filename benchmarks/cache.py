"""How long the cache of answers takes to find an entry among 10,000: `python -m benchmarks.cache`, with `redis://host:6379` in Redis, whose keys are deleted at
the end. With `http` a whole cached answer, in this process and from `ragwb serve` in one of its own, and what HTTP adds."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from benchmarks import SAMPLE
from benchmarks.load import questions, serving
from ragwb.answering.cache_verdicts import verdict_on
from ragwb.answering.cached_entries import AnswerCache, CachedAnswer
from ragwb.answering.redis_cache import RedisCache
from ragwb.config import CacheConfig, PipelineConfig
from ragwb.costs.usage import Usage
from ragwb.indexing.embedding import embedder
from ragwb.network.redis import RedisServer
from ragwb.settings import Settings
from ragwb.workbench import Workbench

ENTRIES, LOOK_UPS = 10_000, 500
CONFIG = PipelineConfig(cache=CacheConfig("semantic", sample=0.0))


def question(number: int) -> str:
    return f"What is the {('torque', 'price', 'weight', 'colour')[number % 4]} of the {('seal', 'valve', 'shaft', 'plate', 'motor')[number % 5]} of pump P-{number}?"


def filler(number: int, vector: np.ndarray, scope: str = "scope") -> CachedAnswer:
    return CachedAnswer(f"a{number}", scope, "default", question(number), "It is 43. [1]" * 20, (), {"a.md": "0"}, 1, "m", Usage(), None, "", 1e12, vector)


def milliseconds(act: Callable[[int], object], count: int = LOOK_UPS) -> tuple[float, float]:
    "Median and 95th percentile."
    took = []
    for number in range(count):
        begun = time.perf_counter()
        act(number * 19 % ENTRIES)
        took.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(took)), float(np.quantile(took, 0.95))


def kept(home: Path) -> tuple[Workbench, list[str]]:
    "A data folder whose cache holds some answers to real questions among 10,000 entries of their scope, and the questions."
    workbench = Workbench(Settings(home=home, model_servers=""), CONFIG)
    workbench.ingest_paths([SAMPLE / "docs"])
    asked = [text for text in questions(40) if workbench.ask(text).citations and workbench.ask(text).cached]
    scope, = workbench.cache.questions.shelves
    vectors = embedder("local:wordllama").embed([question(number) for number in range(ENTRIES - len(workbench.cache))])
    for number, vector in enumerate(vectors):
        workbench.cache.put(filler(number, vector, scope))
    assert len(workbench.cache) == ENTRIES and len(asked) > 20
    return workbench, asked


def from_server() -> None:
    "Cached answers of this process and of a server's, by turns, so that both see the same machine."
    home = Path(tempfile.mkdtemp()) / "home"
    workbench, asked = kept(home)
    (home / "cached.json").write_text(json.dumps(CONFIG.to_dict()), "utf-8")
    os.environ["RAGWB_CONFIG"] = str(home / "cached.json")  # of the server
    ways = {"exact": asked, "semantic": [f"Hello, {text[0].lower()}{text[1:]}" for text in asked]}

    async def measured() -> None:
        async with serving(home) as (url, _), httpx.AsyncClient(base_url=url, timeout=60) as client:
            for name, texts in ways.items():
                here, there = [], []
                for text in texts * 5:
                    begun = time.perf_counter()
                    answer = workbench.ask(text)
                    between = time.perf_counter()
                    found = (await client.post("/v1/query", json={"question": text})).raise_for_status().json()
                    there.append(1e3 * (time.perf_counter() - between))
                    here.append(1e3 * (between - begun))
                    assert answer.cached and found["cached"] and found["cache"]["tier"] == answer.cache["tier"] == name, (answer.cache, found["cache"])
                mine, theirs = (float(np.median(took[len(texts):])) for took in (here, there))  # the first round warms both
                print(f"{name}, a whole answer: p50 in this process {mine:.2f} ms, over HTTP {theirs:.2f} ms, {theirs - mine:+.2f} ms, {len(workbench.cache):,} entries")

    asyncio.run(measured())


def main() -> None:
    if sys.argv[1:] == ["http"]:
        return from_server()
    model = embedder("local:wordllama")
    server = RedisServer(sys.argv[1], "ragwb:{benchmark}:") if sys.argv[1:] else None
    cache = RedisCache(server, ENTRIES) if server else AnswerCache(Path(tempfile.mkdtemp()) / "cache.sqlite", max_entries=ENTRIES)
    vectors = model.embed([question(number) for number in range(ENTRIES)])
    begun = time.perf_counter()
    for number in range(ENTRIES):
        cache.put(filler(number, vectors[number]))
    print(f"put: {1e3 * (time.perf_counter() - begun) / ENTRIES:.2f} ms each")

    def exact(number: int) -> None:
        (id, known, cosine), = cache.near("scope", question(number), None)
        assert verdict_on(known, question(number), cosine).tier == "exact" and cache.entry(id)

    def semantic(number: int) -> None:
        asked = question(number).replace("What is", "Please tell me")
        found = cache.near("scope", asked, lambda: model.embed([asked])[0])
        hit = next((id for id, known, cosine in found if verdict_on(known, asked, cosine).tier), None)
        assert hit is None or cache.entry(hit)

    for name, act in (("exact", exact), ("semantic", semantic)):
        print(f"{name}: p50 {(took := milliseconds(act))[0]:.2f} ms, p95 {took[1]:.2f} ms, {len(cache):,} entries")
    if server:
        server.call(lambda client: [client.delete(key) for key in client.scan_iter(f"{server.prefix}*", 1_000)])


if __name__ == "__main__":
    main()
