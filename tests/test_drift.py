"The drift report as a notebook and a page, from answers that were really given."

from dataclasses import replace

import nbformat
import numpy as np
from click.testing import CliRunner

from ragwb.cli import main
from ragwb.indexing.embedding import embedder
from ragwb.operations import drift_report
from ragwb.settings import Settings
from ragwb.workbench import Workbench


def log(workbench, questions, hour):
    "Asks, and keeps each answer as if it had been given a minute after the one before."
    for minute, question in enumerate(questions):
        workbench.answers.save(replace(workbench.pipeline().invoke(question), id=f"20261124-{hour:02d}{minute:02d}00-00000000"))


def test_a_report_says_what_the_command_says(tmp_path):
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_files([("leave.txt", b"Full-time employees have 29 days of paid leave a year."), ("robot.txt", b"The lawn robot has a battery of 40 Wh.")])
    log(workbench, [f"How many days of paid leave do employees with {n % 7} years have?" for n in range(40)], 9)
    log(workbench, [f"What battery does lawn robot number {n} need?" for n in range(12)], 10)
    path = tmp_path / "reports" / "drift.ipynb"
    done = CliRunner().invoke(main, ["drift", "--window", "12", "--report", str(path)], env={"RAGWB_HOME": str(tmp_path / "home")})
    assert done.exit_code == 3, done.output
    assert "drift in questions" in done.output and "drift in questions" in path.with_suffix(".html").read_text("utf-8")
    cells = nbformat.read(path, as_version=4).cells
    assert any("injected-parameters" in cell.metadata.get("tags", []) and "window = 12" in cell.source for cell in cells)


def test_too_few_answers_are_said_and_no_report_is_written(tmp_path):
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_files([("leave.txt", b"Full-time employees have 29 days of paid leave a year.")])
    done = CliRunner().invoke(main, ["drift", "--report", str(tmp_path / "drift.ipynb")], env={"RAGWB_HOME": str(tmp_path / "home")})
    assert done.exit_code == 1 and "at least 10 are needed on each side" in done.output and not (tmp_path / "drift.ipynb").exists()


def record(question, number, version):
    "The part of a kept answer that drift reads; every signal varies."
    return {"question": question, "refused": number % 4 == 0, "citations": [{}] * (number % 3), "dropped_citations": number % 5 == 0, "cached": number % 6 == 0,
            "collection": "default", "index_version": version, "passages": [{"scores": {"vector": number / 100}}]}


def test_the_parts_share_one_chance_of_a_false_alarm(tmp_path, monkeypatch):
    "Each of these p-values would be an alarm at .05; of the .07 that all parts share, only the questions may use so much."
    workbench = Workbench(Settings(home=tmp_path, workers=1))
    workbench.ingest_files([(f"pump-{n}.txt", f"Pump {n} runs at {n} bar.".encode()) for n in range(10)])
    version = workbench.store.open("default").version
    workbench.ingest_files([(f"valve-{n}.txt", f"Valve {n} opens at {n} bar.".encode()) for n in range(10)])
    monkeypatch.setattr(drift_report, "same_kind", lambda *given: 0.03)
    monkeypatch.setattr(drift_report, "same_mean", lambda *given: 0.009)
    report = drift_report.drift_report([record(f"How is pump {n}?", n, version) for n in range(24)], embedder("local:wordllama"), 12, workbench.store)
    signals = dict.fromkeys(drift_report.SIGNALS, 0.009 * len(drift_report.SIGNALS))
    assert {found.name: round(found.p_value, 4) for found in report.findings} == {"questions": 0.03, **signals, "documents": 0.03}
    assert [found.name for found in report.findings if found.alarm] == ["questions"]


def test_a_signal_that_says_nothing_is_left_out(tmp_path):
    "No cache is asked yet, so answers do not say whether they are cached; nor does a window that began before they did."
    answer = Workbench(Settings(home=tmp_path, workers=1))
    answer.ingest_files([("leave.txt", b"Full-time employees have 29 days of paid leave a year.")])
    told = answer.ask("How many days of paid leave are there?").to_dict()
    assert (told["cached"], told["route"]) == (None, None) and {"cached", "route"} <= told.keys()
    records, generator = [record(f"How is pump {n}?", n, 1) for n in range(40)], np.random.default_rng(0)
    names = [found.name for found in drift_report.signal_findings(records[20:], records[:20], generator)]
    assert "from the cache" in names
    silent = [row | {"cached": None} for row in records]
    for before, now in ((silent[20:], silent[:20]), (records[20:], silent[:20])):
        assert [found.name for found in drift_report.signal_findings(before, now, generator)] == [name for name in names if name != "from the cache"]
