"A checkout in small: the real chunking experiment, a profile, and a data set of three documents."

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from notebooks import ROOT

QUESTIONS = 12
GRID = {"strategies": "[recursive, sentences]", "sizes": "[60, 120, 240]", "cutoffs": "[0.0]", "baseline": "recursive 120 cutoff 0.0", "data": "data"}


def data_set(folder: Path) -> Path:
    "Three documents with a fact a paragraph, and questions with evidence about them."
    (folder / "docs").mkdir(parents=True)
    questions = []
    for name in ("pumps", "valves", "seals"):
        facts = [f"The {name[:-1]} of series {n} opens at {n * 7 + 3} bar and closes at {n} bar." for n in range(1, QUESTIONS // 3 + 1)]
        filler = "It is checked every spring by the service desk, which keeps a record of what was found and repaired."
        (folder / "docs" / f"{name}.md").write_text(f"# {name}\n\n" + "\n\n".join(f"{fact} {filler}" for fact in facts))
        questions += [{"id": f"{name}{n}", "question": f"At how many bar does the {name[:-1]} of series {n} open?", "evidence": [{"document": f"{name}.md", "quote": fact}]}
                      for n, fact in enumerate(facts, start=1)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    return folder


def checkout(folder: Path) -> Path:
    "A folder in which `ragwb experiment run chunking` works."
    (folder / "experiments").mkdir(parents=True)
    shutil.copy(ROOT / "experiments/01_chunking.ipynb", folder / "experiments")
    (folder / "experiments/profiles.yaml").write_text("smoke: {}\n")
    data_set(folder / "data")
    return folder


def experiment(folder: Path, name: str, *sources: str) -> None:
    "Writes an experiment with an empty choice of parameters and these cells."
    code: list[dict[str, Any]] = [{"cell_type": "code", "id": f"c{n}",
                                   "metadata": {"tags": ["parameters"]} if n == 1 else {}, "source": source, "execution_count": None, "outputs": []}
                                  for n, source in enumerate(("size = 1  # of nothing", *sources), start=1)]
    title = {"cell_type": "markdown", "id": "c0", "metadata": {}, "source": "# Does it run?"}
    metadata = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    (folder / "experiments" / f"{name}.ipynb").write_text(json.dumps({"cells": [title, *code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def ragwb(folder: Path, *arguments: str, environment: dict[str, str] | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
    "The command line in a checkout, with a data folder of its own."
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGWB_", "MLFLOW_"))}
    return subprocess.run([str(Path(sys.executable).parent / "ragwb"), *arguments],
                          cwd=folder, env=plain | {"RAGWB_HOME": str(folder / "home")} | (environment or {}), capture_output=True, text=True, timeout=300, **options)


def chunking(folder: Path, *more: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    "The chunking experiment on the small data set."
    return ragwb(folder, "experiment", "run", "chunking", "--workers", "2", *(part for name, value in GRID.items() for part in ("-p", f"{name}={value}")), *more, **options)
