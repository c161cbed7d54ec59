"What makes preparation cheap changes nothing that it gives."

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwb.config import PipelineConfig
from ragwb.documents import text
from ragwb.documents.language import ABBREVIATION, is_abbreviation
from ragwb.documents.parsing import Limits
from ragwb.indexing.embedding import WordLlamaEmbedder, portable, wordllama_embedder
from ragwb.indexing.store import Store
from ragwb.ingestion.ingest import ingest
from ragwb.ingestion.sources import gather_files

MARKDOWN = st.sampled_from([
    "# ", "#", "## a", "\n", "\n\n", "===", "---", "=", "-", " ", "    ", "\t", "> ", "- ", "* ", "1. ", "2) ", "a", "word. Next", "[foo]: /url ", "'", '"', "(", "```", "~~~",
    "<!--", "-->", "<script>", "</script>", "<div>", "| a | b |", "|---|---|", "\r\n", "\\", "0", "é"])


@settings(max_examples=600, deadline=None)
@given(st.lists(MARKDOWN, max_size=30).map("".join))
def test_what_comes_after_the_last_heading_changes_no_heading(markdown: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = text.markdown_headings(markdown)
        patch.setattr(text, "to_last_heading", lambda whole: whole)
        assert found == text.markdown_headings(markdown)


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
