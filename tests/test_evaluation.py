"`ragwb eval` on a small data set: the split that is named, the rungs beside the score, what it can show; and what counts as evidence."

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragwb.cli import main
from ragwb.documents.document import Span
from ragwb.evaluation.metrics import evidence_cited, statement_precision

DOCUMENTS = {"1.md": "Oil drips from the shaft of the pump.", "2.md": "Full-time staff get 30 days of vacation.", "3.md": "The valve V-7 opens at 6 bar."}
QUESTIONS = [  # the first is asked in words that its document does not have
    {"id": "a", "split": "dev", "question": "Is anything leaking?", "answer": "drips", "evidence": [{"document": "1.md", "quote": DOCUMENTS["1.md"]}]},
    {"id": "b", "split": "dev", "question": "At how many bar does V-7 open?", "answer": "6 bar", "evidence": [{"document": "3.md", "quote": DOCUMENTS["3.md"]}]},
    {"id": "c", "split": "test", "question": "How many days of vacation are there?", "answer": "30", "evidence": [{"document": "2.md", "quote": DOCUMENTS["2.md"]}]},
]


def evaluated(folder: Path, *options: str) -> tuple[dict, list[str]]:
    "What `ragwb eval --json` prints, and the questions of its rows."
    (folder / "docs").mkdir(exist_ok=True)
    for name, text in DOCUMENTS.items():
        (folder / "docs" / name).write_text(text)
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    done = CliRunner().invoke(main, ["eval", str(folder), "--json", "--rows", str(folder / "rows.jsonl"), *options], env={"RAGWB_HOME": str(folder / "home")})
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), [json.loads(line)["id"] for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize(("split", "ids"), [("dev", ["a", "b"]), ("test", ["c"]), ("", ["a", "b", "c"])])
def test_a_split_is_scored_alone(tmp_path: Path, split: str, ids: list[str]) -> None:
    summary, rows = evaluated(tmp_path, "--no-ladder", "--split", split)
    assert (summary["questions"], rows) == (len(ids), ids)


def test_the_rung_bm25_alone_has_no_vectors(tmp_path: Path) -> None:
    "The question without a word of its document: only vectors find it."
    summary, _ = evaluated(tmp_path, "--split", "dev")
    recall = {rung: scores["evidence_recall@5"] for rung, scores in summary["ladder"].items() if "evidence_recall@5" in scores}
    assert recall == {"bm25": 0.5, "config": 1.0, "oracle": 1.0}


def test_json_has_what_each_metric_can_show(tmp_path: Path) -> None:
    summary, _ = evaluated(tmp_path)
    assert set(summary["metrics"]) >= {"statement_precision", "first_citation_right", "answer_words", "evidence_recall@5"}
    assert all(found["can_show"] > 0 for found in summary["metrics"].values())
    assert summary["metrics"]["first_citation_right"]["can_show"] == pytest.approx(2.8016 * 2**0.5 / 3, abs=1e-3)  # all three are right: the caution of one that is not


def test_a_beir_set_has_all_rungs(tmp_path: Path) -> None:
    "No gold answer, so the constant says nothing; its relevant documents are what the oracle finds and reads."
    for name, rows in {"corpus": [{"_id": id, "title": "", "text": text} for id, text in DOCUMENTS.items()],
                       "queries": [{"_id": row["id"], "text": row["question"]} for row in QUESTIONS]}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "qrels").mkdir()
    judged = "".join(f"{row['id']}\t{row['evidence'][0]['document']}\t1\n" for row in QUESTIONS)
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    done = CliRunner().invoke(main, ["eval", str(tmp_path), "--json"], env={"RAGWB_HOME": str(tmp_path / "home")})
    ladder = json.loads(done.stdout)["ladder"]
    assert {rung: scores.get("mrr") for rung, scores in ladder.items()} == {"constant": None, "closed_book": None, "bm25": pytest.approx(2 / 3), "config": 1.0, "oracle": 1.0}
    assert ladder["constant"] == {} and ladder["oracle"]["citation_precision"] == 1.0
    shown = CliRunner().invoke(main, ["eval", str(tmp_path)], env={"RAGWB_HOME": str(tmp_path / "home"), "COLUMNS": "120"}).stdout
    assert [line.split()[2:7] for line in shown.splitlines() if line.strip().startswith("documents MRR")] == [["–", "–", "0.667", "1.000", "1.000"]]


def test_a_citation_that_touches_the_evidence_by_a_character_is_none() -> None:
    gold = [Span("a.md", 100, 140)]
    touching, half, whole = Span("a.md", 60, 101), Span("a.md", 60, 120), Span("a.md", 0, 900)
    assert [evidence_cited(gold, [cited]) for cited in (touching, half, whole)] == [0, 1, 1]
    assert statement_precision(gold, [touching, half, whole]) == pytest.approx(2 / 3)
