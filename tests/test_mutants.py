"`make mutants` makes changes that parse and differ, and tells those that something notices from those that nothing does."

import ast
import random
import subprocess
import sys

from behaviours import behaviours
from mutants import ROOT, chosen, key, reasons, sampled
from mutations import mutants_of

from ragwb.experiments.benchmarks import NO_REASON, read_rows
from ragwb.experiments.published import verify_benchmark

SOURCE = b'''
def price(amount: int = 3, label: str = "a") -> float:
    "Not changed."
    if amount < 2 and not label:
        return 0.5
    print(f"{amount + 1} of {label}")
    sleep(5_000)
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
        (7, "sleep(5_000)", "pass"), (7, "5_000", "10000"),
        (9, 'return amount * 2 if label in ("a", "b") else None', "return None"), (9, "amount * 2", "(amount / 2)"), (9, "2", "3"),
        (9, 'label in ("a", "b")', "(label not in ('a', 'b'))"),
    ])  # fmt: skip


def test_a_change_is_another_program():
    for mutant in random.Random(0).sample(chosen(["06_retrieval", "05_indexing/01_chunking"]), 200):
        source = (ROOT / mutant.path).read_bytes()
        after = source[:mutant.start] + mutant.new.encode() + source[mutant.end:]
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(source)), mutant


def test_half_of_a_sample_is_of_what_is_favoured():
    everything = chosen(["04_costs", "infra/cloud"])
    favoured = {*chosen(["infra/cloud"])}
    assert favoured and {mutant.path for mutant in favoured} == {"infra/cloud.py"}
    sample = sampled(everything, favoured, 40, seed=1)
    assert len({*sample}) == 40 and len(favoured & {*sample}) == 20
    assert sample == sampled(everything, favoured, 40, seed=1) != sampled(everything, favoured, 40, seed=2)


def test_the_report_is_what_its_rows_say_and_each_survivor_has_a_reason():
    rows, report = ROOT / "reports/mutants.jsonl", ROOT / "reports/mutants.md"
    assert verify_benchmark("mutants", rows, report) == [] and NO_REASON not in report.read_text("utf-8")
    why = reasons()
    assert all(row["why"] == why[key(row)] for row in read_rows(rows.parent, "mutants") if not row["how"])


def test_each_listed_behaviour_can_still_be_broken():
    listed = behaviours()
    assert len(listed) >= 21 and len({one.what for one in listed}) == len(listed)
    for one in listed:
        change = one.change()  # raises ValueError where the code has moved on
        source = (ROOT / one.file).read_bytes()
        after = source[:change.start] + change.new.encode() + source[change.end:]
        assert after != source
        if one.file.endswith(".py"):
            assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(source)), one.what


def test_a_rank_from_another_number_is_noticed(tmp_path):
    line = next(n for n, text in enumerate((ROOT / "ragwb/retrieval/fusion.py").read_text().splitlines(), start=1) if "start=1" in text)
    command = [sys.executable, "tests/tools/mutants.py", f"06_retrieval/01_fusion:{line}", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "| all | 1 | 1 (100%) |" in (tmp_path / "mutants.md").read_text(), done.stdout + done.stderr
    assert "start=1" in (ROOT / "ragwb/retrieval/fusion.py").read_text()
