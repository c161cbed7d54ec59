"A snapshot that follows the commits of a collection is, to the last bit, the snapshot of a fresh build; and nothing of a deleted document stays in it."

import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwb.config import ChunkingConfig, PipelineConfig
from ragwb.documents.document import Document
from ragwb.indexing.chunking import chunk
from ragwb.indexing.collection import Collection, Writer, all_chunks
from ragwb.indexing.maintenance import delete, maintain, reindex
from ragwb.indexing.schema import Entry
from ragwb.indexing.store import Store
from ragwb.retrieval import search, segments
from ragwb.retrieval.bm25 import inverse_document_frequency, occurrences, saturated
from ragwb.retrieval.search import Searcher, Snapshot, searcher

WORDS = "pump seal gasket drip euro cost hose flange valve".split()
NAMES = "abcdefgh"
VECTORS = {word: np.random.default_rng(place).normal(size=8).astype(np.float32) for place, word in enumerate(WORDS)}


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    "Segments of a size that a few documents fill."
    monkeypatch.setattr(segments, "WHOLE", 5)
    monkeypatch.setattr(segments, "JOINED", 9)


class SmallEmbedder:
    name, dimensions = "local:small", 8

    def embed(self, texts: Any) -> np.ndarray:
        sums = np.array([np.sum([VECTORS.get(word.lower().strip("."), np.ones(8, np.float32)) for word in text.split()], axis=0) for text in texts], np.float32).reshape(-1, 8)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def rows_of(documents: Mapping[str, list[str]]) -> pa.Table:
    "Chunks as a table has them, in the order in which the documents came."
    schema = pa.schema([("id", pa.string()), ("document", pa.string()), ("text", pa.string()), ("context", pa.string()), ("terms", pa.string()),
                        ("labels", pa.list_(pa.string())), ("vector", pa.list_(pa.float32(), 8))])
    rows = [{"id": f"{name}#{n}", "document": name, "text": text, "context": "", "terms": text,
             "labels": [f"document={name}", f"words={len(text.split())}", f"organisation={name}"],
             "vector": VECTORS[text.split(" ")[0]] if text else np.ones(8, np.float32)}
            for name, texts in documents.items() for n, text in enumerate(texts)]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def plain_scores(rows: pa.Table, term: str) -> np.ndarray:
    "BM25 of a term over a whole table at once, as it was computed before there were segments."
    lists = [text.split(" ") for text in rows["terms"].to_pylist()]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(word for words in lists for word in words))}
    lengths = np.array([len(words) for words in lists])
    term_of, chunk_of, frequency = occurrences(np.array([vocabulary[word] for words in lists for word in words], np.int32), lengths)
    matching, relative = np.bincount(term_of, minlength=len(vocabulary)), lengths / max(lengths.mean(), 1)
    weight = (inverse_document_frequency(matching, len(lists))[term_of] * saturated(frequency, relative[chunk_of])).astype(np.float32)
    scores, mine = np.zeros(len(lists), np.float32), term_of == vocabulary.get(term, -1)
    scores[chunk_of[mine]] += weight[mine]
    return scores


def assert_same(found: Snapshot, fresh: Snapshot) -> None:
    "Two snapshots answer alike, bit by bit."
    assert (found.ids, found.rows.select(["id", "text"]).to_pylist()) == (fresh.ids, fresh.rows.select(["id", "text"]).to_pylist())
    assert found.scopes.identities == fresh.scopes.identities and found.vectors.tobytes() == fresh.vectors.tobytes()
    for words in (*WORDS, "pump seal pump", "gasket nothing"):
        assert found.keyword_scores(words).tobytes() == fresh.keyword_scores(words).tobytes()
        assert found.weights.places(words).tolist() == fresh.weights.places(words).tolist()
        for where in ({}, {"words": "2"}, {"document": "a"}):
            assert found.bm25(words, 4, where) == fresh.bm25(words, 4, where)
            assert found.weighed({"a": 0.5, "c": 0.1}).bm25(words, 4, where) == fresh.weighed({"a": 0.5, "c": 0.1}).bm25(words, 4, where)
    for vector in VECTORS.values():
        assert found.cosines(vector).tobytes() == fresh.cosines(vector).tobytes() and found.nearest(vector, 5) == fresh.nearest(vector, 5)
    assert found.chunks(found.ids[::-2]) == fresh.chunks(fresh.ids[::-2]) if "page" in found.columns else True


TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), max_size=4)
COMMITS = st.lists(st.tuples(st.sets(st.sampled_from(NAMES), max_size=3), st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(COMMITS, st.booleans())
def test_parts_that_commits_changed_score_as_one_table(commits: list[tuple[set[str], dict[str, list[str]]]], asked_between: bool) -> None:
    documents: dict[str, list[str]] = {"a": ["pump seal", "seal"], "c": ["pump"]}
    parts = segments.Parts.of(rows_of(documents))
    for gone, come in commits:
        if asked_between:  # what is computed is carried over; what is not, is not
            Snapshot(1, parts).keyword_scores("pump")
        documents = {name: texts for name, texts in documents.items() if name not in gone} | come
        parts = parts.changed(gone | come.keys(), rows_of(come))
        fresh = rows_of(documents).sort_by("id")
        assert_same(Snapshot(1, parts), Snapshot(1, fresh))
        for term in ("pump", "seal", ""):
            assert not len(fresh) or Snapshot(1, parts).weights.scores([term]).tobytes() == plain_scores(fresh, term).tobytes()


def written(collection: Collection, name: str, words: list[str], hashed: str = "") -> None:
    "Commits a document."
    text = "\n\n".join(f"{word.capitalize()} {word} {WORDS[len(word) % 9]}." for word in words)
    document = Document(name, text, "md", hashed or f"{abs(hash(text)):064x}"[:64], metadata={"owner": "shop"})
    pieces = chunk(document, collection.chunking)
    Writer(collection).write([Entry(document, pieces, SmallEmbedder().embed([piece.text for piece in pieces]), len(text))], False)


def fresh_snapshot(collection: Collection) -> Snapshot:
    return Snapshot(*all_chunks(collection))


OPERATIONS = st.lists(st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.none()),
    st.tuples(st.sampled_from(["reopen", "compact", "reindex", "search", "skip"]), st.none(), st.none()),
), min_size=2, max_size=8)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(OPERATIONS)
def test_a_collection_that_is_written_to_answers_as_one_that_is_opened_now(tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, Any, Any]]) -> None:
    config = PipelineConfig(embedder="local:small", chunking=ChunkingConfig(size=100))
    store = Store(tmp_path_factory.mktemp("home"))
    collection = store.create("c", config, 8)
    for name in "aceg":
        written(collection, name, ["pump", "seal", name if name in WORDS else "drip"])
    kept: Searcher = searcher(collection)
    for what, which, words in operations:
        match what:
            case "write":
                written(collection, which, words)
            case "delete":
                delete(collection, which)
            case "reopen":
                collection = store.open("c")
            case "compact":
                maintain(collection, (), timedelta(0), 1_000)
            case "reindex":
                reindex(collection, config, SmallEmbedder())
                collection = store.open("c")
            case "search":
                kept.bm25("pump seal", 3)
        if what != "skip":  # several commits at once
            kept = searcher(collection, before=kept)
            assert isinstance(kept, Snapshot) and kept.version == collection.version
            assert_same(kept, fresh_snapshot(collection))


def bytes_in(snapshot: Snapshot) -> bytes:
    "All that a snapshot holds of its chunks, with what lies beside it in the same memory."
    tables = [each.segment.rows for each in snapshot.parts.placed] + ([snapshot.rows] if "rows" in snapshot.__dict__ else [])
    held = [buffer.to_pybytes() for table in tables for column in table.columns for part in column.chunks for buffer in part.buffers() if buffer]
    words = " ".join(term for each in snapshot.parts.placed for term in each.segment.postings.vocabulary)
    return b"".join(held) + repr((words, snapshot.ids, snapshot.contains, snapshot.weights.known)).encode()


def test_nothing_of_a_deleted_document_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "JOINED", 1)
    collection = Store(tmp_path).create("c", PipelineConfig(embedder="local:small"), 8)
    for name in NAMES:
        written(collection, name, ["quorvexil" if name == "c" else "pump", "seal"])
    before = searcher(collection)
    assert isinstance(before, Snapshot) and before.bm25("quorvexil", 3) and b"uorvexil" in bytes_in(before)
    delete(collection, ["c"])
    after = searcher(collection, before=before)
    assert isinstance(after, Snapshot) and len(after.parts.placed) > 1 and b"uorvexil" not in bytes_in(after)
    kept = [each.segment for each in before.parts.placed if not each.segment.leaving({"c"}).any()]
    assert kept and all(any(each.segment is segment for each in after.parts.placed) for segment in kept), "the other segments are as they were"


def test_a_commit_reads_only_what_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = Store(tmp_path).create("c", PipelineConfig(embedder="local:small"), 8)
    for name in NAMES:
        written(collection, name, ["pump", "seal"])
    before = searcher(collection)
    monkeypatch.setattr(search, "whole", lambda collection: pytest.fail("all chunks were read"))
    written(collection, "b", ["valve"])
    delete(collection, ["h"])
    after = searcher(collection, before=before)
    assert isinstance(after, Snapshot) and {id.partition("#")[0] for id in after.ids} == set("abcdefg") and len(after.bm25("valve", 9)) == 1


def test_a_rebuilt_table_is_read_as_a_whole(tmp_path: Path) -> None:
    "Also if its documents say what they said: the vectors are others."
    config, store = PipelineConfig(embedder="local:small"), Store(tmp_path)
    collection = store.create("c", config, 8)
    for name in NAMES:
        written(collection, name, ["pump", "seal"])
    before = searcher(collection)

    class Other(SmallEmbedder):
        def embed(self, texts: Any) -> np.ndarray:
            return -super().embed(texts)

    reindex(collection, config, Other())
    after = searcher(collection, before=before)
    assert isinstance(before, Snapshot) and isinstance(after, Snapshot)
    assert np.allclose(after.vectors, -before.vectors)


def test_those_who_ask_while_documents_come_and_go_are_answered_of_one_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    collection = store.create("c", PipelineConfig(embedder="local:small"), 8)
    for name in NAMES:
        written(collection, name, ["pump", "seal"])
    reading, wrong, done = store.open("c"), list[str](), threading.Event()
    kept, lock = [searcher(reading)], threading.Lock()

    def ask() -> None:
        while not done.is_set():
            with lock:
                kept[0] = searcher(reading, before=kept[0])
                found = kept[0]
            assert isinstance(found, Snapshot)
            texts = {id: piece.text.lower() for id, piece in zip(found.ids, found.chunks(found.ids), strict=True)}
            for word in ("pump", "valve", "seal"):
                leg = dict(found.bm25(word, 99))
                if {id for id, text in texts.items() if word in text} != leg.keys():
                    wrong.append(f"{word} in version {found.version}: {leg}")

    def guarded() -> None:
        try:
            ask()
        except BaseException as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=guarded) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        written(collection, NAMES[turn % 8], ["valve" if turn % 2 else "pump", "seal"])
        if turn % 4 == 3:
            delete(collection, [NAMES[(turn + 3) % 8]])
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    last = searcher(reading, before=kept[0])
    assert isinstance(last, Snapshot)
    assert_same(last, fresh_snapshot(reading))
