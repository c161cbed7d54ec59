"""Provoke each fault that profile aws has to bear, note what a person reads, and write reports/faults.md from rows in reports/faults.jsonl.

    python -m benchmarks.fault_table

Commands of ragwb against a real S3 server (SeaweedFS behind a proxy that fails on demand) and the emulated Bedrock. A command that
does not end as it should, or does not name what to do, ends the script with its words: the table holds only what was printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from benchmarks import REPORTS, ROOT
from ragwb.config import CONFIGS, config_from
from ragwb.emulator import server as emulator
from ragwb.emulator.faults import Faults
from ragwb.emulator.s3 import ADMIN, STRANGER, Identity, S3Server, s3_server
from ragwb.emulator.s3_faults import S3Fault, S3Proxy, S3Request, s3_proxy
from ragwb.experiments.benchmarks import write_benchmark

REPORT = REPORTS / "faults.md"
BUCKET = "ragwb-faults"
TORQUE = "What torque does the seal A1-990 need?"
BOTH = "What torque do the seals A1-990 and A1-991 take?"
SEALS = "# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n\nThe seal A1-991 takes a torque of 47 N m.\n"
SPEAKING = ("Converse", "ConverseStream")


@dataclass
class Desk:
    """What the commands run against."""
    folder: Path
    server: S3Server
    proxy: S3Proxy
    bedrock: emulator.EmulatedBedrock

    def reset(self) -> None:
        """Nothing goes wrong."""
        self.proxy.fault = lambda request: None
        self.bedrock.account.set_faults(Faults())

    def environment(self, changes: Mapping[str, str], keys: Identity | None) -> dict[str, str]:
        """Profile aws, as a person would set it; nothing of the user's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAGWB_"))}
        place = {"RAGWB_PROFILE": "aws", "RAGWB_HOME": str(self.folder / "home"), "RAGWB_STORAGE": f"s3://{BUCKET}/team", "RAGWB_S3_ENDPOINT": self.proxy.endpoint}
        whole = inherited | self.bedrock.environment | (keys or ADMIN).environment | place | {"RAGWB_WORKERS": "1", "NO_COLOR": "1"} | changes
        return {name: value for name, value in whole.items() if value or not name.startswith("AWS_")}

    def run(self, *words: str | Path, code: int = 0, keys: Identity | None = None, **changes: str) -> str:
        """What a command prints. Raises RuntimeError if it ends with another exit code."""
        done = subprocess.run([Path(sys.executable).parent / "ragwb", *words], cwd=ROOT, env=self.environment(changes, keys), capture_output=True, text=True, check=False)
        if done.returncode != code:
            raise RuntimeError(f"ragwb {' '.join(map(str, words))} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def ask(self, question: str = TORQUE, **given: object) -> str:
        """What is printed for a question."""
        return self.run("ask", question, **given)  # type: ignore[arg-type]

    def refused(self, **given: object) -> str:
        """What is printed for a question that cannot be answered."""
        return self.ask(code=1, **given)


@contextmanager
def desk() -> Iterator[Desk]:
    """An S3 server with two documents in it, its proxy and an emulated Bedrock while the block runs."""
    keys = {identity.access: identity.secret for identity in (ADMIN, STRANGER)}
    with ExitStack() as servers:
        folder = Path(servers.enter_context(tempfile.TemporaryDirectory()))
        server, bedrock = servers.enter_context(s3_server(folder / "s3")), servers.enter_context(emulator.emulated_bedrock(None, keys))
        server.new_bucket(BUCKET)
        started = Desk(folder, server, servers.enter_context(s3_proxy(server.endpoint)), bedrock)
        (started.folder / "seals.md").write_text(SEALS, "utf-8")
        started.run("ingest", started.folder / "seals.md")
        yield started


def expired_at_s3(at: Desk) -> str:
    """S3 refuses a session token that has run out."""
    at.proxy.fault = lambda request: S3Fault(400, "ExpiredToken") if "x-amz-security-token" in request.headers else None
    return at.refused(AWS_SESSION_TOKEN="of yesterday")


def ordered(faults: Faults, **changes: str) -> Callable[[Desk], str]:
    """Bedrock goes wrong under a question."""
    def provoke(at: Desk) -> str:
        at.bedrock.account.set_faults(faults)
        return at.refused(**changes)

    return provoke


def another_region(at: Desk) -> str:
    """S3 sends who asks in the wrong region to another; boto3 follows, LanceDB is told."""
    at.proxy.fault = lambda request: S3Fault(400, "AuthorizationHeaderMalformed") if "eu-west-1" in request.headers.get("authorization", "") else None
    return at.refused(RAGWB_REGION="eu-west-1")


def another_owner(at: Desk) -> str:
    """S3 compares the owner; SeaweedFS does not, so the proxy says what S3 says."""
    def owner(request: S3Request) -> S3Fault | None:
        return S3Fault(403, "AccessDenied") if request.headers.get("x-amz-expected-bucket-owner") == "999988887777" else None

    at.proxy.fault = owner
    return at.refused(RAGWB_BUCKET_OWNER="999988887777")


def deleted_object(at: Desk) -> str:
    """Somebody clears up in the bucket by hand."""
    place = f"s3://{BUCKET}/other"
    at.run("ingest", at.folder / "seals.md", RAGWB_STORAGE=place)
    client = at.server.client()
    (first, *_) = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET, Prefix="other/lancedb/default.lance/data/")["Contents"]]
    client.delete_object(Bucket=BUCKET, Key=first)
    return at.refused(RAGWB_STORAGE=place, RAGWB_HOME=str(at.folder / "fresh"))


def slow(at: Desk) -> str:
    """Every request of a process without a cache takes half a second longer."""
    at.proxy.fault = lambda request: S3Fault(delay=0.5)
    return at.ask(RAGWB_HOME=str(at.folder / "cold"))


def silent(at: Desk) -> str:
    """S3 takes requests and does not answer; behind a proxy of its own, since it takes the longest and is provoked beside the others."""
    with s3_proxy(at.server.endpoint) as mute:
        mute.fault = lambda request: S3Fault(delay=30)
        return at.refused(RAGWB_S3_ENDPOINT=mute.endpoint, RAGWB_HOME=str(at.folder / "silent"))


def burst(at: Desk) -> str:
    """Every third request fails."""
    numbers = count()
    at.proxy.fault = lambda request: S3Fault(503, "SlowDown") if next(numbers) % 3 == 0 else None
    return at.ask(RAGWB_HOME=str(at.folder / "burst"))


def down(at: Desk) -> str:
    """Every request fails."""
    at.proxy.fault = lambda request: S3Fault(500, "InternalError")
    return at.refused(RAGWB_HOME=str(at.folder / "down"))


def cut_short(at: Desk) -> str:
    """A config that leaves too few tokens for the second statement."""
    own = at.folder / "own.json"
    own.write_text(json.dumps(asdict(config_from({"fast.max_tokens": 30}, CONFIGS["aws"]))), "utf-8")
    return at.run("ask", BOTH, "--config", own)


def long_document(at: Desk) -> str:
    """A document of more than 100,000 tokens."""
    lines = [f"The flange of pump {number} in hall {number % 7} is tightened with a torque of {number % 90 + 10} N m, crosswise." for number in range(4_500)]
    (at.folder / "torques.md").write_text("# Torques\n\n" + "\n\n".join(lines), "utf-8")
    return at.run("ingest", at.folder / "torques.md", RAGWB_STORAGE=f"s3://{BUCKET}/long")


@dataclass(frozen=True)
class Case:
    """A fault, how it was provoked, the words of what is printed from which on it says what to do, and the test that holds it."""
    fault: str
    how: str
    provoke: Callable[[Desk], str]
    fix: str     # a line that begins with a bracket: nothing is to be done
    test: str
    shown: str = "Error: "  # what the line begins with, or has in it


S3, MODELS, GUARD = "tests/test_s3.py::test_", "tests/test_pipeline_faults.py::test_", "tests/test_guardrails.py::test_"
NOTHING = "(nothing: the answer comes)"
CASES = (
    Case("no credentials", "no key in the environment", lambda at: at.refused(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), "set AWS_PROFILE",
         S3 + "who_may_not_and_where_nothing_is"),
    Case("expired token", "S3 refuses the session token", expired_at_s3, "sign in again", S3 + "what_s3_refuses"),
    Case("expired token", "it runs out before Bedrock is asked", ordered(Faults(expired=True)), "sign in again",
         MODELS + "what_fails_everywhere_is_said_once_with_its_fix_and_the_passages"),
    Case("wrong region", "the bucket lies in another", another_region, "set region", S3 + "what_s3_refuses"),
    Case("wrong region", "the Bedrock of another is asked", lambda at: at.refused(RAGWB_REGION="eu-west-1"), "set region",
         "tests/test_doctor.py::test_wrong_secret_wrong_region_and_throttling"),
    Case("no model access", "neither the model nor its fallback is enabled", ordered(Faults(denied=("nova",))), "have an administrator",
         MODELS + "what_fails_everywhere_is_said_once_with_its_fix_and_the_passages"),
    Case("bucket missing", "`storage` names none that exists", lambda at: at.refused(RAGWB_STORAGE="s3://no-such-bucket-anywhere/team"), "create it, or",
         S3 + "who_may_not_and_where_nothing_is"),
    Case("bucket forbidden", "a key without rights there", lambda at: at.refused(keys=STRANGER), "allow s3:", S3 + "who_may_not_and_where_nothing_is"),
    Case("bucket of another owner", "`bucket_owner` is set, and it is not theirs", another_owner, "check that", S3 + "the_bucket_of_another_account"),
    Case("object deleted under the index", "a data file of LanceDB deleted by hand", deleted_object, "restore", S3 + "an_object_deleted_under_the_index"),
    Case("slow S3", "half a second more for each request, nothing in the cache", slow, NOTHING, S3 + "a_warm_question_does_not_pay_for_a_slow_s3", "42 N m. [1]"),
    Case("slow S3", "it does not answer at all", silent, "try again", S3 + "s3_is_silent"),
    Case("S3 5xx burst", "every third request: 503 SlowDown", burst, NOTHING, S3 + "a_burst_of_server_errors", "42 N m. [1]"),
    Case("S3 5xx burst", "every request, and it does not end", down, "try again later", S3 + "s3_is_down"),
    Case("guardrail id missing", "`guardrail_id` is empty", lambda at: at.refused(RAGWB_GUARDRAIL_ID=""), "set guardrail_id", GUARD + "no_id"),
    Case("guardrail id missing", "it names none of the account", lambda at: at.refused(RAGWB_GUARDRAIL_ID="nosuchguard"), "set guardrail_id", GUARD + "refused"),
    Case("answer cut by max tokens", "`fast.max_tokens` is 30, two statements are due", cut_short, "Raise max_tokens", MODELS + "an_answer_cut_by_max_tokens_says_so", "cut at"),
    Case("document of 100,000 tokens", "ingested into S3, embedded by Titan", long_document, "(nothing: it is cut into chunks)",
         MODELS + "a_document_of_100_000_tokens_is_found_again", "1 new"),
    Case("empty Bedrock answer", "no answer has any content", ordered(Faults(empty=1.0, operations=SPEAKING)), "ask in other words",
         MODELS + "an_empty_answer_is_asked_for_once_more"),
)  # fmt: skip


def steady(line: str, at: Desk) -> str:
    """A line without what differs from run to run: ports, folders, file names of LanceDB, times."""
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line.replace(str(at.folder), "FOLDER"))
    return re.sub(r" · \d+\.\d s$", "", re.sub(r"[0-9a-f]{24,}\.lance", "….lance", line))


def told(case: Case, at: Desk) -> tuple[str, str]:
    """The line that is printed, and the part of it that says what to do. Raises RuntimeError if there is none."""
    printed = case.provoke(at)
    line = next((steady(line.strip(), at) for line in printed.splitlines() if case.shown in line), "")
    if not line or (case.fix[0] != "(" and case.fix not in line):
        raise RuntimeError(f"{case.fault}, {case.how}: {case.fix!r} is not in what was printed:\n{printed}")
    return line, case.fix if case.fix[0] == "(" else re.split(r"; bedrock:", line[line.index(case.fix):])[0]


HEAD = """# What goes wrong with profile aws, and what a person reads

Printed by `ragwb ask` and `ragwb ingest` against a real S3 server and an emulated Bedrock that failed on demand. Written by `make fault-table`; not by hand.
Where passages had been found before Bedrock failed, they are printed above the line.
"""


def main() -> None:
    """Provokes all of them and writes the table."""
    with desk() as at, ThreadPoolExecutor(1) as beside:
        waiting = {case: beside.submit(told, case, at) for case in CASES if case.provoke is silent}
        said = {}
        for case in CASES:
            if case not in waiting:
                at.reset()
                said[case] = told(case, at)
        said |= {case: future.result() for case, future in waiting.items()}
    rows = [{"fault": case.fault, "how": case.how, "line": said[case][0], "fix": said[case][1], "test": case.test} for case in CASES]
    write_benchmark(REPORTS, "faults", {"head": HEAD}, rows)
    print(f"{len(rows)} faults provoked: {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
