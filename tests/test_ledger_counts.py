"The ledger against the emulator's own counts while calls are throttled, streams are cut and replies are empty: exact, in all and answer by answer."

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import COMPONENTS, UNITS, ask_all, billed, charged
from ragwb.config import CONFIGS, config_from
from ragwb.costs.prices import price_of
from ragwb.emulator.faults import Faults
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.network import resilience
from ragwb.settings import Settings
from ragwb.workbench import Workbench

SEALS = "# Seals\n\n" + "\n\n".join(f"The seal A1-{n} is made of nitrile and is tightened with a torque of {n // 10} N m." for n in range(300, 420))
FAULTS = Faults(throttle=0.15, unavailable=0.05, timeout=0.02, model_error=0.02, midstream=0.05, disconnect=0.03, empty=0.03, seed=11)
CONFIGS_ASKED = (CONFIGS["aws"], config_from({"routing.mode": "cascade", "trim": 9.0}, CONFIGS["aws"]), config_from({"role": "strong", "cache.mode": "exact"}, CONFIGS["aws"]))


@dataclass(frozen=True)
class Load:
    "A data folder whose questions meet faults, and the emulator that counts."
    bedrock: EmulatedBedrock
    workbenches: tuple[Workbench, ...]

    @property
    def requests(self) -> int:
        "What the emulator was asked so far, answered or not."
        return len(self.bedrock.calls) + sum(self.bedrock.account.bill.errors.values())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    "Three configs on one ledger: one role, a cascade of two, and one with a cache."
    with emulated_bedrock() as bedrock:
        for name, value in bedrock.credentials.items():
            monkeypatch.setenv(name, value)
        settings = replace(Settings(home=tmp_path / "home"), **bedrock.settings)  # type: ignore[arg-type]
        made = [Workbench(settings, config) for config in CONFIGS_ASKED]
        made[0].ingest_files([("seals.md", SEALS.encode())], "default")
        bedrock.account.set_faults(FAULTS)
        yield Load(bedrock, tuple(made))
        resilience.breaker.cache_clear()


def asked_until(load: Load, requests: int) -> int:
    "Asks, some at a time and each third one again, until the emulator has seen so many requests; returns how many questions that took."
    for batch in count():
        if load.requests >= requests:
            break
        numbers = [24 * batch + n - n % 3 // 2 for n in range(24)]
        ask_all(load.workbenches[batch % 3], [f"What torque does the seal A1-{300 + n % 120} need, in case {n}?" for n in numbers], 8)
    return 24 * batch


def dollars_billed(calls: list[dict[str, Any]]) -> Decimal:
    "The bill in dollars, by the table of prices and in decimals, with nothing of the ledger."
    sum_ = Decimal(0)
    for call in calls:
        price = price_of("guardrail" if call["operation"] == "ApplyGuardrail" else call["model"], datetime.now(UTC))
        assert price is not None, call["model"]
        for name, units in call["usage"].items():
            if name != "totalTokens" and units:
                sum_ += units * Decimal(str(price.rates[UNITS.get(name, name)])) / 1_000_000
    return sum_


def by_answer(load: Load) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    "Tokens of models by answer: as the emulator counted them by the metadata of each request, and as the ledger has them."
    sides: tuple[dict[str, Counter[str]], dict[str, Counter[str]]] = ({}, {})
    for call in load.bedrock.calls:
        if COMPONENTS[call["operation"]] == "model":
            used = {UNITS[name]: units for name, units in call["usage"].items() if name in UNITS and units}
            sides[0].setdefault(call["metadata"]["answer"], Counter()).update(used)
    rows = load.workbenches[0].ledger.database.execute("SELECT answer, units FROM charges WHERE component = 'model'")
    for answer, units in rows:
        sides[1].setdefault(answer, Counter()).update(json.loads(units))
    return sides


def exact(load: Load) -> None:
    "Compares all that both sides have."
    book = load.workbenches[0]
    of_cache = {"cache", "trimming"}  # what was saved, which nobody bills
    assert {component: units for component, units in charged(book).items() if component not in of_cache} == billed(load.bedrock)
    told, kept = by_answer(load)
    assert told == kept
    total = next(iter(book.ledger.sums()))
    assert total.unpriced == 0 and abs(Decimal(repr(total.usd)) - dollars_billed(load.bedrock.calls)) < Decimal("1e-9")


def test_the_ledger_is_the_emulators_count(load: Load) -> None:
    asked_until(load, 600)
    errors = load.bedrock.account.bill.errors
    assert errors["ThrottlingException"] > 30 and errors["BrokenStream"] and sum(errors[name] for name in errors if name.endswith("Exception") and name[0].islower())
    exact(load)
    assert load.workbenches[0].ledger.sums("cache")  # and the cache was asked


@pytest.mark.slow
def test_the_ledger_is_the_emulators_count_over_ten_thousand_requests(load: Load) -> None:
    questions = asked_until(load, 10_000)
    faults, charges = sum(load.bedrock.account.bill.errors.values()), next(iter(load.workbenches[0].ledger.sums())).charges
    print(f"{load.requests:,} requests, {questions:,} questions, {faults:,} faults, {charges:,} charges")
    exact(load)
