"What holds for all tests."

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from profiles import bedrock, placed  # noqa: F401  # fixtures for whoever asks
from servers import bucket, host, proxy, redis8, redis_process, s3_settings, seaweed  # noqa: F401  # fixtures for whoever asks

from ragwb.guardrails.factory import guardrail
from ragwb.indexing.embedding import provider_embedder
from ragwb.network.aws import new_client
from ragwb.network.redis import server_at
from ragwb.network.resilience import breaker
from ragwb.retrieval.rerank import reranker

# Started in the background, a process ignores Ctrl-C and so do its children; the tests that send it need the usual behaviour.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    "Files are named by their argument: an archive holds the time at which it was made, and every worker that collects the tests makes its own."
    return argname if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_finish():
    "A contributor's settings take no part, and RAGWB_REQUIRE_BROWSER, read at collection, is no setting of the workbench."
    for name in [name for name in os.environ if name.startswith("RAGWB_")]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def nothing_is_left_over() -> Iterator[None]:
    "Tests run in any order: the environment is as before, as MLflow does not leave it, and no client, breaker, guard or embedder of another test is met."
    before = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    yield
    for name in [name for name in os.environ if name not in before and name != "PYTEST_CURRENT_TEST"]:
        del os.environ[name]
    os.environ.update(before)
    for kept in (new_client, breaker, guardrail, provider_embedder, reranker, server_at):
        kept.cache_clear()
