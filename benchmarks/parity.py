"""The sample questions in profile aws, against the emulated Bedrock, beside profile local: is anything worse?

    python -m benchmarks.parity

prints every metric of both with the paired interval of the difference and writes reports/parity_aws.json. The emulator answers with
the local model, so a difference is what embedding, guardrail, prompts and the wire between them do, not what Nova would.
"""

import json
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
from ragwb.evaluation.comparison import compare_all
from ragwb.evaluation.scoring import METRICS
from ragwb.settings import Settings

REPORT = REPORTS / "parity_aws.json"


def main() -> None:
    "Evaluates both and compares."
    with tempfile.TemporaryDirectory() as folder, emulated_bedrock() as bedrock:
        os.environ.update(bedrock.credentials)
        settings = Settings(profile="aws", home=Path(folder), **bedrock.settings)
        local = evaluate_dataset(SAMPLE, named_config("local"), with_ladder=False)
        aws = evaluate_dataset(SAMPLE, named_config("aws"), with_ladder=False, settings=settings)
    found = compare_all(local, aws)
    table, rows = Table(title="sample questions: aws (emulated) against local", title_justify="left"), []
    for name in ("metric", "local", "aws", "difference", "95 % interval", "verdict"):
        table.add_column(name, justify="left" if name in ("metric", "verdict") else "right")
    for verdict in found.metrics:
        seen = verdict.comparison
        change = seen.difference
        table.add_row(METRICS[seen.metric], f"{seen.before:.3f}", f"{seen.after:.3f}", f"{change.value:+.3f}", f"{change.low:+.3f} to {change.high:+.3f}", verdict.verdict)
        rows.append({"metric": seen.metric, "local": round(seen.before, 4), "aws": round(seen.after, 4), "low": round(change.low, 4), "high": round(change.high, 4),
                     "questions": change.n, "verdict": verdict.verdict, "broke": list(seen.broke)})
    Console(width=120).print(table)
    report = {"dataset": "sample", "local": local.config, "aws": aws.config, "metrics": rows}
    REPORT.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    sys.exit(any(row["verdict"] == "worse" for row in rows))


if __name__ == "__main__":
    main()
