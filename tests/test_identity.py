"""What a document is, from its first lines to the ranking: filings of two companies, a policy in two versions, and an index of an earlier format."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragwb.config import PipelineConfig
from ragwb.documents.document import Document, Page
from ragwb.documents.identity import Identity, identity_of
from ragwb.indexing.chunking import chunk
from ragwb.indexing.collection import Collection, all_chunks
from ragwb.indexing.embedding import embedder
from ragwb.indexing.schema import CollectionError, check_age, read_info
from ragwb.ingestion.sources import Source
from ragwb.retrieval.hybrid import Hits, retrieve
from ragwb.retrieval.search import NativeSearch, Searcher, Snapshot
from ragwb.settings import Settings
from ragwb.workbench import Workbench

COVER = """FORM 10-Q

For the quarterly period ended {end}

{company}

(Exact name of registrant as specified in its charter)

We filed our Form 10-K for the fiscal year ended {year_end}.

Net income of the quarter was {income} million. Inventories were {stock} million. Compared with the same quarter of {other}, net income of the company rose.
"""
FILINGS = {
    "f1.txt": COVER.format(end="June 30, 2023", company="ORRINMERE PUMPS, INC.", year_end="March 31, 2023", income="41", stock="310",
                          other="Varn Valves Corporation, net income, net income"),
    "f2.txt": COVER.format(end="September 30, 2023", company="ORRINMERE PUMPS, INC.", year_end="March 31, 2023", income="43", stock="320", other="June 30, 2023"),
    "f3.txt": COVER.format(end="June 30, 2023", company="VARN VALVES CORPORATION", year_end="December 31, 2022", income="12", stock="95", other="Orrinmere, Orrinmere, Orrinmere"),
    "f4.txt": COVER.format(end="September 30, 2023", company="VARN VALVES CORPORATION", year_end="December 31, 2022", income="13", stock="99", other="June 30, 2023"),
}
POLICIES = {
    "travel-2023.md": "# Travel policy\n\nVersion 3.1 - replaced by version 4.0 on 1 March 2025\n\nBusiness class may be flown to Tokyo. Business class to Tokyo is paid.",
    "travel-2025.md": "# Travel policy\n\nVersion 4.0 - in force from 1 March 2025\n\nBusiness class is not paid, to Tokyo or elsewhere.",
}


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    made = Workbench(Settings(home=tmp_path_factory.mktemp("identity")))
    made.ingest([Source(name, text.encode()) for name, text in {**FILINGS, **POLICIES}.items()], "pile", None)
    return made


@pytest.fixture(scope="module")
def collection(workbench: Workbench) -> Collection:
    return workbench.store.open("pile")


@pytest.fixture(scope="module", params=["memory", "lancedb"])
def searcher(request: pytest.FixtureRequest, collection: Collection) -> Searcher:
    if request.param == "memory":
        return Snapshot(*all_chunks(collection))
    from ragwb.indexing.search_indexes import build_indexes
    from ragwb.indexing.table import Table

    assert isinstance(collection.table, Table)
    build_indexes(collection.table)
    return NativeSearch(collection)


def asked(searcher: Searcher, question: str, **changed: float) -> Hits:
    config = PipelineConfig()
    return retrieve(searcher, embedder(config.embedder, None), question, replace(config.retrieval, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(("question", "document"), [
    ("What was Orrinmere's net income in the quarter ended June 30, 2023?", "f1.txt"),
    ("What was Orrinmere's net income in the second quarter of fiscal 2024?", "f2.txt"),
    ("Varn Valves inventories at June 30, 2023", "f3.txt"),
    ("net income of Varn Valves, July-September 2023", "f4.txt"),
    ("What was the net income of Orrinmere in its latest quarter?", "f2.txt"),
    ("Can I fly business class to Tokyo?", "travel-2025.md"),
    ("Could I fly business class to Tokyo under version 3.1?", "travel-2023.md"),
    ("Could I fly business class to Tokyo in 2024?", "travel-2023.md"),
])  # fmt: skip
def test_the_right_document_of_a_pile_comes_first(searcher: Searcher, question: str, document: str) -> None:
    assert asked(searcher, question)[0].document == document


def test_each_of_several_is_among_the_passages(searcher: Searcher) -> None:
    found = {hit.document for hit in asked(searcher, "Compare the net income of Orrinmere and Varn Valves in the quarter ended June 30, 2023", k=2, cutoff=1.0)}
    assert found == {"f1.txt", "f3.txt"}
    found = {hit.document for hit in asked(searcher, "Orrinmere's inventories: June 30, 2023 versus September 30, 2023", k=2, cutoff=1.0)}
    assert found == {"f1.txt", "f2.txt"}


def test_the_scope_says_what_fits_and_what_contradicts(collection: Collection) -> None:
    scope = Snapshot(*all_chunks(collection)).scopes.of("Orrinmere's inventories at September 30, 2023")
    assert scope.fitting == {"f2.txt"} and scope.contradicting >= {"f3.txt", "f4.txt"} and scope.groups == ()
    assert Snapshot(*all_chunks(collection)).scopes.of("business class in version 3.1").contradicting == {"travel-2025.md"}
    nothing = Snapshot(*all_chunks(collection)).scopes.of("What is a gland plate?")
    assert nothing.fitting == nothing.contradicting == frozenset() and set(nothing.weights) == {"travel-2023.md"}


def test_filters_ask_for_what_a_document_is(workbench: Workbench) -> None:
    pipeline = workbench.pipeline("pile")
    for where, expected in (({"organisation": "Varn Valves", "year": "2023"}, {"f3.txt", "f4.txt"}), ({"kind": "10-Q", "end": "2023-06-30"}, {"f1.txt", "f3.txt"}),
                            ({"status": "superseded"}, {"travel-2023.md"}), ({"version": "4.0"}, {"travel-2025.md"})):
        found = {hit.document for hit in pipeline.retrieve("net income, business class to Tokyo", k=10, where=where)}
        assert found == expected, where


def test_lists_and_places_say_what_a_document_is(collection: Collection) -> None:
    titles = {info.id: info.title for info in collection.documents()}
    assert titles["f1.txt"] == "Orrinmere Pumps, Inc. 10-Q, quarter ended June 30, 2023, first quarter of fiscal 2024 (Q1 2024)"
    assert titles["travel-2023.md"] == "Travel policy, version 3.1, superseded by version 4.0"
    assert all(piece.context.startswith(titles["f3.txt"]) for piece in collection.chunks("f3.txt"))
    assert {info.identity.fiscal for info in collection.documents()} == {"2024 Q1", "2024 Q2", "2023 Q2", "2023 Q3", ""}


def test_an_index_of_an_earlier_format_is_read_and_wants_to_be_rebuilt(collection: Collection) -> None:
    with pytest.raises(CollectionError, match="ragwb reindex --collection pile"):
        check_age("pile", collection.meta | {"format": "1"})
    info = {"id": "a.md", "title": "A", "format": "md", "pages": 0, "characters": 1, "chunks": 1, "size": 1, "updated": "2026-01-01T00:00:00+00:00", "content_hash": "0"}
    assert read_info(json.dumps(info)).identity == identity_of(Document("b", "", "md", ""))


def test_a_chunk_ends_with_its_page() -> None:
    page = "The table of this page ends here. " * 20
    paged = Document("a.pdf", page + page, "pdf", "0", pages=(Page(1, 0, len(page)), Page(2, len(page), 2 * len(page))))
    assert [(piece.page, piece.end <= len(page)) for piece in chunk(paged, PipelineConfig().chunking)] == [(1, True), (2, False)]


def test_words_about_versions_in_plain_text_are_no_identity() -> None:
    prose = ("The 2019 edition of the fair was visited by 2,000 people; Version Control Inc. sold tools. "
             "The seal was replaced by a new one on 3 May 2021, and old lists are withdrawn. "
             "It needs firmware version 4.2 or later. Revenue of the fiscal year ended June 30, 2020 was high.")
    found = identity_of(Document("notes/fair.md", prose, "md", "0"))
    assert not any((found.organisation, found.version, found.status, found.valid_from, found.superseded_by)), found


def test_replaying_an_earlier_version_is_not_refused_for_its_format(collection: Collection, tmp_path: Path) -> None:
    past = collection.at(collection.version)
    past.meta["format"] = "1"
    past.check(PipelineConfig())


REGISTRANTS = """UNITED STATES SECURITIES AND EXCHANGE COMMISSION

FORM 8-K

CURRENT REPORT

Date of Report (Date of earliest event reported): May 14, 2020

Exact name of registrant as specified in its charter | IRS Employer Identification Number
001-1851 | ALDER ENERGY CORPORATION | 46-1234567
001-1852 | ALDER ELECTRIC COMPANY | 46-1234568
"""


def identity(id: str, text: str) -> Identity:
    return identity_of(Document(id, text, "pdf", f"{len(text):064}"))


def test_registrants_in_a_table_are_the_organisation_not_the_date_above() -> None:
    assert identity("a.pdf", REGISTRANTS).organisation == "Alder Energy Corporation"


def test_a_symbol_that_only_the_text_names_is_a_name_and_in_the_title() -> None:
    text = COVER.format(end="June 30, 2018", company="THE CORALA COMPANY", year_end="December 31, 2017", income="1", stock="2", other="")
    found = identity("c.pdf", text + 60 * "A line of the text.\n" + "Our common stock is listed under the symbol “CRLA.”")
    assert "CRLA" in found.aliases and found.short.startswith("The Corala Company (CRLA) 10-Q, ")
    assert "CRLA" not in identity("c.pdf", text).aliases


def test_a_proxy_statement_that_refers_to_the_annual_report_is_none() -> None:
    found = identity("p.pdf", "SCHEDULE 14A\n\nMARLOW CORPORATION\n\n(Name of Registrant as Specified In Its Charter)\n\nThe annual meeting will be held on April 23, 2024.\n"
                              "See our Form 10-K for the fiscal year ended June 30, 2023.")
    assert (found.kind, found.period, found.end) == ("proxy statement", "annual meeting of April 23, 2024", "2024-04-23")


def test_a_release_is_for_the_fiscal_quarter_of_its_headline() -> None:
    text = ("FORM 8-K\n\nKESTREL STORES INC.\n\n(Exact name of registrant as specified in its charter)\n\n{}\n\nResults for the quarter ended July 31, 2021.\n"
            "In the first quarter of 2022 we opened a store.")
    assert identity("k.pdf", text.format("Kestrel Reports Second Quarter Fiscal 2022 Results")).fiscal == "2022 Q2"
    assert identity("k.pdf", text.format("A quarter of growth")).fiscal == "2021 Q2"
