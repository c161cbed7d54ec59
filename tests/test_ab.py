"Tests on those who ask: false stops and power over many made-up tests, several servers and processes at once, all faces of a server, faults of the storage."

import asyncio
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.app.conversation import question_events
from ragwb.config import CacheConfig, PipelineConfig
from ragwb.evaluation.sequential import ArmOutcomes, sample_ratio_p, sequential_difference, sequential_multiple
from ragwb.generation.fallback import ModelError
from ragwb.operations.ab_outcomes import OutcomeReader
from ragwb.operations.ab_serving import LOOK_S, ServedTests, standing_now, start_test
from ragwb.operations.ab_test import ABTestError, ABTests, Guard, arm_of, unit_of
from ragwb.operations.config_registry import Registry
from ragwb.operations.permission import Visitor, seen_by
from ragwb.settings import Settings
from ragwb.workbench import Workbench

HERE, QUESTION = "http://127.0.0.1:8321", "How many days is the annual leave?"
BRIEF = replace(PipelineConfig(), max_sentences=1)
SILENT = replace(PipelineConfig(), refusal_threshold=1.0)


@pytest.fixture
def workbench(tmp_path):
    made = Workbench(Settings(home=tmp_path / "home", collection="handbook", workers=1, model_servers=""))
    made.ingest_files([("handbook.md", b"# Handbook\n\nAnnual leave is 30 days.\n\nParking is free for everyone.")])
    return made


def begun(workbench, other=BRIEF, **more):
    return start_test(workbench, "trial", "", [("control", "now"), ("other", Registry(workbench.store.objects).add(other))], salt="0123456789abcdef", **more)


def stops(before: float, after: float, seed: int, tests: int = 4_000, people: int = 1_200, looks: int = 40) -> float:
    "The share of tests that stop at one of forty looks."
    random, n = np.random.default_rng(seed), np.arange(1, looks + 1) * people // looks
    means = [(random.random((tests, people)) < share).cumsum(axis=1)[:, n - 1] / n for share in (before, after)]
    error = np.sqrt(sum(np.maximum(mean * (1 - mean) / (n - 1), 1 / n**2) for mean in means))
    return float((np.abs(means[1] - means[0]) / error > sequential_multiple(2 * n, 2 * people)).any(axis=1).mean())


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_looking_forty_times_stops_at_most_one_test_in_twenty_without_a_difference(share):
    assert stops(share, share, seed=11) <= 0.05


def test_a_rise_from_80_to_85_is_found_by_1200_an_arm():
    assert stops(0.80, 0.85, seed=12) >= 0.80


def test_people_who_come_again_stop_no_more_tests():
    "Each of 60 people an arm has a mind of their own and asks up to ten times, in any order; looked at through the function that serves."
    random, false = np.random.default_rng(13), [0, 0]
    for _ in range(150):
        minds, who = random.beta(2, 1, size=120), random.integers(120, size=600)
        values = (random.random(600) < minds[who]).astype(float)
        seen = [False, False]
        for n in range(60, 601, 60):
            for way, units in enumerate((who, np.arange(600))):  # by person, and as if each question were a person
                sides = [ArmOutcomes(values[:n][who[:n] % 2 == arm].tolist(), units[:n][who[:n] % 2 == arm].tolist()) for arm in (0, 1)]
                found = sequential_difference(*sides, planned=120 if way == 0 else 600)
                seen[way] |= not found.low <= 0 <= found.high
        false = [count + was for count, was in zip(false, seen, strict=True)]
    assert false[0] / 150 <= 0.05 < false[1] / 150


def test_a_sample_ratio_is_right_for_uneven_shares_and_three_arms():
    weights = {"a": 0.8, "b": 0.15, "c": 0.05}
    runs = np.random.default_rng(14).multinomial(50, list(weights.values()), size=(300, 40)).cumsum(axis=1).tolist()
    alarms = sum(any(sample_ratio_p(dict(zip(weights, counts, strict=True)), weights) < 0.001 for counts in run) for run in runs)
    assert alarms <= 1
    assert sample_ratio_p({"a": 1_600, "b": 300, "c": 160}, weights) < 0.001


def test_every_face_of_a_server_gives_the_same_asker_the_same_arm(workbench):
    begun(workbench)
    client = TestClient(create_api(workbench), base_url=HERE)
    for person in ("berta", "cy", "dora", "emil"):
        arms = {client.post("/v1/query", json={"question": QUESTION, "user": person}).json()["experiment"]["arm"]}
        streamed = client.post("/v1/query/stream", json={"question": QUESTION, "user": person}).text
        arms |= {arm for arm in ("control", "other") if f'"arm":"{arm}"' in streamed.replace(" ", "")}
        chat = client.post("/v1/chat/completions", json={"model": "ragwb", "user": person, "messages": [{"role": "user", "content": QUESTION}]}).json()
        arms |= {chat["ragwb"]["experiment"]["arm"]}
        test = ABTests(workbench.store.objects).find("trial")
        assert arms == {arm_of(test, unit_of(test.salt, person)).name}
    assert sum(standing_now(workbench, test).units.values()) == 4
    assert "berta" not in "".join(path.read_text() for path in workbench.settings.home.rglob("*.json"))
    nameless = client.post("/v1/query", json={"question": QUESTION}).json()
    assert nameless["experiment"].keys() == {"name", "arm"}
    assert sum(standing_now(workbench, test).units.values()) == 5


def test_the_ask_page_keeps_a_conversation_in_its_arm(workbench):
    test = begun(workbench)
    create_api(workbench)

    async def asked(conversation: str) -> str:
        return [event async for event in question_events(workbench, "handbook", QUESTION, (), conversation)][-1]["experiment"]["arm"]

    for conversation in ("one", "two", "three", "four"):
        assert {asyncio.run(asked(conversation)) for _ in range(2)} == {arm_of(test, unit_of(test.salt, conversation)).name}


def test_the_holder_of_a_key_is_one_asker(workbench):
    test = begun(workbench)
    create_api(workbench)
    seen = seen_by(workbench, Visitor("k1", "Cy", frozenset({"ask"}), ("handbook",)))
    assert {seen.ask(QUESTION).experiment["unit"] for _ in range(3)} == {unit_of(test.salt, "k1")}
    assert seen.ask({"question": QUESTION, "asker": "a user of Cy's"}).experiment["unit"] == unit_of(test.salt, "k1/a user of Cy's")


def test_two_arms_never_share_a_cached_answer(workbench):
    cached = [replace(PipelineConfig(), cache=CacheConfig("semantic", sample=0.0), max_sentences=most) for most in (1, 2)]
    registry = Registry(workbench.store.objects)
    start_test(workbench, "trial", "", [(name, registry.add(config)) for name, config in zip(("control", "other"), cached, strict=True)], salt="0123456789abcdef")
    workbench.experiments = ServedTests(workbench)
    answers = [workbench.ask({"question": QUESTION, "asker": f"{n}"}) for n in range(30)]
    assert {(answer.experiment["arm"], answer.config.fingerprint) for answer in answers} == {("control", cached[0].fingerprint), ("other", cached[1].fingerprint)}
    assert Counter(answer.cached for answer in answers) == {True: 28, False: 2}
    by_id = {answer.id: answer.experiment["arm"] for answer in answers}
    hits = [(answer.experiment["arm"], by_id[answer.cache["id"]]) for answer in answers if answer.cached]
    assert hits and all(arm == first for arm, first in hits)


def test_of_two_starts_at_once_one_wins(workbench):
    code = """
import sys
from ragwb.operations.ab_serving import start_test
from ragwb.operations.ab_test import ABTestError
from ragwb.settings import Settings
from ragwb.workbench import Workbench
from pathlib import Path
try:
    start_test(Workbench(Settings(home=Path(sys.argv[1]), collection="handbook", model_servers="")), sys.argv[2], "", [("control", "now"), ("other", sys.argv[3])])
    print("started")
except ABTestError as error:
    print(error)
"""
    config = Registry(workbench.store.objects).add(BRIEF)
    running = [subprocess.Popen([sys.executable, "-c", code, str(workbench.settings.home), name, config], stdout=subprocess.PIPE, text=True) for name in ("one", "two")]
    said = sorted(process.communicate(timeout=120)[0].strip() for process in running)
    assert said[1] == "started" and said[0].startswith("collection handbook has the test ")
    assert len(ABTests(workbench.store.objects).listed()) == 1


def test_a_model_that_fails_leads_to_the_control(workbench, monkeypatch):
    "No answer is kept of a failed question; the exposures tell."
    settings = replace(workbench.settings, deadline_s=1)
    served = Workbench(settings)
    begun(served, guards=[Guard("failed", 0.05)])
    seconds, original = [0.0], Workbench.pipeline
    served.experiments = ServedTests(served, lambda: seconds[0], beside=lambda work: work())
    arm = served.pipelines.arm(original(served), BRIEF)

    before = type(arm).events

    def events(self, given):
        if self.config == BRIEF:
            raise ModelError("no model could answer")
        return before(self, given)

    monkeypatch.setattr(type(arm), "events", events)
    monkeypatch.setattr("ragwb.operations.ab_outcomes.time.time", lambda: 4e9)  # each answer had its time
    for person in range(60):
        seconds[0] += LOOK_S
        with suppress(ModelError):
            served.ask({"question": QUESTION, "asker": f"{person}"})
    test = served.experiments.tests.find("trial")
    assert test.state == "fallen back" and "askers who got no answer at all" in test.changes[1].reason
    assert {served.ask({"question": QUESTION, "asker": f"{person}"}).experiment["arm"] for person in range(20)} == {"control"}


def test_a_guard_falls_back_once_and_every_server_sees_it(workbench, caplog):
    begun(workbench, SILENT, guards=[Guard("refused", 0.1)])
    seconds = [0.0]
    servers = [Workbench(workbench.settings) for _ in range(2)]
    for server in servers:
        server.experiments = ServedTests(server, lambda: seconds[0], beside=lambda work: work())
    for person in range(80):
        seconds[0] += LOOK_S
        servers[person % 2].ask({"question": QUESTION, "asker": f"{person}"})
    test = ABTests(workbench.store.objects).find("trial")
    assert [change.state for change in test.changes] == ["running", "fallen back"]
    assert "A/B test trial falls back to control: other is worse than control in questions without an answer" in caplog.text
    assert {server.ask({"question": QUESTION, "asker": f"{n}"}).experiment["arm"] for server in servers for n in range(10)} == {"control"}


def test_without_its_control_a_test_ends_at_what_served_before(workbench):
    test = begun(workbench)
    workbench.experiments = ServedTests(workbench)
    (workbench.settings.home / f"configs/{test.control.config}.json").unlink()
    assert workbench.ask({"question": QUESTION, "asker": "berta"}).experiment == {}
    assert "the config of control cannot be had" in ABTests(workbench.store.objects).find("trial").changes[1].reason


def test_a_storage_that_fails_stops_no_question(workbench, monkeypatch, caplog):
    begun(workbench)
    workbench.experiments = served = ServedTests(workbench)
    arm = workbench.ask({"question": QUESTION, "asker": "berta"}).experiment["arm"]
    fails = lambda *given: (_ for _ in ()).throw(OSError(5, "Input/output error"))  # noqa: E731
    monkeypatch.setattr(served.tests, "look", fails)
    monkeypatch.setattr(served.tests, "expose", fails)
    monkeypatch.setattr(ABTests, "exposures", fails)
    served.guard(served.current("handbook"))
    assert workbench.ask({"question": QUESTION, "asker": "berta"}).experiment["arm"] == arm
    workbench.ask({"question": QUESTION, "asker": "cy"})
    assert all(words in caplog.text for words in ("cannot be read", "is not written down", "cannot be looked at"))


def test_a_rating_counts_when_it_comes_and_a_deleted_answer_no_more(workbench):
    test = begun(workbench)
    workbench.experiments = ServedTests(workbench)
    answers = [workbench.ask({"question": QUESTION, "asker": f"{n}"}) for n in range(3)]
    reader = OutcomeReader(workbench.answers, test)
    assert [outcome.values["thumbs"] for outcome in reader.read()] == [None] * 3
    workbench.answers.feedback(answers[1].id, "up")
    assert [outcome.values["thumbs"] for outcome in reader.read()] == [None, 1.0, None]
    workbench.answers.feedback(answers[1].id, "down")
    assert [outcome.values["thumbs"] for outcome in reader.read()] == [None, 0.0, None]
    workbench.delete(["handbook.md"])
    assert reader.read() == [] and OutcomeReader(workbench.answers, test).read() == []


def test_a_test_is_refused_on_an_index_that_an_arm_cannot_use(workbench):
    other = replace(PipelineConfig(), chunking=replace(PipelineConfig().chunking, size=300))
    with pytest.raises(ABTestError, match="arms must be answered from one index"):
        begun(workbench, other)
    assert ABTests(workbench.store.objects).listed() == []
