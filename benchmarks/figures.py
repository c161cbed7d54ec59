"Timings of a benchmark: measured figure by figure, kept raw, published with what is said about them."

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ragwb.experiments.benchmarks import FIGURES, read_rows, write_benchmark

Raw = dict[str, Any]  # what was measured for one figure


def seconds(function: Callable[[], object]) -> float:
    "Seconds that a call takes."
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def measure(console: Console, figures: Mapping[str, Callable[[Any], Raw]], bench: Any, only: Sequence[str] | None) -> list[Raw]:
    "The raw timings of the figures that are asked for, or of all."
    measured = []
    for name in only or figures:
        with console.status(f"measuring: {name}"):
            measured.append({"figure": name} | figures[name](bench))
        console.print(FIGURES[name](measured[-1])["measured"], style="dim")
    return measured


def publish(console: Console, folder: Path, report: str, about: Raw, measured: Sequence[Raw], order: Mapping[str, Any], write: bool) -> None:
    "Prints the table; writes rows and summary, keeping earlier rows of figures that were not measured now."
    plain = json.loads(json.dumps(measured))
    shown = Table("measure", "target", "measured", "met", "note", show_lines=True)
    for row in map(lambda raw: FIGURES[raw["figure"]](raw), plain):
        shown.add_row(row["measure"], row["target"], row["measured"], "[green]yes[/]" if row["met"] else "[red]no[/]", f"[dim]{row['note']}[/]")
    console.print(shown)
    if write:
        known = {row["figure"]: row for row in (*read_rows(folder, report), *plain)}
        write_benchmark(folder, report, about, [known[name] for name in order if name in known])
        console.print(f"written to {folder.name}/{report}.jsonl, {report}.json")
