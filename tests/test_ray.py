"""Preparation on a Ray cluster of two nodes on this machine: the same as by this machine's own workers, with a node killed in the middle, broken files, and no cluster at all."""

import builtins
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hostile_files import FAST, KINDS

from benchmarks import ROOT, SAMPLE
from benchmarks.ray_nodes import free_ports, ray_nodes
from ragwb.cli import main
from ragwb.config import PipelineConfig, config_from
from ragwb.documents.parsing import Limits
from ragwb.emulator.s3 import S3Server
from ragwb.indexing.embedding import WordLlamaEmbedder
from ragwb.indexing.store import Store
from ragwb.ingestion.ingest import Progress, ingest
from ragwb.ingestion.ray import EngineError, engine_of
from ragwb.ingestion.sources import Source, gather_files
from ragwb.settings import Settings
from ragwb.workbench import Workbench

SECRET = "not-for-parsers"
ENGINES = ("local", "ray")


class TwoNodes:
    "A cluster, and the port at which its clients are taken."

    def __init__(self, cluster: Any, port: int):
        self.cluster, self.port = cluster, port

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def kill_one(self) -> None:
        "Kills the node that is not the first, with all its processes; another is there for the next test."
        self.cluster.remove_node(list(self.cluster.worker_nodes)[0], allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    "Two nodes that know a secret."
    pytest.importorskip("ray", reason="pip install 'ragwb[ray]' brings it")
    port, = free_ports(1)
    with ray_nodes(environment={"AWS_SECRET_ACCESS_KEY": SECRET}, ray_client_server_port=port) as cluster:
        yield TwoNodes(cluster, port)


@contextmanager
def on(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    "An engine; the cluster is started for the first that asks."
    if name == "ray":
        monkeypatch.setenv("RAY_ADDRESS", request.getfixturevalue("nodes").address)
    with engine_of(name) as engine:
        yield engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with on(request.param, request, monkeypatch) as engine:
        yield engine


def kept(home: Path, name: str = "default") -> list[Any]:
    "What a collection holds: ids, texts, words and vectors, in order."
    rows = Store(home).open(name).select("true", ["id", "content_hash", "text", "context", "terms", "page", "labels", "vector"])
    return sorted(rows, key=lambda row: json.dumps(row["id"]))


@pytest.mark.slow
def test_a_cluster_prepares_what_this_machine_prepares(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reports, stages = {}, {}
    for name in ENGINES:
        heard: list[Progress] = []
        with on(name, request, monkeypatch) as engine:
            workbench = Workbench(Settings(home=tmp_path / name))
            workbench.engine = engine
            reports[name] = workbench.ingest_paths([SAMPLE / "docs"], progress=heard.append).to_dict() | {"seconds": 0}
            again = workbench.ingest_paths([SAMPLE / "docs"])
        assert (again.new, again.changed, again.unchanged) == (0, 0, reports[name]["new"])
        stages[name] = Counter(told.stage for told in heard)
        assert [told.done for told in heard if told.stage == "new"] == list(range(1, reports[name]["new"] + 1))
    assert reports["local"] | {"remarks": 0} == reports["ray"] | {"remarks": 0} and sorted(map(str, reports["local"]["remarks"])) == sorted(map(str, reports["ray"]["remarks"]))
    assert stages["local"] == stages["ray"]
    assert kept(tmp_path / "local") == kept(tmp_path / "ray")


@pytest.mark.slow
def test_a_bad_file_is_reported_as_by_this_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "late.md").write_text("# Late\n\nThe file of this name is a folder now.\n")
    sources = [Source("empty.txt", b""), Source("cut.docx", b"PK\x03\x04 no Word file"), Source("lost.md", tmp_path / "lost.md"), Source("good.md", b"# Good\n\nIt takes 12 Nm.\n"),
               Source("large.txt", b"a" * 200), *(Source(f"hostile/{name}", KINDS[name]()) for name in FAST[:12])]  # fmt: skip
    ended = {}
    for name in ENGINES:
        with on(name, request, monkeypatch) as engine:
            collection = Store(tmp_path / name).create("bad", PipelineConfig(), 256)
            report = ingest(collection, WordLlamaEmbedder(), sources, Limits(max_bytes=5_000_000, timeout_s=60), engine=engine)
        ended[name] = sorted(report.failed), report.new, sorted(report.remarks)
    assert ended["local"] == ended["ray"]
    assert ended["ray"][1] and {"empty.txt", "cut.docx", "lost.md"} <= {document for document, _ in ended["ray"][0]}


class Elsewhere:
    "An embedder that only the caller can make."
    name, dimensions = "test:elsewhere", 256

    def __init__(self) -> None:
        self.inner, self.asked = WordLlamaEmbedder(), 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        return self.inner.embed(texts)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["recursive", "semantic"])
def test_an_embedder_that_only_the_caller_has(engine: Any, strategy: str, tmp_path: Path) -> None:
    embedder, config = Elsewhere(), config_from({"chunking.strategy": strategy, "chunking.size": 60})
    collection = Store(tmp_path / "home").create("far", config, embedder.dimensions)
    report = ingest(collection, embedder, gather_files([SAMPLE / "docs"]).sources[:4], Limits(), engine=engine)
    assert report.new == 4 and embedder.asked >= report.chunks > 4
    vectors = collection.select("kind = 'chunk'", ["text", "context", "vector"])
    assert all(np.isclose(np.linalg.norm(row["vector"]), 1, atol=1e-3) for row in vectors)


def seen_by_a_parser() -> tuple[str, bytes, tuple[int, int]]:
    "On a node: the secret as Ray's process has it, the environment of the worker process that parses, and its limit of file size."
    import resource

    from ragwb.ingestion.preparation import Task
    from ragwb.ingestion.processes import CREW

    worker = CREW.hire()
    assert worker is not None
    try:
        process = worker.started()
        assert process is not None
        worker.run(Task("a.md", b"# A\n"))  # until its own program has begun
        return os.environ.get("AWS_SECRET_ACCESS_KEY", ""), Path(f"/proc/{process.pid}/environ").read_bytes(), resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    finally:
        CREW.release(worker)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system shows no environments")
def test_what_parses_on_a_node_knows_no_secret_and_is_limited(nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET + "-of-the-caller")
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    with engine_of("ray"):
        import ray

        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        mine, environment, largest = ray.get(ray.remote(num_cpus=1)(seen_by_a_parser).remote())
    assert mine == SECRET and SECRET.encode() not in environment and b"OPENAI" not in environment
    assert largest == (1_000_000, 1_000_000)


def pages(folder: Path, count: int) -> None:
    "So many small documents."
    folder.mkdir()
    for number in range(count):
        lines = (f"The flange {line} of pump {number} takes {line + 7} Nm and is checked every week." for line in range(30))
        (folder / f"pump-{number:04}.md").write_text(f"# Pump {number}\n\n" + "\n\n".join(lines))


@pytest.mark.slow
def test_a_node_is_killed_midway(nodes: TwoNodes, seaweed: S3Server, s3_settings: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pages(tmp_path / "pages", 260)
    client = seaweed.client()
    for path in sorted((tmp_path / "pages").iterdir()):
        client.upload_file(str(path), bucket, f"incoming/{path.name}")
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    workbench, ended = Workbench(s3_settings), list[str]()

    def kill_midway(told: Progress) -> None:
        ended.append(told.document) if told.stage == "indexing" else None
        if len(ended) == 60 and told.stage == "indexing":
            nodes.kill_one()

    with engine_of("ray") as workbench.engine:
        report = workbench.ingest_paths([f"s3://{bucket}/incoming"], progress=kill_midway)
        assert len(nodes.cluster.list_all_nodes()) == 1
        assert (report.new, report.failed) == (260, [])
        collection = workbench.store.open("default")
        assert sorted(info.id for info in collection.documents()) == sorted(path.name for path in (tmp_path / "pages").iterdir())
        assert set(Counter(row["id"] for row in collection.select("true", ["id"])).values()) == {1}
        assert collection.count("kind = 'chunk'") == report.chunks
        again = workbench.ingest_paths([f"s3://{bucket}/incoming"])
        assert (again.new, again.changed, again.unchanged, again.chunks) == (0, 0, 260, 0)


@pytest.mark.slow
def test_the_command_reaches_a_cluster_from_outside(nodes: TwoNodes, tmp_path: Path) -> None:
    pages(tmp_path / "pages", 20)
    environment = {**os.environ, "RAGWB_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    command = [Path(sys.executable).parent / "ragwb", "ingest", str(tmp_path / "pages"), "--json", "--engine", f"ray://127.0.0.1:{nodes.port}"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["new"], json.loads(done.stdout)["failed"]) == (20, [])


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without_ray(name: str, *given: Any, **named: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    monkeypatch.setenv("RAGWB_HOME", str(tmp_path / "home"))
    (tmp_path / "a.md").write_text("# A\n\nIt takes 12 Nm.\n")
    result = CliRunner().invoke(main, ["ingest", str(tmp_path / "a.md"), "--engine", "ray"])
    assert (result.exit_code, result.output.strip()) == (1, "Error: ray is not installed; pip install 'ragwb[ray]'")


def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="pip install 'ragwb[ray]' brings it")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for engine, address in ((f"ray://127.0.0.1:{port}", ""), ("ray", f"127.0.0.1:{port}"), ("ray", "no-such-host.invalid:6379")):
            monkeypatch.setenv("RAY_ADDRESS", address)
            begun = time.monotonic()
            with pytest.raises(EngineError, match="no Ray cluster answers at .*; start one with ray start --head"), engine_of(engine):
                pass
            assert time.monotonic() - begun < 30  # of which importing Ray takes the most, once


@pytest.mark.parametrize("engine", ["spark", "ray://", "ray://host", "ray://host:port", "ray:6379"])
def test_an_unknown_engine(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGWB_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(main, ["ingest", str(tmp_path), "--engine", engine])
    assert result.exit_code == 1 and f"unknown engine {engine!r}: use local, ray, or ray://HOST:PORT" in result.output
