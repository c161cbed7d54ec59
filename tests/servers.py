"Servers that tests share: a real S3 server, with a fresh bucket and keys for each test that asks, and a proxy before it that fails on demand."

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from notebooks import ROOT

from ragwb.settings import Settings

sys.path.insert(0, str(ROOT / "experiments"))
from s3_proxy import Fault, Request, S3Proxy, proxied  # noqa: E402, F401  # for tests that fail it
from seaweed import ADMIN, REGION, Keys, Seaweed, running  # noqa: E402

NUMBERS = count(1)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    "A SeaweedFS of this test process, started when the first test asks for it."
    with running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def use_keys(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    "This identity is what boto3 and LanceDB find, and nothing else."
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in keys.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    "A new bucket's name; the admin's keys are in the environment."
    use_keys(monkeypatch, ADMIN)
    return seaweed.new_bucket(f"ragwb-{next(NUMBERS)}")


@pytest.fixture
def s3_settings(seaweed: Seaweed, bucket: str, tmp_path: Path) -> Settings:
    "Settings whose storage is a prefix of a new bucket."
    return Settings(home=tmp_path / "home", storage=f"s3://{bucket}/team", s3_endpoint=seaweed.endpoint, region=REGION, refresh_s=0)


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[S3Proxy]:
    "A proxy that can fail, before the S3 server."
    with proxied(seaweed.endpoint) as server:
        yield server
