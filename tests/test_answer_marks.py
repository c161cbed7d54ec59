"Hostile Markdown in answers: whatever a document or a model writes, only known tags without addresses are drawn, and every citation has its chip."

import re
import time

import pytest
from lxml import html

from ragwb.app.answer_view import finished_turn, pending_turn, with_chips

CITED = [{"document": 'a"><script>alert(1)</script>.md', "page": 2, "quote": "<b>"}, {"document": "b.md", "quote": "b"}]
TAGS = {"div", "p", "strong", "em", "code", "pre", "ul", "ol", "li", "blockquote", "br", "span", "button"}
ATTRIBUTES = {"span": {"class"}, "ol": {"start"}, "button": {"class", "data-act", "data-answer", "data-n", "aria-current", "aria-label", "title", "disabled"}}
HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "<!-- x --><a href=javascript:alert(1)>x</a>",
    "![secret](http://203.0.113.7/?q=secret)", "[click](javascript:alert(1))", "[click](http://203.0.113.7 \"title\" )", "<http://203.0.113.7/x>", "http://203.0.113.7/x",
    "[ref]\n\n[ref]: http://203.0.113.7/x", "[![x](http://203.0.113.7/a)](http://203.0.113.7/b)", "`<b onclick=alert(1)>`",
    "```\"><img src=x onerror=alert(1)>\n<b>\n```",
    "| a | b |\n|:--|--:|\n| <i>x</i> | [y](http://203.0.113.7) |", "&lt;script&gt; &#60;b&#62;", "**<u>x</u>**", "\x00<b>", "# <b>x</b>",
    "<b>\n\ntext\n</b>", "1. <b>\n2. [a](data:text/html,x)",
)  # fmt: skip


def drawn(text: str) -> html.HtmlElement:
    "An answer's text as the browser reads it."
    return html.fragment_fromstring(f"<div>{with_chips(text, CITED, 'x')}</div>")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_address_is_loaded_and_no_markup_of_others_is_drawn(text: str) -> None:
    for where in (text, f"Before {text} after [1]", f"- {text} [2]", f"> {text}\n\n[1]"):
        for element in drawn(where).iter():
            assert element.tag in TAGS, (where, element.tag)
            assert set(element.attrib) <= ATTRIBUTES.get(element.tag, set()), (where, dict(element.attrib))


@pytest.mark.parametrize("text", HOSTILE)
def test_the_turns_of_a_page_hold_it_too(text: str) -> None:
    record = {"id": "x", "answer": f"{text} [1]", "citations": [*CITED], "refused": False, "model": "local:x", "route": "", "cached": None, "cost_usd": 0.0,
              "timings_ms": {}, "usage": {},
              "standalone": text, "config": "c", "index_version": 1, "dropped_citations": 0, "passages": []}  # fmt: skip
    for page in (pending_turn(f"{text} [1]", CITED), finished_turn(record, 0)):
        answer = html.fragment_fromstring(f"<div>{page}</div>").find_class("answer")[0]
        assert {element.tag for element in answer.iter()} <= TAGS and len(answer.find_class("chip")) == 1


@pytest.mark.parametrize("text", [
    "a ` b [1] c ` d [2]", "```\nopen [1]\nlines [2]", "*a [1] b* [2]", "**a [1]** **b [2]", "[a [1] b](http://x.y) [2]",
    "| a [1] | b |\n|---|---|\n| c | d [2] |", "- a [1]\n- b\n  [2]",
    "~~~\nx\n~~~\n[1][2]", "a [1](http://x.y) b [2]",
    "![a [1]](b) [1] [2]",
])  # fmt: skip
def test_every_citation_has_its_chip(text: str) -> None:
    assert {chip.get("data-n") for chip in drawn(text).find_class("chip")} == {"1", "2"}


def test_words_and_numbers_stay_as_they_are() -> None:
    assert drawn("snake_case_name 2*3*4 a_b [7] C:\\temp 5 < 6 & 7 > 2").text_content() == "snake_case_name 2*3*4 a_b [7] C:\\temp 5 < 6 & 7 > 2"
    assert drawn("to | read\n\n| x | y |").text_content() == "to · readx · y"
    assert drawn("| a | b |\n|---|---|\n| c | d | e [1] |").text_content() == "a · b\n\nc · d · e 1"


def test_hostile_lengths_are_drawn_in_time() -> None:
    began = time.perf_counter()
    for text in ("[" * 20_000, "*" * 20_000, "`" * 20_001, "> " * 5_000, "- " * 5_000, "![" * 10_000, "| " * 10_000, "[1]" * 5_000, "a" * 50_000 + " [1]", "<b " * 10_000):
        with_chips(text, CITED, "x")
    assert time.perf_counter() - began < 20
    assert re.search("data-n", with_chips("[1]", CITED, "x"))
