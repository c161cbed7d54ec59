"Figures of a benchmark: one line of its report each, as a table for people and as JSON."

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    "One line of the report."
    measure: str
    target: str
    measured: str
    met: bool
    note: str
    values: dict[str, Any]


def seconds(function: Callable[[], object]) -> float:
    "Seconds that a call takes."
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def table(figures: Sequence[Figure]) -> Table:
    "The figures for people."
    shown = Table("measure", "target", "measured", "met", "note", show_lines=True)
    for figure in figures:
        shown.add_row(figure.measure, figure.target, figure.measured, "[green]yes[/]" if figure.met else "[red]no[/]", f"[dim]{figure.note}[/]")
    return shown


def rounded(value: Any) -> Any:
    "Numbers to four significant digits, inside whatever holds them."
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
