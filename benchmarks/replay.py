"""Whether kept answers can be given again after documents were added and changed.

    python -m benchmarks.replay [--answers 100]

Prints one line, and the answers that differ. Ends with exit code 1 if there are any.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import SAMPLE
from ragwb.indexing.collection import Writer
from ragwb.indexing.compaction import join_small
from ragwb.operations.replay import Replay
from ragwb.settings import Settings
from ragwb.workbench import Workbench


def sample(n: int) -> list[dict[str, Any]]:
    "n questions of the sample, those of a conversation first."
    rows = [json.loads(line) for line in (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines()]
    return sorted(rows, key=lambda row: not row.get("history"))[:n]


def ask_and_ingest(
    workbench: Workbench,
    questions: Sequence[dict[str, Any]],  # rows of the sample, asked in three parts, with ingestion in between
) -> list[str]:                           # ids of the answers
    "Answers from a collection that grows, changes and is compacted."
    files = [path for path in sorted((SAMPLE / "docs").rglob("*")) if path.is_file()]
    asked = [{"question": row["question"], "history": row.get("history", ()), "where": {"format": "pdf"} if n % 7 == 6 else {}} for n, row in enumerate(questions)]
    parts = [asked[n::3] for n in range(3)]
    workbench.ingest_paths(files[::2])
    ids = [workbench.ask(question).id for question in parts[0]]
    workbench.ingest_paths(files[1::2])
    ids += [workbench.ask(question).id for question in parts[1]]
    changed = [path for path in files if path.suffix in (".md", ".txt")]
    workbench.ingest_files([(path.name, path.read_bytes() + b"\n\nThis sentence was added later.\n") for path in changed])
    join_small(Writer(workbench.store.open(workbench.settings.collection)).table)  # as some days of ingestion would
    ids += [workbench.ask(question).id for question in parts[2]]
    workbench.ingest_files([(f"later-{n}.md", f"# Later {n}\n\nNobody has asked about number {n} yet.\n".encode()) for n in range(20)])
    return ids


def differing(
    workbench: Workbench,
    ids: Sequence[str],
) -> dict[str, list[str]]:  # answer -> what is not the same
    "The answers that a replay does not give again."
    again = {id: Replay(workbench, id).again() for id in ids}
    return {id: replayed.differences for id, replayed in again.items() if not replayed.same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100)
    wanted = parser.parse_args().answers
    with tempfile.TemporaryDirectory(prefix="ragwb-replay-") as home:
        workbench = Workbench(Settings(home=Path(home)))
        ids = ask_and_ingest(workbench, sample(wanted))
        different = differing(workbench, ids)
        versions = sorted({workbench.answers.load(id)["index_version"] for id in ids})
        now = workbench.store.open(workbench.settings.collection).version
    for id, parts in different.items():
        print(f"{id}: {', '.join(parts)}")
    print(f"{len(ids) - len(different)} of {len(ids)} answers are the same, from index versions {', '.join(map(str, versions))}; the index is at {now}")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
