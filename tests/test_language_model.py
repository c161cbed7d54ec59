"A language model by the front door: found on this machine, taken with one command, followed by what serves, and advice where it fails."

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from servers import ModelHost, models

from ragwb.cli import main
from ragwb.config import ModelConfig, PipelineConfig, config_from
from ragwb.generation.discovery import CHOICE, ModelChoice, found_models, named_model, role_of, try_model
from ragwb.generation.fallback import ModelError
from ragwb.network.model_servers import explain_server, fetch, look, look_around
from ragwb.network.resilience import breaker
from ragwb.operations.doctor import checks
from ragwb.settings import Settings, SettingsError
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

QUESTION = "Which torque does the A1-990 need?"


def bench(tmp_path: Path, config: PipelineConfig | None = None) -> Workbench:
    "A workbench with one document."
    (tmp_path / "seals.md").write_text("# Seals\n\nThe A1-990 is tightened with 42 N m.\n")
    made = Workbench(Settings(home=tmp_path / "home", workers=1), config)
    made.ingest_paths([tmp_path / "seals.md"])
    return made


def ragwb(*words: str) -> Result:
    return CliRunner().invoke(main, words)


# Found


def test_a_server_is_found_with_the_models_that_can_answer_and_gets_no_key(host: ModelHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    here, openai = found_models(Settings(model_servers=host.address))
    assert [role.model for role in here.models] == ["openai:qwen3:8b", "openai:llama3.2"] and (here.name, here.state) == ("Ollama", "ready")
    assert (openai.name, openai.where) == ("OpenAI", "OPENAI_API_KEY") and "secret" not in repr([here, openai])
    assert {key for _, key in host.asked} == {""}, "a key went to whatever listens there"


def test_an_old_ollama_tells_its_models_its_own_way(host: ModelHost) -> None:
    host.pages = {"/api/tags": (200, {"models": [{"name": "mistral:7b"}]})}
    found = look(host.address)
    assert found and found.models == ("mistral:7b",)
    host.pages = {"/api/tags": (200, {"models": []})}
    empty = look(host.address)
    assert empty and empty.models == () and "no model yet" in empty.state


@pytest.mark.parametrize("page", [
    (200, "<html>Jenkins</html>"), (403, "<html>Forbidden</html>"), (200, {"data": "x"}), (200, [1]), (500, {"error": "?"}), (200, models("default", owner="ragwb")),
])
def test_other_programs_and_ragwb_itself_are_passed_over(host: ModelHost, page: tuple[int, Any]) -> None:
    host.pages = {"/v1/models": page}
    assert look(host.address) is None


def test_a_server_that_wants_a_key_says_so(host: ModelHost) -> None:
    host.pages = {"/v1/models": (401, {"error": {"message": "Invalid API Key"}})}
    found = look(host.address)
    assert found and "wants a key" in found.state and not found.models


def test_a_silent_server_is_not_waited_for_and_no_redirect_is_followed(host: ModelHost) -> None:
    host.slow_s = 5.0
    begun = time.monotonic()
    assert look_around([host.address, host.address], 0.3) == [] and time.monotonic() - begun < 1.0
    assert fetch("file:///etc/hostname")[0] == 0 or not look("file:///etc")  # no address of a server


def test_looking_can_be_turned_off_and_addresses_are_checked(host: ModelHost) -> None:
    assert found_models(Settings(model_servers="")) == [] and host.asked == []
    with pytest.raises(SettingsError, match="model_servers"):
        Settings(model_servers="localhost:11434")


# Taken


def test_one_command_makes_it_the_model_that_answers_and_one_takes_it_back(host: ModelHost, tmp_path: Path) -> None:
    serving = bench(tmp_path)
    before = serving.ask(QUESTION)
    assert before.model == "local:extractive"
    assert "search only" in ragwb("model", "list").output and "found: qwen3:8b, llama3.2" in ragwb("model", "list").output
    used = ragwb("model", "use", "qwen3:8b")
    assert used.exit_code == 0 and "openai:qwen3:8b answers from now on" in used.output
    after = serving.ask(QUESTION)  # the workbench that was open follows
    assert (after.model, after.text) == ("openai:qwen3:8b", "It needs 42 N m. [1]")
    assert json.loads(ragwb("ask", QUESTION, "--json").output)["model"] == "openai:qwen3:8b"
    assert f"openai:qwen3:8b at {host.address}/v1 answers" in ragwb("model", "list").output
    assert serving.pipeline() is serving.pipeline(), "made again for each question"
    assert ragwb("model", "off").exit_code == 0 and serving.ask(QUESTION).model == "local:extractive"


def test_a_choice_holds_at_once_where_it_was_made_and_is_looked_at_now_and_then_elsewhere(tmp_path: Path) -> None:
    here, there = ModelChoice(Folder(tmp_path), 100.0), ModelChoice(Folder(tmp_path), 100.0)
    assert here() is None and there() is None
    here.choose(role_of("openai:qwen3"))
    assert here() == role_of("openai:qwen3") and there() is None


def test_nothing_is_stored_before_the_model_has_answered(host: ModelHost, tmp_path: Path) -> None:
    host.reply = (404, {"error": {"message": "model 'qwen3:8b' not found"}})
    refused = ragwb("model", "use", "qwen3:8b")
    assert refused.exit_code == 1 and "there is no model qwen3:8b" in refused.output and not (tmp_path / "home" / CHOICE).exists()
    assert ragwb("model", "use", "mixtral").exit_code == 1 and "there are: openai:qwen3:8b" in ragwb("model", "use", "mixtral").output


def test_a_config_named_on_purpose_is_left_alone(host: ModelHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = bench(tmp_path, PipelineConfig())
    ModelChoice(Folder(tmp_path / "home")).choose(host.role)
    assert plain.ask(QUESTION).model == "local:extractive"
    monkeypatch.setenv("RAGWB_CONFIG", "local")
    assert ragwb("model", "use", "qwen3:8b").exit_code == 2 and "config local of the settings says" in ragwb("model", "list").output


def test_a_choice_that_cannot_be_read_says_how_to_drop_it(host: ModelHost, tmp_path: Path) -> None:
    bench(tmp_path)
    (tmp_path / "home" / CHOICE).write_text("{")
    asked = ragwb("ask", QUESTION)
    assert asked.exit_code == 1 and "ragwb model off removes it" in asked.output and not checks()[-1]["ok"]
    assert ragwb("model", "off").exit_code == 0 and ragwb("ask", QUESTION).exit_code == 0


def test_a_server_elsewhere_goes_by_its_address(host: ModelHost) -> None:
    assert ragwb("model", "use", "qwen3", "--url", host.address.removeprefix("http://")).exit_code == 0
    assert f"{host.address}/v1" in ragwb("model", "list", "--json").output
    assert named_model("openai:gpt-5-mini").base_url == ""


# What is said where it fails


def said(role: ModelConfig) -> str:
    breaker.cache_clear()
    with pytest.raises(ModelError) as caught:
        try_model(role, Settings(), 5.0)
    assert "region" not in str(caught.value) and "bedrock" not in str(caught.value).lower()
    return str(caught.value)


def test_each_fault_of_a_server_gets_its_own_advice(host: ModelHost) -> None:
    faults: dict[str, tuple[int, Any]] = {
        "there is no model qwen3:8b at .*; the server has qwen3:8b, llama3.2": (404, {"error": {"message": "model 'qwen3:8b' not found, try pulling it first"}}),
        "does not speak OpenAI's protocol; correct base_url": (404, "404 page not found"),
        "does not speak OpenAI's protocol; correct": (200, ("<html>Jenkins</html>",)),
        "the key is missing or not accepted at .*; set OPENAI_API_KEY": (401, {"error": {"message": "Invalid API key"}}),
        "longer than the model's context": (400, {"error": {"message": "This model's maximum context length is 2048 tokens"}}),
        "does not fit into memory": (500, {"error": {"message": "model requires more system memory (9.1 GiB) than is available"}}),
        "the model is being loaded": (503, {"error": {"message": "Loading model"}}),
        "refuses the request: no such option": (400, {"error": {"message": "no such option"}}),
        "the server has failed: out of luck": (500, {"error": {"message": "out of luck"}}),
        "an empty reply|answered with nothing": (200, ""),
    }
    for expected, host.reply in faults.items():
        assert re.search(expected, told := said(host.role)), told


def test_a_stopped_server_is_told_at_once_and_how_to_start_it(host: ModelHost, tmp_path: Path) -> None:
    role, serving = host.role, bench(tmp_path)
    host.shutdown()
    host.server_close()
    assert f"no server runs at {role.base_url}; start it" in said(role)
    refused = ConnectionRefusedError(111, "Connection refused")
    assert "start it (ollama serve)" in str(explain_server(refused, "openai:qwen3", "http://127.0.0.1:11434/v1"))
    alone = Workbench(serving.settings, config_from({"fast.model": role.model, "fast.base_url": role.base_url}))
    begun = time.monotonic()
    with pytest.raises(ModelError, match="no server runs at") as caught:
        alone.ask(QUESTION)
    assert caught.value.retry_after_s is None and caught.value.passages and time.monotonic() - begun < 2.0, "a server on this machine does not come back within a question"


def test_a_follow_up_is_searched_by_its_own_words_while_the_local_reader_stands_in(host: ModelHost, tmp_path: Path) -> None:
    ModelChoice(Folder(tmp_path / "home")).choose(host.role)
    serving = bench(tmp_path)
    host.shutdown()
    host.server_close()
    answer = serving.ask({"question": "And which torque does it need?", "history": ["What is the A1-990?"]})
    assert answer.standalone == "What is the A1-990? And which torque does it need?" and "42 N m" in answer.text
    assert any("no server runs at" in note and "local:extractive answered instead" in note for note in answer.notes)


def test_the_doctor_names_what_was_found_and_what_is_wrong(host: ModelHost) -> None:
    answers = next(check for check in checks() if check["name"] == "answers")
    assert answers["ok"] and "search only" in answers["detail"] and "qwen3:8b" in answers["detail"]
    assert ragwb("model", "use", "qwen3:8b").exit_code == 0
    assert next(check for check in checks() if check["name"] == "answers")["detail"].startswith("openai:qwen3:8b answers (")
    host.reply = (404, {"error": {"message": "model 'qwen3:8b' not found"}})
    broken = next(check for check in checks() if check["name"] == "answers")
    assert not broken["ok"] and "there is no model" in broken["detail"] and "the server has qwen3:8b" in broken["fix"]
