"""The result as a table."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table

_FACTORS: Final = {"ms/app": 1e3, "µs/row": 1e6, "µs": 1e6}
"""Seconds are shown in the unit's own size."""
_PLAIN_WIDTH: Final = 110
"""In a pipe or a file, which have no width."""


def print_table(measured: dict[str, dict[str, Any]]) -> None:
    """Print one line per result: medians, their ratio, what the rounds scatter over, the goal."""
    table = Table("work", "floor", "ours", "unit", "ratio", "rounds", "goal", "")
    for benchmark in measured.values():
        for result in benchmark["results"]:
            table.add_row(*_cells(result))
        table.add_section()
    console = Console()
    console = console if console.is_terminal else Console(width=_PLAIN_WIDTH)
    console.print(table)


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    factor = _FACTORS.get(result["unit"], 1)
    ratios = result["ratios"]
    return (
        result["label"],
        "" if result["floor"] is None else f"{result['floor'] * factor:.4g}",
        f"{result['ours'] * factor:.4g}",
        result["unit"],
        "" if result["ratio"] is None else f"{result['ratio']:.2f}x",
        f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "",
        "" if result["goal"] is None else f"{result['goal']:g}{'x' if ratios else ''}",
        {None: "", True: "met", False: "missed"}[result["met"]],
    )
