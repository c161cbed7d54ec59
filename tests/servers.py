"Servers that tests share: a real S3 server, with a fresh bucket and keys for each test that asks, and a proxy before it that fails on demand."

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import pytest
from notebooks import ROOT

from ragwb.settings import Settings

sys.path.insert(0, str(ROOT / "experiments"))
from seaweed import ADMIN, REGION, Keys, Seaweed, running  # noqa: E402

NUMBERS = count(1)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    "A SeaweedFS of this test process, started when the first test asks for it."
    with running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def use_keys(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    "This identity is what boto3 and LanceDB find, and nothing else."
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in keys.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    "A new bucket's name; the admin's keys are in the environment."
    use_keys(monkeypatch, ADMIN)
    return seaweed.new_bucket(f"ragwb-{next(NUMBERS)}")


@pytest.fixture
def s3_settings(seaweed: Seaweed, bucket: str, tmp_path: Path) -> Settings:
    "Settings whose storage is a prefix of a new bucket."
    return Settings(home=tmp_path / "home", storage=f"s3://{bucket}/team", s3_endpoint=seaweed.endpoint, region=REGION, refresh_s=0)


@dataclass(frozen=True)
class Request:
    "What was asked of the S3 server."
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case

    @property
    def key(self) -> str:
        "Bucket and key."
        return unquote(self.path.partition("?")[0].lstrip("/"))


@dataclass(frozen=True)
class Fault:
    "What the proxy does instead of the server, or before it."
    status: int = 0  # 0: the server answers
    code: str = ""  # S3's name of the error
    delay: float = 0.0  # seconds


class S3Proxy(ThreadingHTTPServer):
    "Stands before an S3 server, keeps what was asked, and fails on demand."

    daemon_threads = True

    def __init__(self, server: Seaweed):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.server, self.seen, self.lock = server, list[Request](), threading.Lock()
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def count(self, method: str = "", within: str = "") -> int:
        "How many requests there were of a method, for keys with these letters in them."
        return sum(method in ("", request.method) and within in request.key for request in list(self.seen))


class ProxyHandler(BaseHTTPRequestHandler):
    "Hands a request on as it came, so that its signature holds."

    protocol_version = "HTTP/1.1"
    server: S3Proxy

    def body(self) -> bytes:
        "What was sent, whatever its framing."
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def forward(self) -> None:
        "Answers one request."
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.body()
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        with self.server.lock:
            self.server.seen.append(request)
            fault = self.server.fault(request) or Fault()
        time.sleep(fault.delay)
        if fault.status:
            said = f"<Error><Code>{fault.code}</Code><Message>{fault.code}</Message><RequestId>1</RequestId></Error>".encode()
            self.answer(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(said)))], said)
            return
        connection = HTTPConnection(self.server.server.endpoint.removeprefix("http://"), timeout=60)
        with closing(connection):
            passed = {name: value for name, value in self.headers.items() if name.lower() not in ("transfer-encoding", "expect", "connection", "content-length")}
            sized = passed | ({"Content-Length": str(len(body))} if body or self.command in ("PUT", "POST") else {})
            connection.request(self.command, self.path, body or None, sized)
            response = connection.getresponse()
            said = response.read()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in ("transfer-encoding", "connection", "content-length")]
            length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(said))
            self.answer(response.status, [*headers, *([("Content-Length", length)] if length else [])], said)

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        "Sends a response."
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        with suppress(ConnectionError):  # the client has given up
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def log_message(self, format: str, *args: object) -> None:
        "Nothing: pytest shows what matters."


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[S3Proxy]:
    "A proxy that can fail, before the S3 server."
    with S3Proxy(seaweed) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()
