"Experiments run by real processes: killed, failing, in each other's way, out of disk, out of budget, without MLflow."

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from checkouts import checkout, chunking, data_set, experiment, ragwb
from filelock import FileLock

from ragwb.config import NOVA_LITE, ModelConfig, PipelineConfig
from ragwb.costs.budget import BudgetExceeded, SQLiteBudget
from ragwb.experiments.code_version import PACKAGE, ROOTS, code_version
from ragwb.experiments.grid import chosen_questions, drop_partials, grid_of, run_grid
from ragwb.experiments.notebooks import ExperimentError, Run
from ragwb.experiments.paid_models import CachedChatModel
from ragwb.settings import Settings

TRIALS = int(os.environ.get("KILLS", "1"))  # grids that are killed; KILLS=20 python -m pytest tests/test_experiments.py -k killed
CONFIGS = {"chunking.strategy": ["recursive", "sentences"], "chunking.size": [60, 90, 120], "retrieval.cutoff": [0.0, 0.5]}
GRID = """
import json, sys
from pathlib import Path
from ragwb.experiments.notebooks import Run
from ragwb.experiments.grid import chosen_questions, grid_of, run_grid
from ragwb.settings import Settings
if __name__ == "__main__":
    home, data = Path(sys.argv[1]), sys.argv[2]
    rows = run_grid(chosen_questions(data), grid_of(json.loads(sys.argv[3])), True, Run(str(home / "run"), 2), Settings(home=home))
    (home / "rows.json").write_text(json.dumps(rows))
"""


def grid_process(home: Path, data: Path, script: Path) -> "subprocess.Popen[bytes]":
    "A grid in a process of its own."
    script.write_text(GRID)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAGWB_")}
    return subprocess.Popen([sys.executable, str(script), str(home), str(data), json.dumps(CONFIGS)], env=plain, start_new_session=True)


def cells(home: Path) -> dict[str, bytes]:
    "The finished cells of a data folder."
    return {path.name: path.read_bytes() for path in (home / "cells").glob("*.jsonl")}


def whole_grid(home: Path, data: Path, script: Path) -> tuple[dict[str, bytes], bytes]:
    "Cells and rows of a grid that runs to its end."
    assert grid_process(home, data, script).wait(240) == 0
    return cells(home), (home / "rows.json").read_bytes()


def kill_after(home: Path, data: Path, script: Path, count: int) -> None:
    "Kills a grid without warning once it has some cells more than before; its workers must go too."
    before, process = len(cells(home)), grid_process(home, data, script)
    family = []
    while process.poll() is None and len(cells(home)) < before + count:
        family = psutil.Process(process.pid).children(recursive=True) or family
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive, f"workers outlived their grid: {alive}"


@pytest.mark.slow
def test_a_killed_grid_resumes_with_the_same_bytes(tmp_path: Path) -> None:
    data, script, seed = data_set(tmp_path / "data"), tmp_path / "grid.py", random.randrange(10**6)
    unbroken, chance = whole_grid(tmp_path / "whole", data, script), random.Random(seed)
    for trial in range(TRIALS):
        home = tmp_path / f"killed-{trial}"
        kill_after(home, data, script, chance.randint(1, 11))
        assert 0 < len(cells(home)) <= 12, seed
        assert whole_grid(home, data, script) == unbroken, (seed, trial)
        assert not list((home / "grids").iterdir())
        assert not list((home / "cells").glob(".*.part"))


def test_an_unchanged_grid_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, configs, settings = chosen_questions(data_set(tmp_path / "data")), grid_of({"chunking.size": [60, 120]}), Settings(home=tmp_path / "home")
    rows = run_grid(dataset, configs, False, Run(str(tmp_path / "run"), 1), settings)
    monkeypatch.setattr("ragwb.experiments.grid.fill", lambda *given: pytest.fail("a cell was computed again"))
    assert run_grid(dataset, configs, False, Run(str(tmp_path / "run"), 1), settings) == rows
    (tmp_path / "data/docs/pumps.md").write_text("# pumps\n\nNothing is as it was.")
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        run_grid(chosen_questions(tmp_path / "data"), configs, False, Run(str(tmp_path / "run"), 1), settings)


def test_a_grid_has_one_ladder_and_scores_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "BM25 alone is a cell like any other; the rungs that ask the model stand on one config, and another grid finds them."
    data, settings, run = chosen_questions(data_set(tmp_path / "data")), Settings(home=tmp_path / "home"), Run(str(tmp_path / "run"), 1)
    configs = grid_of({"retrieval.vector_weight": [0.0, 0.5], "max_sentences": [3]})
    base = configs["vector weight 0.5 max sentences 3"]
    rows = run_grid(data, configs, True, run, settings, ladder_of=base)
    rungs = {rung: [row for row in rows if row.get("rung") == rung] for rung in ("closed_book", "bm25", "oracle")}
    assert [len(found) for found in rungs.values()] == [12, 12, 12] and all("rung" not in row for row in rows[:24])
    assert [row["scores"] for row in rungs["bm25"]] == [row["scores"] for row in rows if row["config"] == "vector weight 0.0 max sentences 3"]
    assert {row["scores"]["evidence_cited"] for row in rungs["closed_book"]} == {0} and {row["scores"]["evidence_recall@5"] for row in rungs["oracle"]} == {1}
    monkeypatch.setattr("ragwb.experiments.grid.fill", lambda *given: pytest.fail("something is computed again"))
    assert run_grid(data, {"one": base}, True, run, settings, ladder_of=base)[12:] == rows[24:]


def test_a_search_ends_with_the_ladder_of_its_leader(tmp_path: Path) -> None:
    "On the questions that the leader was asked; what the caps do not pay for is a dash."
    data_set(tmp_path / "data")
    found = ragwb(tmp_path, "experiment", "search", "data", "-p", "retrieval.k=[3,5]", "--json")
    said = json.loads(found.stdout)
    assert {rung: scores.get("right") for rung, scores in said["ladder"].items()} == {
        "constant": None, "closed_book": 0, "bm25": said["ladder"]["bm25"]["right"], "config": said["points"][0]["right"], "oracle": said["ladder"]["oracle"]["right"]}
    assert f"closed book 0.000 · BM25 alone {said['ladder']['bm25']['right']:.3f} · this config {said['points'][0]['right']:.3f}" in said["sentence"]


def test_a_grid_is_computed_anew_after_a_change_of_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, configs, settings = chosen_questions(data_set(tmp_path / "data")), grid_of({"chunking.size": [60]}), Settings(home=tmp_path / "home")
    run_grid(dataset, configs, False, Run(str(tmp_path / "run"), 1), settings)
    copy = shutil.copytree(PACKAGE, tmp_path / "ragwb", ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "retrieval/bm25.py").open("a") as file:
        file.write("# another rule\n")
    monkeypatch.setattr("ragwb.experiments.grid.code_version", partial(code_version, package=copy))
    run_grid(dataset, configs, False, Run(str(tmp_path / "run"), 1), settings)
    assert len(cells(tmp_path / "home")) == 2, "the cell of the older code was taken for that of the newer"


def test_a_budget_below_one_question_is_refused_with_the_numbers(tmp_path: Path) -> None:
    dataset = chosen_questions(data_set(tmp_path / "data"))
    with pytest.raises(ExperimentError, match=r"a budget of 0\.0001 USD does not hold one question: one of nova may cost 0\.0\d+ USD, all 12 together 0\.\d\d USD at most"):
        run_grid(dataset, {"nova": PipelineConfig(fast=ModelConfig(NOVA_LITE))}, True, Run(str(tmp_path), budget_usd=0.0001), Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_a_failing_call_costs_nothing(tmp_path: Path) -> None:
    from langchain_core.language_models import FakeListChatModel

    class Down(FakeListChatModel):
        def _call(self, *given: object, **more: object) -> str:
            raise ConnectionError("down")

    budget = SQLiteBudget(tmp_path / "budget.sqlite", 0.01)
    model = CachedChatModel(inner=Down(responses=["never"]), config=PipelineConfig(fast=ModelConfig(NOVA_LITE)), replies=tmp_path / "replies.sqlite", budget=budget)
    for _ in range(9):
        with pytest.raises(ConnectionError):
            model.invoke("How many?")
    assert budget.balance.spent == 0
    budget.reserve(0.01, "all of it")
    with pytest.raises(BudgetExceeded):
        model.invoke("How many?")


OTHER_ROLES = {"model": "bedrock:us.amazon.nova-pro-v1:0", "fallbacks": ("bedrock:us.amazon.nova-lite-v1:0",), "max_tokens": 90, "temperature": 0.7, "reasoning": "low",
               "base_model": "amazon.nova-lite-v1:0", "base_url": "http://localhost:9"}


def test_a_kept_reply_is_for_one_role_and_its_options_only(tmp_path: Path) -> None:
    from langchain_core.language_models import FakeListChatModel

    inner, budget = FakeListChatModel(responses=[str(number) for number in range(20)]), SQLiteBudget(tmp_path / "budget.sqlite", 9.0)

    def asked(role: ModelConfig, **options: Any) -> str:
        model = CachedChatModel(inner=inner, config=PipelineConfig(fast=role), replies=tmp_path / "replies.sqlite", budget=budget)
        return str(model.invoke("How many?", **options).content)

    usual = ModelConfig(NOVA_LITE)
    assert {field.name for field in fields(ModelConfig)} - {"timeout_s"} == set(OTHER_ROLES), "a new field of a role is a part of the key, or is named here with a reason"
    first, *others = [asked(usual), *(asked(replace(usual, **{name: value})) for name, value in OTHER_ROLES.items()), asked(usual, stop=["."]), asked(usual, top_p=0.5)]
    assert len({first, *others}) == len(OTHER_ROLES) + 3
    assert asked(usual) == asked(replace(usual, timeout_s=9)) == first and asked(usual, stop=["."]) == others[-2]


@pytest.mark.slow
def test_same_inputs_same_bytes_and_a_second_run_is_free(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    done = chunking(folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "finished"
    first = {path.name: path.read_bytes() for path in (folder / "reports/01_chunking").iterdir()}
    again = chunking(folder)
    assert "all 7 cells are known: nothing to compute, nothing to pay" in again.stderr
    assert {path.name: path.read_bytes() for path in (folder / "reports/01_chunking").iterdir()} == first
    assert str(folder) not in b"".join(first.values()).decode()


@pytest.mark.parametrize(("given", "said"), [
    ("stratgies=[recursive]", "no parameter 'stratgies': did you mean strategies?"),
    ("sizes=400", "sizes = 400: a list such as [200, 400, 600] is needed"),
    ("tolerance=little", "tolerance = 'little': a number such as 0.0 is needed"),
])
def test_a_wrong_parameter_is_refused_before_anything_runs(tmp_path: Path, given: str, said: str) -> None:
    folder = checkout(tmp_path)
    done = ragwb(folder, "experiment", "run", "chunking", "-p", given)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (folder / "reports").exists()


@pytest.mark.slow
def test_a_failed_notebook_is_a_failed_run_in_every_face(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    assert chunking(folder).returncode == 0
    done = chunking(folder, "-p", "baseline=nobody", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "failed"
    assert "01_chunking failed: ExperimentError: the baseline 'nobody' is not among the configs" in done.stderr
    report = folder / "reports/01_chunking"
    assert json.loads((report / "manifest.json").read_text())["state"] == "failed"
    assert not (report / "metrics.json").exists()
    assert "**Failed**: ExperimentError: the baseline 'nobody'" in (folder / "reports/README.md").read_text()
    assert "Failed: ExperimentError" in (folder / "reports/index.html").read_text()
    checked = ragwb(folder, "verify", "reports/01_chunking")
    assert checked.returncode == 1
    assert "is a run that failed" in checked.stdout


def test_a_notebook_that_publishes_nothing_has_failed(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    experiment(folder, "02_silent", "size + 1")
    done = ragwb(folder, "experiment", "run", "silent")
    assert done.returncode == 1
    assert "ended without publishing anything" in done.stderr


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / "reports/01_chunking").mkdir(parents=True)
    with FileLock(folder / "reports/01_chunking/.lock"):
        done = chunking(folder)
    assert done.returncode == 1
    assert "another run writes into" in done.stderr and "--out" in done.stderr


@pytest.mark.slow
def test_a_full_disk_fails_the_run_and_leaves_no_half_report(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    done = chunking(folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000)))
    assert done.returncode == 1
    assert "the disk is full" in done.stderr or "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "reports/01_chunking/metrics.json").exists()
    assert chunking(folder).returncode == 0


@pytest.mark.slow
def test_mlflow_down_does_not_fail_a_run(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    done = chunking(folder, environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    assert done.returncode == 0, done.stderr
    assert "MLflow did not take this run" in done.stderr
    assert (folder / "reports/01_chunking/metrics.json").exists()


def test_what_a_killed_writer_left_is_swept_up_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, alive, cell = tmp_path / f".a.jsonl.{gone.pid}.part", tmp_path / f".b.jsonl.{os.getpid()}.part", tmp_path / "c.jsonl"
    for path in (left, alive, cell):
        path.write_text("{}")
    drop_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, cell.name])


PARSING = ("builder", "encoding", "epub", "html", "mail", "office", "page_blocks", "page_columns", "page_rows", "page_tables", "pdf", "pdf_letters", "reflow", "rtf",
           "tables", "text", "word", "word_numbering")
ANSWERING = ("indexing/chunking", "generation/answer_kinds", "generation/extractive", "generation/question_words", "generation/sentence_ranking")


@pytest.mark.parametrize("module", [*(f"documents/{name}" for name in PARSING), *ANSWERING])
def test_changed_code_is_another_version(module, tmp_path):
    before = code_version(*ROOTS)
    copy = shutil.copytree(PACKAGE, tmp_path / "ragwb", ignore=shutil.ignore_patterns("__pycache__"))
    assert code_version(*ROOTS, package=copy) == before
    with (copy / f"{module}.py").open("a") as file:
        file.write("# another rule\n")
    code_version.cache_clear()
    assert code_version(*ROOTS, package=copy) != before


def test_a_page_of_the_app_changes_no_version(tmp_path):
    copy = shutil.copytree(PACKAGE, tmp_path / "ragwb", ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "app/theme.py").open("a") as file:
        file.write("# another colour\n")
    assert code_version(*ROOTS, package=copy) == code_version(*ROOTS)


def test_missing_code_is_an_error(tmp_path):
    copy = shutil.copytree(PACKAGE, tmp_path / "ragwb", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "documents/reflow.py").unlink()
    with pytest.raises(ExperimentError, match=r"leads to ragwb\.documents\.reflow, which is not in the package"):
        code_version(*ROOTS, package=copy)
