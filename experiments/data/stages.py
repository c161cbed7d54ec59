"""The stages of dvc.yaml: index a folder of documents, score its golden questions, write the scores as a page.

`python experiments/data/stages.py ingest|evaluate|report DATA` runs one stage; `make data-versions` runs those whose inputs have changed.
"""

import argparse
import json
import shutil
from pathlib import Path

from ragwb.config import PipelineConfig
from ragwb.evaluation.datasets import anchor_questions, load_dataset
from ragwb.evaluation.evaluate import Evaluation, evaluate
from ragwb.evaluation.scoring import METRICS, summarise
from ragwb.operations.promotion import pin_of
from ragwb.settings import Settings
from ragwb.workbench import Workbench

ROOT = Path(__file__).resolve().parents[2]
HOME, ROWS = ROOT / ".ragwb/data-versions", ROOT / ".ragwb/data-versions.jsonl"      # kept by DVC
METRICS_FILE, REPORT = (ROOT / "experiments/data/versions" / name for name in ("metrics.json", "report.md"))  # kept by git


def ingest(data: Path) -> None:
    "The documents as a collection, in a folder of its own."
    shutil.rmtree(HOME, ignore_errors=True)
    report = Workbench(Settings(home=HOME), PipelineConfig()).ingest_paths([data / "docs"])
    if report.failed:
        raise SystemExit("; ".join(f"{document}: {reason}" for document, reason in report.failed))


def score(data: Path) -> None:
    "The golden questions, asked of that collection as it is."
    workbench, dataset = Workbench(Settings(home=HOME), PipelineConfig()), load_dataset(data)
    pipeline = workbench.pipeline()
    texts = {id: pipeline.collection.document(id).text for id in dataset.documents}
    found = evaluate(anchor_questions(dataset, texts), pipeline, texts, pipeline.config.fingerprint)
    METRICS_FILE.parent.mkdir(parents=True, exist_ok=True)
    kept = [{name: value for name, value in row.items() if name != "milliseconds"} for row in found.rows]  # the same inputs give the same bytes
    ROWS.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), "utf-8")
    metrics = {name: {"value": round(i.value, 6), "low": round(i.low, 6), "high": round(i.high, 6)} for name, i in found.metrics.items()}
    told = {"dataset": dataset.name, "pin": pin_of(dataset), "documents": len(dataset.documents), "questions": len(kept), "config": found.config}
    METRICS_FILE.write_text(json.dumps(told | {"metrics": metrics}, indent=1) + "\n", "utf-8")


def write(data: Path) -> None:
    "A page from the rows alone."
    rows = tuple(json.loads(line) for line in ROWS.read_text("utf-8").splitlines())
    told = json.loads(METRICS_FILE.read_text("utf-8"))
    evaluation = Evaluation(told["dataset"], told["config"], rows, summarise(rows), {}, {})
    lines = [f"| {METRICS[name]} | {i.value:.3f} | {i.low:.3f} to {i.high:.3f} | {i.n} | {evaluation.detectable(name):.3f} |" for name, i in evaluation.metrics.items()]
    head = f"# {told['dataset']}\n\n{told['documents']} documents and {told['questions']} questions (pin {told['pin']}), config {told['config']}.\n"
    REPORT.write_text("\n".join([head, "| metric | score | 95% interval | n | can show |", "|---|---|---|---|---|", *lines]) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("ingest", "evaluate", "report"))
    parser.add_argument("data", type=Path, help="A folder with docs/ and questions.jsonl.")
    given = parser.parse_args()
    {"ingest": ingest, "evaluate": score, "report": write}[given.stage](given.data)


if __name__ == "__main__":
    main()
