"Servers that tests share: a real S3 server, with a fresh bucket and keys for each test that asks, a proxy before it that fails on demand, and a server of language models."

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ragwb.config import ModelConfig
from ragwb.emulator.s3 import ADMIN, REGION, Identity, S3Server, s3_server
from ragwb.emulator.s3_faults import S3Proxy, s3_proxy
from ragwb.generation.discovery import role_of
from ragwb.settings import Settings

NUMBERS = count(1)


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
