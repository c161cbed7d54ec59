"A proxy before an S3 server that keeps what was asked, answers late or fails on demand."

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


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

    def __init__(self, behind: str):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.behind, self.seen, self.lock = behind, list[Request](), threading.Lock()
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
        connection = HTTPConnection(self.server.behind.removeprefix("http://"), timeout=60)
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


@contextmanager
def proxied(endpoint: str) -> Iterator[S3Proxy]:
    "A proxy before an endpoint while the block runs."
    with S3Proxy(endpoint) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()
