"The table of faults: all that issue 3 names are in it, each row's test exists, and what it says is what is printed."

import ast
from typing import NamedTuple

import pytest
from notebooks import ROOT

from benchmarks import fault_table

NAMED = (
    "no credentials", "expired token", "wrong region", "no model access", "bucket missing", "bucket forbidden", "bucket of another owner", "object deleted under the index",
    "slow S3", "S3 5xx burst", "guardrail id missing", "answer cut by max tokens", "document of 100,000 tokens", "empty Bedrock answer",
)  # fmt: skip
QUICK = ("no credentials", "bucket missing", "bucket forbidden", "bucket of another owner", "guardrail id missing")


class Row(NamedTuple):
    "A row of the committed table."
    fault: str
    how: str
    line: str
    fix: str
    test: str


def rows() -> list[Row]:
    "The rows of the committed table."
    lines = [line for line in fault_table.REPORT.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines[1:]]
    return [Row(fault, how, line.strip("`"), fix, test.strip("`")) for fault, how, line, fix, test in cells]


def test_every_fault_is_in_the_table() -> None:
    assert [(row.fault, row.how, row.test) for row in rows()] == [(case.fault, case.how, case.test) for case in fault_table.CASES], "run make fault-table"
    assert {row.fault for row in rows()} == set(NAMED)


def test_each_has_a_test() -> None:
    for row in rows():
        path, _, name = row.test.partition("::")
        tests = [node.name for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        assert name in tests, row.test


def test_each_says_what_to_do() -> None:
    for row in rows():
        assert row.fix.startswith("(nothing: ") or (row.fix in row.line and len(row.fix.split()) >= 3), row


@pytest.mark.slow
def test_it_is_what_is_printed() -> None:
    held = {(row.fault, row.how): (row.line, row.fix) for row in rows()}
    with fault_table.desk() as at:
        for case in fault_table.CASES:
            if case.fault in QUICK:
                at.reset()
                assert fault_table.told(case, at) == held[case.fault, case.how]
