"""Train the two small linear models of the local chat model: which sentence answers, and whether it does.

Usage: python experiments/data/train_extractive.py

Learns on the half dev of the sample questions, as they are and in the other words of experiments/data/cache/sample_paraphrases.jsonl, and on the twelve piles
of experiments/data/reading whose questions are of that half, each pile an index of its own. Prints, to one decimal, the weights that
nbs/07_generation/06_sentence_ranking.ipynb (WEIGHTS) and 11_extractive.ipynb (TRUST, TRUST_BIAS) hold. When not to answer is learned from three kinds of
questions: those that no document answers, those whose evidence is taken away from what was found, and those that ask for something else with nearly the same
words (`trap`). The same questions, documents and code give the same weights; tests/test_choices.py compares them.
What they reach is measured on the half test: `ragwb eval experiments/data/sample --split test`, and the four piles of that half.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ragwb.answering.passages import prompt_passages
from ragwb.answering.pipeline import Pipeline
from ragwb.config import PipelineConfig
from ragwb.documents.document import Span
from ragwb.evaluation.benchmark import index_dataset
from ragwb.evaluation.datasets import CHOOSING, Dataset, GoldenQuestion, anchor_questions, for_choosing, load_dataset, with_split
from ragwb.evaluation.metrics import is_evidence
from ragwb.generation.extractive import Evidence, evidence, readings, select_sentences
from ragwb.generation.fit import about, candidates
from ragwb.generation.instructions import plain_how
from ragwb.generation.models import standalone_by_rule
from ragwb.generation.prompts import Passage
from ragwb.generation.sentence_ranking import WEIGHTS, Features, PromptPassage, RankedSentence, ranking
from ragwb.indexing.embedding import embedder

SAMPLE = Path(__file__).resolve().parent / "sample"
READING = SAMPLE.parent / "reading"
PARAPHRASES = Path(__file__).resolve().parent / "cache" / "sample_paraphrases.jsonl"
NAMES = [field.name for field in fields(Features)]
TRUST_NAMES = [field.name for field in fields(Evidence)]
MADE, SILENCED = 0.5, 0.1  # what a question in other words counts, and one that is not answered: few of the questions that people ask are
PILED = 0.3                # and one of the piles, which are harder than what most people ask: by cross-validation over both, better for both than none or all


@dataclass
class Example:
    """One question with the passages that the local model reads."""

    query: str
    passages: list[Passage]
    evidence: tuple[Span, ...]
    weight: float = 1.0
    trap: bool = False  # it asks for something else than what the evidence says

    @property
    def given(self) -> list[PromptPassage]:
        """The passages as the model takes them."""
        return about(self.query, [PromptPassage(p.number, p.place, p.text, p.relevance) for p in self.passages])

    def holds(self, one: RankedSentence) -> bool:
        """Whether a statement is evidence."""
        passage = next(passage for passage in self.passages if passage.number == one.passage)
        start = passage.start + one.start
        return any(is_evidence(Span(passage.document, start, start + len(one.text)), span) for span in self.evidence)

    def silenced(self) -> Example | None:
        """The same question without the passages that hold evidence; None if there are no others, or none that do."""
        left = [p for p in self.passages if not any(Span(p.document, p.start, p.end).overlap(span) for span in self.evidence)]
        if not 0 < len(left) < len(self.passages):
            return None
        best = max(p.relevance for p in left)  # the best of what is left is the best passage now: else its relevance would tell what was taken away
        return replace(self, passages=[replace(p, relevance=p.relevance / best) for p in left], evidence=(), weight=SILENCED * self.weight)


def asked(question: GoldenQuestion, wordings: dict[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """The wordings of a question, with their weight and whether each asks for something else."""
    yield standalone_by_rule(question.question, question.history), 1.0, False
    if question.history or question.id not in wordings:
        return
    for paraphrase in wordings[question.id]["paraphrases"][::2]:  # the terse one and the plain one
        yield str(paraphrase), MADE, False
    if len({span.document for span in question.evidence}) == 1:  # of two documents one may answer it
        yield str(wordings[question.id]["trap"]), SILENCED, True


def seen(dataset: Dataset, wordings: dict[str, Any], share: float = 1.0) -> Iterator[Example]:
    """The questions of a data set as the local model sees them."""
    config = PipelineConfig()
    with tempfile.TemporaryDirectory() as home:
        collection = index_dataset(dataset, config, Path(home), None, None)
        pipeline = Pipeline(collection, config, embedder(config.embedder, None))
        reader = pipeline.index.reader(pipeline.index.searcher.version)
        for question in anchor_questions(dataset, {id: collection.document(id).text for id in dataset.documents}).questions:
            for query, weight, trap in asked(question, wordings):
                passages = prompt_passages(reader, pipeline.retrieve(query), config.context_tokens)
                yield Example(query, passages, tuple(question.evidence), share * weight, trap)


def piles(half: str) -> Iterator[Dataset]:
    """The piles of documents whose questions are of a half."""
    for folder in sorted(READING.iterdir()):
        dataset = load_dataset(folder)
        if {question.split for question in dataset.questions} == {half}:
            yield dataset


def examples() -> Iterator[Example]:
    """The questions to choose on."""
    wordings = {line["id"]: line for line in map(json.loads, PARAPHRASES.read_text("utf-8").splitlines()) if line["split"] == CHOOSING}
    yield from seen(for_choosing(with_split(load_dataset(SAMPLE), CHOOSING)), wordings)
    for pile in piles(CHOOSING):
        yield from seen(for_choosing(pile), {}, PILED)


def descend(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], size: int) -> np.ndarray:
    """The weights of the least loss."""
    return np.asarray(minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B").x)


def train_ranking(train: Sequence[Example], l2: float = 3e-3) -> np.ndarray:
    """Weights by which the sentences with evidence come first: softmax over the sentences of each question."""
    rows, rights, weights = [], [], []
    for one in train:
        found = candidates(one.query, one.given) if not one.trap else []
        right = np.array([one.holds(sentence) for sentence in found], bool)
        if right.any():
            rows.append(np.array([astuple(sentence.features) for sentence in found]))
            rights.append(right)
            weights.append(one.weight)
    features, right, weight = np.concatenate(rows), np.concatenate(rights), np.array(weights)
    scale = features.std(axis=0) + 1e-9
    features = features / scale
    sizes = [len(group) for group in rights]
    first = np.cumsum([0, *sizes[:-1]])
    of = np.repeat(np.arange(len(sizes)), sizes)

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ found
        odds = np.exp(scores - np.maximum.reduceat(scores, first)[of])
        total, good = np.add.reduceat(odds, first), np.add.reduceat(odds * right, first)
        value = -(weight * np.log(good / total + 1e-12)).sum() / weight.sum() + l2 * (found @ found)
        slope = features.T @ (weight[of] * (odds / total[of] - odds * right / (good[of] + 1e-30))) / weight.sum() + 2 * l2 * found
        return float(value), slope

    return np.round(descend(loss, features.shape[1]) / scale, 1)


def trust_rows(train: Sequence[Example]) -> Iterator[tuple[tuple[float, ...], bool, float]]:
    """Features, whether what is said is evidence, and weight of every question that something is found for."""
    for one in (other for example in train for other in (example, None if example.trap else example.silenced()) if other):
        question, given = plain_how(one.query), one.given
        found = readings(question, given)
        said = select_sentences(found, PipelineConfig.max_sentences)
        right = any(map(one.holds, said))
        if found and (right or not one.trap):  # another answer than the evidence may be right for a trap
            yield astuple(evidence(question, given, found)), right and not one.trap, one.weight


def train_trust(train: Sequence[Example], l2: float = 2e-3) -> tuple[np.ndarray, float]:
    """Weights and bias of the probability that what is said holds evidence: logistic regression."""
    found_rows, rights, weights = zip(*trust_rows(train), strict=True)
    rows, sign, weight = np.array(found_rows), np.where(rights, 1.0, -1.0), np.array(weights)
    scale = rows.std(axis=0) + 1e-9
    inputs = np.c_[rows / scale, np.ones(len(rows))]

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (inputs @ found)
        value = (weight * np.logaddexp(0, -margin)).sum() / weight.sum() + l2 * (found[:-1] @ found[:-1])
        slope = -inputs.T @ (weight * sign / (1 + np.exp(margin))) / weight.sum() + 2 * l2 * np.r_[found[:-1], 0]
        return float(value), slope

    found = descend(loss, inputs.shape[1])
    return np.round(found[:-1] / scale, 2), round(float(found[-1]), 1)


def trained(train: Sequence[Example]) -> tuple[dict[str, float], dict[str, float], float]:
    """WEIGHTS, TRUST and TRUST_BIAS; the second is learned from what the first ranks."""
    weights = dict(zip(NAMES, train_ranking(train).tolist(), strict=True))
    WEIGHTS.update(weights)
    ranking.cache_clear()
    trust, bias = train_trust(train)
    return weights, dict(zip(TRUST_NAMES, trust.tolist(), strict=True)), bias


def main() -> None:
    weights, trust, bias = trained(list(examples()))
    print(f"WEIGHTS = {weights}\nTRUST = {trust}\nTRUST_BIAS = {bias}")


if __name__ == "__main__":
    main()
