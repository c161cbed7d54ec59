"The two profiles a test may run in: local, on disk, and aws, on a real S3 server and the emulated Bedrock."

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import count
from pathlib import Path

import pytest

from ragwb.config import PipelineConfig, named_config
from ragwb.costs.shared_ledger import ChargeSink
from ragwb.emulator.s3 import ADMIN, S3Server
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock
from ragwb.network.aws import new_client
from ragwb.settings import Settings

PROFILES = ("local", "aws")
NUMBERS = count(1)


@pytest.fixture(scope="session")
def bedrock() -> Iterator[EmulatedBedrock]:
    "An emulated Bedrock that accepts the S3 server's keys."
    with emulated_bedrock(keys={ADMIN.access: ADMIN.secret}) as emulator:
        yield emulator


@contextmanager
def profile_settings(profile: str, home: Path, request: pytest.FixtureRequest, **more: object) -> Iterator[tuple[Settings, PipelineConfig | None]]:
    "Settings and config of a profile for a data folder; the S3 server and Bedrock are started where they are needed."
    settings = replace(Settings(home=home), **more)  # type: ignore[arg-type]
    if profile == "local":
        yield settings, None
        return
    server: S3Server = request.getfixturevalue("seaweed")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ADMIN.environment.items():
            environment.setenv(name, value)
        new_client.cache_clear()  # one that was made without these variables would go on without credentials
        started: list[ChargeSink] = []
        environment.setattr(ChargeSink, "start", lambda sink, begin=ChargeSink.start: (started.append(sink), begin(sink))[1])
        bucket = server.new_bucket(f"profile-{next(NUMBERS)}")
        reached = replace(settings, profile="aws", storage=f"s3://{bucket}/team", s3_endpoint=server.endpoint, refresh_s=0, **request.getfixturevalue("bedrock").settings)
        try:
            yield reached, named_config("aws")
        finally:
            for sink in started:  # while there are credentials
                sink.close()


def environment_of(settings: Settings) -> dict[str, str]:
    "The variables that give a process of its own these settings."
    default = Settings()
    changed = {field.name: str(getattr(settings, field.name)) for field in fields(Settings) if getattr(settings, field.name) != getattr(default, field.name)}
    return {f"RAGWB_{name.upper()}": value for name, value in changed.items()}


@pytest.fixture(params=PROFILES)
def placed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Settings, PipelineConfig | None]]:
    "Settings and config of each profile in turn."
    with profile_settings(request.param, tmp_path / "home", request) as found:
        yield found
