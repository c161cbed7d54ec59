"The stages of dvc.yaml depend on all that they read: each works where nothing else lies, and DVC runs it again when any of it has changed."

import runpy
import shutil
from pathlib import Path

import pytest
import yaml
from checkouts import data_set
from notebooks import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))


def named(entries: list) -> list[str]:
    "The paths of a stage's deps, outs or metrics, with `data` as the folder of documents."
    return [next(iter(entry)).replace("${data}", "data") if isinstance(entry, dict) else entry.replace("${data}", "data") for entry in entries]


def bring(paths: list[str], here: Path, there: Path) -> None:
    "Copies files and folders."
    for path in paths:
        (there / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (here / path).is_dir() else shutil.copy
        copy(here / path, there / path)


def test_a_stage_needs_what_it_declares_and_nothing_else(tmp_path, monkeypatch):
    made = data_set(tmp_path / "made/data").parent  # grows by what each stage makes
    for name, stage in PIPELINE["stages"].items():
        alone = tmp_path / name
        bring(["experiments/data/stages.py"], ROOT, alone)
        bring(named(stage["deps"]), made, alone)
        monkeypatch.chdir(alone)
        monkeypatch.setattr("sys.argv", stage["cmd"].replace("${data}", "data").split()[1:])
        try:
            runpy.run_path("experiments/data/stages.py", run_name="__main__")
        except (Exception, SystemExit) as error:
            pytest.fail(f"{name} reads what dvc.yaml does not name: {error}")
        bring(named([*stage["outs"], *stage.get("metrics", [])]), alone, made)
    assert "3 documents and 12 questions" in (made / "experiments/data/versions/report.md").read_text("utf-8")
