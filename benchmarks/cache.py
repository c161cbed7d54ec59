"How long the cache of answers takes to find an entry among 10,000: `python benchmarks/cache.py`, with `redis://host:6379` in Redis, whose keys are deleted at the end."

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ragwb.answering.cache_verdicts import verdict_on
from ragwb.answering.cached_entries import AnswerCache, CachedAnswer
from ragwb.answering.redis_cache import RedisCache
from ragwb.costs.usage import Usage
from ragwb.indexing.embedding import embedder
from ragwb.network.redis import RedisServer

ENTRIES, LOOK_UPS = 10_000, 500


def question(number: int) -> str:
    return f"What is the {('torque', 'price', 'weight', 'colour')[number % 4]} of the {('seal', 'valve', 'shaft', 'plate', 'motor')[number % 5]} of pump P-{number}?"


def milliseconds(act, count: int = LOOK_UPS) -> tuple[float, float]:
    "Median and 95th percentile."
    took = []
    for number in range(count):
        begun = time.perf_counter()
        act(number * 19 % ENTRIES)
        took.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(took)), float(np.quantile(took, 0.95))


def main() -> None:
    model = embedder("local:wordllama")
    server = RedisServer(sys.argv[1], "ragwb:{benchmark}:") if sys.argv[1:] else None
    cache = RedisCache(server, ENTRIES) if server else AnswerCache(Path(tempfile.mkdtemp()) / "cache.sqlite", max_entries=ENTRIES)
    vectors = model.embed([question(number) for number in range(ENTRIES)])
    begun = time.perf_counter()
    for number in range(ENTRIES):
        cache.put(CachedAnswer(f"a{number}", "scope", "default", question(number), "It is 43. [1]" * 20, (), {"a.md": "0"}, 1, "m", Usage(), None, "", 1e12, vectors[number]))
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
