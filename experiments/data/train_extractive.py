"""Train the two small linear models of the local chat model: which sentence answers, and whether any does.

Usage: python experiments/data/train_extractive.py --bench ../shared/bench

Learns on one half of the sample questions (split dev), of XQuAD and of the chunking set (every second question), and judges on the other half.
Prints the weights that nbs/07_generation/05_sentence_ranking.ipynb (WEIGHTS) and 06_extractive.ipynb (TRUST, TRUST_BIAS) hold, what they reach, and the refusal curve.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ragwb.answering.passages import prompt_passages
from ragwb.answering.pipeline import Pipeline
from ragwb.config import PipelineConfig
from ragwb.documents.document import Span
from ragwb.evaluation.benchmark import index_dataset
from ragwb.evaluation.datasets import GoldenQuestion, anchor_questions, load_dataset
from ragwb.evaluation.metrics import is_evidence
from ragwb.generation.extractive import Evidence, evidence
from ragwb.generation.models import standalone_by_rule
from ragwb.generation.sentence_ranking import Features, PromptPassage, rank_sentences
from ragwb.indexing.embedding import embedder

SAMPLE = Path(__file__).resolve().parent / "sample"
NAMES = [field.name for field in fields(Features)]
TRUST_NAMES = [field.name for field in fields(Evidence)]


@dataclass
class Example:
    """One question with the sentences that it may be answered with."""

    dataset: str
    half: str              # dev or test
    answerable: bool
    kind: str
    style: str
    features: np.ndarray   # (sentences, features), best first by the present model
    right: np.ndarray      # which sentences overlap the evidence
    trust: np.ndarray      # the evidence features of the whole
    found: list[set[int]]  # for each piece of evidence, the sentences that overlap it
    unanswered: np.ndarray | None = None  # the evidence features with the evidence's documents taken away


def evidence_of(question: GoldenQuestion, texts: dict[str, str]) -> list[Span]:
    """The spans that answer: marked evidence, or the answer itself in its SQuAD paragraph."""
    if question.evidence:
        return list(question.evidence)
    spans = []
    for document in question.relevance:
        at = next((texts[document].find(answer) for answer in question.answers if answer in texts[document]), -1)
        if at >= 0:
            spans.append(Span(document, at, at + len(question.answers[0])))
    return spans[:1]


def example(pipeline: Pipeline, question: GoldenQuestion, half: str, dataset: str, style: str, texts: dict[str, str]) -> Example | None:
    """What the local model sees of a question; None if nothing is found for it."""
    query = standalone_by_rule(question.question, question.history)
    hits = pipeline.retrieve(query)
    passages = prompt_passages(pipeline.index.reader(pipeline.index.searcher.version), hits, pipeline.config.context_tokens)
    given = [PromptPassage(p.number, p.place, p.text, p.relevance) for p in passages]
    ranked = rank_sentences(query, given)
    if not ranked:
        return None
    gold = evidence_of(question, texts) if question.answerable else []
    places = []
    for candidate in ranked:
        passage = passages[candidate.passage - 1]
        start = passage.start + passage.text.find(candidate.text)
        places.append(Span(passage.document, start, start + len(candidate.text)))
    found = [{i for i, place in enumerate(places) if is_evidence(place, span)} for span in gold]
    right = np.zeros(len(ranked), bool)
    right[[i for group in found for i in group]] = True
    without = None
    if dataset == "xquad":
        left = [hit for hit in pipeline.retrieve(query, 12) if hit.document not in {span.document for span in gold}][:5]
        others = [PromptPassage(n, hit.chunk.context, hit.chunk.text, hit.score / left[0].score) for n, hit in enumerate(left, start=1)]
        if rest := rank_sentences(query, others):
            without = np.array(astuple(evidence(query, others, rest[0])))
    return Example(dataset, half, question.answerable, question.kind, style, np.array([astuple(c.features) for c in ranked]), right,
                   np.array(astuple(evidence(query, given, ranked[0]))), found, without)


def examples(name: str, path: Path) -> list[Example]:
    """A data set's questions as the local model sees them."""
    dataset = load_dataset(path)
    rows = path / "questions.jsonl" if path.is_dir() else path
    styles = {row["id"]: row.get("style", "") for row in map(json.loads, rows.read_text("utf-8").splitlines())} if rows.suffix == ".jsonl" and rows.is_file() else {}
    config = PipelineConfig()
    with tempfile.TemporaryDirectory() as home:
        collection = index_dataset(dataset, config, Path(home), None, None)
        texts = {id: collection.document(id).text for id in dataset.documents}
        pipeline = Pipeline(collection, config, embedder(config.embedder, None))
        questions = anchor_questions(dataset, texts).questions
        halves = [question.split or ("dev" if number % 2 else "test") for number, question in enumerate(questions)]
        made = [example(pipeline, q, half, name, styles.get(q.id, ""), texts) for q, half in zip(questions, halves, strict=True)]
    return [one for one in made if one is not None]


def descend(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], size: int) -> np.ndarray:
    """The weights of the least loss."""
    return np.asarray(minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B").x)


def train_ranking(train: Sequence[Example], share: dict[str, float], l2: float = 1e-3) -> np.ndarray:
    """Weights by which the sentences with evidence come first: softmax over the sentences of each question."""
    usable = [one for one in train if one.right.any()]
    scale = np.concatenate([one.features for one in usable]).std(axis=0) + 1e-9
    features = np.concatenate([one.features for one in usable]) / scale
    sizes = [len(one.features) for one in usable]
    first = np.cumsum([0, *sizes[:-1]])
    of = np.repeat(np.arange(len(usable)), sizes)
    right = np.concatenate([one.right for one in usable])
    weight = np.array([share[one.dataset] for one in usable])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ weights
        odds = np.exp(scores - np.maximum.reduceat(scores, first)[of])
        total, good = np.add.reduceat(odds, first), np.add.reduceat(odds * right, first)
        value = -(weight * np.log(good / total + 1e-12)).sum() / weight.sum() + l2 * (weights @ weights)
        slope = features.T @ ((odds / total[of] - odds * right / (good[of] + 1e-30)) * weight[of]) / weight.sum() + 2 * l2 * weights
        return float(value), slope

    return descend(loss, features.shape[1]) / scale


def train_trust(rows: np.ndarray, answerable: np.ndarray, weight: np.ndarray, l2: float = 2e-3) -> tuple[np.ndarray, float]:
    """Weights and bias of the probability that the passages hold the answer: logistic regression."""
    scale = rows.std(axis=0) + 1e-9
    inputs = np.c_[rows / scale, np.ones(len(rows))]
    sign = np.where(answerable, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (inputs @ weights)
        value = (weight * np.logaddexp(0, -margin)).sum() / weight.sum() + l2 * (weights[:-1] @ weights[:-1])
        slope = -inputs.T @ (weight * sign / (1 + np.exp(margin))) / weight.sum() + 2 * l2 * np.r_[weights[:-1], 0]
        return float(value), slope

    found = descend(loss, inputs.shape[1])
    return found[:-1] / scale, float(found[-1])


def cited(one: Example, weights: np.ndarray, most: int) -> bool:
    """Whether the best sentences cover every piece of evidence."""
    best = set(np.argsort(-(one.features @ weights), kind="stable")[:most].tolist())
    return bool(one.found) and all(best & group for group in one.found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="folder with xquad/ and chunking/")
    bench = parser.parse_args().bench
    every = [*examples("sample", SAMPLE), *examples("chunking", bench / "chunking"), *examples("xquad", bench / "xquad" / "xquad.en.json")]
    weights = train_ranking([one for one in every if one.half == "dev"], {"sample": 5.0, "chunking": 1.0, "xquad": 1.0})
    print("WEIGHTS =", {name: round(float(value), 2) for name, value in zip(NAMES, weights, strict=True)})
    for name in ("sample", "chunking", "xquad"):
        judged = [one for one in every if one.dataset == name and one.half == "test" and one.answerable]
        print(f"{name:9} held-out, evidence in the best 1, 2, 3:", *(f"{np.mean([cited(one, weights, most) for one in judged]):.3f}" for most in (1, 2, 3)))

    rows, answerable, weight, tests = [], [], [], []
    for one in every:
        share = {"sample": 1.0, "chunking": 0.1, "xquad": 0.05}[one.dataset]
        for row, good in [(one.trust, one.answerable), (one.unanswered, False)]:
            if row is not None:
                (rows if one.half == "dev" else tests).append((row, good, one))
                if one.half == "dev":
                    answerable.append(good)
                    weight.append(share * (1.0 if good else 3.0 if one.dataset == "sample" else 1.0))
    trust, bias = train_trust(np.array([row for row, _, _ in rows]), np.array(answerable), np.array(weight))
    print("TRUST =", {name: round(float(value), 2) for name, value in zip(TRUST_NAMES, trust, strict=True)}, "TRUST_BIAS =", round(bias, 2))

    def refused(threshold: float, kept: Callable[[bool, Example], bool], source: Sequence[tuple[np.ndarray, bool, Example]]) -> float:
        return float(np.mean([1 / (1 + np.exp(-(row @ trust + bias))) < threshold for row, good, one in source if kept(good, one)] or [np.nan]))

    for title, source in (("dev", rows), ("held-out", tests)):
        print(f"{title}: threshold, unanswerable refused, answerable refused (sample) | near miss, off topic, plain, paraphrase | xquad answerable refused, without its paragraph")
        for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
            of_sample = [refused(threshold, lambda good, one, wanted=wanted: good == wanted and one.dataset == "sample", source) for wanted in (False, True)]
            of_style = [refused(threshold, lambda good, one, style=style: one.style == style, source) for style in ("near miss", "off topic", "plain", "paraphrase")]
            of_xquad = [refused(threshold, lambda good, one, wanted=wanted: good == wanted and one.dataset == "xquad", source) for wanted in (True, False)]
            print(f"  {threshold:.1f} ", " | ".join("  ".join(f"{value:.3f}" for value in group) for group in (of_sample, of_style, of_xquad)))


if __name__ == "__main__":
    main()
