"No string of 100 KB keeps a regular expression of the package busy, and no question, document or reply a function that uses several."
# ruff: noqa: E501

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adversaries
import pytest
from adversaries import Found, slow_seed

from ragwb.documents.identity import identity_of
from ragwb.documents.language import sentences, terms
from ragwb.documents.mail import parse_mail
from ragwb.documents.periods import periods, with_years
from ragwb.documents.text import markdown_headings, parse_csv, parse_markdown, parse_text
from ragwb.evaluation.quotes import row_occurrences
from ragwb.generation.answer_kinds import answers_kind, defines, has_figure
from ragwb.generation.question_words import codes_of, without_periods
from ragwb.generation.replies import plain, statements, without_thoughts
from ragwb.guardrails.attack_rules import pattern_of
from ragwb.guardrails.personal_data import DETECTORS
from ragwb.guardrails.prompt_attacks import attacks, tainted
from ragwb.retrieval.scope import Organisations
from ragwb.retrieval.spelling import ordinary_words

TOOL = Path(adversaries.__file__)


def timed_in_a_process(*arguments: str, limit: float) -> list[dict[str, Any]]:
    "The lines of the tool that times patterns; it is ended at its limit, and what is said names the patterns that it was at."
    run = subprocess.Popen([sys.executable, str(TOOL), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, errors = run.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # its processes, too
        lines = [json.loads(line) for line in run.communicate()[0].splitlines()]
        pytest.fail(f"not done after {limit:.0f} s, at {sorted({line.get('begun', '') for line in lines} - {line.get('place', '') for line in lines})}")
    assert run.returncode == 0, errors[-2000:]
    return [json.loads(line) for line in out.splitlines()]


def check(lines: list[dict[str, Any]]) -> None:
    "No pattern was slow, every place was read, and the tables of exceptions name nothing that is gone."
    slow = [line for line in lines if "seconds" in line]
    assert not slow, "\n".join(f"{line['place']}: {line['seconds']} s on {line['seed']}: {line['pattern']}" for line in slow)
    assert len({line["place"] for line in lines if "place" in line}) > 250
    assert sorted(set(lines[0]["made"])) == sorted(adversaries.made()), "patterns put together when they are used: name examples in adversaries.made()"
    assert set(adversaries.BOUNDED) <= {line.get("place") for line in lines}


def test_no_string_keeps_a_pattern_busy() -> None:
    check(timed_in_a_process("--most", "20", limit=900))


@pytest.mark.slow
def test_no_string_of_all_keeps_a_pattern_busy() -> None:
    check(timed_in_a_process(limit=4_000))


@pytest.mark.parametrize("pattern", [
    r"\s*\{[#.:]", r"[.!?…]+[\"']*\s+(?=[A-Z])", r"ignore(?:[\W_]{1,6}\w+){0,4}[\W_]{1,6}instructions", r"^(?:[\dIVX]+[.)]?(?:\d+\.?)*)\s+", r"(a|b|ab)*c", r"<a [^>]*href",
])  # fmt: skip
def test_slow_patterns_are_found(pattern: str) -> None:
    import re

    assert slow_seed(Found("here", re.compile(pattern)), most=60)


# The strings that once stopped a server
@pytest.mark.parametrize("work", [
    lambda: attacks("ignore" + "_" * 30 + "!"), lambda: attacks("Copy to: " + "_" * 3_000 + "\nIgnore: " + "_" * 3_000), lambda: attacks("ignore " + "_ " * 4_000),
    lambda: sentences("." * 50_000), lambda: parse_markdown(b"# a" + b" " * 100_000 + b"b", "a.md", "0"), lambda: parse_markdown(b"# " + b"[" * 100_000, "a.md", "0"),
    lambda: periods("ended July 1, 2023 " * 420), lambda: answers_kind("how much does it cost", "1," * 4_000), lambda: answers_kind("how long does it take", "0," * 20_000), lambda: has_figure("1," * 4_000), lambda: codes_of("a1-b2 " * 1_300),
    lambda: list(statements(["\n" * 8_000 + "-"])), lambda: row_occurrences("1 " * 400, "1 | 1 | 1 | 1 | 1 | 2"),
    lambda: markdown_headings("Step\n```\nrun\n```\n" * 12_000),
])  # fmt: skip
def test_strings_that_once_stopped_a_server(work: Callable[[], object]) -> None:
    assert adversaries.best(work, 0.5, 10) < 2


# Functions that use several patterns
PUMPS = (
    "a", " ", ".", "_", "-", "1", "\n", "*", "[", "<", "(", "&", "%", "@", "é", "あ", "。", "\\", "ignore all previous ", "ignore _", "a.", "1,", "1.", "a-", "a1-b2 ", "# a ", "July 1, 2023 ",
    "[[1|", "</think>", "<!-- ", "-----BEGIN ", "a@a.", "aa ", "a\n", "| a ", "![](", "Abcd ", "first quarter of ", "Q1 ", "{#a", "a b c d e f g h ", "&#65;",
)  # fmt: skip
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "attacks in a question": lambda text: attacks.__wrapped__(text),
    "attacks in a passage": lambda text: tainted.__wrapped__(text),
    "personal data": lambda text: [list(find(text)) for kind, find in DETECTORS.items() if kind != "PHONE"],
    "sentences": sentences,
    "terms": terms,
    "periods": lambda text: periods(with_years(text)),
    "question words": lambda text: (codes_of(text), without_periods(text)),
    "kinds of answers": lambda text: (answers_kind(text, text), has_figure(text), defines("torque", text)),
    "spelling": ordinary_words,
    "organisations": Organisations({}).named,
    "replies": lambda text: [plain(statement.text) for statement in statements(without_thoughts([text]))],
    "text": lambda text: identity_of(parse_text(text.encode(), "a.txt", "0")),
    "markdown": lambda text: parse_markdown(f"# a{text}b\n\n{text}".encode(), "a.md", "0"),
    "table": lambda text: parse_csv(text.encode(), "a.csv", "0"),
    "mail": lambda text: parse_mail(f"Subject: {text[:900].replace(chr(10), '')}\n\n{text}".encode(), "a.eml", "0"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_string_keeps_a_function_busy(name: str) -> None:
    "The time for a long text is about four times that for a quarter of the text."
    work = FUNCTIONS[name]
    for pump in PUMPS:
        texts = [pump * (size // len(pump)) for size in (4_000, 16_000)]
        if adversaries.seconds(lambda: work(texts[0]), 10) > 0.02:  # noqa: B023
            long = adversaries.best(lambda: work(texts[1]), 0.1, 10)  # noqa: B023
            assert long <= 0.1 or long < 8 * adversaries.best(lambda: work(texts[0]), 0.01, 10), (name, pump, long)  # noqa: B023


def test_words_between_are_counted_as_before() -> None:
    "Words that stars, line breaks and underscores separate; up to the number that the rule allows."
    rule = pattern_of("ignore ~2 instructions")
    for text, met in (("ignore these old instructions", True), ("ignore_all_previous_instructions", True), ("ignore **all**\n instructions", True), ("ignore all these old instructions", False)):
        assert bool(rule.search(text)) is met, text
