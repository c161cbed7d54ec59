"What makes preparation cheap changes nothing that it gives."

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragwb.config import PipelineConfig
from ragwb.documents import identity, periods, text
from ragwb.documents.document import Document
from ragwb.documents.language import ABBREVIATION, SENTENCE_END, is_abbreviation, sentences, terms, word_terms, words
from ragwb.documents.parsing import Limits
from ragwb.indexing.embedding import WordLlamaEmbedder, portable, wordllama_embedder
from ragwb.indexing.store import Store
from ragwb.ingestion.ingest import ingest
from ragwb.ingestion.sources import gather_files

MARKDOWN = st.sampled_from([
    "# ", "#", "## a", "\n", "\n\n", "===", "---", "=", "-", " ", "    ", "\t", "> ", "- ", "* ", "1. ", "2) ", "a", "word. Next", "[foo]: /url ", "'", '"', "(",
    "```", "~~~", "````", "\n```\n", "\n```sh\n", "# T\n\n", "Para", "\r",
    "<!--", "-->", "<script>", "</script>", "<div>", "| a | b |", "|---|---|", "\r\n", "\\", "0", "é"])


@settings(max_examples=500, deadline=None)
@given(st.lists(MARKDOWN, max_size=30).map("".join))
@example("word\n~~~\n\n# a\n~~~\n")
@example("1. a\n\n    # b\n")
@example("<!-- a\n\n# b\n-->")
@example("````\n```\n\n# a\n````\n\n# b")
@example("a\r\n=\r\n\r\n# b # c")
def test_parts_of_a_text_have_the_headings_that_the_whole_has(markdown: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = text.markdown_headings(markdown)
        patch.setattr(text, "markdown_parts", lambda whole: [(0, len(whole))] if whole else [])
        patch.setattr(text, "ALONE", re.compile(r"(?!)"))
        patch.setattr(text, "UNDERLINE", re.compile(""))
        assert found == text.markdown_headings(markdown)


def test_most_of_a_text_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    "Neither code, nor prose, nor a heading that has a part for itself."
    parsed = list[str]()
    monkeypatch.setattr(text.MARKDOWN.block, "parse", lambda part, *rest: parsed.append(part))
    found = text.markdown_headings("# One\n\nSome *prose*.\n\n- an item\n\nThus:\n```sh\n# no heading\n```\n## Two\n\n> # three\n")
    assert [heading.title for heading in found] == ["One", "Two"] and parsed == ["> # three\n"]


def test_a_title_of_a_link_may_hold_an_underline() -> None:
    "The last line that can make a heading is none, which only the line after it shows."
    assert text.markdown_headings('[a]: /url "the\n===\ntitle"\n\nText.') == []


WORDS = st.sampled_from(["Mr.", "e.g.", "A.B.", "A.", " ", "(", "[", "“", '"', "\n", "Fig", "x", "Sept.", ".", "!",
                         "a.b.c.d.e.f.g.h.", "ünd.", " Next", "approx.", "\x1c", "\u00a0"])


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=12).map("".join))
def test_an_abbreviation_is_told_by_its_word(written: str) -> None:
    if window := written[-16:].rstrip():
        assert is_abbreviation(window.rsplit(None, 1)[-1]) == (ABBREVIATION.search(window) is not None)


PIECES = st.sampled_from([*"abeilnrstuoAIS0129-./'’_,;:!?…。！？()[]\"”»| \n", "ae", "oe", "ü", "ß", "日本", "ё",
                          "n't", "'s ", " May 2023", "1,234.5mm", "KX 4109 B", " [12] ", ". A", "\u0301", "²", "٣"])


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
@example("a1-990-s, 3.5mm (b) 7")
def test_terms_are_those_of_the_words(written: str) -> None:
    assert terms(written) == [term for word in words(written) for term in word_terms(word)]


EVERY_WAY = re.compile(  # as SENTENCE_END, without its first sign in front of all ways
    r"(?<![.!?…])[.!?…]++[\"'”’)\]»]*+\s++(?=[\"'“‘«(\[]?[A-ZÀ-ÖØ-Þ0-9$€£¥])"
    r"|(?<=[a-z]{4})[.!?]++\s++(?=[a-z])|[。！？]++[」』”’]*+\s*+|(?<![.!?])[.!?]++[\"”’)\]]*\[\d+\]\s*+")


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
@example("abc. def. Ghi")
@example("abcd. ef… Gh。 i.[1] j")
def test_sentences_end_where_one_of_the_ways_says_so(written: str) -> None:
    assert [end.span() for end in SENTENCE_END.finditer(written)] == [end.span() for end in EVERY_WAY.finditer(written)]
    assert all(written[low:high].strip() == written[low:high] for low, high in sentences(written))


SAID = st.sampled_from((
    "first third last Q1 q2 4q fiscal FY23 fy2023 '23 2023 1999 00123 quarter Quarter year ended Ending: "
    "attended of the to for March Sept. 24, 30 months six half early end "
    "spring form Form 10-K S-1 DEF 14A information schedule definitive proxy statement "
    "Version revision rev. issue no. v2.1 V3 3.1 D superseded replaced by on withdrawn no longer "
    "valid in force applicable archived draft effective date since until 2024-03-01 1.2.2023 "
    "| - , . : ( ) / ; \n \n commission file number 000-1234 (Exact name registrant Corp) is der und les est a").split(" "))


@settings(max_examples=500, deadline=None)
@given(st.lists(SAID, max_size=30).map(" ".join), st.sampled_from(["a.md", "fy23-q2.pdf", "policy 2024 v2.docx", "00123.md"]))
@example("Superseded by version 4", "a.md")
@example("in 2019", "a.md")
@example("period ended June 24, 2023", "a.md")
@example("Version no. 3\nv2.1", "a.md")
@example("Form\u00a010-K", "a.md")
@example("valid from 1.2.2023\nDraft", "a.md")
def test_what_is_not_looked_for_is_not_there(written: str, id: str) -> None:
    "A hint that some match of its pattern lacks would hide that match."
    document = Document(id, written, "md", "0" * 64, written[:30])
    with pytest.MonkeyPatch.context() as patch:
        found = identity.found_identity(document), periods.named_periods.__wrapped__(written)
        patch.setattr(identity, "sought", lambda pattern, text, *hints: pattern.search(text))
        patch.setattr(periods, "PERIODS", tuple(("", pattern, made) for _, pattern, made in periods.PERIODS))
        patch.setattr(periods, "may_be_named", lambda text, small: True)
        periods.named_periods.cache_clear()
        assert found == (identity.found_identity(document), periods.named_periods.__wrapped__(written))
        periods.named_periods.cache_clear()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(0, 12))
def test_a_vector_does_not_depend_on_the_texts_around_it(texts: list[str], cut: int) -> None:
    "So workers may embed document by document, and the caller thousands of chunks at once."
    model = wordllama_embedder()
    apart = np.concatenate([model.embed(part) for part in (texts[:cut], texts[cut:]) if part])
    assert apart.tobytes() == model.embed(texts).tobytes()


class Own(WordLlamaEmbedder):
    "No worker can make this one."


def test_a_collection_is_the_same_whoever_embeds(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.md").write_text(f"# Pump {number}\n\n" + " ".join(f"Seal A{n}-990 takes {n} Nm: Dr. Ohm." for n in range(40 * number)) + "\n\n## End\n")
    (tmp_path / "prices.csv").write_text("part,eur\nA1-990,42\n")
    rows, files = list[Any](), sorted(tmp_path.iterdir())
    for model in (wordllama_embedder(), Own()):
        collection = Store(tmp_path / f"home-{len(rows)}").create("pumps", PipelineConfig(), model.dimensions)
        assert bool(portable(model)) is (model is wordllama_embedder())
        assert ingest(collection, model, gather_files(files).sources, Limits(), 2).new == 13
        columns = ["kind", "id", "text", "context", "terms", "start", "end", "page", "labels", "vector", "maps"]
        rows.append(collection.rows("id IS NOT NULL", columns).sort_by("id").to_pylist())
    assert rows[0] == rows[1] and len(rows[0]) > 40
