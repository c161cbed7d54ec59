"What a run of `make mutants` showed that nothing held."

import asyncio
import errno
from pathlib import Path

import pytest

from ragwb.api.gate import RequestGate
from ragwb.commands.common import one_line
from ragwb.evaluation.metrics import exact_match
from ragwb.guardrails.local import grounding_policy
from ragwb.guardrails.personal_data import part_of_code
from ragwb.storage.folder import Folder
from ragwb.storage.lease import Lease


def test_an_exact_match_is_none_of_another_answer():
    assert (exact_match("36 months.", ["36 Months"]), exact_match("37 months", ["36 months"]), exact_match("36 months", [])) == (1, 0, 0)


def test_the_gate_lets_the_servers_start_and_end_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(RequestGate(app, None, lambda path: 1)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_a_full_disk_is_one_line():
    assert one_line(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full: free some space and run the same command again"


@pytest.mark.parametrize(("text", "joined"), [("A1-555 x", True), ("x 555-B", True), ("x 555 y", False)])
def test_a_number_joined_on_one_side_is_part_of_a_code(text, joined):
    at = text.index("555")
    assert part_of_code(text, at, at + 3) is joined


def test_grounding_at_the_threshold_is_enough():
    text = "The seal is tightened with 42 N m."
    assert grounding_policy([text], [text], 1.0)["contextualGroundingPolicy"]["filters"][0]["action"] == "NONE"


def test_a_lease_that_is_renewed_is_waited_for_and_one_that_is_not_is_taken(tmp_path: Path) -> None:
    "On a clock of its own: the holder renews every four seconds until second 60, and then dies."
    now, lives = [0.0], 60.0
    holder = Lease(Folder(tmp_path), "locks/x", 10, lambda: now[0])
    assert holder.write("")

    def sleep(seconds: float) -> None:
        now[0] += 1
        if now[0] <= lives and now[0] % 4 == 0:
            assert holder.write(holder.object.etag), f"taken from its holder after {now[0]} s"
        assert now[0] < 200, "the lease of a dead holder is never taken"

    Lease(Folder(tmp_path), "locks/x", 10, lambda: now[0], sleep).take()
    assert lives + 10 <= now[0] <= lives + 15
