"""Train the small linear model that tells a question in other words from one that looks like it.

Usage: python experiments/data/train_likeness.py

Learns on the half dev of the sample questions, their other wordings and traps (cache/sample_paraphrases.jsonl), on the pairs of cache/traps.jsonl, and on those of
cache/near_misses.jsonl, which people ask of all kinds of documents. Prints the weights, the bias and the bars that nbs/10_answering/12_likeness.ipynb holds. A bar is the
highest score of a pair that must not be served, whether or not its group was left out, rounded up. Most such pairs are a question and the same with one more condition: where one
side only says more than the other the bar is of these pairs, and one in a hundred of the near misses may lie above it; where each says something in its own words, none may.
The same data and code give the same numbers; tests/test_choices.py compares them. What they reach is measured on the half test, by experiments/12_cache.ipynb.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, fields
from itertools import combinations
from math import ceil
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ragwb.answering.likeness import Signs, contradiction, reading_of, signs_of, word_vectors

DATA = Path(__file__).resolve().parent
FOR = {"rest", "content"}  # signs that speak for two questions being one; all others speak against
PENALTY, FOLDS, NEIGHBOURS = 1e-3, 5, 4
Pair = tuple[str, str, bool, str]  # two questions, whether they ask the same, their group


def rows_of(name: str) -> list[dict[str, object]]:
    """The rows of a file of the data."""
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def wordings(split: str) -> dict[str, tuple[list[str], str]]:
    """Each question of a half with its other wordings, and its trap."""
    asked = {str(row["id"]): str(row["question"]) for row in rows_of("sample/questions.jsonl")}
    return {str(row["id"]): ([asked[str(row["id"])], *map(str, row["paraphrases"])], str(row["trap"]))  # type: ignore[call-overload]
            for row in rows_of("cache/sample_paraphrases.jsonl") if row["split"] == split}


def neighbours(forms: dict[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """The nearest wordings of other questions of each wording, with its id."""
    named = [(id, text) for id, texts in forms.items() for text in texts]
    vectors = word_vectors().embed([text for _, text in named])
    for (id, text), near in zip(named, np.argsort(-(vectors @ vectors.T), axis=1), strict=True):
        for at in [at for at in near if named[at][0] != id][:NEIGHBOURS]:
            yield text, named[at][1], id


def pairs_of(split: str) -> list[Pair]:
    """The pairs of a half: wordings of one question, each with its trap, and each wording and trap with its neighbours."""
    known = wordings(split)
    same = [(one, other, True, id) for id, (texts, _) in known.items() for one, other in combinations(texts, 2)]
    traps = [(text, trap, False, id) for id, (texts, trap) in known.items() for text in texts]
    asked = {id: texts for id, (texts, _) in known.items()} | {f"{id} trap": [trap] for id, (_, trap) in known.items()}
    return [*same, *traps, *((one, other, False, id.partition(" ")[0]) for one, other, id in neighbours(asked))]


def fitted(signs: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias of a logistic regression in which no weight has the wrong sign."""
    turned = np.array([1.0 if field.name in FOR else -1.0 for field in fields(Signs)])
    rows = signs * turned

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scores = rows @ values[:-1] + values[-1]
        misses = (1 / (1 + np.exp(-scores)) - same) / len(same)
        penalty = PENALTY * (values[:-1] ** 2).sum()
        return float(np.logaddexp(0, np.where(same, -scores, scores)).mean() + penalty), np.append(rows.T @ misses + 2 * PENALTY * values[:-1], misses.sum())

    size = len(turned)
    found = minimize(loss, np.zeros(size + 1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * size + [(None, None)], options={"maxiter": 5_000, "ftol": 1e-12}).x
    return found[:-1] * turned, float(found[-1])


def trained() -> tuple[list[float], float, float, float]:
    """Weights and bias to two decimals, and the bars, rounded up: of a side that says more, and of sides in their own words."""
    made = [(str(row["question"]), str(row["trap"]), False, str(row["question"])) for name in ("traps", "near_misses") for row in rows_of(f"cache/{name}.jsonl")]
    readings = [(reading_of(one), reading_of(other), same, group) for one, other, same, group in [*pairs_of("dev"), *made]]
    open_ones = [(astuple(signs_of(one, other)), same, group) for one, other, same, group in readings if not contradiction(one, other)]
    signs, same = np.array([row for row, _, _ in open_ones]), np.array([row for _, row, _ in open_ones])
    groups = {group: at % FOLDS for at, group in enumerate(dict.fromkeys(group for *_, group in open_ones))}
    fold = np.array([groups[group] for *_, group in open_ones])
    scores = np.zeros(len(same))
    for left_out in range(FOLDS):
        weights, bias = fitted(signs[fold != left_out], same[fold != left_out])
        scores[fold == left_out] = signs[fold == left_out] @ weights + bias
    weights, bias = fitted(signs, same)
    scores = np.maximum(scores, signs @ weights + bias)
    misses = {str(row["question"]) for row in rows_of("cache/near_misses.jsonl")}
    near = np.array([group in misses for *_, group in open_ones])
    added = signs[:, [field.name for field in fields(Signs)].index("words_less")] == 0
    above = sorted(scores[near & added], reverse=True)[len(misses) // 100]
    bars = max(float(above), float(scores[~same & ~near & added].max())), float(scores[~same & ~added].max())
    return [round(float(weight), 2) + 0.0 for weight in weights], round(bias, 2), *(ceil(100 * bar) / 100 for bar in bars)


if __name__ == "__main__":
    weights, bias, added, reworded = trained()
    print("WEIGHTS = Signs(" + ", ".join(f"{field.name}={weight}" for field, weight in zip(fields(Signs), weights, strict=True)) + ")")
    print(f"BIAS, ADDED_BAR, REWORDED_BAR = {bias}, {added}, {reworded}")
