"""What a collection costs as it grows: time of a commit, of a deletion and of the first question after a commit, memory, and disk.

    python -m benchmarks.scale [--passages 2500 10000] [--rounds 3] [--small 200] [--home FOLDER] [--out reports]

One collection grows from size to size. At each size documents are ingested and deleted one by one, and the first question after a commit is asked of the
snapshot that follows and of a fresh build. At the largest size many one-page ingests come, then one maintenance, and what lies on the disk is held against
one copy. Rows have processor seconds beside seconds: other work on the machine disturbs them less. Fails if a snapshot that followed answers as no fresh build does.
`--home` keeps the collection for the next run, which then ingests only what is missing.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import REPORTS
from benchmarks.pages import Pages
from ragwb.experiments.benchmarks import write_benchmark
from ragwb.indexing.collection import Writer
from ragwb.operations.collections import maintain_collection
from ragwb.retrieval.hybrid import retrieve
from ragwb.retrieval.search import Searcher, searcher
from ragwb.settings import Settings
from ragwb.workbench import Workbench

PASSAGES_OF_A_PAGE = 4.18
QUESTIONS = ("What torque does the flange of the pump take?", "Which warranty has a pump of series 7?", "Who checks the seals every week?")


def timed(what: Callable[[], Any]) -> tuple[Any, float, float]:
    "What a call gives, its processor seconds and its seconds."
    begun, used = time.perf_counter(), time.process_time()
    given = what()
    return given, time.process_time() - used, time.perf_counter() - begun


def weight(folder: Path) -> tuple[int, int]:
    "Bytes and files of a folder."
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


class Scale:
    "A collection that grows."

    def __init__(self, home: Path, folder: Path, passages: int):
        self.home, self.pages = home, folder
        self.workbench = Workbench(Settings(home=home))
        Pages(1).write(folder, max(1, int(passages / PASSAGES_OF_A_PAGE)))

    def grow(self, passages: int) -> dict[str, Any]:
        "Ingests pages up to a size."
        wanted = sorted(self.pages.rglob("*.md"))[: max(1, int(passages / PASSAGES_OF_A_PAGE))]
        report, *took = timed(lambda: self.workbench.ingest_paths(wanted))
        self.pipeline = self.workbench.pipelines.of("default")
        self.collection = self.pipeline.index.collection
        return {"figure": "ingest", "passages": self.passages, "chunks": report.chunks, "took": took}

    @property
    def passages(self) -> int:
        "How many passages there are."
        return self.collection.count("kind = 'chunk'")

    def commits(self, count: int) -> list[dict[str, Any]]:
        "One document comes, and one leaves, count times; a memory and a disk figure at the end."
        rows = []
        for number in range(count):
            name, size = f"passing-{number}.md", self.passages
            _, *came = timed(lambda name=name, number=number: self.workbench.ingest_files([(name, f"# Hose\n\nHose {number} is {number} m long.\n".encode())]))  # type: ignore[misc]
            _, *left = timed(lambda name=name: self.workbench.delete([name]))  # type: ignore[misc]
            rows += [{"figure": "one_document", "passages": size, "took": came}, {"figure": "one_deletion", "passages": size, "took": left}]
        disk, files = weight(self.home / "lancedb")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return [*rows, {"figure": "size", "passages": self.passages, "disk": disk, "files": files, "memory": memory}]

    def small_ingests(self, count: int) -> dict[str, Any]:
        "Bytes and files after many one-page ingests, after one maintenance, and of one copy."
        passages, before = self.passages, weight(self.home / "lancedb")
        for number in range(count):
            self.workbench.ingest_files([(f"small-{number}.md", Pages(1_000 + number).markdown().encode())])
        crowded = weight(self.home / "lancedb")
        maintain_collection(self.workbench, "default")
        tidy = weight(self.home / "lancedb")
        with tempfile.TemporaryDirectory() as folder:
            rows = Writer(self.collection).table.lance.to_arrow()
            Workbench(Settings(home=Path(folder))).store.database.connection.create_table("copy", data=rows, on_bad_vectors="null")
            copy = weight(Path(folder, "lancedb"))
        return {"figure": "small_ingests", "passages": passages, "ingests": count, "before": before, "crowded": crowded, "maintained": tidy, "copy": copy}

    def answer(self, found: Searcher) -> list[tuple[str, int, float]]:
        "Passages and scores of all questions."
        asked = [retrieve(found, self.pipeline.embedder, question, self.pipeline.config.retrieval) for question in QUESTIONS]
        return [(hit.document, hit.start, hit.score) for hits in asked for hit in hits]

    def first_question(self, before: Searcher | None) -> tuple[Searcher, list[tuple[str, int, float]]]:
        "The searcher of the last commit, and what it answers."
        found = searcher(self.collection, before=before)
        return found, self.answer(found)

    def rounds(self, count: int) -> list[dict[str, Any]]:
        "A commit of one document, then both ways, count times. Raises AssertionError where they differ."
        (kept, _), rows = self.first_question(None), []
        for number in range(count):
            self.workbench.ingest_files([("changing.md", f"# Pump\n\nThe flange of pump {number} takes {number} N m.\n".encode())])
            (kept, follows), *following = timed(lambda before=kept: self.first_question(before))  # type: ignore[misc]
            (_, builds), *fresh = timed(lambda: self.first_question(None))
            assert follows == builds, "a snapshot that followed must answer as a fresh one"
            rows.append({"figure": "first_question", "passages": self.passages, "following": following, "fresh": fresh})
        return rows


def measured(given: argparse.Namespace, home: Path, folder: Path) -> list[dict[str, Any]]:
    "The rows of all sizes."
    scale, rows = Scale(home, folder, max(given.passages)), []
    for size in sorted(given.passages):
        rows += [scale.grow(size), *scale.commits(given.rounds), *scale.rounds(given.rounds)]
        print(f"measured {rows[-1]['passages']:,} passages", flush=True)
    return [*rows, scale.small_ingests(given.small)]


def table(growth: Sequence[dict[str, Any]]) -> str:
    "The growth, for people."
    return "\n".join(f"{row['passages']:>10,} passages: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.items() if name != "passages") for row in growth)


def main() -> None:
    "Measures, writes and prints."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[2_500, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder, "pages")
        pages.mkdir()
        rows = measured(given, given.home or Path(folder, "home"), pages)
    summary = write_benchmark(given.out, "bench_scale", {"unit": "processor seconds, bytes"}, rows)
    print(table(summary["growth"]))
    print(summary["small_ingests"])


if __name__ == "__main__":
    main()
