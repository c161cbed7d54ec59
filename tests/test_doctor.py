"The doctor against an S3 server and the emulated Bedrock: healthy, and with one thing wrong at a time."

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from profiles import bedrock  # noqa: F401  # fixture
from servers import bucket, s3_settings, seaweed, use_identity  # noqa: F401  # fixtures

from ragwb.config import PipelineConfig
from ragwb.emulator.faults import Faults
from ragwb.emulator.s3 import READER
from ragwb.emulator.server import EmulatedBedrock
from ragwb.indexing.store import Store
from ragwb.network import aws, resilience
from ragwb.operations.doctor import CheckFailed, check_network, checks
from ragwb.settings import Settings


@pytest.fixture
def desk(s3_settings: Settings, bedrock: EmulatedBedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:  # noqa: F811
    "Everything in place, by environment variables as a pod has it."
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    given = {"home": str(s3_settings.home), "storage": s3_settings.storage, "s3_endpoint": s3_settings.s3_endpoint, "config": "aws", **bedrock.settings}
    for name, value in given.items():
        monkeypatch.setenv(f"RAGWB_{name.upper()}", value)
    aws.new_client.cache_clear()
    resilience.breaker.cache_clear()
    yield s3_settings
    bedrock.account.set_faults(Faults())
    aws.new_client.cache_clear()
    resilience.breaker.cache_clear()


def failed() -> dict[str, dict[str, str]]:
    "The checks that failed, by name."
    return {check["name"]: check for check in checks() if not check["ok"]}


def test_all_is_well(desk: Settings) -> None:
    found = checks()
    assert [check["detail"] for check in found if not check["ok"]] == []
    assert [check["name"] for check in found][3:] == ["data folder", "embedder", "credentials", "network", "embedder", "fast", "fast's fallback, strong's fallback", "strong",
                                                      "guardrail", "bucket read", "bucket write", "collections"]  # fmt: skip


def test_no_credentials_end_it_with_one_line(desk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert list(failed()) == ["credentials"] and "AWS_PROFILE" in failed()["credentials"]["fix"] and checks()[-1]["name"] == "credentials"


def test_a_closed_endpoint_ends_it_too(desk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWB_BEDROCK_ENDPOINT", "http://127.0.0.1:1")
    assert list(failed()) == ["network"] and "bedrock_endpoint" in failed()["network"]["fix"]


def test_each_model_without_access_is_named(desk: Settings, bedrock: EmulatedBedrock) -> None:  # noqa: F811
    bedrock.account.set_faults(Faults(denied=("nova-pro-v1", "titan")))
    found = failed()
    assert set(found) == {"embedder", "fast's fallback, strong's fallback"}
    assert all("model access" in check["fix"] for check in found.values()) and "amazon.nova-pro-v1:0" in found["fast's fallback, strong's fallback"]["detail"]


def test_wrong_secret_wrong_region_and_throttling(desk: Settings, bedrock: EmulatedBedrock, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    with monkeypatch.context() as patch:
        patch.setenv("RAGWB_REGION", "eu-west-1")
        aws.new_client.cache_clear()
        found = failed()
        assert {"embedder", "fast"} <= set(found) and all("RAGWB_REGION" in found[name]["fix"] for name in ("embedder", "fast"))
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
        aws.new_client.cache_clear()
        assert {"fast", "bucket read"} <= set(found := failed()) and "AWS_SECRET_ACCESS_KEY" in found["fast"]["fix"]
    aws.new_client.cache_clear()
    resilience.breaker.cache_clear()
    bedrock.account.set_faults(Faults(failing="ThrottlingException", operations=("Converse",)))
    assert "throttling" in failed()["fast"]["detail"]


def test_guardrail_that_is_none_or_not_named(desk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWB_GUARDRAIL_ID", "nosuch")
    assert list(failed()) == ["guardrail"] and "guardrail_id" in failed()["guardrail"]["fix"]
    monkeypatch.setenv("RAGWB_GUARDRAIL_ID", "")
    assert "RAGWB_GUARDRAIL_ID" in failed()["guardrail"]["fix"]


def test_bucket_missing_or_read_only(desk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("RAGWB_STORAGE", "s3://ragwb-nowhere/team")
    found = failed()
    assert {"bucket read", "bucket write"} <= set(found) and "create it" in found["bucket read"]["fix"]
    monkeypatch.setenv("RAGWB_STORAGE", desk.storage)
    use_identity(monkeypatch, READER)
    aws.new_client.cache_clear()
    found = failed()
    assert "bucket read" not in found and "s3:PutObject" in found["bucket write"]["fix"]


def test_an_index_of_another_embedder_names_the_command(desk: Settings) -> None:
    Store(desk).create("handbook", PipelineConfig(), 256)
    found = failed()
    assert list(found) == ["collections"] and "ragwb reindex --collection handbook" in found["collections"]["detail"]


def test_clock(desk: Settings, bedrock: EmulatedBedrock) -> None:  # noqa: F811
    there = Settings(bedrock_endpoint=bedrock.endpoint)
    assert "clocks agree" in check_network(there)
    for minutes, said in ((7, "7 minutes ahead of"), (-12, "12 minutes behind")):
        with pytest.raises(CheckFailed, match=said) as caught:
            check_network(there, lambda minutes=minutes: datetime.now(UTC) + timedelta(minutes=minutes))  # type: ignore[misc]
        assert "NTP" in caught.value.fix
