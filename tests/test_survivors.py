"What a run of `make mutants` showed that nothing held."

import asyncio
import errno
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from notebooks import ROOT

from ragwb.answering.agreement import kinds_of, rewritten
from ragwb.answering.contradictions import asked_in
from ragwb.answering.deletion import Expiry, unfinished
from ragwb.api.gate import RequestGate
from ragwb.cli import main
from ragwb.commands.common import one_line
from ragwb.costs.prices import PRICES, price_of
from ragwb.documents.document import DocumentError
from ragwb.documents.page_rows import PageRow, find_rows, typed_cells
from ragwb.documents.page_tables import is_tabular, starts_row
from ragwb.documents.pdf import parse_pdf
from ragwb.documents.reflow import running_lines
from ragwb.documents.rtf import rtf_paragraphs
from ragwb.emulator.model import filled
from ragwb.evaluation.judge_trial import load_labels
from ragwb.evaluation.metrics import exact_match
from ragwb.generation.replies import without_thoughts
from ragwb.guardrails.local import grounding_policy
from ragwb.guardrails.personal_data import iban, part_of_code
from ragwb.indexing.store import Store
from ragwb.network.redis import RedisError, RedisServer
from ragwb.operations.keys import AccessError, KeyRing, add_key, revoke_key, rotate_key
from ragwb.retrieval.spelling import Respelt, Spelling
from ragwb.storage.folder import Folder
from ragwb.storage.lease import Lease
from ragwb.storage.objects import machine


def test_an_exact_match_is_none_of_another_answer():
    assert (exact_match("36 months.", ["36 Months"]), exact_match("37 months", ["36 months"]), exact_match("36 months", [])) == (1, 0, 0)


def test_the_gate_lets_the_servers_start_and_end_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(RequestGate(app, None, lambda path: 1)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_a_full_disk_is_one_line():
    assert one_line(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full: free some space and run the same command again"


@pytest.mark.parametrize(("text", "joined"), [("A1-555 x", True), ("x 555-B", True), ("x 555 y", False)])
def test_a_number_joined_on_one_side_is_part_of_a_code(text, joined):
    at = text.index("555")
    assert part_of_code(text, at, at + 3) is joined


def test_grounding_at_the_threshold_is_enough():
    text = "The seal is tightened with 42 N m."
    assert grounding_policy([text], [text], 1.0)["contextualGroundingPolicy"]["filters"][0]["action"] == "NONE"


def test_a_lease_that_is_renewed_is_waited_for_and_one_that_is_not_is_taken(tmp_path: Path) -> None:
    "On a clock of its own: the holder renews every four seconds until second 60, and then dies."
    now, lives = [0.0], 60.0
    holder = Lease(Folder(tmp_path), "locks/x", 10, lambda: now[0])
    assert holder.write("")

    def sleep(seconds: float) -> None:
        now[0] += 1
        if now[0] <= lives and now[0] % 4 == 0:
            assert holder.write(holder.object.etag), f"taken from its holder after {now[0]} s"
        assert now[0] < 200, "the lease of a dead holder is never taken"

    Lease(Folder(tmp_path), "locks/x", 10, lambda: now[0], sleep).take()
    assert lives + 10 <= now[0] <= lives + 15


IBANS = (  # of the registry's examples, one for most lengths
    "NO9386011117947 BE68539007547034 DK5000400440116243 MK07250120000058984 AT611904300234573201 CH9300762011623852957 DE89370400440532013000 "
    "GB29NWBK60161331926819 AE070331234567890123456 ES9121000418450200051332 PT50000201231234567890154 IS140159260076545510730339 "
    "FR1420041010050500013M02606 PL61109010140000071219812874 BR1800360305000010009795493C1 JO94CBJO0010000000000131000302 MT84MALT011000012345MTLCAST001S").split()


@pytest.mark.parametrize("account", IBANS)
def test_an_account_number_is_as_long_as_its_country_says(account: str) -> None:
    assert [f"{account} today"[start:end] for start, end in iban(f"{account} today")] == [account]
    wrong = account[:-1] + str((int(account[-1], 36) + 1) % 10)
    assert not list(iban(wrong))


@pytest.mark.parametrize("at", range(1, 33))
def test_thoughts_are_left_out_wherever_a_stream_is_cut(at: int) -> None:
    reply = "It lasts <b> <thinking>36 or 24?</thinking>36 months <thin"
    assert "".join(without_thoughts([reply[:at], reply[at:]])) == "It lasts <b> 36 months <thin"
    assert "".join(without_thoughts(reply)) == "It lasts <b> 36 months <thin"


def test_a_label_may_hold_the_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragwb.answering.pipeline import QuestionError
    from ragwb.workbench import Workbench

    def ask(self: Workbench, body: dict[str, object], collection: str) -> None:
        raise QuestionError(str(body["where"]))

    monkeypatch.setattr(Workbench, "ask", ask)
    done = CliRunner().invoke(main, ["ask", "?", "--where", "rule=a=b"], env={"RAGWB_HOME": str(tmp_path)})
    assert "{'rule': 'a=b'}" in done.output
    assert "KEY=VALUE is needed" in CliRunner().invoke(main, ["ask", "?", "--where", "rule"], env={"RAGWB_HOME": str(tmp_path)}).output


def test_a_file_with_as_many_pages_as_are_allowed_is_read() -> None:
    path = ROOT / "experiments/data/sample/docs/hr/employee-handbook.pdf"
    pages = len(parse_pdf(path.read_bytes(), path.name, "").pages)
    assert len(parse_pdf(path.read_bytes(), path.name, "", max_pages=pages).pages) == pages > 1
    with pytest.raises(DocumentError, match=f"more than {pages - 1}"):
        parse_pdf(path.read_bytes(), path.name, "", max_pages=pages - 1)


def test_a_large_bold_line_is_a_heading_and_in_a_cell_it_is_none() -> None:
    large = rb"\pard\b\fs32 Prices\par"
    assert [kind for *_, kind in rtf_paragraphs(large)] [0] == (0, 32)
    assert [kind for *_, kind in rtf_paragraphs(large.replace(rb"\pard", rb"\pard\intbl"))][0] == (0, 0)


def test_a_labelled_answer_may_lack_reference_and_contexts(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(f'{{"id": "{label}", "question": "?", "answer": "!", "document": "d", "label": "{label}"}}\n' for label in ("right", "wrong")))
    right, wrong = load_labels(path)
    assert (right.case.reference, right.case.contexts, wrong.label) == ("", (), "wrong")


def test_the_emulated_model_fills_a_choice_by_what_its_prompt_holds() -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["yes", "no"]}, "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2}}}
    said, unsaid = ("The warranty lasts 36 months.\n" + claim for claim in ("warranty lasts 36 months", "penguins eat herring"))
    assert (filled(schema, said)["verdict"], filled(schema, unsaid)["verdict"]) == ("yes", "no")
    assert len(filled(schema, said)["list"]) == 2


def page(text: str) -> list[PageRow]:
    "The rows of a page drawn with the keyboard."
    return find_rows(typed_cells(text))


def test_a_header_on_both_of_two_pages_runs_and_on_two_of_three_it_does_not() -> None:
    first, second, third = (page(f"{head}\n{body}\nlast words of {body}") for head, body in (("Rules of the house", "alpha"), ("Rules of the house", "beta"), ("Index", "gamma")))
    assert [top for top, _ in running_lines([first, second])] == [1, 1]
    assert [top for top, _ in running_lines([first, second, third])] == [0, 0, 0]


@pytest.mark.parametrize(("text", "at", "tabular"), [
    ("Pump        42.00\nValve       17.50", 0, True),
    ("1.          Scope of the rules", 0, False),       # a list marker and its text
    ("1.          42.00", 0, True),                     # a number and its value
    ("Section 4   Scope", 0, False),
    ("A line of words over the whole of the column here\nthe next   one is stretched to fill its line well\nand the last line is again as long as the others", 1, False),
    ("Pump   42.00\nValve  17.50", 0, True),            # narrow gaps, but no full line beside them
])
def test_a_row_of_cells_is_told_from_a_list_and_a_stretched_line(text: str, at: int, tabular: bool) -> None:
    assert is_tabular(page(text), at) is tabular


@pytest.mark.parametrize(("text", "begins"), [
    ("Net sales\n  of products", False),                 # under a lone label without a colon
    ("Net sales:\n  Products", True),
    ("Products      2022\nServices      42.00", True),   # a value
    ("Products      sold to\n              customers", False),
    ("Products      sold to\nServices", True),           # a label of its own
    ("Products      sold to\nand parts", False),         # goes on in lower case
    ("Products      net\n     • services gross", True),
])
def test_the_start_of_a_row_is_told_from_the_rest_of_one(text: str, begins: bool) -> None:
    above, row = page(text)
    assert starts_row(above, row, min(above.left, row.left)) is begins


def test_a_deletion_that_another_process_completes_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    for name in ("a", "b"):
        store.objects.put(f"deletions/{name}.json", b"{}")
    monkeypatch.setattr(store.objects, "get", lambda key: (_ for _ in ()).throw(FileNotFoundError(key)))
    assert list(unfinished(store)) == []


def test_a_revoked_key_is_not_rotated() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    ring, _, _ = add_key(KeyRing(secret="s" * 32), "billing", now=noon)
    ring = revoke_key(ring, "billing", noon)
    with pytest.raises(AccessError, match="0 valid keys are called 'billing'"):
        rotate_key(ring, "billing", timedelta(days=1), noon + timedelta(hours=1))


def test_words_of_a_collection_that_lancedb_searches_are_left_as_they_are() -> None:
    in_no_memory: Any = object()
    assert Spelling(in_no_memory).of("Wie hoch sind die Gebuehren?") == Respelt("Wie hoch sind die Gebuehren?")


def test_a_redis_server_that_is_left_alone_counts_as_away() -> None:
    def away(client: object) -> None:
        raise ConnectionError("refused")

    server = RedisServer("redis://127.0.0.1:1", connect=lambda url: object(), clock=lambda: 0.0)
    said = []
    for _ in range(2):
        with pytest.raises(RedisError) as raised:
            server.call(away)
        said.append((raised.value.passes, bool(server.problem)))
    assert said == [(True, True), (True, True)]


def test_a_price_holds_from_the_day_on_which_it_begins():
    for price in PRICES:
        for model in price.models:
            found = price_of(f"bedrock:{model}", date.fromisoformat(price.begins))
            assert found is not None and found.begins == price.begins


def test_a_question_asks_how_when_it_says_how_to():
    for ending in ("how to set up?", "how do I set it up?"):
        assert asked_in(rewritten(f"VPN client on a Mac, {ending}")).words == {"how"}
    assert kinds_of(rewritten("What time does sea freight overseas need?")) == {"how long"}
    assert kinds_of(rewritten("What time should I take the tablets?")) == {"when"}


def test_a_deletion_that_was_killed_before_it_was_written_down_leaves_no_file(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    half = tmp_path / "deletions" / f".a.json.0a1b2c3d.{machine()}-{ended.pid}.part"
    half.parent.mkdir()
    half.write_text("{")
    assert list(unfinished(Store(tmp_path))) == [] and not half.exists()


def test_answers_that_are_over_are_looked_for_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr(Expiry, "look", lambda expiry: looked.append(expiry.days))
    for days in (30, 0):
        expiry = Expiry(Store(tmp_path), days)
        for _ in range(3):
            expiry.heard()
        expiry.thread.shutdown()
    assert looked == [30], "once, and never where answers are kept for ever"
