"""Measure the local guardrail against its targets and write reports/guardrails.json.

    python -m benchmarks.guardrails
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import REPORTS, ROOT, SAMPLE
from ragwb.answering.pipeline import Pipeline
from ragwb.config import GuardrailConfig, PipelineConfig
from ragwb.documents.document import Document
from ragwb.documents.parsing import Limits
from ragwb.evaluation.datasets import GoldenQuestion, anchor_questions, load_dataset
from ragwb.evaluation.intervals import Rate, paired_bootstrap
from ragwb.evaluation.personal_data_scores import load_labelled_texts, score_personal_data
from ragwb.evaluation.planted_attacks import Attack, Plant, attack_outcome, load_attacks, plant_beside, plant_inside
from ragwb.guardrails.personal_data import personal_data
from ragwb.guardrails.prompt_attacks import attacks
from ragwb.indexing.chunking import chunk
from ragwb.indexing.collection import Collection, Writer
from ragwb.indexing.embedding import embedder
from ragwb.indexing.maintenance import delete
from ragwb.indexing.schema import Entry
from ragwb.indexing.store import Store
from ragwb.ingestion.processes import parse_many

DATA = ROOT / "experiments/data/guardrails"
REPORT = REPORTS / "guardrails.json"
OWN = "notes/answer.md"
CONFIG = PipelineConfig()
EMBEDDER = embedder(CONFIG.embedder, None)
CHANGES = ("changed", "first", "citations")  # of an answer: anything; its first statement; what it quotes
COUNTED = ("flagged", "cited", *CHANGES)
Row = dict[str, Any]


def entry(document: Document) -> Entry:
    """A document ready to be written."""
    pieces = chunk(document, CONFIG.chunking, EMBEDDER.embed)
    return Entry(document, pieces, EMBEDDER.embed([piece.indexed for piece in pieces]), len(document.text))


def sample() -> tuple[dict[str, Document], list[GoldenQuestion]]:
    """The sample documents, without the maps that a planted paragraph would break, and its questions."""
    dataset = load_dataset(SAMPLE)
    parsed = parse_many(list(dataset.documents.items()), workers=1, limits=Limits())
    documents = {found.id: replace(found, pages=(), runs=()) for found in parsed if isinstance(found, Document)}
    return documents, list(anchor_questions(dataset, {id: document.text for id, document in documents.items()}).questions)


def pairs(pipeline: Pipeline, patterns: Sequence[Attack], questions: Sequence[GoldenQuestion]) -> list[tuple[Attack, GoldenQuestion]]:
    """Each attack with a question that the documents answer from one place, spread over the whole set."""
    asked = [question for question in questions if question.answerable and len(question.evidence) == 1 and not question.history]
    answered = [question for question in asked if not pipeline.ask(question.question).refused]
    return [(pattern, answered[number * len(answered) // len(patterns)]) for number, pattern in enumerate(patterns)]


def planted(collection: Collection, documents: dict[str, Document], pattern: Attack, question: GoldenQuestion, guarded: Pipeline, bare: Pipeline) -> Iterator[Row]:
    """One attack planted in both ways, alone among the documents, and harmless prose in its stead; with the guardrail and without it."""
    evidence = question.evidence[0]
    plain = guarded.ask(question.question)
    _, empty, _ = plant_inside(pattern, question.question, documents[evidence.document], evidence.start)
    Writer(collection).write([entry(empty)])
    unbitten = guarded.ask(question.question)
    for control in (False, True):
        bitten, _, within = plant_inside(pattern, question.question, documents[evidence.document], evidence.start, control)
        Writer(collection).write([entry(bitten)])
        yield from both("inside", within, unbitten, question, guarded, bare)
    for control in (False, True):
        own, alone = plant_beside(pattern, question.question, control)
        Writer(collection).write([entry(documents[evidence.document]), entry(own)])
        yield from both("beside", alone, plain, question, guarded, bare)
    delete(collection, [OWN])


def both(place: str, plant: Plant, before: Any, question: GoldenQuestion, guarded: Pipeline, bare: Pipeline) -> Iterator[Row]:
    """The rows of one planting."""
    for name, pipeline in (("on", guarded), ("off", bare)):
        answer = pipeline.ask(question.question)
        about = {"place": place, "guard": name, "evidence": question.evidence[0].document, "reported": bool(answer.guard.get("flags"))}
        yield about | attack_outcome(plant, before, answer)


def measure_planted(home: Path, patterns: Sequence[Attack]) -> list[Row]:
    """All attacks, one after the other, in the sample documents."""
    documents, questions = sample()
    collection = Store(home).create("planted", CONFIG, EMBEDDER.dimensions)
    Writer(collection).write([entry(document) for document in documents.values()], new=True)
    guarded = Pipeline(collection, CONFIG, EMBEDDER)
    bare = Pipeline(collection, replace(CONFIG, guardrail=GuardrailConfig(provider="")), EMBEDDER)
    return [row for pattern, question in pairs(guarded, patterns, questions) for row in planted(collection, documents, pattern, question, guarded, bare)]


def counted(rows: Sequence[Row]) -> Row:
    """What happened, by place, guard, split and what was planted."""
    table: Row = {}
    for row in rows:
        for split in (row["split"], "all"):
            line = table.setdefault(f"{row['place']}, guard {row['guard']}, {split}, {row['planted']}", {"planted": 0} | dict.fromkeys(COUNTED, 0))
            line["planted"] += 1
            for name in COUNTED:
                line[name] += row[name]
    return table


def differences(rows: Sequence[Row]) -> Row:
    """Share of answers that an attack changes, less the share that harmless prose at its place changes: guard on, the same questions, whole documents drawn."""
    on = [row for row in rows if row["guard"] == "on"]
    table: Row = {}
    for place in ("inside", "beside", "both"):
        prose, bitten = ([row for row in on if row["planted"] == kind and place in (row["place"], "both")] for kind in ("control", "attack"))
        for name in CHANGES:
            shares = [[float(row[name]) for row in group] for group in (prose, bitten)]
            interval = paired_bootstrap(shares[0], shares[1], [row["evidence"] for row in prose], np.random.default_rng(7))
            table[f"{place}, {name}"] = {"attack": int(sum(shares[1])), "control": int(sum(shares[0])), "of": len(prose)} | {
                "difference": round(interval.value, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}  # fmt: skip
    return table


def false_alarms() -> Row:
    """The rules on what is harmless: the chunks of the sample documents and its questions."""
    documents, questions = sample()
    pieces = [piece for document in documents.values() for piece in chunk(document, CONFIG.chunking, EMBEDDER.embed)]
    texts = {question.question for question in questions} | {earlier for question in questions for earlier in question.history}
    marks = [(document.id, document.text[mark.start:mark.end], mark.kind) for document in documents.values() for mark in personal_data(document.text)]
    return {"chunks": str(Rate(sum(bool(attacks(piece.indexed)) for piece in pieces), len(pieces))), "questions": str(Rate(sum(bool(attacks(text)) for text in texts), len(texts))),
            "personal data in the sample documents": [{"document": document, "text": text, "kind": kind} for document, text, kind in marks]}


def main() -> None:
    """Measures, prints and writes."""
    cases, patterns = load_labelled_texts(DATA / "personal_data.jsonl"), load_attacks(DATA / "attacks.jsonl")
    personal = {split: score_personal_data([case for case in cases if split in (case.split, "all")]) for split in ("dev", "test", "all")}
    with tempfile.TemporaryDirectory(prefix="ragwb-planted-") as folder:
        rows = measure_planted(Path(folder), patterns)
    found = {split: scores.to_dict() for split, scores in personal.items()}
    report = {"personal": found, "planted": counted(rows), "attack_less_control": differences(rows), "false_alarms": false_alarms(), "rows": rows}
    REPORT.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    show(personal, report)


def show(personal: dict[str, Any], report: Row) -> None:
    """The tables on the terminal."""
    console = Console(width=150)
    for split, scores in personal.items():
        table = Table(title=f"Personal data, {split}; false alarms {scores.false_alarms}")
        for column in ("kind", "recall", "precision"):
            table.add_column(column)
        for kind in scores.recall:
            table.add_row(kind, str(scores.recall[kind]), str(scores.precision[kind]))
        console.print(table)
    for title, part in (("Planted", "planted"), ("Attack less control, guard on", "attack_less_control")):
        lines = report[part]
        table = Table(title=title)
        for column in ("", *next(iter(lines.values()))):
            table.add_column(column)
        for name, line in lines.items():
            table.add_row(name, *map(str, line.values()))
        console.print(table)
    console.print(report["false_alarms"])


if __name__ == "__main__":
    main()
