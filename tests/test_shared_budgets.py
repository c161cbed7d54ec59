"A budget in a real Redis: sixteen processes with a ledger each never pass it, and nothing that happens to Redis or to a clock loosens it."

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from langchain_core.messages import AIMessage
from profiles import profile_settings
from servers import RedisProcess

from ragwb.answering.answer import Question
from ragwb.answering.shared_allowance import TELL, BudgetUnknown, SharedAllowance, allowance_of
from ragwb.answering.spending_limits import Payer, held_to, limits_of
from ragwb.app.server import create_server
from ragwb.config import NOVA_LITE, ModelConfig, PipelineConfig
from ragwb.costs.allowance import Allowance, Allowances, Limit, LimitReached, Standing
from ragwb.costs.budget import BudgetExceeded
from ragwb.costs.ledger import Charge, Ledger
from ragwb.costs.usage import MOST, Usage, usage_of
from ragwb.network.redis import PAUSE_S, RedisServer
from ragwb.settings import Settings

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY, MONTH = Limit("day", 1.0), Limit("month", 2.0)

Make = Callable[..., Allowances]


@pytest.fixture(params=["local", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    "Makes an allowance of either kind on the same limits; in Redis each has a ledger of its own."
    server = RedisServer(request.getfixturevalue("redis8").url, "test:") if request.param == "redis" else None

    def made(name: str = "one", clock: Callable[[], datetime] = lambda: NOON) -> Allowances:
        ledger = Ledger(tmp_path / (name if server else "shared") / "ledger.sqlite")
        return SharedAllowance(server, ledger, clock) if server else Allowance(ledger)

    return made


def spend(allowance: Allowances, usd: float, at: datetime = NOON, key: str = "") -> None:
    ledger = allowance.ledger
    ledger.record([Charge(f"c{time.monotonic_ns()}", at.isoformat(timespec="seconds"), "model", "nova", {}, usd, "", "", key=key)])


def test_a_limit_holds_for_all_and_to_the_last_cent(make: Make) -> None:
    one, other = make("one"), make("other")
    spend(one, 0.25)
    with one.held((DAY, MONTH), 0.25, "nova", "", NOON, 60), other.held((DAY, MONTH), 0.5, "nova", "", NOON, 60):
        assert one.standing(DAY, NOON) == other.standing(DAY, NOON) == Standing(DAY, 0.25, 0.75)
        with pytest.raises(LimitReached, match=r"\$1\.00 of \$1\.00 are spent or reserved, and this question may") as refused, other.held((DAY,), 0.00001, "n", "", NOON, 60):
            pass
        assert refused.value.again_s == 12 * 3_600
    assert other.standing(DAY, NOON).reserved == 0
    with suppress(ZeroDivisionError), one.held((DAY,), 0.5, "nova", "", NOON, 60):
        raise ZeroDivisionError
    assert one.standing(DAY, NOON) == Standing(DAY, 0.25, 0.0)


def test_all_limits_or_none_and_each_key_for_itself(make: Make) -> None:
    one, other, ann, bo = make("one"), make("other"), Limit("day", 0.5, "ann"), Limit("day", 0.5, "bo")
    spend(one, 1.75, NOON - timedelta(days=3))
    with pytest.raises(LimitReached, match="the month's budget is used up"), one.held((DAY, MONTH), 0.5, "nova", "", NOON, 60):
        pass
    assert one.standing(DAY, NOON) == Standing(DAY, 0.0, 0.0) and other.standing(MONTH, NOON).spent == 1.75
    with one.held((ann,), 0.25, "nova", "ann", NOON, 60):
        spend(one, 0.125, key="ann")
        assert [other.standing(limit, NOON).reserved for limit in (DAY, ann, bo)] == [0.25, 0.25, 0.0]
    assert [other.standing(limit, NOON).spent for limit in (DAY, ann, bo)] == [0.125, 0.125, 0.0]
    with pytest.raises(LimitReached, match="of this key"), other.held((ann,), 0.4, "nova", "ann", NOON, 60):
        pass
    with pytest.raises(BudgetExceeded, match="no price is known for openai:gpt-99"), one.held((DAY,), None, "openai:gpt-99", "", NOON, 60):
        pass
    with one.held((), 9.0, "nova", "", NOON, 60), one.held((DAY,), 0.0, "local", "", NOON, 60):
        assert one.standing(DAY, NOON).reserved == 0


def test_a_limit_that_changes_holds_from_the_next_question_on(make: Make) -> None:
    one, other = make("one"), make("other")
    with one.held((DAY,), 0.75, "nova", "", NOON, 60):
        for limit, fits in ((Limit("day", 0.5), False), (Limit("day", 1.5), True), (DAY, False)):
            if fits:
                with other.held((limit,), 0.5, "nova", "", NOON, 60):
                    assert one.standing(limit, NOON).reserved == 1.25
            else:
                with pytest.raises(LimitReached), other.held((limit,), 0.5, "nova", "", NOON, 60):
                    pass


# What only servers apart can meet.


def pods(redis8: RedisProcess, tmp_path: Path, count: int = 2, clock: Callable[[], datetime] | None = None) -> list[SharedAllowance]:
    return [SharedAllowance(RedisServer(redis8.url, "test:"), Ledger(tmp_path / str(n) / "ledger.sqlite"), clock) for n in range(count)]


SPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ragwb.answering.shared_allowance import SharedAllowance
from ragwb.costs.allowance import Limit, LimitReached
from ragwb.costs.ledger import Charge, Ledger
from ragwb.network.redis import RedisServer

ledger, paid = Ledger(Path(sys.argv[1])), 0
allowance = SharedAllowance(RedisServer(sys.argv[3], "test:"), ledger)
print("ready", flush=True)
sys.stdin.readline()
while True:
    now = datetime.now(UTC)
    try:
        with allowance.held((Limit("day", 0.05), Limit("month", 1.0)), 0.0004, "a model", "", now, 120):
            ledger.record([Charge(f"{sys.argv[2]}/{paid}", now.isoformat(), "model", "nova", {}, 0.0003, "")])
        paid += 1
    except LimitReached:
        break
print(paid)
"""


@pytest.mark.parametrize("ledgers", [16, 4])
def test_sixteen_processes_with_ledgers_of_their_own_never_pass_the_limit(ledgers: int, redis8: RedisProcess, tmp_path: Path) -> None:
    words = [[sys.executable, "-c", SPENDER, str(tmp_path / str(n % ledgers) / "ledger.sqlite"), str(n), redis8.url] for n in range(16)]
    spenders = [subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for each in words]
    assert all(spender.stdout.readline() == "ready\n" for spender in spenders)
    for spender in spenders:
        spender.stdin.write("\n")
        spender.stdin.flush()
    paid = sum(int(spender.communicate(timeout=120)[0]) for spender in spenders)
    standing = pods(redis8, tmp_path, 1)[0].standing(Limit("day", 0.05), NOON)
    assert standing.spent == pytest.approx(paid * 0.0003) and standing.reserved == 0
    assert 0.05 - 17 * 0.0004 <= standing.spent <= 0.05


def test_a_killed_process_holds_its_reservation_for_its_lease_only(redis8: RedisProcess, tmp_path: Path) -> None:
    now = [NOON]
    one, other = pods(redis8, tmp_path, clock=lambda: now[0])
    one.reserve((DAY,), 1.0, "nova", "", 60)  # and then it is killed
    with pytest.raises(LimitReached):
        other.reserve((DAY,), 0.5, "nova", "", 60)
    now[0] += timedelta(seconds=61)
    other.release(other.reserve((DAY,), 0.5, "nova", "", 60))
    assert redis8.client.hlen("test:budget:reserved") == 0


def test_a_charge_that_was_booked_before_the_kill_is_told_with_the_next_question(redis8: RedisProcess, tmp_path: Path) -> None:
    one, _ = pods(redis8, tmp_path)
    one.standing(DAY, NOON)
    spend(one, 0.5, datetime.now(UTC))  # and killed before it told Redis
    again, other = pods(redis8, tmp_path)
    assert (again.standing(DAY, NOON).spent, other.standing(DAY, NOON).spent) == (0.5, 0.5)


def test_a_total_that_is_told_late_gives_nothing_back(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = pods(redis8, tmp_path, clock=lambda: NOON)
    spend(one, 0.5)
    one.tell(NOON)
    one.run(TELL, (f"{one.at}told:{one.id}", *one.periods(NOON)), "key:", "0.25")  # by another process on the same ledger
    assert other.standing(DAY, NOON).spent == 0.5
    assert one.standing(DAY, NOON).spent == 0.5, "and what was booked before it is not booked again"


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_without_redis_what_costs_money_is_refused_and_what_is_free_is_answered(how: str, redis8: RedisProcess, tmp_path: Path) -> None:
    one, _ = pods(redis8, tmp_path)
    one.standing(DAY, NOON)
    redis8.kill() if how == "killed" else redis8.freeze()
    with pytest.raises(BudgetUnknown, match="nothing that costs money is asked: redis://.* Questions that cost nothing are answered"), one.held((DAY,), 0.1, "nova", "", NOON, 60):
        pass
    with one.held((DAY,), 0.0, "local", "", NOON, 60):
        pass
    redis8.start() if how == "killed" else redis8.thaw()
    time.sleep(PAUSE_S + 0.1)
    with one.held((DAY,), 0.1, "nova", "", NOON, 60):
        assert one.standing(DAY, NOON).reserved == 0.1


def test_redis_killed_while_a_question_is_answered(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = pods(redis8, tmp_path)
    with one.held((DAY,), 0.5, "nova", "", NOON, 60):
        redis8.kill()
        spend(one, 0.25, datetime.now(UTC))
    redis8.start()
    time.sleep(PAUSE_S + 0.1)
    assert one.standing(DAY, NOON) == Standing(DAY, 0.25, 0.5), "reserved until the lease ends, and spent"
    assert other.standing(DAY, NOON).spent == 0.25


def test_when_redis_has_lost_its_data_the_ledgers_tell_their_month(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = pods(redis8, tmp_path, clock=lambda: NOON)
    for pod, usd, key in ((one, 0.25, "ann"), (other, 0.5, "")):
        spend(pod, usd, key=key)
        spend(pod, usd, NOON - timedelta(days=2))
        spend(pod, 99.0, NOON - timedelta(days=40))
        pod.standing(DAY, NOON)
    before = [one.standing(limit, NOON).spent for limit in (DAY, MONTH, Limit("day", 1.0, "ann"))]
    redis8.client.flushall()
    other.standing(DAY, NOON)
    assert [one.standing(limit, NOON).spent for limit in (DAY, MONTH, Limit("day", 1.0, "ann"))] == before == [0.75, 1.5, 0.25]


def test_a_full_redis_still_reserves(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = pods(redis8, tmp_path)
    redis8.client.config_set("maxmemory", 1)
    with one.held((DAY,), 0.75, "nova", "", NOON, 60):
        spend(one, 0.5, datetime.now(UTC))
        with pytest.raises(LimitReached):
            other.reserve((DAY,), 0.5, "nova", "", 60)
    assert other.standing(DAY, NOON) == Standing(DAY, 0.5, 0.0)


def test_a_wrong_clock_of_a_server_spends_todays_money(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = pods(redis8, tmp_path)
    one.standing(DAY, NOON)
    for days in (-1, 1, -400, 400):
        with one.held((DAY,), 0.1, "nova", "", datetime.now(UTC) + timedelta(days=days), 60):
            spend(one, 0.1, datetime.now(UTC) + timedelta(days=days))
    assert other.standing(DAY, NOON).spent == pytest.approx(0.4)


def test_a_clock_of_redis_that_goes_backwards_gives_nothing_back(redis8: RedisProcess, tmp_path: Path) -> None:
    now = [NOON]
    one, = pods(redis8, tmp_path, 1, lambda: now[0])
    held = one.reserve((DAY,), 0.5, "nova", "", 60)
    spend(one, 0.25)
    one.standing(DAY, NOON)
    now[0] -= timedelta(hours=3)
    assert one.standing(DAY, NOON) == Standing(DAY, 0.25, 0.5)
    one.release(held)
    now[0] -= timedelta(days=1)
    assert one.standing(MONTH, NOON).spent == 0.25


@pytest.mark.parametrize(("told", "used"), [(-300, 0), (10**30, MOST), (float("nan"), 0), (float("inf"), MOST), ("many", 0), (None, 0), (True, 0), (300, 300)])
def test_absurd_usage_of_a_provider_is_bounded(told: object, used: int) -> None:
    reply = AIMessage("Yes.")
    reply.usage_metadata = {"input_tokens": told, "output_tokens": told, "total_tokens": 0}
    assert usage_of(reply) == Usage(used, used, corrected=0 if told in (None, 300) else 2)


# Through the front door.


def test_a_server_refuses_with_429_and_is_degraded_while_redis_is_away(redis8: RedisProcess, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with profile_settings("aws", tmp_path / "home", request, workers=1) as (settings, config):
        settings = replace(settings, redis=redis8.url, budget_day_usd=5.0, insecure=1)
        app = create_server(settings, config)
        app.state.service.workbench.ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")], "seals")
        with TestClient(app, base_url="http://127.0.0.1:8321") as client:
            asked = {"question": "What torque does the seal A1-990 need?", "collection": "seals"}
            first = client.post("/v1/query", json=asked)
            assert first.status_code == 200 and client.get("/readyz").json() == {"status": "ready"}
            assert allowance_of(settings, app.state.service.workbench.ledger).standing(DAY, NOON).spent == pytest.approx(first.json()["cost_usd"], rel=0.5)
            redis8.kill()
            kept = client.post("/v1/query", json=asked).json()
            assert (kept["outcome"], kept["route"], kept["cost_usd"]) == ("passages", "kept", 0) and "the budget cannot be checked" in kept["notes"][0]
            refused = client.post("/v1/query", json=asked | {"question": "Xyzzy?"})
            assert refused.status_code == 429 and refused.headers["retry-after"] == "5" and "the budget cannot be checked" in refused.json()["detail"]
            ready = client.get("/readyz")
            assert ready.status_code == 200 and ready.json()["status"] == "degraded" and ready.json()["degraded"][0].startswith("redis: ")
            assert "ragwb_redis_up 0.0" in client.get("/metrics").text
            redis8.start()
            time.sleep(PAUSE_S + 0.1)
            assert client.post("/v1/query", json=asked).status_code == 200 and "ragwb_redis_up 1.0" in client.get("/metrics").text


def test_a_refusal_says_when_to_try_again(redis8: RedisProcess, tmp_path: Path) -> None:
    settings, ledger = Settings(home=tmp_path, redis=redis8.url, budget_day_usd=1e-6), Ledger(tmp_path / "ledger.sqlite")
    nova = PipelineConfig(fast=ModelConfig(NOVA_LITE, max_tokens=400))
    for away, said in ((False, "the day's budget is used up"), (True, "the budget cannot be checked")):
        if away:
            redis8.kill()
        with held_to(limits_of(settings, Payer()), lambda: allowance_of(settings, ledger), nova, Question("Why?"), Payer(), 60) as held:
            assert held.why.startswith(said) and held.retry_after_s and (held.retry_after_s == 5.0) == away
