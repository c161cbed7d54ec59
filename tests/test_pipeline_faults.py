"Bedrock going wrong under the pipeline: throttled, broken in mid-stream, cut, empty, stalled, down. A real HTTP server, boto3 and langchain-aws before it."

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from benchmarks.faults import billed, charged, trial
from ragwb.answering.citations import Citation
from ragwb.answering.pipeline import Answer
from ragwb.api.routes import create_api
from ragwb.cli import main
from ragwb.config import CONFIGS, config_from
from ragwb.documents.language import count_tokens
from ragwb.emulator import endpoint
from ragwb.emulator.faults import Faults
from ragwb.emulator.operations import stream_events
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.generation.fallback import ModelError
from ragwb.network import resilience
from ragwb.settings import Settings
from ragwb.workbench import Workbench

TORQUE = "What torque does the seal A1-990 need?"
SPEAKING = ("Converse", "ConverseStream")
SLACK = 4.0  # seconds that a busy machine may take beside a deadline; every stall here is longer than both together
DOCUMENTS = {
    "seals.md": "# Seals\n\nThe seal A1-990 is made of nitrile and is tightened with a torque of 42 N m.\n\nThe seal A1-991 is made of viton and takes a torque of 47 N m.\n",
    "leave.md": "# Leave\n\nFull-time employees get 30 days of annual leave.\n\nLeave is requested in the portal at least two weeks ahead.\n",
}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[EmulatedBedrock]:
    "An emulator, and credentials that it knows in the environment."
    with emulated_bedrock() as started, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in started.credentials.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture(scope="module")
def home(bedrock: EmulatedBedrock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A data folder with two documents, embedded by Titan."
    folder = tmp_path_factory.mktemp("aws")
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text)
    Workbench(settings_of(bedrock, folder), CONFIGS["aws"]).ingest_paths([folder / name for name in DOCUMENTS])
    return folder


@pytest.fixture(autouse=True)
def healthy(bedrock: EmulatedBedrock) -> None:
    "Nothing goes wrong, nothing is billed, no embedding is remembered, no breaker is open."
    bedrock.account.set_faults(Faults())
    bedrock.account.reset()
    resilience.breaker.cache_clear()


def settings_of(bedrock: EmulatedBedrock, home: Path, **changes: Any) -> Settings:
    return replace(Settings(home=home), **bedrock.settings | changes)  # type: ignore[arg-type]


def workbench(bedrock: EmulatedBedrock, home: Path, options: dict[str, Any] | None = None, **changes: Any) -> Workbench:
    "A workbench on the documents, with a pipeline of its own and no vectors in its cache."
    (home / "embeddings.sqlite").unlink(missing_ok=True)
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    return Workbench(settings_of(bedrock, home, **changes), config_from(options or {}, CONFIGS["aws"]))


def failed(bench: Workbench, question: str = TORQUE) -> ModelError:
    with pytest.raises(ModelError) as caught:
        bench.ask(question)
    return caught.value


def test_throttled_and_broken_streams_lose_no_answer_and_no_cent(tmp_path: Path, bedrock: EmulatedBedrock) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(12):
        (folder / f"pump{n}.md").write_text(f"# Pump {n}\n\nPump {n} weighs {20 + n} kg.\n\nIts flange takes {n * 7 + 5} N m.\n\nIt is painted in shade {n * 3 + 100}.\n")
    asked = [question for n in range(12) for question in (f"How much does pump {n} weigh?", f"What torque does the flange of pump {n} take?",
                                                          f"In which shade is pump {n} painted?", f"What do weight and flange torque of pump {n} come to?", f"Who sells pump {n}?")]
    found = trial(tmp_path / "home", [folder], asked, Faults(throttle=0.3, midstream=0.15, disconnect=0.05, seed=3))
    assert (found["questions"], found["failed"], found["different"]) == (60, 0, 0), found
    assert found["calls"]["interrupted"] >= 5 and found["calls"]["refused"] >= 15, found  # the faults did strike
    assert found["charged"] == found["billed"] and found["charges"] == found["distinct_charges"], found


def in_two(content: Any) -> Iterator[tuple[str, Any]]:
    "The emulator's events with all words in two pieces, so that a stream breaks behind a whole statement and not behind its first word."
    parts = list(stream_events(content))
    text = "".join(part["delta"]["text"] for kind, part in parts if kind == "contentBlockDelta")
    cut, at = text.index("]] ") + 20, [kind for kind, _ in parts].index("contentBlockDelta")
    yield from parts[:at]
    for piece in (text[:cut], text[cut:]):
        yield "contentBlockDelta", {"delta": {"text": piece}, "contentBlockIndex": parts[at][1]["contentBlockIndex"]}
    yield from (part for part in parts[at:] if part[0] != "contentBlockDelta")


def test_a_broken_stream_says_nothing_twice(bedrock: EmulatedBedrock, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "stream_events", in_two)
    bench = workbench(bedrock, home)
    bedrock.account.set_faults(Faults(midstream=0.6, operations=SPEAKING, seed=1))
    question = "What torque do the seals A1-990 and A1-991 take?"
    events = list(bench.stream(question))
    answer = events[-1]
    assert isinstance(answer, Answer)
    assert [call.outcome for call in answer.calls].count("interrupted") >= 1
    bedrock.account.set_faults(Faults())
    whole = bench.ask(question)
    assert answer.text == whole.text == "".join(event for event in events if isinstance(event, str)).strip()
    assert answer.citations == whole.citations == tuple(event for event in events if isinstance(event, Citation))
    assert answer.to_dict()["interrupted_calls"] >= 1


def test_each_answer_is_charged_what_bedrock_billed_for_it(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home, {"retrieval.reranker": "bedrock:amazon.rerank-v1:0"})
    bedrock.account.set_faults(Faults(throttle=0.3, operations=SPEAKING, seed=2))
    first = bench.ask(TORQUE)
    second = bench.ask({"question": "And the A1-991?", "history": [TORQUE]})
    assert len([charge for charge in second.charges if charge.component == "model"]) == 2  # it was made standalone
    for answer in (first, second):
        own = [call for call in bedrock.calls if call["metadata"].get("answer") == answer.id]
        assert sum(call["usage"]["inputTokens"] for call in own) == answer.usage.input_tokens
        assert sum(call["usage"]["outputTokens"] for call in own) == answer.usage.output_tokens
        assert all(call["metadata"]["config"] == answer.config.fingerprint and "route" not in call["metadata"] for call in own)
        assert {charge.component for charge in answer.charges} == {"model", "embedding", "guardrail", "rerank"}
        assert answer.cost_usd == pytest.approx(sum(charge.usd or 0 for charge in answer.charges)) and answer.cost_usd > 0.001
    kept = bench.ledger.of(first.id)
    assert sorted(kept, key=lambda charge: charge.id) == sorted(first.charges, key=lambda charge: charge.id)
    assert {name: units for name, units in billed(bedrock).items() if name != "rerank"} == {name: units for name, units in charged(bench).items() if name != "rerank"}
    assert charged(bench)["rerank"] == {"queries": 2}
    bench.keep(first, bench.pipeline().collection)
    assert bench.ledger.of(first.id) == kept  # kept twice, charged once


def test_the_fallback_answers_where_there_is_no_access(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home)
    bedrock.account.set_faults(Faults(denied=("nova-2-lite",)))
    answer = bench.ask(TORQUE)
    assert "42 N m" in answer.text and answer.model == "bedrock:us.amazon.nova-pro-v1:0"
    assert [call.outcome for call in answer.calls] == ["refused", "answered"] and "no access to the model" in answer.calls[0].error


def test_an_answer_cut_by_max_tokens_says_so(bedrock: EmulatedBedrock, home: Path) -> None:
    question = "What torque do the seals A1-990 and A1-991 take?"
    whole = workbench(bedrock, home).ask(question)
    assert len(whole.citations) == 2 and not whole.notes
    cut = workbench(bedrock, home, {"fast.max_tokens": whole.usage.output_tokens - 5}).ask(question)
    assert len(cut.citations) == 1 and whole.text.startswith(cut.text)
    assert f"cut at {whole.usage.output_tokens - 5} tokens. Raise max_tokens" in cut.notes[0]
    nothing = workbench(bedrock, home, {"fast.max_tokens": 5}).ask(question)
    assert nothing.refused and "cut at 5 tokens" in nothing.text and nothing.hits


def test_an_empty_answer_is_asked_for_once_more(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home)
    bedrock.account.set_faults(Faults(empty=1.0, operations=SPEAKING))
    error = failed(bench)
    assert [call.outcome for call in error.calls] == ["empty"] * 4
    assert "answered with nothing, twice: ask in other words" in str(error) and "AWS's documentation" not in str(error)
    assert error.passages and error.passages[0].document == "seals.md"
    spoken = [call for call in bedrock.calls if call["operation"] in SPEAKING]
    assert sum(charge.units["input_tokens"] for charge in error.charges if charge.component == "model") == sum(call["usage"]["inputTokens"] for call in spoken) > 0
    assert charged(bench)["model"]["input_tokens"] == sum(call["usage"]["inputTokens"] for call in spoken)  # what failed is booked too


def test_a_document_of_100_000_tokens_is_found_again(bedrock: EmulatedBedrock, tmp_path: Path) -> None:
    lines = [f"The flange of pump {number} in hall {number % 7} is tightened with a torque of {number % 90 + 10} N m, crosswise." for number in range(4_500)]
    text = "# Torques\n\n" + "\n\n".join(lines)
    (tmp_path / "torques.md").write_text(text)
    assert count_tokens([text])[0] >= 100_000
    bench = Workbench(settings_of(bedrock, tmp_path), CONFIGS["aws"])
    report = bench.ingest_paths([tmp_path / "torques.md"])
    assert (report.new, report.failed) == (1, []) and report.chunks > 100
    assert "torque of 41 N m" in bench.ask("What torque does the flange of pump 4441 in hall 3 need?").text


@pytest.mark.parametrize(("code", "parts"), [
    ("ExpiredTokenException", ("the AWS session has expired", "sign in again")),
    ("AccessDeniedException", ("no access to the model", "enable it")),
    ("ServiceQuotaExceededException", ("an AWS quota is used up", "Service Quotas")),
    ("ServiceUnavailableException", ("the service itself has failed", "try again later")),
])  # fmt: skip
def test_what_fails_everywhere_is_said_once_with_its_fix_and_the_passages(bedrock: EmulatedBedrock, home: Path, code: str, parts: tuple[str, ...]) -> None:
    bench = workbench(bedrock, home, deadline_s=2)
    bench.pipeline().retrieve(TORQUE)
    bedrock.account.set_faults(Faults(failing=code))
    begun = time.monotonic()
    error = failed(bench)
    assert time.monotonic() - begun < 2 + SLACK
    assert all(part in str(error) for part in parts), str(error)
    assert error.passages[0].document == "seals.md" and "42 N m" in error.passages[0].chunk.text
    assert (error.retry_after_s is None) == (code != "ServiceUnavailableException")


def test_everything_down_is_a_503_with_the_passages(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home, deadline_s=2)
    bench.pipeline().retrieve(TORQUE)
    bedrock.account.set_faults(Faults(failing="ServiceUnavailableException"))
    with TestClient(create_api(bench), base_url="http://127.0.0.1") as api:
        begun = time.monotonic()
        response = api.post("/v1/query", json={"question": TORQUE})
        assert time.monotonic() - begun < 2 + SLACK
        problem = response.json()
        assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
        assert problem["type"] == "urn:ragwb:problem:model" and problem["passages"][0]["document"] == "seals.md" and "text" in problem["passages"][0]
        assert int(response.headers["retry-after"]) >= 1
        with api.stream("POST", "/v1/query/stream", json={"question": TORQUE}) as stream:
            said = [line for line in stream.iter_lines() if line]
        assert said[0] == "event: error"
        streamed = json.loads(said[1].removeprefix("data: "))
        assert streamed["status"] == 503 and streamed["passages"] == problem["passages"] and streamed["retry_after_s"] >= 1
        openai = api.post("/v1/chat/completions", json={"model": "ragwb", "messages": [{"role": "user", "content": TORQUE}]})
        assert (openai.status_code, openai.json()["error"]["type"]) == (503, "server_error")


def test_the_command_line_says_why_and_what_is_nearest(bedrock: EmulatedBedrock, home: Path) -> None:
    bedrock.account.set_faults(Faults(failing="ExpiredTokenException"))
    done = CliRunner().invoke(main, ["ask", TORQUE, "--config", "aws"], env=bedrock.environment | {"RAGWB_HOME": str(home)})
    assert done.exit_code == 1 and done.stdout == ""
    assert "the AWS session has expired" in done.stderr and "seals.md" in done.stderr and "42 N m" in done.stderr


def kinds_of_threads() -> Counter[str]:
    "The threads of this process by kind: those that ragwb names, and all others but the emulator's."
    names = [thread.name for thread in threading.enumerate() if not thread.name.startswith("AnyIO")]
    return Counter(name.partition("_")[0] if name.startswith("ragwb-") else "other" for name in names)


def test_stalled_calls_pile_up_no_threads(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home, {"guardrail.provider": ""}, deadline_s=2, concurrency=4)
    bench.ask(TORQUE)
    before, most, done = kinds_of_threads(), Counter[str](), threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most |= kinds_of_threads()

    watching = threading.Thread(target=watch)
    watching.start()
    bedrock.account.set_faults(Faults(stall=1.0, stall_s=15, operations=SPEAKING))
    with ThreadPoolExecutor(32) as pool:
        begun = time.monotonic()
        waits = list(pool.map(lambda n: timed(bench), range(200)))
        seconds = time.monotonic() - begun
    done.set()
    watching.join()
    assert max(waits) < 2 + SLACK, max(waits)  # each within its deadline
    allowed = {
        "ragwb-call": 3 * 4 + 4,  # places of two models and of the embedder, and a few that gave theirs back and have not ended yet
        "ragwb-leg": 8, "ragwb-titan": 4,
        "other": 32 + 1,  # who asks, the watch
    }  # fmt: skip
    assert all(count <= allowed.get(kind, 0) for kind, count in (most - before).items()), (most, before)
    assert seconds < 200 / 32 * 2 + SLACK  # and once it is known to be down, nobody waits any more


def timed(bench: Workbench) -> float:
    "Seconds until a question failed."
    begun = time.monotonic()
    error = failed(bench)
    assert error.passages
    return time.monotonic() - begun


def test_the_service_keeps_the_deadline_for_streams_too(bedrock: EmulatedBedrock, home: Path) -> None:
    bench = workbench(bedrock, home, {"guardrail.provider": ""}, deadline_s=2, concurrency=4)
    bench.ask(TORQUE)
    bedrock.account.set_faults(Faults(stall=1.0, stall_s=15, operations=SPEAKING))
    with TestClient(create_api(bench), base_url="http://127.0.0.1") as api, ThreadPoolExecutor(24) as pool:
        begun = time.monotonic()
        responses = list(pool.map(lambda n: api.post("/v1/query/stream", json={"question": TORQUE}), range(24)))
        assert time.monotonic() - begun < 2 + 2 * SLACK
    assert all("event: error" in response.text and "seals.md" in response.text for response in responses)
