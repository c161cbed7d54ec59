"""The time and memory that ragwb needs on one machine. Every figure is measured beside its peer, in the same run.

    python -m benchmarks.local [--quick] [--only NAME ...] [--pdfs FOLDER]

Prints a table and writes the raw timings into reports/bench.jsonl, their summary into reports/bench.json.
The peers (LangChain, Chroma, bm25s) come with `make bench`, in an environment of their own.
A figure is a function from Bench to raw timings, here and in ROWS, and what is said about them, in `ragwb.experiments.benchmarks.FIGURES`.
"""

import argparse
import importlib.util
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from benchmarks import REPORTS, SAMPLE
from benchmarks.figures import Raw, measure, publish, seconds
from benchmarks.pages import Pages
from ragwb.config import PipelineConfig
from ragwb.documents.document import Document
from ragwb.documents.language import KNOWN_WORDS
from ragwb.indexing.chunking import chunk
from ragwb.indexing.collection import all_chunks
from ragwb.indexing.embedding import Embedder, WordLlamaEmbedder, wordllama_embedder
from ragwb.ingestion.processes import CREW, parse_many
from ragwb.retrieval.fusion import Leg, convex_combination
from ragwb.retrieval.hybrid import retrieve
from ragwb.retrieval.search import Snapshot
from ragwb.settings import Settings
from ragwb.workbench import Workbench

if TYPE_CHECKING:
    import psutil

PEERS = ("bm25s", "chromadb", "langchain-chroma", "langchain-text-splitters")
TOOLS = ("psutil", "reportlab")


@dataclass(frozen=True)
class Sizes:
    "How much is measured."
    pages: int          # Markdown pages to ingest
    rounds: int         # of each side of a comparison of ingests
    pdf_files: int
    pdf_pages: int      # of each file
    chunks: int         # in the index that is queried
    questions: int
    starts: int         # of each command
    long_pdf: int       # pages of the PDF whose memory is measured


FULL = Sizes(pages=2_000, rounds=3, pdf_files=4, pdf_pages=100, chunks=50_000, questions=400, starts=7, long_pdf=1_000)
QUICK = Sizes(pages=150, rounds=1, pdf_files=2, pdf_pages=20, chunks=2_000, questions=50, starts=2, long_pdf=100)


class Bench:
    "Sizes, a temporary folder, and what several rows are measured on."

    def __init__(self, sizes: Sizes, folder: Path, pdfs: Path | None):
        self.sizes, self.folder, self.pdfs = sizes, folder, pdfs

    def new_folder(self, name: str) -> Path:
        "An empty folder."
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    @cached_property
    def markdown(self) -> Path:
        "The Markdown pages."
        return Pages().write(self.new_folder("pages"), self.sizes.pages)

    @cached_property
    def indexed(self) -> Snapshot:
        "The index that is queried."
        folder, per_page = self.new_folder("many"), 4.18
        Pages(1).write(folder, int(self.sizes.chunks / per_page))
        workbench = Workbench(Settings(home=self.new_folder("home")))
        workbench.ingest_paths([folder])
        shutil.rmtree(folder)
        return Snapshot(*all_chunks(workbench.store.open("default")))

    @cached_property
    def questions(self) -> list[str]:
        "Some words of passages that are there."
        chosen, texts = random.Random(2), self.indexed.rows["text"]
        asked = []
        for place in chosen.sample(range(len(self.indexed.ids)), self.sizes.questions):
            words = re.findall(r"\w{3,}", texts[place].as_py())
            at = chosen.randrange(max(1, len(words) - 9))
            asked.append(f"What about {' '.join(words[at:at + 9])}?")
        return asked

    def run(self, *command: str | Path, **environment: str) -> float:
        "Seconds that a command takes. Raises CalledProcessError when it fails."
        return seconds(lambda: subprocess.run([*map(str, command)], check=True, capture_output=True, env=os.environ | environment, cwd=self.folder))


class Turns:
    "Two or more ways of doing something, one after the other and over again: seconds by the clock, and of all threads and workers, which other work on the machine disturbs less."

    def __init__(self, rounds: int, **sides: Callable[[], Any]):
        self.given: dict[str, Any] = {}
        self.seconds: dict[str, list[float]] = {name: [] for name in sides}
        self.processor: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                begun, used = time.perf_counter(), processor_s()
                self.given[name] = side()
                self.seconds[name].append(time.perf_counter() - begun)
                self.processor[name].append(processor_s() - used)


def processor_s() -> float:
    "Processor time of this process and of those that it has started, living and ended."
    import psutil

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(processor_of, children(psutil.Process())))


def processor_of(process: "psutil.Process") -> float:
    "Processor time of a process; 0 once it has ended."
    from psutil import NoSuchProcess

    try:
        used = process.cpu_times()
        return float(used.user + used.system)
    except NoSuchProcess:
        return 0.0


def fresh_embedder() -> Embedder:
    "The local embedder without the words that it has learnt, and no workers that have, so that no side of a comparison finds them ready."
    CREW.dismiss()
    wordllama_embedder.cache_clear()
    KNOWN_WORDS.clear()
    return wordllama_embedder()


def ingest_against_chroma(bench: Bench) -> Raw:
    "Ingest of Markdown pages against LangChain + Chroma with the same embedder."
    from langchain_chroma import Chroma
    from langchain_core.documents import Document as LangChainDocument
    from langchain_core.embeddings import Embeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class SameEmbedder(Embeddings):
        "Ours, as LangChain asks for it."

        def __init__(self) -> None:
            self.inner = fresh_embedder()

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return self.inner.embed(texts).tolist()  # type: ignore[no-any-return]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    def ours() -> int:
        "Ingests and returns the chunks."
        fresh_embedder()
        return Workbench(Settings(home=bench.new_folder("home"))).ingest_paths([bench.markdown]).chunks

    def theirs() -> int:
        "As LangChain's documentation does it: read, split, embed and store in batches as large as Chroma takes."
        paths = sorted(bench.markdown.rglob("*.md"))
        documents = [LangChainDocument(path.read_text("utf-8"), metadata={"source": str(path)}) for path in paths]
        pieces = RecursiveCharacterTextSplitter(chunk_size=1_400, chunk_overlap=0, add_start_index=True).split_documents(documents)
        store = Chroma("pages", SameEmbedder(), persist_directory=str(bench.new_folder("chroma")))
        for at in range(0, len(pieces), 5_000):
            store.add_documents(pieces[at : at + 5_000])
        return len(pieces)

    bench.markdown  # noqa: B018  # written before the clock runs
    fresh_embedder().embed(["warm"])
    turns = Turns(bench.sizes.rounds, ragwb=ours, langchain_chroma=theirs)
    return {"pages": bench.sizes.pages, "chunks": turns.given, "seconds": turns.seconds, "processor": turns.processor}


def ingest_against_parts(bench: Bench) -> Raw:
    "Ingest of Markdown pages against parsing, chunking and embedding alone."
    config = PipelineConfig()
    paths = [(path.relative_to(bench.markdown).as_posix(), path) for path in sorted(bench.markdown.rglob("*.md"))]

    def parts() -> None:
        "What cannot be spared; nothing is kept."
        model = fresh_embedder()
        pieces = [piece for found in parse_many(paths) if isinstance(found, Document) for piece in chunk(found, config.chunking)]
        for at in range(0, len(pieces), 4_000):
            model.embed([piece.indexed for piece in pieces[at : at + 4_000]])

    def whole() -> None:
        fresh_embedder()
        Workbench(Settings(home=bench.new_folder("home"))).ingest_paths([bench.markdown])

    turns = Turns(bench.sizes.rounds, parts=parts, ingest=whole)
    return {"pages": bench.sizes.pages, "seconds": turns.seconds, "processor": turns.processor}


def pdf_pages(bench: Bench) -> Raw:
    "Digital PDF pages per second, workers' start included, beside bare text by pypdfium2."
    import pypdfium2

    if bench.pdfs:
        paths = sorted(bench.pdfs.rglob("*.pdf"))
    else:
        folder, pages = bench.new_folder("pdf"), Pages(3)
        paths = [pages.write_pdf(folder / f"handbook-{number}.pdf", bench.sizes.pdf_pages) for number in range(bench.sizes.pdf_files)]
    tiny = Pages(4).write_pdf(bench.new_folder("tiny") / "one.pdf", 1)

    def parsed() -> int:
        "Parses all and returns the pages."
        found = [result for result in parse_many([(path.name, path) for path in paths], workers=2)]
        return sum(len(document.pages) for document in found if isinstance(document, Document))

    def bare() -> None:
        "Text without places, headings, reading order or tables; one process."
        for path in paths:
            with pypdfium2.PdfDocument(path) as pdf:
                for page in pdf:
                    text_page = page.get_textpage()
                    text_page.get_text_range()
                    text_page.close()
                    page.close()

    turns = Turns(max(3, bench.sizes.rounds), spawn=lambda: list(parse_many([(f"{number}.pdf", tiny) for number in range(2)], workers=2)), ragwb=parsed, pypdfium2=bare)
    return {"pages": turns.given["ragwb"], "files": len(paths), "origin": "given" if bench.pdfs else "generated", "seconds": turns.seconds}


def query_against_chroma(bench: Bench) -> Raw:
    "Hybrid query against Chroma (vectors) and bm25s, fused by hand."
    import bm25s
    import chromadb
    import Stemmer

    snapshot, model, retrieval = bench.indexed, WordLlamaEmbedder(), PipelineConfig().retrieval
    texts = snapshot.rows["text"].to_pylist()
    k = retrieval.candidates
    vectors = chromadb.PersistentClient(str(bench.new_folder("chroma"))).create_collection("chunks", metadata={"hnsw:space": "cosine"})
    for at in range(0, len(texts), 5_000):
        vectors.add(ids=snapshot.ids[at : at + 5_000], embeddings=snapshot.vectors[at : at + 5_000], documents=texts[at : at + 5_000])
    stemmer, words = Stemmer.Stemmer("english"), bm25s.BM25(backend="numba" if importlib.util.find_spec("numba") else "numpy")
    words.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)

    def ours(question: str) -> list[str]:
        "Through `retrieve`, with passages, ranks and scores in the hits."
        return [hit.chunk.text for hit in retrieve(snapshot, model, question, retrieval)]

    def theirs(question: str) -> list[str]:
        "The same two legs and the same fusion from two libraries."
        near = vectors.query(query_embeddings=model.embed([question]), n_results=k, include=["distances"])
        vector_leg: Leg = [(id, 1 - distance) for id, distance in zip(near["ids"][0], near["distances"][0], strict=True)]  # type: ignore[index]
        tokens = bm25s.tokenize(question, stopwords="en", stemmer=stemmer, show_progress=False)
        places, scores = words.retrieve(tokens, k=k, show_progress=False)
        word_leg: Leg = [(snapshot.ids[place], float(score)) for place, score in zip(places[0], scores[0], strict=True)]
        fused = convex_combination((word_leg, vector_leg), (1 - retrieval.vector_weight, retrieval.vector_weight))
        return [texts[snapshot.position[id]] for id, _ in fused[: retrieval.k]]

    times: dict[str, list[float]] = {"ragwb": [], "chroma_bm25s": []}
    for question in bench.questions[:20]:
        ours(question), theirs(question)
    for turn, question in enumerate(bench.questions):
        sides = [("ragwb", ours), ("chroma_bm25s", theirs)]
        for name, side in sides if turn % 2 else sides[::-1]:
            begun = time.perf_counter()
            side(question)
            times[name].append(1e3 * (time.perf_counter() - begun))
    found, peer_found = [], []
    for question in bench.questions:
        vector = model.embed([question])[0]
        exact = {snapshot.ids[place] for place in np.argsort(-(snapshot.vectors.astype(np.float64) @ vector.astype(np.float64)), kind="stable")[:10]}
        found.append(len(exact & {id for id, _ in snapshot.nearest(vector, 10)}) / 10)
        peer_found.append(len(exact & set(vectors.query(query_embeddings=vector, n_results=10, include=[])["ids"][0])) / 10)
    return {"chunks": len(texts), "milliseconds": times, "recall": found, "chroma_recall": peer_found}


def query_against_legs(bench: Bench) -> Raw:
    "Hybrid query against the slower of its legs."
    snapshot, model, retrieval = bench.indexed, WordLlamaEmbedder(), PipelineConfig().retrieval
    k = retrieval.candidates
    sides: dict[str, Callable[[str], object]] = {
        "hybrid": lambda question: retrieve(snapshot, model, question, retrieval),
        "vector": lambda question: snapshot.nearest(model.embed([question])[0], k),
        "bm25": lambda question: snapshot.bm25(question, k),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn, question in enumerate([*bench.questions[:20], *bench.questions]):
        for name in sorted(sides, key=lambda name: (len(name) * (turn + 1)) % 7):
            begun = time.perf_counter()
            sides[name](question)
            if turn >= 20:
                times[name].append(1e3 * (time.perf_counter() - begun))
    return {"chunks": len(snapshot.ids), "milliseconds": times, "passages": retrieval.k}


def in_turns(bench: Bench, commands: dict[str, Sequence[str | Path]], **environment: str) -> dict[str, list[float]]:
    "Seconds of each of some commands, one after the other, several times."
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(bench.sizes.starts + 1):
        for name, command in commands.items():
            taken = bench.run(*command, **environment)
            if turn:  # the first turn fills the disk cache
                times[name].append(taken)
    return times


def start(bench: Bench) -> Raw:
    "`import ragwb` and `ragwb --help`."
    script = Path(sys.executable).with_name("ragwb")
    times = in_turns(bench, {"python": [sys.executable, "-c", "pass"], "import": [sys.executable, "-c", "import ragwb"], "help": [script, "--help"]})
    return {"seconds": times}


LIBRARIES = "import Stemmer, click, lancedb, numpy, safetensors.numpy, tokenizers, ragwb.cli, ragwb.workbench"  # these import langchain_core and pyarrow


def ask(bench: Bench) -> Raw:
    "`ragwb ask` end to end against importing its libraries alone."
    script, home = Path(sys.executable).with_name("ragwb"), str(bench.new_folder("home"))
    bench.run(script, "ingest", SAMPLE / "docs", RAGWB_HOME=home)
    question = "How many days of annual leave do employees have?"
    times = in_turns(bench, {"libraries": [sys.executable, "-c", LIBRARIES], "ask": [script, "ask", question]}, RAGWB_HOME=home)
    return {"seconds": times}


def memory(bench: Bench) -> Raw:
    "Peak memory of an ingest of a long PDF, workers included."
    import psutil

    def peak(pages: int) -> dict[str, float]:
        "Most that the processes held at any time, in MB."
        path = Pages(5).write_pdf(bench.new_folder("long") / "long.pdf", pages)
        script, most = Path(sys.executable).with_name("ragwb"), {"main": 0.0, "workers": 0.0, "together": 0.0}
        with subprocess.Popen([script, "ingest", path], env=os.environ | {"RAGWB_HOME": str(bench.new_folder("home"))}, stdout=subprocess.DEVNULL) as process:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                held = {"main": resident(watched), "workers": sum(map(resident, children(watched)))}
                for name, value in (held | {"together": sum(held.values())}).items():
                    most[name] = max(most[name], value)
                time.sleep(0.01)
        if process.returncode:
            raise SystemExit(f"`ragwb ingest` of {pages} pages ended with exit code {process.returncode}")
        return most | {"file": path.stat().st_size / 1e6}

    return {"pages": bench.sizes.long_pdf, "megabytes": peak(bench.sizes.long_pdf), "megabytes_of_a_tenth": peak(bench.sizes.long_pdf // 10)}


def resident(process: "psutil.Process") -> float:
    "Memory that a process holds, in MB; 0 once it has ended."
    from psutil import NoSuchProcess

    try:
        return float(process.memory_info().rss) / 1e6
    except NoSuchProcess:
        return 0.0


def children(process: "psutil.Process") -> "list[psutil.Process]":
    "The processes that a process has started."
    from psutil import NoSuchProcess

    try:
        return list(process.children(recursive=True))
    except NoSuchProcess:
        return []


ROWS: dict[str, Callable[[Bench], Raw]] = {
    "ingest": ingest_against_chroma, "parts": ingest_against_parts, "pdf": pdf_pages, "query": query_against_chroma, "legs": query_against_legs,
    "start": start, "ask": ask, "memory": memory,
}  # fmt: skip


def main() -> None:
    "Measures what is asked for."
    options = argparse.ArgumentParser(description="Measures ragwb against its peers.")
    options.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    options.add_argument("--only", action="append", choices=list(ROWS), metavar="NAME", help=f"only this figure, the others of the report stay; may be repeated: {', '.join(ROWS)}")
    options.add_argument("--pdfs", type=Path, help="folder of digital PDFs to parse instead of generated ones")
    given = options.parse_args()
    if given.pdfs and not any(given.pdfs.rglob("*.pdf")):
        options.error(f"--pdfs {given.pdfs}: no PDF there")
    if missing := [package for package in (*PEERS, *TOOLS) if importlib.util.find_spec(package.replace("-", "_")) is None]:
        raise SystemExit(f"not installed: {', '.join(missing)}; pip install -e .[bench]")
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="ragwb-bench-"))
    try:
        bench = Bench(QUICK if given.quick else FULL, folder, given.pdfs)
        measured = measure(console, ROWS, bench, given.only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    publish(console, REPORTS, "bench", {"peers": {package: version(package) for package in PEERS}}, measured, ROWS, write=not given.quick)


if __name__ == "__main__":
    main()
