"""Measure answer quality on the local default against its targets: rows into reports/quality.jsonl, their summary into reports/quality.json.

    python -m benchmarks.quality --bench ../shared/bench      (make quality BENCH=../shared/bench)
    python -m benchmarks.quality --bench ../shared/bench --only sample      the rows of the other sets stay
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import REPORTS, SAMPLE
from ragwb.answering.pipeline import Pipeline
from ragwb.config import ChunkingConfig, PipelineConfig
from ragwb.evaluation.benchmark import evaluate_dataset, index_dataset
from ragwb.evaluation.datasets import REPORTING, anchor_questions, load_dataset
from ragwb.evaluation.evaluate import evaluate
from ragwb.experiments.benchmark_scores import FUSED, READING
from ragwb.experiments.benchmarks import read_rows, write_benchmark
from ragwb.indexing.embedding import embedder

CONFIG = PipelineConfig()
WEIGHTS = sorted({0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, CONFIG.retrieval.vector_weight})  # of the vector leg: BM25 alone to vectors alone
CHUNKINGS = [ChunkingConfig("tokens", 300), ChunkingConfig("tokens", 400), *(ChunkingConfig(name, size) for name in ("recursive", "sentences") for size in (800, 1_000, 1_400)),
             ChunkingConfig("sentences", 1_400, 200), ChunkingConfig("headings", 1_400), ChunkingConfig("semantic", 1_400), ChunkingConfig("parents", 400)]
PUBLISHED = {  # the scores that are kept of a set; of the sample questions all
    "xquad": ("ndcg@10", "answer_contained", "citation_precision"), "chunking": ("evidence_recall@5", "evidence_iou@5", "citation_precision"),
    READING: ("evidence_cited", "citation_precision", "unanswerable_refused", "answerable_refused"),
}
Scores = dict[str, list[Any]]  # question -> one entry per arm that was tried


def answered_and_fused(path: Path, metric: str) -> tuple[list[dict[str, Any]], Scores]:
    """Every question of a set under the default config, and its score under each weight of the vector leg; one index for all."""
    dataset, model = load_dataset(path), embedder(CONFIG.embedder, None)
    with tempfile.TemporaryDirectory() as home:
        collection = index_dataset(dataset, CONFIG, Path(home), None, None)
        texts = {id: collection.document(id).text for id in dataset.documents}
        anchored = anchor_questions(dataset, texts)
        answered = evaluate(anchored, Pipeline(collection, CONFIG, model), texts, CONFIG.fingerprint).rows
        fused: Scores = {}
        for weight in WEIGHTS:
            pipeline = Pipeline(collection, replace(CONFIG, retrieval=replace(CONFIG.retrieval, vector_weight=weight)), model)
            for row in evaluate(anchored, pipeline, texts, answers=False).rows:
                if metric in row["scores"]:
                    fused.setdefault(row["id"], []).append(row["scores"][metric])
    return list(answered), fused


def cut(path: Path) -> Scores:
    """Evidence recall and IoU of every question for each way of cutting (retrieval only)."""
    found: Scores = {}
    for chunking in CHUNKINGS:
        for row in evaluate_dataset(path, replace(CONFIG, chunking=chunking), with_ladder=False, answers=False).rows:
            if "evidence_recall@5" in row["scores"]:
                found.setdefault(row["id"], []).append([row["scores"][f"evidence_{metric}@5"] for metric in ("recall", "iou")])
    return found


def rows_of(name: str, path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one set."""
    if name == READING:
        yield from reading_rows(path)
        return
    answered, fused = answered_and_fused(path, FUSED[name][1])
    pieces = {} if name == "xquad" else cut(path)
    styles = {} if name != "sample" else {line["id"]: line.get("style", "") for line in map(json.loads, (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines())}
    for row in answered:
        scores = {metric: score for metric, score in row["scores"].items() if metric in PUBLISHED.get(name, row["scores"])}
        yield {"set": name, **{part: row[part] for part in ("id", "document", "split", "kind")}, "scores": scores, "style": styles.get(row["id"], ""),
               "fusion": fused.get(row["id"], []), "chunking": pieces.get(row["id"], [])}


def reading_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The questions of the piles that are held out, each pile an index of its own."""
    for pile in sorted(path.iterdir()):
        if {question.split for question in load_dataset(pile).questions} == {REPORTING}:
            for row in evaluate_dataset(pile, CONFIG, with_ladder=False).rows:
                scores = {metric: score for metric, score in row["scores"].items() if metric in PUBLISHED[READING]}
                yield {"set": READING, **{part: row[part] for part in ("id", "split", "kind")}, "document": f"{pile.name}/{row['document']}", "scores": scores,
                       "style": "", "fusion": [], "chunking": []}


def kept_rows(about: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the last run. Ends the program if they are of another config or of other arms."""
    path = REPORTS / "quality.jsonl"
    if not path.is_file() or json.loads(path.read_text("utf-8").splitlines()[0])["about"] != about:
        raise SystemExit("reports/quality.jsonl holds no rows of this config: measure all sets")
    return read_rows(REPORTS, "quality")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="folder with xquad/ and chunking/")
    parser.add_argument("--only", action="append", choices=[*FUSED, READING],
                        help="measure this set and keep the rows of the others, which must be of the same config; may be repeated")
    given = parser.parse_args()
    paths = {"xquad": given.bench / "xquad" / "xquad.en.json", "chunking": given.bench / "chunking", "sample": SAMPLE, READING: SAMPLE.parent / READING}
    about = {"config": CONFIG.fingerprint, "weight": CONFIG.retrieval.vector_weight, "weights": WEIGHTS,
             "chunkings": [{"strategy": one.strategy, "size": one.size, "overlap": one.overlap} for one in CHUNKINGS]}
    kept = kept_rows(about) if given.only else []
    rows = [row for name, path in paths.items() for row in (rows_of(name, path) if name in (given.only or paths) else (row for row in kept if row["set"] == name))]
    result = write_benchmark(REPORTS, "quality", about, rows)
    table = Table("measure", "target", "measured", "met", "note", box=None)
    for line in result["rows"]:
        table.add_row(line["measure"], line["target"], line["measured"], "yes" if line["met"] else "NO", line["note"])
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
