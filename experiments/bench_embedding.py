"""A provider that answers Titan's calls after a while, and the time that embedding many texts then takes: a row of `bench_aws.py`.

A plain HTTP server in a process of its own answers each call after the latency; the embedder runs as in ingestion, cache included.
"""

import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from ragwb.indexing.embedding import embedder
from ragwb.indexing.titan import TITAN
from ragwb.settings import Settings


def serve(latency_s: float, told: Connection) -> None:
    "Speaks as Titan does, after a while; tells its port."
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
            told.send(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(run())


def seconds_to_embed(chunks: int, latency_s: float, concurrency: int) -> float:
    "Wall-clock seconds for texts of a chunk's length that were never embedded before."
    texts = [f"{n} " + "the pump needs a torque of 42 newton metres before it is opened. " * 20 for n in range(chunks)]
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(latency_s, there), daemon=True)
    server.start()
    there.close()  # so that a server that does not start is an error here, not a wait
    try:
        with tempfile.TemporaryDirectory() as home:
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
