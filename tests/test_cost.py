"What things cost: usage from LangChain's own converters, prices beside MLflow's catalogue, and a ledger under many hands."

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from langchain_core.messages import AIMessage, AIMessageChunk

from ragwb.cli import main
from ragwb.costs import prices
from ragwb.costs.budget import BudgetExceeded, SQLiteBudget
from ragwb.costs.ledger import Ledger, charge, total
from ragwb.costs.prices import PRICES, Price, cost_of, price_of, token_rates
from ragwb.costs.usage import Usage, usage_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LITE = "us.amazon.nova-2-lite-v1:0"
BILL = {"inputTokens": 2000, "outputTokens": 300, "totalTokens": 3300, "cacheReadInputTokens": 900, "cacheWriteInputTokens": 100}
DETAILS = {"cacheDetails": [{"ttl": "5m", "inputTokens": 60}, {"ttl": "1h", "inputTokens": 40}]}


def converted(usage: dict[str, Any]) -> AIMessage:
    "A reply as langchain-aws makes it of Bedrock's."
    from langchain_aws.chat_models.bedrock_converse import _extract_usage_metadata

    return AIMessage("yes", usage_metadata=_extract_usage_metadata({"usage": dict(usage)}))


@pytest.mark.parametrize("usage", [BILL, BILL | DETAILS, {"inputTokens": 2000, "outputTokens": 300, "totalTokens": 2300}])
def test_usage_is_bedrocks_bill(usage: dict[str, Any]) -> None:
    used = usage_of(converted(usage))
    assert used == Usage(2000, 300, usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0))
    rates = {"inputTokens": 0.33, "outputTokens": 2.75, "cacheReadInputTokens": 0.0825, "cacheWriteInputTokens": 0.33}
    assert cost_of(LITE, used, NOON) == pytest.approx(sum(usage.get(name, 0) * rate for name, rate in rates.items()) / 1e6)


def test_usage_of_a_stream_is_that_of_its_last_event() -> None:
    from langchain_aws.chat_models.bedrock_converse import _parse_stream_event

    events: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "yes"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": BILL | DETAILS, "metrics": {"latencyMs": 7}}},
    ]
    whole: Any = None
    for event in events:
        piece = _parse_stream_event(event)
        whole = piece if whole is None else whole + piece if piece else whole
    assert isinstance(whole, AIMessageChunk) and usage_of(whole) == Usage(2000, 300, 900, 100)


def test_reasoning_is_part_of_the_output() -> None:
    told = {"input_tokens": 10, "output_tokens": 500, "total_tokens": 510, "output_token_details": {"reasoning": 400}}
    used = usage_of(AIMessage("yes", usage_metadata=told))
    assert used.reasoning_tokens == 400 and cost_of(LITE, used, NOON) == pytest.approx((10 * 0.33 + 500 * 2.75) / 1e6)


def test_prices_beside_mlflows_catalogue() -> None:
    spec = find_spec("mlflow")
    assert spec and spec.origin
    catalogue = json.loads((Path(spec.origin).parent / "utils/model_catalog/bedrock.json").read_text("utf-8"))["models"]
    names = {"input_tokens": "input_per_million_tokens", "output_tokens": "output_per_million_tokens", "cache_read_tokens": "cache_read_per_million_tokens"}
    compared = 0
    for price in PRICES:
        for model in price.models:
            if model in catalogue and not (model.startswith("amazon.nova-2-")):  # a bare Nova 2 id is not called; ours is the price of a geography
                for unit, name in names.items():
                    if unit in price.rates and name in catalogue[model]["pricing"]:
                        assert price.rates[unit] == pytest.approx(catalogue[model]["pricing"][name], rel=1e-3), (model, unit)
                        compared += 1
    assert compared >= 45


def test_every_aws_model_of_the_packaged_config_has_a_price() -> None:
    from ragwb.config import CONFIGS
    from ragwb.generation.bedrock import model_id
    from ragwb.settings import Settings

    config = CONFIGS["aws"]
    for geography in ("us", "eu", "apac"):
        settings = Settings(inference_profile=geography)
        for name in (config.embedder, *(name for role in (config.fast, config.strong) for name in (role.model, *role.fallbacks))):
            assert price_of(model_id(name, settings), NOON), (geography, name)
    assert price_of("bedrock:amazon.titan-embed-text-v2:0/512", NOON) == price_of("amazon.titan-embed-text-v2:0", NOON)


@pytest.mark.parametrize(("day", "usd"), [("2025-12-02", 0.33), ("2027-01-31", 0.33), ("2027-02-01", 0.10), ("2027-05-31", 0.10), ("2027-06-01", 0.50), ("2030-01-01", 0.50)])
def test_a_call_costs_what_it_cost_on_its_day(day: str, usd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    later = [Price((LITE,), "Nova 2 Lite", read, token_rates(rate, 2.75, 0.08)) for read, rate in (("2027-06-01", 0.50), ("2027-02-01", 0.10))]
    monkeypatch.setattr(prices, "PRICES", (*later[:1], *PRICES, *later[1:]))  # in no order
    at = datetime.fromisoformat(f"{day}T23:30:00+00:00")
    made = charge("a", "model", LITE, Usage(1_000_000), at)
    assert (made.usd, cost_of(LITE, Usage(1_000_000), at)) == pytest.approx((usd, usd)) and made.price.endswith(f"({price_of(LITE, at).checked})")  # type: ignore[union-attr]
    assert charge("b", "model", LITE, Usage(1_000_000), at.astimezone(timezone(timedelta(hours=9)))).usd == made.usd, "the day is that of UTC"


def test_what_is_not_known_is_never_free() -> None:
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"
    for model in ("bedrock:us.amazon.nova-99-v1:0", "openai:gpt-4.1", "ollama:llama3", arn, "jp.amazon.nova-pro-v1:0", ""):
        assert cost_of(model, Usage(1, 1), NOON) is None
    assert cost_of("amazon.titan-embed-text-v2:0", {"input_tokens": 5, "pictures": 1}, NOON) is None
    assert total([charge("a", "model", LITE, Usage(1), NOON), charge("b", "judge", "openai:gpt-4.1", Usage(1), NOON)]) is None


def test_a_day_without_a_price_is_unpriced_and_never_free(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Price(("old",), "Old", "2026-03-01", {"input_tokens": 1.0}, since="2026-01-01", until="2026-04-30")
    again = Price(("old",), "Old again", "2026-06-01", {"input_tokens": 2.0})
    monkeypatch.setattr(prices, "PRICES", (again, ended))
    days = {"2025-12-31": None, "2026-01-01": 1.0, "2026-04-30": 1.0, "2026-05-01": None, "2026-05-31": None, "2026-06-01": 2.0, "2031-01-01": 2.0}
    assert {day: cost_of("old", Usage(1_000_000), date.fromisoformat(day)) for day in days} == days
    assert cost_of(LITE, Usage(1), date(1970, 1, 1)) is None, "a clock that stands in 1970 makes nothing free"
    assert charge("a", "model", "old", Usage(5), datetime(2026, 5, 15, tzinfo=UTC)).usd is None


def test_each_price_says_from_when_where_and_by_whom() -> None:
    for price in PRICES:
        assert price.begins <= price.checked and price.scope and price.tier == "on demand" and price.source and "://" not in price.source, price.name


def test_a_charge_counts_once_however_often_and_by_whomever_it_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ledger.sqlite"
    ledgers = [Ledger(path) for _ in range(3)]
    charges = [charge(f"q{n}:model:1", "model", LITE, Usage(1000, 100), NOON, answer=f"q{n}") for n in range(200)]
    with ThreadPoolExecutor(12) as pool:
        new = list(pool.map(lambda turn: sum(ledgers[turn % 3].record(charges[at:at + 10]) for at in range(0, 200, 10)), range(12)))
    assert sum(new) == 200
    (everything,) = ledgers[0].sums()
    assert everything.charges == 200 and everything.usd == pytest.approx(200 * (1000 * 0.33 + 100 * 2.75) / 1e6)
    assert everything.units == {"input_tokens": 200_000, "output_tokens": 20_000}


def test_a_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    code = f"""
from datetime import UTC, datetime
from pathlib import Path
from ragwb.costs import prices
from ragwb.costs.ledger import Ledger, charge
from ragwb.costs.usage import Usage
ledger = Ledger(Path({str(path)!r}))
for n in range(100000):
    ledger.record([charge(f"q{{n}}:{{part}}:1", part, "{LITE}", Usage(1), datetime(2026, 11, 24, tzinfo=UTC), answer=f"q{{n}}") for part in ("embedding", "model", "guardrail")])
    if n == 20: print("ready", flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout and writer.stdout.readline() == "ready\n"
    writer.kill()
    writer.wait()
    by_answer = Ledger(path).sums("answer")
    assert len(by_answer) > 20 and {row.charges for row in by_answer} == {3}


def test_sums_by_day_component_and_model(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    days = [datetime(2026, 11, day, 23, 59, tzinfo=UTC) for day in (23, 24, 25)]
    ledger.record([charge(f"{day:%d}:{part}", part, model, Usage(1_000_000), day, config="c", route="fast") for day in days
                   for part, model in (("model", LITE), ("embedding", "amazon.titan-embed-text-v2:0"), ("judge", "openai:gpt-4.1"))])  # fmt: skip
    assert [(row.key, round(row.usd, 4), row.unpriced) for row in ledger.sums("component")] == [(("embedding",), 0.06, 0), (("judge",), 0.0, 3), (("model",), 0.99, 0)]
    assert [row.key for row in ledger.sums("day", "component", since="2026-11-24", until="2026-11-24")] == [("2026-11-24", part) for part in ("embedding", "judge", "model")]
    assert "openai:gpt-4.1" in ledger.sums("model")._repr_markdown_()
    with pytest.raises(ValueError, match="component is one of"):
        charge("x", "coffee", LITE, Usage(1), NOON)


def test_a_budget_is_never_passed_together(tmp_path: Path) -> None:
    budget, spent, lock = SQLiteBudget(tmp_path / "budget.sqlite", 1.0), [], threading.Lock()

    def ask(n: int) -> bool:
        try:
            held = budget.reserve(0.03, f"question {n}")
        except BudgetExceeded as error:
            assert "USD are left" in str(error)
            return False
        with lock:
            spent.append(0.01)
        budget.settle(held, 0.01)
        return True

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(ask, range(500)))
    balance = budget.balance
    assert balance.reserved == pytest.approx(0) and balance.spent == pytest.approx(sum(spent)) and balance.spent <= 1 and 33 <= sum(done) <= 98
    with pytest.raises(BudgetExceeded, match="no price is known"):
        budget.reserve(None, "openai:gpt-4.1")


def test_the_command_reads_what_the_ledger_has(tmp_path: Path) -> None:
    def cost(*words: str) -> Any:
        run = CliRunner().invoke(main, ["cost", *words, "--json"], env={"RAGWB_HOME": str(tmp_path)})
        assert run.exit_code == 0, run.output
        return json.loads(run.stdout)

    assert cost()["total"]["charges"] == 0 and not list(tmp_path.iterdir()), "reading makes no ledger"
    today = datetime.now(UTC)
    Ledger(tmp_path / "ledger.sqlite").record([
        charge("a", "model", LITE, Usage(2_000, 300, 900, 100), today - timedelta(days=8), "answer-1", "c"),
        charge("b", "guardrail", "bedrock:guardrail/g", {"contentPolicyUnits": 3}, today, "answer-2"),
        charge("c", "judge", "openai:gpt-9", Usage(10), today, "answer-2"),
    ])  # fmt: skip
    told = cost("report", "--by", "component")
    assert told["total"]["usd"] == pytest.approx((2_000 * 0.33 + 300 * 2.75 + 900 * 0.0825 + 100 * 0.33 + 3 * 150) / 1e6, abs=1e-12)
    assert (told["total"]["charges"], told["total"]["unpriced"], told["total"]["unpriced_models"]) == (3, 1, ["openai:gpt-9"])
    assert [(row["component"], row["charges"]) for row in told["rows"]] == [("guardrail", 1), ("judge", 1), ("model", 1)]
    assert told["saved_usd"]["prompt_cache"] == pytest.approx(900 * (0.33 - 0.0825) / 1e6, abs=1e-12)
    week = cost("--since", "7d", "--by", "answer", "--by", "day")
    assert [row["answer"] for row in week["rows"]] == ["answer-2"] and week["total"]["charges"] == 2 and not week["saved_usd"]["prompt_cache"]
    assert week["rows"][0]["day"] == f"{today:%Y-%m-%d}"
