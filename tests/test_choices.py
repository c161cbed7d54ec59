"What is chosen is chosen on one half of the questions and measured on the other; whatever chooses refuses questions that are held out."

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkouts import data_set
from click.testing import CliRunner
from notebooks import ROOT

from ragwb.answering import likeness
from ragwb.cli import main
from ragwb.commands.search import searched_questions
from ragwb.config import PipelineConfig, flatten
from ragwb.evaluation.datasets import CHOOSING, DatasetError, for_reporting, load_dataset, with_split
from ragwb.experiments.findings import Findings, Study, metrics_of, sentence
from ragwb.experiments.frontier import search_configs, search_dataset
from ragwb.experiments.notebooks import ExperimentError
from ragwb.experiments.racing import race_over
from ragwb.experiments.tradeoffs import read_guard_texts
from ragwb.generation.extractive import TRUST, TRUST_BIAS
from ragwb.generation.sentence_ranking import WEIGHTS
from ragwb.operations.choices import CHOICES, Choice, shipped
from ragwb.settings import Settings

SAMPLE = ROOT / "experiments/data/sample"
STUDY = Study("Which is best?", "evidence_cited", "old", guards=("answer_contained",))


def row(config: str, n: int, split: str, right: bool, guarded: bool = True) -> dict[str, Any]:
    "A scored question; each is about a document of its own."
    scores = {"evidence_cited": float(right), "answer_contained": float(guarded)}
    return {"config": config, "id": f"{split}{n}", "kind": "", "split": split, "document": f"{split}{n}", "scores": scores}


def rows_of(splits: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    "Of thirty questions a half: config `lucky` is right on all of dev and a third of test, `steady` on two thirds of each, `old` on half."
    def scored(config: str, n: int, split: str) -> dict[str, Any]:
        right = {"old": n % 2 == 0, "steady": n % 3 > 0, "lucky": split == "dev" or n % 3 == 0}[config]
        return row(config, n, split, right)

    return tuple(scored(config, n, split) for config in ("old", "steady", "lucky") for split in splits for n in range(30))


def test_the_best_config_is_chosen_on_dev_and_measured_on_test() -> None:
    found = Findings(STUDY, rows_of(("dev", "test")))
    assert found.best == "lucky"  # of dev; on test it is the worst
    assert found.scores["lucky"]["evidence_cited"].value == pytest.approx(1 / 3)
    assert (found.gain.n, round(found.gain.value, 3)) == (30, -0.167)
    said, published = sentence(found), metrics_of(found)
    assert said.startswith("No difference shown between old and the best other config, lucky: right evidence cited 0.333 against 0.500")
    assert said.endswith("; chosen on dev, measured on test.") and "comparisons" not in said
    assert (published["best"], published["questions"], published["configs"]["steady"]["metrics"]["evidence_cited"]["n"]) == ("lucky", 30, 30)


def test_a_guard_that_holds_on_dev_alone_is_told() -> None:
    rows = [row("old", n, split, n % 2 == 0) for split in ("dev", "test") for n in range(30)]
    rows += [row("new", n, split, True, split == "dev") for split in ("dev", "test") for n in range(30)]
    assert sentence(Findings(STUDY, tuple(rows))).endswith("; chosen on dev, measured on test, where new loses a guard.")


def test_questions_of_one_half_choose_and_measure_for_all_that_were_tried() -> None:
    found = Findings(STUDY, rows_of(("dev",)))
    assert (found.best, found.arms, found.gain.n) == ("lucky", 2, 30)
    assert sentence(found).endswith("; chosen and measured on dev.") and "for 2 comparisons" in sentence(found)


@pytest.mark.parametrize("splits", [("test",), ("test", "")])
def test_held_out_questions_choose_no_config(splits: tuple[str, ...]) -> None:
    with pytest.raises(ExperimentError, match="of the half 'test', which is held out.*-p split=dev"):
        sentence(Findings(STUDY, rows_of(splits)))


@pytest.mark.parametrize("split", ["test", ""])
def test_what_chooses_refuses_held_out_questions(split: str, tmp_path: Path) -> None:
    given, configs = with_split(load_dataset(SAMPLE), split), {"one": PipelineConfig(), "two": PipelineConfig(max_sentences=1)}
    rows = {label: [row(label, n, half, True) for half in (("dev", "test") if not split else ("test",)) for n in range(30)] for label in configs}
    choosing = {
        "search a data set": lambda: search_dataset(given, configs, Settings(home=tmp_path)),
        "search with systems": lambda: search_configs(given, configs, lambda config: pytest.fail("asked"), {}),
        "race": lambda: race_over(rows),
        "texts for guardrails": lambda: read_guard_texts(ROOT / "experiments/data/guardrails/texts.jsonl", given),
    }
    for name, choose in choosing.items():
        with pytest.raises(DatasetError, match="of the half 'test', which is held out: nothing may be chosen on it"):
            choose()
            pytest.fail(f"{name} has chosen on held-out questions")


def test_a_search_takes_the_half_to_choose_on_by_itself() -> None:
    assert {question.split for question in searched_questions(SAMPLE, "").questions} == {"dev"}
    assert {question.split for question in searched_questions(SAMPLE, "test").questions} == {"test"}  # which the search refuses


def test_a_report_takes_what_is_held_out_and_what_belongs_to_no_half() -> None:
    dataset = load_dataset(SAMPLE)
    assert {question.split for question in for_reporting(dataset).questions} == {"test"}
    dev = with_split(dataset, "dev")
    assert for_reporting(dev) == dev


def test_the_gate_asks_what_is_held_out_and_says_so(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "data")
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    halves = ("dev", "test", "test", "")  # the last is of no half, as a confirmed thumbs-down
    (folder / "questions.jsonl").write_text("".join(json.dumps(row | {"split": halves[n % 4]}) + "\n" for n, row in enumerate(rows)), "utf-8")
    done = CliRunner().invoke(main, ["promote", "local", "--dataset", str(folder), "--json"], env={"RAGWB_HOME": str(tmp_path / "home"), "RAGWB_WORKERS": "1"})
    assert done.exit_code == 0, done.output
    verdict = json.loads(done.stdout)
    assert (verdict["half"], verdict["questions"]) == ("test", 9)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_a_default_is_the_one_that_was_chosen(choice: Choice) -> None:
    "Who changes a default says on what it was chosen; what data chose was not chosen on held-out data."
    assert shipped(choice.name) == choice.value, f"ragwb.{choice.name} has changed: choose it again ({choice.how}) and change its line in 13_operations/11_choices"
    assert choice.how and choice.half == (CHOOSING if choice.dataset else "")
    if choice.dataset:
        questions = ROOT / choice.dataset
        questions = questions / "questions.jsonl" if questions.is_dir() else questions
        assert any(json.loads(line)["split"] == choice.half for line in questions.read_text("utf-8").splitlines()), f"{choice.dataset} has no half {choice.half}"


def test_every_number_of_a_pipeline_config_that_shapes_answers_has_its_line() -> None:
    free = {"chunking.overlap", "chunking.parent_size", "chunking.context", "embedder", "prompt", "role", "retrieval.reranker"}  # off, or a name: no threshold
    settled = {f"{path}.{choice.name.rpartition('.')[2]}".lstrip(".") for choice in CHOICES for owner, path in
               (("ChunkingConfig", "chunking"), ("RetrievalConfig", "retrieval"), ("GuardrailConfig", "guardrail"), ("PipelineConfig", "")) if f"config.{owner}." in choice.name}
    named = {name for name in flatten(PipelineConfig().to_dict()) if not name.startswith(("fast.", "strong.", "guardrail."))}
    assert named - free == {name for name in settled if not name.startswith("guardrail.")}


@pytest.mark.slow
def test_training_gives_the_weights_that_are_shipped() -> None:
    done = subprocess.run([sys.executable, ROOT / "experiments/data/train_extractive.py"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" = ") for line in done.stdout.splitlines())
    assert {name: ast.literal_eval(value) for name, value in said.items()} == {"WEIGHTS": WEIGHTS, "TRUST": TRUST, "TRUST_BIAS": TRUST_BIAS}


@pytest.mark.slow
def test_training_gives_the_likeness_that_is_shipped() -> None:
    done = subprocess.run([sys.executable, ROOT / "experiments/data/train_likeness.py"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"BIAS, ADDED_BAR, REWORDED_BAR = {likeness.BIAS}, {likeness.ADDED_BAR}, {likeness.REWORDED_BAR}" in done.stdout
    assert f"WEIGHTS = {likeness.WEIGHTS}" in done.stdout
