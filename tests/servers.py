"Servers that tests share: a real S3 server, with a fresh bucket and keys for each test that asks, and a proxy before it that fails on demand."

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ragwb.emulator.s3 import ADMIN, REGION, Identity, S3Server, s3_server
from ragwb.emulator.s3_faults import S3Proxy, s3_proxy
from ragwb.settings import Settings

NUMBERS = count(1)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    "A SeaweedFS of this test process, started when the first test asks for it."
    with s3_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def use_identity(monkeypatch: pytest.MonkeyPatch, identity: Identity) -> None:
    "This identity is what boto3 and LanceDB find, and nothing else."
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(seaweed: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    "A new bucket's name; the admin's keys are in the environment."
    use_identity(monkeypatch, ADMIN)
    return seaweed.new_bucket(f"ragwb-{next(NUMBERS)}")


@pytest.fixture
def s3_settings(seaweed: S3Server, bucket: str, tmp_path: Path) -> Settings:
    "Settings whose storage is a prefix of a new bucket."
    return Settings(home=tmp_path / "home", storage=f"s3://{bucket}/team", s3_endpoint=seaweed.endpoint, region=REGION, refresh_s=0)


@pytest.fixture
def proxy(seaweed: S3Server) -> Iterator[S3Proxy]:
    "A proxy that can fail, before the S3 server."
    with s3_proxy(seaweed.endpoint) as server:
        yield server
