"""A large collection beside its peers, in one run: ragwb, LanceDB's own hybrid search, and tantivy's words beside the vectors of usearch, faiss or Chroma.

    python -m benchmarks.peers_scale [--passages 50000] [--questions 200] [--only ragwb lancedb ...] [--out reports]

The passages are drawn: `Drawn` says how. Every side gets the same texts and the same vectors, and answers the same questions in turns, one after the other.
A side whose vector search is approximate looks as far as it must to find .97 of the ten nearest passages on questions that are not counted; where no setting
reaches that, the farthest is taken, and the row says so. Then documents come to ragwb's collection and leave it, one at a time: what that and the first question
afterwards take, and whether the bytes of a deleted document are still anywhere on the disk. Rows have processor seconds beside seconds: other work on the
machine disturbs them less. A run of some sizes and sides keeps the rows of the others; what usearch and faiss hold in memory is not on the disk.
By its arrays, 1,000,000 passages should need 10 GB of memory; nobody has run it.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks import REPORTS
from benchmarks.pages import Pages
from benchmarks.scale import timed, weight
from ragwb.config import PipelineConfig
from ragwb.documents.document import Document
from ragwb.documents.identity import Identity
from ragwb.experiments.benchmarks import read_rows, write_benchmark
from ragwb.indexing.chunking import Chunk
from ragwb.indexing.collection import Writer
from ragwb.indexing.embedding import WordLlamaEmbedder
from ragwb.indexing.schema import Entry
from ragwb.operations.collections import maintain_collection
from ragwb.retrieval.fusion import Leg, convex_combination
from ragwb.retrieval.hybrid import retrieve
from ragwb.retrieval.search import Searcher, searcher
from ragwb.settings import Settings
from ragwb.workbench import Workbench

PEERS = ("chromadb", "faiss-cpu", "lancedb", "tantivy", "usearch")
CONFIG = PipelineConfig()
RECALL, NEAREST = .97, 10
OF_DOCUMENT, BATCH = 5, 1_000  # passages; documents of a commit
TUNING, COMMITS = 50, 3        # questions that are not counted; documents that come and go


class Drawn:
    """Passages of 40 to 80 words, five to a document. A document has a subject: 60 words of a vocabulary of 40,000. Half of the words of its passages are drawn from
    those, evenly, the other half from the whole vocabulary by Zipf's law. The vectors are the embedder's, so passages of one subject lie close together.
    A question is nine words of one passage. There is one subject for each 25 documents, at most 20,000."""

    def __init__(self, passages: int, seed: int = 7):
        self.random, self.embedder = np.random.default_rng(seed), WordLlamaEmbedder()
        self.words = np.array(Pages(seed).words[:40_000], object)
        law = np.fromiter(accumulate(1 / (rank + 20) for rank in range(len(self.words))), float)
        subjects = self.random.integers(0, len(self.words), (min(20_000, max(1, passages // OF_DOCUMENT // 25)), 60))
        self.texts: list[str] = []
        for at in range(0, passages, OF_DOCUMENT):
            subject = subjects[self.random.integers(len(subjects))]
            for _ in range(min(OF_DOCUMENT, passages - at)):
                count = int(self.random.integers(20, 41))
                common = np.searchsorted(law, self.random.random(count) * law[-1])
                mixed = self.random.permutation(np.concatenate([common, self.random.choice(subject, count)]))
                self.texts.append(" ".join(self.words[mixed]) + ".")
        self.vectors = np.concatenate([self.embedder.embed(self.texts[at : at + 10_000]) for at in range(0, passages, 10_000)])

    def questions(self, count: int) -> list[str]:
        "Words of passages that are there."
        asked = []
        for place in self.random.integers(0, len(self.texts), count):
            words = self.texts[place].rstrip(".").split()
            at = int(self.random.integers(0, len(words) - 9))
            asked.append(" ".join(words[at : at + 9]))
        return asked

    def entries(self) -> Iterator[list[Entry]]:
        "The documents as ragwb writes them, a commit at a time. Their preparation is what `benchmarks.scale` measures, and is left out."
        batch: list[Entry] = []
        for at in range(0, len(self.texts), OF_DOCUMENT):
            batch.append(document_of(f"drawn/{at // OF_DOCUMENT:07d}.txt", self.texts[at : at + OF_DOCUMENT], self.vectors[at : at + OF_DOCUMENT]))
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def exact(self, vector: np.ndarray) -> set[int]:
        "The places of the passages nearest to a vector: half of them and more are looked at in double precision."
        near = self.vectors @ vector
        likely = np.argpartition(-near, 4 * NEAREST)[: 4 * NEAREST]
        return set(likely[np.argsort(-(self.vectors[likely].astype(float) @ vector.astype(float)), kind="stable")[:NEAREST]].tolist())


def document_of(name: str, texts: Sequence[str], vectors: np.ndarray) -> Entry:
    "A document of some passages."
    ends = list(accumulate(len(text) + 1 for text in texts))
    chunks = [Chunk(name, end - len(text) - 1, end - 1, text, "", end - len(text) - 1, end - 1, None) for text, end in zip(texts, ends, strict=True)]
    return Entry(Document(name, "\n".join(texts), "txt", f"{abs(hash(name)):064x}"), chunks, vectors, ends[-1], identity=Identity())


class Side:
    "A way to search: places of passages by words and by vector, fused as ragwb fuses."
    reach: Sequence[int] = (0,)  # settings of its vector search, from near to far

    def __init__(self, drawn: Drawn, folder: Path):
        self.drawn, self.far = drawn, self.reach[0]

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        "The vector leg: ids are places, as text."
        raise NotImplementedError

    def words(self, question: str, k: int) -> Leg:
        "The keyword leg."
        raise NotImplementedError

    def ask(self, question: str) -> list[str]:
        "The texts of the best passages of both legs."
        settings = CONFIG.retrieval
        vector = self.drawn.embedder.embed([question])[0]
        legs = (self.words(question, settings.candidates), self.nearest(vector, settings.candidates))
        return [self.drawn.texts[int(id)] for id, _ in convex_combination(legs, (1 - settings.vector_weight, settings.vector_weight))[: settings.k]]

    def recall(self, question: str) -> float:
        "The share of the ten nearest passages that the vector leg finds."
        vector = self.drawn.embedder.embed([question])[0]
        return len(self.drawn.exact(vector) & {int(id) for id, _ in self.nearest(vector, NEAREST)}) / NEAREST

    def tune(self, questions: Sequence[str]) -> None:
        "Looks as far as it must."
        for far in self.reach:
            self.far = far
            if mean(map(self.recall, questions)) >= RECALL:
                return


class Ragwb(Side):
    "ragwb, as `ragwb ask` and the server search."

    def __init__(self, drawn: Drawn, folder: Path):
        super().__init__(drawn, folder)
        self.folder, self.workbench = folder, Workbench(Settings(home=folder))
        collection = self.workbench.store.create("default", CONFIG, drawn.embedder.dimensions)
        writer = Writer(collection)
        for batch in drawn.entries():
            with writer.turn():
                writer.write(batch, new=True)
        maintain_collection(self.workbench, "default")
        self.collection = self.workbench.store.open("default")
        self.found: Searcher = searcher(self.collection)
        self.kind = type(self.found).__name__

    def place(self, id: str) -> str:
        "The place of a passage among all that were drawn."
        document, _, span = id.rpartition("#")
        number = int(document.removeprefix("drawn/").removesuffix(".txt"))
        ends = accumulate(len(text) + 1 for text in self.drawn.texts[number * OF_DOCUMENT :])
        return str(number * OF_DOCUMENT + next(at for at, end in enumerate(ends) if end - 1 == int(span.partition("-")[2])))

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        return [(self.place(id), score) for id, score in self.found.nearest(vector, k)]

    def ask(self, question: str) -> list[str]:
        return [hit.chunk.text for hit in retrieve(self.found, self.drawn.embedder, question, CONFIG.retrieval)]

    def changes(self) -> list[dict[str, Any]]:
        "Documents come and go: what each takes, and whether what left is still anywhere on the disk."
        rows = []
        for number in range(COMMITS):
            name, mark = f"passing-{number}.md", f"zyxgone{number}quux"
            text = f"# Hose\n\nHose {mark} is {number} m long.\n".encode()
            _, *came = timed(lambda name=name, text=text: self.workbench.ingest_files([(name, text)]))  # type: ignore[misc]
            hits, *first = timed(self.asked_again(f"How long is hose {mark}?"))
            assert any(mark in each for each in hits), "the document that came must be found"
            _, *left = timed(lambda name=name: self.workbench.delete([name]))  # type: ignore[misc]
            after, *again = timed(self.asked_again(f"How long is hose {mark}?"))
            assert not any(mark in each for each in after), "the document that left must not be found"
            rows.append({"figure": "change", "came": came, "first": first, "left": left, "again": again, "files_with_it": files_with(self.folder, mark.encode())})
        return rows

    def asked_again(self, question: str) -> Callable[[], list[str]]:
        "A question to the last commit."
        def ask() -> list[str]:
            self.collection.catch_up()
            self.found = searcher(self.collection, before=self.found)
            return self.ask(question)

        return ask


def files_with(folder: Path, mark: bytes) -> int:
    "How many files of a folder hold some bytes, as they are."
    found = 0
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                kept = b""
                while block := file.read(1 << 24):
                    if mark in kept + block:
                        found += 1
                        break
                    kept = block[-len(mark) :]
    return found


class LanceDB(Side):
    "LanceDB's own hybrid search: its English words, IVF with scalar quantisation, reciprocal ranks."
    reach = (20, 40, 80, 160)  # cells

    def __init__(self, drawn: Drawn, folder: Path):
        import lancedb
        import pyarrow as pa
        from lancedb.index import FTS, IvfSq
        from lancedb.rerankers import RRFReranker

        super().__init__(drawn, folder)
        self.reranker, step = RRFReranker(), 50_000

        def batches() -> Iterator[Any]:
            for at in range(0, len(drawn.texts), step):
                vectors = pa.FixedSizeListArray.from_arrays(pa.array(drawn.vectors[at : at + step].ravel()), drawn.embedder.dimensions)
                texts = drawn.texts[at : at + step]
                yield pa.RecordBatch.from_pydict({"place": np.arange(at, at + len(texts)), "text": texts, "vector": vectors})

        first = next(batches())
        self.table = lancedb.connect(folder).create_table("passages", data=batches(), schema=first.schema)
        self.table.create_index("text", config=FTS())
        self.table.create_index("vector", config=IvfSq(distance_type="cosine"))

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        found = self.table.search(vector).distance_type("cosine").nprobes(self.far).refine_factor(4).select(["place", "_distance"]).limit(k).to_arrow()
        return [(str(row["place"]), 1 - row["_distance"]) for row in found.to_pylist()]

    def ask(self, question: str) -> list[str]:
        vector, settings = self.drawn.embedder.embed([question])[0], CONFIG.retrieval
        search = self.table.search(query_type="hybrid").vector(vector).text(question).distance_type("cosine").nprobes(self.far).refine_factor(4)
        found = search.rerank(self.reranker).select(["text"]).limit(settings.candidates).to_arrow()
        return found["text"].to_pylist()[: settings.k]  # type: ignore[no-any-return]


class Tantivy(Side):
    "tantivy's words, stemmed; the vectors are another library's."

    def __init__(self, drawn: Drawn, folder: Path):
        import tantivy

        super().__init__(drawn, folder)
        fields = tantivy.SchemaBuilder().add_integer_field("place", stored=True).add_text_field("text", tokenizer_name="en_stem").build()
        (folder / "tantivy").mkdir()
        index = tantivy.Index(fields, str(folder / "tantivy"))
        writer = index.writer(256_000_000, 1)
        for place, text in enumerate(drawn.texts):
            writer.add_document(tantivy.Document(place=place, text=text))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self.index, self.searcher = index, index.searcher()

    def words(self, question: str, k: int) -> Leg:
        found = self.searcher.search(self.index.parse_query(question, ["text"]), k, count=False).hits
        return [(str(self.searcher.doc(address)["place"][0]), score) for score, address in found]


class Usearch(Tantivy):
    "tantivy and usearch (HNSW)."
    reach = (64, 128, 256, 512, 1_024)  # candidates of a search

    def __init__(self, drawn: Drawn, folder: Path):
        from usearch.index import Index

        super().__init__(drawn, folder)
        self.vectors = Index(ndim=drawn.embedder.dimensions, metric="cos", dtype="f32")
        self.vectors.add(np.arange(len(drawn.texts)), drawn.vectors, threads=1)

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        self.vectors.expansion_search = self.far
        found = self.vectors.search(vector, k, threads=1)
        return [(str(place), 1 - float(distance)) for place, distance in zip(found.keys.tolist(), found.distances.tolist(), strict=True)]


class Faiss(Tantivy):
    "tantivy and faiss (IVF, whole vectors)."
    reach = (8, 16, 32, 64, 128, 256)  # cells

    def __init__(self, drawn: Drawn, folder: Path):
        import faiss

        super().__init__(drawn, folder)
        faiss.omp_set_num_threads(1)
        cells = int(2 * len(drawn.texts) ** .5)
        self.vectors = faiss.IndexIVFFlat(faiss.IndexFlatIP(drawn.embedder.dimensions), drawn.embedder.dimensions, cells, faiss.METRIC_INNER_PRODUCT)
        self.vectors.cp.niter = 10
        self.vectors.train(drawn.vectors[:: max(1, len(drawn.vectors) // (40 * cells))])
        self.vectors.add(drawn.vectors)

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        self.vectors.nprobe = self.far
        scores, places = self.vectors.search(vector[None], k)
        return [(str(place), score) for place, score in zip(places[0].tolist(), scores[0].tolist(), strict=True) if place >= 0]


class Chroma(Tantivy):
    "tantivy and Chroma (HNSW, its own settings)."
    reach = (100, 200, 400, 800)  # candidates of a search

    def __init__(self, drawn: Drawn, folder: Path):
        import chromadb

        super().__init__(drawn, folder)
        self.vectors = chromadb.PersistentClient(str(folder / "chroma")).create_collection("passages", configuration={"hnsw": {"space": "cosine"}})
        for at in range(0, len(drawn.texts), 5_000):
            texts = drawn.texts[at : at + 5_000]
            self.vectors.add(ids=list(map(str, range(at, at + len(texts)))), embeddings=drawn.vectors[at : at + 5_000], documents=texts)

    def nearest(self, vector: np.ndarray, k: int) -> Leg:
        found = self.vectors.query(query_embeddings=vector, n_results=k, include=["distances"])
        return [(id, 1 - distance) for id, distance in zip(found["ids"][0], found["distances"][0], strict=True)]  # type: ignore[index]

    def tune(self, questions: Sequence[str]) -> None:
        for far in self.reach:
            self.far = far
            self.vectors.modify(configuration={"hnsw": {"ef_search": self.far}})
            if mean(map(self.recall, questions)) >= RECALL:
                return


SIDES: dict[str, type[Side]] = {"ragwb": Ragwb, "lancedb": LanceDB, "tantivy_usearch": Usearch, "tantivy_faiss": Faiss, "tantivy_chroma": Chroma}


def measured(passages: int, count: int, names: Sequence[str], home: Path) -> list[dict[str, Any]]:
    "The rows of one size."
    drawn, rows, sides = Drawn(passages), dict[str, dict[str, Any]](), dict[str, Side]()
    tuning, asked = drawn.questions(TUNING), drawn.questions(count)
    for name in names:
        (folder := home / name).mkdir()
        sides[name], *built = timed(lambda name=name, folder=folder: SIDES[name](drawn, folder))  # type: ignore[misc]
        sides[name].tune(tuning)
        rows[name] = {"figure": "side", "passages": passages, "name": name, "built": built, "reach": sides[name].far, "disk": weight(folder)[0], "ms": [], "processor_ms": []}
        print(f"{passages:,} passages: {name} built in {built[0]:.0f} s of processor time, {built[1]:.0f} s by the clock", flush=True)
    for turn, question in enumerate([*tuning[:20], *asked]):
        order = list(names)[turn % len(names) :] + list(names)[: turn % len(names)]
        for name in order:
            _, used, took = timed(lambda name=name, question=question: sides[name].ask(question))  # type: ignore[misc]
            if turn >= 20:  # before, caches fill
                rows[name]["ms"].append(round(1e3 * took, 3))
                rows[name]["processor_ms"].append(round(1e3 * used, 3))
    for name, side in sides.items():
        rows[name]["recall"] = list(map(side.recall, asked))
    own = sides.get("ragwb")
    changes = [row | {"passages": passages, "searched": own.kind} for row in own.changes()] if isinstance(own, Ragwb) else []
    return [*rows.values(), *changes]


def main() -> None:
    "Measures, writes and prints."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, nargs="+", default=[50_000])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    if missing := [package for package in ("chromadb", "faiss", "tantivy", "usearch") if find_spec(package) is None]:
        raise SystemExit(f"not installed: {', '.join(missing)}; pip install -e .[bench]")
    os.environ.setdefault("LANCE_LOG", "error")  # before lancedb is loaded: its own hybrid search warns of its own columns
    for passages in given.passages:
        home = Path(tempfile.mkdtemp(prefix="ragwb-peers-"))
        begun = time.perf_counter()
        try:
            rows = measured(passages, given.questions, given.only, home)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        kept = [row for row in read_rows(given.out, "bench_peers") if row["passages"] != passages or row.get("name", "ragwb") not in given.only]
        about = {"unit": "seconds and milliseconds of processor time and by the clock", "peers": {package: version(package) for package in PEERS}}
        summary = write_benchmark(given.out, "bench_peers", about, sorted([*kept, *rows], key=lambda row: row["passages"]))
        print(f"{passages:,} passages measured in {time.perf_counter() - begun:.0f} s")
    for row in (*summary["sides"], *summary["changes"]):
        print(row)


if __name__ == "__main__":
    main()
