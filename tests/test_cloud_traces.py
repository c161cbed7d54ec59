"Traces as a collector receives them: real OTLP over HTTP, its protobuf read here, under the trace of the caller; and answers that wait for no collector."

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.settings import Settings
from ragwb.workbench import Workbench

protobuf = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="make dev installs the extra traces")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
QUESTION = "How many days of annual leave do full-time employees get?"


class Collector(ThreadingHTTPServer):
    "Keeps the spans that it is sent; may take its time."

    def __init__(self, slow_s: float = 0):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.slow_s, self.spans, self.resources = slow_s, list[object](), set[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.slow_s)
        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        for resource in protobuf.ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.resources |= {each.value.string_value for each in resource.resource.attributes if each.key == "service.name"}
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        "Quiet."


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


def served(home: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    "A server that sends its traces to an endpoint; none for an empty one."
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    workbench = Workbench(Settings(home=home, workers=1))
    workbench.ingest_files([("leave.md", b"Full-time employees get 30 days of annual leave.")])
    return TestClient(create_api(workbench), base_url="http://127.0.0.1")


def listener(client: TestClient) -> object:
    "The traces of a server."
    return next(heard.__self__ for heard in client.app.state.service.workbench.keeper.listeners if type(heard.__self__).__name__ == "Traces")  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/v1/query", "/v1/query/stream"])
def test_a_collector_receives_the_steps_of_a_question(path: str, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(tmp_path, collector.endpoint, monkeypatch)
    assert client.post(path, json={"question": QUESTION}, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}).status_code == 200
    assert listener(client).provider.force_flush()  # type: ignore[attr-defined]
    spans = {span.name: span for span in collector.spans}  # type: ignore[attr-defined]
    assert spans.keys() >= {"guard", "rewrite", "retrieve", "generate", "invoke_workflow ragwb"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE} and collector.resources == {"ragwb"}
    whole = spans.pop("invoke_workflow ragwb")
    assert whole.parent_span_id.hex() == CALLER
    assert all(span.parent_span_id == whole.span_id for span in spans.values())
    assert all(whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= whole.end_time_unix_nano for span in spans.values())
    said = {each.key: each.value.string_value or each.value.int_value for each in (*whole.attributes, *spans["generate"].attributes)}
    assert said["gen_ai.operation.name"] == "chat" and said["ragwb.outcome"] == "answer" and said["ragwb.citations.proven"] == 1
    assert "annual leave" not in str(collector.spans), "a span holds what was asked or answered"


def test_answers_do_not_wait_for_a_slow_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(slow_s=30)
    client = served(tmp_path, collector.endpoint, monkeypatch)
    client.post("/v1/query", json={"question": QUESTION})
    threading.Thread(target=listener(client).provider.force_flush, daemon=True).start()  # type: ignore[attr-defined]  # the exporter hangs from here on
    begun = time.monotonic()
    for _ in range(5):
        assert client.post("/v1/query", json={"question": QUESTION}).status_code == 200
    assert time.monotonic() - begun < 15
    collector.shutdown()


def test_answers_do_not_need_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(tmp_path, "http://127.0.0.1:9", monkeypatch)
    assert "30 days" in client.post("/v1/query", json={"question": QUESTION}).json()["answer"]


def test_off_without_an_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(tmp_path, "", monkeypatch)
    assert "Traces" not in {type(heard.__self__).__name__ for heard in client.app.state.service.workbench.keeper.listeners}  # type: ignore[attr-defined]
