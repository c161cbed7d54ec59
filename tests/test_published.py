"What is published is recomputed: a changed digit in any figure is found with its line and the right value, and so is a figure without a source."

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkouts import ragwb
from notebooks import ROOT

from benchmarks import figures
from ragwb.experiments import published
from ragwb.experiments.benchmarks import BENCHMARKS, read_rows, write_benchmark
from ragwb.experiments.published import (
    FIGURE,
    SOURCE,
    Reports,
    called,
    plain,
    verify_benchmark,
    verify_benchmarks,
    verify_pages,
    verify_prose,
    verify_reports,
    wrong,
)
from ragwb.experiments.reports import MANIFEST
from ragwb.experiments.verify import Mismatch, verify_index, verify_run

PRINTED = [path for path in sorted((ROOT / "nbs").rglob("[!.]*.ipynb")) if any(map(called, json.loads(path.read_bytes())["cells"]))]
BOUND = [path for path in published.prose_pages(ROOT) if SOURCE.search(path.read_text("utf-8"))]
MEASURED = [name for name in BENCHMARKS if (ROOT / f"reports/{name}.jsonl").is_file()]
TURNS = {"figure": "ask", "seconds": {"libraries": [2.9, 2.4, 2.8], "ask": [3.1, 2.9, 3.3]}}
SAMPLED = 10  # places in each file


@pytest.fixture(scope="module")
def summaries() -> dict[str, object]:
    "Every benchmark, recomputed once."
    reports = Reports(ROOT / "reports", recomputed=True)
    return {name: reports.summary(name) for name in BENCHMARKS} | {"experiments": published.SECTIONS["experiments"](reports)}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "What is published, to be edited."
    folder = tmp_path_factory.mktemp("published")
    for path in {*PRINTED, *published.prose_pages(ROOT), ROOT / "README.md", *(ROOT / "reports").glob("*.*"), *(ROOT / "reports").glob("*/*.json*")}:
        (to := folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    (folder / "ragwb").symlink_to(ROOT / "ragwb")
    return folder


@pytest.fixture
def found(copied: Path, summaries: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Mismatch]]:
    "What does not fit on pages, in README and in prose, by the summaries as they are recomputed from the rows."
    monkeypatch.setattr(Reports, "summary", lambda self, name: summaries.get(name))
    monkeypatch.setitem(published.SECTIONS, "experiments", lambda reports: summaries["experiments"])
    reports = Reports(copied / "reports", recomputed=True)
    return lambda: [mismatch for part in (verify_pages(copied, reports), verify_prose(copied, reports)) for mismatches in part.values() for mismatch in mismatches]


def sampled(text: str, places: list[int], seed: str, count: int = SAMPLED) -> Iterator[tuple[int, str]]:
    "Lines and texts with one digit changed, at some of the places."
    for at in random.Random(seed).sample(places, min(count, len(places))):
        yield text[:at].count("\n") + 1, text[:at] + str((int(text[at]) + 5) % 10) + text[at + 1:]


def digits(text: str, spans: list[tuple[int, int]]) -> list[int]:
    "The places of the digits in some spans."
    return [at for low, high in spans for at in range(low, high) if text[at].isdecimal()]


def printed(text: str, page: dict) -> list[tuple[int, int]]:
    "The places in a notebook's file of what its published cells print."
    lines = [json.dumps(line, ensure_ascii=False) for cell in page["cells"] if called(cell) for output in cell["outputs"] for line in output["data"]["text/markdown"]]
    return [(at, at + len(line)) for line in lines if (at := text.find(line)) >= 0]


def stated(text: str) -> list[tuple[int, int]]:
    "The places of the figures of a text's sentences."
    return [figure.span() for figure in FIGURE.finditer(plain(text))]


def test_what_is_committed_fits(found: Callable[[], list[Mismatch]], copied: Path) -> None:
    assert found() == []
    assert {path.name: bad for path, bad in verify_benchmarks(copied / "reports").items() if wrong(bad)} == {}
    assert {page.stem for page in PRINTED} >= {"results", "index", "01_chunking", "06_hybrid", "12_planted_attacks", "25_growth"}
    assert {page.name[:4] for page in BOUND} >= {"0005", "0006", "0007", "0016", "0017"}


@pytest.mark.parametrize("name", MEASURED)
def test_a_changed_digit_of_a_benchmark_is_found(name: str, tmp_path: Path) -> None:
    rows, path = (shutil.copy(ROOT / "reports" / file, tmp_path) for file in (f"{name}.jsonl", BENCHMARKS[name][0]))
    for file in map(Path, (rows, path)):
        text = file.read_text("utf-8")
        for line, changed in sampled(text, digits(text, [(0, len(text))]), name, 4):
            file.write_text(changed, "utf-8")
            said = [mismatch.said for mismatch in verify_benchmark(name, Path(rows), Path(path))]
            assert said, changed[:80]
            assert file == Path(rows) or f"line {line}, " in said[-1], (line, said)
        file.write_text(text, "utf-8")


@pytest.mark.parametrize("path", [*PRINTED, ROOT / "README.md", *BOUND], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_changed_digit_of_a_page_is_found(path: Path, copied: Path, found: Callable[[], list[Mismatch]]) -> None:
    copy, text = copied / path.relative_to(ROOT), path.read_text("utf-8")
    spans = [(0, len(text))] if path.name == "README.md" else printed(text, json.loads(text)) if path in PRINTED else stated(text)
    places = digits(text, spans)
    assert places
    try:
        for line, changed in sampled(text, places, path.name):
            copy.write_text(changed, "utf-8")
            said = [mismatch.said for mismatch in found() if mismatch.file == path.name]
            assert any(f"line {line}" in one for one in said), (line, said)
            assert any("computed “" in one or " gives " in one for one in said), said
    finally:
        copy.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The committed reports, to be edited."
    return Path(shutil.copytree(ROOT / "reports", tmp_path_factory.mktemp("runs") / "reports"))


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in sorted((ROOT / "reports").rglob("*.*")) if path.parent.name != "reports" or path.name in ("index.html", "README.md")],
                         ids=lambda path: path.relative_to(ROOT / "reports").as_posix())
def test_a_changed_digit_of_a_report_is_found(path: Path, runs: Path) -> None:
    copy, text = runs / path.relative_to(ROOT / "reports"), path.read_text("utf-8")
    try:
        for _, changed in sampled(text, digits(text, [(0, len(text))]), path.as_posix().removeprefix(ROOT.as_posix()), 2):
            copy.write_text(changed, "utf-8")
            said = [] if path.parent.name == "reports" else verify_run(copy.parent, ROOT / "experiments")
            if path.parent.name == "reports" or path.name == MANIFEST:  # the index pins the manifests whole, the versions in them too
                said += verify_index(runs)
            assert said
            assert path.name in [mismatch.file for mismatch in said] or path.name == MANIFEST, said  # a wrong pin names the file pinned
    finally:
        copy.write_text(text, "utf-8")


@pytest.mark.parametrize(("sentence", "unbound"), [
    ("It answers 88% of them.", 1), ("It takes 20 ms, or 3.2× as long.", 2), ("A score of .81 is high.", 1), ("All 2,000 pages.", 1), ("A rate of 5 %.", 1),
    ("It finds 61 of the 64.", 1),
    ("Python 3.11, version 2.0.1, below 1.0 and Apache License 2.0.", 0),
    ("`k = 0.5` and [results](a-0.5.md), in 2026, on 31 March, q066, A1-990, 127.0.0.1.", 0), ("```\nTHROTTLE=0.3\n```", 0),
])  # fmt: skip
def test_a_figure_without_a_source_is_named(sentence: str, unbound: int, tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(f"# Changes\n\n{sentence}\n")
    said = [mismatch.said for mismatches in verify_prose(tmp_path, Reports(tmp_path)).values() for mismatch in mismatches]
    assert len(said) == unbound
    assert all("line 3: " in one and "unbound figure" in one for one in said)


@pytest.mark.parametrize("source", ["reports/none.json a .2f", "reports/bench.json rows/9/measured .2f", "reports/bench.json rows/0/measured .2q", "ragwb/none.py NAME .2f"])
def test_a_source_that_cannot_be_read_is_named(source: str, tmp_path: Path) -> None:
    write_benchmark(tmp_path, "bench", {}, [TURNS])
    (tmp_path / "reports").symlink_to(tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(f"It takes 1.11×<!-- {source} --> as long.\n")
    [mismatch] = verify_prose(tmp_path, Reports(tmp_path, recomputed=True))[tmp_path / "CHANGELOG.md"]
    assert "source that cannot be read" in mismatch.said


def test_a_figure_printed_by_other_code_is_named(copied: Path, found: Callable[[], list[Mismatch]]) -> None:
    path = copied / "nbs/results.ipynb"
    text = path.read_text("utf-8")
    page = json.loads(text)
    page["cells"][1]["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["recall 0.99\n"]}]
    try:
        path.write_bytes(published.notebook_bytes(page))
        assert "0.99 is printed by a cell that does not call published()" in " ".join(mismatch.said for mismatch in found())
    finally:
        path.write_text(text, "utf-8")


def test_a_summary_needs_rows_and_a_file_needs_a_benchmark(tmp_path: Path) -> None:
    write_benchmark(tmp_path, "bench", {}, [TURNS])
    (tmp_path / "bench.jsonl").unlink()
    (tmp_path / "speed.json").write_text("{}")
    said = {path.name: mismatches[0].said for path, mismatches in verify_benchmarks(tmp_path).items()}
    assert "nothing vouches for bench" in said["bench.json"]
    assert "no benchmark is known that writes it" in said["speed.json"]


def test_figures_that_are_not_measured_again_stay(tmp_path: Path) -> None:
    def publish(*names: str) -> None:
        seconds = dict.fromkeys(("libraries", "ask", "python", "import", "help"), [1.0])
        figures.publish(figures.Console(quiet=True), tmp_path, "bench", {}, [{"figure": name, "seconds": seconds} for name in names], {"start": None, "ask": None}, write=True)

    publish("start", "ask")
    publish("ask")
    assert [row["figure"] for row in read_rows(tmp_path, "bench")] == ["start", "ask"]
    assert verify_benchmarks(tmp_path) == {tmp_path / "bench.json": []}


def test_a_run_that_does_not_fit_and_is_older_than_the_code_says_so(tmp_path: Path) -> None:
    run = shutil.copytree(ROOT / "reports/08_search", tmp_path / "08_search")
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(re.sub(r'"code": "\w+"', '"code": "000000000000"', text))
    metrics = (run / "metrics.json").read_text()
    (run / "metrics.json").write_text(re.sub(r'("value": \d*\.)(\d)', lambda found: found[1] + str((int(found[2]) + 5) % 10), metrics, count=1))
    assert "older than the code: made by 000000000000" in verify_reports(run)[run][0].said


def test_verify_alone_checks_the_whole_checkout(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    write_benchmark(tmp_path / "reports", "bench", {}, [TURNS])
    (tmp_path / "CHANGELOG.md").write_text("`ragwb ask` takes 1.11×<!-- reports/bench.json rows/0/measured .2f --> as long as its imports.\n")
    done = ragwb(tmp_path, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "reports/bench.json").write_text((tmp_path / "reports/bench.json").read_text().replace("1.11×", "1.01×"))
    (tmp_path / "CHANGELOG.md").write_text((tmp_path / "CHANGELOG.md").read_text().replace("1.11×", "1.31×"))
    done = ragwb(tmp_path, "verify")
    assert done.returncode == 1
    assert "computed “" in done.stdout
    assert "1.11×" in done.stdout
    assert "line 1: stored 1.31×, reports/bench.json rows/0/measured gives 1.11" in done.stdout
    nothing = ragwb(tmp_path / "reports", "verify")
    assert nothing.returncode == 1
    assert "there is no reports/" in nothing.stderr
    assert "Traceback" not in nothing.stderr
