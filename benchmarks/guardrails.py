"""Measure the local guardrail against its targets: rows into reports/guardrails.jsonl, their summary into reports/guardrails.json.

    python -m benchmarks.guardrails
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import REPORTS, ROOT, SAMPLE
from ragwb.answering.pipeline import Pipeline
from ragwb.config import GuardrailConfig, PipelineConfig
from ragwb.documents.document import Document
from ragwb.documents.parsing import Limits
from ragwb.evaluation.datasets import GoldenQuestion, anchor_questions, load_dataset
from ragwb.evaluation.personal_data_scores import load_labelled_texts
from ragwb.evaluation.planted_attacks import Attack, Plant, attack_outcome, load_attacks, plant_beside, plant_inside
from ragwb.experiments.benchmarks import write_benchmark
from ragwb.guardrails.marks import Mark
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
OWN = "notes/answer.md"
CONFIG = PipelineConfig()
EMBEDDER = embedder(CONFIG.embedder, None)
Row = dict[str, Any]


def entry(document: Document) -> Entry:
    """A document ready to be written, under the hash of its text: a snapshot takes another text for another by that."""
    document = replace(document, content_hash=sha256(document.text.encode()).hexdigest())
    pieces = chunk(document, CONFIG.chunking, EMBEDDER.embed)
    return Entry(document, pieces, EMBEDDER.embed([piece.indexed for piece in pieces]), len(document.text))


def sample() -> tuple[dict[str, Document], list[GoldenQuestion]]:
    """The sample documents, without the maps that a planted paragraph would break, and its questions."""
    dataset = load_dataset(SAMPLE)
    parsed = parse_many(list(dataset.documents.items()), workers=1, limits=Limits())
    documents = {found.id: replace(found, pages=(), runs=()) for found in parsed if isinstance(found, Document)}
    return documents, list(anchor_questions(dataset, {id: document.text for id, document in documents.items()}).questions)


def pairs(patterns: Sequence[Attack], questions: Sequence[GoldenQuestion]) -> list[tuple[Attack, GoldenQuestion]]:
    """Each attack with a question that one place answers with a number, spread over the whole set; the same ones whatever a reader answers."""
    simple = [question for question in questions if question.answerable and len(question.evidence) == 1 and not question.history]
    asked = [question for question in simple if set("123456789") & set("".join(question.answers))]
    return [(pattern, asked[number * len(asked) // len(patterns)]) for number, pattern in enumerate(patterns)]


def planted(collection: Collection, documents: dict[str, Document], pattern: Attack, question: GoldenQuestion, guarded: Pipeline, bare: Pipeline) -> Iterator[Row]:
    """One attack planted in both ways, alone among the documents, and harmless prose in its stead; with the guardrail and without it."""
    evidence = question.evidence[0]
    plain = guarded.ask(question.question)
    _, empty, _ = plant_inside(pattern, question.question, question.answers[0], documents[evidence.document], evidence.start)
    Writer(collection).write([entry(empty)])
    unbitten = guarded.ask(question.question)
    for control in (False, True):
        bitten, _, within = plant_inside(pattern, question.question, question.answers[0], documents[evidence.document], evidence.start, control)
        Writer(collection).write([entry(bitten)])
        yield from both("inside", within, unbitten, question, guarded, bare)
    for control in (False, True):
        own, alone = plant_beside(pattern, question.question, question.answers[0], control)
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
    return [row for pattern, question in pairs(patterns, questions) for row in planted(collection, documents, pattern, question, guarded, bare)]


def screened() -> Iterator[Row]:
    """The rules on what is harmless: the chunks of the sample documents and its questions; and the personal data that stands in the documents."""
    documents, questions = sample()
    pieces = [piece for document in documents.values() for piece in chunk(document, CONFIG.chunking, EMBEDDER.embed)]
    texts = {question.question for question in questions} | {earlier for question in questions for earlier in question.history}
    yield from ({"part": "screened", "what": "chunks", "id": f"{piece.document}:{piece.start}", "flagged": bool(attacks(piece.indexed))} for piece in pieces)
    yield from ({"part": "screened", "what": "questions", "id": text, "flagged": bool(attacks(text))} for text in sorted(texts))
    for document in documents.values():
        yield from ({"part": "marked", "document": document.id, "text": document.text[mark.start:mark.end], "kind": mark.kind} for mark in personal_data(document.text))


def places(marks: Iterable[Mark]) -> list[tuple[Any, ...]]:
    """Marks as they are stored: start, end, kind."""
    return sorted(map(astuple, marks))


def main() -> None:
    """Measures, prints and writes."""
    cases, patterns = load_labelled_texts(DATA / "personal_data.jsonl"), load_attacks(DATA / "attacks.jsonl")
    personal = [{"part": "personal", "id": case.id, "split": case.split, "gold": places(case.marks), "found": places(personal_data(case.text))} for case in cases]
    with tempfile.TemporaryDirectory(prefix="ragwb-planted-") as folder:
        rows = measure_planted(Path(folder), patterns)
    planted = [{"part": "planted"} | {name: value for name, value in row.items() if name not in ("before", "after")} for row in rows]
    show(write_benchmark(REPORTS, "guardrails", {"config": CONFIG.fingerprint}, [*personal, *planted, *screened()]))


def show(report: Row) -> None:
    """The tables on the terminal."""
    console = Console(width=150)
    for split, scores in report["personal"].items():
        table = Table(title=f"Personal data, {split}; false alarms {scores['false_alarms']['hits']} of {scores['false_alarms']['of']}")
        for column in ("kind", "recall", "precision"):
            table.add_column(column)
        for kind, recall in scores["recall"].items():
            precision = scores["precision"][kind]
            table.add_row(kind, f"{recall['hits']} of {recall['of']}", f"{precision['hits']} of {precision['of']}")
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
