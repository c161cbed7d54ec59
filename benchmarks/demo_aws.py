"""Profile aws on this machine: a real S3 server and an emulated Bedrock are started, the sample company is ingested, three questions are asked, all is stopped.

    python -m benchmarks.demo_aws [--documents FOLDER] [--throttle 0.3]

No account, no network, no key that opens anything. What the commands say is what they would say on AWS; only the two endpoints differ.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks import ROOT, SAMPLE
from ragwb.emulator.faults import Faults
from ragwb.emulator.s3 import ADMIN, s3_server
from ragwb.emulator.server import EmulatedBedrock, emulated_bedrock

BUCKET = "ragwb-demo"
QUESTIONS = (
    "How many days of annual leave do full-time employees get?",
    "What does the seal kit K7-120-V cost?",
    "What torque does the A1-990-S need?",
)


def ragwb(environment: Mapping[str, str], *arguments: str) -> None:
    "Runs a command of ragwb; ends the demonstration with its exit code if it fails."
    result = subprocess.run([Path(sys.executable).parent / "ragwb", *arguments], cwd=ROOT, env=dict(environment), check=False)
    if result.returncode:
        sys.exit(result.returncode)


def told(emulator: EmulatedBedrock) -> str:
    "What Bedrock was asked for, in a line for each operation."
    calls = Counter(call["operation"] for call in emulator.calls)
    tokens = Counter[str]()
    for call in emulator.calls:
        tokens[call["operation"]] += call["usage"].get("inputTokens", 0) + call["usage"].get("outputTokens", 0)
    errors = ", ".join(f"{count} × {code}" for code, count in sorted(emulator.account.bill.errors.items()))
    lines = [f"   {operation:<16} {count:>5} calls {tokens[operation]:>9,} tokens" for operation, count in sorted(calls.items())]
    return "\n".join([*lines, f"   refused or given up: {errors}" if errors else "   nothing was refused"])


def main() -> None:
    "The demonstration."
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--documents", type=Path, default=SAMPLE / "docs", help="a folder of documents")
    options.add_argument("--throttle", type=float, default=0.0, help="share of Bedrock's calls that are throttled, 0 to 1")
    given = options.parse_args()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAGWB_"))}
    bedrock = emulated_bedrock(Faults(throttle=given.throttle), {ADMIN.access: ADMIN.secret})
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder) / "s3") as server, bedrock as emulator:
        place = {"RAGWB_PROFILE": "aws", "RAGWB_HOME": f"{folder}/home", "RAGWB_STORAGE": f"s3://{server.new_bucket(BUCKET)}/demo", "RAGWB_S3_ENDPOINT": server.endpoint}
        environment = inherited | emulator.environment | ADMIN.environment | place
        print(f"1. Servers: S3 (SeaweedFS) at {server.endpoint}, Bedrock (emulated) at {emulator.endpoint}", flush=True)
        print(f"\n2. Ingest {given.documents.name} into {place['RAGWB_STORAGE']}", flush=True)
        ragwb(environment, "ingest", str(given.documents))
        print("\n3. Ask", flush=True)
        for question in QUESTIONS:
            print(f"\n? {question}", flush=True)
            ragwb(environment, "ask", question)
        listed = server.client().list_objects_v2(Bucket=BUCKET)
        print(f"\n4. What is there now\n   {BUCKET} holds {listed['KeyCount']} objects{' and more' * listed['IsTruncated']}\n{told(emulator)}")
    print("\n5. Both servers are stopped; their data is gone.")


if __name__ == "__main__":
    main()
