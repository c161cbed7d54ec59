"AWS clients, explained failures, retries and breakers, against real sockets: the Bedrock emulator, an S3 server, and servers that misbehave."

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from servers import bucket, proxy, s3_settings, seaweed  # noqa: F401  # fixtures

from ragwb.emulator.faults import Faults
from ragwb.emulator.s3 import S3Server
from ragwb.emulator.s3_faults import S3Fault, S3Proxy
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.network import aws
from ragwb.network.aws import AwsError, aws_errors, client, explain
from ragwb.network.resilience import Breaker, CircuitOpen, Deadline, DeadlineExceeded, RetryPolicy, persist, worth_retrying
from ragwb.settings import Settings

LITE, TITAN = "us.amazon.nova-2-lite-v1:0", "amazon.titan-embed-text-v2:0"
HELLO: dict[str, Any] = {"modelId": LITE, "messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 20}}
QUICK = RetryPolicy(attempts=8, first_s=0.01, longest_s=0.05)


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    "Nothing of the user's own AWS profile takes part, and no client is left over from another test."
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    aws.new_client.cache_clear()
    yield
    aws.new_client.cache_clear()


@contextmanager
def bedrock(monkeypatch: pytest.MonkeyPatch, faults: Faults | None = None) -> Iterator[tuple[EmulatedBedrock, Settings]]:
    "An emulator with its credentials in the environment, and settings that reach it."
    with emulated_bedrock(faults) as emulator:
        for name, value in emulator.credentials.items():
            monkeypatch.setenv(name, value)
        yield emulator, replace(Settings(), **emulator.settings)


def refusal(call: Any, settings: Settings, about: str = "") -> AwsError:
    "What a user is told of a call that fails."
    with pytest.raises(aws_errors()) as caught:
        call()
    return explain(caught.value, about, settings)


@pytest.mark.parametrize(
    ("faults", "kind", "passes", "fix"),
    [
        (Faults(failing="ThrottlingException"), "throttled", True, "lower concurrency"),
        (Faults(failing="ModelNotReadyException"), "throttled", True, "wait"),
        (Faults(failing="ModelTimeoutException"), "timeout", True, "timeout_s"),
        (Faults(failing="ModelErrorException"), "service", True, "later"),
        (Faults(failing="InternalServerException"), "service", True, "later"),
        (Faults(failing="ServiceUnavailableException"), "service", True, "later"),
        (Faults(failing="ServiceQuotaExceededException"), "quota", False, "Service Quotas"),
        (Faults(failing="AccessDeniedException"), "model access", False, "model access"),
        (Faults(failing="ValidationException"), "validation", False, "AWS's words"),
        (Faults(expired=True), "expired", False, "sign in again"),
        (Faults(denied=("nova",)), "model access", False, "us-east-1"),
    ],
)
def test_what_bedrock_answers_is_explained(faults: Faults, kind: str, passes: bool, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with bedrock(monkeypatch, faults) as (_, settings):
        told = refusal(lambda: client("bedrock-runtime", settings).converse(**HELLO), settings, f"model {LITE}")
    assert (told.kind, told.passes) == (kind, passes) and fix in told.fix and str(told).startswith(f"model {LITE}: ")


def test_requests_that_bedrock_refuses_name_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    with bedrock(monkeypatch) as (_, settings):
        runtime = client("bedrock-runtime", settings)
        bare = refusal(lambda: runtime.converse(**HELLO | {"modelId": "amazon.nova-2-lite-v1:0"}), settings)
        unknown = refusal(lambda: runtime.converse(**HELLO | {"modelId": "us.amazon.nova-9-v1:0"}), settings)
        gone = refusal(lambda: runtime.converse(**HELLO, guardrailConfig={"guardrailIdentifier": "nosuch", "guardrailVersion": "1"}), settings)
        apart = refusal(lambda: runtime.apply_guardrail(guardrailIdentifier="nosuch", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "x"}}]), settings)
    assert (bare.kind, unknown.kind, gone.kind, apart.kind) == ("profile", "model", "guardrail", "guardrail")
    assert "inference_profile" in bare.fix and "guardrail_id" in apart.fix


def test_credentials_that_are_missing_wrong_or_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    with emulated_bedrock() as emulator:
        settings = replace(Settings(), **emulator.settings)
        told = {}
        keys: dict[str, dict[str, str]] = {"none": {}, "half": {"AWS_ACCESS_KEY_ID": "AKIA"}, "unknown": {"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "x"},
                                           "wrong": emulator.credentials | {"AWS_SECRET_ACCESS_KEY": "not the secret"}, "profile": {"AWS_PROFILE": "nosuch"}}  # fmt: skip
        for name, environment in keys.items():
            with monkeypatch.context() as patch:
                aws.new_client.cache_clear()
                for variable, value in environment.items():
                    patch.setenv(variable, value)
                told[name] = refusal(lambda: client("bedrock-runtime", settings).converse(**HELLO), settings)
    assert [told[name].kind for name in ("none", "half", "unknown", "wrong", "profile")] == ["credentials", "credentials", "credentials", "signature", "credentials"]
    assert "AWS_PROFILE" in told["none"].fix and "AWS_SECRET_ACCESS_KEY" in told["wrong"].fix and "nosuch" in told["profile"].detail
    assert not any(error.passes for error in told.values())


def test_endpoints_that_are_silent_closed_or_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(bedrock_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        stalled = refusal(lambda: client("bedrock-runtime", settings, read_timeout_s=1).converse(**HELLO), settings)
        assert (stalled.kind, stalled.passes) == ("timeout", True) and 0.9 < time.monotonic() - begun < 4  # once, not again and again
    closed = refusal(lambda: client("bedrock-runtime", settings, read_timeout_s=1).converse(**HELLO), settings)
    assert (closed.kind, closed.passes) == ("unreachable", True) and "bedrock_endpoint" in closed.fix
    nowhere = refusal(lambda: client("bedrock-runtime", Settings(bedrock_endpoint="localhost")), settings)
    region = refusal(lambda: client("bedrock-runtime", Settings(region="mars north")), Settings(region="mars north"))
    assert (nowhere.kind, region.kind) == ("endpoint", "region") and "http://host:port" in nowhere.fix and "region" in region.fix


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(AwsError, match=r"boto3 is not installed; pip install 'ragwb\[aws\]'"):
        client("s3", Settings())


def test_threads_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    start = threading.Barrier(16)

    def get(_: int) -> Any:
        start.wait()
        return client("bedrock-runtime", Settings(concurrency=64))

    with ThreadPoolExecutor(16) as pool:
        assert len({id(found) for found in pool.map(get, range(16))}) == 1


def test_what_s3_answers_is_explained(seaweed: S3Server, s3_settings: Settings, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    name = s3_settings.storage.removeprefix("s3://").partition("/")[0]
    s3 = client("s3", s3_settings)
    missing = refusal(lambda: s3.list_objects_v2(Bucket="ragwb-nowhere"), s3_settings, "bucket ragwb-nowhere")
    head = refusal(lambda: s3.head_bucket(Bucket="ragwb-nowhere"), s3_settings)
    gone = refusal(lambda: s3.get_object(Bucket=name, Key="deleted"), s3_settings)
    gone_head = refusal(lambda: s3.head_object(Bucket=name, Key="deleted"), s3_settings)
    badly_named = refusal(lambda: s3.head_bucket(Bucket="Not A Bucket"), s3_settings)
    assert [error.kind for error in (missing, head, gone, gone_head)] == ["bucket", "bucket", "object", "object"] and "storage" in missing.fix
    assert badly_named.kind in ("validation", "bucket")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    aws.new_client.cache_clear()
    assert refusal(lambda: client("s3", s3_settings).list_objects_v2(Bucket=name), s3_settings).kind == "signature"


def test_s3_rides_out_a_burst_of_errors(s3_settings: Settings, proxy: S3Proxy) -> None:  # noqa: F811
    left = iter([S3Fault(503, "SlowDown"), S3Fault(500, "InternalError"), S3Fault(503, "ServiceUnavailable")])
    proxy.fault = lambda request: next(left, None)
    through = replace(s3_settings, s3_endpoint=proxy.endpoint)
    name = s3_settings.storage.removeprefix("s3://").partition("/")[0]
    client("s3", through).put_object(Bucket=name, Key="kept", Body=b"bytes")
    assert client("s3", s3_settings).get_object(Bucket=name, Key="kept")["Body"].read() == b"bytes" and proxy.count("PUT") == 4


# Retries and breakers, through real sockets


def test_a_third_of_calls_throttled_costs_no_answer_and_no_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    with bedrock(monkeypatch, Faults(throttle=0.3, operations=("Converse",), seed=3)) as (emulator, settings):
        runtime, circuit = client("bedrock-runtime", replace(settings, concurrency=16)), Breaker("nova", limit=5)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: persist(lambda: runtime.converse(**HELLO), circuit, policy=QUICK), range(200)))
        charged = [call for call in emulator.calls if call["operation"] == "Converse"]
        throttled = emulator.account.bill.errors["ThrottlingException"]
    assert len(answers) == len(charged) == 200 and throttled > 30 and circuit.failed == 0


def test_calls_through_one_breaker_run_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    "A breaker that held its lock through a call would need 16 × 0.3 s."
    with bedrock(monkeypatch, Faults(latency_ms=300)) as (_, settings), ThreadPoolExecutor(16) as pool:
        runtime, circuit = client("bedrock-runtime", replace(settings, concurrency=16)), Breaker("nova")
        runtime.converse(**HELLO)
        begun = time.monotonic()
        list(pool.map(lambda _: persist(lambda: runtime.converse(**HELLO), circuit), range(16)))
    assert time.monotonic() - begun < 2.4


def test_a_dead_provider_is_left_alone_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with bedrock(monkeypatch, Faults(failing="ServiceUnavailableException")) as (emulator, settings):
        runtime, circuit = client("bedrock-runtime", replace(settings, concurrency=16)), Breaker("nova", limit=5, pause_s=0.6)

        def ask(_: int) -> str:
            try:
                return persist(lambda: runtime.converse(**HELLO), circuit, policy=QUICK)["stopReason"]
            except (CircuitOpen, *aws_errors()) as error:
                return type(error).__name__

        with ThreadPoolExecutor(16) as pool:
            told = list(pool.map(ask, range(300)))
        assert set(told) <= {"CircuitOpen", "ServiceUnavailableException"}
        reached = sum(emulator.account.bill.errors.values())
        assert reached <= 5 + 16 + 2, "what was under way when it opened, and a trial or two"
        emulator.account.set_faults(Faults())
        time.sleep(0.7)
        assert ask(0) == "end_turn" and circuit.failed == 0


def test_no_wait_goes_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with bedrock(monkeypatch, Faults(failing="ThrottlingException")) as (_, settings):
        runtime = client("bedrock-runtime", settings)
        begun = time.monotonic()
        with pytest.raises(aws_errors()) as caught:
            persist(lambda: runtime.converse(**HELLO), Breaker("nova"), Deadline.after(1.0), RetryPolicy(attempts=50, first_s=0.2))
        assert time.monotonic() - begun < 1.5 and worth_retrying(caught.value)
        with pytest.raises(DeadlineExceeded, match="deadline_s"):
            persist(lambda: runtime.converse(**HELLO), Breaker("nova"), Deadline.after(0))


def test_errors_of_openai_and_httpx_are_sorted_too() -> None:
    import httpx
    import openai

    request = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")
    said = {status: openai.APIStatusError("no", response=httpx.Response(status, request=request), body=None) for status in (400, 401, 404, 429, 500, 503)}
    assert {status for status, error in said.items() if worth_retrying(error)} == {429, 500, 503}
    spent = openai.RateLimitError("no", response=httpx.Response(429, request=request), body={"code": "insufficient_quota"})
    assert not worth_retrying(spent)
    try:
        raise openai.APIConnectionError(request=request) from httpx.ConnectError("refused")
    except openai.APIConnectionError as error:
        assert worth_retrying(error)
    assert worth_retrying(httpx.ReadTimeout("slow")) and not worth_retrying(ValueError("a bug"))
