"The workbench on a real S3 server: everything that holds on a disk, and what only S3 can do to it."

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.credentials import ReadOnlyCredentials
from click.testing import CliRunner
from servers import use_identity
from test_faults import corpus, make, text_of

from ragwb.answering.answer_store import AnswerError
from ragwb.cli import main
from ragwb.config import ChunkingConfig, PipelineConfig
from ragwb.emulator.s3 import ADMIN, READER, STRANGER, Identity, S3Server, free_ports, s3_server
from ragwb.emulator.s3_faults import S3Fault, S3Proxy, S3Request
from ragwb.indexing.chunking import chunk
from ragwb.indexing.maintenance import sweep
from ragwb.indexing.schema import CollectionError, describe, schema
from ragwb.indexing.table import Table, rewrite
from ragwb.ingestion.sources import content_hash
from ragwb.network.aws import AwsError, new_client
from ragwb.settings import Settings
from ragwb.storage.bucket import Bucket
from ragwb.storage.lease import Renewal
from ragwb.storage.objects import LocalCache
from ragwb.workbench import Workbench


def assert_sound(settings: Settings, folder: Path | None = None) -> None:
    "Every document whole and once, with its original; nothing left over. With a folder: exactly its files."
    collection = Workbench(settings).store.open("default")
    infos = collection.documents()
    assert len({info.id for info in infos}) == len(infos)
    found: dict[str, list[str]] = {}
    for row in collection.select("kind = 'chunk'", ["id", "document"]):
        found.setdefault(row["document"], []).append(row["id"])
    documents = [collection.stored(info.id) for info in infos]
    due = {document.id: sorted(f"{document.id}#{piece.start}-{piece.end}" for piece in chunk(document, collection.chunking)) for document in documents}
    assert {id: sorted(ids) for id, ids in found.items()} == due
    assert all(content_hash(collection.originals.read(info) or b"") == info.content_hash for info in infos)
    if folder is not None:
        assert {info.id: info.content_hash for info in infos} == {path.name: content_hash(path.read_bytes()) for path in folder.iterdir()}


def keys_with(seaweed: S3Server, settings: Settings, marker: bytes) -> list[str]:
    "The objects of a bucket that hold some bytes."
    bucket, client = settings.storage.split("/")[2], seaweed.client()
    listed = [item["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket) for item in page.get("Contents", ())]
    return [key for key in listed if marker in client.get_object(Bucket=bucket, Key=key)["Body"].read()]


def files_with(folder: Path, marker: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and marker in path.read_bytes()]


def test_the_days_work(seaweed: S3Server, s3_settings: Settings, tmp_path: Path) -> None:
    folder, workbench = corpus(tmp_path / "docs", 13), Workbench(s3_settings)
    report = workbench.ingest_paths([folder])
    assert (report.new, report.failed, workbench.collections()) == (13, [], ["default"])
    assert_sound(s3_settings, folder)
    answer = workbench.ask("What torque does pump 1 of series 0-0 take at the flange?")
    assert any("takes 7 N m" in citation.quote for citation in answer.citations)
    make(folder, 1, version=1)
    report = Workbench(s3_settings).ingest_paths([folder])
    assert (report.new, report.changed, report.unchanged) == (0, 1, 12)
    assert_sound(s3_settings, folder)
    workbench.answers.feedback(answer.id, "down", "It has changed.")
    assert Workbench(s3_settings).answers.load(answer.id)["feedback"]["comment"] == "It has changed."
    assert [record["id"] for record in workbench.answers.recent(5)] == [answer.id]
    finer = Workbench(s3_settings, PipelineConfig(chunking=ChunkingConfig(size=100)))
    with pytest.raises(CollectionError, match="ragwb reindex"):
        finer.pipeline()
    finer.reindex()
    assert_sound(s3_settings, folder)
    assert not finer.ask("What torque does pump 2 take?").refused
    assert not [path for path in s3_settings.home.rglob("*") if path.is_file() and "cache" not in path.parts]


def test_deleted_is_gone_from_bucket_and_cache(seaweed: S3Server, s3_settings: Settings, tmp_path: Path) -> None:
    workbench, elsewhere = Workbench(s3_settings), Workbench(replace(s3_settings, home=tmp_path / "other machine"))
    workbench.ingest_files([("secret.md", b"# Salary\n\nMs Zyxwvut has 98765 euros.\n"), *((f"{n}.md", text_of(n, 0).encode()) for n in range(40))])
    for each in (workbench, elsewhere):
        assert "98765" in each.ask("What does Ms Zyxwvut have?").text
    assert keys_with(seaweed, s3_settings, b"98765") and files_with(tmp_path, b"98765")
    assert workbench.delete(["secret.md"]) == 1
    assert not keys_with(seaweed, s3_settings, b"98765")
    assert not files_with(s3_settings.home, b"98765")
    assert elsewhere.ask("What does Ms Zyxwvut have?").refused
    assert not files_with(tmp_path, b"98765")
    assert_sound(s3_settings)


# the command line, with a commit every few documents and a lease that runs out soon
SMALL_COMMITS = ("import sys, ragwb.storage.lease, ragwb.ingestion.batches; ragwb.ingestion.batches.BATCH_CHARACTERS = 12_000; ragwb.storage.lease.LEASE_S = 4.0; "
                 "from ragwb.cli import main; main(sys.argv[1:])")  # fmt: skip


def start(settings: Settings, *words: str | Path) -> "subprocess.Popen[str]":
    given = {"RAGWB_HOME": str(settings.home), "RAGWB_STORAGE": settings.storage, "RAGWB_S3_ENDPOINT": settings.s3_endpoint, "RAGWB_WORKERS": "1", "NO_COLOR": "1"}
    return subprocess.Popen([sys.executable, "-c", SMALL_COMMITS, *map(str, words)], env=os.environ | given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def holder(workbench: Workbench) -> int:
    "The process that holds the lease of the collection; 0: none."
    try:
        lease = json.loads(workbench.store.objects.get("locks/default.json"))
    except FileNotFoundError:
        return 0
    return int(lease["pid"]) if lease["holder"] else 0


def call(settings: Settings, *words: str | Path) -> tuple[int, str, str]:
    "A command, in this process: exit code, standard output, standard error."
    names = ("home", "storage", "s3_endpoint", "region", "bucket_owner", "kms_key", "refresh_s")
    done = CliRunner().invoke(main, list(map(str, words)), env={f"RAGWB_{name.upper()}": str(getattr(settings, name)) for name in names})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def refused(result: tuple[int, str, str], *parts: str) -> None:
    "It failed with exit code 1 and one line that says these things."
    code, out, error = result
    assert (code, out, error.startswith("Error: "), error.count("\n")) == (1, "", True, 1), result
    for part in parts:
        assert part in error


PUMP = [("pump.md", b"# Pump\n\nThe pump needs a torque of 42 N m at the flange.\n")]
TORQUE = "What torque does the pump need?"


def with_pump(settings: Settings) -> Workbench:
    workbench = Workbench(settings)
    assert workbench.ingest_files(PUMP).new == 1
    return workbench


@pytest.fixture
def as_identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Identity], None]]:
    "Changes who asks; boto3's clients remember whom they were made for."
    def change(identity: Identity) -> None:
        new_client.cache_clear()
        use_identity(monkeypatch, identity)

    yield change
    new_client.cache_clear()


def test_reading_needs_no_more_than_reading(s3_settings: Settings, as_identity: Callable[[Identity], None], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_pump(s3_settings)
    as_identity(READER)
    reader = Workbench(replace(s3_settings, home=tmp_path / "reader"))
    for _ in range(3):
        answer = reader.ask(TORQUE)
        assert "42 N m" in answer.citations[0].quote
    assert reader.unkept == 3 and caplog.text.count("is not kept") == 1 and "s3:PutObject" in caplog.text
    with pytest.raises(AnswerError):
        reader.answers.load(answer.id)
    with pytest.raises(AwsError, match="s3:PutObject"):
        reader.ingest_files([("other.md", b"# Other")])
    refused(call(replace(s3_settings, home=tmp_path / "reader"), "documents", "delete", "pump.md", "--yes"), "access is refused", "s3:DeleteObject")
    assert [info.id for info in reader.store.open("default").documents()] == ["pump.md"]


def test_who_may_not_and_where_nothing_is(s3_settings: Settings, as_identity: Callable[[Identity], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_pump(s3_settings)
    commands = (("ask", TORQUE), ("ingest", corpus(tmp_path / "docs", 1)), ("documents", "list"))
    nowhere = replace(s3_settings, storage="s3://no-such-bucket-anywhere/team")
    for command in commands:
        refused(call(nowhere, *command), "the bucket does not exist", "storage = s3://bucket/prefix")
        refused(call(replace(s3_settings, storage="s3://Not_A_Bucket"), *command), "names no bucket", "s3://bucket/prefix")
    as_identity(STRANGER)
    for command in commands:
        refused(call(s3_settings, *command), "access is refused", "s3:GetObject")
    as_identity(Identity("unknown-key", "secret"))
    refused(call(s3_settings, "ask", TORQUE), "does not know these credentials", "AWS_ACCESS_KEY_ID")
    as_identity(Identity(ADMIN.access, "wrong"))
    refused(call(s3_settings, "ask", TORQUE), "the signature does not match", "AWS_SECRET_ACCESS_KEY")
    as_identity(ADMIN)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for command in commands:
        refused(call(s3_settings, *command), "no AWS credentials were found", "AWS_PROFILE")


@pytest.mark.parametrize(("fault", "said"), [
    (S3Fault(400, "ExpiredToken"), ("the AWS session has expired", "aws sso login")),
    (S3Fault(301, "PermanentRedirect"), ("another region than us-east-1", "RAGWB_REGION")),
    (S3Fault(400, "AuthorizationHeaderMalformed"), ("another region than us-east-1", "RAGWB_REGION")),
    (S3Fault(403, "RequestTimeTooSkewed"), ("the clock of this machine is wrong",)),
])  # fmt: skip
def test_what_s3_refuses(fault: S3Fault, said: tuple[str, ...], proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    through, folder = replace(s3_settings, s3_endpoint=proxy.endpoint), corpus(tmp_path / "docs", 1)
    workbench = with_pump(through)
    collection = workbench.store.open("default")
    proxy.fault = lambda request: fault if fault.status != 301 or "object_store" in request.headers["user-agent"] else None  # boto3 follows to the right region
    for command in (("ask", TORQUE), ("ingest", folder), ("documents", "list")):
        refused(call(through, *command), *said)
    with pytest.raises(AwsError, match=said[0]):  # and what LanceDB meets with a connection that stood
        collection.documents()


def test_the_bucket_of_another_account(proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    ours = "111122223333"

    def owner(request: S3Request) -> S3Fault | None:  # as S3 does it; SeaweedFS does not look at it
        return S3Fault(403, "AccessDenied") if request.headers.get("x-amz-expected-bucket-owner", ours) != ours else None

    proxy.fault = owner
    through = replace(s3_settings, s3_endpoint=proxy.endpoint, bucket_owner=ours)
    assert not with_pump(through).ask(TORQUE).refused
    by_boto = [request for request in proxy.seen if "boto" in request.headers.get("user-agent", "").lower()]
    assert by_boto and all(request.headers.get("x-amz-expected-bucket-owner") == ours for request in by_boto)
    theirs = replace(through, bucket_owner="999988887777")
    for command in (("ask", TORQUE), ("ingest", corpus(tmp_path / "docs", 1))):
        refused(call(theirs, *command), "access is refused", "belongs to account 999988887777 (bucket_owner)")


def test_what_is_written_is_encrypted_with_the_key(proxy: S3Proxy, s3_settings: Settings) -> None:
    through = replace(s3_settings, s3_endpoint=proxy.endpoint, kms_key="alias/ragwb")
    header, wanted = "x-amz-server-side-encryption-aws-kms-key-id", "alias/ragwb"
    proxy.fault = lambda request: S3Fault(400, "KMS.NotFoundException") if request.method in ("PUT", "POST") else None
    store = Workbench(through).store
    with pytest.raises(AwsError, match="KMS key refuses.*kms_key"):
        store.objects.put("documents/a.md", b"text")
    with pytest.raises(AwsError, match="KMS key refuses"):
        store.objects.put("documents/large.bin", bytes(9 * 2**20))
    with pytest.raises(RuntimeError):
        store.database.connection.create_table("default", schema=schema(4, describe(PipelineConfig())))
    writes = [request for request in proxy.seen if request.method in ("PUT", "POST")]
    assert {request.key.split("/")[2] for request in writes} == {"documents", "lancedb"}
    assert all(request.headers.get(header) == wanted and request.headers["x-amz-server-side-encryption"] == "aws:kms" for request in writes)


def test_an_object_deleted_under_the_index(seaweed: S3Server, s3_settings: Settings, tmp_path: Path) -> None:
    workbench, bucket = with_pump(s3_settings), s3_settings.storage.split("/")[2]
    assert not workbench.ask(TORQUE).refused
    data = [item.key for item in workbench.store.objects.items("lancedb/default.lance/data/")]
    seaweed.client().delete_object(Bucket=bucket, Key=f"team/{data[0]}")
    fresh = replace(s3_settings, home=tmp_path / "fresh")
    for command in (("ask", TORQUE), ("ingest", corpus(tmp_path / "docs", 1)), ("documents", "list")):
        refused(call(fresh, *command), "collection 'default' is damaged", "Not found", f"restore {s3_settings.storage} from a copy", "ingest its documents again")
    assert not workbench.ask(TORQUE).refused  # who has read it still answers
    (original,) = [item.key for item in workbench.store.objects.items("documents/default/")]
    workbench.store.objects.delete([original])
    assert workbench.store.objects.exists(original) is False


def test_a_burst_of_server_errors(proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    through, numbers = replace(s3_settings, s3_endpoint=proxy.endpoint), count()
    proxy.fault = lambda request: S3Fault(503, "SlowDown") if next(numbers) % 3 == 0 else None
    folder = corpus(tmp_path / "docs", 5)
    assert call(through, "ingest", folder)[1].startswith("5 new")
    assert not Workbench(through).ask("What torque does pump 1 take?").refused
    proxy.fault = lambda request: None
    assert_sound(through, folder)


def test_s3_is_down(proxy: S3Proxy, s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # botocore's pauses
    through = replace(s3_settings, s3_endpoint=proxy.endpoint)
    with_pump(through)
    proxy.fault = lambda request: S3Fault(500, "InternalError")
    refused(call(through, "ask", TORQUE), "the service itself has failed", "try again later")
    refused(call(replace(s3_settings, s3_endpoint="http://127.0.0.1:9"), "ask", TORQUE), "no connection", "s3_endpoint")


def test_s3_is_silent(proxy: S3Proxy, s3_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    through = replace(s3_settings, s3_endpoint=proxy.endpoint, home=tmp_path / "cold")
    with_pump(s3_settings)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # botocore's pauses
    monkeypatch.setattr("ragwb.storage.bucket.SILENCE_S", 1)
    over = threading.Event()
    proxy.fault = lambda request: None if over.wait(30) else S3Fault(500, "InternalError")
    begun = time.monotonic()
    try:
        refused(call(through, "ask", TORQUE), "no answer came in time", "try again; if it stays, look at the network")
    finally:
        over.set()
    assert time.monotonic() - begun < 15


def test_a_warm_question_does_not_pay_for_a_slow_s3(proxy: S3Proxy, s3_settings: Settings) -> None:
    through = replace(s3_settings, s3_endpoint=proxy.endpoint, refresh_s=3_600)
    workbench = with_pump(through)
    pipeline = workbench.pipeline()
    assert not pipeline.invoke(TORQUE).refused
    proxy.fault, asked = lambda request: S3Fault(delay=0.5), len(proxy.seen)
    assert "42 N m" in pipeline.invoke("Which torque is it that the pump needs?").text
    assert len(proxy.seen) == asked
    proxy.fault = lambda request: S3Fault(delay=0.2)
    assert "42 N m" in workbench.ask(TORQUE).text  # it is kept, which is a request or two
    proxy.fault, again = lambda request: None, len(proxy.seen)
    assert "42 N m" in Workbench(through).pipeline().invoke(TORQUE).text  # another process, the next day
    assert not [request for request in proxy.seen[again:] if "/data/" in request.key and "documents" not in request.key]


def test_a_question_lists_only_the_versions_of_its_table(proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    "LanceDB finds the last commit by a listing of the table's versions. ragwb itself lists nothing: neither to open the collection, nor for a question, nor to keep its answer."
    through = replace(s3_settings, s3_endpoint=proxy.endpoint, refresh_s=3_600)
    with_pump(through)

    def listed(work: Callable[[], object]) -> list[str]:
        "The prefixes that were listed meanwhile."
        begun = len(proxy.seen)
        work()
        lists = [request for request in proxy.seen[begun:] if request.method == "GET" and "list-type" in request.path]
        prefixes = [parse_qs(urlsplit(request.path).query)["prefix"][0] for request in lists]
        return [prefix for prefix in prefixes if prefix != "team/audit/"]  # listed once a day by the thread that writes the log, and no question waits for it

    workbench, versions = Workbench(replace(through, home=tmp_path / "another machine")), "team/lancedb/default.lance/_versions/"
    first = listed(lambda: workbench.pipeline().invoke(TORQUE))
    assert sorted(first) == ["team/deletions/", "team/lancedb/__manifest/_versions/", versions]  # deletions that died, LanceDB's connection, and the table
    assert listed(lambda: workbench.pipeline().invoke("Which torque is it that the pump needs?")) == []
    assert set(listed(lambda: workbench.ask(TORQUE))) == {versions}  # an answer is kept unless a document was deleted meanwhile


def test_a_collection_whose_making_was_killed_is_not_there(s3_settings: Settings) -> None:
    workbench = Workbench(s3_settings)
    workbench.store.objects.put("lancedb/default.lance/_transactions/0-c0ffee.txn", b"killed before the first commit")
    assert workbench.collections() == [] and workbench.store.find("default") is None
    refused(call(s3_settings, "ask", TORQUE), "no collection 'default'", "there: none yet", "ragwb ingest PATH")
    assert "42 N m" in with_pump(s3_settings).ask(TORQUE).text
    refused(call(s3_settings, "ask", TORQUE, "-c", "other"), "no collection 'other'", "there: default")


def test_a_newer_version_is_seen_after_refresh_s(s3_settings: Settings) -> None:
    workbench, other = with_pump(replace(s3_settings, refresh_s=1)), Workbench(s3_settings)
    assert workbench.ask("What colour is the valve?").refused
    other.ingest_files([("valve.md", b"# Valve\n\nThe colour of the valve is green.\n")])
    time.sleep(1.1)
    assert "green" in workbench.ask("What colour is the valve?").text


def test_a_large_upload_goes_up_in_parts_or_not_at_all(seaweed: S3Server, proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    objects, data = Workbench(replace(s3_settings, s3_endpoint=proxy.endpoint)).store.objects, os.urandom(20 * 2**20)
    broken = count()
    proxy.fault = lambda request: S3Fault(500, "InternalError") if "partNumber=2" in request.path and next(broken) == 0 else None
    (tmp_path / "large.bin").write_bytes(data)
    objects.put("documents/large.bin", tmp_path / "large.bin")
    assert objects.get("documents/large.bin") == data and sum("partNumber" in request.path for request in proxy.seen) == 4
    proxy.fault = lambda request: S3Fault(403, "AccessDenied") if "partNumber=3" in request.path else None
    with pytest.raises(AwsError, match="access is refused"):
        objects.put("documents/other.bin", data)
    assert not objects.exists("documents/other.bin")
    assert not seaweed.client().list_multipart_uploads(Bucket=s3_settings.storage.split("/")[2]).get("Uploads")


class Stream(BytesIO):
    "An upload that is never read whole."

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 < size <= 2**20
        return super().read(size)


def test_uploads_stream(s3_settings: Settings) -> None:
    workbench = Workbench(s3_settings)
    report = workbench.ingest_files([("pump.md", Stream(PUMP[0][1])), ("../bad.md", Stream(b"?"))])
    assert (report.new, [name for name, _ in report.failed]) == (1, ["../bad.md"])
    assert not workbench.ask(TORQUE).refused
    assert not list(s3_settings.home.glob("passing-*"))


def test_from_a_prefix(seaweed: S3Server, s3_settings: Settings, tmp_path: Path) -> None:
    bucket, client = s3_settings.storage.split("/")[2], seaweed.client()
    for n in range(7):
        client.put_object(Bucket=bucket, Key=f"incoming/deep/{n}.md", Body=text_of(n, 0).encode())
    for name in ("incoming/photo.xyz", "incoming/.hidden.md", "incoming/folder/", "elsewhere/a.md"):
        client.put_object(Bucket=bucket, Key=name, Body=b"" if name.endswith("/") else b"# A")
    code, out, _ = call(s3_settings, "ingest", f"s3://{bucket}/incoming", "--json")
    report = json.loads(out)
    assert (code, report["new"], report["failed"]) == (0, 7, [])
    assert sorted(skipped["reason"] for skipped in report["skipped"]) == ["hidden", "unknown format .xyz"]
    assert call(s3_settings, "ingest", f"s3://{bucket}/incoming/deep/", "-c", "deep")[1].startswith("7 new")
    assert call(s3_settings, "ingest", f"s3://{bucket}/incoming")[1].startswith("0 new, 0 changed, 7 unchanged")
    assert [info.id for info in Workbench(s3_settings).store.open("default").documents()] == [f"deep/{n}.md" for n in range(7)]
    refused(call(s3_settings, "ingest", f"s3://{bucket}/nothing"), "nothing lies below this prefix")
    client.put_object(Bucket=bucket, Key="letters/a.md", Body=b"# Letter\n\nWrite to anna.novak@example.com.\n")
    assert "found    a.md: 1 × EMAIL" in call(s3_settings, "ingest", f"s3://{bucket}/letters", "-c", "letters", "--scan", "mask")[1]
    assert "anna.novak" not in Workbench(s3_settings).store.open("letters").document("a.md").text
    disk = replace(s3_settings, storage="")
    assert call(disk, "ingest", f"s3://{bucket}/incoming/deep")[1].startswith("7 new")  # into the data folder


def test_sync(seaweed: S3Server, proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    folder, bucket = corpus(tmp_path / "docs", 5), s3_settings.storage.split("/")[2]
    url, through = f"s3://{bucket}/docs", replace(s3_settings, s3_endpoint=proxy.endpoint)
    (folder / "secret.key").write_text("no document")
    (folder / "long.txt").write_bytes(b"It is long. " * 1_000_000)  # goes up in parts: its tag is no MD5
    assert call(through, "sync", folder, url)[1].startswith("6 new, 0 changed, 0 unchanged, 0 removed")
    puts = proxy.count("PUT", "docs/")
    assert call(through, "sync", folder, url)[1].startswith("0 new, 0 changed, 6 unchanged, 0 removed")
    assert proxy.count("PUT", "docs/") == puts
    make(folder, 0, version=1)
    (folder / "01.md").unlink()
    (folder / "long.txt").write_bytes(b"It is song. " * 1_000_000)  # of the same size
    (folder / "new").mkdir()
    (folder / "new" / "a b'ü.md").write_text("# A")
    report = json.loads(call(through, "sync", folder, url, "--json")[1])
    assert {name: report[name] for name in ("new", "changed", "unchanged", "removed", "deleted")} == {"new": 1, "changed": 2, "unchanged": 3, "removed": 1, "deleted": 0}
    assert [skipped["reason"] for skipped in report["skipped"]] == ["unknown format .key"]
    assert call(through, "sync", folder, url, "--delete")[1] == "0 new, 0 changed, 6 unchanged, 1 removed\n"
    listed = {item["Key"].removeprefix("docs/"): item["Size"] for item in seaweed.client().list_objects_v2(Bucket=bucket, Prefix="docs/")["Contents"]}
    assert listed == {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"}
    (tmp_path / "empty").mkdir()
    refused(call(through, "sync", tmp_path / "empty", url, "--delete"), "nothing was changed")
    proxy.fault = lambda request: S3Fault(403, "AccessDenied") if request.method == "PUT" else None
    make(folder, 0, version=2)
    refused(call(through, "sync", folder, url, "--delete"), "access is refused", "s3:PutObject")


def test_a_killed_sync_is_finished_by_the_next(proxy: S3Proxy, s3_settings: Settings, tmp_path: Path) -> None:
    folder, url = corpus(tmp_path / "docs", 24), f"s3://{s3_settings.storage.split('/')[2]}/docs"
    proxy.fault = lambda request: S3Fault(delay=0.3) if request.method == "PUT" else None
    process = start(replace(s3_settings, s3_endpoint=proxy.endpoint), "sync", folder, url)
    end = time.monotonic() + 60
    while proxy.count("PUT", "docs/") < 10 and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    code, out, _ = call(s3_settings, "sync", folder, url, "--json")
    report = json.loads(out)
    assert code == 0 and 0 < report["new"] < 24 and report["new"] + report["unchanged"] == 24
    assert call(s3_settings, "ingest", url)[1].startswith("24 new")
    assert_sound(s3_settings, folder)


def test_what_is_there_twice_is_healed(s3_settings: Settings) -> None:
    collection = with_pump(s3_settings).store.open("default")
    rows = collection.table.lance.search().limit(None).to_arrow()
    collection.table.lance.add(rows)
    collection.table.lance.add(rows)
    assert collection.count() == 3 * len(rows)
    assert Workbench(s3_settings).ingest_files([("valve.md", b"# Valve\n\nIt is green.\n")]).new == 1
    assert_sound(s3_settings)


def test_a_lost_lease_writes_nothing(proxy: S3Proxy, s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwb.storage.lease.LEASE_S", 0.4)
    through = replace(s3_settings, s3_endpoint=proxy.endpoint)
    with_pump(through)
    exists = Bucket.exists
    monkeypatch.setattr(Bucket, "exists", lambda self, key: (time.sleep(0.6), exists(self, key))[1])  # this process stands still inside the lock
    renew = Renewal.run
    monkeypatch.setattr(Renewal, "run", lambda self: None)
    with pytest.raises(AwsError, match="was lost.*run the same command again"):
        Workbench(through).ingest_files([("valve.md", b"# Valve\n\nIt is green.\n")])
    monkeypatch.setattr(Renewal, "run", renew)
    monkeypatch.setattr(Bucket, "exists", exists)
    assert [info.id for info in Workbench(through).store.open("default").documents()] == ["pump.md"]
    monkeypatch.setattr("ragwb.storage.lease.LEASE_S", 3.0)  # a busy machine may stand still for longer than the one before
    assert Workbench(through).ingest_files([("valve.md", b"# Valve\n\nIt is green.\n")]).new == 1  # the lease has run out
    assert_sound(through)


def test_a_rewrite_does_not_undo_what_another_has_committed(s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench, other = with_pump(s3_settings), Workbench(s3_settings)
    workbench.ingest_files([("valve.md", b"# Valve\n\nIt is green.\n")])

    def meanwhile(batch: Any) -> Any:
        monkeypatch.setattr(Bucket, "lock", lambda self, name: nullcontext(Mock()))  # this process has lost its lease and does not know
        other.ingest_files([("late.md", b"# Late\n\nIt came meanwhile.\n")])
        return batch

    table = workbench.store.open("default").table
    assert isinstance(table, Table)
    with pytest.raises(CollectionError, match="somebody wrote.*run the same command again"):
        rewrite(table, "document <> 'pump.md'", meanwhile)
    monkeypatch.undo()
    use_identity(monkeypatch, ADMIN)
    assert sorted(other.store.open("default").hashes()) == ["late.md", "pump.md", "valve.md"]
    assert workbench.delete(["pump.md"]) == 1
    assert_sound(s3_settings)


def test_what_another_has_just_put_is_not_swept(s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = with_pump(s3_settings)
    collection, put = workbench.store.open("default"), workbench.store.objects.put
    put("documents/default/c0ffee.md", b"of an ingester that is about to commit")
    assert sweep(collection) == 0
    monkeypatch.setattr(Bucket, "grace_s", -1.0)
    assert sweep(collection) == 1 and not workbench.store.objects.exists("documents/default/c0ffee.md")
    assert_sound(s3_settings)


def test_credentials_that_are_renewed(s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = with_pump(s3_settings).store.open("default")
    table = collection.table.lance
    assert collection.table.lance is table and collection.objects.lance_options()["aws_access_key_id"] == ADMIN.access

    class Renewed:
        def get_frozen_credentials(self) -> ReadOnlyCredentials:
            return ReadOnlyCredentials(READER.access, READER.secret, None)

    monkeypatch.setattr(collection.objects.lance, "credentials", Renewed())
    assert collection.table.lance is not table and len(collection.documents()) == 1


def test_a_collection_that_is_made_between_two_looks_is_not_damaged(s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_yet(name: str, database: object) -> None:
        monkeypatch.setattr("ragwb.indexing.store.Table", Table)
        Workbench(s3_settings).ingest_files(PUMP)
        raise ValueError(f"Table {name!r} was not found")

    monkeypatch.setattr("ragwb.indexing.store.Table", not_yet)
    found = Workbench(s3_settings).store.find(s3_settings.collection)
    assert found is not None and len(found.documents()) == 1


def test_one_upload_eight_times_at_once(s3_settings: Settings) -> None:
    workbench = Workbench(s3_settings)
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: workbench.ingest_files(PUMP), range(8)))
    assert sorted((report.new, report.unchanged) for report in reports) == [(0, 1)] * 7 + [(1, 0)]
    assert_sound(s3_settings)


@pytest.mark.slow
def test_eight_ingesters_two_of_them_killed(s3_settings: Settings, tmp_path: Path) -> None:
    shared, workbench = corpus(tmp_path / "shared", 16), Workbench(s3_settings)
    for number in range(8):
        own = tmp_path / f"own{number}"
        own.mkdir()
        for n in range(6):
            (own / f"own{number}-{n}.md").write_text(text_of(100 + 6 * number + n, 0))
    def ingester(number: int) -> "subprocess.Popen[str]":
        return start(replace(s3_settings, home=tmp_path / f"home{number}"), "ingest", shared, tmp_path / f"own{number}", "--json")

    running, killed = {number: ingester(number) for number in range(8)}, dict[int, bool]()
    end = time.monotonic() + 120
    while len(killed) < 2 and time.monotonic() < end:  # each while it commits, after it has committed something or not
        pid = holder(workbench)
        for number, process in running.items():
            if process.pid == pid and number not in killed and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed[number] = process.wait() == -signal.SIGKILL
                break
    assert list(killed.values()) == [True, True]
    for number in killed:
        running[number].communicate()
        running[number] = ingester(number)
    reports = [json.loads(process.communicate(timeout=180)[0]) for process in running.values()]
    assert [process.returncode for process in running.values()] == [0] * 8
    everything = tmp_path / "everything"
    everything.mkdir()
    for path in (*shared.iterdir(), *tmp_path.glob("own*/*")):
        (everything / path.name).write_bytes(path.read_bytes())
    assert_sound(s3_settings, everything)
    assert len(list(everything.iterdir())) == 64 and holder(workbench) == 0
    assert sum(report["new"] for report in reports) <= 64 and not any(report["failed"] for report in reports)
    assert all(report["new"] + report["unchanged"] == 22 for report in reports)


def test_what_a_machine_keeps_is_dropped_by_one_while_another_reads(tmp_path: Path) -> None:
    cache, wrong = LocalCache(tmp_path), list[BaseException]()

    def work(own: int) -> None:
        try:
            for turn in range(300):
                version = str(3 * turn + own)
                cache.put(f"hashes/{version}.json", lambda path: path.write_text("{}"))
                assert cache.read(f"hashes/{version}.json") in (b"{}", None)
                cache.only("hashes/", {f"{version}.json"})
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_server_takes_other_ports_where_one_was_taken_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[int]] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def with_a_taken_one(count: int) -> list[int]:
            tried.append(free_ports(count))
            return [*tried[-1][:-1], other.getsockname()[1]] if len(tried) == 1 else tried[-1]

        monkeypatch.setattr("ragwb.emulator.s3.free_ports", with_a_taken_one)
        with s3_server(tmp_path) as server:
            assert server.new_bucket("papers") == "papers"
    assert len(tried) == 2
