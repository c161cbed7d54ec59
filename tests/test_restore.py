"The drill: objects of a real S3 server are deleted, the index is restored, and the answers are the same; and what a restore refuses."

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ragwb.answering.deletion import Deletion, NotEverywhere
from ragwb.cli import main
from ragwb.emulator.s3 import S3Server
from ragwb.indexing.maintenance import tag
from ragwb.indexing.restore import restore
from ragwb.indexing.schema import CollectionError
from ragwb.network.aws import AwsError
from ragwb.settings import Settings
from ragwb.workbench import Workbench

HANDBOOK = [("leave.md", b"Full-time employees get 30 days of annual leave."), ("badge.md", b"The visitor badge is green."), ("salary.md", b"Ms Zyxwvut earns 98765 euros.")]
ASKED = ("How many days of annual leave do employees get?", "What colour is the visitor badge?", "What does Ms Zyxwvut earn?")


@pytest.fixture
def versioned(seaweed: S3Server, s3_settings: Settings) -> Settings:
    "Settings whose bucket keeps versions."
    seaweed.client().put_bucket_versioning(Bucket=bucket_of(s3_settings), VersioningConfiguration={"Status": "Enabled"})
    return s3_settings


def bucket_of(settings: Settings) -> str:
    return settings.storage.split("/")[2]


def answers(settings: Settings) -> list[tuple[str, list[str]]]:
    "What a process that has kept nothing answers, and from which words."
    bench = Workbench(settings)
    told = [bench.ask(question) for question in ASKED]
    return [(each.text, [cited.quote for cited in each.citations]) for each in told]


def delete_all(seaweed: S3Server, settings: Settings, *prefixes: str) -> int:
    "Deletes the objects below prefixes, as somebody with the console would."
    client, bucket = seaweed.client(), bucket_of(settings)
    pages = [page for prefix in prefixes for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"team/{prefix}")]
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    for key in keys:
        client.delete_object(Bucket=bucket, Key=key)
    return len(keys)


def pause() -> datetime:
    "A time with a second before it and one after: S3 tells whole seconds."
    time.sleep(1.1)
    now = datetime.now(UTC)
    time.sleep(1.1)
    return now


def run(settings: Settings, *line: str) -> Result:
    given = {"RAGWB_HOME": str(settings.home), "RAGWB_STORAGE": settings.storage,
             "RAGWB_S3_ENDPOINT": settings.s3_endpoint, "RAGWB_REGION": settings.region, "RAGWB_REFRESH_S": "0"}
    return CliRunner().invoke(main, ["restore", *line], env=given)


@pytest.mark.parametrize("prefixes", [("",), ("lancedb/", "documents/"), ("lancedb/default.lance/data/",), ("lancedb/default.lance/_versions/",)],
                         ids=["everything", "index and originals", "data files", "manifests"])
def test_the_drill(seaweed: S3Server, versioned: Settings, prefixes: tuple[str, ...]) -> None:
    bench = Workbench(versioned)
    bench.ingest_files(HANDBOOK)
    tag(bench.store.open("default"), "reviewed")
    before, originals = answers(versioned), [name for name, _ in HANDBOOK]
    at = pause()
    assert delete_all(seaweed, versioned, *prefixes) > 0
    with pytest.raises(CollectionError):
        Workbench(versioned).store.open("default").stored("leave.md")
    done = run(versioned, "--at", at.isoformat(), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["documents"] == 3 and told["objects"] > 0 and told["left_out"] == told["without_original"] == []
    assert answers(versioned) == before
    collection = Workbench(versioned).store.open("default")
    assert [collection.originals.read(collection.stored(name)) for name in originals] == [content for _, content in HANDBOOK]
    assert restore(Workbench(versioned).store, "default", tag="reviewed").objects == 0, "the second finds everything there"
    assert answers(versioned) == before
    Workbench(versioned).ingest_files([("parking.md", b"Parking costs 7 euros.")])  # and it can be written
    assert len(Workbench(versioned).store.open("default").hashes()) == 4


def test_a_bad_ingestion_is_undone_and_that_again(versioned: Settings) -> None:
    bench = Workbench(versioned)
    bench.ingest_files(HANDBOOK)
    tag(bench.store.open("default"), "reviewed")
    good = answers(versioned)
    pause()
    bench.ingest_files([("leave.md", b"Full-time employees get 300 days of annual leave.")])
    bad, at = answers(versioned), pause()
    assert bad != good
    assert "3 documents" in run(versioned, "--tag", "reviewed").output and answers(versioned) == good
    assert run(versioned, "--at", at.isoformat()).exit_code == 0 and answers(versioned) == bad


def holds(settings: Settings, words: bytes, seaweed: S3Server) -> bool:
    "Whether a present object of the bucket holds some words."
    client, bucket = seaweed.client(), bucket_of(settings)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="team/")
    return any(words in client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for page in pages for each in page.get("Contents", ()))


def test_a_deletion_that_did_not_reach_every_copy_is_no_accident_either(versioned: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(given: Deletion) -> None:
        raise ConnectionError("no route to MLflow")

    bench = Workbench(versioned)
    bench.ingest_files(HANDBOOK)
    at = pause()
    with monkeypatch.context() as patch, pytest.raises(NotEverywhere):
        patch.setattr("ragwb.answering.deletion.forget_passing", down)
        bench.delete(["salary.md"])
    list(bench.audit.read())  # what waits is written
    told = json.loads(run(versioned, "--at", at.isoformat(), "--json").output)
    assert (told["documents"], told["left_out"]) == (2, ["salary.md"]) and "98765" not in str(answers(versioned))


@pytest.mark.parametrize("emptied", [False, True])
def test_what_was_deleted_on_purpose_stays_deleted(seaweed: S3Server, versioned: Settings, emptied: bool) -> None:
    bench = Workbench(versioned)
    bench.ingest_files(HANDBOOK)
    tag(bench.store.open("default"), "reviewed")
    everything = answers(versioned)
    pause()
    bench.delete(["salary.md"])
    list(bench.audit.read())  # what waits is written
    without = answers(versioned)
    pause()
    if emptied:
        delete_all(seaweed, versioned, "")
    done = run(versioned, "--tag", "reviewed")  # the tag went with the deletion; the bucket remembers when it was given
    assert done.exit_code == 0 and "salary.md was deleted on purpose since, and stays deleted" in done.output, done.output
    assert answers(versioned) == without and not holds(versioned, b"98765", seaweed)
    again = run(versioned, "--tag", "reviewed")
    assert again.exit_code == 0 and "stays deleted" in again.output, again.output
    assert answers(versioned) == without, "a restore is no deletion's end"
    done = run(versioned, "--tag", "reviewed", "--with-deleted")
    assert done.exit_code == 0, done.output
    assert answers(versioned) == everything


def test_a_collection_that_was_made_again(seaweed: S3Server, versioned: Settings) -> None:
    Workbench(versioned).ingest_files(HANDBOOK)
    before, at = answers(versioned), pause()
    delete_all(seaweed, versioned, "lancedb/", "documents/")
    Workbench(versioned).ingest_files([("new.md", b"The new badge is blue.")])  # as a scheduled ingestion does
    new, since = answers(versioned), pause()
    refused = run(versioned, "--at", at.isoformat())
    assert refused.exit_code == 1 and "was emptied and made again" in refused.output and "--replace" in refused.output
    assert answers(versioned) == new, "a refusal changes nothing"
    assert run(versioned, "--at", at.isoformat(), "--replace").exit_code == 0 and answers(versioned) == before
    assert run(versioned, "--at", since.isoformat(), "--replace").exit_code == 0 and answers(versioned) == new


def test_a_restore_that_was_killed_is_finished_by_the_next(seaweed: S3Server, versioned: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragwb.storage.versions import Versions

    Workbench(versioned).ingest_files(HANDBOOK)
    before, at = answers(versioned), pause()
    delete_all(seaweed, versioned, "lancedb/", "documents/")
    whole, done = Versions.copy, []

    def breaks(self: Versions, version: Any) -> None:
        if len(done) > 3:
            raise AwsError("S3", "it is gone", "wait")
        done.append(version.key)
        whole(self, version)

    monkeypatch.setattr(Versions, "copy", breaks)
    with pytest.raises(AwsError):
        restore(Workbench(versioned).store, "default", at)
    assert not [key for key in done if "_versions/" in key], "a manifest was there before what it names"
    monkeypatch.setattr(Versions, "copy", whole)
    restore(Workbench(versioned).store, "default", at)
    assert answers(versioned) == before


def test_refusals_say_what_to_do(seaweed: S3Server, s3_settings: Settings) -> None:
    Workbench(s3_settings).ingest_files(HANDBOOK[:1])
    now = datetime.now(UTC).isoformat()
    said = run(s3_settings, "--at", now).output
    assert "keeps no former versions" in said and "restore from a copy" in said
    seaweed.client().put_bucket_versioning(Bucket=bucket_of(s3_settings), VersioningConfiguration={"Status": "Enabled"})
    assert "never had a tag 'x'" in run(s3_settings, "--tag", "x").output
    assert "no collection 'y'" in run(s3_settings, "-c", "y", "--at", now).output
    assert "has no version from 2020-01-01" in run(s3_settings, "--at", "2020-01-01").output
