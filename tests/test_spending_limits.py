"What a question may cost and what has been spent, computed by hand: `ragwb.costs.allowance`, `ragwb.costs.overview` and `ragwb.answering.spending_limits` to the last digit."

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import pytest

from ragwb.answering import spending_limits
from ragwb.answering.answer import Question
from ragwb.answering.spending_limits import ALERTS, OverBudget, Payer, guardrail_usd, held_to, limits_of, most_usd, question_usd, warn
from ragwb.config import NOVA_LITE, GuardrailConfig, ModelConfig, PipelineConfig, RetrievalConfig
from ragwb.costs.allowance import Allowance, Limit, LimitReached, Standing, reached
from ragwb.costs.budget import BudgetExceeded
from ragwb.costs.ledger import Charge, Ledger, charge, saving
from ragwb.costs.overview import days_until, forecast, overview_of
from ragwb.costs.usage import Usage
from ragwb.documents.language import count_tokens
from ragwb.settings import Settings

TITAN, PRO, UNKNOWN = "bedrock:amazon.titan-embed-text-v2:0", "bedrock:us.amazon.nova-pro-v1:0", "openai:gpt-99"
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
NOVA = PipelineConfig(fast=ModelConfig(NOVA_LITE, max_tokens=400))
DAY, MONTH = Limit("day", 1.0), Limit("month", 2.0)


@pytest.fixture
def allowance(tmp_path: Path) -> Allowance:
    return Allowance(Ledger(tmp_path / "home" / "ledger.sqlite"))


def spend(allowance: Allowance, usd: float, at: datetime, key: str = "") -> None:
    count = allowance.ledger.sums()
    id = f"c{count[0].charges if count else 0}"
    allowance.ledger.record([Charge(id, at.astimezone(UTC).isoformat(timespec="seconds"), "model", "nova", {}, usd, "", id, key=key)])


# Periods.


@pytest.mark.parametrize(
    ("moment", "day", "day_ends", "month", "month_ends"),
    [
        ("2026-11-16T12:00:00+00:00", "2026-11-16", "2026-11-17", "2026-11-01", "2026-12-01"),
        ("2026-12-31T23:59:59+00:00", "2026-12-31", "2027-01-01", "2026-12-01", "2027-01-01"),
        ("2026-01-31T00:00:00+00:00", "2026-01-31", "2026-02-01", "2026-01-01", "2026-02-01"),
        ("2028-02-28T23:00:00+00:00", "2028-02-28", "2028-02-29", "2028-02-01", "2028-03-01"),  # a leap year
        ("2026-12-01T05:00:00+09:00", "2026-11-30", "2026-12-01", "2026-11-01", "2026-12-01"),  # still November in UTC
        ("2026-11-30T20:00:00-05:00", "2026-12-01", "2026-12-02", "2026-12-01", "2027-01-01"),  # already December
    ],
)
def test_a_period_is_a_day_or_a_month_of_utc(moment: str, day: str, day_ends: str, month: str, month_ends: str) -> None:
    now = datetime.fromisoformat(moment)
    assert (DAY.begins(now), MONTH.begins(now)) == (day, month)
    assert [limit.ends(now).isoformat() for limit in (DAY, MONTH)] == [f"{day_ends}T00:00:00+00:00", f"{month_ends}T00:00:00+00:00"]


def test_a_refusal_says_what_is_left_and_until_when() -> None:
    error = reached(Standing(Limit("month", 2.0), 1.5, 0.25), 0.5, datetime(2026, 2, 28, 22, 30, tzinfo=UTC))
    assert str(error) == (
        "the month's budget is used up: $1.75 of $2.00 are spent or reserved, and this question may cost $0.5000. "
        "The next month begins at 2026-03-01 00:00 UTC; an administrator can raise the budget"
    )
    assert (error.again_s, isinstance(error, BudgetExceeded)) == (5400.0, True)
    assert [Standing(Limit("day", usd), 0.5, 9.0).share for usd in (2.0, 0.5, 0.0)] == [0.25, 1.0, 1.0]
    assert Limit("day", 1.0, "1f3a").name == "the day's budget of this key"


# Reservations.


def test_a_limit_may_be_used_to_the_last_cent_and_no_further(allowance: Allowance) -> None:
    spend(allowance, 0.5, NOON)
    first = allowance.reserve((DAY, MONTH), 0.25, "nova", "", NOON, 60)
    allowance.reserve((DAY, MONTH), 0.25, "nova", "", NOON, 60)
    assert allowance.standing(DAY, NOON) == Standing(DAY, 0.5, 0.5)
    with pytest.raises(LimitReached, match=r"\$1\.00 of \$1\.00 are spent or reserved, and this question may cost \$0\.000010"):
        allowance.reserve((DAY, MONTH), 0.00001, "nova", "", NOON, 60)
    allowance.release(first)
    assert allowance.standing(DAY, NOON).reserved == 0.25
    allowance.reserve((DAY, MONTH), 0.25, "nova", "", NOON, 60)


def test_a_question_is_reserved_in_all_limits_or_in_none(allowance: Allowance) -> None:
    spend(allowance, 1.9, NOON - timedelta(days=3))
    with pytest.raises(LimitReached, match="the month's budget is used up"):
        allowance.reserve((DAY, MONTH), 0.2, "nova", "", NOON, 60)
    assert [allowance.standing(limit, NOON) for limit in (DAY, MONTH)] == [Standing(DAY, 0.0, 0.0), Standing(MONTH, 1.9, 0.0)]
    with pytest.raises(BudgetExceeded, match="no price is known for openai:gpt-99"):
        allowance.reserve((DAY,), None, UNKNOWN, "", NOON, 60)
    assert not allowance.ledger.database.in_transaction


def test_a_reservation_counts_for_its_month_day_and_key(allowance: Allowance) -> None:
    late, ann, bo = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC), Limit("day", 1.0, "ann"), Limit("day", 1.0, "bo")
    allowance.reserve((DAY,), 0.25, "nova", "ann", late, 60)
    spend(allowance, 0.125, late, "ann")
    spend(allowance, 0.5, late - timedelta(days=1), "ann")
    assert [allowance.standing(limit, late) for limit in (DAY, MONTH, ann, bo)] == [
        Standing(DAY, 0.125, 0.25),
        Standing(MONTH, 0.625, 0.25),
        Standing(ann, 0.125, 0.25),
        Standing(bo, 0.0, 0.0),
    ]
    assert [allowance.standing(MONTH, late + timedelta(seconds=s)).reserved for s in (0, 29, 30, 61)] == [0.25, 0.25, 0.0, 0.0]  # it is of November


def test_a_reservation_ends_with_the_longest_that_a_question_can_take(allowance: Allowance) -> None:
    allowance.reserve((DAY,), 0.25, "nova", "", NOON, 60)
    assert [allowance.standing(DAY, NOON + timedelta(seconds=s)).reserved for s in (0, 59, 60, 60.001, 61)] == [0.25, 0.25, 0.25, 0.0, 0.0]
    east = timezone(timedelta(hours=9))
    assert allowance.standing(DAY, (NOON + timedelta(seconds=59)).astimezone(east)).reserved == 0.25


def test_reservations_of_processes_that_died_are_forgotten_after_a_day(allowance: Allowance) -> None:
    def kept(at: datetime) -> int:
        allowance.release(allowance.reserve((), 0.0, "nova", "", at, 0))
        return int(allowance.ledger.database.execute("SELECT COUNT(*) FROM reserved").fetchone()[0])

    allowance.reserve((), 0.25, "nova", "", NOON, 60)
    assert [kept(NOON + timedelta(days=1, seconds=s)) for s in (59, 60, 61)] == [1, 1, 0]


def test_what_is_held_is_let_go_whatever_happens_and_nothing_is_held_for_nothing(allowance: Allowance) -> None:
    full = Limit("day", 0.0)
    with suppress(ZeroDivisionError), allowance.held((DAY,), 0.5, "nova", "", NOON, 60):
        assert allowance.standing(DAY, NOON).reserved == 0.5
        raise ZeroDivisionError
    assert allowance.standing(DAY, NOON).reserved == 0
    spend(allowance, 0.5, NOON)
    with allowance.held((), None, UNKNOWN, "", NOON, 60), allowance.held((full,), 0.0, "local", "", NOON, 60):
        assert allowance.standing(full, NOON) == Standing(full, 0.5, 0.0)
    with pytest.raises(LimitReached), allowance.held((full,), 0.001, "nova", "", NOON, 60):
        pass
    with pytest.raises(BudgetExceeded, match="no price is known"), allowance.held((DAY,), None, UNKNOWN, "", NOON, 60):
        pass


# What a question can cost.


def test_a_call_costs_at_most_a_full_prompt_and_a_full_answer_of_the_dearest_model() -> None:
    lite, pro = (1300 * 0.33 + 400 * 2.75) / 1e6, (1300 * 0.80 + 400 * 3.20) / 1e6
    assert most_usd(NOVA, 1000) == pytest.approx(lite, abs=1e-15)
    assert most_usd(NOVA) == pytest.approx((4680 * 0.33 + 400 * 2.75) / 1e6, abs=1e-15)  # 3,000 tokens of passages and 600 of instructions, 30 % more
    assert most_usd(PipelineConfig(fast=ModelConfig(NOVA_LITE, fallbacks=(PRO,), max_tokens=400)), 1000) == pytest.approx(pro, abs=1e-15)
    assert most_usd(PipelineConfig(fast=ModelConfig(PRO, fallbacks=(NOVA_LITE,), max_tokens=400)), 1000) == pytest.approx(pro, abs=1e-15)
    assert most_usd(PipelineConfig(fast=ModelConfig(NOVA_LITE, fallbacks=(UNKNOWN,))), 1000) is None
    assert most_usd(PipelineConfig(fast=ModelConfig(UNKNOWN, base_url="http://127.0.0.1:1/v1", fallbacks=(PRO,))), 1000) == 0.0
    profile = ModelConfig("bedrock:arn:aws:bedrock:us-east-1:1:application-inference-profile/a", base_model="us.amazon.nova-pro-v1:0", max_tokens=400)
    assert most_usd(PipelineConfig(fast=profile), 1000) == pytest.approx(pro, abs=1e-15)
    lite_behind = ModelConfig(profile.model, base_model="us.amazon.nova-2-lite-v1:0", fallbacks=(PRO,), max_tokens=400)
    assert most_usd(PipelineConfig(fast=lite_behind), 1000) == pytest.approx(pro, abs=1e-15), "a fallback has a price of its own"


@pytest.mark.parametrize(("length", "answer", "passages", "units"), [(1, 400, 3000, 22), (1000, 400, 3000, 22), (1001, 400, 3000, 23), (2001, 500, 3000, 24), (1, 501, 3001, 24)])
def test_bedrocks_guardrail_is_paid_by_the_thousand_characters_of_question_passages_and_answer(length: int, answer: int, passages: int, units: int) -> None:
    config = PipelineConfig(fast=ModelConfig(NOVA_LITE, max_tokens=answer), guardrail=GuardrailConfig("bedrock:abc:1"), context_tokens=passages)
    assert guardrail_usd(config, "x" * length) == pytest.approx(units * (150 + 150 + 100 + 100) / 1e6, abs=1e-12)
    assert guardrail_usd(NOVA, "x" * length) == 0.0


def test_a_question_costs_at_most_the_sum_of_all_that_it_calls() -> None:
    text = "How long is parental leave for staff at the northern plant? " * 40
    earlier = "And who decides on it? " * 30
    alone, both = count_tokens([text])[0], count_tokens([f"{earlier}\n{text}"])[0]
    assert both > alone + 100 > 500

    def called(words: int, passages: int) -> float:
        return (int(1.3 * (passages + 600 + words)) * 0.33 + 400 * 2.75) / 1e6

    assert question_usd(NOVA, Question(text)) == pytest.approx(called(alone, 3000), abs=1e-15)
    assert question_usd(NOVA, Question(text, (earlier,))) == pytest.approx(called(both, 3000) + called(both, 0), abs=1e-15)
    paid = PipelineConfig(fast=NOVA.fast, embedder=TITAN, retrieval=RetrievalConfig(reranker="bedrock:amazon.rerank-v1:0"), guardrail=GuardrailConfig("bedrock"))
    said = f"{earlier}\n{text}"
    units = -(-len(said) // 1000) + 3 + 18
    assert question_usd(paid, Question(text, (earlier,))) == pytest.approx(called(both, 3000) + called(both, 0) + int(1.3 * both) * 0.02 / 1e6 + 0.001 + units * 0.0005, abs=1e-12)
    assert question_usd(PipelineConfig(fast=ModelConfig(UNKNOWN)), Question("?")) is None
    assert question_usd(PipelineConfig(fast=NOVA.fast, embedder="openai:own", retrieval=RetrievalConfig(reranker="cohere:own")), Question(text)) == question_usd(
        NOVA, Question(text)
    )
    assert question_usd(PipelineConfig(), Question(text, (earlier,))) == 0.0


# Limits that hold.


def test_limits_are_those_that_are_set() -> None:
    assert limits_of(Settings(), Payer()) == () == limits_of(Settings(), Payer("1f3a"))
    assert limits_of(Settings(budget_day_usd=1.5), Payer("1f3a")) == (Limit("day", 1.5),)
    assert limits_of(Settings(budget_day_usd=1.5, budget_month_usd=20.0), Payer("1f3a", 0.25)) == (Limit("day", 1.5), Limit("month", 20.0), Limit("day", 0.25, "1f3a"))


def test_each_share_of_a_limit_is_told_once_when_it_is_reached(allowance: Allowance, caplog: pytest.LogCaptureFixture) -> None:
    told = []
    for spent in (0.0, 0.499, 0.5, 0.5, 0.799, 0.8, 0.9, 1.0, 1.2, 0.5):
        caplog.clear()
        warn(allowance, Standing(MONTH, 2 * spent, 0.0), NOON)
        told.append([record.getMessage() for record in caplog.records if record.levelno == logging.WARNING])
    half, most, all_ = (f"the month's budget: ${usd:.2f} of $2.00 are spent ({share} %)" for usd, share in ((1.0, 50), (1.6, 80), (2.0, 100)))
    assert told == [[], [], [half], [], [], [most], [], [all_], [], []]
    caplog.clear()
    warn(allowance, Standing(MONTH, 2.0, 0.0), NOON + timedelta(days=31))
    warn(allowance, Standing(Limit("month", 1.5), 2.0, 0.0), NOON)
    assert len(caplog.records) == 2 * len(ALERTS) == 6, "the next month tells again, and so does a limit that was changed"
    caplog.clear()
    for refused_usd in (0.02, 0.04, 0.04):
        warn(allowance, Standing(DAY, 0.97, 0.0), NOON, refused_usd)
    assert len(caplog.records) == 3, "half, four fifths, and the whole: a question was refused that the rest does not cover"
    assert "(97 %), and the rest covers no further question" in caplog.records[-1].getMessage()


def test_questions_that_pass_a_share_together_tell_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    "Sixteen at once, each with a ledger of its own on one file, as processes have: from nothing to a budget that is used up."
    path, asked, together = tmp_path / "ledger.sqlite", Question("How long is parental leave?"), Barrier(16)
    most = question_usd(NOVA, asked) or 0.0
    limits = (Limit("day", 20 * most),)

    def ask(n: int) -> None:
        ledger = Ledger(path)
        together.wait()
        for again in range(3):
            with held_to(limits, lambda: Allowance(ledger), NOVA, asked, Payer(), 60.0) as held:
                if not held.why:
                    ledger.record([Charge(f"{n}/{again}", datetime.now(UTC).isoformat(timespec="seconds"), "model", "nova", {}, most, "", f"{n}/{again}")])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))
    told = [record.getMessage() for record in caplog.records if "are spent" in record.getMessage()]
    assert len(told) == 3, told


class Clock(datetime):
    "A clock that stands still at noon."

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return NOON


def test_a_question_is_held_to_its_limits_while_it_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(spending_limits, "datetime", Clock)
    ledger, asked = Ledger(tmp_path / "ledger.sqlite"), Question("How long is parental leave?")
    most, allowance = question_usd(NOVA, asked), Allowance(ledger)
    assert most is not None
    ann, bo = Payer("ann", 1.5 * most), Payer("bo", 1.5 * most)
    settings = Settings(budget_month_usd=10 * most)

    def held(payer: Payer, config: PipelineConfig = NOVA, lasts: float = 60.0):  # type: ignore[no-untyped-def]
        return held_to(limits_of(settings, payer), lambda: Allowance(ledger), config, asked, payer, lasts)

    with held(ann), held(bo):
        month = allowance.standing(limits_of(settings, ann)[0], NOON)
        assert (month.reserved, month.spent) == (pytest.approx(2 * most), 0.0)
        with held(ann) as full:
            assert allowance.standing(month.limit, NOON).reserved == pytest.approx(2 * most), "nothing is reserved for what costs nothing"
        assert full.retry_after_s == 12 * 3600.0 and full.why.startswith("the day's budget of this key is used up: $")
    assert allowance.standing(month.limit, NOON).reserved == 0
    with pytest.raises(OverBudget, match="no price is known") as unknown, held(ann, PipelineConfig(fast=ModelConfig(UNKNOWN))):
        pass
    assert unknown.value.retry_after_s is None
    with held_to((), lambda: Allowance(ledger), PipelineConfig(fast=ModelConfig(UNKNOWN)), asked, Payer(), 60.0), held(ann, PipelineConfig()):
        pass  # nothing to hold to, and nothing to pay
    caplog.clear()
    with suppress(ZeroDivisionError), held(ann, lasts=0.0):
        spend(allowance, 0.8 * most, NOON, "ann")
        raise ZeroDivisionError  # what was spent is told all the same
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["the day's budget of this key"]


# The overview.


def test_a_month_that_has_just_begun_forecasts_no_fortune() -> None:
    def at(*moment: int) -> datetime:
        return datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]

    moments = (at(2026, 11, 1), at(2026, 11, 1, 18), at(2026, 11, 2, 12), at(2026, 11, 16), at(2028, 2, 15, 12), at(2026, 12, 31, 23, 59, 59, 999999))
    assert [forecast(3.0, moment) for moment in moments] == pytest.approx([90.0, 90.0, 60.0, 6.0, 6.0, 3.0], abs=1e-6)
    days = days_until({"2027-01-02": 0.5, "2026-12-04": 0.25, "2026-12-03": 9.0}, at(2027, 1, 2, 23, 59))
    assert (len(days), days[0], days[1], days[-1]) == (30, ("2026-12-04", 0.25), ("2026-12-05", 0.0), ("2027-01-02", 0.5))


def test_an_overview_is_the_sum_of_its_ledger(tmp_path: Path) -> None:
    ledger, now = Ledger(tmp_path / "ledger.sqlite"), datetime(2026, 12, 3, 8, tzinfo=timezone(timedelta(hours=9)))  # still the second in UTC
    second, first, november, october = (
        datetime(2026, 12, 2, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, tzinfo=UTC),
        datetime(2026, 10, 30, tzinfo=UTC),
    )
    lite = 1_000_000 * 0.33 / 1e6
    ledger.record([charge(f"{n}/model", "model", NOVA_LITE, Usage(100_000 * n), second, f"a{n}", collection="b" if n == 12 else "a") for n in range(1, 13)])
    ledger.record(
        [
            charge("old", "model", NOVA_LITE, Usage(1_000_000), november, "old"),
            charge("older", "model", NOVA_LITE, Usage(1_000_000), october, "older"),
            charge("ingest", "embedding", TITAN, Usage(50_000_000), first, collection="c"),
            charge("x", "judge", UNKNOWN, Usage(5), first),
            charge("read", "model", NOVA_LITE, Usage(0, 0, 40_000, 10_000), first, "a1"),
            charge("cached/old", "model", NOVA_LITE, Usage(0, 0, 9_000), november, "old"),
            *(made for made in (saving("hit", NOVA_LITE, Usage(3_000, 300), second, "hit"), saving("hit/old", NOVA_LITE, Usage(3_000, 300), november, "old")) if made),
        ]
    )
    seen = overview_of(ledger, (Limit("day", 10.0), Limit("month", 100.0)), now)
    extra = (40_000 * 0.0825 + 10_000 * 0.33) / 1e6
    assert seen.now == datetime(2026, 12, 2, 23, tzinfo=UTC)
    assert (seen.today, seen.month) == (pytest.approx(7.8 * lite), pytest.approx(7.8 * lite + 1.0 + extra))
    assert seen.forecast == pytest.approx(seen.month * 31 / (1 + 23 / 24))
    assert (seen.questions, seen.per_question) == (13, pytest.approx((7.8 * lite + extra) / 13)), "an upload is no question, a cached answer is one"
    assert [id for id, _ in seen.dearest[:10]] == [f"a{n}" for n in range(12, 2, -1)] and seen.dearest[0][1] == pytest.approx(1.2 * lite)
    assert seen.unpriced == (UNKNOWN,)
    assert [row.key[0] for row in seen.by["collection"]] == ["a", "c", "b", ""] and [row.key[0] for row in seen.by["component"]] == ["model", "embedding", "cache", "judge"]
    assert list(seen.by) == ["component", "model", "prompt", "collection", "key", "config", "route", "cache"]
    assert (seen.saved.prompt_cache, seen.saved.answer_cache) == (pytest.approx(40_000 * (0.33 - 0.0825) / 1e6), pytest.approx((3_000 * 0.33 + 300 * 2.75) / 1e6))
    assert dict(seen.days)["2026-11-30"] == pytest.approx(lite + 9_000 * 0.0825 / 1e6) and seen.days[0] == ("2026-11-03", 0.0) and seen.days[-1] == ("2026-12-02", seen.today)
    assert [standing.spent for standing in seen.standings] == pytest.approx([seen.today, seen.month])
    empty = overview_of(Ledger(tmp_path / "other.sqlite"), (), now)
    assert (empty.today, empty.month, empty.forecast, empty.questions, empty.per_question, empty.dearest, empty.unpriced) == (0.0, 0.0, 0.0, 0, None, (), ())
    whole = overview_of(ledger, (), datetime(2026, 12, 31, 23, 59, tzinfo=UTC))  # the first of its days is the second
    assert (whole.days[0], whole.month) == (("2026-12-02", pytest.approx(7.8 * lite)), pytest.approx(seen.month))
