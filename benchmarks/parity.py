"""The sample questions in profile aws, against the emulated Bedrock, beside profile local: is anything worse?

    python -m benchmarks.parity

prints every metric of both with the paired interval of the difference and writes reports/parity_aws.jsonl, .json. The emulator answers with
the local model, so a difference is what embedding, guardrail, prompts and the wire between them do, not what Nova would.
"""

import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import REPORTS, SAMPLE
from ragwb.config import named_config
from ragwb.emulator.server import emulated_bedrock
from ragwb.evaluation.benchmark import evaluate_dataset
from ragwb.evaluation.scoring import METRICS
from ragwb.experiments.benchmarks import write_benchmark
from ragwb.settings import Settings


def main() -> None:
    "Evaluates both and compares."
    with tempfile.TemporaryDirectory() as folder, emulated_bedrock() as bedrock:
        os.environ.update(bedrock.credentials)
        settings = Settings(profile="aws", home=Path(folder), **bedrock.settings)
        local = evaluate_dataset(SAMPLE, named_config("local"), with_ladder=False)
        aws = evaluate_dataset(SAMPLE, named_config("aws"), with_ladder=False, settings=settings)
    theirs = {row["id"]: row["scores"] for row in aws.rows}
    rows = [{name: row[name] for name in ("id", "document", "split", "kind")} | {"local": row["scores"], "aws": theirs[row["id"]]} for row in local.rows]
    report = write_benchmark(REPORTS, "parity_aws", {"dataset": "sample", "local": local.config, "aws": aws.config}, rows)
    table = Table(title="sample questions: aws (emulated) against local", title_justify="left")
    for name in ("metric", "local", "aws", "95 % interval of the difference", "verdict"):
        table.add_column(name, justify="left" if name in ("metric", "verdict") else "right")
    for found in report["metrics"]:
        table.add_row(METRICS[found["metric"]], f"{found['local']:.3f}", f"{found['aws']:.3f}", f"{found['low']:+.3f} to {found['high']:+.3f}", found["verdict"])
    Console(width=120).print(table)
    sys.exit(any(found["verdict"] == "worse" for found in report["metrics"]))


if __name__ == "__main__":
    main()
