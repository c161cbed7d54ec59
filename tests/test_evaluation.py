"`ragwb eval` on a small data set: the split that is named, and the rungs beside the score."

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragwb.cli import main

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
    assert recall == {"bm25": 0.5, "config": 1.0}
