"""Ingestion by two Ray nodes of one processor each against this machine's own two workers, in one run and in turns.

    python -m benchmarks.ray_overhead [--documents 5000] [--rounds 2] [--out reports/bench_ray.jsonl]

Writes a row for each round: seconds, and processor seconds of this process, its workers and the nodes.
Fails if one engine writes another number of documents or chunks than the other.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import REPORTS
from benchmarks.pages import Pages
from benchmarks.ray_nodes import ray_nodes
from ragwb.ingestion.processes import CREW
from ragwb.ingestion.ray import engine_of
from ragwb.settings import Settings
from ragwb.workbench import Workbench

WORKERS = 2


def processor_seconds() -> float:
    "Of this process and of all below it, also of those that have ended."
    total = 0.0
    for process in (me := psutil.Process(), *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def run(engine: Any, pages: Path, home: Path) -> dict[str, float]:
    "An ingestion of all pages into an empty data folder, after a small one that starts the workers."
    warm = Workbench(Settings(home=home / "warm", workers=WORKERS))
    warm.engine = engine
    warm.ingest_paths(sorted(pages.iterdir())[:64])
    workbench = Workbench(Settings(home=home / "measured", workers=WORKERS))
    workbench.engine = engine
    begun, used = time.perf_counter(), processor_seconds()
    report = workbench.ingest_paths([pages])
    assert not report.failed
    return {"seconds": time.perf_counter() - begun, "processor_seconds": processor_seconds() - used, "documents": report.new, "chunks": report.chunks}


def main() -> None:
    "Measures and prints."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=REPORTS / "bench_ray.jsonl")
    given, rows = parser.parse_args(), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder, ray_nodes(WORKERS) as cluster:
        pages = Path(folder, "pages")
        pages.mkdir()
        Pages(1).write(pages, given.documents)
        os.environ["RAY_ADDRESS"] = cluster.address
        for number in range(given.rounds):
            row: dict[str, Any] = {"figure": "ray_overhead", "documents": given.documents}
            for name in ("local", "ray"):
                with engine_of(name) as engine:
                    row[name] = run(engine, pages, Path(folder, f"{name}-{number}"))
                CREW.dismiss()
            assert row["local"]["chunks"] == row["ray"]["chunks"], "both engines must write the same"
            rows.append(row)
            print({name: {key: round(value, 1) for key, value in row[name].items()} for name in ("local", "ray")}, flush=True)
    given.out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for unit in ("seconds", "processor_seconds"):
        print(f"{unit}: ray / local {median(row['ray'][unit] / row['local'][unit] for row in rows):.2f}, target 1.25")
    for name in ("local", "ray"):
        print(f"{name}: {given.documents / median(row[name]['seconds'] for row in rows):.0f} documents/s")


if __name__ == "__main__":
    main()
