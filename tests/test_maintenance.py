"Maintenance: what is small is joined, what is deleted is gone, what something refers to stays; beside a server and an ingest, on a disk and on S3."

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from finder import Finder

from ragwb.cli import main
from ragwb.indexing import maintenance, search_indexes
from ragwb.indexing.collection import Collection, Writer
from ragwb.indexing.compaction import rows_of_files, small_files
from ragwb.indexing.maintenance import maintain
from ragwb.indexing.schema import origin_in
from ragwb.indexing.search_indexes import indexed_columns
from ragwb.indexing.table import Table, read_rows, versions_of
from ragwb.operations.collections import maintain_collection
from ragwb.retrieval.search import NativeSearch, Snapshot, searcher
from ragwb.settings import Settings
from ragwb.workbench import Workbench

SECRET = b"# Pay\n\nMs Zyxwvut has 47193 euros a year.\n"
NEXT_YEAR = timedelta(days=365)


def page(number: int) -> tuple[str, bytes]:
    return f"{number}.md", f"# Pump {number}\n\nPump {number} takes {number} N m at the flange.\n".encode()


def filled(settings: Settings, alone: bool = False) -> tuple[Workbench, Collection]:
    "A collection of several files, one of which has the secret, with other documents or alone."
    workbench = Workbench(settings)
    workbench.ingest_files([page(n) for n in range(8)])
    if alone:
        workbench.ingest_files([("pay.md", SECRET)])
    workbench.ingest_files([*([] if alone else [("pay.md", SECRET)]), *(page(n) for n in range(8, 12))])
    workbench.ingest_files([page(n) for n in range(12, 16)])
    return workbench, workbench.store.open("default")


def listed(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "locks" not in path.parts}


def test_a_deletion_writes_only_the_files_again_that_hold_the_document(tmp_path: Path) -> None:
    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    before = rows_of_files(collection.table)
    workbench.delete(["pay.md"])
    after = rows_of_files(collection.table)
    assert len(before) == len(after) == 3 and len(before.keys() & after.keys()) == 2
    assert not any(deleted for _, deleted in after.values())
    assert Finder({"name": "Zyxwvut", "pay": "47193"}).in_folder(tmp_path) == {}


def test_a_deletion_that_empties_a_whole_file_of_an_indexed_collection_leaves_no_byte(tmp_path: Path) -> None:
    "No file is written again then, which would have brought the indexes up to date."
    workbench, collection = filled(Settings(home=tmp_path, workers=1), alone=True)
    with Writer(collection).step():
        search_indexes.build_indexes(collection.table)
    finder = Finder({"id": "pay.md"})
    assert any("_indices" in name for name, kinds in finder.in_folder(tmp_path / "lancedb").items() if kinds)
    workbench.delete(["pay.md"])
    assert {name: kinds for name, kinds in finder.in_folder(tmp_path / "lancedb").items() if kinds} == {}


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_deletion_from_an_indexed_collection_leaves_no_byte(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = Settings(home=tmp_path, workers=1) if place == "folder" else request.getfixturevalue("s3_settings")
    workbench, collection = filled(settings)
    maintain(collection, (), timedelta(0), native_above=0)
    assert indexed_columns(collection.table) == {"id", "document", "kind", "terms", "vector"}
    found = searcher(collection, in_memory=0)
    assert isinstance(found, NativeSearch) and found.bm25("Zyxwvut", 3)
    vectors = [row["vector"] for row in collection.select("document = 'pay.md' AND kind = 'chunk'", ["vector"])]
    finder = Finder({"name": "Zyxwvut", "pay": "47193", "id": "pay.md"}, [np.array(each) for each in vectors])
    workbench.delete(["pay.md"])
    assert searcher(collection, in_memory=0).bm25("Zyxwvut", 3) == []
    if place == "folder":
        assert {name: kinds for name, kinds in finder.in_folder(tmp_path / "lancedb").items() if kinds} == {}
    else:
        client, bucket = workbench.store.objects.client, settings.storage.split("/")[2]  # type: ignore[attr-defined]
        assert {key: kinds for key, kinds in finder.in_bucket(client, bucket).items() if "lancedb" in key} == {}


def test_what_an_answer_or_a_tag_refers_to_stays_and_the_rest_goes_in_time(tmp_path: Path) -> None:
    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    answer = workbench.ask("What does pump 3 take at the flange?")
    workbench.ingest_files([page(20)])
    tagged = maintenance.tag(collection, "audit")
    workbench.ingest_files([page(21)])
    named = workbench.answers.replayed_on("default", versions_of(collection.table))
    assert named == {answer.index_version}
    soon, late = datetime.now(UTC) + timedelta(days=2), datetime.now(UTC) + NEXT_YEAR
    assert maintain(collection, named, timedelta(days=30), now=soon).dropped == 0
    assert maintain(collection, (), timedelta(0), now=datetime.now(UTC)).dropped == 0, "an answer may be under way"
    maintain(collection, named, timedelta(days=30), now=late)
    assert versions_of(collection.table) == [answer.index_version, tagged, collection.version]
    workbench.answers.drop([answer.id])
    named = workbench.answers.replayed_on("default", versions_of(collection.table))
    maintain(collection, named, timedelta(days=30), now=late)
    assert versions_of(collection.table) == [tagged, collection.version]


def test_a_version_is_as_old_as_its_successor(tmp_path: Path) -> None:
    "A version that was the last one for a year may be read by an answer that began a second ago."
    _, collection = filled(Settings(home=tmp_path, workers=1))

    class Told:
        name, version = "c", 3

        def tags(self) -> dict[str, int]:
            return {}

        class table:
            @staticmethod
            def read(query: object) -> list[dict[str, object]]:
                now = datetime.now(UTC)
                return [{"version": 1, "timestamp": now - timedelta(days=900)}, {"version": 2, "timestamp": now - timedelta(days=800)}, {"version": 3, "timestamp": now}]

    assert maintenance.nameless(Told(), (), timedelta(days=30), datetime.now(UTC)) == [1]  # type: ignore[arg-type]


def test_a_dry_run_says_and_does_nothing(tmp_path: Path) -> None:
    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    before = listed(tmp_path)
    would = maintain_collection(workbench, "default", dry_run=True)
    assert listed(tmp_path) == before and (would.joined, would.purged, would.indexed) == (3, 0, ())
    run = CliRunner().invoke(main, ["maintain", "--collection", "default"], env={"RAGWB_HOME": str(tmp_path)})
    assert run.exit_code == 0 and "3 small files joined" in run.output and small_files(collection.table) == 1
    assert "no collection 'none'" in CliRunner().invoke(main, ["maintain", "--collection", "none"], env={"RAGWB_HOME": str(tmp_path)}).output


def test_files_with_marked_rows_of_a_killed_deletion_are_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    assert isinstance(collection.table, Table)
    collection.table.lance.delete("document = 'pay.md'")
    assert maintain(collection, (), timedelta(0)).purged == 1
    assert not any(deleted for _, deleted in rows_of_files(collection.table).values())


def test_a_large_collection_without_indexes_is_searched_in_memory(tmp_path: Path) -> None:
    _, collection = filled(Settings(home=tmp_path, workers=1))
    assert isinstance(searcher(collection, in_memory=0), Snapshot)
    maintain(collection, (), timedelta(0), native_above=0)
    assert isinstance(searcher(collection, in_memory=0), NativeSearch)


def test_an_ingest_builds_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(*given: object) -> None:
        raise AssertionError("an ingest must not wait for an index")

    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    maintain(collection, (), timedelta(0), native_above=0)
    monkeypatch.setattr(search_indexes, "build_indexes", built)
    monkeypatch.setattr(maintenance, "build_indexes", built)
    assert workbench.ingest_files([("late.md", b"# Late\n\nThe late hose is 77 m long.\n")]).new == 1
    assert [id.partition("#")[0] for id, _ in searcher(collection, in_memory=0).bm25("hose", 3)] == ["late.md"]


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_maintenance_beside_ingests_and_questions(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = Settings(home=tmp_path, workers=1) if place == "folder" else replace(request.getfixturevalue("s3_settings"), refresh_s=0)
    workbench, collection = filled(settings)
    failed: list[BaseException] = []

    def others() -> Iterator[None]:
        other = Workbench(settings)
        for n in range(30, 36):
            assert other.ingest_files([page(n)]).new == 1
            assert f"{n} N m" in other.ask(f"What does pump {n} take at the flange?").text
            yield

    def run() -> None:
        try:
            for _ in others():
                pass
        except BaseException as error:  # shown by the assertion below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        maintain(collection, (), timedelta(0), native_above=0, now=datetime.now(UTC) + NEXT_YEAR)
    thread.join()
    assert not failed, failed
    assert workbench.store.open("default").hashes().keys() == {"pay.md", *(f"{n}.md" for n in (*range(16), *range(30, 36)))}


def test_one_row_tells_of_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench, collection = filled(Settings(home=tmp_path, workers=1))
    known = {info.id: info for info in collection.documents()}
    assert collection.info("pay.md") == known["pay.md"] and collection.info("none.md") is None
    read: list[str] = []

    def counted(table: Table, where: str, columns: list[str]) -> object:
        read.append(where)
        return read_rows(table, where, columns)

    monkeypatch.setattr("ragwb.indexing.collection.read_rows", counted)
    assert workbench.ingest_files([page(40)]).new == 1
    assert read == ["kind = 'document'"], "hashes and files are read once"


def test_the_file_of_a_document_is_read_without_the_rest_of_its_row() -> None:
    told = '{"id": "a", "title": "\\"origin\\": {\\"place\\": \\"x\\"}", "origin": {"place": "/docs", "name": "a.md", "formerly": ["b"]}}'
    assert origin_in(told).path == "/docs/a.md" and origin_in(told).formerly == ("b",)
    assert origin_in('{"id": "a", "title": "\\"origin\\": {\\"place\\": \\"x\\"}"}').path == ""
