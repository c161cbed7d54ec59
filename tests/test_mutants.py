"`make mutants` makes changes that parse and differ, and tells those that something notices from those that nothing does."

import ast
import random
import subprocess
import sys

from mutants import ROOT, chosen
from mutations import mutants_of

SOURCE = b'''
def price(amount: int = 3, label: str = "a") -> float:
    "Not changed."
    if amount < 2 and not label:
        return 0.5
    print(f"{amount + 1} of {label}")
    assert amount > 1
    return amount * 2 if label in ("a", "b") else None
'''


def test_each_kind_of_change_is_made_once_and_nothing_else_is_touched():
    made = [(mutant.line, mutant.old, mutant.new) for mutant in mutants_of("ragwb/x.py", SOURCE)]
    assert sorted(made) == sorted([
        (2, "3", "4"), (2, '"a"', '""'),
        (4, "amount < 2 and not label", "(amount < 2 or not label)"), (4, "amount < 2", "(amount <= 2)"), (4, "2", "3"), (4, "not label", "(label)"),
        (5, "return 0.5", "return None"), (5, "return 0.5", "pass"), (5, "0.5", "1.0"),
        (6, 'print(f"{amount + 1} of {label}")', "pass"),
        (8, 'return amount * 2 if label in ("a", "b") else None', "return None"), (8, "amount * 2", "(amount / 2)"), (8, "2", "3"),
        (8, 'label in ("a", "b")', "(label not in ('a', 'b'))"),
    ])  # fmt: skip


def test_a_change_is_another_program():
    for mutant in random.Random(0).sample(chosen(["06_retrieval", "05_indexing/01_chunking"]), 200):
        source = (ROOT / mutant.path).read_bytes()
        after = source[:mutant.start] + mutant.new.encode() + source[mutant.end:]
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(source)), mutant


def test_a_rank_from_another_number_is_noticed(tmp_path):
    line = next(n for n, text in enumerate((ROOT / "ragwb/retrieval/fusion.py").read_text().splitlines(), start=1) if "start=1" in text)
    command = [sys.executable, "tests/tools/mutants.py", f"06_retrieval/01_fusion:{line}", "--out", str(tmp_path / "mutants.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "| all | 1 | 1 (100%) |" in (tmp_path / "mutants.md").read_text(), done.stdout + done.stderr
    assert "start=1" in (ROOT / "ragwb/retrieval/fusion.py").read_text()
