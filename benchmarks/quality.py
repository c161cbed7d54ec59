"""Measure answer quality on the local default against its targets and write reports/quality.json.

    python -m benchmarks.quality --bench ../shared/bench      (make quality BENCH=../shared/bench)
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import REPORTS, SAMPLE
from ragwb.answering.pipeline import Pipeline
from ragwb.config import ChunkingConfig, PipelineConfig
from ragwb.evaluation.benchmark import evaluate_dataset, index_dataset
from ragwb.evaluation.datasets import anchor_questions, load_dataset
from ragwb.evaluation.evaluate import Evaluation, evaluate
from ragwb.indexing.embedding import embedder

REPORT = REPORTS / "quality.json"
Row = dict[str, Any]


def shown(evaluation: Evaluation, metric: str) -> str:
    """A metric with its interval."""
    found = evaluation.metrics[metric]
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def row(measure: str, target: str, evaluation: Evaluation, metric: str, met: Callable[[float], bool], note: str = "") -> Row:
    """One line of the table."""
    value = evaluation.metrics[metric].value
    return {"measure": measure, "target": target, "measured": shown(evaluation, metric), "met": bool(met(value)), "note": note}


def by_style(evaluation: Evaluation, styles: dict[str, str], metric: str, style: str) -> str:
    """A metric's mean over the questions of one style, of the held-out split."""
    values = [float(line["scores"][metric]) for line in evaluation.rows if styles.get(line["id"]) == style and line["split"] == "test" and metric in line["scores"]]
    return f"{np.mean(values):.3f} (n = {len(values)})" if values else "–"


def better_leg(evaluation: Evaluation, metric: str, vector: Evaluation) -> tuple[float, float, float]:
    """Hybrid, BM25 alone, vectors alone."""
    return evaluation.metrics[metric].value, evaluation.ladder["bm25"][metric], vector.metrics[metric].value


def legs_row(name: str, metric: str, hybrid: Evaluation, vector: Evaluation) -> Row:
    """Whether the hybrid is at least as good as its better leg."""
    fused, bm25, alone = better_leg(hybrid, metric, vector)
    return {"measure": f"{name}: hybrid not worse than its better leg, {metric}", "target": "≥ both legs", "measured": f"{fused:.3f} (BM25 {bm25:.3f}, vectors {alone:.3f})",
            "met": bool(fused >= max(bm25, alone)), "note": ""}


def chunking_table(bench: Path, config: PipelineConfig) -> list[Row]:
    """Strategies of chunking beside each other on the chunking set and the sample questions (retrieval only)."""
    tried = [ChunkingConfig("tokens", 300), ChunkingConfig("tokens", 400), *(ChunkingConfig(name, size) for name in ("recursive", "sentences") for size in (800, 1_000, 1_400)),
             ChunkingConfig("sentences", 1_400, 200), ChunkingConfig("headings", 1_400), ChunkingConfig("semantic", 1_400), ChunkingConfig("parents", 400)]
    lines = []
    for chunking in tried:
        found = [evaluate_dataset(path, replace(config, chunking=chunking), with_ladder=False, answers=False) for path in (bench / "chunking", SAMPLE)]
        lines.append({"strategy": chunking.strategy, "size": chunking.size, "overlap": chunking.overlap} | {
            f"{name} {metric}": round(one.metrics[f"evidence_{metric}@5"].value, 4)
            for name, one in zip(("chunking", "sample"), found, strict=True) for metric in ("recall", "iou")})
    return lines


def fusion_table(bench: Path, config: PipelineConfig) -> list[Row]:
    """Ranking and evidence under each weight of the vector leg, from BM25 alone to vectors alone."""
    lines: dict[float, Row] = {weight: {"weight": weight} for weight in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)}
    sets = (("xquad nDCG@10", bench / "xquad" / "xquad.en.json", "ndcg@10"), ("chunking recall", bench / "chunking", "evidence_recall@5"),
            ("sample recall", SAMPLE, "evidence_recall@5"))
    for name, path, metric in sets:
        dataset, model = load_dataset(path), embedder(config.embedder, None)
        with tempfile.TemporaryDirectory() as home:
            collection = index_dataset(dataset, config, Path(home), None, None)
            texts = {id: collection.document(id).text for id in dataset.documents}
            anchored = anchor_questions(dataset, texts)
            for weight, line in lines.items():
                pipeline = Pipeline(collection, replace(config, retrieval=replace(config.retrieval, vector_weight=weight)), model)
                line[name] = round(evaluate(anchored, pipeline, texts, answers=False).metrics[metric].value, 4)
    return list(lines.values())


def measure(bench: Path) -> dict[str, Any]:
    """Every row of the table of targets, and the tables behind it."""
    config = PipelineConfig()
    vectors_only = replace(config, retrieval=replace(config.retrieval, vector_weight=1.0))
    xquad = evaluate_dataset(bench / "xquad" / "xquad.en.json", config)
    chunking = evaluate_dataset(bench / "chunking", config)
    sample = evaluate_dataset(SAMPLE, config)
    held_out = evaluate_dataset(SAMPLE, config, split="test")
    vector = [evaluate_dataset(path, vectors_only, with_ladder=False, answers=False) for path in (bench / "xquad" / "xquad.en.json", bench / "chunking", SAMPLE)]
    styles = {line["id"]: line.get("style", "") for line in map(json.loads, (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines())}
    citations = min(one.metrics["citation_precision"].value for one in (xquad, chunking, sample))
    recall, iou = chunking.metrics["evidence_recall@5"].value, chunking.metrics["evidence_iou@5"].value
    rows: Sequence[Row] = [
        row("xquad paragraphs, nDCG@10, hybrid", "≥ .967", xquad, "ndcg@10", lambda v: v >= 0.967),
        row("xquad, gold answer inside at most two cited sentences", "≥ .87", xquad, "answer_contained", lambda v: v >= 0.87),
        {"measure": "chunking set, evidence recall at 5 chunks, with IoU", "target": "≥ .90, ≥ .05",
         "measured": ", ".join(shown(chunking, f"evidence_{metric}@5") for metric in ("recall", "iou")),
         "met": recall >= 0.90 and iou >= 0.05, "note": "counted in characters"},
        row("sample questions, held-out half: right evidence cited", "≥ .85", held_out, "evidence_cited", lambda v: v >= 0.85,
            f"plain wording {by_style(sample, styles, 'evidence_cited', 'plain')}, "
            f"far paraphrases {by_style(sample, styles, 'evidence_cited', 'paraphrase')}: a model without a transformer does not know that wages are salaries"),
        row("sample questions, held-out half: unanswerable refused", "≥ .90", held_out, "unanswerable_refused", lambda v: v >= 0.90,
            f"off topic {by_style(sample, styles, 'unanswerable_refused', 'off topic')}, "
            f"near misses {by_style(sample, styles, 'unanswerable_refused', 'near miss')}: the passages speak of the right thing, only not of what is asked"),
        row("sample questions, held-out half: answerable wrongly refused", "≤ .05", held_out, "answerable_refused", lambda v: v <= 0.05),
        {"measure": "citations whose quote equals its span, all three sets", "target": "1.000", "measured": f"{citations:.3f}", "met": citations == 1.0, "note": ""},
        legs_row("xquad", "ndcg@10", xquad, vector[0]),
        legs_row("chunking set", "evidence_recall@5", chunking, vector[1]),
        legs_row("sample questions", "evidence_recall@5", sample, vector[2]),
    ]
    return {"config": config.fingerprint, "rows": rows, "ladder": {one.dataset: one.ladder for one in (xquad, chunking, sample)},
            "chunking": chunking_table(bench, config), "fusion": fusion_table(bench, config),
            "kinds": {kind: {metric: round(found.value, 4) for metric, found in metrics.items()} for kind, metrics in sample.by_kind().items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="folder with xquad/ and chunking/")
    result = measure(parser.parse_args().bench)
    REPORT.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    table = Table("measure", "target", "measured", "met", "note", box=None)
    for line in result["rows"]:
        table.add_row(line["measure"], line["target"], line["measured"], "yes" if line["met"] else "NO", line["note"])
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
