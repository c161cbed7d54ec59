"""The time that S3 adds to a question, and that a provider's latency adds to an ingest. Every figure is measured in turns with what it is compared with.

    python -m benchmarks.aws [--quick] [--only NAME ...]

Starts an S3 server of its own (SeaweedFS) behind a proxy that answers as late as S3 does, prints a table, and writes raw timings and summary: reports/bench_aws.jsonl, .json.
A figure is a function from Bench to raw timings, here and in ROWS, and what is said about them, in `ragwb.experiments.benchmarks.FIGURES`.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console

from benchmarks import REPORTS
from benchmarks.figures import Raw, measure, publish, seconds
from benchmarks.pages import Pages
from ragwb.emulator.s3 import ADMIN, REGION, s3_server
from ragwb.emulator.s3_faults import S3Fault, s3_proxy
from ragwb.indexing.embedding import embedder
from ragwb.indexing.titan import TITAN
from ragwb.settings import Settings
from ragwb.workbench import Workbench

LATENCY = 0.02  # seconds that S3 takes to answer within its region


@dataclass(frozen=True)
class Sizes:
    "How much is measured."
    chunks: int     # in the index that is queried
    questions: int
    embedded: int   # chunks that are embedded


FULL = Sizes(chunks=50_000, questions=300, embedded=10_000)
QUICK = Sizes(chunks=2_000, questions=40, embedded=500)


class Bench:
    "Sizes, a folder, an S3 server, and one collection that lies on the disk and in a bucket."

    def __init__(self, sizes: Sizes, folder: Path, stack: ExitStack):
        self.sizes, self.folder, self.stack = sizes, folder, stack

    @cached_property
    def disk(self) -> Workbench:
        "The collection on the disk."
        pages, per_page = self.folder / "pages", 4.18
        pages.mkdir()
        Pages(1).write(pages, int(self.sizes.chunks / per_page))
        workbench = Workbench(Settings(home=self.folder / "disk"))
        workbench.ingest_paths([pages])
        shutil.rmtree(pages)
        return workbench

    @cached_property
    def s3(self) -> Settings:
        "The same in a bucket: every file of it, as it is."
        server = self.stack.enter_context(s3_server(self.folder / "seaweed"))
        proxy = self.stack.enter_context(s3_proxy(server.endpoint))
        os.environ.update(ADMIN.environment)
        server.new_bucket("bench")
        settings = Settings(home=self.folder / "s3", storage="s3://bench/team", region=REGION, s3_endpoint=proxy.endpoint)
        there = Workbench(settings).store.objects
        for path in sorted((self.disk.settings.home / "lancedb").rglob("*")):
            if path.is_file():
                there.put(path.relative_to(self.disk.settings.home).as_posix(), path)
        proxy.fault = lambda request: S3Fault(delay=LATENCY)
        return settings

    @cached_property
    def questions(self) -> list[str]:
        "Some words of passages that are there."
        chosen = random.Random(2)
        texts = [row["text"] for row in self.disk.store.open("default").select("kind = 'chunk'", ["text"])]
        asked = []
        for text in chosen.sample(texts, self.sizes.questions):
            words = re.findall(r"\w{3,}", text)
            at = chosen.randrange(max(1, len(words) - 9))
            asked.append(f"What about {' '.join(words[at:at + 9])}?")
        return asked


def warm_query(bench: Bench) -> Raw:
    "A hybrid query on S3 against the same on disk, both warm; on S3 the index version is looked up every few seconds, as it is in a server."
    disk, s3 = bench.disk.pipeline(), Workbench(bench.s3).pipeline()
    for pipeline in (disk, s3):
        pipeline.retrieve(bench.questions[0])
    taken: dict[str, list[float]] = {"disk": [], "s3": []}
    for question in bench.questions:
        for name, pipeline in {"disk": disk, "s3": s3}.items():
            taken[name].append(seconds(lambda pipeline=pipeline, question=question: pipeline.retrieve(question)))  # type: ignore[misc]
    return {"chunks": bench.sizes.chunks, "latency_ms": 1e3 * LATENCY, "refresh_s": bench.s3.refresh_s, "seconds": taken}


def kept_answer(bench: Bench) -> Raw:
    "A whole answer that is kept: on S3 that is a request to write it and one to see that nothing was deleted meanwhile."
    disk, s3 = bench.disk, Workbench(bench.s3)
    asked = bench.questions[:60]
    for workbench in (disk, s3):
        for question in asked:
            workbench.ask(question)
    taken: dict[str, list[float]] = {"disk": [], "s3": []}
    for question in asked:
        for name, workbench in {"disk": disk, "s3": s3}.items():
            taken[name].append(seconds(lambda workbench=workbench, question=question: workbench.ask(question)))  # type: ignore[misc]
    return {"latency_ms": 1e3 * LATENCY, "seconds": taken}


def restart(bench: Bench) -> Raw:
    "The first query of a new process: with an empty local cache, and with the one that the last process left."
    def first(settings: Settings) -> float:
        return seconds(lambda: Workbench(settings).pipeline().retrieve(bench.questions[0]))

    Workbench(bench.s3).pipeline().retrieve(bench.questions[0])
    cold, kept = [], []
    for turn in range(3):
        cold.append(first(replace(bench.s3, home=bench.folder / f"cold{turn}")))
        kept.append(first(bench.s3))
    return {"seconds": {"kept": kept, "cold": cold}}


def serve(latency_s: float, pipe: Connection) -> None:
    "A plain HTTP server that answers every call as Titan does, after the latency; sends its port through the pipe."
    body = json.dumps({"embedding": np.eye(1, 1024)[0].round(8).tolist(), "inputTextTokenCount": 300}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                await reader.readexactly(length)
                await asyncio.sleep(latency_s)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        async with await asyncio.start_server(connection, "127.0.0.1", 0) as server:
            pipe.send(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(run())


def seconds_to_embed(chunks: int, latency_s: float, concurrency: int) -> float:
    "Wall-clock seconds to embed new texts of a chunk's length as in ingestion, cache included; the server has a process of its own."
    texts = [f"{n} " + "the pump needs a torque of 42 newton metres before it is opened. " * 20 for n in range(chunks)]
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(latency_s, there), daemon=True)
    server.start()
    there.close()  # so that a server that does not start is an error here, not a wait
    try:
        with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, keys):  # the S3 server of the other figures has keys of its own
            settings = Settings(home=Path(home), concurrency=concurrency, bedrock_endpoint=f"http://127.0.0.1:{here.recv()}")
            model = embedder(TITAN, settings)
            model.embed([f"warm {n}" for n in range(2 * concurrency)])
            begun = time.perf_counter()
            vectors = model.embed(texts)
            took = time.perf_counter() - begun
        assert vectors.shape == (chunks, 1024) and vectors.any(axis=1).all()
        return took
    finally:
        server.terminate()
        server.join()


def embedding(bench: Bench) -> Raw:
    "Embedding with Titan's client against what latency and concurrency allow."
    chunks, latency, concurrency = bench.sizes.embedded, 0.05, Settings.concurrency
    return {"chunks": chunks, "concurrency": concurrency, "latency_ms": 1e3 * latency, "seconds": seconds_to_embed(chunks, latency, concurrency)}


ROWS = {"warm_query": warm_query, "embedding": embedding, "kept_answer": kept_answer, "restart": restart}


def main() -> None:
    "Measures what is asked for."
    options = argparse.ArgumentParser(description="Measures the AWS path at a desk.")
    options.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    options.add_argument("--only", action="append", choices=list(ROWS), metavar="NAME", help=f"only this row, the others of the report stay; may be repeated: {', '.join(ROWS)}")
    given = options.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="ragwb-bench-aws-") as folder, ExitStack() as stack:
        measured = measure(console, ROWS, Bench(QUICK if given.quick else FULL, Path(folder), stack), given.only)
    publish(console, REPORTS, "bench_aws", {}, measured, ROWS, write=not given.quick)


if __name__ == "__main__":
    main()
