"What only printed outputs showed: ranks from 1, p-values that count the split that was seen, corrections for many, the page of a citation, the passages of a refusal."

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_pdf import pdf

from ragwb.answering.answer import refusal_text
from ragwb.answering.citations import Citation, cite
from ragwb.app.answer_view import in_words, refusal_note
from ragwb.commands.everyday import print_answer
from ragwb.documents.builder import TextBuilder
from ragwb.documents.document import Span
from ragwb.evaluation.comparison import FLIPS, holm, sign_flip
from ragwb.evaluation.datasets import Dataset, GoldenQuestion
from ragwb.evaluation.evaluate import Evaluation, reply_rows
from ragwb.evaluation.scoring import PlainAnswer, summarise
from ragwb.experiments.racing import MISSED, Race
from ragwb.operations.promotion import LONGER, weigh
from ragwb.retrieval.fusion import reciprocal_rank_fusion
from ragwb.settings import Settings
from ragwb.workbench import Workbench

PAGES = {  # a fact a page
    1: "The seal A1-990 is tightened with a torque of 42 N m.",
    2: "The pump K7-120 holds nine litres of oil.",
    3: "The warranty of the valve V3-500 lasts five years.",
}


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    "A workbench with a manual of three pages and four notes."
    made = Workbench(Settings(home=tmp_path_factory.mktemp("home"), workers=1))
    notes = [(f"{name}.md", f"# {name}\n\nWhoever orders {name} spare parts writes to the {name} desk.\n".encode()) for name in ("north", "south", "east", "west")]
    made.ingest_files([("manual.pdf", pdf(*([line] for line in PAGES.values()))), *notes])
    return made


def test_ranks_are_counted_from_one() -> None:
    assert reciprocal_rank_fusion([[("a", 9.0), ("b", 1.0)]], [1]) == [("a", 1 / 61), ("b", 1 / 62)]
    both = dict(reciprocal_rank_fusion([[("a", 9.0), ("b", 1.0)], [("b", 0.5)]], [1, 2], k=1))
    assert both == {"a": 1 / 2, "b": 1 / 3 + 2 / 2}


def p_of(differences: Sequence[float]) -> float:
    "Of one question a document."
    return sign_flip(differences, [f"d{n}" for n in range(len(differences))], np.random.default_rng(0))


def test_the_split_that_was_seen_counts_among_the_permutations() -> None:
    assert p_of([1.0] * 40) == 1 / (FLIPS + 1)  # none of the flips drawn is as extreme, and p is not 0
    assert p_of([0.0, 0.0, 0.0]) == 1.0


def test_a_permutation_as_extreme_as_what_was_seen_counts() -> None:
    assert p_of([1.0]) == 1.0  # + and - are as far from 0
    assert p_of([1.0, 1.0, -1.0]) == 1.0  # every split of three is 1 or 3 from 0
    assert p_of([1.0, 1.0, 1.0]) == pytest.approx(2 / 8, abs=0.02)  # +++ and --- of eight
    assert p_of([0.1, 0.2, -0.3, 0.6]) == pytest.approx(10 / 16, abs=0.02)  # 0.6 also where its digits differ: 0.6 and 0.6000000000000001


def test_p_values_are_adjusted_step_by_step() -> None:
    adjusted = holm({"c": 0.025, "a": 0.01, "d": 0.6, "b": 0.02})
    assert adjusted == pytest.approx({"c": 0.06, "a": 0.04, "d": 0.6, "b": 0.06})  # 2 * .025 is less than the step before
    assert list(adjusted) == ["c", "a", "d", "b"]


def evaluation(broken: int, metrics: Sequence[str]) -> Evaluation:
    "Forty questions of forty documents; the first metric is 0 in `broken` of them, everything else is 1."
    rows = tuple(
        {"id": f"q{n}", "question": f"How long is warranty {n}?", "kind": "", "split": "", "document": f"d{n}", "answerable": True, "milliseconds": {},
         "scores": {metric: float(metric != metrics[0] or n >= broken) for metric in metrics}} for n in range(40))
    return Evaluation("warranties", f"{broken} broken", rows, summarise(rows), {}, {})


@pytest.mark.parametrize(("broken", "metrics", "refused"), [
    (5, ["evidence_cited"], True),                         # one-sided p = 1 / 32
    (5, ["evidence_cited", "citation_precision"], False),  # 2 / 32: two metrics were looked at
    (6, ["evidence_cited", "citation_precision"], True),   # 2 / 64
])
def test_the_gate_corrects_for_the_metrics_it_looks_at(broken: int, metrics: list[str], refused: bool) -> None:
    verdict = weigh(evaluation(0, metrics), evaluation(broken, metrics))
    assert verdict.regressions == (["evidence_cited"] if refused else [])
    assert verdict.worse["evidence_cited"] == pytest.approx(len(metrics) / 2**broken, rel=0.2)


def test_the_gate_refuses_padding() -> None:
    "Forty questions of forty documents: one sentence answers each; the candidate cites two more of the same document."
    texts = {f"d{n}.md": f"Warranty {n} lasts {n + 20} months. It is written in English. Our office is open on Mondays." for n in range(40)}
    ends = {id: text.index(".") + 1 for id, text in texts.items()}
    dataset = Dataset("warranties", "spans", {id: text.encode() for id, text in texts.items()}, tuple(
        GoldenQuestion(f"q{n}", f"How long is warranty {n}?", "", {id: 1.0}, evidence=(Span(id, 0, ends[id]),), answers=(f"{n + 20} months",)) for n, id in enumerate(texts)))

    def answering(sentences: int) -> Evaluation:
        def reply(question: GoldenQuestion) -> PlainAnswer:
            id, = question.relevance
            starts = [0, ends[id] + 1, texts[id].rindex("Our")][:sentences]
            cited = [Citation(id, None, start, end, texts[id][start:end]) for start in starts for end in [texts[id].index(".", start) + 1]]
            return PlainAnswer(" ".join(f"{c.quote} [{n}]" for n, c in enumerate(cited, start=1)), citations=tuple(cited))

        rows = tuple(reply_rows(dataset, texts, reply))
        return Evaluation("warranties", str(sentences), rows, summarise(rows), {}, {})

    brief, padded = answering(1), answering(3)
    assert brief.metrics["evidence_cited"] == padded.metrics["evidence_cited"]
    assert weigh(brief, padded).regressions == ["statement_precision", "token_f1", "answer_words"]
    assert weigh(padded, brief).regressions == []
    longer = replace(brief, rows=tuple(row | {"scores": row["scores"] | {"answer_words": 6.0}} for row in brief.rows))  # instead of 5 words
    assert (weigh(brief, longer).regressions, LONGER) == ([], 0.25)


def test_a_race_corrects_for_the_number_of_its_arms() -> None:
    "An arm of twenty is judged as one of two at a nineteenth of the chances; what separates two arms does not separate twenty."
    questions, documents = 120, [f"d{n}" for n in range(120)]
    scores = {"leader": [1.0] * questions, "behind": [float(n % 10 != 0) for n in range(questions)]}  # behind in 12 of 120

    def duel(arms: int, level: float = 0.05):
        race = Race([*scores, *(f"arm {n}" for n in range(arms - 2))], questions, level=level)
        race.add({arm: scores.get(arm, scores["leader"]) for arm in race.arms}, documents)
        return race.duel("behind", "leader")

    pair, crowd = duel(2), duel(20)
    assert (pair.verdict, crowd.verdict == "worse") == ("worse", False)
    assert crowd.ahead == duel(2, level=0.05 / 19).ahead
    assert crowd.ahead.low < pair.ahead.low < pair.ahead.high < crowd.ahead.high


def test_a_race_corrects_its_hope_for_the_number_of_its_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    def hope(arms: int) -> float:
        race = Race([f"arm {n}" for n in range(arms)], 240)
        race.add({arm: [float(n % 3 != 0) for n in range(60)] for arm in race.arms}, [f"d{n}" for n in range(60)])
        return race.duel("arm 1", "arm 0").hope

    crowd, pair = hope(20), hope(2)
    assert crowd > pair
    monkeypatch.setattr("ragwb.experiments.racing.MISSED", MISSED / 19)
    assert hope(2) == crowd


def test_a_citation_names_the_page_on_which_it_begins() -> None:
    builder = TextBuilder()
    for words in PAGES.values():
        builder.page()
        builder.paragraph(words)
    document = builder.document("manual.pdf", "pdf", "0" * 64)
    for number, words in PAGES.items():
        start = document.text.index(words)
        assert cite(document, start, start + len(words)).page == number
        assert cite(document, start, start + 1).page == cite(document, start + len(words) - 1, start + len(words)).page == number
    assert cite(document, document.text.index("42 N m"), document.text.index("litres")).page == 1


@pytest.mark.parametrize(("question", "page"), [("What torque does the seal A1-990 need?", 1), ("How many litres of oil does the pump K7-120 hold?", 2),
                                                ("How long is the warranty of the valve V3-500?", 3)])
def test_an_answer_names_the_page_that_holds_its_words(workbench: Workbench, question: str, page: int, capsys: pytest.CaptureFixture[str]) -> None:
    answer = workbench.ask(question)
    cited = answer.citations[0]
    assert (cited.document, cited.page) == ("manual.pdf", page) and cited.quote in PAGES[page]
    assert answer.passages[0]["page"] == 1  # all three pages are one passage, which begins on page 1
    print_answer(answer)
    assert f"[1] manual.pdf, page {page}, characters {cited.start}–{cited.end}" in capsys.readouterr().out


def test_a_refusal_names_the_passages_it_looked_at(workbench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    answer = workbench.ask("Which spare parts won the chess championship in Reykjavik?")
    nearest = [hit.document for hit in answer.hits]
    assert answer.refused and len(nearest) >= 3 and not answer.citations
    assert answer.text.endswith(f"These passages may help: {', '.join(nearest[:3])}.")
    assert [passage["document"] for passage in answer.to_dict()["passages"]] == nearest
    print_answer(answer)
    printed, page = capsys.readouterr().out, refusal_note(answer.to_dict())
    for hit in answer.hits[:3]:
        words = " ".join(hit.chunk.text.split())[:40]
        assert f"\n  {hit.document}" in printed and words in printed
        assert hit.document in page and in_words(hit.chunk.text)[:40] in page  # a page shows words without their Markdown marks
    assert nearest[3:] == [] or f"\n  {nearest[3]}" not in printed


def test_a_refusal_names_each_document_once_and_three_at_most(workbench: Workbench) -> None:
    hits = workbench.pipeline().retrieve("spare parts desk", k=4)
    a, b, c, d = hits
    assert refusal_text("?", [a, b, a, c]).endswith(f"These passages may help: {a.document}, {b.document}.")
    assert refusal_text("?", [a, b, c, d]).endswith(f"These passages may help: {a.document}, {b.document}, {c.document}.")
    assert Path(a.document).suffix == ".md" and refusal_text("?", ()) == "Nothing was found for “?”."
    assert refusal_text("?", (), {"format": "pdf", "year": "2024"}).endswith("Only documents with format pdf and year 2024 were searched.")


def test_threads_that_ask_at_once_import_lancedb_whole() -> None:
    code = ("from concurrent.futures import ThreadPoolExecutor; from ragwb.indexing.table import import_lancedb; "
            "print(sum(ThreadPoolExecutor(8).map(lambda _: hasattr(import_lancedb(), 'connect'), range(8))))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout.strip() == "8"


def test_four_outcomes_are_told_apart(workbench: Workbench) -> None:
    from ragwb.operations.metrics import Metrics

    answer = workbench.ask("How long is the warranty of the valve V3-500?")
    help_ = workbench.ask("Which spare parts won the chess championship in Reykjavik?")
    nothing = workbench.ask({"question": "How long is the warranty of the valve V3-500?", "where": {"format": "epub"}})
    withheld = replace(help_, guard={"question": "block"})
    metrics = Metrics()
    for one in (answer, help_, nothing, withheld):
        metrics.answered(one)
    assert [one.to_dict()["outcome"] for one in (answer, help_, nothing, withheld)] == ["answer", "passages", "nothing", "withheld"]
    assert nothing.text == "Nothing was found for “How long is the warranty of the valve V3-500?”. Only documents with format epub were searched."
    for outcome in ("answer", "passages", "nothing", "withheld"):
        assert f'ragwb_answers_total{{outcome="{outcome}"}} 1.0' in metrics.text().decode()
    for words, one in (("Passages that may help", help_), ("Nothing was found", nothing), ("Not answered here", withheld)):
        assert f"<strong>{words}</strong>" in refusal_note(one.to_dict())
