"""The first question after a one-document commit, against a fresh build of the same index version, in one run and in turns.

    python -m benchmarks.scale [--passages 10000] [--rounds 5] [--out reports/bench_scale.jsonl]

Writes a row for each round, with processor seconds (which other work on the machine disturbs less than the clock), and prints their medians.
Fails if an answer of the snapshot that followed differs from one of the fresh build.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import REPORTS
from benchmarks.pages import Pages
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


class Scale:
    "A collection of some size."

    def __init__(self, home: Path, pages: Path, passages: int):
        Pages(1).write(pages, max(1, int(passages / PASSAGES_OF_A_PAGE)))
        self.workbench = Workbench(Settings(home=home))
        self.workbench.ingest_paths([pages])
        self.pipeline = self.workbench.pipelines.of("default")
        self.collection = self.pipeline.index.collection

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
            rows.append({"figure": "first_question", "passages": self.collection.count("kind = 'chunk'"), "following": following, "fresh": fresh})
        return rows


def main() -> None:
    "Measures and prints."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=REPORTS / "bench_scale.jsonl")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, pages = Path(folder, "home"), Path(folder, "pages")
        pages.mkdir()
        rows = Scale(home, pages, given.passages).rounds(given.rounds)
    given.out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for place, unit in enumerate(("processor seconds", "seconds")):
        following, fresh = (median(row[side][place] for row in rows) for side in ("following", "fresh"))
        told = f"{following:.3f} against {fresh:.3f} of a fresh build, {fresh / following:.1f}x"
        print(f"first question after a one-document commit at {rows[0]['passages']:,} passages, {unit}: {told}")


if __name__ == "__main__":
    main()
