"A model's reply, whatever its form, ends in proven statements or in none: replies of a real small model, and those that others are known to write."

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk
from test_language_model import QUESTION, bench

from ragwb.answering.citations import find_quote, prove, supporting
from ragwb.answering.pipeline import Pipeline
from ragwb.answering.proof import ProvenReply
from ragwb.config import PipelineConfig
from ragwb.generation.prompts import Passage
from ragwb.generation.replies import statements
from ragwb.guardrails.gate import AnswerGate
from ragwb.guardrails.guard import OPEN

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "smollm2_replies.jsonl").read_text("utf-8").splitlines()]  # SmolLM2-135M-Instruct, at temperature 0
SHEET = ("The A1-990 is tightened with 42 N m.", "It is made of “nitrile” – not\nof steel.", "The office in Harrowfell has 12 desks; at Varnmouth there is a shed.")


def passages_of(texts: tuple[str, ...]) -> list[Passage]:
    "Passages one after the other in a document."
    starts = [sum(len(text) + 1 for text in texts[:at]) for at in range(len(texts))]
    return [Passage(at + 1, "seals.md", start, start + len(text), text, "Seals") for at, (start, text) in enumerate(zip(starts, texts, strict=True))]


def replied(reply: str, passages: list[Passage] | None = None, question: str = "", finish: str = "stop", size: int = 10_000) -> ProvenReply:
    "A reply as far as it is proven by passages of documents that hold nothing else."
    passages, texts = passages or passages_of(SHEET), dict[str, str]()
    for one in passages:
        text = texts.get(one.document, "").ljust(one.end)
        texts[one.document] = text[:one.start] + one.text + text[one.end:]
    reader: Any = SimpleNamespace(document=lambda id: SimpleNamespace(id=id, text=texts[id], page_at=lambda at: None, quote=lambda start, end: texts[id][start:end]),
                                  unchanged=lambda id, start, text: texts[id][start:start + len(text)] == text)
    made = ProvenReply(passages, reader, AnswerGate(OPEN, [], question), "openai:small")
    parts: list[Any] = [AIMessageChunk(content=reply[at:at + size]) for at in range(0, len(reply), size)]
    for _ in made.events(iter([*parts, AIMessageChunk(content="", response_metadata={"finish_reason": finish})])):
        pass
    return made


def test_replies_of_a_real_small_model_show_only_what_is_proven() -> None:
    shown = {}
    for row in RECORDED:
        made = replied(row["reply"], [Passage(**passage) for passage in row["passages"]], row["question"], row["finish"])
        assert bool(made.text) == bool(made.citations)
        if made.text:
            shown[row["question"]] = made.text
    assert shown == {
        "Can I sell leave?": "No. Leave is there for rest. [1] It is paid out only when you leave the company. [2]\n\nI fell ill during my holiday. [3]",
        "Is K-USB-3 usable with the FLX-1?": "No, K-USB-3 is not usable with the FLX-1. [1]",
        "Which classification societies approved the A1-999?": "The A1-999 is approved by two ship classification societies. [1]",
    }, "of 20 replies three say what a passage says; the others are invented (the fire assembly point is another site's) and not shown"


TORQUE = "It needs 42 N m. [1]"
FORMS = {
    "as asked": 'It needs 42 N m. [1] "tightened with 42 N m"', "as asked before": "It needs 42 N m. [[1|tightened with 42 N m]]",
    "one bracket is missing": "It needs 42 N m. [[1|tightened with 42 N m]", "one bracket": "It needs 42 N m. [1|tightened with 42 N m]",
    "a word before the number": "It needs 42 N m. [[Passage 1: tightened with 42 N m]]", "other brackets": "It needs 42 N m. 【1】“tightened with 42 N m”",
    "the mark on a line of its own": 'It needs 42 N m.\n[1] "tightened with 42 N m"', "case and white space": 'It needs 42 N m. [1] "Tightened  with 42 n m."',
    "the middle left out": 'It needs 42 N m. [1] "The A1-990 is … with 42 N m"', "the wrong passage": 'It needs 42 N m. [3] "tightened with 42 N m"',
    "bold, and a label": '**Answer:** It needs 42 N m. [1] "tightened with 42 N m"', "a list": '1. It needs 42 N m. [1] "tightened with 42 N m"',
    "thoughts": '<think>42 or 43? [1] "43 N m"</think>It needs 42 N m. [1] "tightened with 42 N m"',
    "thoughts that began before": 'Let me see. It may need 43 N m.\n</think>\nIt needs 42 N m. [1] "tightened with 42 N m"',
    "JSON": '{"answer": "It needs 42 N m.", "passage": 1, "quote": "tightened with 42 N m"}',
    "JSON in a fence": '```json\n[{"statement": "It needs 42 N m.", "source": "Passage 1", "quote": "tightened with 42 N m"}]\n```',
    "JSON that was cut": '[{"statement": "It needs 42 N m.", "passage": 1, "quote": "tightened with 42 N m"}, {"statement": "It is',
    "the same again and again": 'It needs 42 N m. [1] "tightened with 42 N m" ' * 9,
    "rambling before": 'Seals are a fascinating subject with a long history. It needs 42 N m. [1] "tightened with 42 N m"',
    "rambling after": 'It needs 42 N m. [1] "tightened with 42 N m"\n\nI hope that this helps you with all your seals!',
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_every_form_of_a_proven_statement_is_read(form: str, size: int) -> None:
    made = replied(FORMS[form], size=size)
    assert (made.text.strip(), [citation.document for citation in made.citations]) == (TORQUE, ["seals.md"])


@pytest.mark.parametrize("reply", [
    "", "NO ANSWER", "**NO ANSWER.** The passages are about seals.", "<think>42 N m [1] \"42 N m\"", "[1]", "{}", "[[1|", "It needs 43 N m. [1]", "It needs 43 N m.",
    'It needs 43 N m. [1] "tightened with 42 N m"', 'It needs 42 N m. [1] "tightened with 43 N m"',
    'It is 2 N m. [1] "2 N m"', 'Seals are free. [1] "the"', "It is made of nitrile and gold and silver.",
    "It is made of steel. [2]", "Varnmouth has 12 desks. [3]",
    "The passages do not mention a price. [1] \"The A1-990\"", "There is no information about Tesla. [2]", "Is it tightened with 42 N m? [1]",
    "lorem ipsum " * 200, '{"answer": "It needs 43 N m.", "passage": 1, "quote": "tightened with 43 N m"}', "<passage n=\"1\">",
])  # fmt: skip
def test_what_is_not_proven_is_not_shown(reply: str) -> None:
    made = replied(reply)
    assert (made.text, list(made.citations)) == ("", [])


def test_a_statement_without_a_quote_is_given_its_sentence() -> None:
    named, unnamed = replied("The A1-990 is tightened with 42 N m. [1]"), replied("It is made of nitrile, not of steel.")
    assert named.citations[0].quote == SHEET[0] and unnamed.citations[0].quote == SHEET[1] and unnamed.text.endswith("[1]")
    assert supporting("The A1-990 is tightened with 42 N m.", passages_of(SHEET[1:])) is None


def test_a_quote_is_found_in_another_dress_and_never_inside_a_number() -> None:
    assert find_quote(SHEET[1], "it is made of 'nitrile'") is None and find_quote(SHEET[1], 'it is made of "nitrile" - not of steel')
    assert find_quote("39,669 or 9,669", "9,669") == (10, 15) and prove(1, "42", passages_of(SHEET)) is not None and prove(1, "4", passages_of(SHEET)) is None


def test_numbers_may_be_computed_from_quotes_and_not_from_nothing() -> None:
    assert replied('That is 30 more. [1] "42 N m" [3] "12 desks"').text and not replied('That is 30 more. [1] "42 N m"').text


@pytest.mark.parametrize("text", [*FORMS.values(), "A. [1]\n\nB. [2] C", "x [[1|a [2] b]] y [3] \"q\" z"])
def test_the_same_statements_come_out_wherever_a_stream_is_cut(text: str) -> None:
    if "</think>" in text:
        return  # what precedes is taken back, which a whole reply never shows
    whole = list(statements([text]))
    for size in (1, 2, 3, 7, 50):
        assert list(statements([text[at:at + size] for at in range(0, len(text), size)])) == whole


@pytest.mark.parametrize(("reply", "said", "note"), [
    ("It needs 43 N m.", "No sure answer", "The model's reply is not shown: nothing in the passages proves it (one sentence)."),
    ("NO ANSWER", "No sure answer", ""), ("Good luck!", "No sure answer", ""),
    ('It needs 42 N m. [1] "42 N m" It costs 900 dollars.', "It needs 42 N m. [1]", "Left out: one sentence of the model that nothing in the passages proves."),
])  # fmt: skip
def test_the_reader_is_told_what_was_left_out(tmp_path: Path, reply: str, said: str, note: str) -> None:
    made = bench(tmp_path)
    collection = made.store.open("default")
    answer = Pipeline(collection, PipelineConfig(), made.embedder("local:wordllama"), FakeListChatModel(responses=[reply]), made.settings).ask(QUESTION)
    assert answer.text.startswith(said) and answer.notes == ((note,) if note else ())
