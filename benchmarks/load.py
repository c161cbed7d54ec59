"""What many clients at once get, and what they cost: 256 clients ask for a minute while documents come in and twenty windows are open, then goes on for memory.

    python -m benchmarks.load [--clients 256] [--seconds 60] [--tabs 20] [--minutes 10] [--processes 1] [--out reports]

A server of its own is started on the sample documents, and each question is asked once while nobody else asks: these are the right answers. Then clients ask
them in three ways (an answer, a stream, OpenAI's protocol), documents come into the collection that is asked and into another, and windows are open as a
browser holds them. A client that is refused asks again after a quarter of a second, sooner than it was told. /healthz is asked ten times a second by a
process of its own, of the server and on its probe port. With `--minutes` the load goes on, the documents of the other collection are deleted after each round,
and the server's memory is looked at. Rows and summary: reports/load.jsonl, load.json.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import REPORTS, ROOT, SAMPLE
from ragwb.experiments.benchmarks import write_benchmark
from ragwb.settings import Settings
from ragwb.workbench import Workbench

WAYS = ("query", "stream", "chat")
AGAIN_S = 0.25   # after which a client that was refused asks again
PATIENCE = 90.0  # seconds for which a client waits for a response
PROBE = """
import http.client, json, sys, time
port, took = int(sys.argv[1]), []
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    begun = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        status = type(error).__name__
    took.append([status, round(1e3 * (time.monotonic() - begun), 1)])
    time.sleep(max(0, 0.1 - (time.monotonic() - begun)))
print(json.dumps(took))
"""


def questions(number: int) -> list[str]:
    "Questions of the sample company, with and without an answer."
    lines = (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines][:: max(1, len(lines) // number)][:number]


def note(number: int) -> bytes:
    "A document of the same words each time, so that no other document's score changes with it."
    return f"# Zyx\n\nZyx{number:09d} wvut.\n".encode()


def filled(home: Path) -> None:
    "Puts the sample documents, and one to change, into a data folder."
    workbench = Workbench(Settings(home=home, model_servers=""))
    workbench.ingest_paths([SAMPLE / "docs"])
    workbench.ingest_files([("zyx.md", note(0))])


@asynccontextmanager
async def serving(home: Path, processes: int = 1, probe_port: int = 0) -> AsyncIterator[tuple[str, psutil.Process]]:
    "The address and the process of a server on a data folder."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "RAGWB_HOME": str(home), "RAGWB_MODEL_SERVERS": "", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "from ragwb.cli import main\nif __name__ == '__main__': main()", "serve", "--port", str(port), "--processes", str(processes),
             "--probe-port", str(probe_port)]
    with (home.parent / "server.txt").open("w") as said:
        server = subprocess.Popen(words, env=environment, stdout=said, stderr=said)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
                for _ in range(600):
                    try:
                        (await client.get("/readyz")).raise_for_status()
                        break
                    except httpx.HTTPError:
                        assert server.poll() is None, (home.parent / "server.txt").read_text()
                        await asyncio.sleep(0.2)
            yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(30)


def request_of(way: str, question: str) -> tuple[str, dict[str, Any]]:
    "The address and the body of a question."
    if way == "chat":
        return "/v1/chat/completions", {"model": "ragwb/default", "messages": [{"role": "user", "content": question}]}
    return ("/v1/query/stream" if way == "stream" else "/v1/query"), {"question": question}


def answer_in(way: str, text: str) -> str | None:
    "The answer in the body of a response, with its evidence; None: there is none."
    try:
        if way == "chat":
            return str(json.loads(text)["choices"][0]["message"]["content"])
        made = json.loads(dict(re.findall(r"^event: (\w+)\r?\ndata: (.*?)\r?$", text, re.MULTILINE))["answer"] if way == "stream" else text)
        return "\n".join([made["answer"], *(f"{each['document']} {each['start']} {each['quote']}" for each in made["citations"])])
    except (ValueError, KeyError, IndexError):
        return None


class Load:
    "Clients of a server, and what they got."

    def __init__(self, url: str, asked: list[str]):
        self.url, self.asked, self.tls = url, asked, ssl.create_default_context()
        self.right: dict[tuple[str, str], str | None] = {}
        self.got: dict[tuple[str, int, str], list[int]] = defaultdict(list)  # way, status, outcome -> milliseconds
        self.wrong: list[dict[str, Any]] = []
        self.uploads: dict[str, list[int]] = defaultdict(list)
        self.closed = 0  # windows that the server closed

    def client_of(self) -> httpx.AsyncClient:
        "A client with connections of its own; one TLS context serves all, since each takes a while to make."
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, verify=self.tls)

    async def ask(self, client: httpx.AsyncClient, way: str, question: str) -> tuple[int, str, str | None]:
        "Status, outcome and answer of a question."
        path, body = request_of(way, question)
        try:
            response = await client.post(path, json=body)
        except httpx.HTTPError as error:
            return 0, f"lost: {type(error).__name__}", None
        if response.status_code != 200:
            told = "Retry-After" in response.headers or response.status_code not in (429, 503)
            return response.status_code, "refused" if told else "refused without Retry-After", None
        answer = answer_in(way, response.text)
        return 200, "lost: no answer" if answer is None else "answered", answer

    async def quietly(self) -> None:
        "Notes the right answers, while nobody else asks."
        async with self.client_of() as client:
            for way in WAYS:
                for question in self.asked:
                    status, outcome, answer = await self.ask(client, way, question)
                    assert outcome == "answered", f"{way} of {question!r}: {status} {outcome}"
                    self.right[way, question] = answer

    async def client(self, number: int, until: float) -> None:
        "One client: asks, waits for the answer, asks the next."
        turns = zip(cycle(WAYS[number % 3:] + WAYS[: number % 3]), cycle(self.asked[number % len(self.asked):] + self.asked[: number % len(self.asked)]), strict=False)
        async with self.client_of() as client:
            for way, question in turns:
                if time.monotonic() > until:
                    return
                begun = time.monotonic()
                status, outcome, answer = await self.ask(client, way, question)
                if outcome == "answered":
                    outcome = "right" if answer == self.right[way, question] else "wrong"
                if outcome == "wrong":
                    self.wrong.append({"way": way, "question": question, "answer": answer, "right": self.right[way, question]})
                self.got[way, status, outcome].append(round(1e3 * (time.monotonic() - begun)))
                if status != 200:
                    await asyncio.sleep(AGAIN_S)

    async def upload(self, until: float, clear: bool = False) -> None:
        "Documents come: one that changes in the collection that is asked, many in another."
        async with self.client_of() as client:
            for number in count(1):
                if time.monotonic() > until:
                    return
                for collection, files in (("default", [("zyx.md", note(number))]), ("others", [(f"{number}-{each}.md", note(each) * 40) for each in range(10)])):
                    begun = time.monotonic()
                    try:
                        status = (await client.post("/v1/documents", params={"collection": collection}, files=[("files", file) for file in files])).status_code
                    except httpx.HTTPError:
                        status = 0
                    self.uploads[str(status)].append(round(1e3 * (time.monotonic() - begun)))
                if clear:
                    await self.cleared(client)
                await asyncio.sleep(0.5)

    async def cleared(self, client: httpx.AsyncClient) -> None:
        "Deletes what came into the other collection: an index that grows for an hour would be taken for a leak."
        try:
            found = (await client.get("/v1/documents", params={"collection": "others"})).raise_for_status().json()
            for each in found["documents"]:
                await client.delete(f"/v1/documents/{each['id']}", params={"collection": "others"})
        except httpx.HTTPError:
            return  # refused; the next round deletes these too

    async def window(self) -> ClientConnection:
        "A window, as a browser holds it: its page, its socket, its document."
        async with self.client_of() as client:
            found = re.search(r'"token": ?"([^"]+)"', (await client.get("/ask")).text)
        assert found, "the page of the app has no token"
        socket = await connect(f"ws{self.url[4:]}/ask/ws", subprotocols=["bokeh", found[1]], max_size=None, open_timeout=PATIENCE)  # type: ignore[list-item]
        for part in (json.dumps({"msgid": "1", "msgtype": "PULL-DOC-REQ"}), "{}", "{}"):
            await socket.send(part)
        return socket

    async def listen(self, socket: ClientConnection) -> None:
        "Reads what a window is told, until it is closed."
        try:
            async for _ in socket:
                pass
        except ConnectionClosed:
            pass
        self.closed += 1

    def rows(self) -> list[dict[str, Any]]:
        "What the clients got."
        got = [{"figure": "requests", "way": way, "status": status, "outcome": outcome, "ms": ms} for (way, status, outcome), ms in sorted(self.got.items())]
        return [*got, *({"figure": "uploads", "status": status, "ms": ms} for status, ms in sorted(self.uploads.items()))]


async def probed(url: str, seconds: float) -> list[Any]:
    "Status and milliseconds of /healthz, ten times a second, seen by another process."
    words = (sys.executable, "-c", PROBE, url.rpartition(":")[2], str(seconds))
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    return list(json.loads(said))


def weight(server: psutil.Process) -> list[float]:
    "Megabytes of a server's process, and with those that it started."
    started = []
    for each in server.children(recursive=True):
        try:
            started.append(each.memory_info().rss)
        except psutil.NoSuchProcess:  # it ended meanwhile
            continue
    own = server.memory_info().rss
    return [round(own / 1e6, 1), round((own + sum(started)) / 1e6, 1)]


async def weighed(server: psutil.Process, begun: float, until: float) -> list[dict[str, Any]]:
    "The server's memory, four times a minute."
    rows = []
    while time.monotonic() < until:
        own, together = weight(server)
        rows.append({"figure": "memory", "seconds": round(time.monotonic() - begun), "mb": own, "together_mb": together})
        await asyncio.sleep(15)
    return rows


async def measured(given: argparse.Namespace, home: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    "What holds for all, the rows, and the wrong answers."
    filled(home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        beside = free.getsockname()[1]
    async with serving(home, given.processes, beside) as (url, server):
        load = Load(url, questions(given.questions))
        await load.quietly()
        quiet = await probed(url, 5)
        windows = [await load.window() for _ in range(given.tabs)]
        listening = [asyncio.create_task(load.listen(window)) for window in windows]
        begun = time.monotonic()
        until, last = begun + given.seconds, begun + max(given.seconds, 60 * given.minutes)
        memory = asyncio.create_task(weighed(server, begun, last + 1))
        probe, apart = (asyncio.create_task(probed(place, given.seconds)) for place in (url, f"http://127.0.0.1:{beside}"))
        await asyncio.gather(load.upload(until), *(load.client(number, until) for number in range(given.clients)))
        rows, lost = load.rows(), load.closed
        rows += [{"figure": "healthz", "when": when, "took": took} for when, took in (("quiet", quiet), ("load", await probe), ("apart", await apart))]
        rows += [{"figure": "windows", "opened": given.tabs, "closed": lost}]
        if last > time.monotonic():
            await asyncio.gather(load.upload(last, clear=True), *(load.client(number, last) for number in range(given.clients)))
        rows += await memory
        for window in windows:
            await window.close()
        await asyncio.gather(*listening)
        about = {"clients": given.clients, "seconds": given.seconds, "tabs": given.tabs, "minutes": given.minutes, "processes": given.processes, "cores": os.cpu_count(),
                 "load": round(os.getloadavg()[0], 1), "again_s": AGAIN_S}
        return about, rows, load.wrong


def main() -> None:
    "Measures, writes and prints."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10, help="for memory: the load goes on for so long")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        about, rows, wrong = asyncio.run(measured(given, Path(folder, "home")))
        print(Path(folder, "server.txt").read_text()[-3_000:])
    for each in wrong[:5]:
        print(each)
    shown = Table("measure", "target", "measured", "met", "note", show_lines=True)
    for row in write_benchmark(given.out, "load", about, rows)["rows"]:
        shown.add_row(row["measure"], row["target"], row["measured"], "yes" if row["met"] else "no", row["note"])
    Console(width=200).print(shown)


if __name__ == "__main__":
    main()
