"Judges over the wire: ragas with Nova through the emulated Bedrock. It proves that prompts, forms, charges and time-outs go through, not that Nova judges well."

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwb.config import PipelineConfig, config_from
from ragwb.costs.ledger import Ledger
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.evaluation.judge_trial import load_labels, put_on_trial
from ragwb.evaluation.judges import Case, judge_all
from ragwb.evaluation.ragas_judges import BY_MODEL, RagasJudge
from ragwb.generation.models import chat_model
from ragwb.indexing.embedding import embedder
from ragwb.settings import Settings

NOVA = "bedrock:us.amazon.nova-2-lite-v1:0"
CONFIG = config_from({"fast.model": NOVA, "guardrail.provider": ""}, PipelineConfig())
WARRANTY = ("The warranty lasts 36 months from delivery.", "Wear parts are excluded.")
CASES = [Case("right", "How long is the warranty?", "It lasts 36 months.", WARRANTY, "36 months", "warranty.md"),
         Case("other", "Are seals covered?", "Wear parts are excluded.", WARRANTY, "no, wear parts are excluded", "seals.md")]
LABELS = Path(__file__).parent.parent / "experiments/data/judges/labels.jsonl"


@pytest.fixture(scope="module")
def nova() -> Iterator[EmulatedBedrock]:
    "An emulated Bedrock."
    with emulated_bedrock() as emulator, pytest.MonkeyPatch.context() as environment:
        for name, value in emulator.environment.items():
            environment.setenv(name, value)
        yield emulator


def settings_of(emulator: EmulatedBedrock) -> Settings:
    "Settings that reach it."
    return Settings(**emulator.settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", BY_MODEL)
def test_every_metric_of_ragas_runs_over_bedrock_and_is_charged(metric: str, nova: EmulatedBedrock, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    judge = RagasJudge(metric, chat_model(CONFIG, settings_of(nova)), embedder("local:wordllama"), NOVA, ledger)
    found = asyncio.run(judge_all(judge, CASES, timeout_s=60))
    assert sum(found.outcomes.values()) == len(CASES)
    assert set(found.outcomes) <= {"scored", "nan"}, [judgement.reason for judgement in found.judgements]
    booked = ledger.sums("component", "model")
    assert [row.key for row in booked] == [("judge", NOVA)]
    assert booked[0].charges >= len(CASES) and booked[0].usd > 0 and booked[0].unpriced == 0
    assert found.usd == pytest.approx(booked[0].usd)


def test_a_judge_that_stalls_is_timed_out_and_counted(nova: EmulatedBedrock) -> None:
    judge = RagasJudge("faithfulness", chat_model(CONFIG, settings_of(nova)), model_name=NOVA)
    found = asyncio.run(judge_all(judge, CASES, timeout_s=0.001))
    assert found.outcomes == {"timeout": 2}
    assert found.value is None and found.bounds == (0, 1)


def test_a_trial_over_bedrock_counts_its_dollars(nova: EmulatedBedrock) -> None:
    judge = RagasJudge("context_recall", chat_model(CONFIG, settings_of(nova)), model_name=NOVA)
    trial = asyncio.run(put_on_trial(judge, load_labels(LABELS)[:4], repeats=2))
    assert sum(trial.outcomes.values()) == 4 * 4
    assert trial.usd is not None and trial.usd > 0


def test_the_labels_are_what_their_readme_says() -> None:
    labelled = load_labels(LABELS)
    assert len(labelled) == 78 and f"{len(labelled)} answers" in (LABELS.parent / "README.md").read_text()
    by_question: dict[str, set[str]] = {}
    for one in labelled:
        by_question.setdefault(one.case.question, set()).add(one.label)
        assert len(one.case.contexts) >= 2 and one.case.reference
    assert all({"right", "wrong"} <= labels for labels in by_question.values())


def test_ragas_is_not_imported_unasked() -> None:
    code = "import sys, ragwb.evaluation.judges, ragwb.evaluation.judge_trial, ragwb.evaluation.ragas_judges, ragwb.cli, ragwb.api.routes; print('ragas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_judge_by_model_is_tried_by_the_command_and_its_price_is_in_the_ledger(nova: EmulatedBedrock, tmp_path: Path) -> None:
    few = tmp_path / "labels.jsonl"
    few.write_text("".join(LABELS.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    surroundings = {**os.environ, **nova.environment, "RAGWB_HOME": str(tmp_path / "home")}
    settings = {f"RAGWB_{name.upper()}": str(value) for name, value in nova.settings.items()}
    words = ["judge", "try", "faithfulness", "--model", NOVA, "--labels", str(few), "--json"]
    done = subprocess.run([str(Path(sys.executable).parent / "ragwb"), *words], env=surroundings | settings, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    trial, = json.loads(done.stdout)
    assert trial["answers"] == 3 and sum(trial["outcomes"].values()) == 3 * 4 and trial["usd"] > 0
    booked, = Ledger(tmp_path / "home/ledger.sqlite").sums("component")
    assert booked.key == ("judge",) and booked.usd == pytest.approx(trial["usd"])
