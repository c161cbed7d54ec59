"""Ask many questions of profile `aws` while Bedrock (the emulator) throttles and breaks streams, and write rows and summary: reports/faults_aws.jsonl, .json.

    python -m benchmarks.faults                 1,000 questions, 30 % of calls throttled, 5 % of streams broken

Three things are measured: questions without an answer, answers that differ from those given without faults (a statement said twice
would be one), and what was charged against what the emulator billed for the calls that it completed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from benchmarks import REPORTS, SAMPLE
from ragwb.answering.pipeline import Answer
from ragwb.config import CONFIGS
from ragwb.emulator.faults import Faults
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.experiments.benchmark_scores import Row
from ragwb.experiments.benchmarks import faults as summarised
from ragwb.experiments.benchmarks import units_by_component, write_benchmark
from ragwb.generation.fallback import ModelError
from ragwb.settings import Settings
from ragwb.workbench import Workbench

UNITS = {"inputTokens": "input_tokens", "outputTokens": "output_tokens", "cacheReadInputTokens": "cache_read_tokens", "cacheWriteInputTokens": "cache_write_tokens"}
COMPONENTS = {"Converse": "model", "ConverseStream": "model", "InvokeModel": "embedding", "ApplyGuardrail": "guardrail", "Rerank": "rerank"}


def bill(emulator: EmulatedBedrock) -> list[Row]:
    """What the emulator billed for each completed call."""
    used = [(COMPONENTS[call["operation"]], {UNITS.get(name, name): count for name, count in call["usage"].items() if name != "totalTokens" and count}) for call in emulator.calls]
    return [{"billed": component, "units": units} for component, units in used]


def ledger(workbench: Workbench) -> list[Row]:
    """What the ledger holds of each charge."""
    return [{"charged": component, "units": json.loads(units)} for component, units in workbench.ledger.database.execute("SELECT component, units FROM charges ORDER BY id")]


def billed(emulator: EmulatedBedrock) -> Row:
    """What the emulator billed for completed calls, by component."""
    return units_by_component(bill(emulator), "billed")


def charged(workbench: Workbench) -> Row:
    """What the ledger holds, by component."""
    return units_by_component(ledger(workbench), "charged")


def ask(workbench: Workbench, question: str) -> Answer | str:
    """An answer, or why there is none."""
    try:
        return workbench.ask(question)
    except ModelError as error:
        return str(error)


def ask_all(workbench: Workbench, questions: Sequence[str], workers: int) -> list[Answer | str]:
    """The answers in the order of the questions, some at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda question: ask(workbench, question), questions))


def measured(home: Path, paths: Sequence[Path], questions: Sequence[str], faults: Faults, workers: int = 8) -> tuple[Row, list[Row]]:
    """One trial: ingest without faults, ask with them, and ask each question once more without. What holds for all, and the rows."""
    with emulated_bedrock() as emulator:
        os.environ.update(emulator.credentials)
        settings = replace(Settings(home=home), **emulator.settings)  # type: ignore[arg-type]
        workbench = Workbench(settings, CONFIGS["aws"])
        report = workbench.ingest_paths(list(paths))
        emulator.account.set_faults(faults)
        begun = time.perf_counter()
        answers = ask_all(workbench, questions, workers)
        seconds = time.perf_counter() - begun
        rows = [*bill(emulator), *ledger(workbench)]
        errors = dict(sorted(emulator.account.bill.errors.items()))
        about = {"questions": len(questions), "chunks": report.chunks, "errors": errors, "seconds": round(seconds, 1), "faults": shown(faults)}
        emulator.account.set_faults(Faults())
        unbroken = {question: workbench.ask(question).text for question in dict.fromkeys(questions)}
    return about, [*(question_row(answer, unbroken[question]) for question, answer in zip(questions, answers, strict=True)), *rows]


def trial(home: Path, paths: Sequence[Path], questions: Sequence[str], faults: Faults, workers: int = 8) -> Row:
    """One trial, as it is summarised."""
    return summarised(*measured(home, paths, questions, faults, workers))


def question_row(answer: Answer | str, unbroken: str) -> Row:
    """What came of a question; `unbroken` is its answer without faults."""
    if isinstance(answer, str):
        return {"ms": 0, "failed": answer}
    return {"ms": round(answer.timings_ms["total"], 1), "failed": "", "different": answer.text != unbroken, "refused": answer.refused, "model": answer.model,
            "calls": [call.outcome for call in answer.calls], "charges": [charge.id for charge in answer.charges]}  # fmt: skip


def shown(faults: Faults) -> dict[str, float]:
    """The faults that were ordered."""
    return {name: value for name, value in vars(faults).items() if isinstance(value, float) and value and name not in ("stall_s",)}


def main() -> None:
    """The trial at its full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--throttle", type=float, default=0.30)
    parser.add_argument("--midstream", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the rows and their summary")
    given = parser.parse_args()
    golden = [json.loads(line)["question"] for line in (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines()]
    faults = Faults(throttle=given.throttle, midstream=given.midstream, seed=given.seed)
    with tempfile.TemporaryDirectory() as home:
        about, rows = measured(Path(home), [SAMPLE / "docs"], list(islice(cycle(golden), given.questions)), faults, given.workers)
    found = write_benchmark(given.reports, "faults_aws", about, rows)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    sys.exit(0 if not found["failed"] and not found["different"] and found["charged_is_billed"] and found["charges"] == found["distinct_charges"] else 1)


if __name__ == "__main__":
    main()
