"The Costs page (`ragwb.app.cost_page`): each figure, bar and table as it is drawn, and when the ledger is read again."

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from ragwb.app import cost_page
from ragwb.app.cost_page import (
    EVERY_S,
    CostPage,
    CostState,
    Dear,
    charge_row,
    cost_regions,
    day_chart,
    dear_question,
    figure,
    figures,
    grouped,
    limit_line,
    sums_table,
    tabs,
)
from ragwb.costs.allowance import Limit, Standing
from ragwb.costs.ledger import Charge, Ledger, Sum, Sums, charge, saving
from ragwb.costs.overview import Overview, overview_of
from ragwb.costs.savings import Savings
from ragwb.costs.usage import Usage
from ragwb.operations.keys import KeyStore, add_key
from ragwb.settings import Settings
from ragwb.workbench import Workbench

LITE, UNKNOWN = "bedrock:us.amazon.nova-2-lite-v1:0", "openai:gpt-<99>"
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)


def plain(html: str) -> str:
    "The text of HTML, its elements apart."
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def overview(**known: object) -> Overview:
    given = {
        "today": 0.5,
        "month": 2.0,
        "forecast": 4.0,
        "questions": 1,
        "per_question": 0.25,
        "unpriced": (),
        "saved": Savings(),
        "days": (),
        "by": {},
        "dearest": (),
        "standings": (),
    } | known
    return Overview(NOON, **given)  # type: ignore[arg-type]


def test_the_figures_say_what_they_are_of() -> None:
    assert plain(figures(overview())) == (
        "today $0.5000 since 00:00 UTC November $2.00 until now end of November $4.00 if it goes on like this "
        "per question $0.2500 1 question this month saved $0.00 nothing yet this month"
    )
    seen = plain(figures(overview(questions=2, per_question=None, saved=Savings(prompt_cache=0.25, answer_cache=0.5))))
    assert seen.endswith("per question – 2 questions this month saved $0.7500 $0.5000 by cached answers, $0.2500 by the provider's prompt cache")
    assert plain(figures(overview(saved=Savings(answer_cache=0.5)))).endswith("saved $0.5000 $0.5000 by cached answers")
    assert plain(figure("x", 0.0)) == "x $0.00"


def test_a_day_is_a_bar_as_high_as_its_share_of_the_dearest() -> None:
    drawn = day_chart([("2026-11-01", 0.0), ("2026-11-02", 0.001), ("2026-11-03", 0.5), ("2026-11-04", 1.0)])
    assert re.findall(r"height:([\d.]+)%", drawn) == ["0.0", "2.0", "50.0", "100.0"]
    assert 'aria-label="Dollars by day: 2026-11-02 $0.001000; 2026-11-03 $0.5000; 2026-11-04 $1.00"' in drawn and 'title="2026-11-01: $0.00"' in drawn
    assert plain(drawn) == "2026-11-01 at most $1.00 in a day 2026-11-04"
    assert day_chart([("2026-11-01", 0.0)]) == ""


def test_a_budget_is_near_from_four_fifths_and_over_from_the_whole() -> None:
    drawn = [limit_line(Standing(Limit("day", 2.0, key), spent, 0.0)) for key, spent in (("", 1.59), ("", 1.6), ("", 1.99), ("a", 2.0), ("", 3.0))]
    assert [re.search('class="(.*?)"', one)[1] for one in drawn] == ["budget", "budget near", "budget near", "budget over", "budget over"]  # type: ignore[index]
    assert re.findall(r'value="(.*?)" max="1"', "".join(drawn)) == ["0.795", "0.800", "0.995", "1.000", "1.000"]
    assert [plain(drawn[0]), plain(drawn[3]), plain(drawn[4])] == [
        "The day's budget $1.59 of $2.00 (80 %)",
        "The day's budget of this key $2.00 of $2.00 (100 %)",
        "The day's budget $3.00 of $2.00 (150 %)",
    ]


def test_sums_have_their_share_and_say_what_has_no_price() -> None:
    sums = Sums([Sum(("id1",), 1_200, 1.5, 0), Sum(("<b>",), 3, 0.5, 1), Sum(("",), 2, 0.0, 2)])
    assert plain(sums_table("key", sums, 2.0, {"id1": "Cy's"})) == ("API key dollars share charges Cy's $1.50 75 % 1,200 <b> $0.5000 and more 25 % 3 no key no price known 0 % 2")
    assert plain(sums_table("model", sums, 0.0, {})) == "model dollars share charges id1 $1.50 – 1,200 <b> $0.5000 and more – 3 – no price known – 2"
    assert '<td class="n">1,200</td>' in sums_table("model", sums, 0.0, {}) and "<b>" not in sums_table("key", sums, 2.0, {})


def test_a_charge_is_a_row_and_a_dear_question_opens_to_its_charges() -> None:
    made = [Charge("1", "", "model", "<nova>", {"input_tokens": 3_000, "cache_read_tokens": 20}, 0.25, "Nova (2026)"), Charge("2", "", "judge", "gpt", {}, None, "")]
    assert charge_row(made[0]) == ["model", "&lt;nova&gt;", "3,000 input tokens, 20 cache read tokens", "Nova (2026)", "$0.2500"]
    assert charge_row(made[1]) == ["judge", "gpt", "", "no price known", "–"]
    drawn = dear_question(Dear("How long <b>?", [("a1", 0.25, made)]))
    assert plain(drawn.partition("</summary>")[0]) == "How long <b>? $0.2500" and "<b>" not in drawn and drawn.count("<tr>") == 3 and drawn.startswith("<details>")


def test_a_question_that_was_asked_again_is_one_line_with_all_of_its_charges(tmp_path: Path) -> None:
    made = [Charge(str(at), f"a{at}", "model", "nova", {}, usd, "Nova (2026)") for at, usd in enumerate((0.3, 0.25, 0.2, 0.1))]
    asked = zip(("Why?", "How long is it?", "how  long is it", "HOW LONG IS IT?"), made, strict=True)
    dear = grouped([(question, charge.id, charge.usd or 0.0, [charge]) for question, charge in asked])
    assert [(each.question, len(each.answers), round(each.usd, 9)) for each in dear] == [("How long is it?", 3, 0.55), ("Why?", 1, 0.3)]
    drawn = [dear_question(each) for each in dear]
    assert [plain(each.partition("</summary>")[0]) for each in drawn] == ["How long is it? 3 times, at most $0.2500 $0.5500", "Why? $0.3000"]
    assert [each.count("<tr>") for each in drawn] == [4, 2]
    many = grouped([(f"Question {at}?", f"a{at}", 1.0, made[:1]) for at in range(12)])
    assert len(many) == 12 and cost_regions(CostState(overview_of(Ledger(tmp_path / "ledger.sqlite"), (), NOON), many))["costs"].count("<details>") == 10


def test_the_page_shows_everything_or_says_that_nothing_was_paid_for(tmp_path: Path) -> None:
    assert "Nothing was paid for here" in cost_regions(CostState())["costs"] and cost_regions(CostState())["notice"] == ""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record(
        [
            made
            for made in (
                charge("a", "model", LITE, Usage(1_000_000), NOON, "a1", collection="handbook"),
                charge("b", "model", UNKNOWN, Usage(5), NOON, "a2"),
                saving("c", LITE, Usage(1_000_000), NOON, "a3"),
            )
            if made
        ]
    )
    seen = overview_of(ledger, (Limit("day", 0.25),), NOON)
    drawn = cost_regions(CostState(seen, [Dear("Why?", [("a1", 0.33, ledger.of("a1"))])], {"": "nobody", "model": "wrong"}, "component"))
    assert plain(drawn["notice"]) == "No price is known for openai:gpt-<99>: what it costs is in none of these sums." and "<99>" not in drawn["notice"]
    said = plain(drawn["costs"])
    assert "Budgets The day's budget $0.3300 of $0.2500 (132 %) Anything odd Nothing odd this month. The first 200 questions that cost something show what is usual; what is odd is told after them. November by what for model prompt collection API key config route cache what for dollars share charges" in said  # noqa: E501
    assert "model $0.3300 and more 100 % 2 cached answers, at no cost $0.00 0 % 1 Saved in November saved by dollars against cached answers $0.3300 what the repeated answers had cost at their models the fast route – the same tokens at the strong model's price shorter prompts – the passages left out, at the price of reading them the provider's prompt cache – the tokens read from it, at the price of fresh ones The dearest questions of November Why? $0.3300" in said  # noqa: E501
    by_key = plain(cost_regions(CostState(seen, [], {"": "nobody"}, "key"))["costs"])
    assert "API key dollars share charges nobody $0.3300 and more 100 % 3 Saved in November" in by_key and "No question cost anything this month." in by_key
    without = cost_regions(CostState(overview_of(ledger, (), NOON), (), {}, "model"))["costs"]
    assert "No budget is set: RAGWB_BUDGET_DAY_USD and RAGWB_BUDGET_MONTH_USD" in plain(without)
    assert re.findall('data-name="([^"]*)" aria-pressed="true"', without) == ["model"] and tabs("key").count("<button") == 8 and tabs("key").count('aria-pressed="true"') == 1


@pytest.fixture
def page(tmp_path: Path) -> CostPage:
    return CostPage(Workbench(Settings(home=tmp_path / "home", model_servers="")))


def test_the_ledger_is_read_again_after_five_seconds_if_somebody_looks(page: CostPage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(cost_page.time, "monotonic", lambda: clock[0])

    def questions() -> int:
        return page.state.seen.questions if page.state.seen else 0

    def paid(n: int) -> None:
        page.workbench.ledger.record([charge(f"q{n}", "model", LITE, Usage(3_000), datetime.now(UTC), f"q{n}", collection="handbook")])

    async def look() -> list[int]:
        seen = []
        await page.tick()  # nobody came yet: nothing is read
        seen.append((questions(), page.screen.regions))
        await page.start({})
        seen.append((questions(), "Nothing was paid" in page.screen.regions["costs"]))
        for n, (later, visible) in enumerate([(4.9, True), (5.0, True), (100.0, False), (100.0, True), (100.1, True)]):
            paid(n)
            clock[0], page.screen.visible = 100.0 + later, visible
            await page.tick()
            seen.append(questions())
        await page.resume()
        return [*seen, questions()]

    assert asyncio.run(look()) == [(0, {}), (0, True), 0, 2, 2, 4, 4, 5] and EVERY_S == 5
    assert page.query() == {} and page.title == "Costs" and page.choose("handbook") is None  # type: ignore[func-returns-value]


def test_a_person_chooses_what_to_sum_by_and_sees_names_and_questions(page: CostPage) -> None:
    workbench = page.workbench
    cy = KeyStore(workbench.store.objects).change(lambda ring: add_key(ring, "Cy's programs"))[1]
    asked: list[str] = []

    def load(answer: str) -> dict[str, str]:
        asked.append(answer)
        if answer == "lost":
            raise OSError("gone")
        return {"question": f"Why {answer}?"}

    workbench.answers.load = load  # type: ignore[method-assign, assignment]
    now = datetime.now(UTC)
    workbench.keeper.book([charge("a", "model", LITE, Usage(3_000), now, "a1", collection="handbook"), charge("b", "model", LITE, Usage(2_000), now, "lost")], cy.id)
    made = saving("c", LITE, Usage(3_000), now, "free")
    workbench.ledger.record([made] if made else [])
    for _ in range(2):
        asyncio.run(page.start({}))
    said = plain(page.screen.regions["costs"])
    assert "Why a1? $0.000990" in said and "a question that is not kept (lost) $0.000660" in said and "free" not in said
    assert asked == ["a1", "lost"], "what is known is not read again"
    for name, shown in (
        ("key", "API key dollars share charges Cy's programs $0.001650 100 % 2 no key $0.00 0 % 1"),
        ("collection", "collection dollars share charges handbook $0.000990 60 %"),
    ):
        asyncio.run(page.act({"act": "by", "name": name}))
        assert shown in plain(page.screen.regions["costs"]) and page.state.by == name
    for message in ({"act": "by", "name": "answer"}, {"act": "open", "name": "key"}):
        asyncio.run(page.act(message))
        assert page.state.by == "collection"


class Clock(datetime):
    "A clock that stands still."

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return NOON


@pytest.mark.parametrize(("back", "empty"), [(0, False), (29, False), (30, True)])
def test_a_ledger_of_which_nothing_is_shown_any_more_is_empty(page: CostPage, monkeypatch: pytest.MonkeyPatch, back: int, empty: bool) -> None:
    monkeypatch.setattr(cost_page, "datetime", Clock)
    page.workbench.ledger.record([charge("a", "embedding", LITE, Usage(3_000), NOON - timedelta(days=back))])
    asyncio.run(page.start({}))
    assert ("Nothing was paid for here" in page.screen.regions["costs"]) is empty
