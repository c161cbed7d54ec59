"""Ask many questions of profile `aws` while Bedrock (the emulator) throttles and breaks streams, and write reports/faults_aws.json.

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
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks import REPORTS, SAMPLE
from ragwb.answering.pipeline import Answer
from ragwb.config import CONFIGS
from ragwb.emulator.faults import Faults
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.generation.fallback import ModelError
from ragwb.settings import Settings
from ragwb.workbench import Workbench

REPORT = REPORTS / "faults_aws.json"
UNITS = {"inputTokens": "input_tokens", "outputTokens": "output_tokens", "cacheReadInputTokens": "cache_read_tokens", "cacheWriteInputTokens": "cache_write_tokens"}
COMPONENTS = {"Converse": "model", "ConverseStream": "model", "InvokeModel": "embedding", "ApplyGuardrail": "guardrail", "Rerank": "rerank"}


def billed(emulator: EmulatedBedrock) -> dict[str, dict[str, int]]:
    """What the emulator billed for completed calls, by component."""
    sums: dict[str, Counter[str]] = {}
    for call in emulator.calls:
        used = {UNITS.get(name, name): count for name, count in call["usage"].items() if name != "totalTokens" and count}
        sums.setdefault(COMPONENTS[call["operation"]], Counter()).update(used)
    return {component: dict(sorted(units.items())) for component, units in sorted(sums.items())}


def charged(workbench: Workbench) -> dict[str, dict[str, int]]:
    """What the ledger holds, by component."""
    return {row.key[0]: dict(sorted(row.units.items())) for row in workbench.ledger.sums("component")}


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


def trial(home: Path, paths: Sequence[Path], questions: Sequence[str], faults: Faults, workers: int = 8) -> dict[str, Any]:
    """One trial: ingest without faults, ask with them, and ask each question once more without."""
    with emulated_bedrock() as emulator:
        os.environ.update(emulator.credentials)
        settings = replace(Settings(home=home), **emulator.settings)  # type: ignore[arg-type]
        workbench = Workbench(settings, CONFIGS["aws"])
        report = workbench.ingest_paths(list(paths))
        emulator.account.set_faults(faults)
        begun = time.perf_counter()
        answers = ask_all(workbench, questions, workers)
        seconds = time.perf_counter() - begun
        bill, ledger, errors = billed(emulator), charged(workbench), dict(emulator.account.bill.errors)
        emulator.account.set_faults(Faults())
        unbroken = {question: workbench.ask(question).text for question in dict.fromkeys(questions)}
    given = [answer for answer in answers if isinstance(answer, Answer)]
    return told(report.chunks, questions, answers, given, unbroken, bill, ledger, errors) | {"seconds": round(seconds, 1), "faults": shown(faults)}


def shown(faults: Faults) -> dict[str, float]:
    """The faults that were ordered."""
    return {name: value for name, value in vars(faults).items() if isinstance(value, float) and value and name not in ("stall_s",)}


def told(
    chunks: int, questions: Sequence[str], answers: Sequence[Answer | str], given: Sequence[Answer], unbroken: Mapping[str, str], bill: Any, ledger: Any, errors: Mapping[str, int]
) -> dict[str, Any]:
    """What came of it."""
    calls = [call for answer in given for call in answer.calls]
    return {
        "questions": len(questions), "chunks": chunks, "failed": len(answers) - len(given), "failures": sorted({answer for answer in answers if isinstance(answer, str)})[:5],
        "different": sum(answer.text != unbroken[question] for question, answer in zip(questions, answers, strict=True) if isinstance(answer, Answer)),
        "answered": sum(not answer.refused for answer in given), "calls": dict(sorted(Counter(call.outcome for call in calls).items())),
        "from_fallback": sum(answer.model != given[0].model and answer.model.endswith("nova-pro-v1:0") for answer in given), "errors": dict(sorted(errors.items())),
        "charges": sum(len(answer.charges) for answer in given), "distinct_charges": len({charge.id for answer in given for charge in answer.charges}),
        "billed": bill, "charged": ledger, "charged_is_billed": bill == ledger,
        "p50_ms": round(quantile([answer.timings_ms["total"] for answer in given], 0.5)), "p95_ms": round(quantile([answer.timings_ms["total"] for answer in given], 0.95)),
    }  # fmt: skip


def quantile(values: Sequence[float], share: float) -> float:
    """A value that this share of the values does not pass; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def main() -> None:
    """The trial at its full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--throttle", type=float, default=0.30)
    parser.add_argument("--midstream", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--report", type=Path, default=REPORT)
    given = parser.parse_args()
    golden = [json.loads(line)["question"] for line in (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines()]
    faults = Faults(throttle=given.throttle, midstream=given.midstream, seed=given.seed)
    with tempfile.TemporaryDirectory() as home:
        found = trial(Path(home), [SAMPLE / "docs"], list(islice(cycle(golden), given.questions)), faults, given.workers)
    given.report.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(found, indent=1, ensure_ascii=False))
    sys.exit(0 if not found["failed"] and not found["different"] and found["charged_is_billed"] and found["charges"] == found["distinct_charges"] else 1)


if __name__ == "__main__":
    main()
