"Routing through whole pipelines: off is as it was, both roles are charged, no answer crosses roles, wrong weights are said before a question is asked."

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from langchain_core.language_models import FakeListChatModel
from profiles import profile_settings

from ragwb.answering.answer import Answer, Question
from ragwb.answering.pipeline import Pipeline
from ragwb.answering.routing import trained_gain
from ragwb.answering.spending_limits import question_usd
from ragwb.cli import main
from ragwb.config import NOVA_LITE, NOVA_PRO, CacheConfig, ConfigError, ModelConfig, PipelineConfig, RoutingConfig
from ragwb.experiments.grid import chosen_questions, run_grid
from ragwb.experiments.notebooks import Run
from ragwb.generation.fallback import ModelError
from ragwb.indexing.embedding import embedder
from ragwb.settings import Settings
from ragwb.workbench import Workbench

TORQUE, HARD = "What torque does the seal A1-990 need?", "How much more torque does the seal A1-990 need than the A1-991, and what is each made of?"
SHEET = b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n\nThe seal A1-991 is made of viton and needs 47 N m.\n"
REFUSAL, PROVEN = "NO ANSWER", "It is 42 N m. [[1|a torque of 42 N m]]"
CASCADE = RoutingConfig("cascade")


class Scripted(FakeListChatModel):
    "Counts its calls; one without words is down."
    asked: list[str] = []

    def _stream(self, *given: Any, **more: Any) -> Iterator[Any]:
        self.asked.append("stream")
        if self.responses == ["down"]:
            raise ModelError("the model is down")
        yield from super()._stream(*given, **more)


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    made = Workbench(Settings(home=tmp_path / "home", workers=1))
    made.ingest_files([("seals.md", SHEET)], "seals")
    return made


def pipeline(workbench: Workbench, fast: str, strong: str, config: PipelineConfig) -> Pipeline:
    "A pipeline with a scripted model in each role."
    models = {role: Scripted(responses=[said], asked=[]) for role, said in (("fast", fast), ("strong", strong))}
    cache = workbench.cache if config.cache.mode != "off" else None
    return Pipeline(workbench.store.open("seals"), config, embedder(config.embedder, workbench.settings), models["fast"], workbench.settings, cache=cache, strong=models["strong"])


def asked(of: Pipeline) -> tuple[int, int]:
    "How often the fast and the strong model were asked."
    return len(of.model.asked), len(of.roles.made["strong"].asked)  # type: ignore[attr-defined]


def test_off_is_as_it_was(workbench: Workbench) -> None:
    assert PipelineConfig().fingerprint == "7a72d76cf578" and "routing" not in PipelineConfig().to_dict()
    of = pipeline(workbench, PROVEN, "never asked", PipelineConfig())
    answer = of.invoke(HARD)
    assert (answer.route, dict(answer.routing), answer.notes, asked(of)) == (None, {}, (), (1, 0))
    assert list(answer.timings_ms) == ["guard", "standalone", "retrieve", "generate", "total"]
    assert {call.route for call in answer.calls} == {""}


@pytest.mark.parametrize(("mode", "question", "fast", "strong", "route", "calls", "said"), [
    ("rules", TORQUE, PROVEN, "never", "fast", (1, 0), "It is 42 N m. [1]"),
    ("rules", HARD, "never", PROVEN, "strong", (0, 1), "It is 42 N m. [1]"),
    ("cascade", TORQUE, PROVEN, "never", "fast", (1, 0), "It is 42 N m. [1]"),
    ("cascade", TORQUE, REFUSAL, PROVEN, "strong", (1, 1), "It is 42 N m. [1]"),
    ("cascade", TORQUE, f"{PROVEN} Red. [[1|red as a rose]]", "down", "fast", (1, 1), "It is 42 N m. [1]"),
    ("cascade", TORQUE, "down", PROVEN, "strong", (1, 1), "It is 42 N m. [1]"),
    ("cascade", "Which chess player won the torque tournament in Reykjavik?", REFUSAL, "never", "fast", (1, 0), ""),
])
def test_the_role_that_answers(workbench: Workbench, mode: str, question: str, fast: str, strong: str, route: str, calls: tuple[int, int], said: str) -> None:
    of = pipeline(workbench, fast, strong, PipelineConfig(routing=RoutingConfig(mode)))
    events = list(of.stream(question))
    answer = events[-1]
    assert isinstance(answer, Answer)
    assert (answer.route, asked(of)) == (route, calls)
    assert answer.text == said if said else answer.refused
    assert "".join(event for event in events if isinstance(event, str)).strip() == answer.text, "what was streamed is not the answer"
    told = answer.to_dict()
    assert told["route"] == told["routing"]["role"] == route and told["routing"]["reason"] and len(told["routing"]["asked"]) == sum(calls)
    assert any("The strong model was asked too" in note and "It failed: the model is down" in note for note in answer.notes) == (strong == "down")


def test_a_cascade_in_which_both_roles_fail_is_an_error_with_the_passages(workbench: Workbench) -> None:
    with pytest.raises(ModelError, match="the model is down") as failed:
        pipeline(workbench, "down", "down", PipelineConfig(routing=CASCADE)).invoke(TORQUE)
    assert failed.value.passages[0].document == "seals.md"


def test_the_fast_role_can_be_forced(workbench: Workbench) -> None:
    "By who holds a budget: also where the config names the strong role and no router. Such an answer is not kept for later."
    forced = Question(HARD, forced_fast="80 % of the budget for today are spent")
    for routing in (RoutingConfig("rules"), CASCADE):
        of = pipeline(workbench, REFUSAL, PROVEN, PipelineConfig(routing=routing, cache=CacheConfig("exact", sample=0.0)))
        answer = of.invoke(forced)
        assert (answer.route, asked(of)) == ("fast", (1, 0))
        assert answer.notes == ("Answered by the fast model: 80 % of the budget for today are spent.",)
    strong = PipelineConfig(role="strong", cache=CacheConfig("exact", sample=0.0))
    never = Scripted(responses=["never"], asked=[])
    of = Pipeline(workbench.store.open("seals"), strong, embedder(strong.embedder, workbench.settings), never, workbench.settings, cache=workbench.cache)
    of.roles.made["fast"] = Scripted(responses=[PROVEN], asked=[])
    assert (of.invoke(replace(forced, text=TORQUE)).route, len(workbench.cache)) == ("fast", 0)
    assert never.asked == []


def test_no_answer_crosses_roles_or_routers(workbench: Workbench) -> None:
    "An earlier answer is given in the same config only; a cascade's answer is kept whole."
    configs = [PipelineConfig(cache=CacheConfig("exact", sample=0.0), routing=routing) for routing in (RoutingConfig(), CASCADE, RoutingConfig("rules"))]
    configs.append(replace(configs[0], role="strong"))
    for config in configs:
        of = pipeline(workbench, REFUSAL if config.routing == CASCADE else PROVEN, PROVEN, config)
        first = of.invoke(TORQUE)
        assert not first.refused and not first.cached, f"{config.routing} {config.role} was answered by another config"
        again = of.invoke(TORQUE)
        assert (again.cached, again.text, again.route) == (True, first.text, None)


def weights(folder: Path, **changes: Any) -> tuple[str, str]:
    "A file of weights and its version."
    features = [{"letters": float(n % 7), "compares": float(n % 3 == 0)} for n in range(90)]
    model = trained_gain(features, [row["compares"] for row in features], "toy")
    model.save(folder / "gain.json")
    values = json.loads((folder / "gain.json").read_text()) | changes
    (folder / "gain.json").write_text(json.dumps(values))
    return str(folder / "gain.json"), model.version


def test_learned_weights_choose_the_role(workbench: Workbench, tmp_path: Path) -> None:
    path, version = weights(tmp_path)
    of = pipeline(workbench, PROVEN, PROVEN, PipelineConfig(routing=RoutingConfig("learned", path, version, 0.5)))
    answers = [of.invoke(question) for question in (TORQUE, HARD)]
    assert [answer.route for answer in answers] == ["fast", "strong"]
    assert answers[1].routing["gain"] > 0.5 and "expected gain" in answers[1].routing["reason"] and "compares" in answers[1].routing["reason"]


@pytest.mark.parametrize(("changes", "version", "said"), [
    (None, "0" * 12, "cannot be read: No such file"),
    ({}, "0" * 12, "name the one that is meant"),
    ({"bias": 0.9}, "", "the file was edited"),
    ({"kind": "other"}, "", "its kind is 'other'"),
    ({"signs": {"sighs": {"mean": 0, "scale": 1, "weight": 1}}}, "", "knows no sign 'sighs'"),
])
def test_wrong_weights_are_said_before_a_question_is_asked(workbench: Workbench, tmp_path: Path, changes: dict[str, Any] | None, version: str, said: str) -> None:
    path, found = (str(tmp_path / "gone.json"), version) if changes is None else weights(tmp_path, **changes)
    routing = RoutingConfig("learned", path, version or found)
    with pytest.raises(ConfigError, match=said):
        pipeline(workbench, PROVEN, PROVEN, PipelineConfig(routing=routing))
    (tmp_path / "config.json").write_text(PipelineConfig(routing=routing).to_json())
    done = CliRunner().invoke(main, ["ask", TORQUE, "--collection", "seals", "--config", str(tmp_path / "config.json")], env={"RAGWB_HOME": str(workbench.settings.home)})
    assert done.exit_code == 1 and said in done.output and "Traceback" not in done.output


def test_both_roles_are_charged_as_the_provider_counts(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    "A fast role that is cut, then the strong one, by real clients: two charges with their routes, what the emulator has billed, and within what was reserved."
    with profile_settings("aws", tmp_path / "home", request, workers=1) as (settings, config):
        roles = replace(config, fast=ModelConfig(NOVA_LITE, max_tokens=5), strong=ModelConfig(NOVA_PRO), routing=CASCADE)
        made = Workbench(replace(settings, budget_day_usd=1.0), roles)
        made.ingest_files([("seals.md", SHEET)], "seals")
        emulator = request.getfixturevalue("bedrock")
        before = len(emulator.calls)
        answer = made.ask(TORQUE, "seals")
        assert (answer.route, answer.routing["doubt"], answer.routing["asked"]) == ("strong", "the fast answer was not finished", ["fast", "strong"])
        charged = [charge for charge in made.ledger.of(answer.id) if charge.component == "model"]
        assert [(charge.model.split(".")[-1], charge.route) for charge in charged] == [("nova-2-lite-v1:0", "fast"), ("nova-pro-v1:0", "strong")]
        calls = [call for call in emulator.calls[before:] if "onverse" in call["operation"]]
        assert [call["metadata"]["route"] for call in calls] == ["fast", "strong"]
        assert answer.cost_usd <= question_usd(roles, Question(TORQUE))
        assert {row.key for row in made.ledger.sums("route") if row.usd} >= {("fast",), ("strong",)}


def test_a_grid_pays_for_both_roles_out_of_its_budget(tmp_path: Path) -> None:
    "A forecast that knows the fast role alone would let a cascade begin that the budget does not hold."
    from checkouts import data_set

    from ragwb.experiments.notebooks import ExperimentError

    dataset, cascade = chosen_questions(data_set(tmp_path / "data")), PipelineConfig(fast=ModelConfig(NOVA_LITE), strong=ModelConfig(NOVA_PRO), routing=CASCADE)
    one = question_usd(cascade.alone("fast"), Question("?")) or 0.0
    with pytest.raises(ExperimentError, match="does not hold one question"):
        run_grid(dataset, {"cascade": cascade}, True, Run(str(tmp_path), budget_usd=1.2 * one), Settings(home=tmp_path / "home"))
