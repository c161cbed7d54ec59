"Reports that somebody edits: every digit counts, also where the hashes were written anew. And the committed ones."

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import checkout, chunking, ragwb
from notebooks import ROOT

from ragwb.evaluation.datasets import Dataset
from ragwb.experiments.findings import Findings, Study, sentence
from ragwb.experiments.notebooks import Run, find_experiments
from ragwb.experiments.reports import (
    FIGURE,
    INPUTS,
    MANIFEST,
    METRICS_FILE,
    NOTEBOOK,
    PAGE,
    ROWS,
    findings_from,
    pretty,
    publish,
    sha256,
    write_index,
)
from ragwb.experiments.verify import Mismatch, verify_folder

FILES = (ROWS, METRICS_FILE, FIGURE, PAGE, NOTEBOOK, INPUTS, MANIFEST)
DIGIT = re.compile(rb"\d")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A checkout with a report."
    made = checkout(tmp_path_factory.mktemp("checkout"))
    done = chunking(made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def reports(folder: Path, tmp_path: Path) -> Path:
    "A copy of its reports, to be edited."
    shutil.copytree(folder / "reports", tmp_path / "reports")
    return tmp_path / "reports"


def problems(reports: Path, folder: Path) -> list[Mismatch]:
    "All that does not fit."
    return [problem for found in verify_folder(reports, folder / "experiments").values() for problem in found]


def other_digit(data: bytes, at: int) -> bytes:
    "The bytes with the digit at a place changed."
    return data[:at] + str((int(data[at:at + 1]) + 5) % 10).encode() + data[at + 1:]


def digits(path: Path, count: int, seed: int) -> Iterator[bytes]:
    "A file with one digit changed, at some places in turn."
    data = path.read_bytes()
    places = [match.start() for match in DIGIT.finditer(data)]
    for at in random.Random(seed).sample(places, min(count, len(places))):
        yield other_digit(data, at)


def pin_again(reports: Path) -> None:
    "What a forger does: all hashes written anew, and the index."
    run = reports / "01_chunking"
    manifest = json.loads((run / MANIFEST).read_bytes())
    (run / MANIFEST).write_bytes(pretty(manifest | {"files": {name: sha256((run / name).read_bytes()) for name in manifest["files"]}}))
    write_index(reports)


def test_an_untouched_report_fits(reports: Path, folder: Path) -> None:
    assert problems(reports, folder) == []


@pytest.mark.parametrize("name", [*(f"01_chunking/{name}" for name in FILES), "README.md", "index.html"])
def test_a_changed_digit_anywhere_is_found(reports: Path, folder: Path, name: str) -> None:
    path, seed = reports / name, random.randrange(10**6)
    for changed in digits(path, 25, seed):
        whole = path.read_bytes()
        path.write_bytes(changed)
        assert problems(reports, folder), (name, seed)
        path.write_bytes(whole)


def test_the_ladder_stands_beside_the_scores_of_a_report(reports: Path) -> None:
    "In the sentence, in the table, and among the numbers; a dash where a rung has no meaning, as a closed book has for a search."
    metrics = json.loads((reports / "01_chunking" / METRICS_FILE).read_text())
    page, ladder = (reports / "01_chunking" / PAGE).read_text(), metrics["ladder"]
    assert (ladder["constant"], ladder["closed_book"], ladder["oracle"]["evidence_recall@5"]) == ({}, {}, 1)
    assert ladder["config"]["evidence_iou@5"] == metrics["configs"][metrics["best"]]["metrics"]["evidence_iou@5"]["value"]
    bm25, own = (f"{ladder[rung]['evidence_iou@5']:.3f}" for rung in ("bm25", "config"))
    line = f"constant reply – · closed book – · BM25 alone {bm25} · this config ({metrics['best']}) {own} · oracle context 1.000."
    shown = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert metrics["sentence"].endswith(line) and line in shown
    assert "closed book – – – ladder" in shown and "oracle context 1.000 1.000 1.000 ladder" in shown


def test_a_report_keeps_the_half_and_the_rung_of_its_rows(tmp_path: Path) -> None:
    "Else its numbers, computed again from the rows, are those of other questions, and a rival is a config."
    rows = [{"config": label, "id": f"q{n}", "kind": "", "document": f"d{n}", "split": ("dev", "test")[n % 2], "scores": {"evidence_cited": float(n % 10 < hits)}}
            for label, hits in (("a", 3), ("b", 7), ("BM25 alone", 2)) for n in range(60)]
    findings = Findings(Study("Which?", "evidence_cited", "a"), tuple(row | ({"rung": "bm25"} if row["config"] == "BM25 alone" else {}) for row in rows))
    publish(findings, {}, Dataset("none", "spans", {}, ()), Run(str(tmp_path)))
    again = findings_from((tmp_path / ROWS).read_bytes(), (tmp_path / METRICS_FILE).read_bytes())
    assert sentence(again) == sentence(findings) and "BM25 alone 0.200" in sentence(again) and again.scores["b"]["evidence_cited"].n == 30


@pytest.mark.parametrize("name", [METRICS_FILE, FIGURE, PAGE, NOTEBOOK])
def test_a_changed_number_is_found_though_all_hashes_were_written_anew(reports: Path, folder: Path, name: str) -> None:
    path = reports / "01_chunking" / name
    for number in re.findall(rb"0\.\d{3}", path.read_bytes())[:8]:
        whole = path.read_bytes()
        path.write_bytes(whole.replace(number, number[:-1] + str((int(number[-1:]) + 5) % 10).encode(), 1))
        pin_again(reports)
        assert any(problem.file == name for problem in problems(reports, folder)), (name, number)
        path.write_bytes(whole)
        pin_again(reports)
    assert problems(reports, folder) == []


def test_a_changed_row_does_not_fit_the_numbers(reports: Path, folder: Path) -> None:
    path = reports / "01_chunking" / ROWS
    lines = path.read_text().splitlines(keepends=True)
    row = json.loads(lines[0])
    row["scores"]["evidence_iou@5"] += 0.25
    path.write_text("".join([json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n", *lines[1:]]))
    pin_again(reports)
    assert any(problem.file == METRICS_FILE and "evidence_iou@5" in problem.said for problem in problems(reports, folder))


def test_an_invented_output_and_another_source_are_found(reports: Path, folder: Path) -> None:
    path = reports / "01_chunking" / NOTEBOOK
    notebook = json.loads(path.read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "recall 0.99"}]
    cell["source"] = "from ragwb.magic import better"
    path.write_text(json.dumps(notebook))
    pin_again(reports)
    said = " ".join(problem.said for problem in problems(reports, folder))
    assert "an output that the rows do not give: 'recall 0.99'" in said
    assert "cell 2 of 01_chunking.ipynb is not what was run" in said


@pytest.mark.parametrize("damage", ["gone", "empty", "no json", "another file"])
def test_a_damaged_report_is_a_problem_and_no_traceback(reports: Path, folder: Path, damage: str) -> None:
    path = reports / "01_chunking" / (METRICS_FILE if damage != "no json" else MANIFEST)
    {"gone": path.unlink, "empty": lambda: path.write_text(""), "no json": lambda: path.write_text("{"),
     "another file": lambda: (path.parent / "more.txt").write_text("0.99")}[damage]()
    assert problems(reports, folder)
    done = ragwb(folder, "verify", str(reports / "01_chunking"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_pages_ask_nothing_of_the_network(reports: Path) -> None:
    for page in (reports / "index.html", reports / "01_chunking" / PAGE, reports / "01_chunking" / FIGURE):
        assert not re.findall(r"(?:src|href)\s*=\s*['\"]?(?:https?:)?//|@import|url\(", page.read_text()), page.name


def test_the_committed_reports_fit() -> None:
    found = verify_folder(ROOT / "reports", ROOT / "experiments")
    assert {str(run.name): bad for run, bad in found.items() if bad} == {}
    assert {path.parent.name for path in (ROOT / "reports").glob(f"*/{MANIFEST}")} >= set(find_experiments(ROOT / "experiments")) - {"07_drift", "08_search"}
