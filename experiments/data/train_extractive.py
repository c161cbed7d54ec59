"""Train the two small linear models of the local chat model: which sentence answers, and whether it does.

Usage: python experiments/data/train_extractive.py

Learns on the half dev of the sample questions alone and prints, to one decimal, the weights that nbs/07_generation/05_sentence_ranking.ipynb (WEIGHTS)
and 10_extractive.ipynb (TRUST, TRUST_BIAS) hold. The same questions, documents and code give the same weights; tests/test_choices.py compares them.
What they reach is measured on the half test: `ragwb eval experiments/data/sample --split test`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ragwb.answering.passages import prompt_passages
from ragwb.answering.pipeline import Pipeline
from ragwb.config import PipelineConfig
from ragwb.documents.document import Span
from ragwb.evaluation.benchmark import index_dataset
from ragwb.evaluation.datasets import CHOOSING, GoldenQuestion, anchor_questions, for_choosing, load_dataset, with_split
from ragwb.evaluation.metrics import is_evidence
from ragwb.generation.extractive import Evidence, evidence, select_sentences
from ragwb.generation.fit import about, candidates
from ragwb.generation.models import standalone_by_rule
from ragwb.generation.sentence_ranking import Features, PromptPassage, RankedSentence
from ragwb.indexing.embedding import embedder

SAMPLE = Path(__file__).resolve().parent / "sample"
NAMES = [field.name for field in fields(Features)]
TRUST_NAMES = [field.name for field in fields(Evidence)]


@dataclass
class Reading:
    """A question with the passages that the model reads, and their sentences."""

    query: str
    given: list[PromptPassage]
    ranked: list[RankedSentence]

    @property
    def features(self) -> np.ndarray:
        """One row a sentence."""
        return np.array([astuple(sentence.features) for sentence in self.ranked])

    def trust(self, weights: np.ndarray) -> np.ndarray:
        """The evidence that the passages hold the answer, when these weights rank the sentences."""
        return np.array(astuple(evidence(self.query, self.given, self.by(weights))))

    def by(self, weights: np.ndarray) -> list[RankedSentence]:
        """The sentences as these weights rank them, best first."""
        scores = self.features @ weights
        return [replace(self.ranked[at], score=float(scores[at])) for at in np.argsort(-scores, kind="stable")]


@dataclass
class Example:
    """One question as the local model sees it."""

    read: Reading
    right: np.ndarray        # which sentences are evidence

    def is_said(self, weights: np.ndarray) -> bool:
        """Whether what is said holds evidence."""
        said = {(one.passage, one.text) for one in select_sentences(self.read.by(weights), PipelineConfig.max_sentences)}
        return any(right and (one.passage, one.text) in said for one, right in zip(self.read.ranked, self.right, strict=True))


def example(pipeline: Pipeline, question: GoldenQuestion) -> Example | None:
    """What the local model sees of a question; None if nothing is found for it that can be a statement."""
    query = standalone_by_rule(question.question, question.history)
    passages = prompt_passages(pipeline.index.reader(pipeline.index.searcher.version), pipeline.retrieve(query), pipeline.config.context_tokens)
    given = about(query, [PromptPassage(p.number, p.place, p.text, p.relevance) for p in passages])
    found = candidates(query, given)
    if not found:
        return None
    ranked = found[0]
    places = []
    for candidate in ranked:
        passage = passages[candidate.passage - 1]
        start = passage.start + passage.text.find(candidate.text)
        places.append(Span(passage.document, start, start + len(candidate.text)))
    right = np.array([any(is_evidence(place, span) for span in question.evidence) for place in places])
    return Example(Reading(query, given, ranked), right)


def examples() -> Iterator[Example]:
    """The questions to choose on as the local model sees them."""
    dataset, config = for_choosing(with_split(load_dataset(SAMPLE), CHOOSING)), PipelineConfig()
    with tempfile.TemporaryDirectory() as home:
        collection = index_dataset(dataset, config, Path(home), None, None)
        pipeline = Pipeline(collection, config, embedder(config.embedder, None))
        for question in anchor_questions(dataset, {id: collection.document(id).text for id in dataset.documents}).questions:
            if (made := example(pipeline, question)) is not None:
                yield made


def descend(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], size: int) -> np.ndarray:
    """The weights of the least loss."""
    return np.asarray(minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B").x)


def train_ranking(train: Sequence[Example], l2: float = 3e-3) -> np.ndarray:
    """Weights by which the sentences with evidence come first: softmax over the sentences of each question."""
    usable = [one for one in train if one.right.any()]
    features = np.concatenate([one.read.features for one in usable])
    scale = features.std(axis=0) + 1e-9
    features = features / scale
    sizes = [len(one.right) for one in usable]
    first = np.cumsum([0, *sizes[:-1]])
    of = np.repeat(np.arange(len(usable)), sizes)
    right = np.concatenate([one.right for one in usable])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ weights
        odds = np.exp(scores - np.maximum.reduceat(scores, first)[of])
        total, good = np.add.reduceat(odds, first), np.add.reduceat(odds * right, first)
        value = -np.log(good / total + 1e-12).mean() + l2 * (weights @ weights)
        slope = features.T @ (odds / total[of] - odds * right / (good[of] + 1e-30)) / len(usable) + 2 * l2 * weights
        return float(value), slope

    return np.round(descend(loss, features.shape[1]) / scale, 1)


def train_trust(train: Sequence[Example], weights: np.ndarray, l2: float = 2e-3) -> tuple[np.ndarray, float]:
    """Weights and bias of the probability that what is said holds evidence: logistic regression."""
    rows = np.array([one.read.trust(weights) for one in train])
    sign = np.array([1.0 if one.is_said(weights) else -1.0 for one in train])
    scale = rows.std(axis=0) + 1e-9
    inputs = np.c_[rows / scale, np.ones(len(rows))]

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (inputs @ found)
        value = np.logaddexp(0, -margin).mean() + l2 * (found[:-1] @ found[:-1])
        slope = -inputs.T @ (sign / (1 + np.exp(margin))) / len(rows) + 2 * l2 * np.r_[found[:-1], 0]
        return float(value), slope

    found = descend(loss, inputs.shape[1])
    return np.round(found[:-1] / scale, 1), round(float(found[-1]), 1)


def trained() -> tuple[dict[str, float], dict[str, float], float]:
    """WEIGHTS, TRUST and TRUST_BIAS."""
    train = list(examples())
    weights = train_ranking(train)
    trust, bias = train_trust(train, weights)
    return dict(zip(NAMES, weights.tolist(), strict=True)), dict(zip(TRUST_NAMES, trust.tolist(), strict=True)), bias


def main() -> None:
    weights, trust, bias = trained()
    print(f"WEIGHTS = {weights}\nTRUST = {trust}\nTRUST_BIAS = {bias}")


if __name__ == "__main__":
    main()
