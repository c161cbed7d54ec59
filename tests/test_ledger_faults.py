"Charges are not lost: a locked ledger, a full disk, a killed process, several machines on a real S3 server, and hand-computed sums."

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from profiles import environment_of

from ragwb.app.cost_page import CostPage
from ragwb.cli import main
from ragwb.costs import write_ahead
from ragwb.costs.allowance import Allowance, Limit
from ragwb.costs.ledger import CORRECTED, Ledger, charge
from ragwb.costs.shared_ledger import ChargeSink, interrupted, whole_ledger
from ragwb.costs.spending import at_prices
from ragwb.costs.usage import Usage
from ragwb.costs.write_ahead import WriteAhead, appended
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.workbench import Books, Workbench

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LITE = "bedrock:us.amazon.nova-2-lite-v1:0"


def made(*names: str) -> list:
    return [charge(name, "model", LITE, Usage(3_000, 300), NOON, name) for name in names]


def test_sums_are_exact_to_the_half_cent_by_hand(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    rows = [(f"{n}", NOON + timedelta(minutes=n % 180), f"answer:{n % 2 + 1}", ("miss", "sampled")[n % 4 == 0]) for n in range(10_000)]
    ledger.record([charge(id, "model", LITE, Usage(3_000, 300, 1_000, 200), at, id, prompt=prompt, cache=cache) for id, at, prompt, cache in rows])
    one = (3_000 * 0.33 + 300 * 2.75 + 1_000 * 0.0825 + 200 * 0.33) / 1e6  # 0.0019635
    assert one == pytest.approx(0.0019635, abs=1e-15)
    assert next(iter(ledger.sums())).usd == pytest.approx(19.635, abs=1e-9)
    assert {row.key[0]: round(row.usd, 6) for row in ledger.sums("prompt")} == {"answer:1": 9.8175, "answer:2": 9.8175}
    assert {row.key[0]: row.charges for row in ledger.sums("cache")} == {"miss": 7_500, "sampled": 2_500}
    hours = ledger.sums("hour")
    assert [row.key[0] for row in hours] == ["2026-11-24T12", "2026-11-24T13", "2026-11-24T14"] and sum(row.charges for row in hours) == 10_000
    assert next(iter(ledger.sums())).units == {"input_tokens": 30_000_000, "output_tokens": 3_000_000, "cache_read_tokens": 10_000_000, "cache_write_tokens": 2_000_000}
    assert at_prices(ledger, date(2026, 11, 25)).usd == pytest.approx(19.635, abs=1e-9)


@pytest.mark.parametrize("units", [{"input_tokens": -5}, {"input_tokens": 10, "output_tokens": -1_000_000}])
def test_no_charge_is_negative(units: dict[str, int]) -> None:
    odd = charge("a", "model", LITE, units, NOON)
    assert odd.usd is not None and odd.usd >= 0 and odd.flag == CORRECTED and min(odd.units.values(), default=0) >= 0


def test_a_clock_that_goes_backwards_opens_no_budget_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record(made("a"))
    allowance = Allowance(ledger)
    for back in (timedelta(hours=1), timedelta(days=1), timedelta(days=400)):
        assert allowance.standing(Limit("day", 1.0), NOON - back).spent == allowance.standing(Limit("month", 1.0), NOON - back).spent == pytest.approx(0.001815)


def test_a_locked_ledger_holds_no_answer_up_for_long_and_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    books = Books(tmp_path / "ledger.sqlite")
    books.book(made("a"))
    books.ledger.database.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    assert not any(books.book(made(f"b{n}")) for n in range(50)) and time.monotonic() - begun < 3
    assert books.ahead.waiting == 50 and len([record for record in caplog.records if "cannot be written" in record.getMessage()]) == 1
    other.execute("ROLLBACK")
    books.ahead.again = 0.0
    assert books.book(made("c")) and books.ahead.waiting == 0 and len(books.ledger.sums("answer")) == 52


def test_threads_that_book_while_the_ledger_is_locked_lose_nothing(tmp_path: Path) -> None:
    books = Books(tmp_path / "ledger.sqlite")
    books.book(made("first"))
    books.ledger.database.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    threads = [threading.Thread(target=lambda n=n: [books.book(made(f"{n}-{k}")) for k in range(20)]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.execute("ROLLBACK")
    books.ahead.again = 0.0
    books.book([])
    assert len(books.ledger.sums("answer")) == 161


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_keeps_charges_in_memory_and_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="No space left"):
        appended(Path("/dev/full"), "x\n")

    def full() -> Ledger:
        raise OSError(28, "No space left on device")

    ahead = WriteAhead(tmp_path / "waiting", full)
    monkeypatch.setattr(write_ahead, "appended", lambda path, text: appended(Path("/dev/full"), text))
    with caplog.at_level(logging.ERROR, logger="ragwb"):
        assert not ahead.book(made("a", "b"))
    assert len(ahead.memory) == 2 and any("charges are not booked" in record.getMessage() and '"id": "a"' in record.getMessage() for record in caplog.records)
    monkeypatch.setattr(write_ahead, "appended", appended)
    assert not ahead.book(made("c")) and (len(ahead.memory), ahead.waiting) == (0, 3), "with room for a file, what was in memory is in it"
    ahead.ledger, ahead.again = lambda: Ledger(tmp_path / "ledger.sqlite"), 0.0
    assert ahead.book(made("d")) and ahead.waiting == 0
    assert [row.key for row in ahead.ledger().sums("answer")] == [("a",), ("b",), ("c",), ("d",)]


KILLED = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from ragwb.costs.ledger import charge
from ragwb.costs.usage import Usage
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.costs import shared_ledger
from ragwb.workbench import Books
shared_ledger.EVERY_S = 0.2
home, storage, endpoint, region = sys.argv[1:]
settings = Settings(home=Path(home), storage=storage, s3_endpoint=endpoint, region=region)
books = Books(settings.home / "ledger.sqlite", objects(settings))
for n in range(100_000):
    books.book([charge(f"{n:06}", "model", "bedrock:us.amazon.nova-2-lite-v1:0", Usage(3_000, 300), datetime.now(UTC), f"{n:06}")])
    print(n, flush=True)
    time.sleep(0.005)
"""


def test_a_killed_machine_loses_at_most_its_last_seconds_and_is_named(s3_settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "pod"
    pod = subprocess.Popen([sys.executable, "-c", KILLED, str(home), s3_settings.storage, s3_settings.s3_endpoint, s3_settings.region], stdout=subprocess.PIPE, text=True, env=os.environ)  # noqa: E501
    assert pod.stdout
    until, booked = time.monotonic() + 60, -1
    storage = objects(s3_settings)
    while time.monotonic() < until and not (booked >= 300 and any(True for _ in storage.items("ledger/runs/"))):
        booked = int(pod.stdout.readline())
    pod.kill()
    booked = max([booked, *map(int, pod.stdout.read().split())])
    pod.wait()
    arrived = len(whole_ledger(storage, Ledger(tmp_path / "all.sqlite")).sums("answer"))
    assert 0 < arrived <= booked + 2
    later = datetime.now(UTC) + timedelta(minutes=10)
    assert len(interrupted(storage, later)) == 1, "the run is named"
    books = Books(home / "ledger.sqlite", storage)  # it comes back with its disk
    sink = ChargeSink(books.ledger, storage, home / "other.sqlite")
    sink.flush()
    assert len(whole_ledger(storage, Ledger(tmp_path / "all.sqlite")).sums("answer")) >= booked + 1, "nothing that was booked is missing"
    assert interrupted(storage, later) == [sink.noted.isoformat(timespec="seconds")] or len(interrupted(storage, later)) <= 1


def test_two_machines_are_summed_together_on_s3(s3_settings: Settings, tmp_path: Path) -> None:
    storage = objects(s3_settings)
    for pod, names in (("one", ("a", "b")), ("two", ("b", "c"))):
        ledger = Ledger(tmp_path / pod / "ledger.sqlite")
        ledger.record(made(*names))
        sink = ChargeSink(ledger, storage, tmp_path / pod / "ledger.sqlite")
        assert sink.flush() == 2
        sink.close()
    whole = whole_ledger(storage, Ledger(tmp_path / "all.sqlite"))
    assert [row.key[0] for row in whole.sums("answer")] == ["a", "b", "c"] and next(iter(whole.sums())).usd == pytest.approx(3 * 0.001815)
    assert interrupted(storage, datetime.now(UTC) + timedelta(days=1)) == []
    assert json.loads(storage.get(next(iter(storage.items("ledger/runs/"))).key))["running"] is False


def test_the_page_and_the_command_read_the_charges_of_all_machines(s3_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Ledger(tmp_path / "there/ledger.sqlite")
    there.record([charge("b", "model", LITE, Usage(3_000, 300), datetime.now(UTC), "b")])
    ChargeSink(there, objects(s3_settings), tmp_path / "there/ledger.sqlite").flush()
    here = replace(s3_settings, home=tmp_path / "here", model_servers="")
    page = CostPage(Workbench(here))
    asyncio.run(page.start({}))
    assert page.state.seen and page.state.seen.questions == 1, "also where nothing was asked on this machine"
    page.workbench.books.book([charge("a", "model", LITE, Usage(3_000, 300), datetime.now(UTC), "a")])
    asyncio.run(page.start({}))
    assert page.state.seen.questions == 2 and page.state.seen.month == pytest.approx(2 * 0.001815), "its own charges at once"
    said = CliRunner().invoke(main, ["cost", "report", "--json"], env=environment_of(here))
    assert json.loads(said.output)["total"]["usd"] == pytest.approx(page.state.seen.month) and json.loads(said.output)["missing"] == ""

    def away(prefix: str) -> Iterator[object]:
        raise ConnectionError("the storage is away")

    books = page.workbench.books
    books.again = 0.0
    monkeypatch.setattr(books.storage, "items", away)
    page.workbench.books.book([charge("c", "model", LITE, Usage(3_000, 300), datetime.now(UTC), "c")])
    asyncio.run(page.start({}))
    assert page.state.seen.questions == 3 and "cannot be read now, and what they paid since the last look is missing" in page.screen.regions["notice"]
